import type { Run, Values } from "../data/schema";
import { ARRAYS } from "../data/codec";
import { type Source, type Typed, frameSize, timed } from "../data/source";
import { dequantise, interpolate, isNominal, reader } from "../math/interpolate";

/** Frames of an array are fetched in pieces of about this many bytes. */
const PIECE = 1 << 20;
/** Frames that the page computes itself come a few at a time: one of them is looked at, and it is waited for. */
const COMPUTED = 8;
/** A server computes frames when they are asked for: of single numbers, which are shown as a whole, more at a time. */
const [NUMBERS, BLOCKS] = [4, 16];
/** Pieces are forgotten, the longest unused first, beyond this. */
const MEMORY = 256 << 20;
/** Arrays up to this size are fetched whole if one value is followed through time. */
const COLUMN = 64 << 20;

interface Piece {
  stored: Typed;
  /** How many frames it has; a live run's last piece grows. */
  frames: number;
}

/** A run whose arrays are fetched as they are asked for; what views read. */
export class RunData {
  readonly frames: number;
  readonly epochs: Float32Array;
  readonly steps: Float32Array;

  private readonly pieces = new Map<string, Piece>();
  private readonly asked = new Set<string>();
  /** What is under way, whether anybody waits for it, and whether it is shown when it comes. */
  private readonly flights = new Map<string, { needed: boolean; shown: boolean }>();
  private readonly whole = new Map<string, Float32Array>();
  /** What was asked for last of each array: views that are drawn together ask for the same moment. */
  private readonly latest = new Map<string, { position: number; values: Float32Array }>();
  /** Numbers of all frames, when all have come. */
  private readonly curves = new Map<string, Float32Array>();
  private readonly computed: ReadonlySet<string>;
  private bytes = 0;
  private waiting = 0;

  /** `changed` is called when something that was asked for has come, or with the error because of which it did not. */
  private constructor(
    readonly run: Run,
    private readonly source: Source,
    private readonly changed: (error?: unknown) => void,
    epochs: Float32Array,
    steps: Float32Array,
  ) {
    this.epochs = epochs;
    this.steps = steps;
    this.frames = epochs.length;
    this.computed = new Set(run.mlp?.computes);
  }

  static async open(run: Run, source: Source, changed: (error?: unknown) => void): Promise<RunData> {
    const [epochs, steps] = await Promise.all(
      [run.epochs, run.steps].map(async (values) =>
        dequantise(values, await source.frames(values, 0, values.shape[0] ?? 0)),
      ),
    );
    return new RunData(run, source, changed, epochs as Float32Array, steps as Float32Array);
  }

  /** How many pieces are waited for; those that are fetched ahead are not. */
  get pending(): number {
    return this.waiting;
  }

  /** Whether all of an array is here; asks for it otherwise. */
  ready(values: Values): boolean {
    if (!timed(values)) return this.all(values) !== null;
    const size = this.framesOfPiece(values);
    let ready = true;
    for (let frame = 0; frame < length(values); frame += size) {
      if (this.piece(values, frame) === null) ready = false;
    }
    return ready;
  }

  /** Resolves when the array is here. */
  async load(values: Values): Promise<void> {
    if (!timed(values)) {
      this.keepWhole(values, await this.source.frames(values, 0, 0));
      return;
    }
    const size = this.framesOfPiece(values);
    const starts = Array.from({ length: Math.ceil(length(values) / size) }, (_, k) => k * size);
    await Promise.all(starts.map((start) => this.fetch(values, start)));
  }

  /** Resolves when one frame of an array is here, and what is fetched with it. */
  async want(values: Values, frame: number): Promise<void> {
    if (!timed(values)) return this.load(values);
    const size = this.framesOfPiece(values);
    await this.fetch(values, Math.floor(frame / size) * size);
  }

  /** All values of an array without a frame axis. */
  all(values: Values | null): Float32Array | null {
    if (values === null) return null;
    const kept = this.whole.get(values.name);
    if (kept === undefined && !this.asked.has(values.name)) {
      this.asked.add(values.name);
      this.later(values.name, this.load(values));
    }
    return kept ?? null;
  }

