import { LABEL, SMALL, type Plot, axes, grid, note, numbers, plot } from "../draw/axes";
import { type Ramp, colourAt, diverging, pixels, sequential } from "../draw/ramp";
import type { Box, Shape } from "../draw/shapes";
import { contour } from "../math/contour";
import type { Ends } from "../math/scale";
import { number } from "../math/written";
import { dots, within } from "./dots";
import { once, sampled } from "./once";
import { areaOf, diverged, limits, onScreen, placed, regions } from "./plane";
import { placedTable } from "./rows";
import type { Scene, View } from "./view";
import { DIVERGED, TOP, heading, mistakes, moment } from "./words";

/** Room for the colour bar at the right. */
const BAR = 62;

interface Drawn {
  plot: Plot;
  x: Float32Array;
  y: Float32Array;
}

/** A unit whose activations are shown over the plane. */
interface Unit {
  name: string;
  activation: string;
  /** (row, column), of the frame. */
  values: Float32Array;
  rows: number;
  columns: number;
  /** Of all frames. */
  ends: Ends;
}

export const boundary: View = {
  id: "boundary",
  title: "Decision boundary",
  aspect: 0.92,
  available: (data) => data.run.boundary !== null,

  layout(scene) {
    const whole = { x: 0, y: 0, width: scene.width, height: scene.height };
    const { boundary: space } = scene.data.run;
    const drawn = geometry(scene);
    if (space === null || drawn === null) return note("loading the boundary …", whole, scene.theme);
    const { box, x, y } = drawn.plot;
    const shapes = grid(drawn.plot, scene.theme);
    const unit = unitOf(scene);
    if (unit === null) shapes.push(...regions(scene, space, x.scale, y.scale, box));
    else shapes.push(...heat(scene, unit, areaOf(space, x.scale, y.scale), box));
    shapes.push(...dots(scene, drawn.x, drawn.y, box), axes(drawn.plot, scene.theme), ...heading(scene, box));
    const values = unit?.values ?? scene.data.at(space.regions, scene.t);
    if (diverged(values)) shapes.push(...note(DIVERGED, box, scene.theme, scene.theme.wrong));
    return shapes;
  },

  label(scene) {
    const unit = unitOf(scene);
    const shown =
      unit === null
        ? "Decision boundary"
        : `Activation of ${unit.name} over the inputs, ${number(unit.ends[0])} to ${number(unit.ends[1])}`;
    return `${shown}, ${moment(scene)}: ${mistakes(scene)}.`;
  },

  table(scene) {
    const { data, t } = scene;
    return placedTable(scene, data.at(data.run.boundary?.points ?? null, t), names(scene));
  },

  brush(scene, box) {
    const drawn = geometry(scene);
    return drawn === null ? [] : within(drawn.x, drawn.y, drawn.plot.box, box);
  },

  hover(scene, x, y) {
    const [drawn, unit] = [geometry(scene), unitOf(scene)];
    if (drawn === null || scene.data.run.boundary === null || unit === null) return null;
    const { box } = drawn.plot;
    if (x < box.x || x > box.x + box.width || y < box.y || y > box.y + box.height) return null;
    const area = areaOf(scene.data.run.boundary, drawn.plot.x.scale, drawn.plot.y.scale);
    const column = Math.round(((x - area.x) / area.width) * (unit.columns - 1));
    const row = Math.round(((area.y + area.height - y) / area.height) * (unit.rows - 1));
    const value = unit.values[row * unit.columns + column];
    return value === undefined ? null : `${unit.name}\n${unit.activation}: ${number(value)}`;
  },
};

function names({ data }: Scene): [string, string] {
  const { boundary: space, input_names: inputs } = data.run;
  if (inputs.length === 2) return [inputs[0] as string, inputs[1] as string];
  return /pca|principal/i.test(space?.projection ?? "")
    ? ["PC 1 of the inputs", "PC 2 of the inputs"]
    : ["axis 1 of the inputs", "axis 2 of the inputs"];
}

function geometry(scene: Scene): Drawn | null {
  const { data, width, height } = scene;
  const { boundary: space } = data.run;
  const points = data.at(space?.points ?? null, scene.t);
  if (space === null || points === null) return null;
  const spaces = scene.others.flatMap((other) => other.run.boundary ?? []);
  const domain = limits(spaces);
  const [across, up] = names(scene);
  const right = unitOf(scene) === null ? 14 : BAR;
  const area = { x: 0, y: 0, width, height: height - 4 };
  const made = plot(area, numbers(domain.x, across), numbers(domain.y, up), TOP, right);
  return { plot: made, ...onScreen(points, made.x.scale, made.y.scale) };
}

