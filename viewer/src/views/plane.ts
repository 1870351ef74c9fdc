import type { Space } from "../data/schema";
import { type Shades, field, shadesOf } from "../draw/field";
import { channels } from "../draw/palette";
import { sequential } from "../draw/ramp";
import type { Box, Path, Shape } from "../draw/shapes";
import type { Theme } from "../draw/theme";
import { contour, outlines } from "../math/contour";
import { memo } from "../math/memo";
import { type Ends, type Scale, union } from "../math/scale";
import { classNames, groupsOf } from "./groups";
import { ends } from "./once";
import type { Scene } from "./view";

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
    const shades = shadesOf(sequential(), ends(data, space.regions) ?? [0, 1], 1.4 * theme.regions);
    return [field(values, columns, rows, area, clip, shades)];
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
  const edge = placed(contour(known, columns, rows, 0), columns, rows, area);
  return [
    field(known, columns, rows, area, clip, shadesOfTwo(colours, theme.regions)),
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

/** Where points (example, 2) are on the screen. Of the same points they are the same arrays: some never move. */
export const onScreen = memo((points: Float32Array, x: Scale, y: Scale): { x: Float32Array; y: Float32Array } => {
  const [left, bottom] = [x(0), y(0)];
  const [across, up] = [x(1) - left, y(1) - bottom];
  const found = { x: new Float32Array(points.length / 2), y: new Float32Array(points.length / 2) };
  for (let k = 0; k < found.x.length; k++) {
    found.x[k] = left + across * (points[2 * k] as number);
    found.y[k] = bottom + up * (points[2 * k + 1] as number);
  }
  return found;
});

/** Whether a frame has numbers that are none: the weights have diverged. */
export function diverged(values: Float32Array | null): boolean {
  if (values === null) return false;
  for (let k = 0; k < values.length; k++) if (!Number.isFinite(values[k])) return true;
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

/** Logits that are further from 0 than this look the same. */
const FAR = 8;
const SHADES = 1024;

/** The shades of logit leads of the second class; small ones are pale. */
const shadesOfTwo = memo((colours: string[], opacity: number): Shades => {
  const pixels = new Uint8ClampedArray(4 * SHADES);
  for (let k = 0; k < SHADES; k++) {
    const value = ((k + 0.5) / SHADES) * 2 * FAR - FAR;
    const lead = Math.abs(value);
    const alpha = 255 * opacity * (0.3 + (0.9 * lead) / (1 + lead));
    pixels.set([...channels(colours[value > 0 ? 1 : 0] as string), alpha], 4 * k);
  }
  return { low: -FAR, high: FAR, colours: new Int32Array(pixels.buffer) };
});
