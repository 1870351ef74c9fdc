import type { Payload } from "../data/schema";
import type { Source } from "../data/source";
import { RunData } from "../model/run";
import { Session } from "../model/session";
import { Signal } from "../model/signal";
import { INITIAL, type State } from "../model/state";
import { VIEWS } from "../views/index";
import { h } from "./dom";
import { helpDialog } from "./help";
import { press } from "./keys";
import { Panel } from "./panel";
import { Player } from "./player";
import { STYLES, sheet } from "./styles";
import { toolbar } from "./toolbar";
import { Tooltip } from "./tooltip";

/** The narrowest that a view of one run may be, in CSS pixels, and of each of several. */
const [LEAST, LEAST_OF_SEVERAL] = [400, 300];

/** The viewer in an element of the page: everything that one sees. */
export class Shell {
  readonly session: Session;
  /** Resolves when all that the first picture needs has come and is drawn. */
  readonly ready: Promise<void>;
  readonly player: Player;
  private readonly root: ShadowRoot;
  private readonly panels: Panel[];
  private readonly help = helpDialog();
  private readonly message = h("div", { class: "message", role: "status" });
  private scheduled = false;
  private quiet = 0;
  private stop: (() => void) | undefined;
  /** Who waits for a picture that lacks nothing. */
  private waiting: (() => void)[] = [];

  /** Fetches what `source` has and shows it in `host`; `initial` is what the state differs in from the usual. */
  static async open(host: HTMLElement, source: Source, initial: (leader: Session) => Partial<State>): Promise<Shell> {
    const payload = await source.payload();
    let shell: Shell | null = null;
    const open = (of: Payload): Promise<RunData[]> =>
      Promise.all(of.runs.map((run) => RunData.open(run, source, (error) => shell?.arrived(error))));
    const opened = new Shell(host, payload, await open(payload), initial);
    shell = opened;
    opened.arrived();
    // One after the other, however long each takes.
    let done = Promise.resolve();
    opened.stop = source.onChange?.(() => {
      done = done.then(() => opened.follow(source, open)).catch((error: unknown) => opened.arrived(error));
    });
    return opened;
  }

  private constructor(
    private readonly host: HTMLElement,
    payload: Payload,
    runs: RunData[],
    initial: (session: Session) => Partial<State>,
  ) {
    this.session = new Session(payload, runs, new Signal<State>(INITIAL));
    this.session.state.update(initial(this.session));
    this.ready = this.settled();
    this.root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
    this.root.adoptedStyleSheets = [sheet(STYLES)];
    const tooltip = new Tooltip();
    this.player = new Player(this.session, tooltip);
    const schedule = (): void => this.schedule();
    this.panels = VIEWS.filter((view) => payload.live || runs.some((data) => view.available(data))).map(
      (view) => new Panel(this.session, view, tooltip, schedule, (text) => this.say(text)),
    );
    this.root.replaceChildren(this.element(tooltip));
    this.session.state.subscribe(schedule);
    this.session.arrivals.subscribe(schedule);
  }

  /** Resolves when what is on the screen is drawn and lacks nothing. */
  settled(): Promise<void> {
    this.schedule();
    return new Promise((done) => this.waiting.push(() => done()));
  }

  /** Ends what would go on by itself: polling, playing, turning; for when the element is removed. */
  close(): void {
    this.stop?.();
    this.session.clock.close();
    this.session.state.update({ projection: "auto" });
    window.clearTimeout(this.quiet);
    window.clearTimeout(this.describing);
  }

  /** Takes the keys that are pressed on `target` while nothing else is meant by them. */
  listen(target: EventTarget): void {
    target.addEventListener("keydown", (event) => {
      if (event.defaultPrevented) return;
      if (press(event as KeyboardEvent, this.session, this.player, this.help)) event.preventDefault();
    });
  }

  private element(tooltip: Tooltip): HTMLElement {
    const { payload, runs } = this.session;
    const grid = h("main", { class: "grid" }, ...this.panels.map((panel) => panel.element));
    grid.classList.toggle("single", runs.length === 1);
    const least = runs.length === 1 ? LEAST : Math.min(runs.length * LEAST_OF_SEVERAL, 1000);
    grid.style.setProperty("--least", `${least}px`);
    this.captions();
    // Above the player, wherever that is.
    this.player.element.append(this.message);
    return h(
      "div",
      { class: "viewer" },
      h(
        "header",
        { class: "top" },
        h("h1", {}, payload.title),
        toolbar(this.session, this.help, this.panels, (text) => this.say(text)),
      ),
      this.notes(),
      grid,
      this.player.element,
      this.help,
      tooltip.element,
    );
  }

  /** What tells the runs apart goes above every picture. */
  private captions(): void {
    if (this.session.runs.length === 1) return;
    for (const { element, run } of this.panels.flatMap((panel) => panel.panes)) {
      const name = this.session.runs[run]?.run.name ?? "";
      const differences = this.session.differences(run);
      element
        .querySelector("figcaption")
        ?.replaceChildren(h("b", {}, name), differences === "" ? "" : ` ${differences}`);
    }
  }

  /** What of the runs could not be read, or is not shown. */
  private notes(): HTMLElement | null {
    const several = this.session.runs.length > 1;
    const notes = this.session.runs.flatMap(({ run }) =>
      run.missing.map((note) => (several ? `${run.name}: ${note}` : note)),
    );
    if (notes.length === 0) return null;
    const list = h("ul", {}, ...notes.map((note) => h("li", {}, note)));
    return h("details", { class: "notes" }, h("summary", {}, `Not shown (${notes.length})`), list);
  }

  /** Something that was asked for has come, or never will. */
  private arrived(error?: unknown): void {
    if (error !== undefined) this.say(error instanceof Error ? error.message : String(error));
    this.session.arrivals.set(this.session.arrivals.value + 1);
  }

  private say(text: string): void {
    this.message.textContent = text;
    window.clearTimeout(this.quiet);
    this.quiet = window.setTimeout(() => (this.message.textContent = ""), 6000);
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      this.draw();
    });
  }

  private draw(): void {
    const { state, runs } = this.session;
    this.host.dataset["theme"] = state.value.theme;
    const drawn = this.panels.flatMap((panel) => panel.panes.filter((pane) => pane.draw()));
    this.player.update();
    if (!state.value.playing) this.describeSoon();
    const complete = drawn.length > 0 && runs.every((data) => data.pending === 0);
    if (!complete && this.panels.length > 0) return;
    for (const done of this.waiting.splice(0)) requestAnimationFrame(done);
  }

  private describing = 0;

  private describeSoon(): void {
    window.clearTimeout(this.describing);
    this.describing = window.setTimeout(() => {
      if (!this.session.state.value.playing) for (const panel of this.panels) panel.describe();
    }, 150);
  }

  /** Shows the frames that have been added; who is at the last frame stays at the last. */
  private async follow(source: Source, open: (payload: Payload) => Promise<RunData[]>): Promise<void> {
    const { session } = this;
    const runs = await open(await source.payload());
    await Promise.all(runs.map((data, k) => data.follow(session.runs[k] as RunData)));
    const atEnd = session.state.value.t >= session.last;
    session.runs = runs;
    if (atEnd) session.state.update({ t: session.last });
    this.player.marks();
    this.arrived();
  }
}
