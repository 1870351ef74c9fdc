import { Frames, type Recipe, type Weights } from "../data/recipes";
import type { Dense, Diagram, Mlp, Run, Space, Values } from "../data/schema";
import { grouped } from "../math/written";
import { Chain, type Layer } from "./chain";
import type { Fork } from "./fork";
import { mean, rowsOf } from "./origin";

export type Range = [low: number, high: number];

const PLAIN = { dtype: "float32", low: 0, step: 1, gaps: false } as const;
/** Of classes by number. */
const CLASS = { ...PLAIN, dtype: "uint8", gaps: true } as const;

/**
 * A fork as a run, with how each of its arrays is computed.
 *
 * Arrays that don't change with the training are the origin's. `version` is that of the planes' ranges.
 */
export function described(fork: Fork, version: number): { run: Run; recipes: Map<string, Recipe> } {
  const { origin, job, weights, prefix, settings } = fork;
  const { data, frame } = origin;
  const { run } = data;
  const recipes = new Map<string, Recipe>();
  /** An array (frame, ...) of the fork that is like one of the origin's. */
  const like = (values: Values, part: string, recipe?: Recipe, scale: Partial<Values> = PLAIN): Values => {
    const name = `${prefix}${part}`;
    if (recipe !== undefined) recipes.set(name, recipe);
    return { ...values, ...scale, name, shape: [weights.length, ...values.shape.slice(1)] };
  };
  const numbers = (values: Values, part: string, of: ArrayLike<number>): Values =>
    like(values, part, (k) => Float32Array.of(of[k] as number));
  /** As in the origin up to the fork, then so much more after each epoch. */
  const on = (before: Float32Array, each: number): number[] =>
    weights.map((_, k) => (before[Math.min(k, frame)] as number) + Math.max(k - frame, 0) * each);

  const mlp: Mlp = {
    layers: dense(origin.mlp, job.layers),
    mean_loss: like(origin.mlp.mean_loss, "mean loss", (k) =>
      Float32Array.of(mean((recipes.get(made.losses.name) as Recipe)(k))),
    ),
    training: {
      optimizer: settings.optimiser.kind,
      learning_rate: settings.optimiser.rate,
      momentum: settings.optimiser.momentum,
      batch_size: settings.batchSize,
      loss: run.loss,
    },
    noise: [],
    computes: [],
    ends: {},
  };
  let at = 0;
  const parts = mlp.layers.map((layer, k): { layer: Dense; kernel: Recipe; bias: Recipe } => {
    const { width, units, bias } = job.layers[k] as Layer;
    const from = at;
    const between = from + width * units;
    at = between + (bias ? units : 0);
    const to = at;
    const kernel: Recipe = (number) => (weights[number] as Float32Array).subarray(from, between);
    const shift: Recipe = (number) => (weights[number] as Float32Array).subarray(between, to);
    const named = {
      kernel: like(layer.kernel, `layers/${k}/kernel`, kernel),
      bias: layer.bias && like(layer.bias, `layers/${k}/bias`, shift),
    };
    return { layer: { ...layer, ...named }, kernel, bias: shift };
  });
  mlp.layers = parts.map(({ layer }) => layer);

  const classes = run.task.kind === "quantities" ? 0 : run.task.names.length;
  const regions = (values: Values | null, part: string): Values | null =>
    values && like(values, part, undefined, classes > 2 ? CLASS : PLAIN);
  const last = mlp.layers.at(-1)?.name;
  const spaces = [...fork.ranges].map(([k, [x, y]]): Space => {
    const space = run.spaces[k] as Space;
    const part = `spaces/${k}/${version}`;
    return {
      ...space,
      x: even(x, space.x.length),
      y: even(y, space.y.length),
      own_x: x,
      own_y: y,
      points: like(space.points, `${part}/points`),
      lines: run.inputs?.shape[1] === 2 ? space.lines && like(space.lines, `${part}/lines`) : null,
      // Behind the last layer there is no network that could say anything of places.
      regions: space.layer === last ? null : regions(space.regions, `${part}/regions`),
      leads: space.layer === last ? null : space.leads && like(space.leads, `${part}/leads`),
      kept: space.kept && like(space.kept, `${part}/kept`),
      agreement: null,
    };
  });
  const plane = run.inputs?.shape[1] === 2 ? run.boundary : null;
  const made: Run = {
    ...run,
    id: prefix,
    name: fork.name,
    status: "forked",
    hyperparameters: { ...run.hyperparameters, ...inWords(fork) },
    missing: missing(fork),
    at_once: null,
    epochs: numbers(run.epochs, "epochs", on(data.epochs, 1)),
    steps: numbers(run.steps, "steps", on(data.steps, Math.ceil(rowsOf(run).length / settings.batchSize))),
    curves: [...fork.curves].map(([k, values]) => {
      const curve = run.curves[k] as Run["curves"][number];
      return { ...curve, values: numbers(curve.values, `curves/${k}`, values) };
    }),
    probabilities: run.probabilities && like(run.probabilities, "probabilities"),
    predictions: run.predictions && like(run.predictions, "predictions"),
    losses: like(run.losses, "losses"),
    wrong: run.wrong && like(run.wrong, "wrong", undefined, { ...CLASS, gaps: false }),
    spaces,
    boundary: plane && {
      ...plane,
      regions: regions(plane.regions, "boundary"),
      leads: plane.leads && like(plane.leads, "boundary leads"),
      agreement: null,
    },
    tours: [],
    distributions: [],
    diagram: run.diagram && {
      columns: columns(run.diagram, job.layers),
      weights: like(run.diagram.weights, "diagram"),
      maps: plane && run.diagram.maps && like(run.diagram.maps, "maps"),
    },
    mlp,
    marks: [],
  };

  // Up to the fork the network is the origin's, whose hidden layers may have had another activation.
  const own = parts.map(({ layer, ...of }, k) => ({
    layer: { ...layer, activation: origin.layers[k]?.activation ?? "" },
    ...of,
  }));
  const [before, after] = [own, parts].map((layers) => networkRecipes(made, fork, layers)) as [
    typeof recipes,
    typeof recipes,
  ];
  for (const [name, recipe] of after) {
    recipes.set(name, (k) => (k > frame ? recipe : (before.get(name) as Recipe))(k));
    mlp.computes.push(name);
  }
  return { run: made, recipes };
}

