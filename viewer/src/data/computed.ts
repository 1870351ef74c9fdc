import { dense, softmax } from "../math/mlp";
import { dequantise } from "../math/interpolate";
import type { Dense, Mlp, Payload, Run, Space, Values } from "./schema";
import { type Source, type Typed, frameSize } from "./source";

/** What an array holds at a frame. */
type Recipe = (frame: number) => Float32Array;

/** Frames that are computed before the page may do something else. */
const AT_ONCE = 8;
/** By how much the mean loss may differ from the recorded one, in parts of 1 or of the loss if that is larger. */
const NEAR = 1e-3;
/** Frameworks that take probabilities cut them off at 1e-7. */
const LARGEST_LOSS = -Math.log(1e-7);

/**
 * A source that computes what a page leaves out from the weights of small networks; all else is that of `inner`.
 *
 * The formulas are those of src/netlapse/view/computed.py, which compares them with what was recorded.
 */
export class ComputedSource implements Source {
  private recipes: Promise<Map<string, Recipe>> | null = null;

  constructor(private readonly inner: Source) {}

  payload(): Promise<Payload> {
    return this.inner.payload();
  }

  async frames(values: Values, from: number, to: number): Promise<Typed> {
    this.recipes ??= this.describe();
    const recipe = (await this.recipes).get(values.name);
    if (recipe === undefined) return this.inner.frames(values, from, to);
    const size = frameSize(values);
    const stored = values.dtype === "uint8" ? new Uint8Array((to - from) * size) : new Float32Array((to - from) * size);
    for (let frame = from; frame < to; frame++) {
      if (frame > from && (frame - from) % AT_ONCE === 0) await pause();
      const found = recipe(frame);
      const start = (frame - from) * size;
      if (stored instanceof Float32Array) stored.set(found, start);
      else for (let k = 0; k < size; k++) stored[start + k] = byte(values, found[k] as number);
    }
    return stored;
  }

  private async describe(): Promise<Map<string, Recipe>> {
    const recipes = new Map<string, Recipe>();
    for (const run of (await this.inner.payload()).runs) {
      if (run.mlp !== null && run.mlp.computes.length > 0) await this.add(run, run.mlp, recipes);
    }
    return recipes;
  }

  private async add(run: Run, mlp: Mlp, recipes: Map<string, Recipe>): Promise<void> {
    const read = async (values: Values | null): Promise<Float32Array> =>
      values === null
        ? new Float32Array(0)
        : dequantise(values, await this.inner.frames(values, 0, values.shape[0] as number));
    const layers = await Promise.all(
      mlp.layers.map(async (layer) => ({ layer, kernel: await read(layer.kernel), bias: await read(layer.bias) })),
    );
    const grids = await Promise.all(run.spaces.map((space) => read(space.grid)));
    const known = { inputs: await read(run.inputs), labels: await read(run.labels), targets: await read(run.targets) };
    const network = new Frames(run, layers);
    const all = network.recipes(known, grids);
    for (const name of mlp.computes) {
      const recipe = all.get(name);
      if (recipe === undefined) throw new Error(`This viewer can't compute "${name}". Export the page again.`);
      recipes.set(name, recipe);
    }
    const means = await read(mlp.mean_loss);
    const losses = recipes.get(run.losses.name);
    for (const frame of losses === undefined ? [] : [0, means.length >> 1, means.length - 1]) {
      const computed = (losses as Recipe)(frame);
      const mean = computed.reduce((sum, loss) => sum + loss, 0) / computed.length;
      const recorded = means[frame] as number;
      if (!(Math.abs(mean - recorded) <= NEAR * Math.max(1, Math.abs(recorded)))) {
        throw new Error(`This browser computes a loss of ${mean} at frame ${frame} of "${run.name}", not ${recorded}.`);
      }
    }
  }
}

interface Weights {
  layer: Dense;
  kernel: Float32Array;
  bias: Float32Array;
}

interface Known {
  inputs: Float32Array;
  labels: Float32Array;
  targets: Float32Array;
}

/** A run's network at its recorded frames. */
class Frames {
  constructor(
    private readonly run: Run,
    private readonly layers: Weights[],
  ) {}

  /** How each array is computed, by its name. */
  recipes(known: Known, grids: Float32Array[]): Map<string, Recipe> {
    const { run } = this;
    const { inputs, labels, targets } = known;
    const recipes = new Map<string, Recipe>();
    const add = (values: Values | null, recipe: Recipe): void => {
      if (values !== null) recipes.set(values.name, recipe);
    };
    for (const [number, space] of run.spaces.entries()) {
      const depth = this.layers.findIndex(({ layer }) => layer.name === space.layer);
      if (depth < 0) continue;
      const grid = grids[number] as Float32Array;
      add(space.points, (frame) => this.activations(frame, inputs, depth));
      add(space.lines, (frame) => this.activations(frame, grid, depth));
      add(space.regions, this.regions(space, depth + 1));
    }
    if (run.boundary !== null) {
      add(run.boundary.regions, this.regions(run.boundary, 0));
      if (run.diagram !== null) add(run.diagram.maps, this.maps(run.boundary));
    }
    add(run.probabilities, (frame) => {
      const scores = this.scores(frame, inputs);
      softmax(scores, run.task.names.length);
      return scores;
    });
    add(run.predictions, (frame) => this.outputs(frame, inputs));
    add(run.losses, (frame) =>
      run.task.kind === "quantities"
        ? squaredErrors(this.outputs(frame, inputs), targets, run.task.names.length)
        : this.crossEntropies(this.scores(frame, inputs), labels),
    );
    return recipes;
  }

