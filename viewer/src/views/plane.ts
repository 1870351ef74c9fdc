import type { Space } from "../data/schema";
import { channels } from "../draw/palette";
import { pixels, sequential } from "../draw/ramp";
import type { Box, Path, Shape } from "../draw/shapes";
import { contour, outlines } from "../math/contour";
import type { Theme } from "../draw/theme";
import { type Ends, type Scale, union } from "../math/scale";
import { classNames, groupsOf } from "./groups";
import { ends } from "./once";
import type { Scene } from "./view";

/** Pixels of a picture of regions are so many CSS pixels wide; with 2, one takes twice the time. */
const PIXEL = 3;
/** Widths of the lines between two classes, and between several. */
const [EDGE, EDGE_OF_MANY] = [2, 1.5];

/** Where the plane of a space ends, of all runs that show it. */
export function limits(spaces: Space[]): { x: Ends; y: Ends } {
  return { x: union(spaces.map(({ x }) => endsOf(x))), y: union(spaces.map(({ y }) => endsOf(y))) };
}

/** Where the plane of a space ends that is of one run alone. */
export function ownLimits(space: Space): { x: Ends; y: Ends } {
  return { x: endsOf(space.own_x), y: endsOf(space.own_y) };
}

/** The regions of a space as a translucent picture, with their edges. */
export function regions(scene: Scene, space: Space, x: Scale, y: Scale, clip: Box): Shape[] {
  const { data, theme } = scene;
  const values = data.at(space.regions, scene.t);
  const groups = groupsOf(scene);
  if (space.regions === null || values === null || groups === null) return [];
  const [rows, columns] = space.regions.shape.slice(1) as [number, number];
  const classes = classNames(data.run.task).length;
  const area = areaOf(space, x, y);
  if (classes === 0) {
    const [low, high] = ends(data, space.regions) ?? [0, 1];
    const share = (value: number): number => (value - low) / (high - low || 1);
    const fine = between(values, columns, rows, area, clip);
    const shown = pixels(fine.values, fine.columns, fine.rows, share, sequential(), 1.4 * theme.regions);
    return [{ kind: "image", ...fine.box, columns: fine.columns, rows: fine.rows, smooth: true, pixels: shown }];
  }
  // Like the classes that win, those of a recorded frame.
  const said = { values, leads: data.at(space.leads, Math.round(scene.t)), columns, rows };
  if (classes === 2) return twoRegions(said, area, clip, groups.colours, theme);
  const grouped = { ...said, values: values.map((winner) => groups.ofClass[winner] ?? winner) };
  return manyRegions(grouped, area, clip, groups.colours, theme);
}

/** What is said of places (row, column): with two classes l / (1 + |l|) of a lead, else the winner and its lead. */
interface Said {
  values: Float32Array;
  leads: Float32Array | null;
  columns: number;
  rows: number;
}

/** The regions of two classes in an area, as a translucent picture that is pale near the line between them. */
export function twoRegions(
  { values, columns, rows }: Said,
  area: Box,
  clip: Box,
  colours: string[],
  theme: Theme,
): [Shape, Path] {
  const known = logits(values);
  const { box, ...fine } = between(known, columns, rows, area, clip);
  const shown = painted(fine.values, fine.columns, fine.rows, colours.map(channels), 255 * theme.regions);
  const edge = placed(contour(known, columns, rows, 0), columns, rows, area);
  return [
    { kind: "image", ...box, columns: fine.columns, rows: fine.rows, smooth: true, pixels: shown },
    { kind: "path", commands: [edge], stroke: theme.text, width: EDGE, clip },
  ];
}

/** The regions of groups of classes in an area, and the lines between them. */
export function manyRegions(
  { values, leads, columns, rows }: Said,
  area: Box,
  clip: Box,
  colours: string[],
  theme: Theme,
): Shape[] {
  const found = outlines(values, leads && logits(leads), colours.length, columns, rows);
  const regions = found.flatMap((outline, k): Shape[] => {
    if (outline === null) return [];
    const commands = [placed(outline.rings, columns, rows, area)];
    return [{ kind: "path", commands, fill: colours[k] as string, alpha: theme.regions, closed: true, clip }];
  });
  const edges = found.flatMap((outline) => (outline === null ? [] : [placed(outline.edge, columns, rows, area)]));
  return [...regions, { kind: "path", commands: edges, stroke: theme.text, width: EDGE_OF_MANY, clip }];
}

/** A picture's values (row, column), rows from the bottom, each that of the middle of its pixel. */
interface Fine {
  values: Float32Array;
  columns: number;
  rows: number;
  box: Box;
}

/**
 * Values between the samples of a grid, bilinear, in the part of its area that is in the clip.
 *
 * Few samples are a sharp picture too, however near it is looked at.
 */
