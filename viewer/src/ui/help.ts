import { h } from "./dom";

const KEYS: [string, string][] = [
  ["Space", "play or pause"],
  ["← →  or  , .", "one recorded frame back or on"],
  ["Page Up, Page Down", "ten frames back or on"],
  ["Home, End", "the first or last frame"],
  ["< >", "slower or faster"],
  ["[ ]", "in a view: the example before or after"],
  ["Enter", "in a view: select that example"],
  ["Tab, ← →", "of a tour: to its sliders, which turn it by hand"],
  ["Esc", "nothing selected"],
  ["f", "fork here: train on with other settings"],
  ["?", "this help"],
];

const POINTER: [string, string][] = [
  ["Hover", "what is under the pointer, with its numbers"],
  ["Click", "select an example: all views show it, and its trail"],
  ["Drag", "select all examples in a box; with Shift, add to those selected"],
  ["Tap", "say what is there; a second tap selects that example"],
  ["Drag selects", "on a touch screen: one finger draws the box, two still move the page"],
  ["Click on a mark", "jump to a milestone or plateau"],
  ["⋯", "a view as a table, picture, film or CSV"],
];

/** What keys and pointer do. */
export function helpDialog(): HTMLDialogElement {
  const list = (name: string, entries: [string, string][]): HTMLElement[] => [
    h("h3", {}, name),
    h("dl", {}, ...entries.map(([key, text]) => h("div", {}, h("dt", {}, key), h("dd", {}, text)))),
  ];
  const dialog = h(
    "dialog",
    { class: "help", "aria-label": "Help" },
    h("h2", {}, "Help"),
    h("div", { class: "columns" }, h("div", {}, ...list("Keys", KEYS)), h("div", {}, ...list("Pointer", POINTER))),
    h(
      "p",
      {},
      "While it plays, the picture between two recorded frames is interpolated. A pause shows a recorded frame.",
    ),
    h("button", { class: "solid", onclick: () => dialog.close() }, "Close"),
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  return dialog;
}
