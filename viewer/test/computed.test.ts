import assert from "node:assert/strict";
import { test } from "node:test";
import { ComputedSource } from "../src/data/computed";
import type { Payload, Run, Values } from "../src/data/schema";
import type { Source, Typed } from "../src/data/source";

// A 2-2-1 network, tanh and sigmoid, at two frames.
const KERNELS = [[[0.5, -1], [2, 0.25]], [[1.5, 0.5], [-1, 1]]] as const;
const BIASES = [[0.1, -0.2], [0, 0.3]] as const;
const HEADS = [[3, -2], [-1, 4]] as const;
const SHIFTS = [0.5, -0.5] as const;
const POINTS = [[0, 0], [1, -1], [-0.5, 2]] as const;
const LABELS = [0, 1, 1];
const GRID = [-1, 0, 1];

function hidden(frame: number, [x, y]: readonly number[]): [number, number] {
  const [[a, b], [c, d]] = KERNELS[frame]!;
  const [e, f] = BIASES[frame]!;
  return [Math.tanh(x! * a + y! * c + e), Math.tanh(x! * b + y! * d + f)];
}

function logit(frame: number, [first, second]: readonly number[]): number {
  const [a, b] = HEADS[frame]!;
  return first! * a + second! * b + SHIFTS[frame]!;
}

function chance(frame: number, point: readonly number[]): number {
  return 1 / (1 + Math.exp(-logit(frame, hidden(frame, point))));
}

function loss(frame: number, place: number): number {
  const p = chance(frame, POINTS[place]!);
  return -Math.log(LABELS[place] === 1 ? p : 1 - p);
}

const stored = new Map<string, Typed>();

function values(name: string, shape: number[], axes: string[], numbers?: readonly number[], more: Partial<Values> = {}): Values {
  if (numbers !== undefined) stored.set(name, Float32Array.from(numbers));
  return { name, dtype: "float32", shape, axes, low: 0, step: 1, gaps: false, ...more };
}

const LEADS = { dtype: "uint8", low: -1, step: 2 / 254, gaps: true } as const;

function payload(means: number[]): Payload {
  const points = values("points", [2, 3, 2], ["frame", "example", "axis"]);
  const regions = values("regions", [2, 3, 3], ["frame", "row", "column"], undefined, LEADS);
  const edges = values("edges", [2, 3, 3], ["frame", "row", "column"], undefined, LEADS);
  const lines = values("lines", [2, 1, 3, 2], ["frame", "line", "point", "axis"]);
  const grid = values("grid", [1, 3, 2], ["line", "point", "axis"], POINTS.flat());
  const probabilities = values("probabilities", [2, 3, 2], ["frame", "example", "class"]);
  const losses = values("losses", [2, 3], ["frame", "example"]);
  const maps = values("maps", [2, 3, 3, 3], ["frame", "unit", "row", "column"]);
  const plane = { projection: "units 0 and 1", x: GRID, y: GRID, own_x: GRID, own_y: GRID, leads: null, origin: null, basis: null, kept: null, agreement: null };
  const run = {
    name: "run",
    task: { kind: "classes", names: ["no", "yes"], link: "sigmoid" },
    inputs: values("inputs", [3, 2], ["example", "input"], POINTS.flat()),
    labels: values("labels", [3], ["example"], LABELS),
    targets: null, predictions: null, wrong: null, probabilities, losses,
    spaces: [{ layer: "hidden", points, regions, lines, grid, ...plane }],
    boundary: { layer: "inputs", points: values("at", [1, 3, 2], ["frame"]), regions: edges, lines: null, grid: null, ...plane },
    diagram: {
      columns: [[0, 1], [0, 1], [0]].map((units) => ({ layer: "", activation: "", size: units.length, units })),
      weights: values("weights", [2, 6], ["frame", "edge"]), maps,
    },
    mlp: {
      layers: [
        {
          name: "hidden", activation: "tanh",
          kernel: values("kernel", [2, 2, 2], ["frame", "input", "unit"], KERNELS.flat(2)),
          bias: values("bias", [2, 2], ["frame", "unit"], BIASES.flat()),
        },
        {
          name: "output", activation: "sigmoid",
          kernel: values("head", [2, 2, 1], ["frame", "input", "unit"], HEADS.flat()),
          bias: values("shift", [2, 1], ["frame", "unit"], SHIFTS),
        },
      ],
      mean_loss: values("mean", [2], ["frame"], means), training: null,
      ends: {},
      computes: ["points", "regions", "edges", "lines", "probabilities", "losses", "maps"],
    },
  } as unknown as Run;
  return { format: 1, title: "", runs: [run], differing: [], live: false };
}

function source(means = [0, 1].map((frame) => (loss(frame, 0) + loss(frame, 1) + loss(frame, 2)) / 3)): [ComputedSource, Run] {
  const made = payload(means);
  const inner: Source = {
    payload: () => Promise.resolve(made),
    frames: (asked) => Promise.resolve(stored.get(asked.name) ?? assert.fail(`lacks ${asked.name}`)),
  };
  return [new ComputedSource(inner), made.runs[0] as Run];
}

function near(found: Typed, wanted: number[], step = 1e-6): void {
  assert.equal(found.length, wanted.length);
  for (const [k, value] of wanted.entries()) assert.ok(Math.abs((found[k] as number) - value) <= step, `${k}: ${found[k]} ${value}`);
}

test("what a page leaves out is what the network makes of its inputs", async () => {
  const [computed, run] = source();
  const space = run.spaces[0]!;
  const both = <T>(each: (frame: number) => T[]): T[] => [0, 1].flatMap(each);
  const ask = (asked: Values | null, from = 0, to = 2): Promise<Typed> => computed.frames(asked as Values, from, to);
  near(await ask(space.points), both((frame) => POINTS.flatMap((point) => hidden(frame, point))));
  near(await ask(space.lines), both((frame) => POINTS.flatMap((point) => hidden(frame, point))));
  near(await ask(run.probabilities), both((frame) => POINTS.flatMap((point) => [1 - chance(frame, point), chance(frame, point)])));
  near(await ask(run.losses), both((frame) => [0, 1, 2].map((place) => loss(frame, place))));
  near(await ask(run.losses, 1, 2), [0, 1, 2].map((place) => loss(1, place)));
  const places = GRID.flatMap((y) => GRID.map((x) => [x, y]));
  const byte = (lead: number): number => Math.round((lead / (1 + Math.abs(lead)) + 1) * 127);
  near(await ask(space.regions), both((frame) => places.map((place) => byte(logit(frame, place)))), 0);
  near(await ask(run.boundary!.regions), both((frame) => places.map((place) => byte(logit(frame, hidden(frame, place))))), 0);
  const units = [0, 1].map((unit) => (frame: number, place: number[]) => hidden(frame, place)[unit]!);
  near(await ask(run.diagram!.maps), both((frame) => [...units, chance].flatMap((unit) => places.map((place) => unit(frame, place)))));
});

test("what is not left out comes from the page", async () => {
  const [computed, run] = source();
  near(await computed.frames(run.inputs as Values, 0, 3), POINTS.flat());
});

test("a network that is not the recorded one is noticed", async () => {
  const [computed, run] = source([0.1, 0.1]);
  await assert.rejects(computed.frames(run.losses, 0, 1), /computes a loss of .* at frame 0 of "run", not 0.1/);
});