  /**
   * The values at frame position `t`: linear between frames, of classes by number those of the nearest frame.
   *
   * Gaps are NaN. An array without a frame axis has the same values at all times. What is returned is not to be written
   * to: several views show the same.
   */
  at(values: Values | null, t: number): Float32Array | null {
    if (values === null) return null;
    if (!timed(values)) return this.all(values);
    const clipped = Math.min(Math.max(t, 0), length(values) - 1);
    const position = isNominal(values) ? Math.round(clipped) : clipped;
    const known = this.latest.get(values.name);
    if (known?.position === position) return known.values;
    const found = this.between(values, position, true);
    if (found !== null) this.latest.set(values.name, { position, values: found });
    return found;
  }

  private between(values: Values, position: number, ahead: boolean): Float32Array | null {
    const frame = Math.floor(position);
    const share = position - frame;
    const before = this.stored(values, frame, ahead);
    const after = share > 0 ? this.stored(values, frame + 1, ahead) : before;
    return before === null || after === null ? null : interpolate(values, before, after, share);
  }

  /** One recorded frame. */
  row(values: Values | null, frame: number): Float32Array | null {
    if (values === null) return null;
    if (!timed(values)) return this.all(values);
    return this.between(values, Math.min(Math.max(Math.round(frame), 0), length(values) - 1), false);
  }

  /** One value over all frames; NaN where it has not come yet of an array too large to be fetched whole. */
  column(values: Values | null, index: number): Float32Array | null {
    if (values === null || !timed(values)) return null;
    const size = frameSize(values);
    const complete = length(values) * size * bytesOf(values) > COLUMN || this.ready(values);
    return complete ? this.known(values, index) : null;
  }

  /**
   * A number of all frames, NaN where it has not come; once all have, always the same array.
   *
   * What is fetched in many pieces is asked for one after the other, and nobody waits for it: of a long run that is
   * being viewed it would hold up everything else.
   */
  gradually(values: Values): Float32Array | null {
    const kept = this.curves.get(values.name);
    if (kept !== undefined) return kept;
    const size = this.framesOfPiece(values);
    let missing = 0;
    while (missing < length(values) && this.pieces.has(key(values, missing))) missing += size;
    const complete = missing >= length(values);
    if (!complete && length(values) <= size) return this.column(values, 0);
    const name = key(values, missing);
    if (!complete && !this.asked.has(name)) this.later(name, this.fetch(values, missing), false, true);
    const found = this.known(values, 0);
    if (complete) this.curves.set(values.name, found);
    return found;
  }

  private known(values: Values, index: number): Float32Array {
    const size = frameSize(values);
    const column = new Float32Array(length(values)).fill(Number.NaN);
    const value = reader(values);
    const step = this.framesOfPiece(values);
    for (let start = 0; start < column.length; start += step) {
      const piece = this.pieces.get(key(values, start));
      for (let frame = 0; piece !== undefined && frame < piece.frames; frame++) {
        column[start + frame] = value(piece.stored[frame * size + index] as number);
      }
    }
    return column;
  }

  /** Takes over what an earlier state of the same, still growing run has fetched, and fetches what has been added. */
  async follow(earlier: RunData): Promise<void> {
    const known = new Map(arraysOf(this.run).map((values) => [values.name, values]));
    const before = new Map(arraysOf(earlier.run).map((values) => [values.name, values]));
    const tails: Promise<void>[] = [];
    for (const [name, values] of known) {
      const whole = earlier.whole.get(name);
      if (whole !== undefined) {
        this.asked.add(name);
        this.whole.set(name, whole);
      }
      const old = before.get(name);
      if (old === undefined || old.low !== values.low || old.step !== values.step || !timed(values)) continue;
      if (frameSize(old) !== frameSize(values)) continue;
      const size = this.framesOfPiece(values);
      for (let start = 0; start < length(old); start += size) {
        const piece = earlier.pieces.get(key(values, start));
        if (piece !== undefined) tails.push(this.extend(values, start, piece));
      }
    }
    await Promise.all(tails);
  }

