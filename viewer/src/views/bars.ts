import { LABEL, type Plot } from "../draw/axes";
import type { Box, Shape } from "../draw/shapes";
import type { Histogram } from "../math/histogram";
import type { Scale } from "../math/scale";
import type { Scene } from "./view";

/** What a histogram holds of each example: what is right, what is wrong, and what of both is selected. */
export const RIGHT = 0;
export const WRONG = 1;
export const SELECTED = 2;

/** Where bars are drawn: along `x`, from a floor to where `height` says for a count. */
export interface Stand {
  x: Scale;
  height: Scale;
}

/** The bars of a histogram: the wrong ones hatched on top of the right ones, the selected ones dark in front. */
export function bars(histogram: Histogram, { x, height }: Stand, colour: string, { theme }: Scene): Shape[] {
  const parts: [number[], number[], number[]] = [[], [], []];
  for (let bin = 0; bin < histogram.bins; bin++) {
    const [left, right] = [x(histogram.edge(bin)), x(histogram.edge(bin + 1))];
    const [sound, wrong] = [histogram.count(RIGHT, bin), histogram.count(WRONG, bin)];
    const selected = histogram.count(SELECTED, bin);
    if (sound > 0) push(parts[RIGHT], left, right - left, height(0), height(sound));
    if (wrong > 0) push(parts[WRONG], left, right - left, height(sound), height(sound + wrong));
    if (selected > 0)
      push(parts[SELECTED], left + (right - left) * 0.3, (right - left) * 0.4, height(0), height(selected));
  }
  const [sound, wrong, selected] = parts.map((part) => Float32Array.from(part)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const shapes: Shape[] = [
    { kind: "rects", boxes: sound, fill: colour },
    { kind: "rects", boxes: wrong, fill: theme.wrong, hatch: theme.surface },
    { kind: "rects", boxes: selected, fill: theme.text },
  ];
  return shapes.filter((shape) => shape.kind === "rects" && shape.boxes.length > 0);
}

/** The bins whose bar, right and wrong together, reaches into a box. */
export function binsWithin(
  histogram: Histogram,
  { x, height }: Stand,
  box: { x0: number; y0: number; x1: number; y1: number },
): Set<number> {
  const [left, right] = [Math.min(box.x0, box.x1), Math.max(box.x0, box.x1)];
  const [top, bottom] = [Math.min(box.y0, box.y1), Math.max(box.y0, box.y1)];
  const found = new Set<number>();
  for (let bin = 0; bin < histogram.bins; bin++) {
    const count = histogram.count(RIGHT, bin) + histogram.count(WRONG, bin);
    const [floor, end] = [height(0), height(count)];
    const across = x(histogram.edge(bin)) < right && x(histogram.edge(bin + 1)) > left;
    if (count > 0 && across && Math.min(floor, end) < bottom && Math.max(floor, end) > top) found.add(bin);
  }
  return found;
}

/** The bin under a place of a plot; -1 if it is outside. */
export function binAt(histogram: Histogram, x: Scale, box: Box, at: { x: number; y: number }): number {
  if (at.x < box.x || at.x > box.x + box.width || at.y < box.y || at.y > box.y + box.height) return -1;
  // Where the values' own scale is not linear, the bins are equal on the screen, not in numbers.
  const share = (at.x - x(histogram.edge(0))) / (x(histogram.edge(histogram.bins)) - x(histogram.edge(0)));
  return Math.min(Math.max(Math.floor(share * histogram.bins), 0), histogram.bins - 1);
}

/** Words at the right end above a plot. */
export function corner(text: string, { box }: Plot, colour: string): Shape[] {
  if (text === "") return [];
  const place = { x: box.x + box.width, y: box.y - 18, size: LABEL, align: "right", baseline: "middle" } as const;
  return [{ kind: "text", ...place, text, colour, bold: true }];
}

function push(boxes: number[], x: number, width: number, from: number, to: number): void {
  // A hair between neighbours, where the bars are wide enough for it.
  const gap = width > 6 ? 1 : 0;
  boxes.push(x + gap / 2, Math.min(from, to), width - gap, Math.abs(to - from));
}
