import { activate, dense, sigmoid, softmax } from "../math/mlp";
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
      const of = (frame: number, places: Float32Array): Float32Array =>
        this.forward(frame, places).activations[depth] as Float32Array;
      add(space.points, (frame) => projected(of(frame, inputs), plane));
      add(space.lines, (frame) => projected(of(frame, plane.grid), plane));
      add(space.kept, (frame) => Float32Array.of(kept(of(frame, inputs), plane)));
      const through = (frame: number): Float32Array => means(of(frame, inputs), plane.origin.length);
      add(
        space.regions,
        plane.basis.length === 0
          ? this.regions(space, depth + 1)
          : this.regions(space, depth + 1, (places, frame) => lifted(places, plane, through(frame))),
      );
    }
    if (run.boundary !== null) {
      add(run.boundary.regions, this.regions(run.boundary, 0));
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
    add(run.predictions, (frame) => this.forward(frame, inputs).activations.at(-1) as Float32Array);
    add(run.losses, (frame) =>
      run.task.kind === "quantities"
        ? squaredErrors(this.forward(frame, inputs).activations.at(-1) as Float32Array, targets, run.task.names.length)
        : this.crossEntropies(this.scores(frame, inputs), labels),
    );
    return recipes;
  }

  /** Activations of the layers from one on, which is given `places`, and the last one's pre-activations. */
  private forward(frame: number, places: Float32Array, start = 0): { activations: Float32Array[]; z: Float32Array } {
    const activations: Float32Array[] = [];
    let below = places;
    let z = places;
    for (const [depth, { layer, kernel, bias }] of this.layers.entries()) {
      if (depth < start) continue;
      const [width, units] = layer.kernel.shape.slice(1) as [number, number];
      const count = below.length / width;
      z = dense({ ...layer, activation: "linear" }, kernel(frame), bias(frame), below, count);
      // Of the layers before the last nobody asks for the pre-activations.
      below = depth === this.layers.length - 1 ? z.slice() : z;
      activate(layer.activation, below, units);
      activations.push(below);
    }
    return { activations, z };
  }

  /** How many the last layer has. */
  private get units(): number {
    return this.layers.at(-1)?.layer.kernel.shape[2] as number;
  }

  /** A score for each class: of one unit, that of the second; the first has 0. */
  private scores(frame: number, places: Float32Array, start = 0): Float32Array {
    const { z } = this.forward(frame, places, start);
    if (this.units !== 1) return z;
    const both = new Float32Array(2 * z.length);
    for (let k = 0; k < z.length; k++) both[2 * k + 1] = z[k] as number;
    return both;
  }

  /** What the layers from one on say of the places of a plane, which may lie among more axes than two. */
  private regions(
    space: Space,
    start: number,
    lift: (places: Float32Array, frame: number) => Float32Array = (places) => places,
  ): Recipe {
    const places = grid(space.x, space.y);
    const { units } = this;
    if (this.run.task.kind === "quantities") {
      return (frame) =>
        (this.forward(frame, lift(places, frame), start).activations.at(-1) as Float32Array).filter(
          (_, k) => k % units === 0,
        );
    }
    return (frame) => {
      const scores = this.scores(frame, lift(places, frame), start);
      const classes = (2 * scores.length) / places.length;
      return Float32Array.from({ length: places.length / 2 }, (_, k) => {
        if (classes > 2) return winner(scores, k * classes, classes);
        const lead = (scores[2 * k + 1] as number) - (scores[2 * k] as number);
        return lead / (1 + Math.abs(lead));
      });
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
    return (frame) => {
      const { activations } = this.forward(frame, places);
      const found: Float32Array[] = [];
      for (const [depth, values] of activations.entries()) {
        const width = values.length / pixels;
        for (const unit of columns[depth + 1]?.units ?? []) {
          found.push(Float32Array.from({ length: pixels }, (_, k) => values[k * width + unit] as number));
        }
      }
      const whole = new Float32Array(found.length * pixels);
      for (const [number, map] of found.entries()) whole.set(map, number * pixels);
      return whole;
    };
  }

  private crossEntropies(scores: Float32Array, labels: Float32Array): Float32Array {
    const classes = scores.length / labels.length;
    const most = this.layers.at(-1)?.layer.activation === "linear" ? Number.POSITIVE_INFINITY : LARGEST_LOSS;
    return labels.map((label, k) => {
      const own = scores.subarray(k * classes, (k + 1) * classes);
      const largest = own.reduce((a, b) => Math.max(a, b));
      const sum = own.reduce((total, score) => total + Math.exp(score - largest), 0);
      return Math.min(largest + Math.log(sum) - (own[label] as number), most);
    });
  }
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

function squaredErrors(predicted: Float32Array, targets: Float32Array, quantities: number): Float32Array {
  return Float32Array.from({ length: targets.length / quantities }, (_, example) => {
    let sum = 0;
    for (let k = example * quantities; k < (example + 1) * quantities; k++) {
      sum += ((predicted[k] as number) - (targets[k] as number)) ** 2;
    }
    return sum / quantities;
  });
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
