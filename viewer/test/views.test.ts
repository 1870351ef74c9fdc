import assert from "node:assert/strict";
import { test } from "node:test";
import type { Run } from "../src/data/schema";
import type { Path, Points, Rects, Shape, Text } from "../src/draw/shapes";
import type { RunData } from "../src/model/run";
import { VIEWS } from "../src/views/index";
import { componentOf, pointed } from "../src/views/tour";
import type { Scene, View } from "../src/views/view";
import {
  EXAMPLES,
  FRAMES,
  Memory,
  SIDE,
  input,
  isWrong,
  labelOf,
  loaded,
  logit,
  loss,
  probability,
  random,
  sceneOf,
  twoClasses,
} from "./views-run";

const all = Array.from({ length: EXAMPLES }, (_, example) => example);

function view(id: string): View {
  const found = VIEWS.find((one) => one.id === id);
  assert.ok(found !== undefined);
  return found;
}

function kinds<K extends Shape["kind"]>(shapes: Shape[], kind: K): Extract<Shape, { kind: K }>[] {
  const all = shapes.flatMap((shape) => (shape.kind === "still" && kind !== "still" ? shape.shapes : shape));
  return all.filter((shape): shape is Extract<Shape, { kind: K }> => shape.kind === kind);
}

function texts(shapes: Shape[]): string[] {
  return kinds(shapes, "text").map(({ text }: Text) => text);
}

async function usual(change: (run: Run, memory: Memory) => Partial<Run> = () => ({})): Promise<RunData> {
  const memory = new Memory();
  const run = twoClasses(memory);
  return loaded({ ...run, ...change(run, memory) }, memory);
}

test("every point lies in its axes, where its numbers say, with its class and its mistake", async () => {
  const data = await usual();
  for (const id of ["feature", "boundary"]) {
    for (const t of [0, 2, 2.5, FRAMES - 1]) {
      const scene = sceneOf(data, t);
      const [points] = kinds(view(id).layout(scene), "points") as [Points];
      assert.ok(points.clip !== undefined);
      const { x, y, width, height } = points.clip;
      const scale = id === "feature" ? 1 - 0.1 * t : 1;
      for (const example of all) {
        const [across, up] = input(example).map((value) => scale * value) as [number, number];
        assert.ok(Math.abs((points.x[example] as number) - (x + (width * (across + 2)) / 4)) < 1e-3);
        assert.ok(Math.abs((points.y[example] as number) - (y + height - (height * (up + 2)) / 4)) < 1e-3);
        assert.equal(points.colour[example], labelOf(example));
        assert.equal(points.mark?.[example], isWrong(Math.round(t), example) ? 1 : 0);
      }
    }
  }
});

test("the edge is where the network is undecided, to a tenth of a pixel", async () => {
  const data = await usual();
  const shapes = view("boundary").layout(sceneOf(data, 3));
  const [points] = kinds(shapes, "points") as [Points];
  const { x, y, width, height } = points.clip as { x: number; y: number; width: number; height: number };
  const edge = kinds(shapes, "path").find((path: Path) => path.width === 2 && path.clip !== undefined);
  const line = edge?.commands[0] as Float32Array;
  assert.ok(line.length > 20);
  for (let k = 0; k < line.length; k += 2) {
    if (Number.isNaN(line[k])) continue;
    const at: [number, number] = [
      -2 + (4 * ((line[k] as number) - x)) / width,
      -2 + (4 * (y + height - (line[k + 1] as number))) / height,
    ];
    const pixels = (Math.abs(logit(3, at)) / (4 * Math.hypot(1, 0.5))) * (width / 4);
    assert.ok(pixels < 0.1, `${pixels}`);
  }
});

