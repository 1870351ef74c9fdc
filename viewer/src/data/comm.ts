import { typed } from "./codec";
import type { Payload, Values } from "./schema";
import { type Source, type Typed, timed } from "./source";

/** How often Python is asked whether a training has gone on, in milliseconds. */
const POLL = 1000;

/** What a notebook's front end gives a widget to talk to its Python half with. */
export interface Comm {
  send(content: unknown): void;
  on(event: string, listener: Listener): void;
  off(event: string, listener: Listener): void;
}

type Listener = (content: never, buffers: (ArrayBuffer | DataView)[]) => void;

/** What Python says to the question of this id: a part of the bytes, which come as a buffer, or why there are none. */
export interface Answer {
  id: string;
  part?: number;
  parts?: number;
  error?: string;
}

/** Who waits for an answer, and the parts that have come. */
interface Waiting {
  parts: Uint8Array[];
  done: (bytes: Uint8Array<ArrayBuffer>) => void;
  fail: (error: Error) => void;
}

let sources = 0;

/** The payload and arrays of the Python half of a widget, by messages: src/netlapse/view/widget.py answers them. */
export class CommSource implements Source {
  // Several cells may show one widget: each hears all answers.
  private readonly name = `${Math.random().toString(36).slice(2)}.${++sources}`;
  private readonly waiting = new Map<string, Waiting>();
  private asked = 0;
  private version = "";
  private live = false;

  constructor(private readonly comm: Comm) {
    comm.on("msg:custom", this.hear);
  }

  async payload(): Promise<Payload> {
    const text = new TextDecoder().decode(await this.ask({ ask: "payload" }));
    const { version, payload } = JSON.parse(text) as { version: string; payload: Payload };
    this.version = version;
    this.live = payload.live;
    return payload;
  }

  async frames(values: Values, from: number, to: number): Promise<Typed> {
    const range = timed(values) ? { from, to } : {};
    return typed(values, (await this.ask({ ask: "frames", name: values.name, ...range })).buffer);
  }

  /** Of a training that goes on. */
  onChange(listener: () => void): () => void {
    let timer: ReturnType<typeof setTimeout>;
    let stopped = false;
    const poll = async (): Promise<void> => {
      // What cannot be told now may be told later.
      const now = await this.ask({ ask: "version" }).catch(() => null);
      if (now !== null && new TextDecoder().decode(now) !== this.version) listener();
      again();
    };
    const again = (): void => {
      if (this.live && !stopped) timer = setTimeout(() => void poll(), POLL);
    };
    again();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }

  /** Hears no more. */
  close(): void {
    this.comm.off("msg:custom", this.hear);
    this.waiting.clear();
  }

  private ask(question: Record<string, unknown>): Promise<Uint8Array<ArrayBuffer>> {
    const id = `${this.name}.${++this.asked}`;
    return new Promise((done, fail) => {
      this.waiting.set(id, { parts: [], done, fail });
      this.comm.send({ id, ...question });
    });
  }

  private readonly hear = (answer: Answer, buffers: (ArrayBuffer | DataView)[]): void => {
    const waiting = this.waiting.get(answer.id);
    if (waiting === undefined) return;
    if (answer.error !== undefined) {
      this.waiting.delete(answer.id);
      return waiting.fail(new Error(answer.error));
    }
    waiting.parts[answer.part ?? 0] = bytesOf(buffers[0]);
    if (waiting.parts.filter(() => true).length < (answer.parts ?? 1)) return;
    this.waiting.delete(answer.id);
    waiting.done(joined(waiting.parts));
  };
}

/** Front ends differ in what they give. */
export function bytesOf(buffer: ArrayBuffer | DataView | undefined): Uint8Array {
  if (buffer === undefined) return new Uint8Array(0);
  return buffer instanceof ArrayBuffer
    ? new Uint8Array(buffer)
    : new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** In memory of their own, where numbers of several bytes begin at a whole one. */
function joined(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
