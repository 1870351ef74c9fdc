import { contours } from "d3-contour";

/**
 * Where values (row, column) cross a level, between the samples: polylines of (column, row), NaN between them.
 *
 * What is NaN has no edge.
 */
export function contour(values: Float32Array, columns: number, rows: number, level: number): Float32Array {
  const shape = contours()
    .size([columns, rows])
    .contour(values as unknown as number[], level);
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

/**
 * Where one class by number (row, column) borders on another: pieces of lines through the middles between samples.
 */
export function borders(classes: Float32Array, columns: number, rows: number): Float32Array {
  const found: number[] = [];
  for (let row = 0; row + 1 < rows; row++) {
    for (let column = 0; column + 1 < columns; column++) {
      const at = row * columns + column;
      const [a, b] = [classes[at] as number, classes[at + 1] as number];
      const [c, d] = [classes[at + columns] as number, classes[at + columns + 1] as number];
      if (a === b && c === d && a === c) continue;
      if (Number.isNaN(a + b + c + d)) continue;
      const start = found.length;
      if (a !== b) found.push(column + 0.5, row);
      if (b !== d) found.push(column + 1, row + 0.5);
      if (c !== d) found.push(column + 0.5, row + 1);
      if (a !== c) found.push(column, row + 0.5);
      if (found.length - start > 4) {
        // Three or four classes meet in the middle.
        for (const [x, y] of pairs(found.splice(start)))
          found.push(x, y, column + 0.5, row + 0.5, Number.NaN, Number.NaN);
      } else {
        found.push(Number.NaN, Number.NaN);
      }
    }
  }
  return Float32Array.from(found);
}

function pairs(line: number[]): [number, number][] {
  return Array.from({ length: line.length / 2 }, (_, k) => [line[2 * k] as number, line[2 * k + 1] as number]);
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
