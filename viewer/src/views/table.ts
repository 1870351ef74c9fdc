import { LABEL, SMALL, fitted, note, textWidth } from "../draw/axes";
import type { Shape } from "../draw/shapes";
import { grouped, number } from "../math/written";
import type { RunData } from "../model/run";
import { groupsOf } from "./groups";
import { once } from "./once";
import { type Known, exampleColumns, exampleRows, known, rowOf } from "./rows";
import type { Scene, View } from "./view";
import { mistakes, moment } from "./words";

const HEAD = 30;
const ROW = 24;
/** With pictures. */
const TALL = 40;

export const table: View = {
  id: "table",
  title: "Examples",
  available: (data) => data.run.example_numbers.length > 0,

  layout(scene) {
    const { theme, width, height, state } = scene;
    const now = known(scene);
    const whole = { x: 0, y: 0, width, height };
    if (now.losses === null) return note("loading the examples …", whole, theme);
    const pictures = picturesOf(scene.data);
    const high = pictures === null ? ROW : TALL;
    const shown = first(scene, now, Math.max(1, Math.floor((height - HEAD - 20) / high)));
    const shapes: Shape[] = [];
    const places = columnsOf(scene, pictures === null ? 12 : TALL + 12);
    const line = HEAD - 4;
    for (const { name, x, align } of places) {
      shapes.push({
        kind: "text",
        x,
        y: HEAD / 2,
        text: name,
        size: SMALL,
        colour: theme.muted,
        align,
        baseline: "middle",
      });
    }
    shapes.push({ kind: "path", commands: [Float32Array.of(8, line, width - 8, line)], stroke: theme.axis });
    const groups = groupsOf(scene);
    for (const [k, example] of shown.entries()) {
      const middle = HEAD + k * high + high / 2;
      const chosen = state.selected.has(example);
      const wrong = now.wrong?.[example] === 1;
      if (chosen || state.hovered === example) {
        const band = Float32Array.of(4, HEAD + k * high, width - 8, high);
        shapes.push({ kind: "rects", boxes: band, fill: theme.accent, alpha: chosen ? 0.16 : 0.08 });
      }
      if (pictures !== null) {
        const size = TALL - 6;
        shapes.push({
          kind: "image",
          x: 10,
          y: middle - size / 2,
          width: size,
          height: size,
          columns: pictures.columns,
          rows: pictures.rows,
          pixels: pictureOf(pictures, example),
          smooth: false,
        });
      }
      if (groups !== null) {
        const dot = Float32Array.of((places[0]?.x ?? 0) + (places[0]?.room ?? 0) - 12, middle - 4, 8, 8);
        shapes.push({ kind: "rects", boxes: dot, fill: groups.colours[groups.of[example] as number] ?? theme.muted });
      }
      for (const [column, text] of written(rowOf(scene, now, example)).entries()) {
        const place = places[column];
        if (place === undefined) continue;
        const colour = wrong && place.name === "prediction" ? theme.wrong : theme.text;
        const words = wrong && place.name === "prediction" ? `× ${text || "none"}` : text;
        shapes.push({
          kind: "text",
          x: place.x,
          y: middle,
          text: fitted(words, LABEL, place.room),
          size: LABEL,
          colour,
          align: place.align,
          baseline: "middle",
          bold: wrong && place.name === "prediction",
        });
      }
    }
    const text = `${shown.length} of ${grouped(now.count)}: selected first, then ${now.wrong === null ? "" : "wrong, then "}largest loss`;
    shapes.push({
      kind: "text",
      x: 12,
      y: height - 6,
      text: fitted(text, SMALL, width - 20),
      size: SMALL,
      colour: theme.muted,
      baseline: "bottom",
    });
    return shapes;
  },

  label(scene) {
    const now = known(scene);
    const [worst] = first(scene, now, 1);
    const loss =
      worst === undefined
        ? ""
        : ` First in the list: example ${scene.data.run.example_numbers[worst] ?? worst}, loss ${number(now.losses?.[worst])}.`;
    return `Examples, ${moment(scene)}: ${mistakes(scene)}.${loss}`;
  },

  table(scene) {
    const now = known(scene);
    const rows = exampleRows(scene);
    return {
      columns: exampleColumns(scene),
      rows: first(scene, now, now.count).map((example) => rows[example] as (string | number)[]),
    };
  },

  click(scene, x, y) {
    const example = exampleAt(scene, x, y);
    if (example === null) return null;
    const selected = new Set(scene.state.selected);
    if (!selected.delete(example)) selected.add(example);
    return { selected };
  },

  brush(scene, box) {
    const now = known(scene);
    const high = picturesOf(scene.data) === null ? ROW : TALL;
    const shown = first(scene, now, Math.max(1, Math.floor((scene.height - HEAD - 20) / high)));
    const [top, bottom] = [Math.min(box.y0, box.y1), Math.max(box.y0, box.y1)];
    return shown.filter((_, k) => HEAD + k * high < bottom && HEAD + (k + 1) * high > top);
  },
};