  private async extend(values: Values, start: number, piece: Piece): Promise<void> {
    const stop = Math.min(start + this.framesOfPiece(values), length(values));
    const rest = stop - start - piece.frames;
    if (rest <= 0) return this.keep(values, start, piece);
    const added = await this.source.frames(values, start + piece.frames, stop);
    const stored = new ARRAYS[values.dtype](piece.stored.length + added.length);
    stored.set(piece.stored);
    stored.set(added, piece.stored.length);
    this.keep(values, start, { stored, frames: stop - start });
  }

  /** What is stored of one frame; asks for it, and for what follows if it looks `ahead`, if it is not here. */
  private stored(values: Values, frame: number, ahead: boolean): Typed | null {
    const size = this.framesOfPiece(values);
    const start = Math.floor(frame / size) * size;
    const piece = this.piece(values, start);
    if (piece === null || frame - start >= piece.frames) return null;
    if (ahead && start + size < length(values)) this.piece(values, start + size, false);
    const count = frameSize(values);
    return piece.stored.subarray((frame - start) * count, (frame - start + 1) * count);
  }

  private piece(values: Values, start: number, needed = true): Piece | null {
    const name = key(values, start);
    const piece = this.pieces.get(name);
    if (piece !== undefined) {
      // The order of the map is that of use.
      this.pieces.delete(name);
      this.pieces.set(name, piece);
      return piece;
    }
    const flight = this.flights.get(name);
    if (flight === undefined) {
      if (!this.asked.has(name)) this.later(name, this.fetch(values, start), needed);
    } else if (needed && !flight.needed) {
      flight.needed = true;
      this.waiting += 1;
    }
    return null;
  }

  private framesOfPiece(values: Values): number {
    if (this.computed.has(values.name)) return COMPUTED;
    const { at_once } = this.run;
    if (at_once !== null) return at_once * (frameSize(values) <= NUMBERS ? BLOCKS : 1);
    return Math.max(1, Math.floor(PIECE / Math.max(1, frameSize(values) * bytesOf(values))));
  }

  private later(name: string, fetched: Promise<void>, needed = true, shown = needed): void {
    const flight = { needed, shown };
    this.flights.set(name, flight);
    if (needed) this.waiting += 1;
    const done = (error?: unknown): void => {
      this.flights.delete(name);
      if (flight.needed) this.waiting -= 1;
      // Nobody has missed what came ahead.
      if (flight.needed || flight.shown || error !== undefined) this.changed(error);
    };
    void fetched.then(() => done(), done);
  }

  private async fetch(values: Values, start: number): Promise<void> {
    const name = key(values, start);
    if (this.pieces.has(name)) return;
    this.asked.add(name);
    const stop = Math.min(start + this.framesOfPiece(values), length(values));
    this.keep(values, start, { stored: await this.source.frames(values, start, stop), frames: stop - start });
  }

  private keep(values: Values, start: number, piece: Piece): void {
    const name = key(values, start);
    this.bytes += piece.stored.byteLength - (this.pieces.get(name)?.stored.byteLength ?? 0);
    this.pieces.set(name, piece);
    for (const [oldest, unused] of this.pieces) {
      if (this.bytes <= MEMORY || oldest === name) break;
      this.pieces.delete(oldest);
      this.asked.delete(oldest);
      this.bytes -= unused.stored.byteLength;
    }
  }

  private keepWhole(values: Values, stored: Typed): void {
    this.asked.add(values.name);
    this.whole.set(values.name, dequantise(values, stored));
  }
}

/** Every array that a run has. */
export function arraysOf(run: Run): Values[] {
  const found: Values[] = [];
  const search = (part: unknown): void => {
    if (typeof part !== "object" || part === null) return;
    if ("dtype" in part && "axes" in part) found.push(part as Values);
    else for (const child of Object.values(part)) search(child);
  };
  search(run);
  return found;
}

function length(values: Values): number {
  return values.shape[0] ?? 0;
}

function bytesOf(values: Values): number {
  return ARRAYS[values.dtype].BYTES_PER_ELEMENT;
}

function key(values: Values, start: number): string {
  return `${values.name} ${start}`;
}
