import { type Numbers, erf, sigmoid, softplus } from "../math/mlp";

/** How an activation changes with its pre-activation, of both; by Keras' names, like the functions of mlp.ts. */
export const DERIVATIVES: Record<string, (z: number, activation: number) => number> = {
  linear: () => 1,
  relu: (z) => Number(z > 0),
  relu6: (z) => Number(z > 0 && z < 6),
  leaky_relu: (z) => (z > 0 ? 1 : 0.2),
  elu: (z, a) => (z > 0 ? 1 : a + 1),
  selu: (z, a) => (z > 0 ? 1.05070098 : a + 1.05070098 * 1.67326324),
  gelu: (z) => 0.5 * (1 + erf(z * Math.SQRT1_2)) + (z * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI),
  silu,
  swish: silu,
  mish: (z) => {
    const bent = Math.tanh(softplus(z));
    return bent + z * (1 - bent * bent) * sigmoid(z);
  },
  softplus: sigmoid,
  softsign: (z) => (1 + Math.abs(z)) ** -2,
  sigmoid: (_, a) => a * (1 - a),
  hard_sigmoid: (z) => (Math.abs(z) < 3 ? 1 / 6 : 0),
  tanh: (_, a) => 1 - a * a,
  exponential: (_, a) => a,
};

function silu(z: number): number {
  const gate = sigmoid(z);
  return gate * (1 + z * (1 - gate));
}

/**
 * Makes derivatives by activations those by pre-activations, in their place.
 *
 * All are (example, unit).
 */
export function throughActivation(name: string, z: Numbers, a: Numbers, derivatives: Numbers, units: number): void {
  if (name === "softmax") return throughSoftmax(a, derivatives, units);
  const derivative = DERIVATIVES[name];
  if (derivative === undefined) throw new Error(`The derivative of "${name}" is not known here.`);
  for (let k = 0; k < z.length; k++) {
    derivatives[k] = (derivatives[k] as number) * derivative(z[k] as number, a[k] as number);
  }
}

function throughSoftmax(a: Numbers, derivatives: Numbers, units: number): void {
  for (let from = 0; from < a.length; from += units) {
    let mean = 0;
    for (let k = from; k < from + units; k++) mean += (a[k] as number) * (derivatives[k] as number);
    for (let k = from; k < from + units; k++) derivatives[k] = (a[k] as number) * ((derivatives[k] as number) - mean);
  }
}