test("runs share the axes of a feature space, or each has those of its own range", async () => {
  const data = await usual((run) => ({
    spaces: run.spaces.map((space) => ({ ...space, own_x: [-1, 0.5], own_y: [-0.25, 1] })),
  }));
  const memory = new Memory();
  const run = twoClasses(memory, "b");
  const wide = await loaded({ ...run, spaces: run.spaces.map((space) => ({ ...space, x: [-6, 2], y: [-2, 2] })) }, memory);
  for (const [axes, [left, right], [bottom, top]] of [
    ["same", [-6, 2], [-2, 2]],
    ["own", [-1, 0.5], [-0.25, 1]],
  ] as const) {
    const scene = { ...sceneOf(data, 2, { axes }), others: [data, wide] };
    const shapes = view("feature").layout(scene);
    const [points] = kinds(shapes, "points") as [Points];
    const clip = points.clip as { x: number; y: number; width: number; height: number };
    for (const example of all) {
      const [across, up] = input(example).map((value) => 0.8 * value) as [number, number];
      const x = clip.x + (clip.width * (across - left)) / (right - left);
      const y = clip.y + clip.height - (clip.height * (up - bottom)) / (top - bottom);
      assert.ok(Math.hypot((points.x[example] as number) - x, (points.y[example] as number) - y) < 1e-2);
    }
    // Each pixel has the colour of the class that is predicted there.
    const [image] = kinds(shapes, "image");
    assert.ok(image !== undefined && image.x >= clip.x - 1e-6 && image.x + image.width <= clip.x + clip.width + 1e-6);
    let pixels = 0;
    for (let row = 0; row < image.rows; row += 7) {
      for (let column = 0; column < image.columns; column += 7) {
        const [px, py] = [
          image.x + (image.width * (column + 0.5)) / image.columns,
          image.y + (image.height * (row + 0.5)) / image.rows,
        ];
        const at: [number, number] = [
          left + ((px - clip.x) / clip.width) * (right - left),
          bottom + ((clip.y + clip.height - py) / clip.height) * (top - bottom),
        ];
        if (Math.abs(logit(2, at)) < 0.1) continue;
        const k: number = 4 * (row * image.columns + column);
        const red: boolean = (image.pixels[k] as number) > (image.pixels[k + 2] as number);
        assert.equal(red, logit(2, at) > 0);
        pixels++;
      }
    }
    assert.ok(pixels > 50);
    assert.equal(view("feature").label(scene).includes("own"), axes === "own");
  }
});

test("a brush finds exactly the examples in its box, and those of bars those that the bars count", async () => {
  const data = await usual();
  const scene = sceneOf(data, 2);
  const box = { x0: 120, y0: 70, x1: 260, y1: 200 };
  for (const id of ["feature", "boundary"]) {
    const [points] = kinds(view(id).layout(scene), "points") as [Points];
    const inside = all.filter((k) => {
      const [x, y] = [points.x[k] as number, points.y[k] as number];
      return x >= box.x0 && x <= box.x1 && y >= box.y0 && y <= box.y1;
    });
    assert.ok(inside.length > 3 && inside.length < EXAMPLES);
    assert.deepEqual(view(id).brush?.(scene, box), inside);
  }
  const whole = { x0: 0, y0: 0, x1: scene.width, y1: scene.height };
  assert.deepEqual(view("losses").brush?.(scene, whole), all);
  assert.deepEqual(view("probabilities").brush?.(scene, whole), all);
  // The upper half are the examples of the first class.
  const upper = view("probabilities").brush?.(scene, { ...whole, y1: 100 });
  assert.ok(upper?.every((example) => labelOf(example) === 0));
});

test("the bars of the probabilities count what the network says of the examples", async () => {
  const data = await usual();
  for (const t of [0, 3]) {
    const { rows } = view("probabilities").table(sceneOf(data, t));
    for (const [name, from, to, right, wrong] of rows as [string, number, number, number, number][]) {
      const label = name === "positive" ? 1 : 0;
      const inside = all.filter(
        (k) => labelOf(k) === label && Math.floor(20 * probability(t, k)) === Math.round(20 * from),
      );
      assert.ok(to > from);
      assert.equal(wrong, inside.filter((k) => isWrong(t, k)).length);
      assert.equal(right + wrong, inside.length);
    }
  }
});

