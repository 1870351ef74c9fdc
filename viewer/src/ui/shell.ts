import type { Payload, Run } from "../data/schema";
import type { Source } from "../data/source";
import { RunData } from "../model/run";
import { Session } from "../model/session";
import { Signal } from "../model/signal";
import { INITIAL, type State } from "../model/state";
import { find, valueAt } from "../model/sync";
import { Forks } from "../playground/forks";
import { Playground } from "../playground/playground";
import { startWorker } from "../playground/start";
import { PLAYGROUND } from "../playground/styles";
import { VIEWS } from "../views/index";
import type { View } from "../views/view";
import { h } from "./dom";
import { helpDialog } from "./help";
import { press } from "./keys";
import { Panel } from "./panel";
import { Player } from "./player";
import { STYLES, sheet } from "./styles";
import { toolbar } from "./toolbar";
import { Tooltip } from "./tooltip";

/** While arrays come, they are drawn after so many milliseconds. */
const SOON = 80;
/** The narrowest that a view of one run may be, in CSS pixels, and of each of several. */
const [LEAST, LEAST_OF_SEVERAL] = [400, 300];

/** The viewer in an element of the page: everything that one sees. */
export class Shell {
  readonly session: Session;
  /** Resolves when all that the first picture needs has come and is drawn. */
  readonly ready: Promise<void>;
  readonly player: Player;
  private readonly root: ShadowRoot;
  private panels: Panel[];
  private readonly tooltip = new Tooltip();
  private readonly playground: Playground;
  private readonly help = helpDialog();
  private readonly message = h("div", { class: "message", role: "status" });
  private scheduled = false;
  /** How many pictures have been drawn since it plays. */
  private turn = 0;
  private quiet = 0;
  private unheard: (() => void) | undefined;
  /** Who waits for a picture that lacks nothing. */
  private waiting: (() => void)[] = [];

  /** Fetches what `source` has and shows it in `host`; `initial` is what the state differs in from the usual. */
  static async open(host: HTMLElement, source: Source, initial: (leader: Session) => Partial<State>): Promise<Shell> {
    const forks = new Forks(source, startWorker);
    const payload = await forks.payload();
    let shell: Shell | null = null;
    const opening = (run: Run): Promise<RunData> => RunData.open(run, forks, (error) => shell?.arrived(error));
    // A run that is the same is not opened again.
    const open = (of: Payload): Promise<RunData[]> =>
      Promise.all(of.runs.map((run) => shell?.session.runs.find((data) => data.run === run) ?? opening(run)));
    const opened = new Shell(host, payload, await open(payload), initial, forks);
    shell = opened;
    opened.arrived();
    // One after the other, however long each takes; what changes meanwhile is followed together.
    let done = Promise.resolve();
    let waiting = false;
    opened.unheard = forks.onChange(() => {
      if (waiting) return;
      waiting = true;
      done = done
        .then(() => {
          waiting = false;
          return opened.follow(forks, open);
        })
        .catch((error: unknown) => opened.arrived(error));
    });
    return opened;
  }

  private constructor(
    private readonly host: HTMLElement,
    payload: Payload,
    runs: RunData[],
    initial: (session: Session) => Partial<State>,
    private readonly forks: Forks,
  ) {
    this.session = new Session(payload, runs, new Signal<State>(INITIAL));
    this.session.state.update(initial(this.session));
    this.ready = this.settled();
    this.root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
    this.root.adoptedStyleSheets = [sheet(STYLES), sheet(PLAYGROUND)];
    this.player = new Player(this.session, this.tooltip);
    this.playground = new Playground(this.session, forks, (text) => this.say(text));
    this.panels = this.panelsOfRuns();
    this.root.replaceChildren(this.element());
    const schedule = (): void => this.schedule();
    this.session.state.subscribe(schedule);
    this.session.arrivals.subscribe(() => this.scheduleSoon());
  }

  /** Resolves when what is on the screen is drawn and lacks nothing. */
  settled(): Promise<void> {
    this.schedule();
    return new Promise((done) => this.waiting.push(() => done()));
  }

  /** Ends what would go on by itself: polling, playing, turning, training; for when the element is removed. */
  close(): void {
    this.unheard?.();
    this.forks.close();
    this.session.clock.close();
    this.session.state.update({ projection: "auto" });
    for (const timer of [this.quiet, this.describing, this.soon]) window.clearTimeout(timer);
  }

