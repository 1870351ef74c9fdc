import { typed } from "./codec";
import type { Payload, Values } from "./schema";
import { type Source, type Typed, timed } from "./source";

/** How often a server is asked whether frames have been added, in milliseconds. */
const POLL = 500;

/** The payload and arrays that a server gives to those who hold its token. */
export class HttpSource implements Source {
  constructor(
    private readonly base: string,
    private readonly query: string,
    private readonly token: string | null,
  ) {}

  async payload(): Promise<Payload> {
    return (await (await this.get(`api/payload${this.query}`)).json()) as Payload;
  }

  async frames(values: Values, from: number, to: number): Promise<Typed> {
    const range = timed(values) ? `?from=${from}&to=${to}` : "";
    const path = values.name.split("/").map(encodeURIComponent).join("/");
    return typed(values, await (await this.get(`api/arrays/${path}${range}`)).arrayBuffer());
  }

  onChange(listener: () => void): () => void {
    let version: string | null = null;
    let timer: ReturnType<typeof setTimeout>;
    let stopped = false;
    const poll = async (): Promise<void> => {
      try {
        const now = await (await this.get(`api/version${this.query}`)).text();
        if (version !== null && now !== version) listener();
        version = now;
      } catch {
        // A server that restarts is asked again.
      }
      if (!stopped) timer = setTimeout(() => void poll(), POLL);
    };
    void poll();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }

  private async get(path: string): Promise<Response> {
    const headers: HeadersInit = this.token === null ? {} : { Authorization: `Bearer ${this.token}` };
    const response = await fetch(new URL(path, this.base), { headers, cache: "no-store" });
    if (response.ok) return response;
    if (response.status === 401) throw new Error("The server wants its token: open the address that it printed.");
    throw new Error(`The server answered ${response.status} to ${path}: ${(await response.text()).slice(0, 300)}`);
  }
}

/** The token of the address' fragment, which is stripped of it: it must not stay in the history. */
export function takeToken(): string | null {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = fragment.get("token");
  if (token === null) return sessionStorage.getItem("netlapse-token");
  fragment.delete("token");
  history.replaceState(null, "", `${location.pathname}${location.search}#${fragment.toString()}`);
  // For a reload of this tab.
  sessionStorage.setItem("netlapse-token", token);
  return token;
}
