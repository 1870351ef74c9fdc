import type { Server } from "../data/http";
import { grouped } from "../math/written";
import { choice, h } from "../ui/dom";
import { STYLES, sheet } from "../ui/styles";
import { Card } from "./card";
import { GALLERY } from "./styles";
import { type Filter, type Row, SORTS, type Table, chosen, facets, fetchTable, isExpression, settings } from "./table";

/** The table is fetched anew so often, in milliseconds. */
const POLL = 2000;
/** As many cards are added at a time when one scrolls to the last. */
const PAGE = 48;
/** Runs that can be compared. */
const MOST = 6;

/** All runs below the server's root: one looks for some, opens one, or ticks several and compares them. */
export class Gallery {
  private readonly filter: Filter & { values: Map<string, string> } = { text: "", values: new Map(), sort: "-created" };
  private readonly cards = new Map<string, Card>();
  private readonly ticked = new Set<string>();
  private readonly choices = h("div", { class: "choices" });
  private readonly grid = h("main", { class: "cards" });
  private readonly count = h("p", { class: "count", role: "status" });
  private readonly more = h("div", { class: "more" });
  private readonly compare = h("a", { class: "compare" }, "");
  private readonly bar = h("div", { class: "bar", role: "region", "aria-label": "Comparison", hidden: true });
  private readonly dark = matchMedia("(prefers-color-scheme: dark)");
  private readonly visible = new Set<Card>();
  private readonly seen: IntersectionObserver;
  private table: Table = { root: "", differing: [], runs: [] };
  private shown = PAGE;
  private said = "";
  private facets = "";
  private fetching = false;

  static async open(host: HTMLElement, server: Server): Promise<void> {
    const gallery = new Gallery(host, server);
    await gallery.refresh(true);
    const poll = async (): Promise<void> => {
      if (!document.hidden) await gallery.refresh(false);
      setTimeout(() => void poll(), POLL);
    };
    setTimeout(() => void poll(), POLL);
  }

  private constructor(
    host: HTMLElement,
    private readonly server: Server,
  ) {
    const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet(STYLES), sheet(GALLERY)];
    let typing = 0;
    const search = h("input", {
      type: "search",
      placeholder: "Words, or final.loss < 0.1 and activation == 'relu'",
      "aria-label": "Search runs",
      spellcheck: "false",
      oninput: () => {
        this.filter.text = search.value.trim();
        window.clearTimeout(typing);
        typing = window.setTimeout(() => void this.refresh(true), isExpression(search.value) ? 400 : 120);
      },
    });
    const sort = choice("Sort", SORTS, this.filter.sort, (value) => {
      this.filter.sort = value;
      this.show();
    });
    const clear = h("button", { onclick: () => this.clear() }, "Clear");
    this.bar.append(this.compare, clear);
    root.replaceChildren(
      h(
        "div",
        { class: "viewer gallery" },
        h("header", { class: "head" }, h("h1", {}, "Runs"), search, sort, this.choices),
        this.count,
        this.grid,
        this.more,
        this.bar,
      ),
    );
    const scheme = (): void => {
      host.dataset["theme"] = this.dark.matches ? "dark" : "light";
      for (const card of this.cards.values()) card.draw(this.dark.matches);
    };
    this.dark.addEventListener("change", scheme);
    scheme();
    const cards = new WeakMap<Element, Card>();
    this.seen = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          if (target === this.more) {
            if (isIntersecting && this.shown < this.table.runs.length) this.show(this.shown + PAGE);
            continue;
          }
          const card = cards.get(target) ?? [...this.cards.values()].find(({ element }) => element === target);
          if (card === undefined) continue;
          cards.set(target, card);
          if (isIntersecting) this.visible.add(card);
          else this.visible.delete(card);
        }
        void this.picture();
      },
      { rootMargin: "200px" },
    );
    this.seen.observe(this.more);
    new ResizeObserver(() => {
      for (const card of this.visible) card.draw(this.dark.matches);
    }).observe(this.grid);
  }

  /** Fetches the table. Only `asked` for says it what is wrong with an expression, or that there is no server. */
  private async refresh(asked: boolean): Promise<void> {
    try {
      this.table = await fetchTable(this.server, this.filter);
      this.said = "";
    } catch (error) {
      if (!asked) return;
      this.said = error instanceof Error ? error.message : String(error);
    }
    if (asked) this.shown = PAGE;
    this.show();
    void this.picture();
  }

  private show(shown = this.shown): void {
    this.shown = shown;
    const { table } = this;
    const found = chosen(table, this.filter);
    this.offer(table);
    const cards = found.slice(0, shown).map((run) => this.card(run));
    // Elements that stay in place keep the focus.
    if (cards.some((card, k) => this.grid.children[k] !== card.element) || this.grid.children.length > cards.length) {
      this.grid.replaceChildren(...cards.map(({ element }) => element));
    }
    this.count.textContent = this.said || this.counted(found.length);
    this.count.classList.toggle("problem", this.said !== "");
    this.choose();
  }

  private counted(found: number): string {
    const total = this.table.runs.length;
    if (total === 0 && this.filter.text === "") return `There are no runs below ${this.table.root} yet.`;
    const of = found === total ? "" : ` of ${grouped(total)}`;
    return `${grouped(found)}${of} run${total === 1 ? "" : "s"} in ${this.table.root}`;
  }

  private card(run: Row): Card {
    let card = this.cards.get(run.key);
    if (card === undefined) {
      card = new Card(run, this.server, (key, on) => {
        if (on) this.ticked.add(key);
        else this.ticked.delete(key);
        this.choose();
      });
      this.cards.set(run.key, card);
      this.seen.observe(card.element);
    }
    card.show(run, settings(this.table));
    return card;
  }

  /** The values of hyper-parameters to choose from; of an expression's runs those of all remain. */
  private offer(table: Table): void {
    if (isExpression(this.filter.text)) return;
    const offered = facets(table);
    const key = JSON.stringify(offered);
    if (key === this.facets) return;
    this.facets = key;
    this.choices.replaceChildren(
      ...offered.map(([name, values]) => {
        const options: [string, string][] = [["", "all"], ...values.map((value): [string, string] => [value, value])];
        return choice(name.replaceAll("_", " "), options, this.filter.values.get(name) ?? "", (value) => {
          if (value === "") this.filter.values.delete(name);
          else this.filter.values.set(name, value);
          this.show(PAGE);
        });
      }),
    );
  }

  /** Brings the bar up to date with what is ticked. */
  private choose(): void {
    const { ticked } = this;
    this.bar.hidden = ticked.size === 0;
    const keys = [...ticked].map(encodeURIComponent).join(",");
    if (ticked.size > 1) this.compare.href = this.server.address(`?runs=${keys}`);
    else this.compare.removeAttribute("href");
    this.compare.textContent = ticked.size > 1 ? `Compare ${ticked.size} runs` : "Tick another run to compare";
    for (const [key, { tick }] of this.cards) {
      tick.checked = ticked.has(key);
      tick.disabled = !tick.checked && ticked.size >= MOST;
    }
  }

  private clear(): void {
    this.ticked.clear();
    this.choose();
  }

  /** Fetches the pictures that are on the screen, one after the other: a server has more to do. */
  private async picture(): Promise<void> {
    if (this.fetching) return;
    this.fetching = true;
    for (;;) {
      const next = [...this.visible].find((card) => card.stale && card.element.isConnected);
      if (next === undefined) break;
      await next.fetch(this.server);
      next.draw(this.dark.matches);
    }
    this.fetching = false;
  }
}
