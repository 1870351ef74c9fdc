import type { Box, Path, Picture, Points, Rects, Shape, Still, Text } from "./shapes";
import { Splat } from "./splat";
import { FONT, type Theme } from "./theme";

type Context = CanvasRenderingContext2D;

/** Draws display lists on one canvas, and knows what example is where. */
export class Painter {
  private splat = new Splat(1, 1);
  /** The points that the splat shows, and what they look like. */
  private drawn: { points: Points[]; look: string } = { points: [], look: "" };
  private readonly points = scratch();
  private readonly picture = scratch();
  private readonly hatches = new Map<string, CanvasPattern>();
  /** What has been drawn and may come again, and then its pictures. */
  private stills = new WeakMap<Still, Kept[]>();
  /** What the context has, which takes time to read even if it stays the same. */
  private font = "";

  /** `ratio` is that of the canvas' pixels to the units of the shapes. */
  constructor(
    private context: Context,
    private ratio: number,
  ) {}

  paint(shapes: Shape[], theme: Theme, ratio = this.ratio): void {
    const { context } = this;
    const { width, height } = context.canvas;
    if (ratio !== this.ratio) {
      this.hatches.clear();
      this.stills = new WeakMap();
    }
    this.ratio = ratio;
    if (this.splat.width !== width || this.splat.height !== height) {
      this.splat = new Splat(width, height);
      [this.points.canvas.width, this.points.canvas.height] = [width, height];
    }
    const known = this.shows(shapes, theme);
    if (!known) this.splat.forget();
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.font = "";
    context.globalAlpha = 1;
    context.fillStyle = theme.surface;
    context.fillRect(0, 0, width / ratio, height / ratio);
    for (let k = 0; k < shapes.length; k++) {
      const shape = shapes[k] as Shape;
      if (shape.kind === "points") k += this.drawPoints(shapes, k, theme, known) - 1;
      else if (shape.kind === "still") this.drawStill(shape);
      else this.draw(shape);
    }
  }

  /** The example within `reach` of a place, by place; null if there is none. */
  pick(x: number, y: number, reach: number): number | null {
    const id = this.splat.pick(x * this.ratio, y * this.ratio, reach * this.ratio);
    return id < 0 ? null : id;
  }

  /** Where an example is seen; null if it is not. */
  find(place: number): { x: number; y: number } | null {
    const found = this.splat.find(place);
    return found === null ? null : { x: found.x / this.ratio, y: found.y / this.ratio };
  }

  private draw(shape: Exclude<Shape, Points | Still>): void {
    const { context } = this;
    // Texts are many, and change nothing that the others don't set.
    if (shape.kind === "text") return this.drawText(shape);
    context.save();
    context.globalAlpha = shape.alpha ?? 1;
    if (shape.kind === "image") this.drawPicture(shape);
    else if (shape.kind === "path") this.drawPath(shape);
    else this.drawRects(shape);
    context.restore();
  }

  /** Draws what it has not seen before, and copies its picture of what it has. */
  private drawStill(still: Still): void {
    const kept = this.stills.get(still);
    if (kept === undefined) {
      this.stills.set(still, []);
      for (const shape of still.shapes) this.draw(shape);
      return;
    }
    if (kept.length === 0) kept.push(...this.keep(still));
    const { context } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    for (const { canvas, x, y } of kept) context.drawImage(canvas, x, y);
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
  }

  /** The boxes of a still, drawn apart. */
  private keep({ shapes, boxes }: Still): Kept[] {
    const [own, { ratio }] = [this.context, this];
    const found = boxes.map((box) => {
      // To whole pixels, so that neighbours neither overlap nor leave a gap.
      const [x, y] = [Math.round(box.x * ratio), Math.round(box.y * ratio)];
      const apart = document.createElement("canvas").getContext("2d") as Context;
      apart.canvas.width = Math.max(Math.round((box.x + box.width) * ratio) - x, 1);
      apart.canvas.height = Math.max(Math.round((box.y + box.height) * ratio) - y, 1);
      apart.setTransform(ratio, 0, 0, ratio, -x, -y);
      this.context = apart;
      this.font = "";
      for (const shape of shapes) this.draw(shape);
      return { canvas: apart.canvas, x, y };
    });
    this.context = own;
    this.font = "";
    return found;
  }

  private drawText({ x, y, text, size, colour, align, baseline, bold, halo, rotate }: Text): void {
    const { context } = this;
    const font = `${bold === true ? 600 : 400} ${size}px ${FONT}`;
    if (font !== this.font) context.font = this.font = font;
    context.fillStyle = colour;
    context.textAlign = align ?? "left";
    context.textBaseline = baseline ?? "alphabetic";
    if (halo !== undefined) {
      context.strokeStyle = halo;
      context.lineWidth = 3;
      context.lineJoin = "round";
      context.setLineDash([]);
    }
    if (rotate === undefined) return this.write(text, x, y, halo);
    context.save();
    context.translate(x, y);
    context.rotate(rotate);
    this.write(text, 0, 0, halo);
    context.restore();
  }

  private write(text: string, x: number, y: number, halo: string | undefined): void {
    if (halo !== undefined) this.context.strokeText(text, x, y);
    this.context.fillText(text, x, y);
  }

  /** Whether the points are those that the splat shows already: of inputs, say, that stay where they are. */
  private shows(shapes: Shape[], theme: Theme): boolean {
    const points = shapes.filter((shape) => shape.kind === "points");
    const { width, height } = this.splat;
    const look = [width, height, this.ratio, theme.surface, theme.wrong].join();
    const { drawn } = this;
    this.drawn = { points, look };
    // Those that lie apart from each other are several pictures.
    const together = shapes.findLastIndex(isPoints) - shapes.findIndex(isPoints) < Math.max(points.length, 1);
    return (
      together &&
      look === drawn.look &&
      points.length === drawn.points.length &&
      points.every((list, k) => equal(list, drawn.points[k] as Points))
    );
  }

