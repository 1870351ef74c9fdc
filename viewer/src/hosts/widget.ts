import { bytesOf, type Comm, CommSource } from "../data/comm";
import type { State } from "../model/state";
import { find } from "../model/sync";
import { h } from "../ui/dom";
import { Shell } from "../ui/shell";
import { STYLES, WIDGET, sheet } from "../ui/styles";
import { around, watch } from "./around";

/** The model of anywidget: the traits of src/netlapse/view/widget.py. */
interface Model extends Comm {
  get(name: "epoch"): number;
  get(name: "selected"): number[];
  get(name: "layer"): string | null;
  get(name: "playing"): boolean;
  get(name: "_height"): number;
  get(name: "_picture"): DataView | null;
  set(name: string, value: unknown): void;
  save_changes(): void;
}

/** Changes are told Python together, after so many milliseconds. */
const SAVED = 50;

/** Shows the widget in an element of a cell; returns what ends that. Several cells may show one. */
function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  // JupyterLab takes no keys from where this attribute is; others are not let to hear them.
  const host = h("div", { "data-lm-suppress-shortcuts": true, tabindex: -1 });
  host.style.height = `${model.get("_height")}px`;
  for (const kind of ["keydown", "keypress", "keyup"]) host.addEventListener(kind, keep as EventListener);
  const source = new CommSource(model);
  const ends: (() => void)[] = [() => source.close()];
  el.append(host);
  wait(host, model);
  void open(host, model, source, ends).catch((error: unknown) => fail(host, error));
  return () => {
    for (const end of ends.splice(0)) end();
    host.remove();
  };
}

async function open(host: HTMLElement, model: Model, source: CommSource, ends: (() => void)[]): Promise<void> {
  const shell = await Shell.open(host, source, (session) => ({
    theme: around(host),
    t: frame(session.leader.epochs, model.get("epoch")),
    layer: model.get("layer"),
  }));
  // It may have been removed while it waited.
  if (ends.length === 0) return shell.close();
  host.shadowRoot?.adoptedStyleSheets.push(sheet(WIDGET));
  shell.listen(host);
  ends.unshift(
    link(model, shell),
    watch(() => shell.session.state.update({ theme: around(host) })),
    () => shell.close(),
  );
}

/** Keeps the traits and the state of a shell alike; returns what ends that. */
function link(model: Model, { session }: Shell): () => void {
  const { state, clock } = session;
  let [hearing, telling, timer] = [false, false, 0];
  const save = (): void => {
    timer = 0;
    model.save_changes();
  };
  const numbers = (): number[] => session.leader.run.example_numbers;
  /** What Python knows is recorded; forks, which go further, are the page's own. */
  const recorded = (): number =>
    Math.max(...session.runs.slice(0, session.payload.runs.length).map(({ epochs }) => epochs.at(-1) as number));
  const tell = (now: State, before: State): void => {
    if (hearing) return;
    // Nor does the page go back to what it tells.
    telling = true;
    // Other cells that play stop where this one did: so the epoch comes first.
    if (!now.playing && Number.isInteger(now.t)) model.set("epoch", Math.min(session.epoch, recorded()));
    if (now.playing !== before.playing) model.set("playing", now.playing);
    if (now.layer !== before.layer) model.set("layer", now.layer);
    if (now.selected !== before.selected) {
      const all = numbers();
      model.set(
        "selected",
        [...now.selected].map((place) => all[place] ?? place).sort((a, b) => a - b),
      );
    }
    telling = false;
    if (timer === 0) timer = window.setTimeout(save, SAVED);
  };
  /** Does what a trait says; whoever set it knows. */
  const hear = (act: () => void): (() => void) => {
    return () => {
      if (telling) return;
      hearing = true;
      act();
      hearing = false;
    };
  };
  const heard: Record<string, () => void> = {
    epoch: hear(() => {
      const t = frame(session.leader.epochs, model.get("epoch"));
      if (t !== state.value.t) clock.seek(t);
    }),
    layer: hear(() => state.update({ layer: model.get("layer"), tour: null })),
    selected: hear(() => {
      const places = new Map(numbers().map((number, place) => [number, place]));
      const wanted = model.get("selected").flatMap((number) => places.get(number) ?? []);
      const same = wanted.length === state.value.selected.size && wanted.every((k) => state.value.selected.has(k));
      if (!same) state.update({ selected: new Set(wanted) });
    }),
    // Not as if it were heard: where it stops is to be told.
    playing: () => {
      if (model.get("playing")) clock.play();
      else if (state.value.playing) clock.pause();
    },
  };
  for (const [name, act] of Object.entries(heard)) model.on(`change:${name}`, act);
  heard["selected"]?.();
  heard["playing"]?.();
  const untold = state.subscribe(tell);
  return () => {
    for (const [name, act] of Object.entries(heard)) model.off(`change:${name}`, act);
    untold();
    if (timer !== 0) {
      window.clearTimeout(timer);
      save();
    }
  };
}

/** The recorded frame nearest to an epoch. */
function frame(epochs: Float32Array, epoch: number): number {
  return Math.round(find(epochs, epoch));
}

/** The picture that Python drew, until there is more; in a file of the notebook that is all there will be. */
function wait(host: HTMLElement, model: Model): void {
  const root = host.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = [sheet(STYLES), sheet(WIDGET)];
  host.dataset["theme"] = around(host);
  const picture = bytesOf(model.get("_picture") ?? undefined);
  const image = h("img", { class: "still", alt: "The run at one epoch" });
  if (picture.length > 0) {
    image.src = URL.createObjectURL(new Blob([picture as Uint8Array<ArrayBuffer>], { type: "image/png" }));
    image.addEventListener("load", () => URL.revokeObjectURL(image.src));
  }
  const text = h("div", { class: "failure", role: "status" }, "Loading");
  root.append(h("div", { class: "viewer" }, picture.length > 0 ? image : text));
}

function fail(host: HTMLElement, error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  host.shadowRoot?.replaceChildren(
    h("div", { class: "viewer" }, h("div", { class: "failure", role: "alert" }, h("h1", {}, "This can't be shown"), text)),
  );
}

/** What the viewer is told by keys is not for the notebook around it. */
function keep(event: KeyboardEvent): void {
  if (!(event.ctrlKey || event.metaKey || event.altKey)) event.stopPropagation();
}

export default { render };
