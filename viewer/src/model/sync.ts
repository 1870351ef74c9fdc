import type { RunData } from "./run";
import type { State } from "./state";

/** The run whose frames the clock counts: the one that was trained longest, the first of equals. */
export function leader(runs: RunData[]): number {
  const lengths = runs.map((data) => data.epochs.at(-1) ?? 0);
  return lengths.indexOf(Math.max(...lengths));
}

/**
 * Frame position of each run when the leader is at `t`: where it has the same epoch, step or loss.
 *
 * A run that has ended before stays at its end. While nothing moves (`snap`) every run shows a recorded frame.
 */
export function positions(runs: RunData[], t: number, sync: State["sync"], snap: boolean): number[] {
  const first = leader(runs);
  const clock = runs[first];
  if (clock === undefined) return [];
  const measure = measureOf(clock, sync);
  return runs.map((data, k) => {
    const own = measureOf(data, sync);
    if (k === first || measure === null || own === null) return clip(t, data.frames);
    const position = find(own, valueAt(measure, t));
    return snap ? Math.round(position) : position;
  });
}

/** What ascends (or, of losses, never rises) from frame to frame and is made equal. */
function measureOf(data: RunData, sync: State["sync"]): Float32Array | null {
  if (sync === "epoch") return data.epochs;
  if (sync === "step") return data.steps;
  const curve =
    data.run.curves.find((curve) => curve.split === "train" && curve.quantity === "loss") ??
    data.run.curves.find((curve) => curve.split === "train");
  const losses = curve === undefined ? null : data.column(curve.values, 0);
  // A loss goes up and down: what counts is when it first was as low. Its negative ascends like epochs.
  let lowest = Number.POSITIVE_INFINITY;
  return losses === null ? null : losses.map((loss) => -(lowest = loss < lowest ? loss : lowest));
}

/** A value between frames. */
export function valueAt(values: Float32Array, t: number): number {
  const position = clip(t, values.length);
  const frame = Math.floor(position);
  const before = values[frame] ?? Number.NaN;
  const share = position - frame;
  return share === 0 ? before : before + share * ((values[frame + 1] as number) - before);
}

/** The frame position at which ascending `values` first reach `value`. */
export function find(values: Float32Array, value: number): number {
  const after = values.findIndex((candidate) => candidate >= value);
  if (after < 0) return values.length - 1;
  if (after === 0) return 0;
  const [a, b] = [values[after - 1] as number, values[after] as number];
  return Number.isFinite(a) ? after - 1 + (value - a) / (b - a) : after;
}

function clip(t: number, frames: number): number {
  return Math.min(Math.max(t, 0), frames - 1);
}