test("the bars of the losses count every example, the wrong ones hatched, on one scale at all times", async () => {
  const data = await usual();
  const ends = new Set<string>();
  for (let t = 0; t < FRAMES; t++) {
    const shapes = view("losses").layout(sceneOf(data, t));
    const { rows } = view("losses").table(sceneOf(data, t));
    const sums = (rows as number[][]).reduce<[number, number]>(
      ([a, b], row) => [a + (row[2] as number), b + (row[3] as number)],
      [0, 0],
    );
    const wrong = all.filter((k) => isWrong(t, k)).length;
    assert.deepEqual(sums, [EXAMPLES - wrong, wrong]);
    for (const [from, to, right, mistaken] of rows.slice(1, -1) as [number, number, number, number][]) {
      assert.equal(right + mistaken, all.filter((k) => Math.fround(loss(t, k)) >= from && loss(t, k) < to).length);
    }
    const hatched = kinds(shapes, "rects").filter((rects: Rects) => rects.hatch !== undefined);
    assert.equal(hatched.length, wrong > 0 ? 1 : 0);
    ends.add(
      texts(shapes)
        .filter((text) => /^[≤\d.⁰¹²³⁴⁵⁶⁷⁸⁹⁻ ]+$/.test(text))
        .join(),
    );
  }
  assert.equal(ends.size, 1);
});

test("the cursor of the curves is at the epoch, also between frames", async () => {
  const data = await usual();
  const scene = sceneOf(data, 2.5, {}, [800, 300]);
  const shapes = view("curves").layout(scene);
  const ticks = kinds(shapes, "text").filter(({ baseline, align }: Text) => baseline === "top" && align === "center");
  const at = (text: string): number => (ticks.find((tick) => tick.text === text) as Text).x;
  const expected = at("0") + (25 / 40) * (at("40") - at("0"));
  const cursors = kinds(shapes, "path").filter(
    (path) => path.stroke === scene.theme.muted && path.commands[0]?.length === 4,
  );
  assert.equal(cursors.length, 2);
  assert.ok(Math.abs((cursors[0]?.commands[0]?.[0] as number) - expected) < 0.01);
  const mean = (frame: number): number => all.reduce((sum, k) => sum + loss(frame, k), 0) / EXAMPLES;
  assert.ok(texts(shapes).includes(`train ${Number(((mean(2) + mean(3)) / 2).toPrecision(3))}`));
  assert.deepEqual(view("curves").click?.(scene, at("20") + 2, 150), { t: 2 });
});

test("a unit that is chosen in the diagram is shown over the inputs, with its own edge", async () => {
  const data = await usual();
  const scene = sceneOf(data, 0);
  const shapes = view("diagram").layout(scene);
  const boxes = kinds(shapes, "image");
  assert.equal(boxes.length, 4);
  const third = boxes[2] as { x: number; y: number; width: number };
  const change = view("diagram").click?.(scene, third.x + third.width / 2, third.y + third.width / 2);
  assert.deepEqual(change, { unit: { column: 1, unit: 2 } });
  const chosen = sceneOf(data, 0, { unit: { column: 1, unit: 2 } });
  const map = view("boundary").layout(chosen);
  const [points] = kinds(map, "points") as [Points];
  const edge = kinds(map, "path").find((path) => path.width === 2 && path.clip !== undefined)
    ?.commands[0] as Float32Array;
  // The map is x - 0.5.
  const { x, width } = points.clip as { x: number; width: number };
  const known = edge.filter((value, k) => k % 2 === 0 && !Number.isNaN(value));
  assert.ok(known.length >= SIDE - 1);
  for (const value of known) assert.ok(Math.abs(value - (x + (width * 2.5) / 4)) < 0.05);
  assert.ok(texts(map).includes("unit 4"));
});

