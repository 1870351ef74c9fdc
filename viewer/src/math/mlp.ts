import type { Dense, Mlp, Task } from "../data/schema";
import type { RunData } from "../model/run";

/** In single precision, which views are drawn in, or in double, which a training goes on in. */
export type Numbers = Float32Array | Float64Array;
type Activation = (z: Numbers, units: number) => void;

function each(function_: (z: number) => number): Activation {
  return (z) => {
    for (let k = 0; k < z.length; k++) z[k] = function_(z[k] as number);
  };
}

export const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));

/** By Keras' names, and with Keras' constants. Each changes its argument. */
const ACTIVATIONS: Record<string, Activation> = {
  linear: () => undefined,
  relu: each((z) => Math.max(z, 0)),
  relu6: each((z) => Math.min(Math.max(z, 0), 6)),
  leaky_relu: each((z) => (z > 0 ? z : 0.2 * z)),
  elu: each((z) => (z > 0 ? z : Math.expm1(z))),
  selu: each((z) => 1.05070098 * (z > 0 ? z : 1.67326324 * Math.expm1(z))),
  gelu: each((z) => 0.5 * z * (1 + erf(z * Math.SQRT1_2))),
  silu: each((z) => z * sigmoid(z)),
  swish: each((z) => z * sigmoid(z)),
  mish: each((z) => z * Math.tanh(softplus(z))),
  softplus: each(softplus),
  softsign: each((z) => z / (1 + Math.abs(z))),
  sigmoid: each(sigmoid),
  hard_sigmoid: each((z) => Math.min(Math.max(z / 6 + 0.5, 0), 1)),
  tanh: each(Math.tanh),
  exponential: each(Math.exp),
  softmax,
};

/** A chain of dense layers that the page computes itself. */
export class Network {
  constructor(
    readonly mlp: Mlp,
    readonly task: Task,
    private readonly data: Pick<RunData, "at">,
  ) {}

  /**
   * Activations (example, unit) of each layer for `inputs` (example, input) at frame position `t`.
   *
   * null while the weights have not come.
   */
  forward(t: number, inputs: Float32Array, count: number): Float32Array[] | null {
    const activations: Float32Array[] = [];
    let below = inputs;
    for (const layer of this.mlp.layers) {
      const kernel = this.data.at(layer.kernel, t);
      const bias = layer.bias === null ? new Float32Array(0) : this.data.at(layer.bias, t);
      if (kernel === null || bias === null) return null;
      below = dense(layer, kernel, bias, below, count);
      activations.push(below);
    }
    return activations;
  }

  /** Probabilities (example, class), of one label also of its absence; or quantities. */
  outputs(t: number, inputs: Float32Array, count: number): Float32Array | null {
    const last = this.forward(t, inputs, count)?.at(-1);
    if (last === undefined) return null;
    const units = last.length / count;
    // A network that ends in logits leaves the link to its loss.
    if (this.mlp.layers.at(-1)?.activation === "linear" && this.task.link !== "identity") {
      ACTIVATIONS[this.task.link]?.(last, units);
    }
    if (this.task.kind === "quantities" || units > 1) return last;
    const both = new Float32Array(2 * count);
    for (let k = 0; k < count; k++) {
      both[2 * k] = 1 - (last[k] as number);
      both[2 * k + 1] = last[k] as number;
    }
    return both;
  }
}

/**
 * The run's network if what it computes is what was recorded, at the first, the middle and the last frame; else null.
 *
 * Differences of 1e-4 are allowed, and what the recorded numbers are rounded by.
 */
export async function checkedNetwork(data: RunData): Promise<Network | null> {
  const { mlp, task, inputs } = data.run;
  const recorded = data.run.probabilities ?? data.run.predictions;
  if (mlp === null || inputs === null || recorded === null) return null;
  if (mlp.layers.some((layer) => !(layer.activation in ACTIVATIONS))) return null;
  const weights = mlp.layers.flatMap(({ kernel, bias }) => (bias === null ? [kernel] : [kernel, bias]));
  const network = new Network(mlp, task, data);
  await data.load(inputs);
  for (const frame of new Set([0, data.frames >> 1, data.frames - 1])) {
    await Promise.all([recorded, ...weights].map((values) => data.want(values, frame)));
    const computed = network.outputs(frame, data.all(inputs) as Float32Array, inputs.shape[0] ?? 0);
    if (!agree(data.row(recorded, frame), computed, recorded.dtype === "float32" ? 0 : recorded.step)) return null;
  }
  return network;
}

function agree(recorded: Float32Array | null, computed: Float32Array | null, rounding: number): boolean {
  if (recorded === null || computed === null || recorded.length !== computed.length) return false;
  // Numbers other than probabilities may be of any size. NaN, of a training that diverged, disagrees.
  return recorded.every((value, k) => {
    return Math.abs(value - (computed[k] as number)) <= 1e-4 * Math.max(1, Math.abs(value)) + rounding;
  });
}

export function dense(
  layer: Dense,
  kernel: Float32Array,
  bias: Float32Array,
  inputs: Float32Array,
  count: number,
): Float32Array {
  const [width, units] = layer.kernel.shape.slice(1) as [number, number];
  const z = new Float32Array(count * units);
  for (let example = 0, to = 0; example < count; example++, to += units) {
    if (bias.length > 0) for (let unit = 0; unit < units; unit++) z[to + unit] = bias[unit] as number;
    for (let input = 0, from = 0; input < width; input++, from += units) {
      const x = inputs[example * width + input] as number;
      for (let unit = 0; unit < units; unit++) {
        z[to + unit] = (z[to + unit] as number) + x * (kernel[from + unit] as number);
      }
    }
  }
  activate(layer.activation, z, units);
  return z;
}

/** Applies an activation function to pre-activations (example, unit), in their place. */
export function activate(name: string, z: Numbers, units: number): void {
  ACTIVATIONS[name]?.(z, units);
}

export function softplus(z: number): number {
  return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
}

/** Probabilities of scores (example, unit), in their place. */
export function softmax(z: Numbers, units: number): void {
  for (let from = 0; from < z.length; from += units) {
    let largest = Number.NEGATIVE_INFINITY;
    for (let k = from; k < from + units; k++) largest = Math.max(largest, z[k] as number);
    let sum = 0;
    for (let k = from; k < from + units; k++) {
      z[k] = Math.exp((z[k] as number) - largest);
      sum += z[k] as number;
    }
    for (let k = from; k < from + units; k++) z[k] = (z[k] as number) / sum;
  }
}

/** The error function to 1.5e-7: Abramowitz and Stegun, 7.1.26. */
export function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - series * Math.exp(-x * x));
}
