import assert from "node:assert/strict";
import { test } from "node:test";
import type { Run, Values } from "../src/data/schema";
import { activate } from "../src/math/mlp";
import { RunData } from "../src/model/run";
import { Chain, type Examples, type Layer, parametersOf } from "../src/playground/chain";
import { DERIVATIVES } from "../src/playground/derivatives";
import { Fork, type Settings } from "../src/playground/fork";
import { Forks, type Start, nameOf } from "../src/playground/forks";
import { type Loss, lossOf } from "../src/playground/losses";
import { type Optimiser, optimiser } from "../src/playground/optimisers";
import { hindrance, originOf } from "../src/playground/origin";
import { type Job, type Progress, Training, train } from "../src/playground/train";
import { NetworkRuns } from "./network-run";

const SMOOTH = Object.keys(DERIVATIVES).filter((name) => !["relu", "relu6", "leaky_relu", "hard_sigmoid"].includes(name));

/** Weights and examples that look random, and are always the same. */
function numbers(count: number, seed = 1): Float64Array {
  return Float64Array.from({ length: count }, (_, k) => Math.sin(12.9898 * (k + seed)) * 1.3);
}

function chain(hidden: string, last: string, units: number): Layer[] {
  return [
    { activation: hidden, width: 2, units: 3, bias: true },
    { activation: hidden, width: 3, units: 4, bias: false },
    { activation: last, width: 4, units, bias: true },
  ];
}

function examples(units: number, kind: "class" | "quantity"): Examples {
  const targets = new Float32Array(8 * units);
  if (kind === "quantity") targets.set(numbers(8 * units, 5));
  else for (let k = 0; k < 8; k++) targets[units === 1 ? k : k * units + (k % units)] = units === 1 ? k % 2 : 1;
  return { inputs: Float32Array.from(numbers(16, 3)), targets };
}

const ROWS = Int32Array.of(0, 2, 3, 5, 7);

function meanLoss(layers: Layer[], weights: Float64Array, given: Examples, loss: Loss): number {
  const outputs = new Chain(layers, ROWS.length).forward(weights, given, ROWS);
  const units = outputs.length / ROWS.length;
  return ROWS.reduce((sum, row, k) => sum + loss.value(outputs, k * units, given.targets, row * units, units), 0) / ROWS.length;
}

function compareGradient(layers: Layer[], given: Examples, name: string): void {
  const loss = lossOf(name, layers.at(-1)?.activation === "linear") as Loss;
  const weights = numbers(parametersOf(layers));
  const found = new Float64Array(weights.length);
  new Chain(layers, 8).gradient(weights, given, ROWS, loss, found);
  for (const k of weights.keys()) {
    const [up, down] = [1, -1].map((way) => {
      const moved = weights.slice();
      moved[k] = (moved[k] as number) + way * 1e-5;
      return meanLoss(layers, moved, given, loss);
    }) as [number, number];
    const wanted = (up - down) / 2e-5;
    // What is left is the error of the difference, and of gelu's error function.
    assert.ok(Math.abs((found[k] as number) - wanted) < 1e-6, `${name} ${layers[0]?.activation} ${k}: ${found[k]} ${wanted}`);
  }
}

test("gradients are those of finite differences, for every activation", () => {
  assert.ok(SMOOTH.length > 10);
  for (const hidden of Object.keys(DERIVATIVES)) compareGradient(chain(hidden, "sigmoid", 1), examples(1, "class"), "binary cross-entropy");
  compareGradient(chain("softmax", "sigmoid", 1), examples(1, "class"), "binary cross-entropy");
});

test("gradients are those of finite differences, for every loss and output", () => {
  const cases: [string, string, number, "class" | "quantity"][] = [
    ["binary cross-entropy", "linear", 1, "class"], ["binary cross-entropy", "sigmoid", 3, "class"],
    ["binary cross-entropy", "linear", 3, "class"], ["cross-entropy", "softmax", 3, "class"],
    ["cross-entropy", "linear", 3, "class"], ["cross-entropy", "sigmoid", 3, "class"],
    ["mean squared error", "linear", 2, "quantity"], ["mean squared error", "tanh", 1, "quantity"],
    ["mean squared error", "softmax", 3, "class"],
  ];
  for (const [loss, last, units, kind] of cases) compareGradient(chain("tanh", last, units), examples(units, kind), loss);
});

