import type { Task } from "../data/schema";
import { colourAt, sequential } from "../draw/ramp";
import { number } from "../math/written";
import type { RunData } from "../model/run";
import { once } from "./once";
import type { Scene } from "./view";

/** More classes than so many cannot be told apart by colour: those of the fewest examples are grey. */
const COLOURED = 15;
/** A quantity is cut into so many ranges. */
const RANGES = 6;

/** What shares a colour: the examples of a class, or of a range of a quantity. */
export interface Groups {
  names: string[];
  colours: string[];
  /** The group of each example. */
  of: Uint8Array;
  counts: number[];
  /** The group of each class; none of quantities. */
  ofClass: number[];
  /** Of a quantity, the least and the largest that is true. */
  range: [string, string] | null;
}

/** The classes' names: of several labels, whether the first is there or not. */
export function classNames(task: Task): string[] {
  if (task.kind === "quantities") return [];
  const first = task.names[0] ?? "1";
  return task.kind === "labels" || task.names.length === 1 ? [`not ${first}`, first] : task.names;
}

/** How many examples a run shows. */
export function examples(data: RunData): number {
  return data.run.example_numbers.length;
}

export function groupsOf({ data, colours, theme }: Scene): Groups | null {
  return once(data, `groups ${theme.name}`, () => {
    const { task, labels, targets } = data.run;
    const of = new Uint8Array(examples(data));
    if (task.kind !== "quantities") {
      const known = data.all(labels);
      if (labels !== null && known === null) return null;
      return byClass(classNames(task), known, of, colours.classes, theme.axis);
    }
    const known = data.all(targets);
    if (targets === null) {
      return {
        names: ["examples"],
        colours: [colours.classes[0] as string],
        of,
        counts: [of.length],
        ofClass: [],
        range: null,
      };
    }
    return known === null ? null : byRange(known, targets.shape[1] ?? 1, of);
  });
}

function byClass(
  names: string[],
  labels: Float32Array | null,
  of: Uint8Array,
  colours: string[],
  grey: string,
): Groups {
  const perClass = names.map(() => 0);
  for (const label of labels ?? []) perClass[label] = (perClass[label] ?? 0) + 1;
  const order = names.map((_, k) => k).sort((a, b) => (perClass[b] as number) - (perClass[a] as number) || a - b);
  const many = names.length > COLOURED;
  const chosen = (many ? order.slice(0, COLOURED) : order).sort((a, b) => a - b);
  const ofClass = names.map((_, k) => (chosen.includes(k) ? chosen.indexOf(k) : chosen.length));
  for (let k = 0; k < of.length; k++) of[k] = labels === null ? 0 : (ofClass[labels[k] as number] ?? chosen.length);
  const counts = chosen.map((k) => perClass[k] as number);
  const groups = chosen.map((k, place) => ({ name: names[k] as string, colour: colours[many ? place : k] ?? grey }));
  if (many) {
    groups.push({ name: `${names.length - chosen.length} others`, colour: grey });
    counts.push(of.length - counts.reduce((a, b) => a + b, 0));
  }
  return {
    names: groups.map(({ name }) => name),
    colours: groups.map(({ colour }) => colour),
    of,
    counts,
    ofClass,
    range: null,
  };
}

function byRange(targets: Float32Array, quantities: number, of: Uint8Array): Groups {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let k = 0; k < of.length; k++) {
    const value = targets[k * quantities] as number;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const width = (high - low || 1) / RANGES;
  const counts = Array.from({ length: RANGES }, () => 0);
  for (let k = 0; k < of.length; k++) {
    const place = Math.floor(((targets[k * quantities] as number) - low) / width);
    const group = Math.min(Math.max(Number.isNaN(place) ? 0 : place, 0), RANGES - 1);
    of[k] = group;
    counts[group] = (counts[group] as number) + 1;
  }
  // To a tenth of a range, so that what is nearly 0 is written as 0.
  const digits = Math.min(Math.max(0, 1 - Math.floor(Math.log10(width))), 6);
  const edge = (k: number): string => number(Number((low + k * width).toFixed(digits)) + 0);
  return {
    names: counts.map((_, k) => `${edge(k)} to ${edge(k + 1)}`),
    colours: counts.map((_, k) => colourAt(sequential(), 0.04 + (0.92 * k) / (RANGES - 1))),
    of,
    counts,
    ofClass: [],
    range: [edge(0), edge(RANGES)],
  };
}
