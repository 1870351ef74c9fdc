import type { Values } from "../data/schema";
import { timed } from "../data/source";
import type { Ends } from "../math/scale";
import type { RunData } from "../model/run";

const kept = new WeakMap<RunData, Map<string, unknown>>();

/** What is computed once for a run, and kept as long as it is. Null is what cannot be computed yet, and not kept. */
export function once<T>(data: RunData, key: string, make: () => T | null): T | null {
  let values = kept.get(data);
  if (values === undefined) kept.set(data, (values = new Map()));
  const known = values.get(key) as T | undefined;
  if (known !== undefined) return known;
  const made = make();
  if (made !== null) values.set(key, made);
  return made;
}

const SAMPLES = 32;

/** The least and the largest number of an array at some of its frames. Null until they have come. */
export function ends(data: RunData, values: Values): Ends | null {
  // Of what the page computes, that of all frames is known without computing any.
  const known = data.run.mlp?.ends[values.name];
  if (known !== undefined) return known as Ends;
  return once(data, `ends ${values.name}`, () => {
    const found: Ends = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const frame of sampled(values)) {
      const row = data.row(values, frame);
      if (row === null) return null;
      for (const value of row) {
        if (value < found[0] && value > Number.NEGATIVE_INFINITY) found[0] = value;
        if (value > found[1] && value < Number.POSITIVE_INFINITY) found[1] = value;
      }
    }
    return found[0] <= found[1] ? found : ([0, 1] as Ends);
  });
}

/** Some frames of an array, the first and the last among them. */
export function sampled(values: Values): number[] {
  const frames = timed(values) ? (values.shape[0] ?? 0) : 1;
  const count = Math.min(frames, SAMPLES);
  return Array.from({ length: count }, (_, k) => Math.round((k * (frames - 1)) / Math.max(count - 1, 1)));
}
