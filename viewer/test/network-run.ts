import type { Payload, Run, Values } from "../src/data/schema";
import { type Source, type Typed, frameSize, timed } from "../src/data/source";

/** Runs of a 2-2-1 network whose weights change in time, made up, and all that it gives for a few examples. */
export class NetworkRuns implements Source {
  readonly arrays = new Map<string, Typed>();
  /** What has been asked for, as "name from to". */
  readonly asked: string[] = [];

  constructor(
    readonly frameCount = 5,
    readonly examples = 6,
    private readonly runs = 1,
  ) {}

  payload(): Promise<Payload> {
    const runs = Array.from({ length: this.runs }, (_, k) => this.run(`run ${k}`, k));
    return Promise.resolve({ format: 1, title: "Made up", runs, differing: ["slope"], live: false });
  }

  frames(values: Values, from: number, to: number): Promise<Typed> {
    this.asked.push(`${values.name} ${from} ${to}`);
    const whole = this.arrays.get(values.name);
    if (whole === undefined) return Promise.reject(new Error(`no array ${values.name}`));
    const size = frameSize(values);
    return Promise.resolve(timed(values) ? whole.subarray(from * size, to * size) : whole);
  }

  /** An array of floats by a function of its number. */
  float(name: string, axes: string[], shape: number[], of: (k: number) => number): Values {
    const count = shape.reduce((a, b) => a * b, 1);
    return this.keep(
      name,
      axes,
      shape,
      "float32",
      Float32Array.from({ length: count }, (_, k) => of(k)),
    );
  }

  keep(name: string, axes: string[], shape: number[], dtype: Values["dtype"], stored: Typed): Values {
    this.arrays.set(name, stored);
    return { name, axes, shape, dtype, low: 0, step: 1, gaps: false };
  }

  run(name: string, number: number): Run {
    const { frameCount: frames, examples } = this;
    const at = (part: string): string => `${number}/${part}`;
    const kernel = this.float(at("k0"), ["frame", "input", "unit"], [frames, 2, 2], (k) => Math.sin(k + number));
    const bias = this.float(at("b0"), ["frame", "unit"], [frames, 2], (k) => Math.cos(k));
    const lastKernel = this.float(at("k1"), ["frame", "input", "unit"], [frames, 2, 1], (k) => Math.cos(3 * k));
    const lastBias = this.float(at("b1"), ["frame", "unit"], [frames, 1], (k) => 0.1 * k);
    const inputs = this.float(at("inputs"), ["example", "input"], [examples, 2], (k) => Math.sin(5 * k));
    const [w, b, v, c, x] = [kernel, bias, lastKernel, lastBias, inputs].map(
      (values) => this.arrays.get(values.name) as Float32Array,
    ) as [Float32Array, Float32Array, Float32Array, Float32Array, Float32Array];
    const hidden = new Float32Array(frames * examples * 2);
    const probabilities = new Float32Array(frames * examples * 2);
    // Loops in plain sight: what the viewer computes is compared with them.
    for (let f = 0; f < frames; f++) {
      for (let e = 0; e < examples; e++) {
        let logit = c[f] as number;
        for (let u = 0; u < 2; u++) {
          let z = b[f * 2 + u] as number;
          for (let i = 0; i < 2; i++) z += (x[e * 2 + i] as number) * (w[f * 4 + i * 2 + u] as number);
          hidden[(f * examples + e) * 2 + u] = Math.tanh(z);
          logit += Math.tanh(z) * (v[f * 2 + u] as number);
        }
        const p = 1 / (1 + Math.exp(-logit));
        probabilities.set([1 - p, p], (f * examples + e) * 2);
      }
    }
    const classOf = (k: number): number => (k % examples) % 2;
    const labels = Uint8Array.from({ length: examples }, (_, e) => classOf(e));
    const wrong = Uint8Array.from({ length: frames * examples }, (_, k) =>
      Number((probabilities[2 * k + classOf(k)] as number) < 0.5),
    );
    const lossOf = (k: number): number => -Math.log(probabilities[2 * k + classOf(k)] as number);
    const meanLoss = (f: number): number =>
      Array.from({ length: examples }, (_, e) => lossOf(f * examples + e)).reduce((a, b) => a + b) / examples;
    const mean = this.float(at("loss"), ["frame"], [frames], (f) => 1 / (1 + f * (1 + number)));
    return {
      id: at("id"),
      name,
      status: "finished",
      hyperparameters: { slope: String(number) },
      missing: [],
      at_once: null,
      epochs: this.float(at("epochs"), ["frame"], [frames], (f) => 2 * f),
      steps: this.keep(
        at("steps"),
        ["frame"],
        [frames],
        "int32",
        Int32Array.from({ length: frames }, (_, f) => 20 * f),
      ),
      task: { kind: "classes", names: ["negative", "positive"], link: "sigmoid" },
      labels: this.keep(at("labels"), ["example"], [examples], "uint8", labels),
      inputs,
      input_names: ["x1", "x2"],
      images: null,
      example_numbers: Array.from({ length: examples }, (_, e) => 10 + e),
      loss: "binary cross-entropy",
      curves: [{ name: "loss", quantity: "loss", split: "train", values: mean }],
      probabilities: this.keep(at("p"), ["frame", "example", "class"], [frames, examples, 2], "float32", probabilities),
      targets: null,
      predictions: null,
      losses: this.float(at("losses"), ["frame", "example"], [frames, examples], lossOf),
      wrong: this.keep(at("wrong"), ["frame", "example"], [frames, examples], "uint8", wrong),
      spaces: [
        {
          layer: "hidden",
          projection: "units 0 and 1",
          x: [-1, 1],
          y: [-1, 1],
          own_x: [-1, 1],
          own_y: [-1, 1],
          points: this.keep(at("points"), ["frame", "example", "axis"], [frames, examples, 2], "float32", hidden),
          regions: null,
          leads: null,
          lines: null,
          grid: null,
          origin: null,
          basis: null,
          kept: null,
          agreement: null,
        },
      ],
      boundary: null,
      tours: [],
      distributions: [],
      diagram: null,
      mlp: {
        layers: [
          { name: "hidden", activation: "tanh", kernel, bias },
          { name: "output", activation: "sigmoid", kernel: lastKernel, bias: lastBias },
        ],
        mean_loss: this.float(at("mean loss"), ["frame"], [frames], meanLoss),
        training: null,
        noise: [],
        computes: [],
        ends: {},
      },
      marks: [],
    };
  }
}
