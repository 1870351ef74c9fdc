import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { HttpSource, Server } from "../src/data/http";
import { RunData } from "../src/model/run";
import { NetworkRuns } from "./network-run";

/** A server that gives the arrays of `source` to who has the token "right"; `log` is what was asked. */
async function serve(
  source: NetworkRuns,
  log: string[],
  version: () => number,
  early = 0,
): Promise<{ base: string; close: () => void }> {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? "", "http://localhost");
    log.push(`${url.pathname}${url.search}`);
    if (request.headers.authorization !== "Bearer right") return void response.writeHead(401).end();
    if (url.pathname === "/at/api/payload" && early-- > 0) return void response.writeHead(409).end("no frame yet");
    if (url.pathname === "/at/api/payload") return void response.end(JSON.stringify(await source.payload()));
    if (url.pathname === "/at/api/version") return void response.end(String(version()));
    const name = decodeURIComponent(url.pathname.replace("/at/api/arrays/", ""));
    const stored = source.arrays.get(name);
    if (stored === undefined) return void response.writeHead(404).end("unknown array");
    const frames = Number(url.searchParams.get("to")) - Number(url.searchParams.get("from"));
    const size = stored.length / source.frameCount;
    const part =
      frames > 0
        ? stored.subarray(Number(url.searchParams.get("from")) * size, Number(url.searchParams.get("to")) * size)
        : stored;
    response.end(Buffer.from(part.buffer, part.byteOffset, part.byteLength));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  return { base: `http://127.0.0.1:${port}/at/`, close: () => server.close() };
}

test("a server gives payload and ranges of frames to who has the token", async () => {
  const source = new NetworkRuns();
  const log: string[] = [];
  const server = await serve(source, log, () => 0);
  try {
    const http = new HttpSource(new Server(server.base, "right"), ["a", "b"]);
    const payload = await http.payload();
    const { losses, inputs } = payload.runs[0]!;
    assert.deepEqual(await http.frames(losses, 1, 3), (source.arrays.get("0/losses") as Float32Array).slice(6, 18));
    assert.deepEqual(await http.frames(inputs!, 0, 0), source.arrays.get("0/inputs"));
    assert.deepEqual(log, ["/at/api/payload?runs=a,b",
      "/at/api/arrays/0/losses?runs=a,b&from=1&to=3",
      "/at/api/arrays/0/inputs?runs=a,b",
    ]);
    const data = await RunData.open(payload.runs[0]!, http, () => undefined);
    assert.deepEqual([...data.steps], [0, 20, 40, 60, 80]);
    await assert.rejects(http.frames({ ...losses, name: "0/none" }, 0, 1), /unknown array/);
    await assert.rejects(new HttpSource(new Server(server.base, "wrong"), ["a"]).payload(), /wants its token/);
  } finally {
    server.close();
  }
});

test("a listener hears of every new version, and of none after it has left", async () => {
  let version = 1;
  const server = await serve(new NetworkRuns(), [], () => version);
  let heard = 0;
  const stop = new HttpSource(new Server(server.base, "right"), ["a"]).onChange(() => (heard += 1));
  const until = async (count: number): Promise<void> => {
    for (let k = 0; k < 100 && heard < count; k++) await new Promise((done) => setTimeout(done, 50));
  };
  try {
    await new Promise((done) => setTimeout(done, 200));
    version = 2;
    await until(1);
    assert.equal(heard, 1);
  } finally {
    stop();
    server.close();
  }
});

test("a run without a frame is waited for", async () => {
  const server = await serve(new NetworkRuns(), [], () => 1, 1);
  const said: string[] = [];
  try {
    const source = new HttpSource(new Server(server.base, "right"), ["a"], (why) => said.push(why));
    assert.equal((await source.payload()).runs.length > 0, true);
    assert.deepEqual(said, ["no frame yet"]);
  } finally {
    server.close();
  }
});
