import type { Distribution } from "../data/schema";
import {
  LABEL,
  type Plot,
  SMALL,
  axes,
  bare,
  fitted,
  grid,
  horizontal,
  logarithms,
  note,
  numbers,
  plot,
  textWidth,
} from "../draw/axes";
import type { Shape } from "../draw/shapes";
import { type Ends, padded, union } from "../math/scale";
import { number } from "../math/written";
import type { RunData } from "../model/run";
import type { Scene, View } from "./view";
import { DIVERGED, moment } from "./words";

const TOP = 14;
/** Half the width of a violin, of the room that a layer has; a layer's least room. */
const HALF = 0.4;
const ROOM = 26;

const NAMES: Record<Distribution["kind"], string> = {
  weights: "weight",
  gradients: "gradient ∂L/∂W",
  layer_gradients: "gradient ∂L/∂z",
  pre_activations: "pre-activation z",
  activations: "activation",
};
/** Each kind has one colour in all pictures, of those of classes. */
const SERIES: Record<Distribution["kind"], number> = {
  weights: 0,
  gradients: 6,
  layer_gradients: 6,
  pre_activations: 3,
  activations: 2,
};

interface Drawn {
  plot: Plot;
  shown: Distribution;
  layers: number;
  densities: Float32Array;
  edges: Float32Array;
  quantiles: Float32Array;
  zeros: Float32Array;
}

export const violins: View = {
  id: "violins",
  title: "Distributions by layer",
  available: (data) => data.run.distributions.length > 0,

  layout(scene) {
    const { theme, width, height } = scene;
    const whole = { x: 0, y: 0, width, height };
    const drawn = geometry(scene);
    if (drawn === null) return note("loading the distributions …", whole, theme);
    const { plot: made, layers } = drawn;
    const colour = scene.colours.series[SERIES[drawn.shown.kind] % scene.colours.series.length] as string;
    const shapes: Shape[] = [...grid(made, theme)];
    if (!drawn.shown.log)
      shapes.push({
        kind: "path",
        commands: [horizontal(made.y.scale(0), made.box)],
        stroke: theme.axis,
        clip: made.box,
      });
    const outlines = Array.from({ length: layers }, (_, layer) => outline(drawn, layer)).filter(
      (line) => line !== null,
    );
    shapes.push({
      kind: "path",
      commands: outlines,
      fill: colour,
      stroke: colour,
      width: 1,
      alpha: 0.6,
      closed: true,
      clip: made.box,
    });
    shapes.push(...quartiles(drawn, scene));
    shapes.push(axes(made, theme), ...names(drawn, scene));
    const unknown = Array.from({ length: layers }, (_, layer) => layer).filter((layer) =>
      Number.isNaN(median(drawn, layer)),
    );
    if (unknown.length === layers) shapes.push(...note(DIVERGED, made.box, theme, theme.wrong));
    return shapes;
  },

  label(scene) {
    const drawn = geometry(scene);
    if (drawn === null) return "Distributions: loading";
    const { shown, layers } = drawn;
    const each = shown.layers
      .slice(0, layers)
      .map((layer, k) => `${layer} median ${number(natural(drawn, median(drawn, k)))}${zeroWords(drawn, k, ", ")}`);
    return `Distribution of each layer's ${shown.log ? "magnitude of the " : ""}${NAMES[shown.kind]}, ${moment(scene)}: ${each.join("; ")}.`;
  },

  table(scene) {
    const drawn = geometry(scene);
    const shown = shownOf(scene.data, scene.state.distribution);
    const levels = shown?.levels ?? [];
    const columns = ["layer", ...levels.map((level) => `${Math.round(1000 * level) / 10} %`), "share of zeros"];
    const rows = (shown?.layers ?? []).map((layer, k) => [
      layer,
      ...levels.map((_, level) =>
        drawn === null ? "" : natural(drawn, drawn.quantiles[k * levels.length + level] ?? Number.NaN),
      ),
      drawn?.zeros[k] ?? "",
    ]);
    return { columns, rows };
  },

  hover(scene, x, y) {
    const drawn = geometry(scene);
    if (drawn === null) return null;
    const { box } = drawn.plot;
    const layer = Math.round(drawn.plot.x.scale.invert(x));
    if (x < box.x || x > box.x + box.width || y < box.y || y > box.y + box.height) return null;
    if (layer < 0 || layer >= drawn.layers) return null;
    const { levels, layers } = drawn.shown;
    const words = levels.map(
      (level, k) =>
        `${Math.round(100 * level)} %: ${number(natural(drawn, drawn.quantiles[layer * levels.length + k] ?? Number.NaN))}`,
    );
    return [layers[layer] ?? "", ...words, zeroWords(drawn, layer, "")].filter((line) => line !== "").join("\n");
  },
};

/** The chosen kind, or the first that the run has. */
function shownOf(data: RunData, kind: string): Distribution | null {
  return data.run.distributions.find((one) => one.kind === kind) ?? data.run.distributions[0] ?? null;
}

function geometry(scene: Scene): Drawn | null {
  const { data, others, t, width, height, state } = scene;
  const shown = shownOf(data, state.distribution);
  if (shown === null) return null;
  const edges = data.all(shown.edges);
  const [densities, quantiles, zeros] = [
    data.at(shown.densities, t),
    data.at(shown.quantiles, t),
    data.at(shown.zeros, t),
  ];
  if (edges === null || densities === null || quantiles === null || zeros === null) return null;
  const same = others.flatMap((other) => {
    const found = other.run.distributions.find(({ kind, log }) => kind === shown.kind && log === shown.log);
    return found === undefined ? [] : [other.all(found.edges)];
  });
  const domain = limits(same.filter((one) => one !== null));
  const layers = Math.min(shown.layers.length, Math.max(1, Math.floor((width - 70) / ROOM)));
  const name = shown.log ? `|${NAMES[shown.kind]}| (log scale)` : NAMES[shown.kind];
  const up = shown.log ? logarithms(domain, name, 32) : numbers(padded(domain, 0.02), name);
  const across = bare([-0.5, layers - 0.5], " ");
  return {
    plot: plot({ x: 0, y: 0, width, height: height - 4 }, across, up, TOP),
    shown,
    layers,
    densities,
    edges,
    quantiles,
    zeros,
  };
}

