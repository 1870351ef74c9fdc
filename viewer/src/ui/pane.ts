import { Painter } from "../draw/paint";
import type { Shape } from "../draw/shapes";
import { describe, toggled } from "../model/selection";
import type { Session } from "../model/session";
import type { Scene, View } from "../views/view";
import { h } from "./dom";
import type { Tooltip } from "./tooltip";

/** How near the pointer must be to a point, in CSS pixels, and a finger, under which nothing is seen. */
const [REACH, FINGER] = [6, 16];
/** A press that moves less is a click. */
const STILL = 4;

interface Gesture {
  from: [number, number];
  to: [number, number];
  kind: "click" | "brush" | "drag";
  /** What was selected before; the brush adds to it if it is `kept`. */
  before: ReadonlySet<number>;
  kept: ReadonlySet<number>;
}

/** One view of one run: its canvas, and what the pointer and keys do there. */
export class Pane {
  readonly canvas = h("canvas", { role: "img", tabindex: 0 });
  readonly element: HTMLElement;
  private readonly painter = new Painter(this.canvas.getContext("2d") as CanvasRenderingContext2D, 1);
  private seen = false;
  /** Of the canvas, in CSS pixels: asked of the browser, they would be laid out anew for every view. */
  private width = 0;
  private height = 0;
  private gesture: Gesture | null = null;

  constructor(
    private readonly session: Session,
    readonly view: View,
    readonly run: number,
    private readonly tooltip: Tooltip,
    changed: () => void,
  ) {
    const data = session.runs[run];
    const name = session.runs.length > 1 ? h("figcaption", {}, data?.run.name ?? "") : null;
    this.canvas.setAttribute("aria-label", `${view.title}: loading`);
    const stage = h("div", { class: "stage" }, this.canvas);
    this.element = h("figure", { class: "pane" }, name, stage);
    new ResizeObserver(() => {
      this.resize(stage);
      changed();
    }).observe(stage);
    new IntersectionObserver(
      ([entry]) => {
        this.seen = entry?.isIntersecting === true;
        if (this.seen) changed();
      },
      { rootMargin: "100px" },
    ).observe(this.canvas);
    this.listen();
  }

  get scene(): Scene {
    return this.session.scene(this.run, this.width, this.height);
  }

  /** Whether the run has what the view shows. */
  get available(): boolean {
    const data = this.session.runs[this.run];
    return data !== undefined && this.view.available(data);
  }

  /** Why there is nothing to see. */
  private get lacking(): string {
    return this.scene.data.run.status === "forked" ? "Not computed for forks" : "Not recorded for this run";
  }

  /** Draws what is on the screen; whether it is. */
  draw(): boolean {
    const { scene } = this;
    if (!this.seen || this.canvas.width === 0 || this.canvas.height === 0 || scene.width === 0) return false;
    const shapes = this.available ? this.view.layout(scene) : [nothing(scene, this.lacking)];
    if (this.gesture?.kind === "brush") shapes.push(frame(this.gesture, scene));
    this.painter.paint(shapes, scene.theme, this.canvas.width / scene.width);
    return true;
  }

  /** Says in words what is seen now; not done for every frame that plays. */
  describe(): void {
    const name = this.session.runs.length > 1 ? `${this.scene.data.run.name}. ` : "";
    const text = this.available ? this.view.label(this.scene) : `${this.view.title}: ${this.lacking.toLowerCase()}.`;
    // What that has asked for is on its way, and will be described when it has come.
    if (this.scene.data.pending > 0) return;
    this.canvas.setAttribute("aria-label", `${name}${text}`);
  }

  /** Height follows width, but may be more: views beside each other are equally high. */
  private resize(stage: HTMLElement): void {
    const least = Math.min(Math.max(stage.clientWidth * (this.view.aspect ?? 0.75), 220), 520);
    stage.style.minHeight = `${Math.round(least)}px`;
    [this.width, this.height] = [stage.clientWidth, stage.clientHeight];
    this.canvas.width = Math.round(this.width * devicePixelRatio);
    this.canvas.height = Math.round(this.height * devicePixelRatio);
  }

