import { ComputedSource } from "../data/computed";
import { InlineSource } from "../data/inline";
import type { State } from "../model/state";
import { readFragment, writeFragment } from "../model/urlstate";
import { h } from "../ui/dom";
import { Shell } from "../ui/shell";
import { PAGE, STYLES, sheet } from "../ui/styles";
import { served } from "./server";

/** What tests, Python and the console use. */
interface Door {
  /** Goes to a frame position and resolves when it is drawn. */
  seek(t: number): Promise<void>;
  ready: Promise<void>;
  readonly state: State | null;
}

declare global {
  interface Window {
    netlapse: Door;
  }
}

async function main(host: HTMLElement): Promise<Shell | null> {
  const source = InlineSource.isIn(document) ? new ComputedSource(new InlineSource(document)) : await served(host);
  // A gallery, where one chooses runs.
  if (source === null) return null;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const preferred = (): State["theme"] => (dark.matches ? "dark" : "light");
  const shell = await Shell.open(host, source, (session) => ({
    theme: preferred(),
    t: session.payload.live ? session.last : 0,
    // A page in a frame has no address, but may say itself what it shows at first.
    ...readFragment(document.documentElement.dataset["moment"] ?? "", session.leader),
    ...readFragment(location.hash, session.leader),
  }));
  const { session } = shell;
  document.title = session.payload.title;
  shell.listen(document);
  dark.addEventListener("change", () => session.state.update({ theme: preferred() }));
  addEventListener("hashchange", () => session.state.update(readFragment(location.hash, session.leader)));
  session.state.subscribe((state) => {
    if (!state.playing && Number.isInteger(state.t)) show(writeFragment(state, session.leader, preferred()));
  });
  return shell;
}

/** Puts the state into the address; not more often than browsers allow. */
let timer = 0;
function show(fragment: string): void {
  window.clearTimeout(timer);
  timer = window.setTimeout(() => {
    try {
      if (location.hash !== fragment) history.replaceState(null, "", fragment);
    } catch {
      // Frames without an address of their own have no history.
    }
  }, 300);
}

function fail(host: HTMLElement, error: unknown): never {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = [sheet(STYLES)];
  const text = error instanceof Error ? error.message : String(error);
  root.replaceChildren(
    h(
      "div",
      { class: "viewer" },
      h("div", { class: "failure", role: "alert" }, h("h1", {}, "This can't be shown"), text),
    ),
  );
  throw error;
}

document.adoptedStyleSheets = [sheet(PAGE)];
const host = h("div", { id: "netlapse" });
document.body.append(host);
let shell: Shell | null = null;
const ready = main(host).then(
  (opened) => (shell = opened)?.ready,
  (error: unknown) => fail(host, error),
);
window.netlapse = {
  ready,
  async seek(t) {
    await ready;
    shell?.session.clock.seek(t);
    await shell?.settled();
  },
  get state() {
    return shell?.session.state.value ?? null;
  },
};
