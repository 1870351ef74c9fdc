import { grouped } from "../math/written";
import type { RunData } from "../model/run";
import type { Session } from "../model/session";
import { h } from "../ui/dom";
import { DERIVATIVES } from "./derivatives";
import type { Settings } from "./fork";
import { optimiserOf } from "./forks";
import { type Optimiser, optimiserName } from "./optimisers";
import { hindrance, rowsOf } from "./origin";

/** What a training begins with whose settings are not known, or of an optimiser that is not known here. */
const USUAL: Optimiser = { kind: "SGD", rate: 0.01, momentum: 0, nesterov: false };
const [USUAL_BATCH, USUAL_MOMENTUM, USUAL_EPOCHS, MOST_EPOCHS] = [32, 0.9, 100, 2000];

/** Asks what a fork is to be trained with. */
export class ForkDialog {
  readonly element: HTMLDialogElement;
  private readonly title = h("h2", { id: "fork-title" });
  private readonly run = h("select", { onchange: () => this.fill() });
  private readonly rate = h("input", { type: "number", min: 0, max: 1e6, step: "any", required: true });
  private readonly batch = h("input", { type: "number", min: 1, step: 1, required: true });
  private readonly optimiser = h("select");
  private readonly activation = h("select");
  private readonly epochs = h("input", { type: "number", min: 1, max: MOST_EPOCHS, step: 1, required: true });
  private readonly notes = h("ul", { class: "hints" });
  private readonly problem = h("p", { class: "problem", role: "alert" });
  private readonly go = h("button", { class: "solid", type: "submit" }, "Train on");
  private readonly ofRun = field("Run", this.run);
  private readonly hidden = field("Activation of the hidden layers", this.activation);
  private optimisers: Optimiser[] = [];
  /** What the form is about: time may go on meanwhile, with a fork that grows. */
  private chosen: { data: RunData; frame: number } | null = null;

  /** `fork` begins the training; what it throws is shown. */
  constructor(
    private readonly session: Session,
    private readonly fork: (data: RunData, frame: number, settings: Settings) => Promise<void>,
  ) {
    const form = h(
      "form",
      { method: "dialog", onsubmit: (event: SubmitEvent) => void this.submit(event) },
      this.title,
      this.ofRun,
      field("Learning rate", this.rate),
      field("Batch size", this.batch),
      field("Optimiser", this.optimiser),
      this.hidden,
      field("Epochs to train on", this.epochs),
      this.notes,
      this.problem,
      h(
        "div",
        { class: "ends" },
        h("button", { type: "button", onclick: () => this.element.close() }, "Cancel"),
        this.go,
      ),
    );
    this.element = h("dialog", { class: "help fork", "aria-labelledby": "fork-title" }, form);
    this.element.addEventListener("click", (event) => {
      if (event.target === this.element) this.element.close();
    });
  }

  /** For the moment that is shown. */
  open(): void {
    const { session } = this;
    session.clock.pause();
    const before = this.run.value;
    const able = session.runs.flatMap((data, k) => (hindrance(data.run) === null ? [[data.run.name, k] as const] : []));
    this.run.replaceChildren(...able.map(([name, k]) => h("option", { value: k }, name)));
    if (able.some(([, k]) => String(k) === before)) this.run.value = before;
    this.ofRun.hidden = able.length < 2;
    this.fill();
    this.element.showModal();
    this.rate.focus();
    this.rate.select();
  }

