import assert from "node:assert/strict";
import { test } from "node:test";
import { contour, outlines } from "../src/math/contour";
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

test("classes border on each other half-way between samples if that is all that is known", () => {
  const classes = Float32Array.from({ length: 25 }, (_, k) => (k % 5 < 2 ? 0 : Math.floor(k / 5) < 3 ? 1 : 2));
  const found = outlines(classes, null, 4, 5, 5);
  assert.deepEqual(found.map((outline) => outline === null), [false, false, false, true]);
  let known = 0;
  for (const [x, y] of found.flatMap((outline) => (outline === null ? [] : pairs(outline.edge)))) {
    if (Number.isNaN(x)) continue;
    // A corner of three classes is cut.
    assert.ok(x === 1.5 || (y === 2.5 && x >= 1.5) || Math.hypot(x - 1.5, y - 2.5) < 0.75, `${x}, ${y}`);
    known++;
  }
  assert.ok(known > 8);
});

test("three linear scores are equal where the edges between their classes are", () => {
  const [columns, rows] = [41, 31];
  const scores = (x: number, y: number): number[] => [0.9 * x - 0.2 * y, 12 + 0.1 * y, 1.1 * y + 0.3 * x - 6];
  const sorted = Array.from({ length: columns * rows }, (_, k) => {
    const all = scores(k % columns, Math.floor(k / columns));
    const order = [0, 1, 2].sort((a, b) => (all[b] as number) - (all[a] as number)) as [number, number, number];
    return { winner: order[0], lead: (all[order[0]] as number) - (all[order[1]] as number) };
  });
  const winners = Float32Array.from(sorted, ({ winner }) => winner);
  const found = outlines(winners, Float32Array.from(sorted, ({ lead }) => lead), 3, columns, rows);
  const area = (rings: Float32Array): number => {
    let [sum, start] = [0, 0];
    const all = pairs(rings);
    for (let k = 0; k + 1 < all.length; k++) {
      const [[a, b], [c, d]] = [all[k], all[k + 1]] as [[number, number], [number, number]];
      if (Number.isNaN(c)) start = k + 2;
      else if (k >= start) sum += a * d - b * c;
    }
    return Math.abs(sum / 2);
  };
  let covered = 0;
  for (const outline of found) {
    assert.ok(outline !== null);
    covered += area(outline.rings);
    const off = pairs(outline.edge)
      .filter(([x]) => !Number.isNaN(x))
      .map(([x, y]) => {
        const [first, second] = scores(x, y).sort((a, b) => b - a) as [number, number];
        return first - second;
      });
    assert.ok(off.length > 20);
    // All but those of the one cell where three meet.
    assert.ok(off.filter((lead) => lead > 1e-3).length <= 4, `${off.filter((lead) => lead > 1e-3)}`);
  }
  // The three leave no more than a part of that cell to none.
  assert.ok(Math.abs(covered - (columns - 1) * (rows - 1)) < 1);
});

function pairs(line: Float32Array): [number, number][] {
  return Array.from({ length: line.length / 2 }, (_, k) => [line[2 * k] as number, line[2 * k + 1] as number]);
}

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
