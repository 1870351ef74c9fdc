import type { Payload, Run, Values } from "../data/schema";
import type { Source, Typed } from "../data/source";
import { Fork, type Settings } from "./fork";
import { optimiserName } from "./optimisers";
import type { Origin } from "./origin";
import type { Job, Progress } from "./train";

/** More runs side by side are too small to be read. */
export const MOST_RUNS = 6;

/** Trains somewhere else; returns what stops that. */
export type Start = (job: Job, report: (progress: Progress) => void, fail: (why: string) => void) => () => void;

/** A source whose runs may be forked: the forks come after them, as runs that grow. */
export class Forks implements Source {
  readonly all: Fork[] = [];
  private base: Promise<Payload> | null = null;
  private stopInner: (() => void) | undefined;
  private readonly stops = new Map<Fork, () => void>();
  private readonly listeners = new Set<() => void>();
  /** Also those that are removed: until others are drawn in their place, their numbers are asked for. */
  private readonly made: Fork[] = [];

  constructor(
    private readonly inner: Source,
    private readonly start: Start,
  ) {}

  async payload(): Promise<Payload> {
    this.base ??= this.inner.payload();
    const payload = await this.base.catch((error: unknown) => {
      this.base = null;
      throw error;
    });
    return { ...payload, runs: [...payload.runs, ...this.all.map(({ run }) => run)] };
  }

  async frames(values: Values, from: number, to: number): Promise<Typed> {
    const fork = this.made.find(({ prefix }) => values.name.startsWith(prefix));
    return fork === undefined ? this.inner.frames(values, from, to) : fork.frames(values, from, to);
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    // A server is asked once, however many listen.
    this.stopInner ??= this.inner.onChange?.(() => {
      this.base = null;
      this.changed();
    });
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size > 0) return;
      this.stopInner?.();
      this.stopInner = undefined;
    };
  }

  /** Trains a run on from what `origin` says; `fail` is told why that has failed. */
  add(origin: Origin, settings: Settings, name: string, fail: (why: string) => void): Fork {
    const fork = new Fork(origin, settings, `fork ${this.made.length + 1}/`, name);
    this.made.push(fork);
    this.all.push(fork);
    this.changed();
    const report = ({ frames, done }: Progress): void => {
      // One that was under way when it was stopped.
      if (fork.status !== "training") return;
      fork.add(frames);
      if (done) this.end(fork, "ended");
      this.changed();
    };
    const failed = (why: string): void => {
      this.end(fork, "failed");
      this.changed();
      fail(why);
    };
    this.stops.set(fork, this.start(fork.job, report, failed));
    return fork;
  }

  /** Ends the training of a fork, which keeps the frames that it has. */
  stop(fork: Fork): void {
    this.end(fork, "stopped");
    this.changed();
  }

  remove(fork: Fork): void {
    this.end(fork, "stopped");
    this.all.splice(this.all.indexOf(fork), 1);
    this.changed();
  }

  /** Ends all trainings, for good. */
  close(): void {
    this.listeners.clear();
    this.stopInner?.();
    for (const fork of this.all) this.end(fork, "stopped");
  }

  private end(fork: Fork, status: Fork["status"]): void {
    this.stops.get(fork)?.();
    this.stops.delete(fork);
    if (fork.status === "training") fork.status = status;
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}

/** What tells a fork from the run that it is of; `named` if there are several of those. */
export function nameOf({ data, frame, layers }: Origin, settings: Settings, named: boolean): string {
  const before = data.run.mlp?.training ?? null;
  const was = optimiserOf(data.run);
  const { optimiser, batchSize, activation } = settings;
  const changes: string[] = [];
  if (was === null || optimiserName(was) !== optimiserName(optimiser)) changes.push(optimiserName(optimiser));
  if (was?.rate !== optimiser.rate) changes.push(`learning rate ${optimiser.rate}`);
  if (before?.batch_size !== batchSize) changes.push(`batch size ${batchSize}`);
  const hidden = layers.slice(0, -1);
  if (activation !== null && hidden.some((layer) => layer.activation !== activation)) changes.push(activation);
  const from = `from epoch ${Number((data.epochs[frame] as number).toFixed(2))}`;
  return `${named ? `${data.run.name} ` : ""}${from}: ${changes.join(", ") || "as before"}`;
}

/** The optimiser that a run was trained with, if there is one like it here. */
export function optimiserOf(run: Run): Settings["optimiser"] | null {
  const training = run.mlp?.training ?? null;
  const kind = (["SGD", "RMSprop", "Adam"] as const).find((known) => known === training?.optimizer);
  if (training === null || kind === undefined) return null;
  const momentum = kind === "SGD" ? training.momentum : 0;
  const nesterov = momentum > 0 && run.hyperparameters["optimizer.nesterov"] === "True";
  // In single precision, 0.05 is 0.05000000074505806.
  return {
    kind,
    rate: Number(training.learning_rate.toPrecision(6)),
    momentum: Number(momentum.toPrecision(6)),
    nesterov,
  };
}
