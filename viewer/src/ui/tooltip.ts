import { h } from "./dom";

/** A few lines beside what the pointer or the focus is at. */
export class Tooltip {
  readonly element = h("div", { class: "tooltip", role: "tooltip", popover: "manual" });

  /** `x` and `y` are those of the window. */
  show(lines: string[], x: number, y: number): void {
    const { element } = this;
    const [title, ...rest] = lines;
    element.replaceChildren(h("strong", {}, title ?? ""), ...rest.map((line) => h("div", {}, line)));
    // Above everything: what surrounds a widget may move what is fixed, and cut it off.
    element.showPopover();
    // It does not move with what it is about.
    addEventListener("scroll", this.hide, { once: true, passive: true, capture: true });
    const { width, height } = element.getBoundingClientRect();
    const room = document.documentElement.clientWidth - width - 8;
    const below = y + 18 + height < innerHeight;
    element.style.left = `${Math.max(8, Math.min(x + 14, room))}px`;
    element.style.top = `${below ? y + 18 : Math.max(8, y - height - 12)}px`;
  }

  readonly hide = (): void => {
    this.element.hidePopover();
  };
}
