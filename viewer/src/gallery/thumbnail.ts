import { coloursOf } from "../draw/palette";
import type { Shape } from "../draw/shapes";
import type { Theme } from "../draw/theme";
import { manyRegions, twoRegions } from "../views/plane";

/** A run's picture as the server gives it: see src/netlapse/view/thumbnail.py. */
export interface Thumbnail {
  regions: { side: number; classes: number; values: number[]; points: [number, number, number][] } | null;
  name: string;
  loss: (number | null)[];
}

/** Height of the loss below the regions, as a share of the whole. */
const STRIP = 0.24;
/** 255 stands for what is not a number; else l / (1 + |l|) is 127 steps to each side. */
const [GAP, MIDDLE] = [255, 127];

/** The last frame's decision regions above the loss; either fills the whole if the other is not there. */
export function picture(thumbnail: Thumbnail, width: number, height: number, theme: Theme): Shape[] {
  const { regions, loss } = thumbnail;
  const strip = regions === null ? height : Math.round(height * STRIP);
  const curve = loss.length > 1 ? sparkline(loss, height - strip, width, strip, regions === null, theme) : [];
  const area = curve.length > 0 ? height - strip : height;
  return [...(regions === null ? [] : plane(regions, width, area, theme)), ...curve];
}

function plane(given: NonNullable<Thumbnail["regions"]>, width: number, height: number, theme: Theme): Shape[] {
  const { side, classes, points } = given;
  const two = classes === 2;
  const palette = coloursOf(classes, theme).classes;
  const values = Float32Array.from(given.values, (value) => {
    return value === GAP ? Number.NaN : two ? (value - MIDDLE) / MIDDLE : value;
  });
  const area = { x: 0, y: 0, width, height };
  const draw = two ? twoRegions : manyRegions;
  return [
    ...draw({ values, leads: null, columns: side, rows: side }, area, area, palette, theme).map((shape): Shape =>
      shape.kind === "path" && shape.width !== undefined ? { ...shape, width: two ? 1.6 : 1 } : shape,
    ),
    {
      kind: "points",
      x: Float32Array.from(points, ([x]) => x * width),
      y: Float32Array.from(points, ([, y]) => height - y * height),
      colour: Uint8Array.from(points, ([, , label]) => label % palette.length),
      palette,
      radius: 2.2,
      ids: null,
      clip: area,
    },
  ];
}

function sparkline(
  loss: (number | null)[],
  top: number,
  width: number,
  height: number,
  large: boolean,
  theme: Theme,
): Shape[] {
  const values = loss.filter((value) => value !== null);
  const [low, high] = [Math.min(0, ...values), Math.max(...values)];
  const margin = large ? 16 : 6;
  const line = Float32Array.from({ length: 2 * values.length }, (_, k) => {
    const place = k >> 1;
    if (k % 2 === 0) return margin + (place / (values.length - 1)) * (width - 2 * margin);
    const share = ((values[place] as number) - low) / (high - low || 1);
    return top + height - margin - share * (height - 2 * margin);
  });
  const ground = Float32Array.of(...line, width - margin, top + height - margin, margin, top + height - margin);
  return [
    { kind: "path", commands: [ground], fill: theme.accent, alpha: 0.12 },
    { kind: "path", commands: [line], stroke: theme.accent, width: large ? 2.2 : 1.6 },
  ];
}
