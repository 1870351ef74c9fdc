import type { Start } from "./forks";
import type { Progress } from "./train";

/** The text of worker.ts, which build.mjs puts here. */
declare const WORKER: string;

/** Trains in a worker of its own: pages that load nothing, and files, may have one out of a blob. */
export const startWorker: Start = (job, report, fail) => {
  const address = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
  const worker = new Worker(address);
  worker.onmessage = ({ data }: MessageEvent<Progress>) => report(data);
  worker.onerror = (event) => {
    event.preventDefault();
    fail(event.message);
  };
  worker.postMessage(job);
  return () => {
    worker.terminate();
    URL.revokeObjectURL(address);
  };
};
