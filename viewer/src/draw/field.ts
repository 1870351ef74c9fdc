import type { Ramp } from "./ramp";
import type { Box, Picture } from "./shapes";

/**
 * Pixels of a picture of a field are so many CSS pixels wide.
 *
 * They are drawn as squares: to smooth them took a browser without a GPU longer than to have more of them, and the
 * steps at an edge are hidden by the line on it, which is as wide.
 */
const PIXEL = 2;

/** What colour a number has: those from `low` to `high` in equal steps, others like the nearest. 0xAABBGGRR, signed. */
export interface Shades {
  low: number;
  high: number;
  colours: Int32Array;
}

/** A ramp as shades of numbers between two ends. */
export function shadesOf(ramp: Ramp, [low, high]: [number, number], alpha: number): Shades {
  const colours = new Int32Array(ramp.length / 3);
  const opacity = Math.min(Math.round(255 * alpha), 255) * 2 ** 24;
  for (let k = 0; k < colours.length; k++) {
    const [red, green, blue] = ramp.subarray(3 * k, 3 * k + 3) as unknown as [number, number, number];
    colours[k] = opacity + (blue << 16) + (green << 8) + red;
  }
  return { low, high, colours };
}

/**
 * A picture of the values of a grid (row, column), rows from the bottom, between whose samples they are bilinear, in the
 * part of their area that is in the clip: few samples are a sharp picture too, however near it is looked at.
 *
 * What is NaN is transparent. Beside it, each sample is said of its surroundings.
 */
export function field(
  values: Float32Array,
  columns: number,
  rows: number,
  area: Box,
  clip: Box,
  { low, high, colours }: Shades,
): Picture {
  const box = common(area, clip);
  const [wide, tall] = [Math.max(1, Math.ceil(box.width / PIXEL)), Math.max(1, Math.ceil(box.height / PIXEL))];
  const across = places(wide, (box.x - area.x) / area.width, box.width / area.width, columns);
  const up = places(tall, (area.y + area.height - box.y - box.height) / area.height, box.height / area.height, rows);
  const pixels = new Uint8ClampedArray(4 * wide * tall);
  // Whole pixels, which are little-endian wherever there are browsers.
  const whole = new Int32Array(pixels.buffer);
  const scale = colours.length / (high - low || 1);
  // The rows of samples below and above the row of pixels, where its pixels are.
  let [beneath, above] = [new Float64Array(wide), new Float64Array(wide)];
  let known = Number.NaN;
  for (let row = 0; row < tall; row++) {
    const sample = up.sample[row] as number;
    if (sample !== known) {
      if (sample === known + 1) [beneath, above] = [above, beneath];
      else along(values, sample * columns, across, low, scale, beneath);
      along(values, (sample + 1) * columns, across, low, scale, above);
      known = sample;
    }
    const share = up.share[row] as number;
    const nearest = (sample + Math.round(share)) * columns;
    const beside = (column: number): number => {
      const at = nearest + (across.sample[column] as number) + Math.round(across.share[column] as number);
      return ((values[at] as number) - low) * scale;
    };
    shade(beneath, above, share, beside, colours, whole, (tall - 1 - row) * wide);
  }
  return { kind: "image", ...box, columns: wide, rows: tall, smooth: false, pixels };
}

/** Where the middles of pixels lie among samples: after which, and how much of the way to the next. */
interface Places {
  sample: Int32Array;
  share: Float64Array;
}

/** Of so many pixels, from a share of the samples' extent on and along another. */
function places(count: number, from: number, extent: number, samples: number): Places {
  const found = { sample: new Int32Array(count), share: new Float64Array(count) };
  for (let k = 0; k < count; k++) {
    const place = (from + (extent * (k + 0.5)) / count) * (samples - 1);
    const sample = Math.min(Math.floor(place), samples - 2);
    found.sample[k] = sample;
    found.share[k] = place - sample;
  }
  return found;
}

/** A row of samples that begins somewhere, at places along it, in steps of the shades. */
function along(
  values: Float32Array,
  begin: number,
  { sample, share }: Places,
  low: number,
  scale: number,
  found: Float64Array,
): void {
  for (let k = 0; k < found.length; k++) {
    const at = begin + (sample[k] as number);
    const value = values[at] as number;
    found[k] = (value + ((values[at + 1] as number) - value) * (share[k] as number) - low) * scale;
  }
}

/** Colours a row of pixels between two rows of steps; `beside` says the nearest step, for where one of those around is NaN. */
function shade(
  beneath: Float64Array,
  above: Float64Array,
  share: number,
  beside: (column: number) => number,
  colours: Int32Array,
  pixels: Int32Array,
  begin: number,
): void {
  const most = colours.length - 1;
  for (let column = 0, at = begin; column < beneath.length; column++, at++) {
    const under = beneath[column] as number;
    let step = under + ((above[column] as number) - under) * share;
    if (Number.isNaN(step)) step = beside(column);
    if (Number.isNaN(step)) continue;
    pixels[at] = colours[step < 0 ? 0 : step < most ? step | 0 : most] as number;
  }
}

function common(a: Box, b: Box): Box {
  const [x, y] = [Math.max(a.x, b.x), Math.max(a.y, b.y)];
  const [right, bottom] = [Math.min(a.x + a.width, b.x + b.width), Math.min(a.y + a.height, b.y + b.height)];
  return { x, y, width: Math.max(right - x, 0), height: Math.max(bottom - y, 0) };
}
