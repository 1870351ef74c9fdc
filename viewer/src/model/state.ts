/** All that one can change in the viewer. It is replaced, never altered, so that a listener can compare. */
export interface State {
  /** Frame position of the clock in the run that leads, see sync.ts; between two frames it is fractional. */
  t: number;
  playing: boolean;
  /** 1 plays the whole run in about 10 seconds. */
  speed: number;
  loop: boolean;
  sync: "epoch" | "step" | "loss";
  /** The layer whose space is shown; null for the one that a view shows if nothing is chosen. */
  layer: string | null;
  projection: "auto" | "tour";
  /** Two orthonormal axes (2, component) that a tour is looked at along; null for its first two components. */
  tour: number[][] | null;
  /** Whether runs share the axes of a feature space, or each has those of its own range. */
  axes: "same" | "own";
  /** A kind of `Distribution`. */
  distribution: string;
  /** A unit of the diagram, by column and place in the column's `units`. */
  unit: { column: number; unit: number } | null;
  /** Places of examples. */
  selected: ReadonlySet<number>;
  hovered: number | null;
  /** Whether a finger draws a box as a mouse does, instead of scrolling the page. */
  brush: boolean;
  theme: "light" | "dark";
  split: "train";
}

export const INITIAL: State = {
  t: 0,
  playing: false,
  speed: 1,
  loop: true,
  sync: "epoch",
  layer: null,
  projection: "auto",
  tour: null,
  axes: "same",
  distribution: "weights",
  unit: null,
  selected: new Set(),
  hovered: null,
  brush: false,
  theme: "light",
  split: "train",
};
