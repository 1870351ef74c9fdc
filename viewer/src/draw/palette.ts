import { LIGHT, type Theme } from "./theme";

/**
 * Colours of classes: Okabe and Ito's, the yellow darker so that it is seen on white; then others, most by Paul Tol.
 *
 * Their pink is left out: it is too near to the colour of wrong predictions.
 */
const CLASSES = [
  "#0072B2",
  "#E69F00",
  "#009E73",
  "#56B4E9",
  "#D5C711",
  "#8C6BB1",
  "#D55E00",
  "#7F7F7F",
  "#44AA99",
  "#882255",
  "#DDCC77",
  "#332288",
  "#117733",
  "#AA4499",
  "#88CCEE",
  "#999933",
];

/** What numbers and names are coloured with. */
export interface Colours {
  /** One of each class, repeated if there are more classes than colours. */
  classes: string[];
  /** One of each run, and of each layer of a chart. */
  series: string[];
}

/** Colours that are seen on the theme's surface: on a dark one the dark ones are lighter. */
export function coloursOf(classes: number, theme: Theme = LIGHT): Colours {
  const series = CLASSES.map((colour) => (theme.name === "dark" ? lightened(colour, theme.surface) : colour));
  return {
    classes: Array.from({ length: Math.max(classes, 2) }, (_, k) => series[k % series.length] as string),
    series,
  };
}

/** The colour with as much white as gives it a contrast of 4.5 : 1. */
function lightened(colour: string, surface: string): string {
  const shares = Array.from({ length: 11 }, (_, k) => k / 10);
  const share = shares.find((white) => contrast(mix(colour, "#ffffff", white), surface) >= 4.5);
  return mix(colour, "#ffffff", share ?? 1);
}

/** Of two colours, as the Web Content Accessibility Guidelines define it: 1 to 21. */
export function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

function luminance(colour: string): number {
  const [red, green, blue] = channels(colour).map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** "#rrggbb" as its three channels, 0 to 255. */
export function channels(colour: string): [number, number, number] {
  const value = Number.parseInt(colour.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/** The colour `share` of the way from `from` to `to`, as "#rrggbb". */
export function mix(from: string, to: string, share: number): string {
  const [a, b] = [channels(from), channels(to)];
  const mixed = a.map((channel, k) => Math.round(channel + ((b[k] as number) - channel) * share));
  return `#${mixed.map((channel) => channel.toString(16).padStart(2, "0")).join("")}`;
}
