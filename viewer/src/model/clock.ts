import type { Signal } from "./signal";
import type { State } from "./state";

/** How long a run plays at speed 1, in seconds. */
const DURATION = 10;
/** How long the last frame stays before a loop begins again, in seconds. */
const REST = 1;

/** Moves the time of the state while it plays. */
export class Clock {
  private before: number | null = null;
  /** Where the clock is, past the last frame while that rests; the state may show the frame before it. */
  private position = 0;
  private readonly still = matchMedia("(prefers-reduced-motion: reduce)");

  constructor(
    private readonly state: Signal<State>,
    private readonly last: () => number,
  ) {
    document.addEventListener("visibilitychange", this.hide);
  }

  /** Stops for good. */
  close(): void {
    document.removeEventListener("visibilitychange", this.hide);
    this.pause();
  }

  /** Whether there is nothing between two frames, for those who prefer little motion. */
  get reduced(): boolean {
    return this.still.matches;
  }

  play(): void {
    const { playing, t } = this.state.value;
    if (playing || this.last() <= 0) return;
    this.position = t >= this.last() ? 0 : t;
    this.before = null;
    this.state.update({ playing: true, t: this.position });
    requestAnimationFrame(this.tick);
  }

  /** Stops at the nearest recorded frame. */
  pause(): void {
    this.state.update({ playing: false, t: Math.round(this.state.value.t) });
  }

  toggle(): void {
    if (this.state.value.playing) this.pause();
    else this.play();
  }

  /** Stops at a frame position; recorded frames are whole numbers. */
  seek(t: number): void {
    this.state.update({ playing: false, t: Math.min(Math.max(t, 0), this.last()) });
  }

  step(frames: number): void {
    this.seek(Math.round(this.state.value.t) + frames);
  }

  private readonly hide = (): void => {
    if (document.hidden) this.pause();
  };

  private readonly tick = (now: number): void => {
    const { playing, speed, loop } = this.state.value;
    if (!playing) return;
    const rate = (this.last() / DURATION) * speed;
    // A tab that was busy goes on where it was.
    const seconds = this.before === null ? 0 : Math.min((now - this.before) / 1000, 0.1);
    this.before = now;
    this.position += seconds * rate;
    const last = this.last();
    if (this.position >= last && !loop) return this.seek(last);
    if (this.position > last + REST * rate) this.position = 0;
    const t = Math.min(this.position, last);
    this.state.update({ t: this.reduced ? Math.floor(t) : t });
    requestAnimationFrame(this.tick);
  };
}