test("weights are as wide as they are large, and dashed if they are negative", async () => {
  const data = await usual();
  const paths = kinds(view("diagram").layout(sceneOf(data, FRAMES - 1)), "path").filter(
    (path) => (path.commands[0]?.length ?? 0) % 20 === 0,
  );
  const widest = Math.max(...paths.map((path) => path.width ?? 1));
  const edges = paths.filter((path) => path.width === widest);
  // Of -4 ... 4, times the frame, the first and the last are the largest.
  assert.deepEqual(
    edges.map((path) => (path.commands[0] as Float32Array).length / 20),
    [1, 1],
  );
  assert.equal(edges.filter((path) => path.dash !== undefined).length, 1);
});

test("the table begins with what is selected, then what is wrong, then the largest losses", async () => {
  const mistaken = (k: number): boolean => k % 3 === 0;
  const data = await usual((_, memory) => ({
    wrong: memory.bytes("mistakes", ["frame", "example"], [FRAMES, EXAMPLES], (at) =>
      mistaken(at % EXAMPLES) ? 1 : 0,
    ),
  }));
  const selected = new Set([7, 31]);
  const { rows } = view("table").table(sceneOf(data, 1, { selected }));
  const order = (rows as [number, ...unknown[]][]).map(([number]) => number - 1000);
  const rank = (k: number): number[] => [selected.has(k) ? 0 : 1, mistaken(k) ? 0 : 1, -loss(1, k)];
  const expected = [...all].sort((a, b) => {
    const [one, other] = [rank(a), rank(b)];
    const differing = one.findIndex((value, k) => value !== other[k]);
    return differing < 0 ? a - b : (one[differing] as number) - (other[differing] as number);
  });
  assert.deepEqual(order, expected);
  const shown = texts(view("table").layout(sceneOf(data, 1, { selected })));
  assert.ok(shown.indexOf("1007") >= 0 && shown.indexOf("1031") >= 0);
});

test("of three classes each region has its colour, and the lines between them are where two are equally likely", async () => {
  const place = (k: number): number => -2 + (4 * (k % SIDE)) / (SIDE - 1);
  const scores = ([x, y]: [number, number]): number[] => [3 * x - y, 2 * y - x, -x - y - 0.3];
  const ranked = (at: [number, number]): [number, number] => {
    const all = scores(at);
    const [first, second] = [...all].sort((a, b) => b - a) as [number, number];
    return [all.indexOf(first), first - second];
  };
  const at = (k: number): [number, number] => [place(k), place(Math.floor(k / SIDE))];
  const data = await usual((run, memory) => {
    const shape = [FRAMES, SIDE, SIDE];
    const plane = (what: string, value: (k: number) => number): Run["losses"] =>
      memory.array(what, ["frame", "row", "column"], shape, (k) => value(k % (SIDE * SIDE)));
    const boundary: Run["boundary"] = {
      ...(run.boundary as NonNullable<Run["boundary"]>),
      regions: plane("winner", (k) => ranked(at(k))[0]),
      leads: plane("ahead", (k) => ranked(at(k))[1] / (1 + ranked(at(k))[1])),
    };
    return { boundary, task: { kind: "classes", names: ["a", "b", "c"], link: "softmax" } };
  });
  const scene = sceneOf(data, 1);
  const shapes = view("boundary").layout(scene);
  const [points] = kinds(shapes, "points") as [Points];
  const { x, y, width, height } = points.clip as { x: number; y: number; width: number; height: number };
  const input = (px: number, py: number): [number, number] => [
    -2 + (4 * (px - x)) / width,
    -2 + (4 * (y + height - py)) / height,
  ];
  const paths = kinds(shapes, "path").filter(({ clip }) => clip !== undefined);
  const regions = paths.filter(({ fill }) => fill !== undefined);
  assert.deepEqual(regions.map(({ fill }) => fill), scene.colours.classes);
  regions.forEach(({ commands }, group) => {
    for (let k = 0; k < (commands[0]?.length ?? 0); k += 2) {
      const [px, py] = [commands[0]?.[k] as number, commands[0]?.[k + 1] as number];
      if (Number.isNaN(px)) continue;
      const all = scores(input(px, py));
      // A cell is 0.2 wide; only in one where three meet its corners may be a little off.
      assert.ok(Math.max(...all) - (all[group] as number) < 0.5);
    }
  });
  const [edges] = paths.filter(({ stroke }) => stroke === scene.theme.text);
  let known = 0;
  for (const line of edges?.commands ?? []) {
    for (let k = 0; k < line.length; k += 2) {
      if (Number.isNaN(line[k])) continue;
      const place = input(line[k] as number, line[k + 1] as number);
      if (Math.hypot(place[0], place[1]) < 0.6) continue;
      assert.ok(ranked(place)[1] < 1e-2, `${place}`);
      known++;
    }
  }
  assert.ok(known > 60);
});

