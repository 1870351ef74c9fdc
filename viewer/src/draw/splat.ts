import { channels } from "./palette";
import type { Points } from "./shapes";

/** A point is drawn at the nearest of so many places between two pixels, each way: finer is not seen. */
const PHASES = 4;

/** A disc as it is drawn at one place between pixels: opaque and half covered pixels around the centre's. */
interface Stamp {
  /** No pixel is further from the centre's, across or up. */
  reach: number;
  dx: Int8Array;
  dy: Int8Array;
  /** Where the pixel is from the centre's in the buffer. */
  offset: Int32Array;
  /** So many are opaque, and so many half covered: these come first, in that order. */
  solid: number;
  core: number;
  /** 0xAABBGGRR, not premultiplied, as an ImageData has it; signed, which is faster. */
  pixels: Int32Array;
}

/** What one stamp shows. Lengths are in pixels of the buffer. */
interface Look {
  part: "halo" | "disc" | "cross";
  colour: string;
  radius: number;
  halo: number;
  alpha: number;
  /** Of the halo of a cross. */
  around: string;
}

/** The same for all pictures of a width. */
const made = new Map<string, Stamp[]>();
const MOST_MADE = 400;

/** Of more points than this none has a halo: that takes time, and the halos would hide the crowd. */
const CROWD = 20_000;

/**
 * Draws antialiased discs into a buffer, and beside it which example each pixel shows.
 *
 * Several times as fast as paths of a canvas: a disc is copied from a stamp that was made once.
 */
