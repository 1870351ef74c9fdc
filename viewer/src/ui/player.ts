import { grouped } from "../math/written";
import type { RunData } from "../model/run";
import type { Session } from "../model/session";
import { find } from "../model/sync";
import { choice, h, icon, ICONS } from "./dom";
import type { Tooltip } from "./tooltip";

/** While it plays, the thumb of the timeline moves in so many steps. */
const STEPS = 250;
const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4, 8];

/** Play, step and scrub: the timeline with its marks, and what the clock says. */
export class Player {
  readonly element: HTMLElement;
  private readonly session: Session;
  private readonly play: HTMLButtonElement;
  private readonly loop: HTMLButtonElement;
  private readonly range: HTMLInputElement;
  private readonly lanes = h("div", { class: "lanes" });
  private readonly epoch = h("output", { class: "epoch", "aria-live": "off" });
  private readonly step = h("span", { class: "step" });
  private readonly between = h("span", { class: "between" }, "interpolated");
  private readonly speed: HTMLLabelElement;
  /** Where the thumb is. */
  private share = Number.NaN;
  /** What the words were made of. */
  private said = "";

  constructor(
    session: Session,
    private readonly tooltip: Tooltip,
  ) {
    this.session = session;
    const { clock, state } = session;
    const button = (name: string, path: string, act: () => void): HTMLButtonElement =>
      h("button", { "aria-label": name, onclick: act }, icon(path));
    this.play = button("Play", ICONS.play, () => clock.toggle());
    this.play.classList.add("play");
    this.loop = button("Loop", ICONS.loop, () => state.update({ loop: !state.value.loop }));
    this.range = h("input", { type: "range", min: 0, step: "any", "aria-label": "Time", class: "time" });
    // Between frames while it is dragged, on a recorded one when it is let go.
    this.range.addEventListener("input", () => clock.seek(this.range.valueAsNumber));
    this.range.addEventListener("change", () => clock.seek(Math.round(this.range.valueAsNumber)));
    this.speed = choice(
      "Speed",
      SPEEDS.map((speed) => [String(speed), `${speed}×`]),
      "1",
      (speed) => {
        state.update({ speed: Number(speed) });
      },
    );
    this.element = h(
      "div",
      { class: "player", role: "region", "aria-label": "Player" },
      h("div", { class: "timeline" }, this.lanes, this.range),
      h(
        "div",
        { class: "buttons" },
        button("One frame back", ICONS.back, () => clock.step(-1)),
        this.play,
        button("One frame on", ICONS.forward, () => clock.step(1)),
        this.loop,
        this.speed,
      ),
      h("div", { class: "clock" }, this.epoch, h("div", {}, this.step, this.between)),
    );
    this.marks();
    this.update();
  }

  /** One speed slower or faster. */
  change(by: number): void {
    const { state } = this.session;
    const now = SPEEDS.findIndex((speed) => speed >= state.value.speed);
    state.update({ speed: SPEEDS[Math.min(Math.max(now + by, 0), SPEEDS.length - 1)] as number });
  }

  update(): void {
    const { session } = this;
    const { t, playing, loop, speed } = session.state.value;
    const { last, leader } = session;
    this.scrub(t, last, playing);
    if (!playing) this.range.setAttribute("aria-valuetext", `epoch ${session.epoch}`);
    this.between.classList.toggle("shown", !Number.isInteger(t) || (playing && !session.clock.reduced));
    // What says the same as before is left alone: the browser would lay it out and draw it anew all the same.
    const frame = Math.round(t);
    const now = [playing, loop, speed, frame, leader.frames].join();
    if (now === this.said) return;
    this.said = now;
    const name = playing ? "Pause" : "Play";
    if (this.play.getAttribute("aria-label") !== name) {
      this.play.setAttribute("aria-label", name);
      this.play.replaceChildren(icon(playing ? ICONS.pause : ICONS.play));
    }
    this.loop.setAttribute("aria-pressed", String(loop));
    const chosen = this.speed.querySelector("select") as HTMLSelectElement;
    if (chosen.value !== String(speed)) chosen.value = String(speed);
    this.epoch.textContent = `Epoch ${rounded(session.epoch)}`;
    this.step.textContent = `step ${grouped(leader.steps[frame] ?? 0)}`;
  }

  /** Moves the thumb; while it plays not every time, as the browser then lays out and draws all of the timeline. */
  private scrub(t: number, last: number, playing: boolean): void {
    const share = last > 0 ? t / last : 0;
    const same = this.range.max === String(last);
    if (same && Math.abs(share - this.share) * STEPS < (playing ? 1 : Number.MIN_VALUE)) return;
    this.share = share;
    if (!same) this.range.max = String(last);
    this.range.valueAsNumber = t;
    this.range.style.setProperty("--share", String(share));
  }

  /** Milestones and plateaus, a lane for each run that has any. */
  marks(): void {
    const { runs } = this.session;
    const lanes = runs
      .filter((data) => data.run.marks.length > 0)
      .map((data) => {
        const name = runs.length > 1 ? h("span", {}, data.run.name) : null;
        return h("div", { class: "lane" }, name, ...data.run.marks.map((_, k) => this.mark(data, k)));
      });
    this.lanes.replaceChildren(...lanes);
  }

  private mark(data: RunData, k: number): HTMLElement {
    const { session, tooltip } = this;
    const { kind, text, start, stop } = data.run.marks[k] as (typeof data.run.marks)[number];
    const last = Math.max(session.last, 1);
    const at = find(session.leader.epochs, start);
    const when = stop > start ? `epochs ${rounded(start)} to ${rounded(stop)}` : `epoch ${rounded(start)}`;
    const name = session.runs.length > 1 ? `${data.run.name}: ${text}` : text;
    const button = h(
      "button",
      {
        class: `mark ${kind}`,
        "aria-label": `${name}, ${when}`,
        onclick: () => session.clock.seek(Math.round(at)),
      },
      h("i"),
    );
    button.style.setProperty("--from", String(at / last));
    button.style.setProperty("--to", String(find(session.leader.epochs, stop) / last));
    const show = (): void => {
      const { left, top, width } = button.getBoundingClientRect();
      tooltip.show([name, when], left + width / 2 - 14, top - 62);
    };
    for (const event of ["pointerenter", "focus"]) button.addEventListener(event, show);
    for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => tooltip.hide());
    return button;
  }
}

/** Epochs are whole, but for frames recorded within one. */
function rounded(epoch: number): string {
  return String(Number(epoch.toFixed(2)));
}
