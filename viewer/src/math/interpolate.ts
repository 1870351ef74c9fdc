import type { Values } from "../data/schema";
import type { Typed } from "../data/source";

/** Whether values are names by number (a class, wrong or right), so that nothing lies between two of them. */
export function isNominal(values: Values): boolean {
  return values.dtype.startsWith("uint") && values.low === 0 && values.step === 1;
}

/** The whole number that stands for NaN, or -1 if none does. */
function gap(values: Values): number {
  if (!values.gaps) return -1;
  return { uint8: 255, uint16: 65535, float32: -1, int32: -1 }[values.dtype];
}

/** How one stored number is read. */
export function reader(values: Values): (stored: number) => number {
  const missing = gap(values);
  const { low, step } = values;
  return (stored) => (stored === missing && missing >= 0 ? Number.NaN : low + step * stored);
}

/** Values of what is stored. */
export function dequantise(values: Values, stored: Typed): Float32Array {
  return interpolate(values, stored, stored, 0);
}

/** Values `share` of the way from one frame to the next; NaN where either has none. */
export function interpolate(values: Values, before: Typed, after: Typed, share: number): Float32Array {
  const result = new Float32Array(before.length);
  const missing = gap(values);
  const { low, step } = values;
  // All that is drawn goes through here: most of it has no gaps, or is what is stored.
  if (share === 0 && missing < 0 && low === 0 && step === 1) result.set(before);
  else if (missing < 0) {
    for (let k = 0; k < result.length; k++) {
      const a = before[k] as number;
      result[k] = low + step * (share === 0 ? a : a + ((after[k] as number) - a) * share);
    }
  } else {
    for (let k = 0; k < result.length; k++) {
      const a = before[k] as number;
      const b = after[k] as number;
      const absent = a === missing || (b === missing && share > 0);
      result[k] = absent ? Number.NaN : low + step * (a + (b - a) * share);
    }
  }
  return result;
}
