import type { Session } from "../model/session";
import { h } from "./dom";

/** What is chosen for the feature space alone; null if there is nothing to choose. */
export function planeControls({ state, runs }: Session): HTMLElement | null {
  if (runs.length < 2) return null;
  const same = h("input", {
    type: "checkbox",
    onchange: () => state.update({ axes: same.checked ? "same" : "own" }),
  });
  const show = (): void => {
    same.checked = state.value.axes === "same";
  };
  state.subscribe(show);
  show();
  return h("div", { class: "controls" }, h("label", { class: "choice" }, same, "Same axes"));
}
