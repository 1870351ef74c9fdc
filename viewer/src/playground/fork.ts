import { computed } from "../data/computed";
import type { Recipe } from "../data/recipes";
import type { Run, Values } from "../data/schema";
import type { Typed } from "../data/source";
import { Chain } from "./chain";
import { type Range, described } from "./described";
import { type Origin, mean, rowsOf } from "./origin";
import type { Optimiser } from "./optimisers";
import type { Job } from "./train";

/** What is chosen for a fork; `activation` is that of the hidden layers, null if each keeps its own. */
export interface Settings {
  optimiser: Optimiser;
  batchSize: number;
  activation: string | null;
  epochs: number;
}

/** A range that points left gets so much more room, as a share of itself: pictures seldom change their scale. */
const ROOM = 0.25;

/** A run up to one of its frames, and from there on as it was trained in the page. */
export class Fork {
  status: "training" | "ended" | "stopped" | "failed" = "training";
  readonly job: Job;
  /** All parameters of each frame. */
  readonly weights: Float32Array[];
  /** Of each frame, the curves that go on, by their number in the origin's. */
  readonly curves = new Map<number, number[]>();
  /** Of the planes that are seen of the origin's spaces, by their number there. */
  readonly ranges = new Map<number, [x: Range, y: Range]>();
  private version = 0;
  private made: { run: Run; recipes: Map<string, Recipe> };

  /** Names of its arrays begin with `prefix`. */
  constructor(
    readonly origin: Origin,
    readonly settings: Settings,
    readonly prefix: string,
    readonly name: string,
  ) {
    const { data, frame, layers, inputs, targets } = origin;
    const hidden = settings.activation;
    this.job = {
      layers: layers.map((layer, k) =>
        hidden === null || k === layers.length - 1 ? layer : { ...layer, activation: hidden },
      ),
      weights: origin.weights[frame] as Float32Array,
      inputs,
      targets,
      loss: data.run.loss,
      optimiser: settings.optimiser,
      batchSize: settings.batchSize,
      epochs: settings.epochs,
    };
    this.weights = [...origin.weights];
    const until = (values: Values): number[] =>
      Array.from({ length: frame + 1 }, (_, k) => data.row(values, k)?.[0] ?? Number.NaN);
    for (const [k, { name: what, split, values }] of data.run.curves.entries()) {
      if (split === "train" && ["loss", "accuracy", "R²"].includes(what)) this.curves.set(k, until(values));
    }
    for (const [k, { layer, x, y, basis }] of data.run.spaces.entries()) {
      const units = origin.mlp.layers.find((one) => one.name === layer)?.kernel.shape[2];
      if (units === 2 || (units !== undefined && basis !== null)) this.ranges.set(k, [ends(x), ends(y)]);
    }
    this.made = this.describe();
  }

  /** Another one after each change. */
  get run(): Run {
    return this.made.run;
  }

  /** How many epochs have been trained. */
  get trained(): number {
    return this.weights.length - this.origin.weights.length;
  }

  /** Whether the weights are numbers no more. */
  get diverged(): boolean {
    return (this.weights.at(-1) as Float32Array).some((weight) => !Number.isFinite(weight));
  }

  /** Takes in the weights after more epochs. */
  add(frames: Float32Array[]): void {
    const { origin, job } = this;
    const rows = rowsOf(origin.data.run);
    const chain = new Chain(job.layers, rows.length);
    for (const weights of frames) {
      this.weights.push(weights);
      const loss = mean(chain.losses(weights, job, rows, origin.loss));
      const score = this.score(chain.forward(weights, job, rows), rows.length);
      for (const [k, values] of this.curves) {
        values.push(origin.data.run.curves[k]?.name === "loss" ? loss : score);
      }
    }
    this.made = this.describe();
    if (!this.widen(frames.length)) return;
    // What has been drawn over the narrower planes has other names.
    this.version += 1;
    this.made = this.describe();
  }

  /** What is stored of some frames of an array of this fork's own. */
  async frames(values: Values, from: number, to: number): Promise<Typed> {
    const recipe = this.made.recipes.get(values.name);
    if (recipe !== undefined) return computed(values, recipe, from, to);
    // Asked for before its plane became wider: what is drawn next asks for the array of the new plane.
    return new Float32Array((to - from) * values.shape.slice(1).reduce((size, length) => size * length, 1)).fill(
      Number.NaN,
    );
  }

  private describe(): { run: Run; recipes: Map<string, Recipe> } {
    return described(this, this.version);
  }

  /** The share of examples that are right, or R² of quantities. */
  private score(outputs: Float64Array, examples: number): number {
    const { targets, layers } = this.job;
    const units = outputs.length / examples;
    if (this.origin.data.run.task.kind === "quantities") return explained(outputs, targets, units);
    const threshold = layers.at(-1)?.activation === "linear" ? 0 : 0.5;
    let right = 0;
    for (let k = 0; k < examples; k++) {
      const own = outputs.subarray(k * units, (k + 1) * units);
      if (own.some(Number.isNaN)) continue;
      if (units === 1) right += Number(Number((own[0] as number) > threshold) === targets[k]);
      else right += Number(targets[k * units + own.indexOf(Math.max(...own))] === 1);
    }
    return right / examples;
  }

  /** Makes the planes as wide as the points of the last so many frames; whether any became wider. */
  private widen(frames: number): boolean {
    let wider = false;
    for (const [k, ranges] of this.ranges) {
      const layer = this.origin.data.run.spaces[k]?.layer;
      const points = this.run.spaces.find((space) => space.layer === layer)?.points;
      const recipe = points && this.made.recipes.get(points.name);
      for (let frame = this.weights.length - frames; frame < this.weights.length; frame++) {
        for (const [at, value] of recipe?.(frame).entries() ?? []) {
          const range = ranges[at % 2] as Range;
          if (!Number.isFinite(value) || (value >= range[0] && value <= range[1])) continue;
          const room = ROOM * (Math.max(value, range[1]) - Math.min(value, range[0]));
          if (value < range[0]) range[0] = value - room;
          else range[1] = value + room;
          wider = true;
        }
      }
    }
    return wider;
  }
}

/** R²: one less the share of the quantities' variance that is left; of several the mean. */
function explained(outputs: Float64Array, targets: Float32Array, units: number): number {
  const count = outputs.length / units;
  let sum = 0;
  for (let unit = 0; unit < units; unit++) {
    let [left, square, whole] = [0, 0, 0];
    for (let k = unit; k < outputs.length; k += units) {
      const target = targets[k] as number;
      left += ((outputs[k] as number) - target) ** 2 / count;
      square += target ** 2 / count;
      whole += target / count;
    }
    sum += 1 - left / (square - whole ** 2);
  }
  return sum / units;
}

function ends(values: number[]): Range {
  return [values[0] ?? 0, values.at(-1) ?? 1];
}
