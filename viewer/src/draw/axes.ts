import { memo } from "../math/memo";
import { type Ends, type Scale, type Tick, linear, logTicks, logarithmic, root, rootTicks, ticks } from "../math/scale";
import type { Box, Shape, Still } from "./shapes";
import type { Theme } from "./theme";

/** Heights of letters. */
export const LABEL = 12.5;
export const SMALL = 11.5;

/** Pixels between a tick's text and the axis, and of a line of text. */
const GAP = 6;
const LINE = 17;

/** Shares of a letter's size; the typeface is known by the browser alone, and layouts are made without one. */
const NARROW = 0.3;
const WIDE = 0.84;
const CAPITAL = 0.66;
const DIGIT = 0.63;
const USUAL = 0.55;

export interface Axis {
  scale: Scale;
  label: string;
  ticks: Tick[];
  /** Of the ticks' texts, in pixels. */
  widest: number;
}

/** An axis before it is known where it lies. */
export type Draft = (range: Ends) => Axis;

export interface Plot {
  box: Box;
  x: Axis;
  y: Axis;
}

/** Axes are asked for at every frame, and are mostly those of the frame before. */
const made = new Map<string, Axis>();
const MOST_MADE = 200;

function remembered(
  kind: string,
  domain: readonly number[],
  range: Ends,
  label: string,
  make: () => Pick<Axis, "scale" | "ticks">,
): Axis {
  const key = [kind, ...domain, ...range, label].join();
  let axis = made.get(key);
  if (axis === undefined) {
    if (made.size >= MOST_MADE) made.clear();
    const { scale, ticks } = make();
    axis = { scale, label, ticks, widest: Math.max(0, ...ticks.map(({ text }) => textWidth(text, SMALL))) };
    made.set(key, axis);
  }
  return axis;
}

/** How numbers are written: as many digits as their steps need, as they are, or as per cent. */
const WRITTEN = {
  usual: null,
  plain: String,
  percent: (value: number) => String(Math.round(1000 * value) / 10),
} as const;

/** Numbers at equal distances. */
export function numbers(domain: Ends, label: string, written: keyof typeof WRITTEN = "usual"): Draft {
  return (range) =>
    remembered(written, domain, range, label, () => {
      const scale = linear(domain, range);
      const found = ticks(scale, Math.max(2, Math.min(5, Math.round(extent(range) / 55))));
      const write = WRITTEN[written];
      return { scale, ticks: write === null ? found : found.map(({ value }) => ({ value, text: write(value) })) };
    });
}

export function magnitudes(domain: Ends, label: string): Draft {
  return (range) =>
    remembered("magnitudes", domain, range, label, () => {
      const scale = logarithmic(domain, range);
      return { scale, ticks: logTicks(scale, Math.max(2, Math.round(extent(range) / 40))) };
    });
}

/** Numbers whose logarithms to base 10 are given, with ticks at least so many pixels `apart`; `low` is put before the least. */
export function logarithms(domain: Ends, label: string, apart: number, low = ""): Draft {
  return (range) =>
    remembered(`logarithms ${apart} ${low}`, domain, range, label, () => {
      const powers = logarithmic([10 ** domain[0], 10 ** domain[1]], range);
      const found = logTicks(powers, Math.round(extent(range) / apart)).map(({ value, text }) => {
        const power = Math.log10(value);
        return { value: power, text: Math.abs(power - domain[0]) < 1e-9 ? `${low}${text}` : text };
      });
      return { scale: linear(domain, range), ticks: found };
    });
}

/** Counts on a square-root scale. */
export function counts(most: number, label: string): Draft {
  return (range) =>
    remembered("counts", [most], range, label, () => {
      const scale = root(Math.max(most, 1), range);
      return { scale, ticks: rootTicks(scale, 18) };
    });
}

/** Counts on a square-root scale, upwards and downwards from the middle. */
export function mirrored(most: number, label: string): Draft {
  return ([bottom, top]) =>
    remembered("mirrored", [most], [bottom, top], label, () => {
      const up = rootTicks(root(Math.max(most, 1), [(bottom + top) / 2, top]), 18);
      const down = up.filter(({ value }) => value > 0).map(({ value, text }) => ({ value: -value, text }));
      return { scale: root(most, [bottom, top]).domain([-most, most]), ticks: [...down.reverse(), ...up] };
    });
}

/** An axis without ticks. */
export function bare(domain: Ends, label = ""): Draft {
  return (range) => remembered("bare", domain, range, label, () => ({ scale: linear(domain, range), ticks: [] }));
}