test("a selection fades the others and draws its trails up to now", async () => {
  const data = await usual();
  const shapes = view("feature").layout(sceneOf(data, 2.5, { selected: new Set([3]) }));
  const [base, front] = kinds(shapes, "points") as [Points, Points];
  assert.ok((base.alpha ?? 1) < 1);
  assert.deepEqual([...(front.ids ?? [])], [3]);
  const trail = kinds(shapes, "path").find((path) => path.width === 1.4)?.commands[0] as Float32Array;
  // Frames 0, 1, 2 and where it is now.
  assert.equal(trail.length, 8);
  assert.ok(Math.abs((trail[6] as number) - (base.x[3] as number)) < 1e-3);
  assert.ok(Math.abs((trail[7] as number) - (base.y[3] as number)) < 1e-3);
});

test("a dragged tip of a tour lies under the pointer, also after it was beyond the circle", async () => {
  const data = await usual();
  let scene = sceneOf(data, 1, { projection: "tour" });
  const [points] = kinds(view("feature").layout(scene), "points") as [Points];
  const { x, y, width, height } = points.clip as { x: number; y: number; width: number; height: number };
  const [middle, length] = [[x + width / 2, y + height / 2] as const, 0.3 * Math.min(width, height)];
  let from: [number, number] = [middle[0] + length, middle[1]];
  for (const [a, b] of [
    [0.9, 0.2],
    [1.6, 0.6],
    [0.5, 0.4],
  ] as const) {
    const to: [number, number] = [middle[0] + length * a, middle[1] - length * b];
    const tour = view("feature").drag?.(scene, from, to)?.tour as number[][];
    const far = Math.max(1, Math.hypot(a, b));
    assert.ok(Math.hypot((tour[0]?.[0] as number) - a / far, (tour[1]?.[0] as number) - b / far) < 2e-3);
    scene = sceneOf(data, 1, { projection: "tour", tour });
    from = to;
  }
  assert.equal(view("feature").drag?.(scene, [x + 3, y + 3], [x + 9, y + 9]), null);
});

test("the tip of a component is put to a place by its numbers, beside a mouse", async () => {
  const data = await usual();
  const scene = sceneOf(data, 1, { projection: "tour" });
  assert.deepEqual(componentOf(scene, 1), [0, 1]);
  const change = pointed(scene, 1, 0.3, 0.5);
  const moved = sceneOf(data, 1, { projection: "tour", ...change });
  const [across, up] = componentOf(moved, 1);
  assert.ok(Math.hypot(across - 0.3, up - 0.5) < 1e-9);
  // The tip is drawn there.
  const [points] = kinds(view("feature").layout(moved), "points") as [Points];
  const { x, y, width, height } = points.clip as { x: number; y: number; width: number; height: number };
  const length = 0.3 * Math.min(width, height);
  const tips = kinds(view("feature").layout(moved), "rects").map(({ boxes }) => [(boxes[0] as number) + 4, (boxes[1] as number) + 4]);
  const wanted = [x + width / 2 + length * 0.3, y + height / 2 - length * 0.5] as const;
  assert.ok(tips.some(([a, b]) => Math.hypot((a as number) - wanted[0], (b as number) - wanted[1]) < 1e-3));
  assert.deepEqual(pointed(sceneOf(data, 1), 0, 1, 0), {});
});