export class Splat {
  readonly image: ImageData;
  /** The example drawn at each pixel, by place; -1 if none. */
  readonly ids: Int32Array;
  private readonly pixels: Int32Array;

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.image = { width, height, data: new Uint8ClampedArray(4 * width * height), colorSpace: "srgb" } as ImageData;
    if (typeof ImageData !== "undefined") this.image = new ImageData(width, height);
    this.pixels = new Int32Array(this.image.data.buffer);
    this.ids = new Int32Array(width * height).fill(-1);
  }

  /** Forgets the picture, but not where the examples are. */
  clear(): void {
    this.pixels.fill(0);
  }

  forget(): void {
    this.ids.fill(-1);
  }

  /** `ratio` is that of pixels to the units of the points; `surface` is what they lie on, `wrong` colours crosses. */
  draw(points: Points, ratio: number, surface: string, wrong: string): void {
    const { colour, palette, mark, x } = points;
    const look = { radius: points.radius * ratio, halo: 0.75 * ratio, alpha: points.alpha ?? 1, around: surface };
    const discs = palette.map((own) => this.stampsOf({ ...look, part: "disc", colour: own }));
    // All halos lie under all discs, so that a crowd has one outline and no point hides its neighbours.
    if (x.length <= CROWD) {
      const halo = this.stampsOf({ ...look, part: "halo", colour: surface });
      this.each({ ...points, ids: null }, ratio, () => halo);
    }
    this.each(points, ratio, (k) => discs[colour[k] as number]);
    if (mark === undefined) return;
    const cross = this.stampsOf({ ...look, part: "cross", colour: wrong });
    this.each(points, ratio, (k) => (mark[k] === 1 ? cross : undefined));
  }

  private each(points: Points, ratio: number, stampsOf: (k: number) => Stamp[] | undefined): void {
    const clip = this.clipOf(points, ratio);
    const { ids, x: across, y: down } = points;
    const [left, top, right, bottom] = clip;
    for (let k = 0; k < across.length; k++) {
      const x = (across[k] as number) * ratio;
      const y = (down[k] as number) * ratio;
      if (!(x >= left && x < right && y >= top && y < bottom)) continue;
      const column = Math.floor(x);
      const row = Math.floor(y);
      const phase = Math.floor((x - column) * PHASES) + PHASES * Math.floor((y - row) * PHASES);
      const stamp = stampsOf(k)?.[phase];
      if (stamp !== undefined) this.stamp(stamp, column, row, ids === null ? -1 : (ids[k] as number), clip);
    }
  }

  /** The example nearest to a place, in pixels, within `reach`; -1 if there is none. */
  pick(x: number, y: number, reach: number): number {
    let [best, nearest] = [-1, reach * reach + 1];
    for (let row = Math.max(0, Math.ceil(y - reach)); row <= Math.min(this.height - 1, y + reach); row++) {
      for (let column = Math.max(0, Math.ceil(x - reach)); column <= Math.min(this.width - 1, x + reach); column++) {
        const id = this.ids[row * this.width + column] as number;
        const distance = (column - x) ** 2 + (row - y) ** 2;
        if (id >= 0 && distance < nearest) [best, nearest] = [id, distance];
      }
    }
    return best;
  }

  /** The middle of what is seen of an example, in pixels; null if it is not drawn or hidden by others. */
  find(id: number): { x: number; y: number } | null {
    let [x, y, count] = [0, 0, 0];
    for (let k = 0; k < this.ids.length; k++) {
      if (this.ids[k] !== id) continue;
      x += k % this.width;
      y += Math.floor(k / this.width);
      count += 1;
    }
    return count === 0 ? null : { x: x / count, y: y / count };
  }

  private stamp(stamp: Stamp, column: number, row: number, id: number, clip: readonly number[]): void {
    const { dx, dy, offset, pixels, reach, solid, core } = stamp;
    const { pixels: drawn, ids } = this;
    const centre = row * this.width + column;
    const [left, top, right, bottom] = clip as [number, number, number, number];
    const cut = column - reach < left || column + reach >= right || row - reach < top || row + reach >= bottom;
    const marks = id >= 0 ? core : 0;
    for (let k = 0; k < pixels.length; k++) {
      if (cut) {
        const x = column + (dx[k] as number);
        const y = row + (dy[k] as number);
        if (x < left || x >= right || y < top || y >= bottom) continue;
      }
      const at = centre + (offset[k] as number);
      const pixel = pixels[k] as number;
      if (k < marks) ids[at] = id;
      const under = drawn[at] as number;
      if (k < solid || under === 0) drawn[at] = pixel;
      else if (((pixel ^ under) & 0xffffff) !== 0) {
        drawn[at] = under >>> 24 === 255 ? overSolid(pixel, under) : over(pixel, under);
      } else if (pixel >>> 24 > under >>> 24) {
        // Of one colour there is nothing to mix.
        drawn[at] = pixel;
      }
    }
  }

  private clipOf({ clip }: Points, ratio: number): readonly [number, number, number, number] {
    if (clip === undefined) return [0, 0, this.width, this.height];
    return [
      Math.max(0, Math.round(clip.x * ratio)),
      Math.max(0, Math.round(clip.y * ratio)),
      Math.min(this.width, Math.round((clip.x + clip.width) * ratio)),
      Math.min(this.height, Math.round((clip.y + clip.height) * ratio)),
    ];
  }

  private stampsOf(look: Look): Stamp[] {
    const { part, colour, radius, halo, alpha, around } = look;
    const key = [part, colour, radius, halo, alpha, around, this.width].join();
    let stamps = made.get(key);
    if (stamps === undefined) {
      stamps = Array.from({ length: PHASES * PHASES }, (_, phase) => {
        const x = ((phase % PHASES) + 0.5) / PHASES;
        const y = (Math.floor(phase / PHASES) + 0.5) / PHASES;
        return makeStamp(look, x, y, this.width);
      });
      if (made.size >= MOST_MADE) made.clear();
      made.set(key, stamps);
    }
    return stamps;
  }
}

