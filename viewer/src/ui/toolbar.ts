import type { Session } from "../model/session";
import type { State } from "../model/state";
import type { View } from "../views/view";
import { tourStep, firstAxes } from "../math/project";
import { choice, h, icon, ICONS } from "./dom";
import { saveFilm } from "./film";

const DISTRIBUTIONS: Record<string, string> = {
  weights: "weights",
  gradients: "gradients by parameter",
  layer_gradients: "gradients by layer",
  pre_activations: "pre-activations",
  activations: "activations",
};

const SYNCS: [string, string][] = [
  ["epoch", "epoch"],
  ["step", "step"],
  ["loss", "equal loss"],
];

/** What is chosen for all views: the layer, the projection, the distribution, the theme. */
export function toolbar(
  session: Session,
  help: HTMLDialogElement,
  views: () => View[],
  say: (text: string) => void,
): HTMLElement {
  const { state, runs } = session;
  const spaces = runs.flatMap(({ run }) => [...run.spaces, ...run.tours]);
  const layers = [...new Set(spaces.map((space) => space.layer))];
  const kinds = [...new Set(runs.flatMap(({ run }) => run.distributions.map(({ kind }) => kind)))];
  const tours = runs.flatMap(({ run }) => run.tours);
  const tools: (HTMLElement | null)[] = [];
  const choose = (
    name: string,
    options: [string, string][],
    key: keyof State,
    value: (text: string) => Partial<State>,
  ): HTMLElement => {
    const label = choice(name, options, String(state.value[key] ?? options[0]?.[0]), (text) =>
      state.update(value(text)),
    );
    const select = label.querySelector("select") as HTMLSelectElement;
    state.subscribe((now) => (select.value = String(now[key] ?? options[0]?.[0])));
    tools.push(label);
    return label;
  };
  if (layers.length > 1)
    choose(
      "Layer",
      layers.map((layer) => [layer, layer]),
      "layer",
      (layer) => ({ layer, tour: null }),
    );
  if (tours.length > 0) {
    choose(
      "Projection",
      [
        ["auto", "fixed"],
        ["tour", "tour: drag the axes"],
      ],
      "projection",
      (projection) => ({
        projection: projection as State["projection"],
      }),
    );
    tools.push(turn(session));
  }
  if (kinds.length > 1) {
    choose(
      "Distribution of",
      kinds.map((kind) => [kind, DISTRIBUTIONS[kind] ?? kind]),
      "distribution",
      (distribution) => ({ distribution }),
    );
  }
  const step = choose("In step by", SYNCS, "sync", (sync) => ({ sync: sync as State["sync"] }));
  const several = (): boolean => (step.hidden = session.runs.length === 1);
  session.arrivals.subscribe(several);
  several();
  const film = (): void => {
    void saveFilm(session, views(), say).catch((error: unknown) => say(String(error)));
  };
  const theme = (): void => state.update({ theme: state.value.theme === "dark" ? "light" : "dark" });
  return h(
    "div",
    { class: "tools", role: "group", "aria-label": "View options" },
    ...tools,
    h(
      "span",
      {},
      h("button", { "aria-label": "Save a film of all views", onclick: film }, icon(ICONS.film)),
      h("button", { "aria-label": "Light or dark", onclick: theme }, icon(ICONS.theme)),
      h("button", { "aria-label": "Help", onclick: () => help.showModal() }, "?"),
    ),
  );
}

/** Turns a tour by itself, until it is pressed again or another projection is chosen. */
function turn({ state, runs }: Session): HTMLElement {
  let turning = false;
  const button = h("button", { "aria-pressed": "false", onclick: () => set(!turning) }, "Turn");
  const set = (on: boolean): void => {
    if (on && !turning) requestAnimationFrame(step);
    turning = on;
    button.setAttribute("aria-pressed", String(on));
  };
  const step = (): void => {
    if (!turning) return;
    const components =
      runs.flatMap(({ run }) => run.tours).find(({ layer }) => layer === state.value.layer) ??
      runs.flatMap(({ run }) => run.tours)[0];
    const axes = state.value.tour ?? firstAxes(components?.scores.shape[2] ?? 2);
    state.update({ tour: tourStep(axes, 0.006) });
    requestAnimationFrame(step);
  };
  const show = (): void => {
    button.hidden = state.value.projection !== "tour";
    if (button.hidden) set(false);
  };
  state.subscribe(show);
  show();
  return button;
}
