import { circle } from "../draw/axes";
import type { Box, Points, Shape } from "../draw/shapes";
import { groupsOf } from "./groups";
import { wrongOf } from "./rows";
import type { Scene } from "./view";

/** Trails of more examples than so many would hide each other. */
const TRAILS = 40;
/** A trail has at most about so many corners. */
const CORNERS = 400;

/**
 * Examples as dots, wrong ones crossed; of a selection the others fade and lie below its
 * trails, and a ring is around the one hovered.
 */
export function dots(scene: Scene, x: Float32Array, y: Float32Array, clip: Box, trails: Shape[] = []): Shape[] {
  const groups = groupsOf(scene);
  if (groups === null) return [];
  const { state, theme } = scene;
  const wrong = marks(wrongOf(scene));
  const radius = radiusOf(x.length, clip);
  const all = { kind: "points", palette: groups.colours, radius, clip } as const;
  const selected = [...state.selected].filter((place) => place < x.length);
  const ids = numbersTo(x.length);
  const base: Points = { ...all, x, y, colour: groups.of, ids, ...(wrong && { mark: wrong }) };
  if (selected.length > 0) base.alpha = 0.22;
  const shapes: Shape[] = [base, ...trails];
  if (selected.length > 0) {
    shapes.push({
      ...all,
      x: Float32Array.from(selected, (place) => x[place] as number),
      y: Float32Array.from(selected, (place) => y[place] as number),
      colour: Uint8Array.from(selected, (place) => groups.of[place] as number),
      ids: Int32Array.from(selected),
      radius: radius + 1,
      ...(wrong && { mark: Uint8Array.from(selected, (place) => wrong[place] as number) }),
    });
  }
  const { hovered } = state;
  if (hovered !== null && Number.isFinite(x[hovered]) && Number.isFinite(y[hovered])) {
    const ring = circle(x[hovered] as number, y[hovered] as number, radius + 4);
    shapes.push({ kind: "path", commands: [ring], stroke: theme.text, width: 2, clip });
  }
  return shapes;
}

/** The way that selected examples have come up to now; `place` says where an example was at a frame. */
export function trails(
  scene: Scene,
  frames: number,
  path: (example: number) => [Float32Array, Float32Array] | null,
  toX: (value: number) => number,
  toY: (value: number) => number,
  clip: Box,
): Shape[] {
  const groups = groupsOf(scene);
  const { selected } = scene.state;
  if (groups === null || selected.size === 0) return [];
  const every = Math.ceil(selected.size / TRAILS);
  const chosen = [...selected].filter((place, k) => k % every === 0 && place < groups.of.length);
  const last = Math.min(Math.floor(scene.t), frames - 1);
  const stride = Math.max(1, Math.ceil(last / CORNERS));
  const lines: Float32Array[][] = groups.colours.map(() => []);
  for (const place of chosen) {
    const found = path(place);
    if (found === null) return [];
    const [x, y] = found;
    const line: number[] = [];
    for (let frame = 0; frame <= last; frame += stride) {
      line.push(toX(x[frame] as number), toY(y[frame] as number));
    }
    line.push(toX(between(x, scene.t)), toY(between(y, scene.t)));
    lines[groups.of[place] as number]?.push(Float32Array.from(line));
  }
  return lines.flatMap((commands, k): Shape[] =>
    commands.length === 0
      ? []
      : [{ kind: "path", commands, stroke: groups.colours[k] as string, width: 1.4, alpha: 0.6, clip }],
  );
}

/** The places of points in a box. */
export function within(
  x: Float32Array,
  y: Float32Array,
  clip: Box,
  box: { x0: number; y0: number; x1: number; y1: number },
): number[] {
  const left = Math.max(Math.min(box.x0, box.x1), clip.x);
  const right = Math.min(Math.max(box.x0, box.x1), clip.x + clip.width);
  const top = Math.max(Math.min(box.y0, box.y1), clip.y);
  const bottom = Math.min(Math.max(box.y0, box.y1), clip.y + clip.height);
  const found: number[] = [];
  for (let k = 0; k < x.length; k++) {
    const [a, b] = [x[k] as number, y[k] as number];
    if (a >= left && a <= right && b >= top && b <= bottom) found.push(k);
  }
  return found;
}

/** How many are wrong; null if that is not known. */
export function countWrong(scene: Scene): number | null {
  const wrong = wrongOf(scene);
  if (wrong === null) return null;
  let count = 0;
  for (let k = 0; k < wrong.length; k++) if (wrong[k] === 1) count++;
  return count;
}

function marks(wrong: Float32Array | null): Uint8Array | null {
  if (wrong === null) return null;
  const found = new Uint8Array(wrong.length);
  for (let k = 0; k < wrong.length; k++) found[k] = wrong[k] === 1 ? 1 : 0;
  return found;
}

function between(values: Float32Array, t: number): number {
  const before = Math.min(Math.max(Math.floor(t), 0), values.length - 1);
  const after = Math.min(before + 1, values.length - 1);
  const [a, b] = [values[before] as number, values[after] as number];
  return a + (b - a) * (t - before || 0);
}

function radiusOf(count: number, { width, height }: Box): number {
  const room = Math.sqrt((width * height) / Math.max(count, 1));
  return Math.min(Math.max(0.19 * room, 1), 3.5);
}

let counted = new Int32Array(0);

function numbersTo(count: number): Int32Array {
  if (counted.length < count) counted = Int32Array.from({ length: count }, (_, k) => k);
  return counted.subarray(0, count);
}
