import type { Values } from "../data/schema";
import { classNames, examples } from "./groups";
import type { Scene } from "./view";

/** What is known of every example now; null where it has not come or does not exist. */
export interface Known {
  count: number;
  names: string[];
  labels: Float32Array | null;
  /** (example, class) of classes, (example, quantity) of quantities. */
  outputs: Float32Array | null;
  width: number;
  targets: Float32Array | null;
  losses: Float32Array | null;
  wrong: Float32Array | null;
}

export function known({ data, t }: Scene): Known {
  const { run } = data;
  const names = classNames(run.task);
  const outputs: Values | null = names.length === 0 ? run.predictions : run.probabilities;
  return {
    count: examples(data),
    names,
    labels: data.all(run.labels),
    outputs: data.at(outputs, t),
    width: outputs?.shape[2] ?? 1,
    targets: data.all(run.targets),
    losses: data.at(run.losses, t),
    wrong: wrongOf({ data, t }),
  };
}

/** 1 of each example that is wrong: of several labels, in the first, which is the one that is shown. Null if unknown. */
export function wrongOf({ data, t }: Pick<Scene, "data" | "t">): Float32Array | null {
  const { task, probabilities, labels, wrong } = data.run;
  if (task.kind !== "labels" || task.names.length < 2) return data.at(wrong, t);
  const [outputs, known] = [data.at(probabilities, t), data.all(labels)];
  return outputs === null || known === null
    ? null
    : known.map((label, k) => ((outputs[2 * k + label] as number) >= 0.5 ? 0 : 1));
}

/** The class that gets the most of an example, and how much; -1 where that is not a number. */
export function predicted({ outputs, width }: Known, example: number): { class: number; probability: number } {
  let [best, probability] = [-1, Number.NEGATIVE_INFINITY];
  for (let k = 0; outputs !== null && k < width; k++) {
    const value = outputs[example * width + k] as number;
    if (value > probability) [best, probability] = [k, value];
  }
  return { class: best, probability: best < 0 ? Number.NaN : probability };
}

/** Columns and rows of a table with a row for each example, in their order. */
export function exampleColumns(scene: Scene): string[] {
  const quantities = classNames(scene.data.run.task).length === 0;
  return quantities
    ? ["example", "true", "predicted", "loss"]
    : ["example", "class", "prediction", "probability", "wrong", "loss"];
}

/** The same with the places (example, 2) at which they are drawn, by the names of the axes. */
export function placedTable(
  scene: Scene,
  points: Float32Array | null,
  axes: [string, string],
): { columns: string[]; rows: (string | number)[][] } {
  const place = (k: number): number[] => [points?.[2 * k] ?? Number.NaN, points?.[2 * k + 1] ?? Number.NaN];
  return {
    columns: [...exampleColumns(scene), ...axes],
    rows: exampleRows(scene).map((row, k) => [...row, ...place(k)]),
  };
}

export function exampleRows(scene: Scene): (string | number)[][] {
  const now = known(scene);
  return Array.from({ length: now.count }, (_, example) => rowOf(scene, now, example));
}

/** What is missing is an empty cell. */
export function rowOf({ data }: Scene, now: Known, example: number): (string | number)[] {
  const name = data.run.example_numbers[example] ?? example;
  const loss = now.losses?.[example] ?? "";
  if (now.names.length === 0) {
    const quantities = data.run.targets?.shape[1] ?? 1;
    return [name, now.targets?.[example * quantities] ?? "", now.outputs?.[example * now.width] ?? "", loss];
  }
  const label = now.labels?.[example];
  const best = predicted(now, example);
  const wrong = now.wrong?.[example];
  return [
    name,
    label === undefined ? "" : (now.names[label] ?? label),
    best.class < 0 ? "" : (now.names[best.class] ?? best.class),
    best.class < 0 ? "" : best.probability,
    wrong === undefined ? "" : wrong === 1 ? "yes" : "no",
    loss,
  ];
}
