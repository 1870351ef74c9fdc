import { dense, sigmoid, softmax } from "../math/mlp";
import type { Dense, Diagram, Run, Space, Values } from "./schema";

/** What an array holds at a frame. */
export type Recipe = (frame: number) => Float32Array;

/** Frameworks that take probabilities cut them off at 1e-7. */
const LARGEST_LOSS = -Math.log(1e-7);

/** A layer with its weights; no bias is empty. */
export interface Weights {
  layer: Dense;
  kernel: Recipe;
  bias: Recipe;
}

/** The examples; empty is what a run has not. */
export interface Known {
  inputs: Float32Array;
  labels: Float32Array;
  targets: Float32Array;
}

/** How a space lies: the grid of inputs that it shows warped, and its projection; empty is what it has not. */
export interface Plane {
  grid: Float32Array;
  origin: Float32Array;
  basis: Float32Array;
}

/** A run's network at its frames. */
export class Frames {
  constructor(
    private readonly run: Run,
    private readonly layers: Weights[],
  ) {}

  /** How each array is computed, by its name. */
  recipes(known: Known, planes: Plane[]): Map<string, Recipe> {
    const { run } = this;
    const { inputs, labels, targets } = known;
    const recipes = new Map<string, Recipe>();
    const add = (values: Values | null, recipe: Recipe): void => {
      if (values !== null) recipes.set(values.name, recipe);
    };
    for (const [number, space] of run.spaces.entries()) {
      const depth = this.layers.findIndex(({ layer }) => layer.name === space.layer);
      if (depth < 0) continue;
      const plane = planes[number] as Plane;
      const of = (frame: number, places: Float32Array): Float32Array => this.activations(frame, places, depth);
      add(space.points, (frame) => projected(of(frame, inputs), plane));
      add(space.lines, (frame) => projected(of(frame, plane.grid), plane));
      add(space.kept, (frame) => Float32Array.of(kept(of(frame, inputs), plane)));
      const through = (frame: number): Float32Array => means(of(frame, inputs), plane.origin.length);
      const lift: Lift | undefined =
        plane.basis.length === 0 ? undefined : (places, frame) => lifted(places, plane, through(frame));
      add(space.regions, this.regions(space, depth + 1, lift));
      add(space.leads, this.leads(space, depth + 1, lift));
    }
    if (run.boundary !== null) {
      add(run.boundary.regions, this.regions(run.boundary, 0));
      add(run.boundary.leads, this.leads(run.boundary, 0));
      if (run.diagram !== null) add(run.diagram.maps, this.maps(run.boundary));
    }
    if (run.diagram !== null) add(run.diagram.weights, this.edges(run.diagram));
    add(run.probabilities, (frame) => {
      const scores = this.scores(frame, inputs);
      // Of one unit, both links give the same.
      if (run.task.link === "sigmoid" && this.units > 1) return scores.map(sigmoid);
      softmax(scores, Math.max(this.units, 2));
      return scores;
    });
    add(run.wrong, (frame) => {
      const scores = this.scores(frame, inputs);
      const classes = scores.length / labels.length;
      return labels.map((label, k) => Number(winner(scores, k * classes, classes) !== label));
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
    for (const weights of this.layers.slice(start, stop)) {
      below = layerAt(frame, weights, below);
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

  /** How many the last layer has. */
  private get units(): number {
    return this.layers.at(-1)?.layer.kernel.shape[2] as number;
  }

  /** A score for each class: of one unit, that of the second; the first has 0. */
  private scores(frame: number, places: Float32Array, start = 0): Float32Array {
    const last = this.layers.at(-1) as Weights;
    const below = this.activations(frame, places, this.layers.length - 2, start);
    const z = layerAt(frame, { ...last, layer: { ...last.layer, activation: "linear" } }, below);
    if (this.units !== 1) return z;
    const both = new Float32Array(2 * z.length);
    for (let k = 0; k < z.length; k++) both[2 * k + 1] = z[k] as number;
    return both;
  }

  /** What the layers from one on say of the places of a plane. */
  private regions(space: Space, start: number, lift: Lift = flat): Recipe {
    const places = grid(space.x, space.y);
    const count = places.length / 2;
    const { units } = this;
    if (this.run.task.kind === "quantities") {
      return (frame) => every(units, 0, count, this.outputs(frame, lift(places, frame), start));
    }
    return (frame) => {
      const scores = this.scores(frame, lift(places, frame), start);
      const classes = scores.length / count;
      const found = new Float32Array(count);
      for (let k = 0; k < count; k++) {
        if (classes > 2) {
          found[k] = winner(scores, k * classes, classes);
        } else {
          const lead = (scores[2 * k + 1] as number) - (scores[2 * k] as number);
          found[k] = lead / (1 + Math.abs(lead));
        }
      }
      return found;
    };
  }

  /** By how much the class that wins at each place is ahead of the next. */
  private leads(space: Space, start: number, lift: Lift = flat): Recipe {
    const places = grid(space.x, space.y);
    return (frame) => {
      const scores = this.scores(frame, lift(places, frame), start);
      const found = new Float32Array(places.length / 2);
      const classes = scores.length / found.length;
      for (let k = 0; k < found.length; k++) {
        const lead = leadOf(scores, k * classes, classes);
        found[k] = lead / (1 + lead);
      }
      return found;
    };
  }

  private edges({ columns }: Diagram): Recipe {
    return (frame) => {
      const found: number[] = [];
      for (const [depth, { layer, kernel }] of this.layers.entries()) {
        const [weights, units] = [kernel(frame), layer.kernel.shape[2] as number];
        for (const from of columns[depth]?.units ?? []) {
          for (const to of columns[depth + 1]?.units ?? []) {
            found.push(weights[from * units + to] as number);
          }
        }
      }
      return Float32Array.from(found);
    };
  }

  private maps(boundary: Space): Recipe {
    const { columns, maps } = this.run.diagram as Diagram;
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

/** Brings places (place, 2) of a plane among the activations of its layer (place, unit). */
type Lift = (places: Float32Array, frame: number) => Float32Array;

/** The plane of two units. */
const flat: Lift = (places) => places;

/** One layer at a frame, which is given what is below. */
function layerAt(frame: number, { layer, kernel, bias }: Weights, below: Float32Array): Float32Array {
  return dense(layer, kernel(frame), bias(frame), below, below.length / (layer.kernel.shape[1] as number));
}

/** Of rows of `width` numbers that at place `at`. */
function every(width: number, at: number, rows: number, values: Float32Array): Float32Array {
  const found = new Float32Array(rows);
  for (let k = 0; k < rows; k++) found[k] = values[k * width + at] as number;
  return found;
}

/** Where points (point, unit) are drawn: (point, 2). */
function projected(points: Float32Array, { origin, basis }: Plane): Float32Array {
  if (basis.length === 0) return points;
  const units = origin.length;
  return Float32Array.from({ length: (2 * points.length) / units }, (_, k) => {
    const from = (k >> 1) * units;
    let sum = 0;
    for (let unit = 0; unit < units; unit++) {
      sum += ((points[from + unit] as number) - (origin[unit] as number)) * (basis[2 * unit + (k % 2)] as number);
    }
    return sum;
  });
}

/** The points (place, unit) that are drawn at these places, of the plane that holds `through`. */
function lifted(places: Float32Array, plane: Plane, through: Float32Array): Float32Array {
  const units = through.length;
  const [right, up] = projected(through, plane) as unknown as [number, number];
  const found = new Float32Array((places.length / 2) * units);
  for (let k = 0; k < found.length; k++) {
    const [place, unit] = [2 * Math.floor(k / units), k % units];
    const across = ((places[place] as number) - right) * (plane.basis[2 * unit] as number);
    found[k] =
      (through[unit] as number) + across + ((places[place + 1] as number) - up) * (plane.basis[2 * unit + 1] as number);
  }
  return found;
}

/** The mean of points (point, unit). */
function means(points: Float32Array, units: number): Float32Array {
  const sums = new Float64Array(units);
  for (const [k, value] of points.entries()) sums[k % units] = (sums[k % units] as number) + value;
  return Float32Array.from(sums, (sum) => (sum * units) / points.length);
}

/** The share of the variance of points (point, unit) that is drawn. */
function kept(points: Float32Array, plane: Plane): number {
  const variance = (values: Float32Array, units: number): number => {
    const mean = means(values, units);
    return values.reduce((sum, value, k) => sum + (value - (mean[k % units] as number)) ** 2, 0);
  };
  return variance(projected(points, plane), 2) / variance(points, plane.origin.length);
}

/** The number of the class with the highest score, the first of equals; NaN where a score is not a number. */
function winner(scores: Float32Array, at: number, classes: number): number {
  let best = 0;
  for (let k = 0; k < classes; k++) {
    const score = scores[at + k] as number;
    if (Number.isNaN(score)) return Number.NaN;
    if (score > (scores[at + best] as number)) best = k;
  }
  return best;
}

/** By how much the highest score is above the second. */
function leadOf(scores: Float32Array, at: number, classes: number): number {
  let [first, second] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let k = at; k < at + classes; k++) {
    const score = scores[k] as number;
    if (Number.isNaN(score)) return score;
    if (score > first) [first, second] = [score, first];
    else if (score > second) second = score;
  }
  return first - second;
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
