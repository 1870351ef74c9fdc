import { type Numbers, sigmoid, softplus } from "../math/mlp";

/** A loss of one example, of its outputs and targets, which begin at places of these arrays. */
export interface Loss {
  value(outputs: Numbers, at: number, targets: Float32Array, from: number, units: number): number;
  /** By each output, into `into` at the outputs' place. */
  gradient(outputs: Numbers, at: number, targets: Float32Array, from: number, units: number, into: Numbers): void;
}

/** Keras keeps probabilities so far from 0 and 1; where it cuts them off, nothing pulls them back. */
const CUT = 1e-7;
const inside = (p: number): boolean => p >= CUT && p <= 1 - CUT;
/** Only small probabilities are cut off here: a loss near 0 may be seen to be so. */
const logarithm = (p: number): number => Math.log(p < CUT ? CUT : p);

/** By the names that `Training.loss` gives, of probabilities and of logits. */
const LOSSES: Record<string, { probabilities: Loss; logits: Loss }> = {
  "binary cross-entropy": {
    probabilities: eachUnit(
      (p, y) => -(y === 0 ? 0 : y * logarithm(p)) - (y === 1 ? 0 : (1 - y) * logarithm(1 - p)),
      (p, y) => (inside(p) ? (p - y) / (p * (1 - p)) : 0),
    ),
    logits: eachUnit(
      (z, y) => softplus(z) - y * z,
      (z, y) => sigmoid(z) - y,
    ),
  },
  "cross-entropy": { probabilities: ofShares(), logits: ofScores() },
  "mean squared error": (() => {
    const squares = eachUnit(
      (a, y) => (a - y) ** 2,
      (a, y) => 2 * (a - y),
    );
    return { probabilities: squares, logits: squares };
  })(),
};

/** Null for a loss that is not known here. `logits` says whether the outputs are such. */
export function lossOf(name: string, logits: boolean): Loss | null {
  return LOSSES[name]?.[logits ? "logits" : "probabilities"] ?? null;
}

type OfUnit = (output: number, target: number) => number;

/** The mean over an example's units. */
function eachUnit(value: OfUnit, slope: OfUnit): Loss {
  return {
    value(outputs, at, targets, from, units) {
      let sum = 0;
      for (let k = 0; k < units; k++) sum += value(outputs[at + k] as number, targets[from + k] as number);
      return sum / units;
    },
    gradient(outputs, at, targets, from, units, into) {
      for (let k = 0; k < units; k++) {
        into[at + k] = slope(outputs[at + k] as number, targets[from + k] as number) / units;
      }
    },
  };
}

/** Of probabilities, of which Keras takes the shares in their sum. */
function ofShares(): Loss {
  const sumOf = (outputs: Numbers, at: number, units: number): number => {
    let sum = 0;
    for (let k = at; k < at + units; k++) sum += outputs[k] as number;
    return sum;
  };
  return {
    value(outputs, at, targets, from, units) {
      const sum = sumOf(outputs, at, units);
      let loss = 0;
      for (let k = 0; k < units; k++) {
        const target = targets[from + k] as number;
        if (target !== 0) loss -= target * logarithm((outputs[at + k] as number) / sum);
      }
      return loss;
    },
    gradient(outputs, at, targets, from, units, into) {
      const sum = sumOf(outputs, at, units);
      let mean = 0;
      for (let k = 0; k < units; k++) {
        const share = (outputs[at + k] as number) / sum;
        const slope = inside(share) ? -(targets[from + k] as number) / share : 0;
        into[at + k] = slope;
        mean += slope * share;
      }
      for (let k = at; k < at + units; k++) into[k] = ((into[k] as number) - mean) / sum;
    },
  };
}

/** Of logits, whose softmax are probabilities. */
function ofScores(): Loss {
  const logSum = (outputs: Numbers, at: number, units: number): number => {
    let largest = Number.NEGATIVE_INFINITY;
    for (let k = at; k < at + units; k++) largest = Math.max(largest, outputs[k] as number);
    let sum = 0;
    for (let k = at; k < at + units; k++) sum += Math.exp((outputs[k] as number) - largest);
    return largest + Math.log(sum);
  };
  return {
    value(outputs, at, targets, from, units) {
      const whole = logSum(outputs, at, units);
      let loss = 0;
      for (let k = 0; k < units; k++) loss += (targets[from + k] as number) * (whole - (outputs[at + k] as number));
      return loss;
    },
    gradient(outputs, at, targets, from, units, into) {
      const whole = logSum(outputs, at, units);
      let weight = 0;
      for (let k = 0; k < units; k++) weight += targets[from + k] as number;
      for (let k = 0; k < units; k++) {
        into[at + k] = weight * Math.exp((outputs[at + k] as number) - whole) - (targets[from + k] as number);
      }
    },
  };
}
