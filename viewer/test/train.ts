// Trains as tests/test_view_playground.py asks, on batches in their order: JSON in, JSON out.
import { readFileSync } from "node:fs";
import { type Job, Training } from "../src/playground/train";

interface Asked extends Omit<Job, "weights" | "inputs" | "targets"> {
  weights: number[];
  inputs: number[];
  targets: number[];
  batches: number[][];
}

const asked = JSON.parse(readFileSync(0, "utf8")) as Asked[];
const found = asked.map(({ batches, weights, inputs, targets, ...rest }) => {
  const single = (values: number[]): Float32Array => Float32Array.from(values);
  const training = new Training({ ...rest, weights: single(weights), inputs: single(inputs), targets: single(targets) });
  for (const batch of batches) training.step(Int32Array.from(batch));
  return [...training.weights];
});
process.stdout.write(JSON.stringify(found));
