/** A display list. Coordinates are CSS pixels from the top left of the view's canvas. */

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Points {
  kind: "points";
  x: Float32Array;
  y: Float32Array;
  /** Index into the palette, of each point. */
  colour: Uint8Array;
  /** Colours as "#rrggbb". */
  palette: string[];
  radius: number;
  /** The example of each point, by place; what one can hover and click. */
  ids: Int32Array | null;
  /** 1 puts the × of a wrong prediction over the point. */
  mark?: Uint8Array;
  alpha?: number;
  clip?: Box;
}

export interface Picture {
  kind: "image";
  x: number;
  y: number;
  width: number;
  height: number;
  columns: number;
  rows: number;
  /** RGBA, rows from the top. */
  pixels: Uint8ClampedArray;
  smooth: boolean;
  alpha?: number;
}

export interface Path {
  kind: "path";
  /** Polylines x0, y0, x1, y1 ...; a pair of NaN lifts the pen. */
  commands: Float32Array[];
  stroke?: string;
  fill?: string;
  /** Colour of a hatching inside. */
  hatch?: string;
  width?: number;
  dash?: number[];
  alpha?: number;
  closed?: boolean;
  clip?: Box;
}

export interface Rects {
  kind: "rects";
  /** x, y, width, height of each. */
  boxes: Float32Array;
  /** One colour, or one of each. */
  fill: string | string[];
  hatch?: string;
  stroke?: string;
  alpha?: number;
}

export interface Text {
  kind: "text";
  x: number;
  y: number;
  text: string;
  size: number;
  colour: string;
  align?: CanvasTextAlign;
  baseline?: CanvasTextBaseline;
  bold?: boolean;
  /** Colour around the letters, of what may lie on points or bars. */
  halo?: string;
  /** Radians, clockwise. */
  rotate?: number;
}

/** What looks the same as long as it is the same object: a painter that has seen it before has a picture of it. */
export interface Still {
  kind: "still";
  shapes: (Path | Rects | Text)[];
  /** All of the shapes is in these, which don't overlap. */
  boxes: Box[];
}

export type Shape = Points | Picture | Path | Rects | Text | Still;
