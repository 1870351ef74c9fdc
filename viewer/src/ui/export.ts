import { Painter } from "../draw/paint";
import { FONT, themeOf } from "../draw/theme";
import type { Session } from "../model/session";
import type { State } from "../model/state";
import type { Scene, View } from "../views/view";

/** Size of a view in a picture or film, in CSS pixels, and the space around it. */
const WIDTH = 480;
const MARGIN = 24;
const TITLE = 34;
const HEAD = 44;

/** A picture of views at any moment, larger than the screen's, with titles: views below, runs beside each other. */
export class Poster {
  readonly canvas = document.createElement("canvas");
  private readonly context: CanvasRenderingContext2D;
  private readonly tile = document.createElement("canvas");
  private readonly painter: Painter;
  private readonly cells: { view: View; run: number; x: number; y: number; height: number }[] = [];

  constructor(
    private readonly session: Session,
    views: View[],
    private readonly ratio: number,
  ) {
    const runs = session.runs.length;
    // Of one run the views share rows.
    const columns = runs > 1 ? runs : Math.min(views.length, 3);
    const height = Math.round(WIDTH * (views.length === 1 ? (views[0]?.aspect ?? 0.75) : 0.75));
    const all =
      runs > 1
        ? views.flatMap((view) => session.runs.map((_, run) => ({ view, run })))
        : views.map((view) => ({ view, run: 0 }));
    all.forEach(({ view, run }, k) => {
      const [column, row] = [k % columns, Math.floor(k / columns)];
      this.cells.push({
        view,
        run,
        x: MARGIN + column * (WIDTH + MARGIN),
        y: HEAD + row * (height + TITLE + MARGIN),
        height,
      });
    });
    const rows = Math.ceil(all.length / columns);
    this.canvas.width = even((MARGIN + columns * (WIDTH + MARGIN)) * ratio);
    this.canvas.height = even((HEAD + rows * (height + TITLE + MARGIN)) * ratio);
    [this.tile.width, this.tile.height] = [WIDTH * ratio, height * ratio];
    this.context = this.canvas.getContext("2d") as CanvasRenderingContext2D;
    this.painter = new Painter(this.tile.getContext("2d") as CanvasRenderingContext2D, ratio);
  }

  draw(state: State, note: string): void {
    const { context, ratio, session } = this;
    const theme = themeOf(state.theme);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = theme.surface;
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    const epoch = session.leader.epochs[Math.round(state.t)] ?? 0;
    this.text(`Epoch ${epoch}`, MARGIN, 30, `600 18px ${FONT}`, theme.text);
    this.text(note, MARGIN + 120, 30, `400 13px ${FONT}`, theme.muted);
    for (const { view, run, x, y, height } of this.cells) {
      const scene = session.scene(run, WIDTH, height, state);
      const name = session.runs.length > 1 ? `${view.title}: ${scene.data.run.name}` : view.title;
      this.text(name, x, y + TITLE - 12, `600 15px ${FONT}`, theme.text);
      if (!view.available(scene.data)) continue;
      this.painter.paint(view.layout(scene), theme, ratio);
      context.drawImage(this.tile, x, y + TITLE, WIDTH, height);
    }
  }

  private text(text: string, x: number, y: number, font: string, colour: string): void {
    this.context.font = font;
    this.context.fillStyle = colour;
    this.context.fillText(text, x, y, WIDTH);
  }
}

export async function savePng(session: Session, views: View[]): Promise<void> {
  const poster = new Poster(session, views, 2);
  poster.draw(still(session.state.value), "");
  const blob = await new Promise<Blob | null>((done) => poster.canvas.toBlob(done, "image/png"));
  if (blob === null) throw new Error("This browser could not make a PNG of that size.");
  save(blob, fileName(session, views, "png"));
}

export function saveCsv(session: Session, view: View, scenes: Scene[]): void {
  const several = scenes.length > 1;
  const lines = scenes.flatMap((scene, k) => {
    const { columns, rows } = view.table(scene);
    const named = several ? rows.map((row) => [scene.data.run.name, ...row]) : rows;
    return k === 0 ? [several ? ["run", ...columns] : columns, ...named] : named;
  });
  const text = lines.map((row) => row.map(field).join(",")).join("\r\n");
  save(new Blob([`${text}\r\n`], { type: "text/csv;charset=utf-8" }), fileName(session, [view], "csv"));
}

/** A field of a CSV; text that a spreadsheet would take for a formula is marked as text. */
export function field(value: string | number): string {
  if (typeof value === "number") return Number.isNaN(value) ? "" : String(value);
  const safe = /^[=+\-@\t\r]/.test(value) && Number.isNaN(Number(value)) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function fileName(session: Session, views: View[], ending: string): string {
  const what = views.length === 1 ? (views[0]?.id ?? "") : "views";
  const title = session.payload.title
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
  const moment = ending === "png" || ending === "csv" ? `-epoch-${session.epoch}` : "";
  return `${title || "netlapse"}-${what}${moment}.${ending}`;
}

export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** The state as a picture shows it: at a recorded frame, with nothing under a pointer. */
function still(state: State): State {
  return { ...state, t: Math.round(state.t), hovered: null };
}

/** Films of most codecs have even sides. */
function even(pixels: number): number {
  return 2 * Math.round(pixels / 2);
}
