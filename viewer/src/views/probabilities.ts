import {
  LABEL,
  type Plot,
  SMALL,
  axes,
  bare,
  fitted,
  grid,
  horizontal,
  mirrored,
  note,
  numbers,
  plot,
  vertical,
} from "../draw/axes";
import type { Box, Shape } from "../draw/shapes";
import { Histogram } from "../math/histogram";
import { root } from "../math/scale";
import { grouped, number } from "../math/written";
import { RIGHT, SELECTED, type Stand, WRONG, bars, binsWithin, corner } from "./bars";
import { groupsOf } from "./groups";
import * as predictions from "./predictions";
import { type Known, known } from "./rows";
import type { Scene, View } from "./view";
import { mistakes, moment } from "./words";

const BINS = 20;
const TOP = 30;
/** A row of a class is no lower than this; of more classes than fit, those of the most examples have a row. */
const ROW = 30;

/** The histogram of the examples of some classes. */
interface Part {
  name: string;
  colour: string;
  total: number;
  histogram: Histogram;
  stand: Stand;
  /** Where the part is drawn. */
  box: Box;
}

interface Drawn {
  plot: Plot;
  parts: Part[];
  /** The part of each example; -1 if none. */
  part: Int32Array;
  probability: Float32Array;
  two: boolean;
}

export const probabilities: View = {
  id: "probabilities",
  title: "Predictions",
  available: ({ run }) =>
    run.task.kind === "quantities" ? run.targets !== null && run.predictions !== null : run.probabilities !== null,

  layout(scene) {
    if (scene.data.run.task.kind === "quantities") return predictions.layout(scene);
    const { theme, width, height } = scene;
    const drawn = geometry(scene);
    if (drawn === null) return note("loading the probabilities …", { x: 0, y: 0, width, height }, theme);
    const { box } = drawn.plot;
    const shapes: Shape[] = drawn.two ? grid(drawn.plot, theme) : [];
    for (const part of drawn.parts) shapes.push(...bars(part.histogram, part.stand, part.colour, scene));
    if (drawn.two) {
      const half = vertical(drawn.plot.x.scale(0.5), box);
      shapes.push({ kind: "path", commands: [half], stroke: theme.muted, dash: [3, 3] });
      shapes.push({ kind: "path", commands: [horizontal(drawn.plot.y.scale(0), box)], stroke: theme.axis });
    }
    shapes.push(axes(drawn.plot, theme), ...names(drawn, scene));
    return shapes;
  },

  label(scene) {
    if (scene.data.run.task.kind === "quantities") return predictions.label(scene);
    const drawn = geometry(scene);
    const parts = (drawn?.parts ?? []).map(
      (part) => `${part.name} ${wrongOf(part)} of ${grouped(part.total)} wrong`,
    );
    return `Probabilities, ${moment(scene)}: ${mistakes(scene)}; ${parts.join(", ")}.`;
  },

  table(scene) {
    if (scene.data.run.task.kind === "quantities") return predictions.table(scene);
    const drawn = geometry(scene);
    const columns = ["class", "probability from", "to", "right", "wrong"];
    const rows = (drawn?.parts ?? []).flatMap(({ name, histogram }) =>
      Array.from({ length: BINS }, (_, bin) => [
        name,
        Number(histogram.edge(bin).toFixed(2)),
        Number(histogram.edge(bin + 1).toFixed(2)),
        histogram.count(RIGHT, bin),
        histogram.count(WRONG, bin),
      ]),
    );
    return { columns, rows };
  },

  brush(scene, box) {
    if (scene.data.run.task.kind === "quantities") return predictions.brush(scene, box);
    const drawn = geometry(scene);
    if (drawn === null) return [];
    const bins = drawn.parts.map((part) => binsWithin(part.histogram, part.stand, box));
    return [...drawn.part.keys()].filter((k) => {
      const part = drawn.part[k] as number;
      return part >= 0 && bins[part]?.has(drawn.parts[part]?.histogram.bin(drawn.probability[k] as number) ?? -1);
    });
  },

  hover(scene, x, y) {
    if (scene.data.run.task.kind === "quantities") return null;
    const drawn = geometry(scene);
    const part = drawn?.parts.find(({ box }) => y >= box.y && y < box.y + box.height);
    if (part === undefined || x < part.box.x || x > part.box.x + part.box.width) return null;
    const { histogram } = part;
    const bin = histogram.bin(part.stand.x.invert(x));
    const range = `${number(histogram.edge(bin))} to ${number(histogram.edge(bin + 1))}`;
    return `${part.name}, probability ${range}\n${histogram.count(RIGHT, bin)} right, ${histogram.count(WRONG, bin)} wrong`;
  },
};

