import { bisectRight } from "d3-array";
import type { Curve } from "../data/schema";
import {
  type Axis,
  type Draft,
  LABEL,
  type Plot,
  SMALL,
  axes,
  circle,
  fitted,
  grid,
  magnitudes,
  note,
  numbers,
  plot,
  textWidth,
  vertical,
} from "../draw/axes";
import { mix } from "../draw/palette";
import type { Box, Shape } from "../draw/shapes";
import { memo } from "../math/memo";
import { type Ends, padded } from "../math/scale";
import { counted, number } from "../math/written";
import type { RunData } from "../model/run";
import type { Scene, View } from "./view";
import { moment } from "./words";

const TOP = 30;
/** Panels are no smaller than this. */
const [NARROW, LOW] = [170, 130];
/** A quantity that spans more than this, and is never 0 or below, is shown on a logarithmic scale. */
const SPAN = 8;

/** The curves of one quantity. */
interface Panel {
  quantity: string;
  share: boolean;
  plot: Plot;
}

export const curves: View = {
  id: "curves",
  title: "Learning curves",
  wide: true,
  aspect: 0.42,
  available: (data) => data.run.curves.length > 0,

  layout(scene) {
    const { theme, width, height, data } = scene;
    const panels = panelsOf(scene);
    if (panels === null) return note("loading the curves …", { x: 0, y: 0, width, height }, theme);
    const shapes = panels.flatMap((panel) => draw(scene, panel));
    const hidden = quantities(data).length - panels.length;
    if (hidden > 0) {
      const text = `${hidden} more in the table`;
      shapes.push({
        kind: "text",
        x: width - 8,
        y: height - 3,
        text,
        size: SMALL,
        colour: theme.muted,
        align: "right",
        baseline: "bottom",
      });
    }
    return shapes;
  },

  label(scene) {
    const now = scene.data.run.curves.map((curve) => {
      const value = scene.data.at(curve.values, scene.t)?.[0];
      return `${curve.name} (${curve.split}) ${written(value ?? Number.NaN, isShare(curve.quantity))}`;
    });
    return `Learning curves, ${moment(scene)}: ${now.join(", ")}.`;
  },

  table({ data }) {
    const { curves: all } = data.run;
    const rows = Array.from(data.epochs, (epoch, frame) => [
      epoch,
      ...all.map((curve) => data.row(curve.values, frame)?.[0] ?? ""),
    ]);
    return {
      columns: ["epoch", ...all.map(({ name, split }) => (name.includes(split) ? name : `${name} (${split})`))],
      rows,
    };
  },

  click(scene, x, y) {
    const panel = panelAt(scene, x, y);
    if (panel === null || scene.others.length > 1) return null;
    return { t: frameAt(scene.data, panel.plot.x.scale.invert(x)) };
  },

  hover(scene, x, y) {
    const panel = panelAt(scene, x, y);
    if (panel === null) return null;
    const epoch = panel.plot.x.scale.invert(x);
    const lines = scene.others.flatMap((data) => {
      const frame = frameAt(data, epoch);
      return ofQuantity(data, panel.quantity).map((curve) => {
        const value = written(data.row(curve.values, frame)?.[0] ?? Number.NaN, panel.share);
        return `${scene.others.length > 1 ? `${data.run.name}, ` : ""}${curve.split}: ${value}`;
      });
    });
    return [`${panel.quantity} at epoch ${counted(scene.data.epochs[frameAt(scene.data, epoch)] ?? 0)}`, ...lines].join(
      "\n",
    );
  },
};

function quantities(data: RunData): string[] {
  return [...new Set(data.run.curves.map(({ quantity }) => quantity))];
}

function ofQuantity(data: RunData, quantity: string): Curve[] {
  return data.run.curves.filter((curve) => curve.quantity === quantity);
}

function isShare(quantity: string): boolean {
  return /accuracy|share|error rate/i.test(quantity);
}