/** Axes that fill a box, with room for what is written at them and `top` pixels above them. */
export function plot(area: Box, x: Draft, y: Draft, top: number, right = 14): Plot {
  const below = GAP + LINE + (x([0, 1]).label === "" ? 0 : LINE);
  const range: Ends = [area.y + area.height - below, area.y + top];
  const vertical = y(range);
  const left = leftOf(vertical);
  const box = {
    x: area.x + left,
    y: area.y + top,
    width: Math.max(area.width - left - right, 1),
    height: Math.max(area.height - below - top, 1),
  };
  return { box, x: x([box.x, box.x + box.width]), y: vertical };
}

/** Quiet lines at the ticks, to lie below everything. */
export function grid({ box, x, y }: Plot, theme: Theme): Shape[] {
  const lines: Float32Array[] = [];
  for (const { value } of x.ticks) lines.push(vertical(x.scale(value), box));
  for (const { value } of y.ticks) lines.push(horizontal(y.scale(value), box));
  return [{ kind: "path", commands: lines, stroke: theme.grid, width: 1 }];
}

/** The room at the left of an axis. */
function leftOf({ widest, label }: Axis): number {
  return Math.ceil(widest) + GAP + (label === "" ? 4 : LINE + 4);
}

/** The axes with their numbers and names, to lie above everything: of the same plot the same object. */
export function axes({ x, y }: Plot, theme: Theme): Still {
  return drawnAxes(y, x, theme);
}

const drawnAxes = memo((y: Axis, x: Axis, theme: Theme): Still => {
  const [start, right] = x.scale.range() as Ends;
  const [bottom, top] = y.scale.range() as Ends;
  const box = { x: start, y: top, width: right - start, height: bottom - top };
  const shapes: Still["shapes"] = [
    { kind: "path", commands: [Float32Array.of(box.x, box.y, box.x, bottom, right, bottom)], stroke: theme.axis },
  ];
  const text = { kind: "text", size: SMALL, colour: theme.muted } as const;
  let free = Number.NEGATIVE_INFINITY;
  for (const tick of x.ticks) {
    const half = textWidth(tick.text, SMALL) / 2;
    // At the very ends a text would leave the canvas.
    const place = Math.min(x.scale(tick.value), right + 12 - half);
    if (place - half < free) continue;
    free = place + half + 6;
    shapes.push({ ...text, x: place, y: bottom + GAP, text: tick.text, align: "center", baseline: "top" });
  }
  for (const tick of y.ticks) {
    shapes.push({
      ...text,
      x: box.x - GAP,
      y: y.scale(tick.value),
      text: tick.text,
      align: "right",
      baseline: "middle",
    });
  }
  const name = { kind: "text", size: LABEL, colour: theme.text, align: "center" } as const;
  if (x.label !== "") {
    const words = shortened(x.label, LABEL, box.width + 20);
    shapes.push({ ...name, x: box.x + box.width / 2, y: bottom + GAP + LINE, text: words, baseline: "top" });
  }
  if (y.label !== "") {
    const [left, middle] = [box.x - Math.ceil(y.widest) - GAP - LINE / 2 - 2, box.y + box.height / 2];
    const words = shortened(y.label, LABEL, box.height + 24);
    shapes.push({ ...name, x: left, y: middle, text: words, baseline: "middle", rotate: -Math.PI / 2 });
  }
  // Beside the plot and below it, with half of the lines; some numbers and names reach further than the axes.
  const left = box.x - leftOf(y) - 8;
  const [across, down] = [box.x + 1, bottom - 1];
  const above = box.y - 24;
  const boxes = [
    { x: left, y: above, width: across - left, height: bottom + 2 * LINE + GAP + 8 - above },
    { x: across, y: down, width: right + 30 - across, height: 2 * LINE + GAP + 9 },
  ];
  return { kind: "still", shapes, boxes };
});

export function vertical(x: number, { y, height }: Box): Float32Array {
  return Float32Array.of(x, y, x, y + height);
}

export function horizontal(y: number, { x, width }: Box): Float32Array {
  return Float32Array.of(x, y, x + width, y);
}