function geometry(scene: Scene): Drawn | null {
  const now = known(scene);
  const groups = groupsOf(scene);
  if (now.outputs === null || groups === null || (now.labels === null && scene.data.run.labels !== null)) return null;
  const { width, height } = scene;
  const two = now.names.length === 2;
  // Of two classes the axis is the probability of the second, else that of the class that is right.
  const probability = two ? second(now) : own(now);
  if (two) {
    // One scale for both, so that one can compare.
    const most = Math.max(...groups.counts, 1);
    const area = { x: 0, y: 0, width, height: height - 4 };
    const made = plot(area, numbers([0, 1], `P(${now.names[1] ?? ""})`, "plain"), mirrored(most, "examples (√ scale)"), TOP);
    const parts = [0, 1].map((k): Part => {
      const { box, x } = made;
      const middle = box.y + box.height / 2;
      const scale = root(most, [middle, k === 0 ? box.y : box.y + box.height]);
      return partOf(
        now.names[k] as string,
        groups.colours[k] as string,
        groups.counts[k] ?? 0,
        { x: x.scale, height: scale },
        {
          ...box,
          y: k === 0 ? box.y : middle,
          height: box.height / 2,
        },
      );
    });
    const part = Int32Array.from(groups.of);
    return filled(scene, now, { plot: made, parts, part, probability, two });
  }
  const room = { x: 0, y: 0, width: width - 56, height: height - 4 };
  const rows = Math.max(1, Math.floor((height - TOP - 44) / ROW));
  const order = groups.counts.map((_, k) => k).filter((k) => (groups.counts[k] as number) > 0);
  const all = order.length > rows;
  const shown = all
    ? [...order].sort((a, b) => (groups.counts[b] as number) - (groups.counts[a] as number)).slice(0, rows)
    : order;
  shown.sort((a, b) => a - b);
  const draft = plot(room, numbers([0, 1], "P(own class)", "plain"), bare([0, 1]), TOP);
  const left = 78;
  const made = plot(
    { ...room, x: left - draft.box.x, width: room.width - left + draft.box.x },
    numbers([0, 1], "P(own class)", "plain"),
    bare([0, 1]),
    TOP,
  );
  const each = made.box.height / Math.max(shown.length, 1);
  const parts = shown.map((k, place): Part => {
    const box = { ...made.box, y: made.box.y + place * each, height: each };
    const scale = root(groups.counts[k] as number, [box.y + each - 1, box.y + 0.12 * each]);
    return partOf(
      groups.names[k] as string,
      groups.colours[k] as string,
      groups.counts[k] as number,
      { x: made.x.scale, height: scale },
      box,
    );
  });
  const part = Int32Array.from(groups.of, (k) => shown.indexOf(k));
  return filled(scene, now, { plot: made, parts, part, probability, two });
}

function partOf(name: string, colour: string, total: number, stand: Stand, box: Box): Part {
  return { name, colour, total, histogram: new Histogram(0, 1, BINS, 3), stand, box };
}

function filled({ state }: Scene, { wrong }: Known, drawn: Drawn): Drawn {
  for (let k = 0; k < drawn.part.length; k++) {
    const histogram = drawn.parts[drawn.part[k] as number]?.histogram;
    histogram?.add(drawn.probability[k] as number, wrong?.[k] === 1 ? WRONG : RIGHT);
    if (state.selected.has(k)) histogram?.add(drawn.probability[k] as number, SELECTED);
  }
  return drawn;
}

function second({ outputs, count, width }: Known): Float32Array {
  const found = new Float32Array(count);
  for (let k = 0; k < count; k++) found[k] = outputs?.[k * width + Math.min(1, width - 1)] ?? Number.NaN;
  return found;
}

function own({ outputs, labels, count, width }: Known): Float32Array {
  const found = new Float32Array(count);
  for (let k = 0; k < count; k++) found[k] = outputs?.[k * width + (labels?.[k] ?? 0)] ?? Number.NaN;
  return found;
}

function wrongOf({ histogram }: Part): number {
  return histogram.total(WRONG) + (histogram.unknown[WRONG] as number);
}

/** The classes' names beside their bars, with how many are wrong. */
function names({ parts, plot: made, two }: Drawn, { theme }: Scene): Shape[] {
  const lost = parts.reduce(
    (sum, { histogram }) => sum + (histogram.unknown[RIGHT] as number) + (histogram.unknown[WRONG] as number),
    0,
  );
  const shapes = lost > 0 ? corner(`${grouped(lost)} not a number`, made, theme.wrong) : [];
  const text = { kind: "text", baseline: "middle" } as const;
  for (const [k, part] of parts.entries()) {
    const wrong = `${grouped(wrongOf(part))} wrong`;
    const { box } = part;
    if (two) {
      const y = k === 0 ? box.y + 10 : box.y + box.height - 10;
      // In the middle, where of a trained network there are the fewest bars.
      const x = box.x + box.width / 2;
      shapes.push({
        ...text,
        x: x - 8,
        y,
        text: fitted(part.name, LABEL, box.width / 3),
        size: LABEL,
        colour: theme.text,
        align: "right",
        bold: true,
        halo: theme.surface,
      });
      const look = { size: LABEL, colour: theme.wrong, bold: true, halo: theme.surface } as const;
      shapes.push({ ...text, x: x + 8, y, text: wrong, ...look });
    } else {
      const y = box.y + box.height / 2;
      shapes.push({
        kind: "path",
        commands: [horizontal(box.y + box.height, { ...box, width: box.width + 50 })],
        stroke: theme.grid,
      });
      shapes.push({
        ...text,
        x: box.x - 8,
        y,
        text: fitted(part.name, LABEL, 66),
        size: LABEL,
        colour: theme.text,
        align: "right",
      });
      shapes.push({
        ...text,
        x: box.x + box.width + 62,
        y,
        text: wrong,
        size: SMALL,
        colour: theme.wrong,
        align: "right",
      });
    }
  }
  return shapes;
}