function makeStamp(look: Look, x: number, y: number, width: number): Stamp {
  const reach = Math.ceil(look.radius + 3 * look.halo) + 1;
  const found: { column: number; row: number; pixel: number }[] = [];
  for (let row = -reach; row <= reach; row++) {
    for (let column = -reach; column <= reach; column++) {
      const pixel = compose(layersAt(look, column + 0.5 - x, row + 0.5 - y), look.alpha);
      if (pixel >>> 24 > 0) found.push({ column, row, pixel });
    }
  }
  const opaque = Math.round(255 * look.alpha);
  found.sort((a, b) => (b.pixel >>> 24) - (a.pixel >>> 24));
  return {
    reach,
    dx: Int8Array.from(found, ({ column }) => column),
    dy: Int8Array.from(found, ({ row }) => row),
    offset: Int32Array.from(found, ({ column, row }) => row * width + column),
    solid: found.filter(({ pixel }) => pixel >>> 24 === 255).length,
    core: found.filter(({ pixel }) => 2 * (pixel >>> 24) >= opaque).length,
    pixels: Int32Array.from(found, ({ pixel }) => pixel),
  };
}

/** Colours of one pixel, the uppermost last, and how much each covers; (u, v) is where it is from the centre. */
function layersAt({ part, colour, radius, halo, around }: Look, u: number, v: number): [string, number][] {
  const distance = Math.hypot(u, v);
  if (part === "disc") return [[colour, cover(radius - distance)]];
  if (part === "halo") return [[colour, cover(radius + halo - distance)]];
  // The nearer of two strokes, which lie on the diagonals.
  const [along, across] = [Math.max(Math.abs(u + v), Math.abs(u - v)), Math.min(Math.abs(u + v), Math.abs(u - v))];
  const stroke = Math.hypot(across, Math.max(0, along - Math.SQRT2 * (radius + halo))) * Math.SQRT1_2;
  const thick = Math.max(0.4 * radius, 1.6 * halo) / 2;
  return [
    [around, cover(thick + halo - stroke)],
    [colour, cover(thick - stroke)],
  ];
}

/** How much of a pixel lies inside an edge, of its distance from it. */
function cover(inside: number): number {
  return Math.min(Math.max(inside + 0.5, 0), 1);
}

/** Colours laid over each other, each covering a share of a pixel. */
function compose(layers: [string, number][], alpha: number): number {
  let [red, green, blue, covered] = [0, 0, 0, 0];
  for (const [colour, share] of layers) {
    const [r, g, b] = channels(colour);
    red = r * share + red * (1 - share);
    green = g * share + green * (1 - share);
    blue = b * share + blue * (1 - share);
    covered = share + covered * (1 - share);
  }
  if (covered === 0) return 0;
  const [r, g, b] = [red, green, blue].map((channel) => Math.round(channel / covered)) as [number, number, number];
  return ((Math.round(255 * covered * alpha) << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

/** One pixel over an opaque one: red and blue at once, 256 in place of 255. */
function overSolid(pixel: number, under: number): number {
  const a = (pixel >>> 24) + (pixel >>> 31);
  const redBlue = (Math.imul(pixel & 0xff00ff, a) + Math.imul(under & 0xff00ff, 256 - a) + 0x800080) >>> 8;
  const green = (Math.imul((pixel >>> 8) & 0xff, a) + Math.imul((under >>> 8) & 0xff, 256 - a) + 0x80) >>> 8;
  return 0xff000000 | (redBlue & 0xff00ff) | (green << 8);
}

/** One pixel over another, neither premultiplied. */
function over(pixel: number, under: number): number {
  const a = pixel >>> 24;
  const rest = ((under >>> 24) * (255 - a)) / 255;
  const alpha = a + rest;
  const r = ((pixel & 255) * a + (under & 255) * rest) / alpha;
  const g = (((pixel >> 8) & 255) * a + ((under >> 8) & 255) * rest) / alpha;
  const b = (((pixel >> 16) & 255) * a + ((under >> 16) & 255) * rest) / alpha;
  return ((Math.round(alpha) << 24) | (Math.round(b) << 16) | (Math.round(g) << 8) | Math.round(r)) >>> 0;
}
