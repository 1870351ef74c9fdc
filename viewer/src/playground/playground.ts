import { grouped } from "../math/written";
import type { RunData } from "../model/run";
import type { Session } from "../model/session";
import { h } from "../ui/dom";
import { ForkDialog } from "./dialog";
import type { Fork, Settings } from "./fork";
import { type Forks, MOST_RUNS, nameOf } from "./forks";
import { hindrance, originOf } from "./origin";

/** The button that asks for a fork, its dialog, and the forks that there are. */
export class Playground {
  readonly button: HTMLButtonElement;
  readonly dialog: HTMLDialogElement;
  readonly list = h("ul", { class: "forks", "aria-label": "Forks", hidden: true });
  private readonly form: ForkDialog;
  private readonly rows = new Map<Fork, { element: HTMLElement; update: () => void }>();

  constructor(
    private readonly session: Session,
    private readonly forks: Forks,
    private readonly say: (text: string) => void,
  ) {
    this.form = new ForkDialog(session, (data, frame, settings) => this.fork(data, frame, settings));
    this.dialog = this.form.element;
    this.button = h("button", { onclick: () => this.open() }, "Fork here");
    this.update();
    forks.onChange(() => this.update());
  }

  /** Asks what to train a run on with from the moment that is shown, or says why that can't be. */
  open(): void {
    const why = this.hindrance();
    if (why !== null) this.say(why);
    else this.form.open();
  }

  /** Why there can be no fork now. */
  private hindrance(): string | null {
    const { runs, payload } = this.session;
    if (payload.runs.length + this.forks.all.length >= MOST_RUNS) {
      return `No more than ${MOST_RUNS} runs fit side by side: remove a fork first.`;
    }
    const reasons = runs.map(({ run }) => hindrance(run));
    return reasons.includes(null) ? null : (reasons[0] ?? null);
  }

  private async fork(data: RunData, frame: number, settings: Settings): Promise<void> {
    const origin = await originOf(data, frame);
    const named = this.session.payload.runs.length > 1 || data.run.status === "forked";
    const failed = (why: string): void => this.say(`The training failed: ${why}`);
    const fork = this.forks.add(origin, settings, nameOf(origin, settings, named), failed);
    // A layer that the fork can show too.
    const [layers, { state }] = [fork.run.spaces.map(({ layer }) => layer), this.session];
    const shown = state.value.layer ?? data.run.spaces[0]?.layer;
    if (layers.length > 0 && !layers.includes(shown ?? "")) state.update({ layer: layers[0] ?? null, tour: null });
  }

  private update(): void {
    const why = this.hindrance();
    // Of networks that the page doesn't know at all nothing is said.
    this.button.hidden = this.session.runs.every(({ run }) => run.mlp === null);
    this.button.setAttribute("aria-disabled", String(why !== null));
    this.button.title = why ?? "Train on from this epoch with other settings (f)";
    const { all } = this.forks;
    for (const [fork, { element }] of this.rows) {
      if (all.includes(fork)) continue;
      element.remove();
      this.rows.delete(fork);
    }
    for (const fork of all) {
      if (!this.rows.has(fork)) this.add(fork);
      this.rows.get(fork)?.update();
    }
    this.list.hidden = all.length === 0;
  }

  private add(fork: Fork): void {
    const { name, settings } = fork;
    const done = h("progress", { max: settings.epochs, "aria-label": `Training ${name}` });
    const state = h("span", { class: "quiet" });
    const stop = h("button", { "aria-label": `Stop ${name}`, onclick: () => this.forks.stop(fork) }, "Stop");
    const remove = h("button", { "aria-label": `Remove ${name}`, onclick: () => this.forks.remove(fork) }, "Remove");
    const element = h("li", {}, h("b", {}, name), state, done, stop, remove);
    const update = (): void => {
      const busy = fork.status === "training";
      done.value = fork.trained;
      done.hidden = stop.hidden = !busy;
      // How it ended is read out, every epoch is not.
      state.setAttribute("aria-live", busy ? "off" : "polite");
      state.textContent = words(fork);
    };
    this.rows.set(fork, { element, update });
    this.list.append(element);
  }
}

/** How far a training is, or how it ended. */
function words(fork: Fork): string {
  const { status, trained, settings, diverged } = fork;
  const count = (epochs: number): string => `${grouped(epochs)} ${epochs === 1 ? "epoch" : "epochs"}`;
  const epochs = `${grouped(trained)} of ${count(settings.epochs)}`;
  if (status === "training") return epochs;
  if (status === "failed") return `failed after ${epochs}`;
  if (diverged) return `diverged after ${count(trained)}: the weights are numbers no more`;
  return status === "stopped" ? `stopped after ${epochs}` : `${count(trained)} trained`;
}
