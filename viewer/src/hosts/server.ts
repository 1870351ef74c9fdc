import { HttpSource, Server, takeToken } from "../data/http";
import type { Source } from "../data/source";
import { Gallery } from "../gallery/gallery";
import { GALLERY } from "../gallery/styles";
import { h } from "../ui/dom";
import { STYLES, sheet } from "../ui/styles";

/** What a server shows in `host`: the runs that the address names, or a gallery to choose some, and then null. */
export async function served(host: HTMLElement): Promise<Source | null> {
  const server = new Server(document.baseURI, takeToken());
  const runs = (new URLSearchParams(location.search).get("runs") ?? "").split(",").filter((key) => key !== "");
  if (runs.length === 0) {
    await Gallery.open(host, server);
    return null;
  }
  way(host, server);
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = [sheet(STYLES)];
  const text = h("div", { class: "failure", role: "status" }, "Loading");
  root.replaceChildren(h("div", { class: "viewer" }, text));
  return new HttpSource(server, runs, (why) => (text.textContent = `${why[0]?.toUpperCase()}${why.slice(1)}`));
}

/** A line above the viewer that leads back to all runs. */
function way(host: HTMLElement, server: Server): void {
  const line = h("div", {});
  const root = line.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = [sheet(STYLES), sheet(GALLERY)];
  root.append(h("nav", { class: "way" }, h("a", { href: server.address(location.pathname) }, "← All runs")));
  host.before(line);
  // In the colours of what is below.
  new MutationObserver(() => (line.dataset["theme"] = host.dataset["theme"] ?? "light")).observe(host, {
    attributeFilter: ["data-theme"],
  });
}
