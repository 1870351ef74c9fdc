import assert from "node:assert/strict";
import { test } from "node:test";
import type { Run, Values } from "../src/data/schema";
import { checkedNetwork } from "../src/math/mlp";
import { RunData } from "../src/model/run";
import { describe, toggled } from "../src/model/selection";
import { Signal } from "../src/model/signal";
import { INITIAL } from "../src/model/state";
import { find, positions, valueAt } from "../src/model/sync";
import { readFragment, writeFragment } from "../src/model/urlstate";
import { NetworkRuns } from "./network-run";

async function opened(source: NetworkRuns): Promise<RunData[]> {
  return Promise.all((await source.payload()).runs.map((run) => RunData.open(run, source, () => undefined)));
}

async function one(source = new NetworkRuns()): Promise<RunData> {
  return (await opened(source))[0] as RunData;
}

test("a signal tells listeners of what differs, once", () => {
  const signal = new Signal({ a: 1, b: 2 });
  const seen: number[] = [];
  const stop = signal.subscribe((now, before) => seen.push(now.a, before.a));
  signal.update({ a: 1 });
  signal.update({ a: 3 });
  stop();
  signal.update({ a: 4 });
  assert.deepEqual(seen, [3, 1]);
});

test("values between frames lie on the line between them, classes on the nearest frame", async () => {
  const data = await one();
  const { losses, wrong } = data.run;
  await Promise.all([data.load(losses), data.load(wrong as Values)]);
  const [a, b] = [data.row(losses, 1), data.row(losses, 2)] as [Float32Array, Float32Array];
  const between = data.at(losses, 1.25) as Float32Array;
  between.forEach((value, k) => assert.ok(Math.abs(value - (0.75 * a[k]! + 0.25 * b[k]!)) < 1e-6));
  assert.deepEqual(data.at(wrong, 1.4), data.row(wrong, 1));
  assert.deepEqual(data.at(wrong, 1.6), data.row(wrong, 2));
  assert.deepEqual(data.at(losses, 99), data.row(losses, 4));
});

test("a gap stays a gap, also between frames", async () => {
  const source = new NetworkRuns();
  const values = {
    ...source.keep("g", ["frame", "example"], [2, 2], "uint16", Uint16Array.of(0, 65535, 100, 100)),
    low: -1,
    step: 0.5,
    gaps: true,
  };
  const data = await one(source);
  await data.load(values);
  assert.deepEqual([...(data.row(values, 0) as Float32Array)], [-1, Number.NaN]);
  assert.deepEqual([...(data.at(values, 0.5) as Float32Array)], [24, Number.NaN]);
  assert.deepEqual([...(data.column(values, 1) as Float32Array)], [Number.NaN, 49]);
});

test("a long run is fetched in pieces, and only those looked at", async () => {
  const source = new NetworkRuns(40);
  const data = await one(source);
  // 400 kB a frame: two in a piece, and once that is here the next piece is fetched ahead.
  const values = source.keep("long", ["frame", "example"], [40, 100_000], "float32", new Float32Array(4e6));
  source.asked.length = 0;
  assert.equal(data.at(values, 20), null);
  assert.equal(data.pending, 1);
  await new Promise((done) => setTimeout(done));
  assert.deepEqual(source.asked, ["long 20 22"]);
  assert.equal(data.at(values, 20)?.length, 100_000);
  assert.deepEqual(source.asked, ["long 20 22", "long 22 24"]);
  // Nobody waits for that, until somebody looks at it.
  assert.equal(data.pending, 0);
  assert.equal(data.row(values, 22), null);
  assert.equal(data.pending, 1);
  await new Promise((done) => setTimeout(done));
  assert.equal(data.pending, 0);
  // One frame that is looked at by itself is not followed by others.
  assert.equal(data.row(values, 30), null);
  assert.deepEqual(source.asked.slice(2), ["long 30 32"]);
});

test("frames that a server computes together are fetched together; of single numbers more", async () => {
  const source = new NetworkRuns(100);
  const { run } = await one(source);
  const data = await RunData.open({ ...run, at_once: 4 }, source, () => undefined);
  source.asked.length = 0;
  data.row(run.losses, 9);
  data.row(source.keep("single", ["frame"], [100], "float32", new Float32Array(100)), 70);
  assert.deepEqual(source.asked, [`${run.losses.name} 8 12`, "single 64 100"]);
});

test("a curve of a long run comes piece by piece, and nobody waits for it", async () => {
  const source = new NetworkRuns(100);
  let changes = 0;
  const { run } = await one(source);
  const data = await RunData.open({ ...run, at_once: 2 }, source, () => changes++);
  const values = source.keep("single", ["frame"], [100], "float32", new Float32Array(100).fill(3));
  source.asked.length = 0;
  for (let pieces = 0; pieces <= 4; pieces++) {
    const found = data.gradually(values);
    // When all have come, it is the same array each time.
    assert.equal(data.gradually(values) === found, pieces === 4);
    assert.equal(data.pending, 0);
    assert.equal(found?.filter((value) => value === 3).length, Math.min(32 * pieces, 100));
    assert.equal(changes, pieces);
    await new Promise((done) => setTimeout(done));
  }
  assert.deepEqual(source.asked, ["single 0 32", "single 32 64", "single 64 96", "single 96 100"]);
  // A short one is waited for.
  const short = source.keep("short", ["frame"], [20], "float32", new Float32Array(20));
  assert.equal(data.gradually(short), null);
  assert.equal(data.pending, 1);
});

