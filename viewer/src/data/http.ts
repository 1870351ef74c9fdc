import { typed } from "./codec";
import type { Payload, Values } from "./schema";
import { type Source, type Typed, timed } from "./source";

/** How often a server is asked whether frames have been added, in milliseconds. */
const POLL = 500;

/** A server, and the token without which it gives nothing. */
export class Server {
  constructor(
    private readonly base: string,
    private readonly token: string | null,
  ) {}

  async get(path: string): Promise<Response> {
    const headers: HeadersInit = this.token === null ? {} : { Authorization: `Bearer ${this.token}` };
    const response = await fetch(new URL(path, this.base), { headers, cache: "no-store" });
    if (response.ok) return response;
    if (response.status === 401) throw new Refused("The server wants its token: open the address that it printed.", 401);
    throw new Refused((await response.text()).slice(0, 1000) || `The server answered ${response.status}.`, response.status);
  }

  /** An address of this server for another tab, which does not know the token. */
  address(query: string): string {
    return `${query}${this.token === null ? "" : `#token=${encodeURIComponent(this.token)}`}`;
  }
}

/** What a server says instead of an answer. */
export class Refused extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

/** The payload and arrays of some runs of a server, by their keys. */
export class HttpSource implements Source {
  private readonly query: string;

  /** `waiting` is told why there is nothing to show yet. */
  constructor(
    private readonly server: Server,
    runs: string[],
    private readonly waiting: (why: string) => void = () => undefined,
  ) {
    this.query = `?runs=${runs.map(encodeURIComponent).join(",")}`;
  }

  async payload(): Promise<Payload> {
    for (;;) {
      try {
        return (await (await this.server.get(`api/payload${this.query}`)).json()) as Payload;
      } catch (error) {
        // A run that has no frame yet.
        if (!(error instanceof Refused) || error.status !== 409) throw error;
        this.waiting(error.message);
        await new Promise((done) => setTimeout(done, POLL));
      }
    }
  }

  async frames(values: Values, from: number, to: number): Promise<Typed> {
    const range = timed(values) ? `&from=${from}&to=${to}` : "";
    const path = values.name.split("/").map(encodeURIComponent).join("/");
    return typed(values, await (await this.server.get(`api/arrays/${path}${this.query}${range}`)).arrayBuffer());
  }

  onChange(listener: () => void): () => void {
    let version: string | null = null;
    let timer: ReturnType<typeof setTimeout>;
    let stopped = false;
    const poll = async (): Promise<void> => {
      try {
        const now = await (await this.server.get(`api/version${this.query}`)).text();
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