  /** Puts what the run was trained with into the form. */
  private fill(): void {
    const k = Number(this.run.value);
    const data = this.session.runs[k] as RunData;
    const frame = Math.round(this.session.positions()[k] as number);
    this.chosen = { data, frame };
    const { mlp } = data.run;
    const training = mlp?.training ?? null;
    const own = optimiserOf(data.run);
    const { rate } = own ?? { ...USUAL, rate: training?.learning_rate ?? USUAL.rate };
    const count = rowsOf(data.run).length;
    const epoch = data.epochs[frame] as number;
    this.title.textContent = `Fork at epoch ${Number(epoch.toFixed(2))}`;
    this.rate.value = String(rate);
    this.batch.max = String(count);
    this.batch.value = String(Math.min(training?.batch_size ?? USUAL_BATCH, count));
    const momentum = own !== null && own.momentum > 0 ? own.momentum : USUAL_MOMENTUM;
    this.optimisers = [
      USUAL,
      { ...USUAL, momentum },
      { ...USUAL, momentum, nesterov: true },
      { ...USUAL, kind: "RMSprop" },
      { ...USUAL, kind: "Adam" },
    ];
    const names = this.optimisers.map(optimiserName);
    this.optimiser.replaceChildren(...names.map((name, k) => h("option", { value: k }, name)));
    this.optimiser.value = String(Math.max(names.indexOf(optimiserName(own ?? USUAL)), 0));
    const hidden = new Set(mlp?.layers.slice(0, -1).map(({ activation }) => activation));
    const activations = Object.keys(DERIVATIVES).filter((name) => !hidden.has(name) && name !== "swish");
    const keep = h("option", { value: "" }, `as it is: ${[...hidden].join(", ").replaceAll("_", " ")}`);
    this.activation.replaceChildren(
      keep,
      ...activations.map((name) => h("option", { value: name }, name.replaceAll("_", " "))),
    );
    this.hidden.hidden = hidden.size === 0;
    const left = Math.round((data.epochs.at(-1) as number) - epoch);
    this.epochs.value = String(Math.min(left > 0 ? left : USUAL_EPOCHS, MOST_EPOCHS));
    this.notes.replaceChildren(...hints(data, own !== null).map((text) => h("li", {}, text)));
    this.problem.textContent = "";
  }

  private async submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    // Larger than any number: 0 would train nothing.
    if (!(this.rate.valueAsNumber > 0)) {
      this.problem.textContent = "The learning rate must be more than 0.";
      return this.rate.focus();
    }
    const optimiser = {
      ...(this.optimisers[Number(this.optimiser.value)] as Optimiser),
      rate: this.rate.valueAsNumber,
    };
    if (this.chosen === null) return;
    const { data, frame } = this.chosen;
    this.go.disabled = true;
    try {
      await this.fork(data, frame, {
        optimiser,
        batchSize: this.batch.valueAsNumber,
        activation: this.activation.value || null,
        epochs: this.epochs.valueAsNumber,
      });
      this.element.close();
    } catch (error) {
      this.problem.textContent = error instanceof Error ? error.message : String(error);
    } finally {
      this.go.disabled = false;
    }
  }
}

/** In what the fork's training is not that of the run. */
function hints({ run }: RunData, known: boolean): string[] {
  const found: string[] = [];
  const training = run.mlp?.training ?? null;
  if (training === null) found.push("How the run was trained is not known: these are usual settings.");
  else if (!known) found.push(`The run was trained with ${training.optimizer}, which is not known here.`);
  const count = grouped(rowsOf(run).length);
  found.push(`It trains on the ${count} examples of this page, which may be fewer than the run was trained on.`);
  found.push("The weights are those of this epoch; the optimiser's state starts anew.");
  found.push("Penalties on weights are left out, if the run had any.");
  if (run.mlp?.layers.some(({ kernel }) => kernel.dtype !== "float32")) {
    found.push("The page has these weights rounded to 16 bits.");
  }
  const without = [...(run.mlp?.noise ?? []), ...leftOut(run.hyperparameters)];
  if (without.length > 0) found.push(`It trains without ${without.join(", ")}.`);
  return found;
}

/** What the run's training had, as far as its hyper-parameters say, and a fork has not. */
function leftOut(given: Record<string, string>): string[] {
  const said = (name: string): boolean => !["", "0", "0.0", "None", "False", undefined].includes(given[name]);
  const names: [string, string][] = [
    ["class_weight", "class weights"],
    ["optimizer.weight_decay", "weight decay"],
    ["alpha", "L2 regularisation"],
    ["optimizer.clipnorm", "clipped gradients"],
    ["optimizer.clipvalue", "clipped gradients"],
    ["optimizer.global_clipnorm", "clipped gradients"],
    ["optimizer.use_ema", "averaged weights"],
    ["optimizer.amsgrad", "AMSGrad"],
    ["scheduler", "its schedule of learning rates"],
    ["learning_rate.schedule", "its schedule of learning rates"],
  ];
  return [...new Set(names.filter(([name]) => said(name)).map(([, text]) => text))];
}

/** A control with its visible name. */
function field(name: string, control: HTMLElement): HTMLElement {
  return h("label", { class: "field" }, h("span", {}, name), control);
}
