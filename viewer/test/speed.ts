// How many steps a second the playground trains: `node --import ./test/typescript.mjs test/speed.ts`.
import { type Optimiser } from "../src/playground/optimisers";
import { Training } from "../src/playground/train";

const EXAMPLES = 2000;
const EPOCHS = 400;

/** The article's network in batches of 16. */
function rate(kind: Optimiser["kind"]): number {
  const training = new Training({
    layers: [
      { activation: "tanh", width: 2, units: 2, bias: true },
      { activation: "sigmoid", width: 2, units: 1, bias: true },
    ],
    weights: Float32Array.from({ length: 9 }, (_, k) => Math.cos(k)),
    inputs: Float32Array.from({ length: 2 * EXAMPLES }, (_, k) => Math.sin(7.1 * k)),
    targets: Float32Array.from({ length: EXAMPLES }, (_, k) => k % 2),
    loss: "binary cross-entropy",
    optimiser: { kind, rate: 0.01, momentum: 0, nesterov: false },
    batchSize: 16,
    epochs: EPOCHS,
  });
  const start = performance.now();
  for (let epoch = 0; epoch < EPOCHS; epoch++) training.epoch();
  return (1000 * EPOCHS * EXAMPLES) / 16 / (performance.now() - start);
}

for (const kind of ["SGD", "RMSprop", "Adam"] as const) {
  const rates = [0, 1, 2].map(() => rate(kind)).sort((a, b) => a - b);
  console.log(`${kind}: ${Math.round((rates[1] as number) / 1000)} 000 steps/s`);
}