/** Names of colours, in one row from the left as far as there is room, and how many more there are. */
export function legend(names: string[], colours: string[], area: Box, theme: Theme): Shape[] {
  const shapes: Shape[] = [];
  const middle = area.y + area.height / 2;
  const look = { kind: "text", y: middle, size: LABEL, colour: theme.text, baseline: "middle" } as const;
  let x = area.x;
  for (const [k, name] of names.entries()) {
    const left = names.length - k - 1;
    const text = fitted(name, LABEL, Math.max(60, (area.width - 18 * names.length) / names.length));
    const width = 14 + textWidth(text, LABEL) + 14;
    const reserve = left > 0 ? textWidth(`${left + 1} more`, LABEL) : 0;
    if (x + width - (left > 0 ? 0 : 14) + reserve > area.x + area.width) {
      if (k > 0) shapes.push({ ...look, x, text: `${left + 1} more`, colour: theme.muted });
      break;
    }
    shapes.push({ kind: "path", commands: [circle(x + 4.5, middle, 4.5)], fill: colours[k] ?? theme.muted });
    shapes.push({ ...look, x: x + 14, text });
    x += width;
  }
  return shapes;
}

/** The colours of a quantity from its least to its largest value, with its name. */
export function scaleOf(
  [least, largest]: [string, string],
  colours: string[],
  name: string,
  area: Box,
  theme: Theme,
): Shape[] {
  const middle = area.y + area.height / 2;
  const text = { kind: "text", y: middle, size: SMALL, colour: theme.muted, baseline: "middle" } as const;
  const start = area.x + textWidth(least, SMALL) + 7;
  const boxes = Float32Array.from(colours.flatMap((_, k) => [start + 16 * k, middle - 5, 16, 10]));
  const stop = start + 16 * colours.length + 7;
  const after = stop + textWidth(largest, SMALL) + 12;
  const shapes: Shape[] = [
    { ...text, x: area.x, text: least },
    { kind: "rects", boxes, fill: colours },
    { ...text, x: stop, text: largest },
  ];
  if (after + 40 < area.x + area.width)
    shapes.push({ ...text, x: after, text: fitted(name, SMALL, area.x + area.width - after) });
  return shapes;
}

/** Words in the middle, instead of what cannot be shown. */
export function note(text: string, { x, y, width, height }: Box, theme: Theme, colour = theme.muted): Shape[] {
  const size = LABEL;
  const lines = wrapped(text, size, width - 24);
  const top = y + height / 2 - ((lines.length - 1) * LINE) / 2;
  const widest = Math.max(...lines.map((line) => textWidth(line, size))) + 20;
  const back = Float32Array.of(x + width / 2 - widest / 2, top - LINE / 2 - 6, widest, lines.length * LINE + 12);
  return [
    { kind: "rects", boxes: back, fill: theme.surface, alpha: 0.85 },
    ...lines.map((line, k): Shape => ({
      kind: "text",
      x: x + width / 2,
      y: top + k * LINE,
      text: line,
      size,
      colour,
      align: "center",
      baseline: "middle",
    })),
  ];
}

export function circle(x: number, y: number, radius: number): Float32Array {
  const corners = 24;
  const line = new Float32Array(2 * corners + 2);
  for (let k = 0; k <= corners; k++) {
    line[2 * k] = x + radius * Math.cos((2 * Math.PI * k) / corners);
    line[2 * k + 1] = y + radius * Math.sin((2 * Math.PI * k) / corners);
  }
  return line;
}

/** About how wide a text is. */
export function textWidth(text: string, size: number): number {
  let width = 0;
  for (const letter of text) {
    if (" .,:;'|!()[]ijlft⁻".includes(letter)) width += NARROW;
    else if (letter >= "0" && letter <= "9") width += DIGIT;
    else if ("mwMW%…→".includes(letter)) width += WIDE;
    else width += letter >= "A" && letter <= "Z" ? CAPITAL : USUAL;
  }
  return width * size;
}

/** The text, or its beginning and an ellipsis if it is wider. */
export function fitted(text: string, size: number, width: number): string {
  if (textWidth(text, size) <= width) return text;
  const letters = [...text];
  while (letters.length > 1 && textWidth(`${letters.join("")}…`, size) > width) letters.pop();
  return `${letters.join("").trimEnd()}…`;
}

/** The text, without what it says in brackets if it is wider, or its beginning. */
function shortened(text: string, size: number, width: number): string {
  return fitted(textWidth(text, size) <= width ? text : text.replace(/ \(.*\)$/, ""), size, width);
}

/** The text in lines that are no wider, where a word isn't. */
export function wrapped(text: string, size: number, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = lines.length === 0 ? word : `${lines.at(-1) as string} ${word}`;
    if (lines.length > 0 && textWidth(longer, size) <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

function extent([from, to]: Ends): number {
  return Math.abs(to - from);
}