/** Runs that lack something, or have it otherwise. */
const ODD: Record<string, (run: Run, memory: Memory) => Partial<Run>> = {
  "with next to nothing": () => ({
    labels: null,
    inputs: null,
    probabilities: null,
    wrong: null,
    spaces: [],
    boundary: null,
    tours: [],
    distributions: [],
    diagram: null,
    curves: [],
    marks: [],
  }),
  "without labels": () => ({ labels: null, wrong: null }),
  "of one class only": (_, memory) => ({ labels: memory.bytes("one", ["example"], [EXAMPLES], () => 1) }),
  "of several labels": () => ({ task: { kind: "labels", names: ["striped", "round"], link: "sigmoid" } }),
  "of quantities": (_, memory) => ({
    task: { kind: "quantities", names: ["price"], link: "identity" },
    labels: null,
    probabilities: null,
    wrong: null,
    targets: memory.array("targets", ["example", "quantity"], [EXAMPLES, 1], (k) => random(k)),
    predictions: memory.array(
      "predictions",
      ["frame", "example", "quantity"],
      [FRAMES, EXAMPLES, 1],
      (k) => random(k % EXAMPLES) + 0.1,
    ),
  }),
  "of quantities that all are the same": (_, memory) => ({
    task: { kind: "quantities", names: ["price"], link: "identity" },
    labels: null,
    probabilities: null,
    wrong: null,
    targets: memory.array("targets", ["example", "quantity"], [EXAMPLES, 1], () => 3),
    predictions: memory.array("predictions", ["frame", "example", "quantity"], [FRAMES, EXAMPLES, 1], () => 3),
  }),
  "of unknown targets": () => ({
    task: { kind: "quantities", names: [], link: "identity" },
    labels: null,
    probabilities: null,
    wrong: null,
  }),
  "of 100 classes": (run, memory) => ({
    task: { kind: "classes", names: Array.from({ length: 100 }, (_, k) => `class ${k}`), link: "softmax" },
    labels: memory.bytes("many", ["example"], [EXAMPLES], (k) => (k * 7) % 100),
    probabilities: memory.array("hundred", ["frame", "example", "class"], [FRAMES, EXAMPLES, 100], () => 0.01),
    boundary: {
      ...(run.boundary as NonNullable<Run["boundary"]>),
      regions: memory.bytes("winners", ["frame", "row", "column"], [FRAMES, SIDE, SIDE], (k) => (k * 13) % 100),
      leads: memory.array("leads", ["frame", "row", "column"], [FRAMES, SIDE, SIDE], random),
    },
  }),
  "that has diverged": (run, memory) => {
    const nan = (values: Run["losses"]): Run["losses"] =>
      memory.array(values.name, values.axes, values.shape, () => Number.NaN);
    return {
      losses: nan(run.losses),
      probabilities: nan(run.probabilities as Run["losses"]),
      spaces: run.spaces.map((space) => ({
        ...space,
        points: nan(space.points),
        regions: nan(space.regions as Run["losses"]),
      })),
      curves: run.curves.map((curve) => ({ ...curve, values: nan(curve.values) })),
      distributions: run.distributions.map((one) => ({
        ...one,
        densities: nan(one.densities),
        quantiles: nan(one.quantiles),
        zeros: nan(one.zeros),
      })),
      diagram: run.diagram && {
        ...run.diagram,
        weights: nan(run.diagram.weights),
        maps: nan(run.diagram.maps as Run["losses"]),
      },
    };
  },
  "with images": (_, memory) => ({
    images: memory.array("images", ["example", "row", "column", "channel"], [EXAMPLES, 8, 8, 1], (k) => random(k)),
  }),
};