  /** Activations (place, unit) of the layers `start` to `stop` - 1, the first of which is given `places`. */
  private *forward(frame: number, places: Float32Array, start: number, stop: number): Generator<Float32Array> {
    let below = places;
    for (const { layer, kernel, bias } of this.layers.slice(start, stop)) {
      below = layerAt(frame, layer, kernel, bias, below);
      yield below;
    }
  }

  /** Activations of one layer, of layer `start` - 1 the places themselves. */
  private activations(frame: number, places: Float32Array, depth: number, start = 0): Float32Array {
    let last = places;
    for (const found of this.forward(frame, places, start, depth + 1)) last = found;
    return last;
  }

  private outputs(frame: number, places: Float32Array, start = 0): Float32Array {
    return this.activations(frame, places, this.layers.length - 1, start);
  }

  /** A score for each class: of one unit, that of the second; the first has 0. */
  private scores(frame: number, places: Float32Array, start = 0): Float32Array {
    const { layer, kernel, bias } = this.layers.at(-1) as Weights;
    const below = this.activations(frame, places, this.layers.length - 2, start);
    const z = layerAt(frame, { ...layer, activation: "linear" }, kernel, bias, below);
    if (layer.kernel.shape[2] !== 1) return z;
    const both = new Float32Array(2 * z.length);
    for (let k = 0; k < z.length; k++) both[2 * k + 1] = z[k] as number;
    return both;
  }

  private regions(space: Space, start: number): Recipe {
    const places = grid(space.x, space.y);
    const count = places.length / 2;
    const units = this.layers.at(-1)?.layer.kernel.shape[2] as number;
    if (this.run.task.kind === "quantities") return (frame) => every(units, 0, count, this.outputs(frame, places, start));
    return (frame) => {
      const scores = this.scores(frame, places, start);
      const leads = new Float32Array(count);
      for (let k = 0; k < count; k++) {
        const lead = (scores[2 * k + 1] as number) - (scores[2 * k] as number);
        leads[k] = lead / (1 + Math.abs(lead));
      }
      return leads;
    };
  }

  private maps(boundary: Space): Recipe {
    const { columns, maps } = this.run.diagram as NonNullable<Run["diagram"]>;
    const [rows, across] = (maps as Values).shape.slice(2) as [number, number];
    const places = grid(even(boundary.x, across), even(boundary.y, rows));
    const pixels = rows * across;
    const size = (maps as Values).shape.slice(1).reduce((product, length) => product * length, 1);
    return (frame) => {
      const whole = new Float32Array(size);
      let [depth, at] = [0, 0];
      for (const activations of this.forward(frame, places, 0, this.layers.length)) {
        depth += 1;
        for (const unit of columns[depth]?.units ?? []) {
          whole.set(every(activations.length / pixels, unit, pixels, activations), at);
          at += pixels;
        }
      }
      return whole;
    };
  }

  private crossEntropies(scores: Float32Array, labels: Float32Array): Float32Array {
    const classes = scores.length / labels.length;
    const most = this.layers.at(-1)?.layer.activation === "linear" ? Number.POSITIVE_INFINITY : LARGEST_LOSS;
    const losses = new Float32Array(labels.length);
    for (let k = 0, from = 0; k < labels.length; k++, from += classes) {
      let largest = Number.NEGATIVE_INFINITY;
      for (let one = from; one < from + classes; one++) largest = Math.max(largest, scores[one] as number);
      let sum = 0;
      for (let one = from; one < from + classes; one++) sum += Math.exp((scores[one] as number) - largest);
      losses[k] = Math.min(largest + Math.log(sum) - (scores[from + (labels[k] as number)] as number), most);
    }
    return losses;
  }
}

/** One layer at a frame, which is given what is below. */
function layerAt(frame: number, layer: Dense, kernel: Float32Array, bias: Float32Array, below: Float32Array): Float32Array {
  const [width, units] = layer.kernel.shape.slice(1) as [number, number];
  const weights = kernel.subarray(frame * width * units, (frame + 1) * width * units);
  const shift = layer.bias === null ? bias : bias.subarray(frame * units, (frame + 1) * units);
  return dense(layer, weights, shift, below, below.length / width);
}

/** Of rows of `width` numbers that at place `at`. */
function every(width: number, at: number, rows: number, values: Float32Array): Float32Array {
  const found = new Float32Array(rows);
  for (let k = 0; k < rows; k++) found[k] = values[k * width + at] as number;
  return found;
}

function squaredErrors(predicted: Float32Array, targets: Float32Array, quantities: number): Float32Array {
  const errors = new Float32Array(targets.length / quantities);
  for (let example = 0; example < errors.length; example++) {
    let sum = 0;
    for (let k = example * quantities; k < (example + 1) * quantities; k++) {
      sum += ((predicted[k] as number) - (targets[k] as number)) ** 2;
    }
    errors[example] = sum / quantities;
  }
  return errors;
}

/** All crossings (place, 2) of columns and rows, row by row. */
function grid(x: readonly number[], y: readonly number[]): Float32Array {
  const places = new Float32Array(2 * x.length * y.length);
  let k = 0;
  for (const up of y) {
    for (const right of x) {
      places[k++] = right;
      places[k++] = up;
    }
  }
  return places;
}

/** So many evenly spaced values between the same ends. */
function even(values: readonly number[], count: number): number[] {
  const [low, high] = [values[0] as number, values.at(-1) as number];
  return Array.from({ length: count }, (_, k) => (count > 1 ? low + ((high - low) * k) / (count - 1) : low));
}

function byte(values: Values, value: number): number {
  if (Number.isNaN(value)) return 255;
  return Math.min(Math.max(Math.round((value - values.low) / values.step), 0), values.gaps ? 254 : 255);
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
