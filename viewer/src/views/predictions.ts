import { axes, grid, note, numbers, plot, type Plot } from "../draw/axes";
import type { Shape } from "../draw/shapes";
import { padded, type Ends } from "../math/scale";
import { grouped, number } from "../math/written";
import { corner } from "./bars";
import { dots, within } from "./dots";
import { examples } from "./groups";
import { once, sampled } from "./once";
import { exampleColumns, exampleRows, known } from "./rows";
import type { Scene, Table } from "./view";
import { moment } from "./words";

const TOP = 30;

interface Drawn {
  plot: Plot;
  x: Float32Array;
  y: Float32Array;
  r2: number;
  rmse: number;
  name: string;
}

/** Of a quantity: predicted against true, with the diagonal on which both are the same. */
export function layout(scene: Scene): Shape[] {
  const { theme, width, height } = scene;
  const drawn = geometry(scene);
  if (drawn === null) return note("loading the predictions …", { x: 0, y: 0, width, height }, theme);
  const { box, x, y } = drawn.plot;
  const [low, high] = x.scale.domain() as Ends;
  const diagonal = Float32Array.of(x.scale(low), y.scale(low), x.scale(high), y.scale(high));
  return [
    ...grid(drawn.plot, theme),
    { kind: "path", commands: [diagonal], stroke: theme.muted, width: 1.4, dash: [5, 3], clip: box },
    ...dots(scene, drawn.x, drawn.y, box),
    axes(drawn.plot, theme),
    ...corner(fit(drawn), drawn.plot, theme.text),
  ];
}

export function label(scene: Scene): string {
  const drawn = geometry(scene);
  const facts = drawn === null ? "loading" : fit(drawn);
  return `Predicted against true ${drawn?.name ?? ""} of ${grouped(examples(scene.data))} examples, ${moment(scene)}: ${facts}.`;
}

export function table(scene: Scene): Table {
  return { columns: exampleColumns(scene), rows: exampleRows(scene) };
}

export function brush(scene: Scene, box: { x0: number; y0: number; x1: number; y1: number }): number[] {
  const drawn = geometry(scene);
  return drawn === null ? [] : within(drawn.x, drawn.y, drawn.plot.box, box);
}

function fit({ r2, rmse }: Drawn): string {
  return Number.isFinite(rmse)
    ? `R² ${Number.isFinite(r2) ? r2.toFixed(2).replace("-", "−") : "unknown"}, RMSE ${number(rmse)}`
    : "not a number";
}

/** Of the first quantity, whose scale is that of all that is true, and of what was ever predicted near it. */
function geometry(scene: Scene): Drawn | null {
  const { data, width, height } = scene;
  const { targets, predictions, task } = data.run;
  const now = known(scene);
  if (now.targets === null || now.outputs === null || targets === null || predictions === null) return null;
  const [wide, deep] = [targets.shape[1] ?? 1, now.width];
  const truth = Float32Array.from({ length: now.count }, (_, k) => (now.targets as Float32Array)[k * wide] as number);
  const shown = once(data, "true", () => span(truth)) as Ends;
  const reached = once(data, "predicted", () => {
    const found = sampled(predictions).map((frame) => data.row(predictions, frame));
    const rows = found.filter((row) => row !== null);
    if (rows.length < found.length) return null;
    return span(rows.flatMap((row) => Array.from({ length: now.count }, (_, k) => row[k * deep] as number)));
  });
  if (reached === null) return null;
  const [low, high] = shown;
  const up: Ends = [
    Math.max(Math.min(low, reached[0]), low - (high - low)),
    Math.min(Math.max(high, reached[1]), high + (high - low)),
  ];
  const name = task.names[0] ?? "";
  const made = plot(
    { x: 0, y: 0, width, height: height - 4 },
    numbers(padded(shown, 0.04), `true ${name}`),
    numbers(padded(up, 0.04), `predicted ${name}`),
    TOP,
  );
  const [x, y] = [new Float32Array(now.count), new Float32Array(now.count)];
  let [sum, squares, errors] = [0, 0, 0];
  for (let k = 0; k < now.count; k++) {
    const [is, said] = [truth[k] as number, now.outputs[k * deep] as number];
    x[k] = made.x.scale(is);
    y[k] = made.y.scale(said);
    sum += is;
    squares += is * is;
    errors += (said - is) ** 2;
  }
  const variance = squares / now.count - (sum / now.count) ** 2;
  return { plot: made, x, y, rmse: Math.sqrt(errors / now.count), r2: 1 - errors / now.count / variance, name };
}

function span(values: Iterable<number>): Ends {
  const found: Ends = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    found[0] = Math.min(found[0], value);
    found[1] = Math.max(found[1], value);
  }
  return found[0] <= found[1] ? found : [0, 1];
}