export function between(values: Float32Array, columns: number, rows: number, area: Box, clip: Box): Fine {
  const box = common(area, clip);
  const [wide, high] = [Math.max(1, Math.ceil(box.width / PIXEL)), Math.max(1, Math.ceil(box.height / PIXEL))];
  const across = places(wide, (box.x - area.x) / area.width, box.width / area.width, columns);
  const up = places(high, (area.y + area.height - box.y - box.height) / area.height, box.height / area.height, rows);
  const found = new Float32Array(wide * high);
  for (let row = 0, k = 0; row < high; row++) {
    const place = up[row] as number;
    const below = Math.min(Math.floor(place), rows - 2);
    for (let column = 0; column < wide; column++, k++) {
      const left = Math.min(Math.floor(across[column] as number), columns - 2);
      const [s, t] = [(across[column] as number) - left, place - below];
      const at = below * columns + left;
      const low = (1 - s) * (values[at] as number) + s * (values[at + 1] as number);
      const top = (1 - s) * (values[at + columns] as number) + s * (values[at + columns + 1] as number);
      const value = (1 - t) * low + t * top;
      // Beside what is not known, each sample is said of its surroundings.
      found[k] = Number.isNaN(value) ? (values[at + (t > 0.5 ? columns : 0) + (s > 0.5 ? 1 : 0)] as number) : value;
    }
  }
  return { values: found, columns: wide, rows: high, box };
}

/** Where the middles of so many pixels lie among samples, from a share of their extent on and along another. */
function places(count: number, from: number, along: number, samples: number): Float32Array {
  return Float32Array.from({ length: count }, (_, k) => (from + (along * (k + 0.5)) / count) * (samples - 1));
}

function common(a: Box, b: Box): Box {
  const [x, y] = [Math.max(a.x, b.x), Math.max(a.y, b.y)];
  const [right, bottom] = [Math.min(a.x + a.width, b.x + b.width), Math.min(a.y + a.height, b.y + b.height)];
  return { x, y, width: Math.max(right - x, 0), height: Math.max(bottom - y, 0) };
}

/** Polylines of (column, row) of a grid, rows from the bottom, in the pixels of the area that it fills. */
export function placed(line: Float32Array, columns: number, rows: number, area: Box): Float32Array {
  const [width, height] = [area.width / (columns - 1), area.height / (rows - 1)];
  return line.map((value, k) => (k % 2 === 0 ? area.x + value * width : area.y + area.height - value * height));
}

/** The pixels between the samples at the border of a space's grid. */
export function areaOf(space: Space, x: Scale, y: Scale): Box {
  const [left, right] = endsOf(space.x).map((value) => x(value)) as Ends;
  const [bottom, top] = endsOf(space.y).map((value) => y(value)) as Ends;
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/** Where points (example, 2) are on the screen. */
export function onScreen(points: Float32Array, x: Scale, y: Scale): { x: Float32Array; y: Float32Array } {
  const [left, bottom] = [x(0), y(0)];
  const [across, up] = [x(1) - left, y(1) - bottom];
  const found = { x: new Float32Array(points.length / 2), y: new Float32Array(points.length / 2) };
  for (let k = 0; k < found.x.length; k++) {
    found.x[k] = left + across * (points[2 * k] as number);
    found.y[k] = bottom + up * (points[2 * k + 1] as number);
  }
  return found;
}

/** Whether a frame has numbers that are none: the weights have diverged. */
export function diverged(values: Float32Array | null): boolean {
  for (let k = 0; k < (values?.length ?? 0); k++) if (!Number.isFinite(values?.[k])) return true;
  return false;
}

function endsOf(values: number[]): Ends {
  return [values[0] ?? 0, values.at(-1) ?? 1];
}

/** Logits of what is kept as l / (1 + |l|): along straight lines of them an edge is found more exactly. */
function logits(values: Float32Array): Float32Array {
  const found = new Float32Array(values.length);
  for (let k = 0; k < found.length; k++) {
    const value = values[k] as number;
    found[k] = value / Math.max(1 - Math.abs(value), 1e-3);
  }
  return found;
}

/** Pixels from the top, of logit leads (row, column) of the second class from the bottom; small ones are pale. */
function painted(
  values: Float32Array,
  columns: number,
  rows: number,
  colours: number[][],
  opacity: number,
): Uint8ClampedArray {
  const result = new Uint8ClampedArray(4 * columns * rows);
  // Whole pixels, which are little-endian wherever there are browsers.
  const whole = new Uint32Array(result.buffer);
  const [first, second] = colours.map(([red, green, blue]) => {
    return ((blue as number) << 16) | ((green as number) << 8) | (red as number);
  }) as [number, number];
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0, from = (rows - 1 - row) * columns; column < columns; column++, from++, at++) {
      const value = values[from] as number;
      if (Number.isNaN(value)) continue;
      const lead = Math.abs(value);
      const alpha = Math.min(Math.round(opacity * (0.3 + (0.9 * lead) / (1 + lead))), 255);
      whole[at] = (alpha << 24) | (value > 0 ? second : first);
    }
  }
  return result;
}
