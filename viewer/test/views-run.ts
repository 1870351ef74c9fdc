import type { Payload, Run, Space, Values } from "../src/data/schema";
import { type Source, type Typed, frameSize, timed } from "../src/data/source";
import { coloursOf } from "../src/draw/palette";
import { LIGHT } from "../src/draw/theme";
import { arraysOf, RunData } from "../src/model/run";
import { INITIAL, type State } from "../src/model/state";
import type { Scene } from "../src/views/view";

export const FRAMES = 5;
export const EXAMPLES = 60;
/** Samples of a plane each way. */
export const SIDE = 21;

/** Arrays with what they hold, by name. */
export class Memory implements Source {
  readonly arrays = new Map<string, Typed>();

  constructor(readonly runs: Run[] = []) {}

  async payload(): Promise<Payload> {
    return { format: 1, title: "test", runs: this.runs, differing: [], live: false };
  }

  async frames(values: Values, from: number, to: number): Promise<Typed> {
    const stored = this.arrays.get(values.name) as Typed;
    return timed(values) ? stored.slice(from * frameSize(values), to * frameSize(values)) : stored;
  }

  /** An array of float32, computed place by place. */
  array(name: string, axes: string[], shape: number[], value: (place: number) => number): Values {
    const stored = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, place) => value(place));
    this.arrays.set(name, stored);
    return { name, dtype: "float32", shape, axes, low: 0, step: 1, gaps: false };
  }

  /** An array of numbers that are names. */
  bytes(name: string, axes: string[], shape: number[], value: (place: number) => number): Values {
    this.arrays.set(
      name,
      Uint8Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, place) => value(place)),
    );
    return { name, dtype: "uint8", shape, axes, low: 0, step: 1, gaps: false };
  }
}

/** Numbers between 0 and 1 that are the same in every test. */
export function random(seed: number): number {
  const x = Math.sin(12.9898 * seed + 78.233) * 43758.5453;
  return x - Math.floor(x);
}

/** Where an example is in the plane of its inputs. */
export function input(example: number): [number, number] {
  return [4 * random(2 * example) - 2, 4 * random(2 * example + 1) - 2];
}

/** The logit of the second class: a line that moves and becomes sure of itself. */
export function logit(frame: number, [x, y]: [number, number]): number {
  return (frame + 1) * (x - 0.5 * y + 0.2 * frame - 0.3);
}

export function labelOf(example: number): number {
  return logit(FRAMES - 1, input(example)) > 0 ? 1 : 0;
}

export function probability(frame: number, example: number): number {
  return 1 / (1 + Math.exp(-logit(frame, input(example))));
}

export function loss(frame: number, example: number): number {
  const right = labelOf(example) === 1 ? probability(frame, example) : 1 - probability(frame, example);
  return -Math.log(right);
}

export function isWrong(frame: number, example: number): boolean {
  return probability(frame, example) > 0.5 !== (labelOf(example) === 1);
}