test("a run that has grown keeps what was fetched and fetches the rest alone", async () => {
  const source = new NetworkRuns(8);
  const whole = await one(source);
  const cut = (values: Values): Values => ({ ...values, shape: [5, ...values.shape.slice(1)] });
  const { run } = whole;
  const shorter: Run = { ...run, epochs: cut(run.epochs), steps: cut(run.steps), losses: cut(run.losses) };
  const before = await RunData.open(shorter, source, () => undefined);
  await before.load(shorter.losses);
  source.asked.length = 0;
  await whole.follow(before);
  assert.deepEqual(source.asked, ["0/losses 5 8"]);
  const expected = source.arrays.get("0/losses") as Float32Array;
  assert.deepEqual(whole.row(run.losses, 7), expected.slice(42, 48));
  assert.deepEqual(whole.row(run.losses, 2), expected.slice(12, 18));
});

test("what can't be fetched is said", async () => {
  const source = new NetworkRuns();
  const errors: unknown[] = [];
  const run = source.run("run", 0);
  const data = await RunData.open(run, source, (error) => errors.push(error));
  source.arrays.delete("0/losses");
  assert.equal(data.row(run.losses, 0), null);
  await new Promise((done) => setTimeout(done));
  assert.match(String(errors[0]), /no array 0\/losses/);
  assert.equal(data.pending, 0);
});

test("the page's network is used only if it gives what was recorded", async () => {
  const data = await one();
  const network = await checkedNetwork(data);
  assert.ok(network !== null);
  const hidden = network.forward(3, data.all(data.run.inputs) as Float32Array, 6)?.[0] as Float32Array;
  await data.load(data.run.spaces[0]!.points);
  const recorded = data.row(data.run.spaces[0]!.points, 3) as Float32Array;
  hidden.forEach((value, k) => assert.ok(Math.abs(value - recorded[k]!) < 1e-6));

  const other = new NetworkRuns();
  const run = other.run("other", 0);
  (other.arrays.get("0/b1") as Float32Array)[4] = 0.5;
  assert.equal(await checkedNetwork(await RunData.open(run, other, () => undefined)), null);
  const unknown = {
    ...run,
    mlp: { ...run.mlp!, layers: run.mlp!.layers.map((layer) => ({ ...layer, activation: "own" })) },
  };
  assert.equal(await checkedNetwork(await RunData.open(unknown, other, () => undefined)), null);
});

test("runs are in step by epoch, by step and by equal loss", async () => {
  const runs = await opened(new NetworkRuns(5, 6, 2));
  await Promise.all(runs.map((data) => data.load(data.run.curves[0]!.values)));
  assert.deepEqual(positions(runs, 2.5, "epoch", false), [2.5, 2.5]);
  assert.deepEqual(positions(runs, 2, "step", true), [2, 2]);
  // Losses 1 / (1 + f) and 1 / (1 + 2 f): the second is at 1/5 at frame 2, the first at frame 4.
  const [, second] = positions(runs, 4, "loss", false) as [number, number];
  assert.ok(Math.abs(second - 2) < 1e-5);
});

test("a value's position is where ascending values first reach it", () => {
  const values = Float32Array.of(0, 1, 4, 4, 10);
  assert.equal(find(values, 4), 2);
  assert.equal(find(values, 7), 3.5);
  assert.equal(find(values, -3), 0);
  assert.equal(find(values, 99), 4);
  for (const t of [0, 0.5, 1.5, 3.25])
    assert.ok(Math.abs(valueAt(values, find(values, valueAt(values, t))) - valueAt(values, t)) < 1e-6);
});

test("an address leads back to the state, and no further than what there is", async () => {
  const data = await one();
  const state = { ...INITIAL, t: 3, layer: "hidden", axes: "own" as const, speed: 0.5, sync: "loss" as const };
  const fragment = writeFragment(state, data, "light");
  assert.equal(fragment, "#epoch=6&layer=hidden&axes=own&sync=loss&speed=0.5");
  assert.deepEqual({ ...INITIAL, ...readFragment(fragment, data) }, state);
  const hostile = "#epoch=x&layer=<img>&projection=tour&axes=x&distribution=nothing&sync=a&theme=b&speed=1e9&run=1";
  assert.deepEqual(readFragment(hostile, data), {});
});

test("an example is described by its numbers", async () => {
  const data = await one();
  const { run } = data;
  await Promise.all(
    [run.inputs, run.labels, run.probabilities, run.wrong, run.losses].map((values) => data.load(values!)),
  );
  const lines = describe(data, 1, 0);
  assert.equal(lines[0], "Example 11");
  assert.equal(lines[2], "Class positive");
  assert.match(lines[3] ?? "", /^Predicted (positive|negative) \d+\.\d %, /);
  const probability = (data.row(run.probabilities, 0) as Float32Array)[3] as number;
  assert.equal(lines.includes("Predicted wrongly"), probability <= 0.5);
});

test("clicking an example twice leaves the selection as it was", () => {
  assert.deepEqual(toggled(toggled(new Set([1, 2]), 5), 5), new Set([1, 2]));
});
