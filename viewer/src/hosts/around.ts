import type { State } from "../model/state";

/** The background of JupyterLab's cells, of VS Code's editor and of its notebooks. */
const NAMES = ["--jp-layout-color0", "--vscode-editor-background", "--theme-background"];

/** The theme that suits what an element is in: a notebook's page may be dark where the system is light. */
export function around(element: Element): State["theme"] {
  const style = getComputedStyle(element);
  const dark =
    NAMES.map((name) => isDark(style.getPropertyValue(name))).find((found) => found !== null) ?? behind(element);
  return (dark ?? matchMedia("(prefers-color-scheme: dark)").matches) ? "dark" : "light";
}

/** Calls `listener` when the theme of the page may have changed; returns what stops that. */
export function watch(listener: () => void): () => void {
  const observer = new MutationObserver(listener);
  for (const element of [document.documentElement, document.body]) observer.observe(element, { attributes: true });
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", listener);
  return () => {
    observer.disconnect();
    system.removeEventListener("change", listener);
  };
}

/** Whether the first background below an element is dark. */
function behind(element: Element): boolean | null {
  for (let at: Node | null = element; at !== null; at = at instanceof ShadowRoot ? at.host : at.parentNode) {
    const found = at instanceof Element ? isDark(getComputedStyle(at).backgroundColor) : null;
    if (found !== null) return found;
  }
  return null;
}

/** Whether a colour, however it is written, is dark; null for none, and for one that is seen through. */
function isDark(colour: string): boolean | null {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  if (context === null || colour.trim() === "") return null;
  context.fillStyle = "transparent";
  context.fillStyle = colour.trim();
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data as unknown as number[];
  if ((alpha as number) < 128) return null;
  return 0.299 * (red as number) + 0.587 * (green as number) + 0.114 * (blue as number) < 128;
}
