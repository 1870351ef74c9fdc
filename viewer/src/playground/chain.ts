import { type Numbers, activate } from "../math/mlp";
import { throughActivation } from "./derivatives";
import type { Loss } from "./losses";

/** A dense layer. Among a network's parameters its kernel (input, unit) comes first, then its bias (unit). */
export interface Layer {
  activation: string;
  width: number;
  units: number;
  bias: boolean;
}

/** Examples, each (example, input) and (example, output). */
export interface Examples {
  inputs: Float32Array;
  targets: Float32Array;
}

/** What a layer holds of the batch. */
interface Held {
  layer: Layer;
  /** Where its kernel and its bias begin. */
  kernel: number;
  bias: number;
  z: Float64Array;
  a: Float64Array;
  slopes: Float64Array;
}

/** How many parameters the layers have. */
export function parametersOf(layers: Layer[]): number {
  return layers.reduce((sum, { width, units, bias }) => sum + width * units + (bias ? units : 0), 0);
}

/** A chain of dense layers, forward and backward in double precision, with room for so many examples at once. */
export class Chain {
  private readonly below: Float64Array;
  private readonly held: Held[] = [];

  constructor(layers: Layer[], room: number) {
    this.below = new Float64Array(room * (layers[0]?.width ?? 0));
    let at = 0;
    for (const layer of layers) {
      const kernel = at;
      const bias = kernel + layer.width * layer.units;
      at = bias + (layer.bias ? layer.units : 0);
      const make = (): Float64Array => new Float64Array(room * layer.units);
      this.held.push({ layer, kernel, bias, z: make(), a: make(), slopes: make() });
    }
  }

  /** Outputs (example, unit) of the examples with these numbers; they are valid until the next call. */
  forward(weights: Numbers, { inputs }: Examples, rows: Int32Array): Float64Array {
    const { below } = this;
    const width = this.held[0]?.layer.width ?? 0;
    for (let example = 0; example < rows.length; example++) {
      const from = (rows[example] as number) * width;
      for (let k = 0; k < width; k++) below[example * width + k] = inputs[from + k] as number;
    }
    let values = below;
    for (const one of this.held) {
      ascend(one, weights, values, rows.length);
      values = one.a;
    }
    return values.subarray(0, rows.length * (this.held.at(-1)?.layer.units ?? 0));
  }

  /** Losses of the examples with these numbers. */
  losses(weights: Numbers, examples: Examples, rows: Int32Array, loss: Loss): Float32Array {
    const outputs = this.forward(weights, examples, rows);
    const units = outputs.length / rows.length;
    return Float32Array.from(rows, (row, k) => loss.value(outputs, k * units, examples.targets, row * units, units));
  }

  /** The gradient of the mean loss of the examples with these numbers, by each parameter, into `gradient`. */
  gradient(weights: Numbers, examples: Examples, rows: Int32Array, loss: Loss, gradient: Float64Array): void {
    const outputs = this.forward(weights, examples, rows);
    const count = rows.length;
    const units = outputs.length / count;
    const last = this.held.at(-1) as Held;
    for (let k = 0; k < count; k++) {
      loss.gradient(outputs, k * units, examples.targets, (rows[k] as number) * units, units, last.slopes);
    }
    for (let k = 0; k < outputs.length; k++) last.slopes[k] = (last.slopes[k] as number) / count;
    gradient.fill(0);
    for (let depth = this.held.length - 1; depth >= 0; depth--) {
      const one = this.held[depth] as Held;
      const size = count * one.layer.units;
      const { z, a, slopes, layer } = one;
      throughActivation(
        layer.activation,
        z.subarray(0, size),
        a.subarray(0, size),
        slopes.subarray(0, size),
        layer.units,
      );
      const before = this.held[depth - 1];
      descend(one, weights, before?.a ?? this.below, before?.slopes ?? null, count, gradient);
    }
  }
}

/** Activations of a layer of those below it. */
function ascend({ layer, kernel, bias, z, a }: Held, weights: Numbers, below: Float64Array, count: number): void {
  const { width, units } = layer;
  for (let example = 0; example < count; example++) {
    const at = example * units;
    for (let unit = 0; unit < units; unit++) {
      let sum = layer.bias ? (weights[bias + unit] as number) : 0;
      for (let k = 0; k < width; k++) {
        sum += (below[example * width + k] as number) * (weights[kernel + k * units + unit] as number);
      }
      z[at + unit] = a[at + unit] = sum;
    }
  }
  activate(layer.activation, a.subarray(0, count * units), units);
}

/** Adds to the gradient by a layer's parameters, and gives the slopes by what is below it, if there is a layer. */
function descend(
  { layer, kernel, bias, slopes }: Held,
  weights: Numbers,
  below: Float64Array,
  slopesBelow: Float64Array | null,
  count: number,
  gradient: Float64Array,
): void {
  const { width, units } = layer;
  for (let example = 0; example < count; example++) {
    for (let unit = 0; unit < units; unit++) {
      const slope = slopes[example * units + unit] as number;
      if (layer.bias) gradient[bias + unit] = (gradient[bias + unit] as number) + slope;
      for (let k = 0; k < width; k++) {
        const place = kernel + k * units + unit;
        gradient[place] = (gradient[place] as number) + (below[example * width + k] as number) * slope;
      }
    }
    if (slopesBelow === null) continue;
    for (let k = 0; k < width; k++) {
      let sum = 0;
      for (let unit = 0; unit < units; unit++) {
        sum += (weights[kernel + k * units + unit] as number) * (slopes[example * units + unit] as number);
      }
      slopesBelow[example * width + k] = sum;
    }
  }
}