/** A run of two classes that has everything. */
export function twoClasses(memory: Memory, prefix = ""): Run {
  const name = (what: string): string => `${prefix}${what}`;
  const [f, e] = [FRAMES, EXAMPLES];
  const per = (place: number, size: number): [number, number] => [Math.floor(place / size), place % size];
  const place = (k: number): number => -2 + (4 * k) / (SIDE - 1);
  const space = (layer: string, frames: number, scale: (frame: number) => number): Space => ({
    layer,
    projection: "units 0 and 1",
    x: [-2, 2],
    y: [-2, 2],
    own_x: [-2, 2],
    own_y: [-2, 2],
    points: memory.array(name(`${layer}/points`), ["frame", "example", "axis"], [frames, e, 2], (at) => {
      const [frame, rest] = per(at, 2 * e);
      return scale(frame) * (input(Math.floor(rest / 2))[rest % 2] as number);
    }),
    regions: memory.array(name(`${layer}/regions`), ["frame", "row", "column"], [f, SIDE, SIDE], (at) => {
      const [frame, rest] = per(at, SIDE * SIDE);
      const lead = logit(frame, [place(rest % SIDE), place(Math.floor(rest / SIDE))]);
      return lead / (1 + Math.abs(lead));
    }),
    leads: null,
    lines: null,
    grid: null,
    origin: null,
    basis: null,
    kept: memory.array(name(`${layer}/kept`), ["frame"], [f], () => 0.98),
    agreement: memory.array(name(`${layer}/agreement`), ["frame"], [f], () => 0.99),
  });
  const curve = (what: string, quantity: string, value: (frame: number) => number): Run["curves"][number] => ({
    name: what,
    quantity,
    split: "train",
    values: memory.array(name(what), ["frame"], [f], value),
  });
  const all = Array.from({ length: e }, (_, example) => example);
  return {
    id: prefix,
    name: `run ${prefix}`,
    status: "complete",
    hyperparameters: {},
    missing: [],
    at_once: null,
    epochs: memory.array(name("epochs"), ["frame"], [f], (frame) => 10 * frame),
    steps: memory.array(name("steps"), ["frame"], [f], (frame) => 100 * frame),
    task: { kind: "classes", names: ["negative", "positive"], link: "sigmoid" },
    labels: memory.bytes(name("labels"), ["example"], [e], labelOf),
    inputs: memory.array(
      name("inputs"),
      ["example", "input"],
      [e, 2],
      (at) => input(Math.floor(at / 2))[at % 2] as number,
    ),
    input_names: ["x1", "x2"],
    images: null,
    example_numbers: all.map((example) => 1000 + example),
    loss: "binary cross-entropy",
    curves: [
      curve("loss", "binary cross-entropy", (frame) => all.reduce((sum, example) => sum + loss(frame, example), 0) / e),
      curve("accuracy", "accuracy", (frame) => all.filter((example) => !isWrong(frame, example)).length / e),
    ],
    probabilities: memory.array(name("probabilities"), ["frame", "example", "class"], [f, e, 2], (at) => {
      const [frame, rest] = per(at, 2 * e);
      const second = probability(frame, Math.floor(rest / 2));
      return rest % 2 === 1 ? second : 1 - second;
    }),
    targets: null,
    predictions: null,
    losses: memory.array(name("losses"), ["frame", "example"], [f, e], (at) => loss(...per(at, e))),
    wrong: memory.bytes(name("wrong"), ["frame", "example"], [f, e], (at) => (isWrong(...per(at, e)) ? 1 : 0)),
    spaces: [space("hidden", f, (frame) => 1 - 0.1 * frame)],
    boundary: space("inputs", 1, () => 1),
    tours: [
      {
        layer: "hidden",
        kept: 0.9,
        scores: memory.array(name("scores"), ["frame", "example", "component"], [f, e, 3], (at) => random(at) - 0.5),
      },
    ],
    distributions: [
      {
        kind: "weights",
        layers: ["hidden", "output"],
        log: false,
        levels: [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1],
        edges: memory.array(name("edges"), ["layer", "edge"], [2, 5], (at) => (at % 5) - 2),
        densities: memory.array(
          name("densities"),
          ["frame", "layer", "bin"],
          [f, 2, 4],
          (at) => [0.2, 1, 0.5, 0][at % 4] as number,
        ),
        quantiles: memory.array(
          name("quantiles"),
          ["frame", "layer", "level"],
          [f, 2, 7],
          (at) => -1.5 + 0.3 * (at % 7),
        ),
        zeros: memory.array(name("zeros"), ["frame", "layer"], [f, 2], (at) => (at % 2 === 0 ? 0.12 : 0)),
      },
    ],
    diagram: {
      columns: [
        { layer: "inputs", activation: "", size: 2, units: [0, 1] },
        { layer: "hidden", activation: "tanh", size: 5, units: [0, 1, 4] },
        { layer: "output", activation: "sigmoid", size: 1, units: [0] },
      ],
      weights: memory.array(
        name("weights"),
        ["frame", "edge"],
        [f, 9],
        (at) => ((at % 9) - 4) * (1 + Math.floor(at / 9)),
      ),
      maps: memory.array(name("maps"), ["frame", "unit", "row", "column"], [f, 4, SIDE, SIDE], (at) => {
        const [, rest] = per(at, SIDE * SIDE);
        return place(rest % SIDE) - 0.5;
      }),
    },
    mlp: null,
    marks: [
      { kind: "milestone", text: "learnt", start: 20, stop: 20 },
      { kind: "plateau", text: "slow", start: 0, stop: 10 },
    ],
  };
}

/** The run with all its arrays fetched. */
export async function loaded(run: Run, memory: Memory): Promise<RunData> {
  const data = await RunData.open(run, memory, () => undefined);
  await Promise.all(arraysOf(run).map((values) => data.load(values)));
  return data;
}

export function sceneOf(
  data: RunData,
  t: number,
  state: Partial<State> = {},
  size: [number, number] = [420, 360],
): Scene {
  return {
    data,
    others: [data],
    t,
    interpolated: !Number.isInteger(t),
    state: { ...INITIAL, t, ...state },
    width: size[0],
    height: size[1],
    theme: LIGHT,
    colours: coloursOf(data.run.task.names.length, LIGHT),
  };
}