/** The unit chosen in the diagram, if its activations over the plane are known. */
function unitOf({ data, state, t }: Scene): Unit | null {
  const { diagram } = data.run;
  const chosen = state.unit;
  const column = chosen === null ? undefined : diagram?.columns[chosen.column];
  if (chosen === null || chosen.column === 0 || diagram?.maps == null || column === undefined) return null;
  const { maps } = diagram;
  const before = diagram.columns.slice(1, chosen.column).reduce((sum, { units }) => sum + units.length, 0);
  const [rows, columns] = maps.shape.slice(2) as [number, number];
  const [from, to] = [(before + chosen.unit) * rows * columns, (before + chosen.unit + 1) * rows * columns];
  const values = data.at(maps, t)?.subarray(from, to);
  const range = once(data, `unit ${chosen.column} ${chosen.unit}`, () => {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const frame of sampled(maps)) {
      const all = data.row(maps, frame);
      if (all === null) return null;
      for (const value of all.subarray(from, to))
        [low, high] = [value < low ? value : low, value > high ? value : high];
    }
    return (low <= high ? [low, high] : [0, 1]) as Ends;
  });
  if (values === undefined || range === null || values.length === 0) return null;
  return {
    name: `${column.layer}, unit ${column.units[chosen.unit] ?? chosen.unit}`,
    activation: column.activation,
    values,
    rows,
    columns,
    ends: range,
  };
}

function heat({ theme, colours }: Scene, unit: Unit, area: Box, clip: Box): Shape[] {
  const { values, rows, columns } = unit;
  // A sigmoid is undecided at 0.5, everything else at 0.
  const middle = unit.activation === "sigmoid" ? 0.5 : 0;
  const [low, high] = unit.ends;
  const twoSided = low < middle && high > middle;
  const reach = Math.max(middle - low, high - middle, 1e-9);
  const ramp = twoSided ? diverging(colours.classes[0] as string, colours.classes[1] as string, theme) : sequential();
  const shown: Ends = twoSided ? [middle - reach, middle + reach] : [low, Math.max(high, low + 1e-9)];
  const share = (value: number): number => (value - shown[0]) / (shown[1] - shown[0]);
  const edge = placed(contour(values, columns, rows, middle), columns, rows, area);
  return [
    { kind: "image", ...area, columns, rows, pixels: pixels(values, columns, rows, share, ramp, 0.85), smooth: true },
    { kind: "path", commands: [edge], stroke: theme.text, width: 2, clip },
    ...colourBar(shown, ramp, clip, unit, theme),
  ];
}

function colourBar(shown: Ends, ramp: Ramp, box: Box, unit: Unit, theme: Scene["theme"]): Shape[] {
  const steps = 48;
  const bar = { x: box.x + box.width + 12, y: box.y + 18, width: 10, height: box.height - 18 };
  const boxes = new Float32Array(4 * steps);
  for (let k = 0; k < steps; k++) {
    boxes.set([bar.x, bar.y + (k / steps) * bar.height, bar.width, bar.height / steps + 0.5], 4 * k);
  }
  const fill = Array.from({ length: steps }, (_, k) => colourAt(ramp, 1 - k / (steps - 1)));
  // What is next to nothing beside the others is 0.
  const digits = 2 - Math.floor(Math.log10(Math.max(...shown.map(Math.abs), 1e-12)));
  const rounded = (value: number): string => number(Number(value.toFixed(Math.min(Math.max(digits, 0), 20))) + 0);
  const text = {
    kind: "text",
    x: bar.x + bar.width + 5,
    size: SMALL,
    colour: theme.muted,
    baseline: "middle",
  } as const;
  return [
    { kind: "rects", boxes, fill },
    { ...text, y: bar.y + 5, text: rounded(shown[1]) },
    { ...text, y: bar.y + bar.height / 2, text: rounded((shown[0] + shown[1]) / 2) },
    { ...text, y: bar.y + bar.height - 5, text: rounded(shown[0]) },
    {
      kind: "text",
      x: box.x + box.width + BAR - 4,
      y: box.y + 6,
      text: unit.name.replace(/^.*, /, ""),
      size: LABEL,
      colour: theme.text,
      align: "right",
      baseline: "middle",
    },
  ];
}
