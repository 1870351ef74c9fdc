import type { Mlp, Run, Values } from "../data/schema";
import { checkedNetwork } from "../math/mlp";
import type { RunData } from "../model/run";
import { Chain, type Examples, type Layer } from "./chain";
import { DERIVATIVES } from "./derivatives";
import { type Loss, lossOf } from "./losses";
import { endsInLogits } from "./train";

/** By how much the mean loss may differ from the recorded one, in parts of 1 or of the loss if that is larger. */
const NEAR = 1e-3;

/** What a fork begins with: a run up to one of its frames. */
export interface Origin extends Examples {
  data: RunData;
  frame: number;
  layers: Layer[];
  mlp: Mlp;
  loss: Loss;
  /** All parameters of a frame, for each up to that one. */
  weights: Float32Array[];
}

/** Why a run whose network the page knows can't be trained on, in a sentence; null if it can. */
export function hindrance(run: Run): string | null {
  const { mlp, task } = run;
  if (mlp === null) return "Only small chains of dense layers are trained on here.";
  if (run.inputs === null) return "The page does not have the inputs of this network.";
  if (task.kind === "labels") return "The page has one of several labels only: it can't train on without the others.";
  if (run.targets === null && run.labels === null) return "The page does not have the targets of this network.";
  const unknown = mlp.layers.find(({ activation }) => activation !== "softmax" && !(activation in DERIVATIVES));
  if (unknown !== undefined) return `The derivative of "${unknown.activation}" is not known here.`;
  const units = mlp.layers.at(-1)?.kernel.shape[2] ?? 0;
  // Shares of one class alone are always 1.
  const alone = run.loss === "cross-entropy" && units === 1;
  if (alone || lossOf(run.loss, false) === null) return `The loss "${run.loss}" is not known here.`;
  return null;
}

/** What a fork of a run at a frame begins with. Throws an error that says why there can be none. */
export async function originOf(data: RunData, frame: number): Promise<Origin> {
  const { run } = data;
  const { mlp, inputs } = run;
  const why = hindrance(run);
  if (why !== null || mlp === null || inputs === null) throw new Error(why ?? "This run can't be trained on here.");
  if ((await checkedNetwork(data)) === null) {
    throw new Error("What this page computes with the recorded weights is not what was recorded: no fork of that.");
  }
  const layers = layersOf(mlp);
  const { targets, labels, curves, spaces } = run;
  const of = mlp.layers.flatMap(({ kernel, bias }) => (bias === null ? [kernel] : [kernel, bias]));
  // Of the record no more than up to the fork: a server computes what it is asked for.
  const upTo = async (values: Values): Promise<void> => {
    for (let k = 0; k <= frame; k++) await data.want(values, k);
  };
  await Promise.all([
    ...[inputs, targets, labels, ...spaces.flatMap(({ grid, origin, basis }) => [grid, origin, basis])].map(
      (values) => values && data.load(values),
    ),
    ...[...of, ...curves.map(({ values }) => values)].map(upTo),
    data.want(mlp.mean_loss, frame),
  ]);
  const loss = lossOf(run.loss, endsInLogits(layers)) as Loss;
  const weights = Array.from({ length: frame + 1 }, (_, k) =>
    joined(of.map((values) => data.row(values, k) as Float32Array)),
  );
  const examples = { inputs: data.all(inputs) as Float32Array, targets: targetsOf(data, layers.at(-1)?.units ?? 1) };
  const rows = rowsOf(run);
  const losses = new Chain(layers, rows.length).losses(weights[frame] as Float32Array, examples, rows, loss);
  const [computed, recorded] = [mean(losses), data.row(mlp.mean_loss, frame)?.[0] ?? Number.NaN];
  if (!Number.isFinite(recorded)) throw new Error("The weights have diverged here: fork at an earlier epoch.");
  if (!(Math.abs(computed - recorded) <= NEAR * Math.max(1, Math.abs(recorded)))) {
    throw new Error(
      `This page computes a loss of ${computed}, recorded is ${recorded}: it would train something else.`,
    );
  }
  return { data, frame, layers, mlp, loss, weights, ...examples };
}

/** The numbers of all examples. */
export function rowsOf(run: Run): Int32Array {
  return Int32Array.from({ length: run.example_numbers.length }, (_, k) => k);
}

/** The mean of some numbers. */
export function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function layersOf(mlp: Mlp): Layer[] {
  return mlp.layers.map(({ activation, kernel, bias }) => {
    const [width, units] = kernel.shape.slice(1) as [number, number];
    return { activation, width, units, bias: bias !== null };
  });
}

/** What each unit of the output should be: the quantities, or 1 for an example's class. */
function targetsOf(data: RunData, units: number): Float32Array {
  const { targets, labels } = data.run;
  if (targets !== null) return data.all(targets) as Float32Array;
  const classes = data.all(labels) as Float32Array;
  if (units === 1) return classes;
  const found = new Float32Array(classes.length * units);
  for (const [k, label] of classes.entries()) found[k * units + label] = 1;
  return found;
}

function joined(parts: Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
