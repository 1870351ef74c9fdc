import type { Session } from "../model/session";
import { HANDLES, componentOf, pointed, tourOf } from "../views/tour";
import type { Scene } from "../views/view";
import { h } from "./dom";

/** What is chosen for the feature space alone: whether runs share its axes, and how a tour looks at it. */
export function planeControls(session: Session): HTMLElement | null {
  const { runs } = session;
  const parts = [
    runs.length > 1 ? sameAxes(session) : null,
    runs.some(({ run }) => run.tours.length > 0) ? tips(session) : null,
  ].filter((part) => part !== null);
  return parts.length === 0 ? null : h("div", { class: "controls" }, ...parts);
}

function sameAxes({ state }: Session): HTMLElement {
  const box = h("input", { type: "checkbox", onchange: () => state.update({ axes: box.checked ? "same" : "own" }) });
  const show = (): void => {
    box.checked = state.value.axes === "same";
  };
  state.subscribe(show);
  show();
  return h("label", { class: "choice" }, box, "Same axes");
}

/** The tips of a tour's components for those who don't drag them: which, how far to the right, and how far up. */
function tips(session: Session): HTMLElement {
  const { state, runs } = session;
  const which = h("select", { "aria-label": "Component of the tour", onchange: () => show() });
  const across = slider("across", (value) => move((_, y) => [value, y]));
  const up = slider("up", (value) => move((x) => [x, value]));
  const element = h("span", { class: "tips", role: "group", "aria-label": "Tour by hand" }, which, across.label, up.label);
  /** Of the first run that shows a tour. */
  const seen = (): Scene | undefined =>
    runs.map((_, run) => session.scene(run, 0, 0)).find((scene) => tourOf(scene) !== null);
  const move = (changed: (x: number, y: number) => [number, number]): void => {
    const scene = seen();
    if (scene === undefined) return;
    const tip = changed(...componentOf(scene, which.selectedIndex));
    state.update(pointed(scene, which.selectedIndex, ...tip));
  };
  const show = (): void => {
    const scene = seen();
    element.hidden = scene === undefined;
    if (scene === undefined) return;
    const count = Math.min(tourOf(scene)?.scores.shape[2] ?? 0, HANDLES);
    if (which.options.length !== count)
      which.replaceChildren(...Array.from({ length: count }, (_, k) => h("option", {}, `PC ${k + 1}`)));
    const [x, y] = componentOf(scene, which.selectedIndex);
    across.show(`PC ${which.selectedIndex + 1}`, x);
    up.show(`PC ${which.selectedIndex + 1}`, y);
  };
  state.subscribe(show);
  show();
  return element;
}

interface Slider {
  label: HTMLElement;
  show(component: string, value: number): void;
}

function slider(name: string, moved: (value: number) => void): Slider {
  const input = h("input", { type: "range", min: -1, max: 1, step: 0.02, oninput: () => moved(Number(input.value)) });
  return {
    label: h("label", { class: "choice" }, h("span", {}, name), input),
    show(component, value) {
      input.value = String(value);
      input.setAttribute("aria-label", `${component} ${name}`);
    },
  };
}