  /** Draws points and those that follow them at once, if the splat doesn't show them; how many lists that were. */
  private drawPoints(shapes: Shape[], from: number, theme: Theme, known: boolean): number {
    if (!known) this.splat.clear();
    let count = 0;
    for (let shape = shapes[from]; shape?.kind === "points"; shape = shapes[from + ++count]) {
      if (!known) this.splat.draw(shape, this.ratio, theme.surface, theme.wrong);
    }
    if (!known) this.points.putImageData(this.splat.image, 0, 0);
    const { width, height } = this.splat;
    this.context.drawImage(this.points.canvas, 0, 0, width / this.ratio, height / this.ratio);
    return count;
  }

  private drawPicture({ x, y, width, height, columns, rows, pixels, smooth }: Picture): void {
    if (columns === 0 || rows === 0) return;
    const { canvas } = this.picture;
    if (canvas.width !== columns || canvas.height !== rows) [canvas.width, canvas.height] = [columns, rows];
    this.picture.putImageData(new ImageData(pixels as Uint8ClampedArray<ArrayBuffer>, columns, rows), 0, 0);
    this.context.imageSmoothingEnabled = smooth;
    // A picture that is enlarged looks the same with less effort, which took a quarter of the time of a frame.
    this.context.imageSmoothingQuality = columns > width * this.ratio ? "high" : "low";
    this.context.drawImage(canvas, x, y, width, height);
  }

  private drawPath(path: Path): void {
    const { context } = this;
    if (path.clip !== undefined) clip(context, path.clip);
    context.beginPath();
    for (const line of path.commands) trace(context, line, path.closed === true);
    this.fill(path.fill, path.hatch);
    if (path.stroke === undefined) return;
    context.strokeStyle = path.stroke;
    context.lineWidth = path.width ?? 1;
    context.lineJoin = "round";
    context.setLineDash(path.dash ?? []);
    context.stroke();
  }

  private drawRects({ boxes, fill, hatch, stroke }: Rects): void {
    const { context } = this;
    const one = typeof fill === "string";
    context.beginPath();
    for (let k = 0; k < boxes.length; k += 4) {
      const [x, y, width, height] = boxes.subarray(k, k + 4) as unknown as [number, number, number, number];
      context.rect(x, y, width, height);
      if (one) continue;
      context.fillStyle = fill[k / 4] ?? "#808080";
      context.fillRect(x, y, width, height);
    }
    this.fill(one ? fill : undefined, hatch);
    if (stroke === undefined) return;
    context.strokeStyle = stroke;
    context.lineWidth = 1;
    context.stroke();
  }

  private fill(colour: string | undefined, hatch: string | undefined): void {
    const { context } = this;
    if (colour !== undefined) {
      context.fillStyle = colour;
      context.fill();
    }
    if (hatch === undefined) return;
    context.fillStyle = this.hatch(hatch);
    context.fill();
  }

  /** Diagonal lines, the second cue beside a colour. */
  private hatch(colour: string): CanvasPattern {
    const known = this.hatches.get(colour);
    if (known !== undefined) return known;
    const side = Math.round(5 * this.ratio);
    const tile = scratch();
    [tile.canvas.width, tile.canvas.height] = [side, side];
    tile.strokeStyle = colour;
    tile.lineWidth = 1.3 * this.ratio;
    // Beside the diagonal the corners of the neighbouring tiles' lines.
    for (const shift of [-side, 0, side]) {
      tile.moveTo(shift - side, 2 * side);
      tile.lineTo(shift + 2 * side, -side);
    }
    tile.stroke();
    const pattern = this.context.createPattern(tile.canvas, "repeat") as CanvasPattern;
    pattern.setTransform(new DOMMatrix().scale(1 / this.ratio));
    this.hatches.set(colour, pattern);
    return pattern;
  }
}

/** A picture and where it lies, in pixels of the canvas. */
interface Kept {
  canvas: HTMLCanvasElement;
  x: number;
  y: number;
}

function isPoints(shape: Shape): boolean {
  return shape.kind === "points";
}

/** Whether two lists of points are the same, number by number. */
function equal(a: Points, b: Points): boolean {
  return (Object.keys({ ...a, ...b }) as (keyof Points)[]).every((key) => {
    const [one, other] = [a[key], b[key]];
    if (one === other) return true;
    if (!ArrayBuffer.isView(one) || !ArrayBuffer.isView(other)) return JSON.stringify(one) === JSON.stringify(other);
    if (one.length !== other.length) return false;
    for (let k = 0; k < one.length; k++) if (one[k] !== other[k]) return false;
    return true;
  });
}

function trace(context: Context, line: Float32Array, closed: boolean): void {
  let lifted = true;
  for (let k = 0; k + 1 < line.length; k += 2) {
    const [x, y] = [line[k] as number, line[k + 1] as number];
    if (Number.isNaN(x) || Number.isNaN(y)) {
      if (closed && !lifted) context.closePath();
      lifted = true;
    } else if (lifted) {
      context.moveTo(x, y);
      lifted = false;
    } else {
      context.lineTo(x, y);
    }
  }
  if (closed && !lifted) context.closePath();
}

function clip(context: Context, { x, y, width, height }: Box): void {
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
}

function scratch(): Context {
  // What is only written to and copied from is faster in ordinary memory.
  return document.createElement("canvas").getContext("2d", { willReadFrequently: true }) as Context;
}
