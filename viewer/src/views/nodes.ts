import type { Diagram } from "../data/schema";
import { once, sampled } from "./once";
import type { Scene } from "./view";

/** Room for the titles above the units, and for the key below them. */
const [TOP, BOTTOM] = [46, 26];

/** A unit, where it is drawn. */
export interface Node {
  column: number;
  /** Its place in the column's units. */
  unit: number;
  x: number;
  y: number;
}

export interface Drawn {
  diagram: Diagram;
  nodes: Node[][];
  radius: number;
  weights: Float32Array;
  heaviest: number;
}

export function geometry(scene: Scene): Drawn | null {
  const { data, t, width, height } = scene;
  const found = data.run.diagram;
  const weights = data.at(found?.weights ?? null, t);
  if (found === null || weights === null) return null;
  const heaviest = once(data, "heaviest weight", () => {
    let most = 0;
    for (const frame of sampled(found.weights)) {
      const row = data.row(found.weights, frame);
      if (row === null) return null;
      for (const weight of row) if (Math.abs(weight) > most && Number.isFinite(weight)) most = Math.abs(weight);
    }
    return most || 1;
  });
  if (heaviest === null) return null;
  const step = width / found.columns.length;
  const slots = Math.max(...found.columns.map(({ units, size }) => units.length + (units.length < size ? 1 : 0)), 1);
  const pitch = (height - TOP - BOTTOM) / slots;
  const radius = Math.max(3, Math.min(22, 0.42 * pitch, step / 4));
  const placed = found.columns.map(({ units, size }, column) => {
    const gap = gapAfter(units, size);
    const rows = units.length + (gap < 0 ? 0 : 1);
    const own = Math.min((height - TOP - BOTTOM) / rows, 2 * pitch);
    const top = TOP + (height - TOP - BOTTOM - own * rows) / 2;
    return units.map((_, unit): Node => ({
      column,
      unit,
      x: step * (column + 0.5),
      y: top + own * (unit + (gap >= 0 && unit >= gap ? 1 : 0) + 0.5),
    }));
  });
  return { diagram: found, nodes: placed, radius, weights, heaviest };
}

/** Before which of the units shown the others are left out; -1 if none are. */
export function gapAfter(units: number[], size: number): number {
  if (units.length >= size) return -1;
  const jump = units.findIndex((unit, k) => k > 0 && unit > (units[k - 1] as number) + 1);
  return jump < 0 ? units.length : jump;
}

export function eachEdge(
  { nodes: columns, weights }: Drawn,
  visit: (from: Node, to: Node, weight: number) => void,
): void {
  let at = 0;
  for (let column = 0; column + 1 < columns.length; column++) {
    for (const from of columns[column] as Node[]) {
      for (const to of columns[column + 1] as Node[]) visit(from, to, weights[at++] ?? Number.NaN);
    }
  }
}

export function named({ diagram: { columns } }: Drawn, { column, unit }: Node): [string, number] {
  return [columns[column]?.layer ?? "", columns[column]?.units[unit] ?? unit];
}

export function nodeAt({ nodes: columns, radius }: Drawn, x: number, y: number): Node | null {
  const near = Math.max(radius + 3, 9);
  return columns.flat().find((node) => Math.hypot(node.x - x, node.y - y) <= near) ?? null;
}

/** From a place to a line between two units, at the place's own x. */
export function distance(x: number, y: number, from: Node, to: Node): number {
  const share = (x - from.x) / (to.x - from.x);
  if (share < 0 || share > 1) return Number.POSITIVE_INFINITY;
  return Math.abs(from.y + (to.y - from.y) * share * share * (3 - 2 * share) - y);
}
