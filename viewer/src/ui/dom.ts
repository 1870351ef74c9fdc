type Child = Node | string | null;
type Properties = Record<string, string | number | boolean | ((event: never) => void)>;

/**
 * An element. What begins with "on" listens; true and false are attributes that are there or not; a child that is
 * text stays text, whatever it contains.
 */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value as EventListener);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A picture of 24 x 24 units on a button, for eyes only. */
export function icon(path: string): SVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const drawn = document.createElementNS(space, "path");
  drawn.setAttribute("d", path);
  svg.append(drawn);
  return svg;
}

export const ICONS = {
  play: "M7 4.5v15l12.5-7.5z",
  pause: "M6 5h4.2v14H6zM13.8 5H18v14h-4.2z",
  back: "M6 5h2.4v14H6zM19 5v14L9.5 12z",
  forward: "M15.6 5H18v14h-2.4zM5 5v14l9.5-7z",
  loop: "M12 5V1.5L6.8 6.2 12 11V7.4a4.8 4.8 0 1 1-4.8 4.8H4.8A7.2 7.2 0 1 0 12 5z",
  more: "M5 10a2 2 0 1 0 0 4 2 2 0 0 0 0-4zm7 0a2 2 0 1 0 0 4 2 2 0 0 0 0-4zm7 0a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
  theme: "M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19zm0 2.2v14.6a7.3 7.3 0 0 1 0-14.6z",
  film: "M3 5h18v14H3zm2 2v2h2V7zm0 4v2h2v-2zm0 4v2h2v-2zm12-8v2h2V7zm0 4v2h2v-2zm0 4v2h2v-2zM9 7v10h6V7z",
} as const;

/** A choice with a visible name. */
export function choice(
  name: string,
  options: [value: string, text: string][],
  value: string,
  changed: (value: string) => void,
): HTMLLabelElement {
  const select = h("select", { onchange: () => changed(select.value) });
  for (const [key, text] of options) select.append(h("option", { value: key }, text));
  select.value = value;
  return h("label", { class: "choice" }, h("span", {}, name), select);
}
