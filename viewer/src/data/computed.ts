import { dequantise } from "../math/interpolate";
import { Frames, type Recipe } from "./recipes";
import type { Mlp, Payload, Run, Values } from "./schema";
import { type Source, type Typed, frameSize } from "./source";

/** Milliseconds of computing before the page may do something else. */
const AT_ONCE = 8;
/** By how much the mean loss may differ from the recorded one, in parts of 1 or of the loss if that is larger. */
const NEAR = 1e-3;

/**
 * A source that computes what a page leaves out from the weights of small networks; all else is that of `inner`.
 *
 * The formulas are those of src/netlapse/view/computed.py, which compares them with what was recorded.
 */
export class ComputedSource implements Source {
  private recipes: Promise<Map<string, Recipe>> | null = null;

  constructor(private readonly inner: Source) {}

  payload(): Promise<Payload> {
    return this.inner.payload();
  }

  async frames(values: Values, from: number, to: number): Promise<Typed> {
    this.recipes ??= this.describe();
    const recipe = (await this.recipes).get(values.name);
    if (recipe === undefined) return this.inner.frames(values, from, to);
    return computed(values, recipe, from, to);
  }

  private async describe(): Promise<Map<string, Recipe>> {
    const recipes = new Map<string, Recipe>();
    for (const run of (await this.inner.payload()).runs) {
      if (run.mlp !== null && run.mlp.computes.length > 0) await this.add(run, run.mlp, recipes);
    }
    return recipes;
  }

  private async add(run: Run, mlp: Mlp, recipes: Map<string, Recipe>): Promise<void> {
    const read = async (values: Values | null): Promise<Float32Array> =>
      values === null
        ? new Float32Array(0)
        : dequantise(values, await this.inner.frames(values, 0, values.shape[0] as number));
    const rows = async (values: Values | null): Promise<Recipe> => {
      const [all, size] = [await read(values), values === null ? 0 : frameSize(values)];
      return (frame) => all.subarray(frame * size, (frame + 1) * size);
    };
    const layers = await Promise.all(
      mlp.layers.map(async (layer) => ({ layer, kernel: await rows(layer.kernel), bias: await rows(layer.bias) })),
    );
    const planes = await Promise.all(
      run.spaces.map(async ({ grid, origin, basis }) => ({
        grid: await read(grid),
        origin: await read(origin),
        basis: await read(basis),
      })),
    );
    const known = { inputs: await read(run.inputs), labels: await read(run.labels), targets: await read(run.targets) };
    const network = new Frames(run, layers);
    const all = network.recipes(known, planes);
    for (const name of mlp.computes) {
      const recipe = all.get(name);
      if (recipe === undefined) throw new Error(`This viewer can't compute "${name}". Export the page again.`);
      recipes.set(name, recipe);
    }
    const means = await read(mlp.mean_loss);
    const losses = recipes.get(run.losses.name);
    for (const frame of losses === undefined ? [] : [0, means.length >> 1, means.length - 1]) {
      const computed = (losses as Recipe)(frame);
      const mean = computed.reduce((sum, loss) => sum + loss, 0) / computed.length;
      const recorded = means[frame] as number;
      if (!(Math.abs(mean - recorded) <= NEAR * Math.max(1, Math.abs(recorded)))) {
        throw new Error(`This browser computes a loss of ${mean} at frame ${frame} of "${run.name}", not ${recorded}.`);
      }
    }
  }
}

/** What is stored of frames `from` to `to` - 1 of an array, by its recipe. */
export async function computed(values: Values, recipe: Recipe, from: number, to: number): Promise<Typed> {
  const size = frameSize(values);
  const stored = values.dtype === "uint8" ? new Uint8Array((to - from) * size) : new Float32Array((to - from) * size);
  let since = performance.now();
  for (let frame = from; frame < to; frame++) {
    if (performance.now() - since > AT_ONCE) {
      await pause();
      since = performance.now();
    }
    const found = recipe(frame);
    const start = (frame - from) * size;
    if (stored instanceof Float32Array) stored.set(found, start);
    else for (let k = 0; k < size; k++) stored[start + k] = byte(values, found[k] as number);
  }
  return stored;
}

function byte(values: Values, value: number): number {
  if (Number.isNaN(value)) return 255;
  return Math.min(Math.max(Math.round((value - values.low) / values.step), 0), values.gaps ? 254 : 255);
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
