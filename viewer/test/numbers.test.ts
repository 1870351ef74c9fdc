import assert from "node:assert/strict";
import { test } from "node:test";
import { borders, contour } from "../src/math/contour";
import { Histogram } from "../src/math/histogram";
import { linear, logTicks, logarithmic, padded, root, rootTicks, ticks } from "../src/math/scale";

test("a histogram counts every value once, and puts what lies beyond into the bins at the ends", () => {
  const histogram = new Histogram(0, 1, 20, 2);
  const values = Array.from({ length: 500 }, (_, k) => -0.2 + (1.4 * k) / 499);
  values.forEach((value, k) => histogram.add(value, k % 2));
  histogram.add(Number.NaN, 1);
  assert.equal(histogram.total(0) + histogram.total(1), 500);
  assert.deepEqual([...histogram.unknown], [0, 1]);
  for (let bin = 0; bin < 20; bin++) {
    const [low, high] = [bin === 0 ? -Infinity : bin / 20, bin === 19 ? Infinity : (bin + 1) / 20];
    const inside = values.filter((value, k) => k % 2 === 0 && value >= low && value < high);
    assert.equal(histogram.count(0, bin), inside.length);
  }
});

test("the edge of a plane is where the plane is 0, to a thousandth of a cell", () => {
  const [columns, rows] = [31, 23];
  const value = (x: number, y: number): number => 0.7 * x - 1.3 * y + 4.1;
  const values = Float32Array.from({ length: columns * rows }, (_, k) => value(k % columns, Math.floor(k / columns)));
  const line = contour(values, columns, rows, 0);
  const corners = line.filter((_, k) => k % 2 === 0).filter((x) => !Number.isNaN(x)).length;
  assert.ok(corners > 20);
  for (let k = 0; k < line.length; k += 2) {
    const [x, y] = [line[k] as number, line[k + 1] as number];
    if (Number.isNaN(x)) continue;
    assert.ok(Math.abs(value(x, y)) < 1e-3);
    assert.ok(x >= 0 && x <= columns - 1 && y >= 0 && y <= rows - 1);
  }
});

test("an edge reaches from border to border and leaves out what is not a number", () => {
  const side = 11;
  const values = Float32Array.from({ length: side * side }, (_, k) => (k % side) - 4.5);
  values[5 * side + 4] = Number.NaN;
  const line = contour(values, side, side, 0);
  const rows = [...line].filter((_, k) => k % 2 === 1 && !Number.isNaN(line[k] as number));
  assert.equal(Math.min(...rows), 0);
  assert.equal(Math.max(...rows), side - 1);
  assert.ok(!rows.some((row) => row > 4.001 && row < 5.999));
});

test("classes border on each other half-way between samples", () => {
  const classes = Float32Array.from({ length: 25 }, (_, k) => (k % 5 < 2 ? 7 : Math.floor(k / 5) < 3 ? 1 : 2));
  const line = borders(classes, 5, 5);
  const ends = Array.from({ length: line.length / 2 }, (_, k) => [line[2 * k], line[2 * k + 1]] as [number, number]);
  const known = ends.filter(([x]) => !Number.isNaN(x));
  assert.ok(known.length > 0);
  for (const [x, y] of known) assert.ok(x === 1.5 || (y === 2.5 && x >= 1.5));
});

test("ticks lie on their axes and are far enough apart", () => {
  const up = root(2000, [200, 0]);
  const counts = rootTicks(up, 18);
  assert.deepEqual([counts[0]?.value, counts.at(-1)?.value], [0, 2000]);
  const places = counts.map(({ value }) => up(value));
  for (let k = 1; k < places.length; k++) assert.ok((places[k - 1] as number) - (places[k] as number) >= 17.9);
  assert.deepEqual(
    logTicks(logarithmic([1e-4, 5], [0, 300]), 5).map(({ text }) => text),
    ["10⁻⁴", "0.001", "0.01", "0.1", "1"],
  );
  assert.deepEqual(
    logTicks(logarithmic([0.25, 0.9], [0, 300]), 5).map(({ value }) => value),
    [0.5],
  );
  assert.deepEqual(
    ticks(linear([-1e14, 1e14], [0, 300]), 2).map(({ text }) => text),
    ["−1·10¹⁴", "0", "1·10¹⁴"],
  );
});

test("an axis has a width, whatever it is to show", () => {
  for (const ends of [
    [3, 3],
    [0, 0],
    [Infinity, -Infinity],
    [Number.NaN, Number.NaN],
  ] as [number, number][]) {
    const [low, high] = padded(ends, 0.05);
    assert.ok(high > low);
  }
});
