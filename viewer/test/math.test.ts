import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { decode } from "../src/data/codec";
import type { Values } from "../src/data/schema";
import { drag, firstAxes, project, tourStep } from "../src/math/project";
import { contrast, coloursOf, mix } from "../src/draw/palette";
import { Splat } from "../src/draw/splat";
import { DARK, LIGHT } from "../src/draw/theme";
import { field } from "../src/draw/field";
import { field as csvField } from "../src/ui/export";

function orthonormal(axes: number[][]): void {
  const [u, v] = axes as [number[], number[]];
  const dot = (a: number[], b: number[]): number => a.reduce((sum, value, k) => sum + value * b[k]!, 0);
  for (const [found, expected] of [
    [dot(u, u), 1],
    [dot(v, v), 1],
    [dot(u, v), 0],
  ] as const) {
    assert.ok(Math.abs(found - expected) < 1e-9, `${found} instead of ${expected}`);
  }
}

test("a dragged axis lies under the pointer and all axes stay orthonormal", () => {
  for (const components of [3, 4, 10]) {
    let axes = firstAxes(components);
    for (let k = 0; k < 60; k++) {
      const [x, y] = [0.9 * Math.sin(3 * k), 0.4 * Math.cos(5 * k)];
      const component = k % components;
      axes = drag(axes, component, x, y);
      orthonormal(axes);
      assert.ok(Math.abs(axes[0]![component]! - x) < 1e-9 && Math.abs(axes[1]![component]! - y) < 1e-9);
    }
  }
});

test("a small drag changes little", () => {
  const axes = tourStep(firstAxes(6), 0.7);
  const moved = drag(axes, 2, axes[0]![2]! + 1e-4, axes[1]![2]!);
  moved.flat().forEach((value, k) => assert.ok(Math.abs(value - axes.flat()[k]!) < 2e-4));
});

test("a tour stays orthonormal and shows every component", () => {
  let axes = firstAxes(8);
  const shown = new Array<number>(8).fill(0);
  for (let k = 0; k < 4000; k++) {
    axes = tourStep(axes, 0.02);
    axes[0]!.forEach((value, component) => (shown[component] = Math.max(shown[component]!, Math.abs(value))));
  }
  orthonormal(axes);
  shown.forEach((most) => assert.ok(most > 0.5));
});

test("a projection is the scores' product with the axes", () => {
  const { x, y } = project(Float32Array.of(1, 2, 3, 4, 5, 6), [
    [1, 0, 0],
    [0, 0.6, 0.8],
  ]);
  assert.deepEqual([...x], [1, 4]);
  [3.6, 7.8].forEach((value, k) => assert.ok(Math.abs(y[k]! - value) < 1e-5));
});

test("arrays of a page are decoded", async () => {
  const values = (dtype: Values["dtype"], axes: string[], shape: number[]): Values => ({
    name: "a",
    dtype,
    axes,
    shape,
    low: 0,
    step: 1,
    gaps: false,
  });
  // By hand: frames (1, 65535), (0, 3) as differences (1, 65535), (65535, 4); low bytes first.
  const bytes = Uint8Array.of(1, 255, 255, 4, 0, 255, 255, 0);
  const text = gzipSync(bytes).toString("base64");
  assert.deepEqual(await decode(values("uint16", ["frame", "x"], [2, 2]), text), Uint16Array.of(1, 65535, 0, 3));
  const floats = new Uint8Array(Float32Array.of(1.5, -2).buffer);
  const shuffled = [0, 1, 2, 3].flatMap((byte) => [floats[byte]!, floats[4 + byte]!]);
  const decoded = await decode(
    values("float32", ["frame"], [2]),
    gzipSync(Uint8Array.from(shuffled)).toString("base64"),
  );
  assert.deepEqual(decoded, Float32Array.of(1.5, -2));
  await assert.rejects(decode(values("uint8", ["x"], [9]), text), /"a" of this page has 8 bytes, expected 9/);
});

test("a splatted disc covers its area, in its colour, and its pixels know its example", () => {
  for (const ratio of [1, 1.5, 2]) {
    const splat = new Splat(Math.round(60 * ratio), Math.round(40 * ratio));
    const [x, y, radius] = [20.3, 15.6, 4];
    const points = {
      kind: "points" as const,
      x: Float32Array.of(x, Number.NaN),
      y: Float32Array.of(y, 3),
      colour: Uint8Array.of(0, 0),
      palette: ["#0072B2"],
      radius,
      ids: Int32Array.of(7, 8),
    };
    splat.draw(points, ratio, "#ffffff", "#C2185B");
    let [blue, column, row, count] = [0, 0, 0, 0];
    const { data } = splat.image;
    for (let k = 0; k < splat.ids.length; k++) {
      // White and the disc's blue differ by 255 in red.
      if (data[4 * k + 3]! > 0) blue += ((255 - data[4 * k]!) / 255) * (data[4 * k + 3]! / 255);
      if (splat.ids[k] !== 7) continue;
      column += (k % splat.width) + 0.5;
      row += Math.floor(k / splat.width) + 0.5;
      count += 1;
    }
    const area = Math.PI * (radius * ratio) ** 2;
    assert.ok(Math.abs(blue / area - 1) < 0.03, `${blue} of ${area}`);
    // Drawn at most half of a quarter of a pixel beside its place.
    assert.ok(Math.hypot(column / count - x * ratio, row / count - y * ratio) < 0.3);
    assert.equal(splat.pick(x * ratio, y * ratio, 1), 7);
    assert.equal(splat.pick((x + 12) * ratio, y * ratio, 2), -1);
    assert.ok(!splat.ids.includes(8));
  }
});