/** As many panels as there is room for, side by side or one below the other. */
function panelsOf(scene: Scene): Panel[] | null {
  const { data, others, width, height } = scene;
  const all = quantities(data);
  const across = Math.min(all.length, Math.max(1, Math.floor(width / NARROW)));
  const down = Math.min(Math.ceil(all.length / across), Math.max(1, Math.floor(height / LOW)));
  const spare = all.length > across * down ? 14 : 4;
  const epochs: Ends = [
    Math.min(...others.map((one) => one.epochs[0] ?? 0)),
    Math.max(...others.map((one) => one.epochs.at(-1) ?? 1)),
  ];
  if (epochs[0] === epochs[1]) epochs[1] += 1;
  const panels: Panel[] = [];
  for (const [k, quantity] of all.slice(0, across * down).entries()) {
    const values = others.flatMap((one) => ofQuantity(one, quantity).map((curve) => one.gradually(curve.values)));
    if (values.some((column) => column === null)) return null;
    const share = isShare(quantity);
    const isLoss = others.some((one) => ofQuantity(one, quantity).some((curve) => curve.name === "loss"));
    const up = axisOf(quantity, values as Float32Array[], share, isLoss);
    const [w, h] = [width / across, (height - spare) / down];
    const area: Box = { x: (k % across) * w, y: Math.floor(k / across) * h, width: w, height: h };
    const last = Math.floor(k / across) === down - 1;
    panels.push({ quantity, share, plot: plot(area, numbers(epochs, last || down === 1 ? "epoch" : ""), up, TOP) });
  }
  return panels;
}

function axisOf(quantity: string, columns: Float32Array[], share: boolean, isLoss: boolean): Draft {
  let [low, high, positive] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, true];
  for (const column of columns) {
    for (const value of column) {
      if (!Number.isFinite(value)) continue;
      [low, high] = [Math.min(low, value), Math.max(high, value)];
      positive &&= value > 0;
    }
  }
  const name = quantity.replaceAll("_", " ");
  if (share && high <= 1.0001)
    return numbers([Math.min(low, 0.5) - 0.01, 1.01], `${name} (%)`, "percent");
  // A score is at most 1, and near it on a linear scale.
  if (positive && high > SPAN * low && (isLoss || high > 1))
    return magnitudes([low / 1.15, high * 1.15], `${name} (log scale)`);
  return numbers(padded([isLoss ? Math.min(0, low) : low, high], 0.05), name);
}

function draw(scene: Scene, { quantity, share, plot: made }: Panel): Shape[] {
  const { data, others, theme, colours, t } = scene;
  const { box, x, y } = made;
  const position = x.scale(epochAt(data, t));
  const shapes: Shape[] = [...stretches(scene, made), ...grid(made, theme)];
  // The others first, so that the own run lies on top.
  for (const other of [...others.filter((one) => one !== data), data]) {
    const own = other === data;
    const colour =
      others.length === 1 ? theme.accent : (colours.series[others.indexOf(other) % colours.series.length] as string);
    for (const curve of ofQuantity(other, quantity)) {
      const values = other.gradually(curve.values);
      if (values === null) continue;
      const validation = curve.split === "validation";
      const stroke = validation ? mix(colour, theme.text, 0.45) : colour;
      const look = { kind: "path", stroke, clip: margin(box), ...(validation && { dash: [5, 3] }) } as const;
      const whole = line(values, other.epochs, x, y);
      if (!own) {
        shapes.push({ ...look, commands: [whole], width: 1.2, alpha: 0.6 });
        continue;
      }
      shapes.push({ ...look, commands: [whole], width: 1.2, alpha: 0.35 });
      shapes.push({ ...look, commands: [begun(other, values, made, t)], width: 2.2 });
      const value = data.at(curve.values, t)?.[0] ?? Number.NaN;
      if (Number.isFinite(value))
        shapes.push({
          kind: "path",
          commands: [circle(position, y.scale(value), 3.5)],
          fill: stroke,
          stroke: theme.surface,
        });
    }
  }
  shapes.push({ kind: "path", commands: [vertical(position, box)], stroke: theme.muted, width: 1 });
  shapes.push(axes(made, theme), ...milestones(scene, made), ...values(scene, quantity, share, made));
  return shapes;
}

/** The whole curve. */
const line = memo((values: Float32Array, epochs: Float32Array, { scale: x }: Axis, { scale: y }: Axis): Float32Array => {
  const found = new Float32Array(2 * values.length);
  for (let k = 0; k < values.length; k++) {
    found[2 * k] = x(epochs[k] as number);
    found[2 * k + 1] = y(values[k] as number);
  }
  return found;
});