/** What the weights give: losses by the training's own loss, all else by the recipes of pages. */
function networkRecipes(run: Run, fork: Fork, parts: Weights[]): Map<string, Recipe> {
  const { origin, job, weights } = fork;
  const { data } = origin;
  const known = {
    inputs: origin.inputs,
    labels: data.all(run.labels) ?? new Float32Array(0),
    targets: data.all(run.targets) ?? new Float32Array(0),
  };
  const read = (values: Values | null): Float32Array => data.all(values) ?? new Float32Array(0);
  const planes = run.spaces.map(({ grid, origin, basis }) => ({
    grid: read(grid),
    origin: read(origin),
    basis: read(basis),
  }));
  const recipes = new Frames(run, parts).recipes(known, planes);
  const layers = job.layers.map((layer, k) => ({
    ...layer,
    activation: parts[k]?.layer.activation ?? layer.activation,
  }));
  const rows = rowsOf(run);
  const chain = new Chain(layers, rows.length);
  recipes.set(run.losses.name, (k) => chain.losses(weights[k] as Float32Array, job, rows, origin.loss));
  return recipes;
}

function dense(mlp: Mlp, layers: Layer[]): Dense[] {
  return mlp.layers.map((layer, k) => ({ ...layer, activation: layers[k]?.activation ?? layer.activation }));
}

function columns({ columns: all }: Diagram, layers: Layer[]): Diagram["columns"] {
  return all.map((column, k) => ({ ...column, activation: layers[k - 1]?.activation ?? column.activation }));
}

/** The hyper-parameters that are chosen, as a run has them. */
function inWords({ settings, job }: Fork): Record<string, string> {
  const { kind, rate, momentum, nesterov } = settings.optimiser;
  const found: Record<string, string> = {
    optimizer: kind,
    learning_rate: String(rate),
    batch_size: String(settings.batchSize),
    "optimizer.momentum": String(momentum),
    "optimizer.nesterov": nesterov ? "True" : "False",
  };
  const hidden = new Set(job.layers.slice(0, -1).map(({ activation }) => activation));
  if (hidden.size > 0) found["activation"] = [...hidden].join(", ");
  return found;
}

/** What is not shown of a fork, and why. */
function missing({ origin, ranges }: Fork): string[] {
  const { run } = origin.data;
  const found = [
    `from the fork on, curves are those of the ${grouped(rowsOf(run).length)} examples of this page on which it is trained`,
  ];
  if (run.curves.some(({ split }) => split === "validation"))
    found.push("no validation curves: the page lacks those examples");
  if (run.distributions.length > 0) found.push("no distributions: they are not computed in the page");
  if (run.tours.length > 0) found.push("no tours: they are not computed in the page");
  if (run.spaces.length > ranges.size) found.push("not all layers: some are not computed in the page");
  if (run.boundary !== null && run.inputs?.shape[1] !== 2)
    found.push("no decision boundary: the network has more than two inputs");
  return found;
}

/** So many evenly spaced values between two ends. */
function even([low, high]: Range, count: number): number[] {
  return Array.from({ length: count }, (_, k) => low + ((high - low) * k) / Math.max(count - 1, 1));
}
