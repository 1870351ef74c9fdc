import { type ContourMultiPolygon, contours } from "d3-contour";

/**
 * Where values (row, column) cross a level, between the samples: polylines of (column, row), NaN between them.
 *
 * What is NaN has no edge.
 */
export function contour(values: Float32Array, columns: number, rows: number, level: number): Float32Array {
  const shape = contours()
    .size([columns, rows])
    .contour(values as unknown as number[], level);
  return inside(shape, values, columns, rows);
}

/** The parts of a contour that do not run around the border of the grid. */
function inside(shape: ContourMultiPolygon, values: Float32Array, columns: number, rows: number): Float32Array {
  const found: number[] = [];
  for (const rings of shape.coordinates) {
    for (const ring of rings) {
      for (const [x, y] of ring as [number, number][]) {
        // d3 has the first sample at 0.5, and closes its rings around the border, half a cell outside.
        const known = isInside(x - 0.5, y - 0.5, values, columns, rows);
        if (known) found.push(x - 0.5, y - 0.5);
        else if (!Number.isNaN(found.at(-1) ?? Number.NaN)) found.push(Number.NaN, Number.NaN);
      }
      if (!Number.isNaN(found.at(-1) ?? Number.NaN)) found.push(Number.NaN, Number.NaN);
    }
  }
  return Float32Array.from(found);
}

/** A part of a grid: rings of (column, row) around it, and polylines where it ends within the grid; NaN between them. */
export interface Outline {
  rings: Float32Array;
  edge: Float32Array;
}

/**
 * Where each group of classes lies, of the classes by number (row, column) that win there; null where one wins nowhere.
 *
 * Between two samples the edge is where their `leads`, by which each winner is ahead of the next, say that both are
 * equal: exact where scores are linear and the next is the other's winner. Without leads it is half-way.
 */
export function outlines(
  groups: Float32Array,
  leads: Float32Array | null,
  count: number,
  columns: number,
  rows: number,
): (Outline | null)[] {
  const present = new Set(groups);
  return Array.from({ length: count }, (_, group) => {
    if (!present.has(group)) return null;
    const ahead = groups.map((winner, k) => {
      const lead = Math.max(leads?.[k] ?? 1, 1e-6);
      return winner === group ? lead : Number.isNaN(winner) ? winner : -lead;
    });
    const found = contours().size([columns, rows]).contour(ahead as unknown as number[], 0);
    const rings: number[] = [];
    for (const ring of found.coordinates.flat() as [number, number][][]) {
      // d3 closes its rings half a cell outside.
      for (const [x, y] of ring) rings.push(within(x - 0.5, columns), within(y - 0.5, rows));
      rings.push(Number.NaN, Number.NaN);
    }
    return { rings: Float32Array.from(rings), edge: inside(found, ahead, columns, rows) };
  });
}

function within(place: number, samples: number): number {
  return Math.min(Math.max(place, 0), samples - 1);
}

function isInside(x: number, y: number, values: Float32Array, columns: number, rows: number): boolean {
  if (x < 0 || y < 0 || x > columns - 1 || y > rows - 1) return false;
  // Beside what is NaN, d3 puts the edge on the sample that is known.
  const reach = Number.isInteger(x) && Number.isInteger(y) ? 1 : 0;
  const at = (column: number, row: number): number => values[row * columns + column] as number;
  const [left, right] = [Math.max(Math.floor(x) - reach, 0), Math.min(Math.ceil(x) + reach, columns - 1)];
  const [low, high] = [Math.max(Math.floor(y) - reach, 0), Math.min(Math.ceil(y) + reach, rows - 1)];
  const [column, row] = [Math.round(x), Math.round(y)];
  return !Number.isNaN(at(left, row) + at(right, row) + at(column, low) + at(column, high));
}