test("a splatted disc is cut off at its clip", () => {
  const splat = new Splat(20, 20);
  const clip = { x: 0, y: 0, width: 10, height: 20 };
  const points = {
    kind: "points" as const,
    x: Float32Array.of(9.5),
    y: Float32Array.of(10),
    colour: Uint8Array.of(0),
    palette: ["#000000"],
    radius: 5,
    ids: null,
    clip,
  };
  splat.draw(points, 1, "#ffffff", "#ff0000");
  const alpha = (column: number): number => splat.image.data[4 * (10 * 20 + column) + 3] as number;
  assert.equal(alpha(9), 255);
  assert.equal(alpha(10), 0);
});

test("texts and classes are seen on their surface", () => {
  for (const theme of [LIGHT, DARK]) {
    for (const colour of [theme.text, theme.muted, theme.accent, theme.wrong]) {
      assert.ok(contrast(colour, theme.surface) >= 4.5, `${colour} on ${theme.surface}`);
    }
    for (const colour of [theme.text, theme.muted]) assert.ok(contrast(colour, theme.background) >= 4.5);
  }
  for (const colour of coloursOf(16, DARK).classes) assert.ok(contrast(colour, DARK.surface) >= 4.4);
  assert.equal(coloursOf(2, LIGHT).classes[0], "#0072B2");
  assert.equal(mix("#000000", "#ffffff", 0.5), "#808080");
});

test("a field of a CSV holds any text and starts no formula", () => {
  assert.equal(csvField('a "b", c'), '"a ""b"", c"');
  assert.equal(csvField("=HYPERLINK(1)"), "'=HYPERLINK(1)");
  assert.equal(csvField("-0.5"), "-0.5");
  assert.equal(csvField(Number.NaN), "");
});

test("a picture of a field has the shade of each place, and sees what is unknown as its nearest sample", () => {
  const [columns, rows] = [9, 7];
  const values = Float32Array.from({ length: columns * rows }, (_, k) => 5 * Math.sin(1.7 * k));
  values[2 * columns + 3] = Number.NaN;
  const colours = Int32Array.from({ length: 500 }, (_, k) => 0x7f000000 | k);
  const area = { x: 10, y: 20, width: 160, height: 90 };
  const clip = { x: 30, y: 0, width: 101, height: 97 };
  const shown = field(values, columns, rows, area, clip, { low: -4, high: 3, colours });
  assert.deepEqual([shown.x, shown.y, shown.width, shown.height], [30, 20, 101, 77]);
  const pixels = new Int32Array(shown.pixels.buffer);
  let [unknown, nearest] = [0, 0];
  for (let row = 0; row < shown.rows; row++) {
    for (let column = 0; column < shown.columns; column++) {
      const x = (((column + 0.5) / shown.columns) * 101 + 20) / 160;
      const y = (90 - ((row + 0.5) / shown.rows) * 77) / 90;
      const [u, v] = [x * (columns - 1), y * (rows - 1)];
      const [left, below] = [Math.floor(u), Math.floor(v)];
      const at = (i: number, j: number): number => values[j * columns + i]!;
      let value = 0;
      for (const [i, j] of [[0, 0], [1, 0], [0, 1], [1, 1]] as const) {
        value += Math.abs(1 - i - (u - left)) * Math.abs(1 - j - (v - below)) * at(left + i, below + j);
      }
      if (Number.isNaN(value)) {
        value = at(Math.round(u), Math.round(v));
        nearest++;
      }
      const pixel = pixels[row * shown.columns + column]!;
      if (Number.isNaN(value)) {
        assert.equal(pixel, 0);
        unknown++;
      } else {
        const step = Math.min(Math.max(((value + 4) / 7) * 500, 0), 499);
        assert.ok(Math.abs((pixel & 0xffffff) - step) <= 1, `${pixel & 0xffffff} instead of ${step}`);
      }
    }
  }
  assert.ok(unknown > 20 && nearest > 2 * unknown);
});
