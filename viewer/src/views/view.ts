import type { Colours } from "../draw/palette";
import type { Shape } from "../draw/shapes";
import type { Theme } from "../draw/theme";
import type { RunData } from "../model/run";
import type { State } from "../model/state";

/** All that a view needs to be laid out: one run at one moment, in a canvas of `width` x `height` CSS pixels. */
export interface Scene {
  data: RunData;
  /** All runs that are shown, `data` among them, for common scales. */
  others: RunData[];
  /** Frame position in this run. */
  t: number;
  /** Whether `t` lies between two recorded frames. */
  interpolated: boolean;
  state: State;
  width: number;
  height: number;
  theme: Theme;
  colours: Colours;
}

/** What one asks of a view in words and numbers. */
export interface Table {
  columns: string[];
  rows: (string | number)[][];
}

export interface View {
  readonly id: string;
  readonly title: string;
  /** Takes two columns of the grid if one run is shown. */
  readonly wide?: boolean;
  /** Whether it is drawn for each picture while it plays, as points that travel must be; other views are for every other. */
  readonly fluent?: boolean;
  /** Height of the canvas as a share of its width; 0.75 if not said. */
  readonly aspect?: number;
  available(data: RunData): boolean;
  /** Pure: of one scene always the same shapes. */
  layout(scene: Scene): Shape[];
  /** For screen readers: what is seen now, with numbers. */
  label(scene: Scene): string;
  /** The numbers shown, as the table that replaces the picture and as the CSV. */
  table(scene: Scene): Table;
  /** Places of the examples drawn in a box. */
  brush?(scene: Scene, box: { x0: number; y0: number; x1: number; y1: number }): number[];
  /** What a click changes; null if it is the core's: a click on a point selects it. */
  click?(scene: Scene, x: number, y: number): Partial<State> | null;
  /** What a drag changes, asked at every move; null where a drag brushes. */
  drag?(scene: Scene, from: [number, number], to: [number, number]): Partial<State> | null;
  /** What is under the pointer if it isn't a point with an id; "\n" ends a line. */
  hover?(scene: Scene, x: number, y: number): string | null;
  /** What more to say of an example than its class, prediction and loss. */
  describe?(scene: Scene, place: number): string | null;
}