  /** Takes the keys that are pressed on `target` while nothing else is meant by them. */
  listen(target: EventTarget): void {
    target.addEventListener("keydown", (event) => {
      if (event.defaultPrevented || this.playground.dialog.open) return;
      const fork = (): void => this.playground.open();
      if (press(event as KeyboardEvent, this.session, this.player, this.help, fork)) event.preventDefault();
    });
  }

  private panelsOfRuns(): Panel[] {
    const { payload, runs } = this.session;
    return VIEWS.filter((view) => payload.live || runs.some((data) => view.available(data))).map(
      (view) =>
        new Panel(
          this.session,
          view,
          this.tooltip,
          () => this.schedule(),
          (text) => this.say(text),
        ),
    );
  }

  private element(): HTMLElement {
    const { playground } = this;
    // Above the player, wherever that is.
    this.player.element.append(this.message);
    const views = (): View[] => this.panels.map((panel) => panel.view);
    const tools = toolbar(this.session, this.help, views, (text) => this.say(text));
    tools.prepend(playground.button);
    return h(
      "div",
      { class: "viewer" },
      h("header", { class: "top" }, h("h1", {}, this.session.payload.title), tools),
      playground.list,
      this.notes(),
      this.grid(),
      this.player.element,
      this.help,
      playground.dialog,
      this.tooltip.element,
    );
  }

  /** The views of the runs that there are. */
  private grid(): HTMLElement {
    const { runs } = this.session;
    const grid = h("main", { class: "grid" }, ...this.panels.map((panel) => panel.element));
    grid.classList.toggle("single", runs.length === 1);
    const least = runs.length === 1 ? LEAST : Math.min(runs.length * LEAST_OF_SEVERAL, 1000);
    grid.style.setProperty("--least", `${least}px`);
    this.captions();
    return grid;
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
  private notes(): HTMLElement {
    const several = this.session.runs.length > 1;
    const notes = this.session.runs.flatMap(({ run }) =>
      run.missing.map((note) => (several ? `${run.name}: ${note}` : note)),
    );
    const list = h("ul", {}, ...notes.map((note) => h("li", {}, note)));
    return h(
      "details",
      { class: "notes", hidden: notes.length === 0 },
      h("summary", {}, `Not shown (${notes.length})`),
      list,
    );
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

  private soon = 0;

  /** Draws what has come once there is nothing to wait for, and meanwhile now and then: it would take the time of what comes. */
  private scheduleSoon(): void {
    if (this.session.runs.every((data) => data.pending === 0)) this.schedule();
    else if (this.soon === 0) {
      this.soon = window.setTimeout(() => {
        this.soon = 0;
        this.schedule();
      }, SOON);
    }
  }

  private draw(): void {
    const { state, runs } = this.session;
    this.host.dataset["theme"] = state.value.theme;
    this.turn = state.value.playing ? this.turn + 1 : 0;
    const due = this.panels.filter(({ view }, k) => this.turn === 0 || view.fluent === true || (this.turn + k) % 2 === 0);
    const drawn = due.flatMap((panel) => panel.panes.filter((pane) => pane.draw()));
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

  /** Shows the frames and runs that have been added; who is at the last frame of a run that grows stays at its last. */
  private async follow(source: Source, open: (payload: Payload) => Promise<RunData[]>): Promise<void> {
    const { session } = this;
    const [before, leader] = [session.runs, session.leader];
    const runs = await open(await source.payload());
    const earlier = runs.map((data) => before.find((old) => old !== data && namesake(old, data)));
    await Promise.all(runs.map((data, k) => earlier[k] && data.follow(earlier[k])));
    const { t } = session.state.value;
    const epoch = valueAt(leader.epochs, t);
    const grown = runs.find((data, k) => {
      const old = earlier[k];
      return old !== undefined && data.frames > old.frames && old.epochs.at(-1) === epoch;
    });
    session.runs = runs;
    // Frames may be counted of another run now.
    if (grown !== undefined || !namesake(session.leader, leader)) {
      session.state.update({ t: Math.round(find(session.leader.epochs, grown?.epochs.at(-1) ?? epoch)) });
    }
    const same = runs.length === before.length && runs.every((data, k) => namesake(data, before[k] as RunData));
    if (!same) this.arrange();
    this.player.marks();
    this.arrived();
  }

  /** Puts other runs side by side. */
  private arrange(): void {
    const [notes, grid] = [this.root.querySelector(".notes"), this.root.querySelector(".grid")];
    this.panels = this.panelsOfRuns();
    notes?.replaceWith(this.notes());
    grid?.replaceWith(this.grid());
  }
}

/** Whether these are states of the same run. */
function namesake(one: RunData, other: RunData): boolean {
  return one.run.epochs.name === other.run.epochs.name;
}
