import { Chain, type Examples, type Layer, parametersOf } from "./chain";
import { type Loss, lossOf } from "./losses";
import { type Optimiser, type Step, optimiser } from "./optimisers";

/** All that a training takes; it can be sent to a worker. */
export interface Job extends Examples {
  layers: Layer[];
  /** What it begins with: each layer's kernel, then its bias. */
  weights: Float32Array;
  /** As `Training.loss` names it. */
  loss: string;
  optimiser: Optimiser;
  batchSize: number;
  epochs: number;
}

/** What a training says of itself: the weights after the epochs since it did so last, and whether it has ended. */
export interface Progress {
  frames: Float32Array[];
  done: boolean;
}

/** Milliseconds between two reports. */
const REPORT = 150;
/** Of the same fork always the same batches. */
const SEED = 2018;

/**
 * A training: minibatches of shuffled examples, the last of an epoch smaller.
 *
 * It is computed in double precision; weights and the optimiser's state are kept in single, as frameworks keep them.
 */
export class Training {
  readonly weights: Float32Array;
  private readonly chain: Chain;
  private readonly loss: Loss;
  private readonly update: Step;
  private readonly gradient: Float64Array;
  private readonly order: Int32Array;
  private readonly random = generator(SEED);

  /** Throws an error for a loss that is not known here. */
  constructor(private readonly job: Job) {
    const { layers, weights, inputs, batchSize } = job;
    const loss = lossOf(job.loss, endsInLogits(layers));
    if (loss === null) throw new Error(`The loss "${job.loss}" is not known here.`);
    const parameters = parametersOf(layers);
    const examples = inputs.length / (layers[0]?.width ?? 1);
    this.loss = loss;
    this.weights = weights.slice();
    this.chain = new Chain(layers, Math.min(batchSize, examples));
    this.update = optimiser(job.optimiser, parameters);
    this.gradient = new Float64Array(parameters);
    this.order = Int32Array.from({ length: examples }, (_, k) => k);
  }

  /** One step, with the examples of these numbers: no more than fit into a batch. */
  step(batch: Int32Array): void {
    this.chain.gradient(this.weights, this.job, batch, this.loss, this.gradient);
    this.update(this.weights, this.gradient);
  }

  epoch(): void {
    shuffle(this.order, this.random);
    const { batchSize } = this.job;
    for (let from = 0; from < this.order.length; from += batchSize) {
      this.step(this.order.subarray(from, from + batchSize));
    }
  }
}

/** Whether the outputs are what a loss makes probabilities of. */
export function endsInLogits(layers: Pick<Layer, "activation">[]): boolean {
  return layers.at(-1)?.activation === "linear";
}

/** Does the whole job; it ends before if the weights diverge, since they stay not numbers. */
export function train(job: Job, report: (progress: Progress) => void): void {
  const training = new Training(job);
  let frames: Float32Array[] = [];
  let last = performance.now();
  for (let epoch = 1; epoch <= job.epochs; epoch++) {
    training.epoch();
    frames.push(training.weights.slice());
    const done = epoch === job.epochs || training.weights.some((weight) => !Number.isFinite(weight));
    if (!done && performance.now() - last < REPORT) continue;
    report({ frames, done });
    if (done) return;
    [frames, last] = [[], performance.now()];
  }
}

/** Fisher and Yates. */
function shuffle(order: Int32Array, random: () => number): void {
  for (let k = order.length - 1; k > 0; k--) {
    const other = Math.floor(random() * (k + 1));
    [order[k], order[other]] = [order[other] as number, order[k] as number];
  }
}

/** Numbers from 0 to 1 by a seed: mulberry32. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