function limits(edges: Float32Array[]): Ends {
  const found = edges.map((values): Ends => {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const value of values) {
      if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
    }
    return [low, high];
  });
  const [low, high] = union(found);
  return high > low ? [low, high] : [-1, 1];
}

/** Both sides of a violin, in one closed line; null for one without numbers. */
function outline({ plot: { x, y, box }, densities, edges, shown, layers }: Drawn, layer: number): Float32Array | null {
  const bins = shown.densities.shape[2] ?? 0;
  const half = HALF * (box.width / layers);
  const middle = x.scale(layer);
  const dense = densities.subarray(layer * bins, (layer + 1) * bins);
  const ends = edges.subarray(layer * (bins + 1), (layer + 1) * (bins + 1));
  const first = dense.findIndex((value) => value > 0);
  const last = dense.findLastIndex((value) => value > 0);
  if (first < 0) return null;
  const right: number[] = [];
  const left: number[] = [];
  for (let bin = first; bin <= last; bin++) {
    const place = y.scale(((ends[bin] as number) + (ends[bin + 1] as number)) / 2);
    const wide = half * (dense[bin] as number);
    if (bin === first) right.push(middle + wide, y.scale(ends[bin] as number));
    right.push(middle + wide, place);
    left.push(place, middle - wide);
    if (bin === last)
      right.push(middle + wide, y.scale(ends[bin + 1] as number), middle - wide, y.scale(ends[bin + 1] as number));
  }
  left.reverse();
  left.push(middle - half * (dense[first] as number), y.scale(ends[first] as number));
  return Float32Array.from([...right, ...left]);
}

/** The middle half of the values as a bar, from 5 to 95 % as a line, the median across. */
function quartiles(drawn: Drawn, { theme }: Scene): Shape[] {
  const {
    plot: { x, y, box },
    quantiles,
    shown,
    layers,
  } = drawn;
  const { levels } = shown;
  const value = (layer: number, level: number): number => {
    const at = levels.findIndex((one) => Math.abs(one - level) < 1e-6);
    return at < 0 ? Number.NaN : y.scale(quantiles[layer * levels.length + at] as number);
  };
  const [lines, bars, medians]: [Float32Array[], Float32Array[], Float32Array[]] = [[], [], []];
  const half = Math.min(0.2 * (box.width / layers), 16);
  for (let layer = 0; layer < layers; layer++) {
    const middle = x.scale(layer);
    lines.push(Float32Array.of(middle, value(layer, 0.05), middle, value(layer, 0.95)));
    bars.push(Float32Array.of(middle, value(layer, 0.25), middle, value(layer, 0.75)));
    medians.push(Float32Array.of(middle - half, value(layer, 0.5), middle + half, value(layer, 0.5)));
  }
  const look = { kind: "path", stroke: theme.text, clip: box } as const;
  return [
    { ...look, commands: lines, width: 1.2 },
    { ...look, commands: bars, width: 4 },
    { ...look, commands: medians, width: 2.2 },
  ];
}

/** The layers' names below, and how much of each is exactly 0. */
function names(drawn: Drawn, { theme }: Scene): Shape[] {
  const {
    plot: { x, box },
    shown,
    layers,
  } = drawn;
  const room = box.width / layers;
  const bottom = box.y + box.height;
  const hidden = shown.layers.length - layers;
  const numbered = shown.layers.slice(0, layers).some((name) => textWidth(fitted(name, LABEL, 42), LABEL) > room);
  const shapes = shown.layers.slice(0, layers).flatMap((name, layer): Shape[] => {
    const place = { kind: "text", x: x.scale(layer), align: "center", baseline: "top" } as const;
    const text = numbered ? String(layer + 1) : fitted(name, LABEL, room - 6);
    const words = zeroWords(drawn, layer, "");
    return [
      { ...place, y: bottom + 5, text, size: LABEL, colour: theme.text },
      ...(words !== "" && textWidth(words, SMALL) < room
        ? [{ ...place, y: bottom + 22, text: words, size: SMALL, colour: theme.muted }]
        : []),
    ];
  });
  if (numbered || hidden > 0) {
    const text = `layer number, 1 is ${shown.layers[0] ?? ""}${hidden > 0 ? `; ${hidden} more in the table` : ""}`;
    const place = { x: box.x + box.width / 2, y: bottom + 22, align: "center", baseline: "top" } as const;
    if (numbered)
      shapes.push({ kind: "text", ...place, text: fitted(text, SMALL, box.width), size: SMALL, colour: theme.muted });
  }
  return shapes;
}

function zeroWords({ zeros }: Drawn, layer: number, before: string): string {
  const share = zeros[layer] as number;
  if (!(share > 0)) return "";
  return `${before}${share > 0.995 ? "100" : share < 0.01 ? "< 1" : Math.round(100 * share)} % zero`;
}

/** A number on the scale as it is: magnitudes are kept as logarithms. */
function natural({ shown: { log } }: Drawn, value: number): number {
  return log ? 10 ** value : value;
}

function median({ quantiles, shown: { levels } }: Drawn, layer: number): number {
  return quantiles[layer * levels.length + levels.findIndex((level) => Math.abs(level - 0.5) < 1e-6)] ?? Number.NaN;
}
