// The script of the worker that a fork is trained in; build.mjs puts its text into the viewer.
import { type Job, type Progress, train } from "./train";

const scope = self as unknown as { onmessage: (event: MessageEvent<Job>) => void; postMessage(progress: Progress): void };
scope.onmessage = ({ data }) => train(data, (progress) => scope.postMessage(progress));
