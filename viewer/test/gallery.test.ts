import assert from "node:assert/strict";
import { test } from "node:test";
import { LIGHT } from "../src/draw/theme";
import { type Filter, type Table, chosen, facets, isExpression, text } from "../src/gallery/table";
import { picture } from "../src/gallery/thumbnail";

const TABLE: Table = {
  root: "runs",
  differing: ["activation", "seed"],
  runs: [
    { key: "a", name: "first", path: "runs/first", status: "complete", activation: "relu", seed: 10, created: "2026-01-01" },
    { key: "b", name: "second", path: "runs/second", status: "recording", activation: "tanh", seed: 9, created: "2026-01-03" },
    { key: "c", name: "third", path: "runs/third", status: "damaged", created: "2026-01-02" },
  ],
};

function keys(filter: Partial<Filter>): string {
  const all = { text: "", values: new Map<string, string>(), sort: "path", ...filter };
  return chosen(TABLE, all)
    .map(({ key }) => key)
    .join("");
}

test("runs are found by words, by settings, and sorted; what is lacking comes last", () => {
  assert.equal(keys({}), "abc");
  assert.equal(keys({ text: "RELU first" }), "a");
  assert.equal(keys({ text: "activation=tanh" }), "b");
  assert.equal(keys({ text: "relu second" }), "");
  assert.equal(keys({ values: new Map([["seed", "9"]]) }), "b");
  assert.equal(keys({ sort: "seed" }), "bac");
  assert.equal(keys({ sort: "-seed" }), "abc");
  assert.equal(keys({ sort: "-created" }), "bca");
  // An expression has chosen already.
  assert.equal(keys({ text: "seed > 3" }), "abc");
});

test("settings of few values are offered, numbers in their order", () => {
  assert.deepEqual(facets(TABLE), [
    ["activation", ["relu", "tanh"]],
    ["seed", ["9", "10"]],
  ]);
  const many = Array.from({ length: 40 }, (_, seed) => ({ ...TABLE.runs[0]!, seed }));
  assert.deepEqual(facets({ ...TABLE, runs: many }), []);
});

test("an expression compares something", () => {
  for (const said of ["final.loss < 0.1", "activation == 'relu'", "seed != 3", "seed in [1, 2]"]) assert.ok(isExpression(said));
  for (const said of ["relu", "activation=relu", "in relu", "big-run_3"]) assert.ok(!isExpression(said));
});

test("values are text", () => {
  assert.deepEqual([0.1 + 0.2, [1, 2], null, undefined, true, "<b>"].map(text), ["0.3", "1, 2", "", "", "true", "<b>"]);
});

test("a picture has regions and the loss, or what there is of them", () => {
  const regions = { side: 2, classes: 2, values: [0, 254, 127, 255], points: [[0.5, 0, 1] as [number, number, number]] };
  const kinds = (shapes: { kind: string }[]): string => shapes.map(({ kind }) => kind).join(" ");
  assert.equal(kinds(picture({ regions, name: "loss", loss: [3, 1, 2] }, 100, 80, LIGHT)), "image path points path path");
  assert.equal(kinds(picture({ regions: null, name: "loss", loss: [3, null, 2] }, 100, 80, LIGHT)), "path path");
  assert.equal(kinds(picture({ regions: null, name: "", loss: [] }, 100, 80, LIGHT)), "");
  const [image, , points] = picture({ regions, name: "", loss: [] }, 100, 80, LIGHT);
  assert.ok(image?.kind === "image" && points?.kind === "points");
  // The row at the bottom comes last: 0 is the first class, 254 the second; 255 is not known.
  const last = image.columns * image.rows - 1;
  const corners = [0, image.columns - 1, last - image.columns + 1, last];
  assert.deepEqual(corners.map((k) => (image.pixels[4 * k + 3] as number) > 0), [true, false, true, true]);
  assert.deepEqual([points.x[0], points.y[0]], [50, 80]);
});
