import type { Session } from "../model/session";
import type { View } from "../views/view";
import { h, icon, ICONS } from "./dom";
import { saveCsv, savePng } from "./export";
import { saveFilm } from "./film";
import { Pane } from "./pane";
import { planeControls } from "./planecontrols";
import type { Tooltip } from "./tooltip";

/** So many rows of a table are shown; the CSV has all. */
const ROWS = 200;

/** A view with its title and menu, of each run side by side. */
export class Panel {
  readonly panes: Pane[];
  readonly element: HTMLElement;
  private readonly menu: HTMLElement;
  private readonly more: HTMLButtonElement;
  private readonly tables = h("div", { class: "tables", hidden: true });

  constructor(
    private readonly session: Session,
    readonly view: View,
    tooltip: Tooltip,
    changed: () => void,
    private readonly say: (text: string) => void,
  ) {
    this.panes = session.runs.map((_, run) => new Pane(session, view, run, tooltip, changed));
    this.more = h(
      "button",
      {
        class: "quiet",
        "aria-label": `Menu of ${view.title}`,
        "aria-expanded": "false",
        onclick: () => this.open(this.menu.hidden !== false),
      },
      icon(ICONS.more),
    );
    this.menu = h("div", { class: "menu", hidden: true }, ...this.entries());
    const touch = view.brush === undefined ? null : this.touch();
    const title = h("h2", { id: `view-${view.id}` }, view.title);
    this.element = h(
      "section",
      { class: "view", "data-view": view.id, "aria-labelledby": `view-${view.id}` },
      h("header", {}, title, touch, this.more, this.menu),
      view.id === "feature" ? planeControls(session) : null,
      h("div", { class: "panes" }, ...this.panes.map((pane) => pane.element)),
      this.tables,
    );
    this.element.classList.toggle("wide", view.wide === true);
    this.element.addEventListener("focusout", (event) => {
      if (!this.menu.contains(event.relatedTarget as Node | null) && event.relatedTarget !== this.more)
        this.open(false);
    });
    this.menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.open(false);
      this.more.focus();
    });
  }

  /** Says anew in words what is seen: not for every frame that plays. */
  describe(): void {
    for (const pane of this.panes) pane.describe();
    if (!this.tables.hidden) this.fillTables();
  }

  /** Where there may be fingers: whether they scroll the page or draw a box, in all views. */
  private touch(): HTMLElement {
    const { state } = this.session;
    const button = h("button", { class: "touch", onclick: () => state.update({ brush: !state.value.brush }) }, "Drag selects");
    const show = (): void => button.setAttribute("aria-pressed", String(state.value.brush));
    state.subscribe(show);
    show();
    return button;
  }

  private entries(): HTMLElement[] {
    const { view, session } = this;
    const shown = (): Pane[] => this.panes.filter((pane) => pane.available);
    const entry = (text: string, act: () => void): HTMLButtonElement =>
      h(
        "button",
        {
          onclick: () => {
            this.open(false);
            this.more.focus();
            act();
          },
        },
        text,
      );
    const table = entry("Show as a table", () => {
      this.tables.hidden = !this.tables.hidden;
      table.textContent = this.tables.hidden ? "Show as a table" : "Hide the table";
      this.fillTables();
    });
    const larger = entry("Enlarge", () => {
      const large = this.element.classList.toggle("large");
      larger.textContent = large ? "Back to its size" : "Enlarge";
    });
    return [
      table,
      larger,
      entry(
        "Save picture (PNG)",
        () => void savePng(session, [view]).catch((error: unknown) => this.say(String(error))),
      ),
      entry(
        "Save film",
        () => void saveFilm(session, [view], this.say).catch((error: unknown) => this.say(String(error))),
      ),
      entry("Save numbers (CSV)", () =>
        saveCsv(
          session,
          view,
          shown().map((pane) => pane.scene),
        ),
      ),
    ];
  }

  private open(open: boolean): void {
    this.menu.hidden = !open;
    this.more.setAttribute("aria-expanded", String(open));
    if (open) (this.menu.firstElementChild as HTMLElement).focus();
  }

  private fillTables(): void {
    if (this.tables.hidden) return;
    const filled = this.panes
      .filter((pane) => pane.available)
      .map((pane) => {
        const { columns, rows } = this.view.table(pane.scene);
        const name = `${this.view.title}, ${pane.scene.data.run.name}, epoch ${this.session.epoch}`;
        const rest = rows.length > ROWS ? ` The first ${ROWS} of ${rows.length} rows: the CSV has all.` : "";
        const table = h(
          "table",
          {},
          h("caption", {}, `${name}.${rest}`),
          h("thead", {}, h("tr", {}, ...columns.map((column) => h("th", { scope: "col" }, column)))),
          h(
            "tbody",
            {},
            ...rows.slice(0, ROWS).map((row) => h("tr", {}, ...row.map((value) => h("td", {}, String(value))))),
          ),
        );
        return h("div", { class: "table", tabindex: 0, role: "region", "aria-label": name }, table);
      });
    this.tables.replaceChildren(...filled);
  }
}
