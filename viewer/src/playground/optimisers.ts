/** An optimiser and its settings; all else is as Keras has it. */
export interface Optimiser {
  kind: "SGD" | "RMSprop" | "Adam";
  rate: number;
  /** Of SGD. */
  momentum: number;
  nesterov: boolean;
}

/** How an optimiser is called where one is chosen. */
export function optimiserName({ kind, momentum, nesterov }: Optimiser): string {
  if (kind !== "SGD" || momentum === 0) return kind;
  return `SGD, ${nesterov ? "Nesterov " : ""}momentum ${momentum}`;
}

/** Changes the weights by the gradient of a batch. */
export type Step = (weights: Float32Array, gradient: Float64Array) => void;

/** Keras' constants. */
const [RHO, BETA_1, BETA_2, EPSILON] = [0.9, 0.9, 0.999, 1e-7];

/** The steps of an optimiser whose state is new. That is kept in single precision, as the weights are. */
export function optimiser({ kind, rate, momentum, nesterov }: Optimiser, parameters: number): Step {
  const first = new Float32Array(parameters);
  const second = new Float32Array(parameters);
  if (kind === "RMSprop") {
    return (weights, gradient) => {
      for (let k = 0; k < parameters; k++) {
        const slope = gradient[k] as number;
        const square = (second[k] = RHO * (second[k] as number) + (1 - RHO) * slope * slope);
        weights[k] = (weights[k] as number) - (rate * slope) / Math.sqrt(square + EPSILON);
      }
    };
  }
  if (kind === "Adam") {
    let step = 0;
    return (weights, gradient) => {
      step += 1;
      const length = (rate * Math.sqrt(1 - power(BETA_2, step))) / (1 - power(BETA_1, step));
      for (let k = 0; k < parameters; k++) {
        const slope = gradient[k] as number;
        const mean = (first[k] = (first[k] as number) + (1 - BETA_1) * (slope - (first[k] as number)));
        const square = (second[k] = (second[k] as number) + (1 - BETA_2) * (slope * slope - (second[k] as number)));
        weights[k] = (weights[k] as number) - (length * mean) / (Math.sqrt(square) + EPSILON);
      }
    };
  }
  return (weights, gradient) => {
    for (let k = 0; k < parameters; k++) {
      const pull = -rate * (gradient[k] as number);
      const speed = (first[k] = momentum * (first[k] as number) + pull);
      weights[k] = (weights[k] as number) + (nesterov ? momentum * speed + pull : speed);
    }
  };
}

/** As frameworks have it, in single precision: one less this is 0.001 only to five digits, which one sees in Adam. */
function power(base: number, exponent: number): number {
  return Math.fround(Math.fround(base) ** exponent);
}