test("a derivative is that of the activation it is named after", () => {
  for (const [name, derivative] of Object.entries(DERIVATIVES)) {
    for (const z of [-4.2, -1.1, -0.3, 0.4, 1.7, 7.5]) {
      const [at, up, down] = [z, z + 1e-4, z - 1e-4].map((place) => {
        const values = Float64Array.of(place);
        activate(name, values, 1);
        return values[0] as number;
      }) as [number, number, number];
      const wanted = (up - down) / 2e-4;
      assert.ok(Math.abs(derivative(z, at) - wanted) < 2e-3 * Math.max(1, Math.abs(wanted)), `${name} at ${z}`);
    }
  }
});

test("losses are what their formulas say", () => {
  const value = (name: string, logits: boolean, outputs: number[], targets: number[]): number =>
    (lossOf(name, logits) as Loss).value(Float64Array.from(outputs), 0, Float32Array.from(targets), 0, outputs.length);
  const near = (a: number, b: number): void => assert.ok(Math.abs(a - b) < 1e-12, `${a} ${b}`);
  near(value("binary cross-entropy", false, [0.8], [1]), -Math.log(0.8));
  near(value("binary cross-entropy", false, [0.8, 0.3], [0, 1]), -(Math.log(1 - 0.8) + Math.log(0.3)) / 2);
  near(value("binary cross-entropy", true, [2], [0]), -Math.log(1 - 1 / (1 + Math.exp(-2))));
  near(value("binary cross-entropy", false, [0], [1]), -Math.log(1e-7));
  near(value("cross-entropy", false, [0.2, 0.5, 0.3], [0, 0, 1]), -Math.log(0.3));
  near(value("cross-entropy", true, [1, 2, 4], [0, 1, 0]), Math.log(Math.exp(-1) + 1 + Math.exp(2)));
  near(value("mean squared error", false, [1, 3], [0, 1]), 2.5);
  assert.equal(lossOf("hinge", false), null);
});

/** A training as one would write it down, in double precision. */
function byHand({ kind, rate, momentum, nesterov }: Optimiser, weight: number, slopes: number[]): number {
  let [speed, mean, square] = [0, 0, 0];
  for (const [k, slope] of slopes.entries()) {
    if (kind === "RMSprop") {
      square = 0.9 * square + 0.1 * slope ** 2;
      weight -= (rate * slope) / Math.sqrt(square + 1e-7);
    } else if (kind === "Adam") {
      mean = 0.9 * mean + 0.1 * slope;
      square = 0.999 * square + 0.001 * slope ** 2;
      const [m, v] = [mean / (1 - 0.9 ** (k + 1)), square / (1 - 0.999 ** (k + 1))];
      weight -= (rate * m) / (Math.sqrt(v) + 1e-7 / Math.sqrt(1 - 0.999 ** (k + 1)));
    } else {
      speed = momentum * speed - rate * slope;
      weight += nesterov ? momentum * speed - rate * slope : speed;
    }
  }
  return weight;
}

const PLAIN: Optimiser = { kind: "SGD", rate: 0.1, momentum: 0, nesterov: false };
const OPTIMISERS: Optimiser[] = [
  PLAIN, { ...PLAIN, momentum: 0.9 }, { ...PLAIN, momentum: 0.9, nesterov: true }, { ...PLAIN, kind: "RMSprop" }, { ...PLAIN, kind: "Adam" },
];

test("optimisers go the way that one goes by hand", () => {
  const slopes = [0.5, -0.25, 2, 1e-3, -0.7, 0.1];
  for (const settings of OPTIMISERS) {
    const weights = Float32Array.of(1, -2);
    const step = optimiser(settings, 2);
    for (const slope of slopes) step(weights, Float64Array.of(slope, -3 * slope));
    for (const [k, [start, way]] of [[1, 1], [-2, -3]].entries()) {
      const wanted = byHand(settings, start as number, slopes.map((slope) => (way as number) * slope));
      // Adam's constants are those of single precision.
      assert.ok(Math.abs((weights[k] as number) - wanted) < 1e-5, `${settings.kind} ${settings.momentum}: ${weights[k]} ${wanted}`);
    }
  }
});

function job(change: Partial<Job> = {}): Job {
  const layers = chain("tanh", "sigmoid", 1);
  const weights = Float32Array.from(numbers(parametersOf(layers)));
  return { layers, weights, ...examples(1, "class"), loss: "binary cross-entropy", optimiser: PLAIN, batchSize: 3, epochs: 4, ...change };
}

function trained(given: Job): Progress[] {
  const found: Progress[] = [];
  train(given, (progress) => found.push(progress));
  return found;
}