/** The examples that come first: selected ones, then wrong ones, then those of the largest loss. */
export function first({ state }: Scene, { count, losses, wrong }: Known, most: number): number[] {
  const rank = new Float64Array(count);
  for (let k = 0; k < count; k++) {
    const loss = losses?.[k] ?? 0;
    // A loss that is not a number is the worst there is.
    const size = Number.isNaN(loss) ? 1 : loss / (1 + Math.abs(loss));
    rank[k] = size + (wrong?.[k] === 1 ? 4 : 0) + (state.selected.has(k) ? 8 : 0);
  }
  if (most >= count) return [...rank.keys()].sort((a, b) => (rank[b] as number) - (rank[a] as number) || a - b);
  const found: number[] = [];
  for (let k = 0; k < count; k++) {
    if (found.length === most && (rank[k] as number) <= (rank[found[most - 1] as number] as number)) continue;
    let place = found.length;
    while (place > 0 && (rank[found[place - 1] as number] as number) < (rank[k] as number)) place--;
    found.splice(place, 0, k);
    if (found.length > most) found.pop();
  }
  return found;
}

function exampleAt(scene: Scene, _x: number, y: number): number | null {
  const high = picturesOf(scene.data) === null ? ROW : TALL;
  const row = Math.floor((y - HEAD) / high);
  const rows = Math.max(1, Math.floor((scene.height - HEAD - 20) / high));
  return row < 0 || row >= rows ? null : (first(scene, known(scene), rows)[row] ?? null);
}

interface Place {
  name: string;
  x: number;
  align: CanvasTextAlign;
  room: number;
}

/** Where the columns are: numbers at the right of theirs, as much of the names as there is room for. */
function columnsOf(scene: Scene, left: number): Place[] {
  const numbers = scene.data.run.example_numbers;
  const wide = Math.max(textWidth(String(numbers.at(-1) ?? 0), LABEL), textWidth("example", SMALL)) + 26;
  const right = scene.width - 12;
  const names = exampleColumns(scene).filter((name) => name !== "wrong");
  const tail = names.includes("class") ? 2 : 3;
  const tailWidth = scene.width < 420 ? 58 : 68;
  const start = left + wide;
  const middle = names.length - 1 - tail;
  const free = right - tail * tailWidth - start;
  // What is predicted has a × before it.
  const widths = middle < 2 ? [free] : [0.44 * free, 0.56 * free];
  return names.map((name, k): Place => {
    if (k === 0) return { name: "example", x: left, align: "left", room: wide };
    if (k <= middle)
      return {
        name,
        x: start + (k > 1 ? (widths[0] as number) : 0),
        align: "left",
        room: (widths[k - 1] as number) - 6,
      };
    return { name, x: right - (names.length - 1 - k) * tailWidth, align: "right", room: tailWidth };
  });
}

/** The cells as they are shown, without that of whether the prediction is wrong, which a colour and a × say. */
function written(row: (string | number)[]): string[] {
  const cells = row.length === 6 ? row.filter((_, k) => k !== 4) : row;
  return cells.map((cell, k) =>
    typeof cell !== "number" || k === 0
      ? String(cell)
      : Number.isNaN(cell)
        ? "NaN"
        : row.length === 6 && k === 3
          ? cell.toFixed(3)
          : number(cell),
  );
}

interface Pictures {
  values: Float32Array;
  rows: number;
  columns: number;
  channels: number;
  low: number;
  high: number;
}

function picturesOf(data: RunData): Pictures | null {
  const { images } = data.run;
  const values = data.all(images);
  if (images === null || values === null) return null;
  return once(data, "pictures", () => {
    const [, rows, columns, channels] = images.shape as [number, number, number, number | undefined];
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const value of values) [low, high] = [value < low ? value : low, value > high ? value : high];
    return { values, rows, columns, channels: channels ?? 1, low, high: high > low ? high : low + 1 };
  });
}

function pictureOf({ values, rows, columns, channels, low, high }: Pictures, example: number): Uint8ClampedArray {
  const result = new Uint8ClampedArray(4 * rows * columns);
  const from = example * rows * columns * channels;
  for (let k = 0; k < rows * columns; k++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = values[from + k * channels + Math.min(channel, channels - 1)] as number;
      result[4 * k + channel] = (255 * (value - low)) / (high - low);
    }
    result[4 * k + 3] = 255;
  }
  return result;
}