  private listen(): void {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => (this.gesture === null ? this.hover(event) : this.pull(event)));
    canvas.addEventListener("pointerup", (event) => this.release(event));
    canvas.addEventListener("pointercancel", () => this.cancel());
    // A finger leaves with every tap; what it has pointed at stays.
    canvas.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && this.leave());
    canvas.addEventListener("blur", () => this.leave());
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  private press(event: PointerEvent): void {
    // Two fingers are the page's.
    if (!event.isPrimary) return this.cancel();
    if (event.button !== 0) return;
    const at: [number, number] = [event.offsetX, event.offsetY];
    const before = this.session.state.value.selected;
    this.gesture = { from: at, to: at, kind: "click", before, kept: event.shiftKey ? before : new Set() };
    if (!this.scrolls(event)) this.canvas.setPointerCapture(event.pointerId);
  }

  /** Whether the pointer is a finger that scrolls the page when it moves. */
  private scrolls({ pointerType }: PointerEvent): boolean {
    return pointerType === "touch" && !this.session.state.value.brush;
  }

  private cancel(): void {
    const { gesture } = this;
    this.gesture = null;
    if (gesture?.kind === "brush") this.session.state.update({ selected: gesture.before });
    this.leave();
  }

  private pull(event: PointerEvent): void {
    const { gesture, scene } = this;
    if (gesture === null || !event.isPrimary || this.scrolls(event) || !this.available) return;
    gesture.to = [event.offsetX, event.offsetY];
    const [[x0, y0], [x1, y1]] = [gesture.from, gesture.to];
    if (gesture.kind === "click" && Math.hypot(x1 - x0, y1 - y0) < STILL) return;
    this.tooltip.hide();
    if (gesture.kind !== "brush") {
      const change = this.view.drag?.(scene, gesture.from, gesture.to) ?? null;
      if (change !== null) {
        gesture.kind = "drag";
        // The next step of the drag goes on from here.
        gesture.from = gesture.to;
        this.session.state.update(change);
        return;
      }
      if (gesture.kind === "drag" || this.view.brush === undefined) return;
      gesture.kind = "brush";
    }
    const box = { x0: Math.min(x0, x1), y0: Math.min(y0, y1), x1: Math.max(x0, x1), y1: Math.max(y0, y1) };
    const inside = this.view.brush?.(scene, box) ?? [];
    this.session.state.update({ selected: new Set([...gesture.kept, ...inside]), hovered: null });
  }

  private release(event: PointerEvent): void {
    const { gesture } = this;
    if (!event.isPrimary) return;
    this.gesture = null;
    if (gesture === null || !this.available) return;
    if (gesture.kind === "click") this.click(event);
    else this.session.arrivals.set(this.session.arrivals.value + 1);
  }

  private click(event: PointerEvent): void {
    const { state } = this.session;
    const change = this.view.click?.(this.scene, event.offsetX, event.offsetY) ?? null;
    if (change !== null) return state.update(change);
    const place = this.pick(event);
    // The first tap says what is there, as a mouse does that points at it; the next selects it.
    const touch = event.pointerType === "touch";
    // The browser gives the focus later, and the view that loses it would take back what is said.
    if (touch) this.canvas.focus({ preventScroll: true });
    if (touch && place !== null && place !== state.value.hovered) return this.hover(event);
    if (place === null) state.update({ selected: new Set() });
    else if (event.shiftKey || state.value.selected.has(place)) {
      state.update({ selected: toggled(state.value.selected, place) });
    } else state.update({ selected: new Set([place]) });
    this.hover(event);
  }

  private hover(event: PointerEvent): void {
    if (!this.available) return;
    const { scene } = this;
    const place = this.pick(event);
    this.session.state.update({ hovered: place });
    const lines = place === null ? this.textAt(scene, event) : this.linesOf(place);
    if (lines.length === 0) this.tooltip.hide();
    else this.tooltip.show(lines, event.clientX, event.clientY);
  }

  private pick({ offsetX, offsetY, pointerType }: PointerEvent): number | null {
    return this.painter.pick(offsetX, offsetY, pointerType === "touch" ? FINGER : REACH);
  }

  private textAt(scene: Scene, event: PointerEvent): string[] {
    const text = this.view.hover?.(scene, event.offsetX, event.offsetY) ?? null;
    return text === null ? [] : text.split("\n");
  }

  private linesOf(place: number): string[] {
    const more = this.view.describe?.(this.scene, place) ?? null;
    return [...describe(this.scene.data, place, this.scene.t), ...(more === null ? [] : more.split("\n"))];
  }

  private leave(): void {
    this.tooltip.hide();
    this.session.state.update({ hovered: null });
  }

  /** "[" and "]" go through the examples that are selected, or all; Enter selects one. */
  private key(event: KeyboardEvent): void {
    const { state } = this.session;
    const { hovered, selected } = state.value;
    if (event.key === "Enter" && hovered !== null) {
      state.update({ selected: toggled(selected, hovered) });
    } else if (event.key === "[" || event.key === "]") {
      const count = this.scene.data.run.losses.shape[1] ?? 0;
      const places =
        selected.size > 1 ? [...selected].sort((a, b) => a - b) : Array.from({ length: count }, (_, k) => k);
      const now = places.indexOf(hovered ?? -1);
      const next = places.at(event.key === "]" ? (now + 1) % places.length : Math.max(now, 0) - 1);
      if (next !== undefined) this.point(next);
    } else return;
    event.preventDefault();
  }

  /** Shows what there is to say of an example beside it, as if the pointer were there. */
  private point(place: number): void {
    this.session.state.update({ hovered: place });
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const at = this.painter.find(place) ?? { x: width / 2, y: height / 2 };
    this.tooltip.show(this.linesOf(place), left + at.x, top + at.y);
  }
}

function frame({ from, to }: Gesture, { theme }: Scene): Shape {
  const [[x0, y0], [x1, y1]] = [from, to];
  const line = Float32Array.of(x0, y0, x1, y0, x1, y1, x0, y1);
  return {
    kind: "path",
    commands: [line],
    stroke: theme.accent,
    fill: `${theme.accent}22`,
    closed: true,
    dash: [4, 3],
  };
}

function nothing({ width, height, theme }: Scene, text: string): Shape {
  return { kind: "text", x: width / 2, y: height / 2, text, size: 13, colour: theme.muted, align: "center" };
}
