import { number } from "../math/written";
import type { RunData } from "./run";

/** The selection with one example more or less. */
export function toggled(selected: ReadonlySet<number>, place: number): Set<number> {
  const changed = new Set(selected);
  if (!changed.delete(place)) changed.add(place);
  return changed;
}

/** What there is to say of an example at frame position `t`, a line each. */
export function describe(data: RunData, place: number, t: number): string[] {
  const { run } = data;
  const classes = run.task.names;
  const lines = [`Example ${run.example_numbers[place] ?? place}`];
  const inputs = data.all(run.inputs);
  const width = run.inputs?.shape[1] ?? 0;
  if (inputs !== null && width <= 4) {
    const values = Array.from({ length: width }, (_, k) => {
      return `${run.input_names[k] ?? `x${k + 1}`} = ${number(inputs[place * width + k])}`;
    });
    lines.push(values.join(", "));
  }
  const label = data.all(run.labels)?.[place];
  if (label !== undefined) lines.push(`Class ${classes[label] ?? label}`);
  const probabilities = data.at(run.probabilities, t);
  if (probabilities !== null) lines.push(prediction(probabilities, run.probabilities?.shape[2] ?? 2, place, classes));
  const [targets, predictions] = [data.all(run.targets), data.at(run.predictions, t)];
  if (targets !== null && predictions !== null) {
    const at = place * classes.length;
    classes.forEach((name, k) =>
      lines.push(`${name} ${number(targets[at + k])}, predicted ${number(predictions[at + k])}`),
    );
  }
  const wrong = data.at(run.wrong, t)?.[place];
  if (wrong === 1) lines.push("Predicted wrongly");
  const loss = data.at(run.losses, t)?.[place];
  if (loss !== undefined) lines.push(`Loss ${number(loss)}`);
  return lines;
}

function prediction(probabilities: Float32Array, count: number, place: number, classes: string[]): string {
  const row = [...probabilities.subarray(place * count, (place + 1) * count)];
  const largest = row.map((probability, k) => [probability, k] as const).sort(([a], [b]) => b - a);
  const named = largest.slice(0, 2).map(([probability, k]) => `${classes[k] ?? k} ${percent(probability)}`);
  return `Predicted ${named.join(", ")}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