for (const [what, change] of Object.entries(ODD)) {
  test(`a run ${what} is shown, at every size`, async () => {
    const data = await usual(change);
    for (const size of [
      [330, 220],
      [420, 390],
      [900, 380],
    ] as [number, number][]) {
      for (const one of VIEWS.filter((each) => each.available(data))) {
        for (const scene of [
          sceneOf(data, 1.5, {}, size),
          sceneOf(
            data,
            4,
            { selected: new Set([1, 2]), hovered: 5, unit: { column: 1, unit: 0 }, projection: "tour" },
            size,
          ),
        ]) {
          check(one, scene);
        }
      }
    }
  });
}

function check(one: View, scene: Scene): void {
  const shapes = one.layout(scene);
  assert.ok(shapes.length > 0);
  for (const { x, y, text, size } of kinds(shapes, "text")) {
    assert.ok(Number.isFinite(x) && Number.isFinite(y), `${one.id}: ${text}`);
    assert.ok(
      x >= -1 && x <= scene.width + 1 && y >= -1 && y <= scene.height + 1,
      `${one.id}: "${text}" at ${x}, ${y}`,
    );
    assert.ok(size >= 11);
    assert.ok(!/undefined|NaN(?! )|null/.test(text) || text === "NaN", `${one.id}: ${text}`);
  }
  for (const { boxes } of kinds(shapes, "rects")) assert.ok(boxes.every(Number.isFinite), one.id);
  for (const image of kinds(shapes, "image")) assert.equal(image.pixels.length, 4 * image.rows * image.columns);
  assert.match(one.label(scene), /\w+/);
  assert.ok(!/undefined|null/.test(one.label(scene)), one.label(scene));
  const { columns, rows } = one.table(scene);
  for (const row of rows) assert.equal(row.length, columns.length);
  one.hover?.(scene, scene.width / 2, scene.height / 2);
  one.brush?.(scene, { x0: 0, y0: 0, x1: scene.width, y1: scene.height });
}

test("of several labels the first is shown, and what is wrong in it", async () => {
  const data = await usual((_, memory) => ({
    task: { kind: "labels", names: ["striped", "round"], link: "sigmoid" },
    // Wrong in some label, mostly in another.
    wrong: memory.bytes("any", ["frame", "example"], [FRAMES, EXAMPLES], () => 1),
  }));
  const wrong = all.filter((k) => isWrong(1, k)).length;
  assert.ok(view("boundary").label(sceneOf(data, 1)).includes(`${wrong} of ${EXAMPLES} examples wrong in "striped"`));
  const [points] = kinds(view("boundary").layout(sceneOf(data, 1)), "points") as [Points];
  assert.deepEqual(
    [...(points.mark ?? [])],
    all.map((k) => Number(isWrong(1, k))),
  );
});

test("labels say what is seen with its numbers", async () => {
  const data = await usual();
  const wrong = all.filter((k) => isWrong(1, k)).length;
  assert.ok(view("boundary").label(sceneOf(data, 1)).includes(`epoch 10: ${wrong} of ${EXAMPLES} examples wrong`));
  assert.ok(view("feature").label(sceneOf(data, 1.5)).includes("epoch 15 (interpolated)"));
  assert.ok(texts(view("feature").layout(sceneOf(data, 1))).includes("variance kept 98 %, regions agree for 99 %"));
  assert.ok(texts(view("violins").layout(sceneOf(data, 1))).includes("12 % zero"));
});

test("a scene is laid out the same each time, and laying out another leaves the first as it was", async () => {
  const data = await usual();
  for (const one of VIEWS) {
    const first = one.layout(sceneOf(data, 1));
    const kept = structuredClone(first);
    one.layout(sceneOf(data, 3));
    assert.deepEqual(first, kept, one.id);
    assert.deepEqual(one.layout(sceneOf(data, 1)), kept, one.id);
  }
});
