import assert from "node:assert/strict";
import { test } from "node:test";
import { type Answer, CommSource, bytesOf } from "../src/data/comm";
import { NetworkRuns } from "./network-run";

type Question = { id: string; ask: string; name?: string; from?: number; to?: number };

/** A Python half that gives what `source` has in parts of `most` bytes, to all that listen. */
class Notebook {
  readonly asked: Question[] = [];
  readonly listeners = new Set<(answer: never, buffers: (ArrayBuffer | DataView)[]) => void>();
  answered = 0;
  version = "1";
  live = false;
  /** Answers wait until somebody calls `release`, which gives the latest first. */
  held: (() => void)[] | null = null;

  constructor(
    private readonly source: NetworkRuns,
    private readonly most: number,
  ) {}

  on(_: string, listener: (answer: never, buffers: (ArrayBuffer | DataView)[]) => void): void {
    this.listeners.add(listener);
  }

  off(_: string, listener: (answer: never, buffers: (ArrayBuffer | DataView)[]) => void): void {
    this.listeners.delete(listener);
  }

  send(content: unknown): void {
    const question = content as Question;
    this.asked.push(question);
    void this.answer(question).then(
      (bytes) => this.give(question.id, bytes),
      (error: Error) => this.tell({ id: question.id, error: error.message }, []),
    );
  }

  release(): void {
    for (const tell of this.held?.reverse() ?? []) tell();
    this.held = null;
  }

  private async answer({ ask, name, from, to }: Question): Promise<Uint8Array> {
    if (ask === "version") return new TextEncoder().encode(this.version);
    if (ask === "payload") {
      const payload = { ...(await this.source.payload()), live: this.live };
      return new TextEncoder().encode(JSON.stringify({ version: this.version, payload }));
    }
    const stored = this.source.arrays.get(name ?? "");
    if (stored === undefined) throw new Error("there is no such array");
    const size = stored.length / this.source.frameCount;
    const part = from === undefined ? stored : stored.subarray(from * size, (to as number) * size);
    return new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
  }

  private give(id: string, bytes: Uint8Array): void {
    const parts = Math.max(1, Math.ceil(bytes.length / this.most));
    for (let part = 0; part < parts; part++) {
      const some = bytes.slice(part * this.most, (part + 1) * this.most);
      // As JupyterLab gives it: a view into a message, wherever that part of it begins.
      const message = new Uint8Array(some.length + 3);
      message.set(some, 3);
      this.tell({ id, part, parts }, [new DataView(message.buffer, 3)]);
    }
    this.answered += 1;
  }

  private tell(answer: Answer, buffers: DataView[]): void {
    const tell = (): void => {
      for (const listener of [...this.listeners]) listener(answer as never, buffers);
    };
    if (this.held === null) tell();
    else this.held.push(tell);
  }
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((done) => setTimeout(done, 5));
};

test("arrays come whole, in however many parts and whatever order", async () => {
  const source = new NetworkRuns();
  for (const most of [1e6, 7, 1]) {
    const notebook = new Notebook(source, most);
    const comm = new CommSource(notebook);
    const { runs } = await comm.payload();
    const run = runs[0]!;
    notebook.held = [];
    const asked = [comm.frames(run.losses, 1, 3), comm.frames(run.inputs!, 0, 0), comm.frames(run.losses, 3, 3)];
    await until(() => notebook.answered === 4);
    notebook.release();
    const [some, inputs, none] = await Promise.all(asked);
    assert.deepEqual(some, (source.arrays.get("0/losses") as Float32Array).slice(6, 18));
    assert.deepEqual(inputs, source.arrays.get("0/inputs"));
    assert.equal(none?.length, 0);
  }
  const last = new Notebook(source, 100);
  const comm = new CommSource(last);
  const run = (await comm.payload()).runs[0]!;
  await comm.frames(run.losses, 0, 2);
  assert.deepEqual(
    last.asked.map(({ id: _, ...rest }) => rest),
    [{ ask: "payload" }, { ask: "frames", name: "0/losses", from: 0, to: 2 }],
  );
});

test("what Python cannot give is said", async () => {
  const comm = new CommSource(new Notebook(new NetworkRuns(), 100));
  const { losses } = (await comm.payload()).runs[0]!;
  await assert.rejects(comm.frames({ ...losses, name: "0/none" }, 0, 1), /no such array/);
});

test("cells that share a model do not take each other's answers", async () => {
  const notebook = new Notebook(new NetworkRuns(), 16);
  const [one, two] = [new CommSource(notebook), new CommSource(notebook)];
  const [{ runs }] = await Promise.all([one.payload(), two.payload()]);
  assert.equal(new Set(notebook.asked.map(({ id }) => id)).size, 2);
  one.close();
  assert.equal(notebook.listeners.size, 1);
  assert.equal((await two.frames(runs[0]!.losses, 0, 1)).length, 6);
});

test("a training is followed as long as it goes on, and no longer than somebody looks", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const settle = async (): Promise<void> => {
    for (let k = 0; k < 20; k++) await Promise.resolve();
  };
  const notebook = new Notebook(new NetworkRuns(), 100);
  const comm = new CommSource(notebook);
  const versions = (): number => notebook.asked.filter(({ ask }) => ask === "version").length;
  let heard = 0;
  await comm.payload();
  comm.onChange(() => (heard += 1));
  context.mock.timers.tick(10_000);
  await settle();
  assert.equal(versions(), 0);
  notebook.live = true;
  await comm.payload();
  const stop = comm.onChange(() => (heard += 1));
  context.mock.timers.tick(1000);
  await settle();
  assert.deepEqual([versions(), heard], [1, 0]);
  notebook.version = "2";
  context.mock.timers.tick(1000);
  await settle();
  assert.deepEqual([versions(), heard], [2, 1]);
  await comm.payload();
  context.mock.timers.tick(1000);
  await settle();
  assert.deepEqual([versions(), heard], [3, 1]);
  stop();
  context.mock.timers.tick(10_000);
  await settle();
  assert.equal(versions(), 3);
});

test("buffers of every kind are read", () => {
  const bytes = Uint8Array.of(0, 1, 2, 3);
  assert.deepEqual(bytesOf(bytes.buffer), bytes);
  assert.deepEqual(bytesOf(new DataView(bytes.buffer, 1, 2)), Uint8Array.of(1, 2));
  assert.deepEqual(bytesOf(undefined), new Uint8Array(0));
});
