import type { Values } from "./schema";
import { type Typed, frameSize, timed } from "./source";

/**
 * An array of the page: base64 of gzip of its bytes.
 *
 * Numbers of several bytes are shuffled: all lowest bytes first, then the next. Before that, each frame of whole
 * numbers of two bytes is replaced by its difference to the frame before, modulo 65536.
 */
export async function decode(values: Values, text: string): Promise<Typed> {
  const bytes = await gunzip(fromBase64(text.trim()));
  const count = values.shape.reduce((product, length) => product * length, 1);
  const width = ARRAYS[values.dtype].BYTES_PER_ELEMENT;
  if (bytes.length !== count * width) {
    throw new Error(`The array "${values.name}" of this page has ${bytes.length} bytes, expected ${count * width}.`);
  }
  const stored = typed(values, unshuffle(bytes, width).buffer);
  if (stored instanceof Uint16Array && timed(values)) accumulate(stored, frameSize(values));
  return stored;
}

/** The arrays that hold what is stored. */
export const ARRAYS = { uint8: Uint8Array, uint16: Uint16Array, float32: Float32Array, int32: Int32Array };

/** Raw little-endian bytes as numbers. */
export function typed(values: Values, bytes: ArrayBuffer): Typed {
  return new ARRAYS[values.dtype](bytes);
}

function unshuffle(bytes: Uint8Array<ArrayBuffer>, width: number): Uint8Array<ArrayBuffer> {
  if (width === 1) return bytes;
  const count = bytes.length / width;
  const result = new Uint8Array(bytes.length);
  for (let byte = 0; byte < width; byte++) {
    for (let k = 0, from = byte * count; k < count; k++) result[k * width + byte] = bytes[from + k] as number;
  }
  return result;
}

function accumulate(stored: Uint16Array, size: number): void {
  for (let k = size; k < stored.length; k++) stored[k] = (stored[k] as number) + (stored[k - size] as number);
}

async function gunzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  // Much faster than atob, and not yet in every browser.
  const native = (Uint8Array as unknown as { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> }).fromBase64;
  if (native !== undefined) return native.call(Uint8Array, text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let k = 0; k < bytes.length; k++) bytes[k] = binary.charCodeAt(k);
  return bytes;
}