test("the same job gives the same weights, and others with other settings", () => {
  const frames = (given: Job): Float32Array[] => trained(given).flatMap((progress) => progress.frames);
  assert.deepEqual(frames(job()), frames(job()));
  assert.equal(frames(job()).length, 4);
  assert.notDeepEqual(frames(job()), frames(job({ batchSize: 4 })));
  assert.deepEqual(frames(job({ epochs: 2 })), frames(job()).slice(0, 2));
  assert.ok(trained(job()).at(-1)?.done);
});

test("an epoch takes every example once", () => {
  class Spy extends Training {
    readonly batches: number[][] = [];
    override step(batch: Int32Array): void {
      this.batches.push([...batch]);
    }
  }
  const spy = new Spy(job());
  spy.epoch();
  spy.epoch();
  assert.deepEqual(spy.batches.map(({ length }) => length), [3, 3, 2, 3, 3, 2]);
  const [first, second] = [spy.batches.slice(0, 3).flat(), spy.batches.slice(3).flat()];
  assert.deepEqual(first.toSorted((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(second.toSorted((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.notDeepEqual(first, second);
});

test("a training whose weights diverge ends", () => {
  const weights = Float32Array.from(numbers(parametersOf(job().layers)));
  weights[0] = Number.NaN;
  const found = trained(job({ weights, epochs: 1000 }));
  assert.deepEqual([found.length, found[0]?.frames.length, found[0]?.done], [1, 1, true]);
});

test("a training with an unknown loss says so", () => {
  assert.throws(() => new Training(job({ loss: "hinge" })), /The loss "hinge" is not known here/);
});

const later: Start = (given, report) => {
  let stopped = false;
  queueMicrotask(() => train(given, (progress) => stopped || report(progress)));
  return () => (stopped = true);
};

const SETTINGS: Settings = { optimiser: { ...PLAIN, rate: 0.5 }, batchSize: 4, activation: null, epochs: 3 };

async function opened(forks: Forks): Promise<RunData[]> {
  return Promise.all((await forks.payload()).runs.map((run) => RunData.open(run, forks, () => undefined)));
}

async function forked(frame = 2, change: Partial<Settings> = {}): Promise<{ forks: Forks; fork: Fork; data: RunData; origin: RunData }> {
  const forks = new Forks(new NetworkRuns(), later);
  const [origin] = (await opened(forks)) as [RunData];
  const fork = forks.add(await originOf(origin, frame), { ...SETTINGS, ...change }, "forked", assert.fail);
  while (fork.status === "training") await new Promise((done) => setTimeout(done, 0));
  return { forks, fork, data: (await opened(forks))[1] as RunData, origin };
}

async function row(data: RunData, values: Values | null | undefined, frame: number): Promise<Float32Array> {
  await data.load(values as Values);
  return data.row(values as Values, frame) as Float32Array;
}

function near(found: ArrayLike<number>, wanted: ArrayLike<number>, step = 1e-6): void {
  assert.equal(found.length, wanted.length);
  for (let k = 0; k < found.length; k++) assert.ok(Math.abs((found[k] as number) - (wanted[k] as number)) <= step, `${k}: ${found[k]} ${wanted[k]}`);
}

test("up to the fork it is the run that it is of", async () => {
  const { data, origin } = await forked();
  for (const frame of [0, 1, 2]) {
    for (const part of ["probabilities", "losses", "wrong"] as const) {
      near(await row(data, data.run[part], frame), await row(origin, origin.run[part], frame));
    }
    near(await row(data, data.run.spaces[0]?.points, frame), await row(origin, origin.run.spaces[0]?.points, frame));
    near(await row(data, data.run.curves[0]?.values, frame), await row(origin, origin.run.curves[0]?.values, frame));
  }
  assert.deepEqual([...data.epochs], [0, 2, 4, 5, 6, 7]);
  // Six examples in batches of four.
  assert.deepEqual([...data.steps], [0, 20, 40, 42, 44, 46]);
});

test("from the fork on it is what the trained weights give", async () => {
  const { fork, data, origin } = await forked(2, { activation: "relu" });
  const inputs = origin.all(origin.run.inputs) as Float32Array;
  const labels = origin.all(origin.run.labels) as Float32Array;
  assert.notDeepEqual(fork.weights[3], fork.weights[2]);
  for (const frame of [3, 4, 5]) {
    const [w, b, v, c] = [[0, 4], [4, 6], [6, 8], [8, 9]].map(([from, to]) => [...(fork.weights[frame] as Float32Array).subarray(from, to)]);
    const hidden = Array.from(labels, (_, e) =>
      [0, 1].map((u) => Math.max(0, b![u]! + inputs[2 * e]! * w![u]! + inputs[2 * e + 1]! * w![2 + u]!)),
    );
    const chances = hidden.map(([p, q]) => 1 / (1 + Math.exp(-(c![0]! + p! * v![0]! + q! * v![1]!))));
    const losses = chances.map((p, e) => -Math.log(labels[e] === 1 ? p : 1 - p));
    near(await row(data, data.run.spaces[0]?.points, frame), hidden.flat());
    near(await row(data, data.run.probabilities, frame), chances.flatMap((p) => [1 - p, p]));
    near(await row(data, data.run.losses, frame), losses);
    near(await row(data, data.run.wrong, frame), chances.map((p, e) => Number(Number(p > 0.5) !== labels[e])));
    near(await row(data, data.run.curves[0]?.values, frame), [losses.reduce((sum, loss) => sum + loss) / 6]);
  }
  // What is beyond the plane of the tanh units is on the new one.
  const { x, y, points } = data.run.spaces[0]!;
  const all = (await Promise.all([3, 4, 5].map((frame) => row(data, points, frame)))).flatMap((values) => [...values]);
  assert.ok(all.every((value, k) => value >= (k % 2 === 0 ? x : y)[0]! && value <= (k % 2 === 0 ? x : y).at(-1)!));
  assert.ok(all.some((value) => value > 1), "nothing left the first plane");
});

test("a fork can be forked, and stays when its origin goes", async () => {
  const { forks, fork, data } = await forked();
  const second = forks.add(await originOf(data, 5), SETTINGS, "again", assert.fail);
  while (second.status === "training") await new Promise((done) => setTimeout(done, 0));
  forks.remove(fork);
  const [, left] = (await opened(forks)) as [RunData, RunData];
  assert.equal(left.run.name, "again");
  assert.deepEqual([...left.epochs], [0, 2, 4, 5, 6, 7, 8, 9, 10]);
  near(await row(left, left.run.losses, 5), await row(data, second.origin.data.run.losses, 5));
});

test("what grows is followed, and a fork that is stopped keeps what it has", async () => {
  const reports: ((progress: Progress) => void)[] = [];
  let stopped = 0;
  const forks = new Forks(new NetworkRuns(), (_, report) => {
    reports.push(report);
    return () => stopped++;
  });
  let changes = 0;
  forks.onChange(() => changes++);
  const origin = await originOf((await opened(forks))[0] as RunData, 1);
  const fork = forks.add(origin, SETTINGS, "slow", assert.fail);
  const [, before] = (await opened(forks)) as [RunData, RunData];
  await before.load(before.run.losses);
  assert.equal(before.frames, 2);
  reports[0]?.({ frames: [fork.job.weights], done: false });
  const [, after] = (await opened(forks)) as [RunData, RunData];
  await after.follow(before);
  assert.equal(after.frames, 3);
  near(await row(after, after.run.losses, 2), await row(after, after.run.losses, 1));
  forks.stop(fork);
  reports[0]?.({ frames: [fork.job.weights], done: true });
  assert.deepEqual([fork.status, fork.trained, stopped, changes], ["stopped", 1, 1, 3]);
});

test("what is forked is asked once whether it has changed, and given anew then", async () => {
  let [asked, stopped, given] = [0, 0, 0];
  let tell = (): void => undefined;
  class Growing extends NetworkRuns {
    override payload(): ReturnType<NetworkRuns["payload"]> {
      given++;
      return super.payload();
    }
    onChange(listener: () => void): () => void {
      asked++;
      tell = listener;
      return () => stopped++;
    }
  }
  const forks = new Forks(new Growing(), later);
  let heard = 0;
  const stops = [forks.onChange(() => heard++), forks.onChange(() => heard++)];
  await forks.payload();
  await forks.payload();
  tell();
  await forks.payload();
  for (const stop of stops) stop();
  assert.deepEqual([asked, heard, given, stopped], [1, 2, 2, 1]);
});

test("a training that fails says why", async () => {
  let said = "";
  const forks = new Forks(new NetworkRuns(), (_, __, fail) => {
    queueMicrotask(() => fail("no memory"));
    return () => undefined;
  });
  const fork = forks.add(await originOf((await opened(forks))[0] as RunData, 1), SETTINGS, "", (why) => (said = why));
  await Promise.resolve();
  assert.deepEqual([fork.status, said], ["failed", "no memory"]);
});

test("the name says what differs", async () => {
  const forks = new Forks(new NetworkRuns(), later);
  const [data] = (await opened(forks)) as [RunData];
  const mlp = data.run.mlp!;
  mlp.training = { optimizer: "SGD", learning_rate: Math.fround(0.05), momentum: 0, batch_size: 16, loss: "" };
  const origin = await originOf(data, 3);
  const same: Settings = { optimiser: { ...PLAIN, rate: 0.05 }, batchSize: 16, activation: null, epochs: 1 };
  const named = (change: Partial<Settings>, several = false): string => nameOf(origin, { ...same, ...change }, several);
  assert.equal(named({}), "from epoch 6: as before");
  assert.equal(named({ optimiser: { ...PLAIN, rate: 0.5 }, batchSize: 8 }), "from epoch 6: learning rate 0.5, batch size 8");
  assert.equal(named({ optimiser: { ...PLAIN, kind: "Adam", rate: 0.05 }, activation: "relu" }, true), "run 0 from epoch 6: Adam, relu");
  assert.equal(named({ optimiser: { ...PLAIN, rate: 0.05, momentum: 0.9, nesterov: true }, activation: "tanh" }), "from epoch 6: SGD, Nesterov momentum 0.9");
});

test("what can't be trained on says why", async () => {
  const [data] = (await opened(new Forks(new NetworkRuns(), later))) as [RunData];
  const { run } = data;
  const why = (change: Partial<Run>): string | null => hindrance({ ...run, ...change });
  assert.equal(why({}), null);
  assert.match(why({ mlp: null }) ?? "", /small chains/);
  assert.match(why({ loss: "hinge" }) ?? "", /The loss "hinge"/);
  assert.match(why({ loss: "cross-entropy" }) ?? "", /The loss "cross-entropy"/);
  assert.match(why({ inputs: null }) ?? "", /inputs/);
  assert.match(why({ labels: null }) ?? "", /targets/);
  assert.match(why({ task: { ...run.task, kind: "labels" } }) ?? "", /several labels/);
});

test("a fork begins only with the recorded network and its loss", async () => {
  const runs = new NetworkRuns();
  const forks = new Forks(runs, later);
  const begin = async (frame: number): Promise<unknown> => originOf((await opened(forks))[0] as RunData, frame);
  const { run } = (await opened(forks))[0] as RunData;
  const means = runs.arrays.get(run.mlp!.mean_loss.name) as Float32Array;
  means[2] = 0.1;
  await begin(1);
  await assert.rejects(begin(2), /computes a loss of .*, recorded is 0.1/);
  means[2] = Number.NaN;
  await assert.rejects(begin(2), /diverged here/);
  (runs.arrays.get(run.probabilities!.name) as Float32Array)[0]! += 0.1;
  await assert.rejects(begin(1), /not what was recorded/);
});

test("a layer that is projected stays in its projection", async () => {
  const runs = new NetworkRuns();
  const forks = new Forks(runs, later);
  const [space] = (await forks.payload()).runs[0]!.spaces;
  const [cos, sin] = [Math.cos(0.7), Math.sin(0.7)];
  const [origin, basis] = [[0.2, -0.1], [cos, -sin, sin, cos]] as const;
  space!.origin = runs.float("origin", ["unit"], [2], (k) => origin[k]!);
  space!.basis = runs.float("basis", ["unit", "axis"], [2, 2], (k) => basis[k]!);
  space!.regions = runs.float("regions", ["frame", "row", "column"], [5, 2, 2], () => 0);
  space!.kept = runs.float("kept", ["frame"], [5], () => 1);
  const [data] = (await opened(forks)) as [RunData];
  const before = await row(data, space!.points, 1);
  const fork = forks.add(await originOf(data, 2), SETTINGS, "turned", assert.fail);
  while (fork.status === "training") await new Promise((done) => setTimeout(done, 0));
  const turned = (await opened(forks))[1] as RunData;
  const { points, regions, kept, x, y } = turned.run.spaces[0]!;
  const wanted = Array.from({ length: 6 }, (_, e) => {
    const [p, q] = [before[2 * e]! - origin[0], before[2 * e + 1]! - origin[1]];
    return [p * cos + q * sin, -p * sin + q * cos];
  });
  near(await row(turned, points, 1), wanted.flat());
  near(await row(turned, kept, 1), [1]);
  // The plane has as many axes as the layer has units: back on these, the last layer says what it says of them.
  const [v, c] = [fork.weights[4]!.subarray(6, 8), fork.weights[4]![8]!];
  const leads = [y[0]!, y.at(-1)!].flatMap((up) => [x[0]!, x.at(-1)!].map((right) => {
    const lead = c + v[0]! * (origin[0] + right * cos - up * sin) + v[1]! * (origin[1] + right * sin + up * cos);
    return lead / (1 + Math.abs(lead));
  }));
  near(await row(turned, regions, 4), leads);
});
