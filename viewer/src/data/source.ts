import type { Payload, Values } from "./schema";

export type Typed = Float32Array | Uint8Array | Uint16Array | Int32Array;

/** Where a payload and its arrays come from: the page itself, or a server. */
export interface Source {
  payload(): Promise<Payload>;
  /** What is stored of frames `from` to `to` - 1; of an array without a frame axis all. */
  frames(values: Values, from: number, to: number): Promise<Typed>;
  /** Calls `listener` whenever the payload may have changed; returns what stops that. */
  onChange?(listener: () => void): () => void;
}

/** Whether the array changes with time. */
export function timed(values: Values): boolean {
  return values.axes[0] === "frame";
}

/** The count of numbers of one frame, or of all of an array without a frame axis. */
export function frameSize(values: Values): number {
  return values.shape.slice(timed(values) ? 1 : 0).reduce((product, length) => product * length, 1);
}
