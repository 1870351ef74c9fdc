// The script of the worker that a fork is trained in; build.mjs puts its text into the viewer.
import { type Job, type Progress, train } from "./train";

interface Scope {
  onmessage: (event: MessageEvent<Job>) => void;
  postMessage(progress: Progress): void;
}

const scope = self as unknown as Scope;
scope.onmessage = ({ data }) => train(data, (progress) => scope.postMessage(progress));