/** The curve up to a frame position. */
function begun(data: RunData, values: Float32Array, { x, y }: Plot, t: number): Float32Array {
  const recorded = Math.min(Math.floor(t), values.length - 1);
  const all = line(values, data.epochs, x, y).subarray(0, 2 * (recorded + 1));
  const [last, next] = [values[recorded] as number, values[recorded + 1]];
  if (t <= recorded || next === undefined) return all;
  const found = new Float32Array(all.length + 2);
  found.set(all);
  found.set([x.scale(epochAt(data, t)), y.scale(last + (t - recorded) * (next - last))], all.length);
  return found;
}

/** Above a panel: what the curves are, in their lines, with their values now. */
function values(scene: Scene, quantity: string, share: boolean, { box }: Plot): Shape[] {
  const { data, others, theme, colours, t } = scene;
  const colour =
    others.length === 1 ? theme.accent : (colours.series[others.indexOf(data) % colours.series.length] as string);
  const shapes: Shape[] = [];
  let left = box.x;
  for (const curve of ofQuantity(data, quantity)) {
    const validation = curve.split === "validation";
    const value = written(data.at(curve.values, t)?.[0] ?? Number.NaN, share);
    const text = fitted(`${curve.split} ${value}`, LABEL, Math.max(box.x + box.width - left - 26, 40));
    const stroke = validation ? mix(colour, theme.text, 0.45) : colour;
    if (left > box.x && left + 26 + textWidth(text, LABEL) > box.x + box.width + 8) break;
    shapes.push({
      kind: "path",
      commands: [Float32Array.of(left, 12, left + 18, 12).map((v, k) => (k % 2 === 1 ? box.y - 18 : v))],
      stroke,
      width: 2.2,
      ...(validation && { dash: [5, 3] }),
    });
    shapes.push({
      kind: "text",
      x: left + 24,
      y: box.y - 18,
      text,
      size: LABEL,
      colour: theme.text,
      baseline: "middle",
    });
    left += 24 + textWidth(text, LABEL) + 16;
  }
  return shapes;
}

function stretches({ data, theme }: Scene, { box, x }: Plot): Shape[] {
  const bands = data.run.marks.filter(({ kind, start, stop }) => kind === "plateau" && stop > start);
  const boxes = bands.flatMap(({ start, stop }) => [x.scale(start), box.y, x.scale(stop) - x.scale(start), box.height]);
  return boxes.length === 0 ? [] : [{ kind: "rects", boxes: Float32Array.from(boxes), fill: theme.muted, alpha: 0.1 }];
}

function milestones({ data, theme }: Scene, { box, x }: Plot): Shape[] {
  const ticks = data.run.marks.filter(({ kind }) => kind === "milestone").map(({ start }) => x.scale(start));
  const commands = ticks.map((at) => Float32Array.of(at - 4, box.y - 6, at + 4, box.y - 6, at, box.y + 1));
  return commands.length === 0 ? [] : [{ kind: "path", commands, fill: theme.accent, closed: true }];
}

function written(value: number, share: boolean): string {
  if (Number.isNaN(value)) return "not a number";
  return share ? `${(100 * value).toFixed(1)} %` : number(value);
}

function epochAt({ epochs }: RunData, t: number): number {
  const before = Math.min(Math.max(Math.floor(t), 0), epochs.length - 1);
  const [a, b] = [epochs[before] as number, epochs[Math.min(before + 1, epochs.length - 1)] as number];
  return a + (b - a) * (t - before);
}

/** The recorded frame nearest to an epoch. */
function frameAt({ epochs }: RunData, epoch: number): number {
  const after = Math.min(bisectRight(epochs, epoch), epochs.length - 1);
  const before = Math.max(after - 1, 0);
  return epoch - (epochs[before] as number) < (epochs[after] as number) - epoch ? before : after;
}

function panelAt(scene: Scene, x: number, y: number): Panel | null {
  const inside = ({ plot: { box } }: Panel): boolean =>
    x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height;
  return panelsOf(scene)?.find(inside) ?? null;
}

/** Lines may be as wide as they are at the edges of a plot. */
function margin({ x, y, width, height }: Box): Box {
  return { x: x - 2, y: y - 2, width: width + 4, height: height + 4 };
}
