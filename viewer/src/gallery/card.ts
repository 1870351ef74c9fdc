import type { Server } from "../data/http";
import { Painter } from "../draw/paint";
import { themeOf } from "../draw/theme";
import { h } from "../ui/dom";
import { type Row, text } from "./table";
import { type Thumbnail, picture } from "./thumbnail";

const STATUS: Record<string, string> = { recording: "training", interrupted: "interrupted", damaged: "damaged" };
/** Width to height of a picture, as the styles have it. */
const ASPECT = 4 / 3;
/** A run that trains gets a new picture at most so often, in milliseconds. */
const RENEW = 4000;

/** As many hyper-parameters are said. */
const SETTINGS = 4;

/** A run in the gallery. */
export class Card {
  readonly element: HTMLElement;
  readonly tick: HTMLInputElement;
  private readonly canvas = h("canvas", { "aria-hidden": "true" });
  private readonly link: HTMLAnchorElement;
  private readonly facts = h("div", { class: "facts" });
  private thumbnail: Thumbnail | null = null;
  private drawnAt = Number.NEGATIVE_INFINITY;
  /** The frames that the picture is of. */
  private pictured: number | undefined;

  constructor(
    public run: Row,
    server: Server,
    ticked: (key: string, on: boolean) => void,
  ) {
    this.tick = h("input", {
      type: "checkbox",
      "aria-label": `Compare ${run.name}`,
      onchange: () => ticked(run.key, this.tick.checked),
    });
    this.link = h("a", { href: server.address(`?runs=${encodeURIComponent(run.key)}`) }, run.name);
    this.element = h(
      "article",
      { class: "card" },
      h("div", { class: "picture" }, this.canvas),
      h("h2", {}, this.link),
      this.facts,
      h("label", { class: "tick" }, this.tick, h("span", {}, "Compare")),
    );
  }

  /** Says what is known of the run now. */
  show(run: Row, differing: string[]): void {
    this.run = run;
    const settings = differing.filter((name) => run[name] !== undefined && run[name] !== null).slice(0, SETTINGS);
    const said = settings.map((name) => h("span", {}, `${name.replaceAll("_", " ")} `, h("b", {}, text(run[name]))));
    const status = STATUS[run.status];
    const loss = run["final.loss"];
    const none = run.status === "damaged" ? "" : "no frame yet";
    const epochs = run.last_epoch === undefined ? none : `${text(run.last_epoch)} epochs`;
    const line = [epochs, typeof loss === "number" ? `loss ${text(loss)}` : ""].filter(Boolean).join(", ");
    const folder = run.path.split(/[/\\]/).at(-1) ?? "";
    this.facts.replaceChildren(
      ...(folder === run.name ? [] : [h("p", {}, folder)]),
      ...(said.length > 0 ? [h("p", { class: "settings" }, ...said)] : []),
      h("p", {}, status === undefined ? null : h("span", { class: `status ${run.status}` }, status), line),
      ...(run.problem === undefined ? [] : [h("p", { class: "problem" }, run.problem)]),
    );
  }

  /** Whether its picture is not that of the run as it is. */
  get stale(): boolean {
    return this.pictured !== (this.run.frames ?? 0) && performance.now() - this.drawnAt > RENEW;
  }

  async fetch(server: Server): Promise<void> {
    const frames = this.run.frames ?? 0;
    this.drawnAt = performance.now();
    try {
      this.thumbnail = (await (await server.get(`api/thumbnails/${encodeURIComponent(this.run.key)}`)).json()) as Thumbnail;
    } catch {
      // A run that can't be opened says why when it is.
      this.thumbnail = { regions: null, name: "", loss: [] };
    }
    this.pictured = frames;
  }

  draw(dark: boolean): void {
    if (this.thumbnail === null) return;
    const width = this.canvas.clientWidth;
    if (width === 0) return;
    const ratio = devicePixelRatio;
    const height = Math.round(width / ASPECT);
    [this.canvas.width, this.canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    const theme = themeOf(dark ? "dark" : "light");
    const context = this.canvas.getContext("2d") as CanvasRenderingContext2D;
    new Painter(context, ratio).paint(picture(this.thumbnail, width, height, theme), theme, ratio);
  }
}
