import { channels, mix } from "./palette";
import type { Theme } from "./theme";

/** A hundred and some colours from the least to the largest value, RGB one after another. */
export type Ramp = Uint8Array;

const STEPS = 128;
/** Viridis of matplotlib (van der Walt and Smith): equal steps look equal, also to the colour-blind and in grey. */
const VIRIDIS = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"];

const SEQUENTIAL = ramp(VIRIDIS);

export function sequential(): Ramp {
  return SEQUENTIAL;
}

const made = new Map<string, Ramp>();

/** From one colour over the surface's own to another, for numbers on two sides of a middle. */
export function diverging(low: string, high: string, theme: Theme): Ramp {
  const key = `${low} ${high} ${theme.surface}`;
  let found = made.get(key);
  if (found === undefined)
    made.set(
      key,
      (found = ramp([low, mix(low, theme.surface, 0.55), theme.surface, mix(high, theme.surface, 0.55), high])),
    );
  return found;
}

/** The colour at a share of the ramp, as "#rrggbb". */
export function colourAt(ramp: Ramp, share: number): string {
  const at = 3 * step(share);
  return `#${[...ramp.subarray(at, at + 3)].map((channel) => channel.toString(16).padStart(2, "0")).join("")}`;
}

/** The values (row, column), rows from the bottom, as pixels from the top. What is NaN is transparent. */
export function pixels(
  values: Float32Array,
  columns: number,
  rows: number,
  share: (value: number) => number,
  ramp: Ramp,
  alpha = 1,
): Uint8ClampedArray {
  const result = new Uint8ClampedArray(4 * columns * rows);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0, from = (rows - 1 - row) * columns; column < columns; column++, from++, at += 4) {
      const value = values[from] as number;
      if (Number.isNaN(value)) continue;
      const colour = 3 * step(share(value));
      result[at] = ramp[colour] as number;
      result[at + 1] = ramp[colour + 1] as number;
      result[at + 2] = ramp[colour + 2] as number;
      result[at + 3] = 255 * alpha;
    }
  }
  return result;
}

function step(share: number): number {
  return Math.min(Math.max(Math.round(share * (STEPS - 1)), 0), STEPS - 1);
}

function ramp(colours: string[]): Ramp {
  const result = new Uint8Array(3 * STEPS);
  for (let k = 0; k < STEPS; k++) {
    const place = (k / (STEPS - 1)) * (colours.length - 1);
    const before = Math.min(Math.floor(place), colours.length - 2);
    result.set(channels(mix(colours[before] as string, colours[before + 1] as string, place - before)), 3 * k);
  }
  return result;
}
