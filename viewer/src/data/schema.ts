// Made by `python -m netlapse.view.schema`: change it there.

export const FORMAT = 1;

/**
 * Numbers, which the source of the payload gives by `name`: little-endian, in C order.
 *
 * A value is `low` + `step` * what is stored. Of whole numbers the largest, 255 or 65535, stands for NaN if `gaps`.
 * The first of the `axes` is "frame" for what changes with time.
 */
export interface Values {
  name: string;
  dtype: "float32" | "uint8" | "uint16" | "int32";
  shape: number[];
  axes: string[];
  low: number;
  step: number;
  gaps: boolean;
}

/**
 * What the network predicts: one of several classes, any of several labels, or quantities, by `names`.
 *
 * `link` makes outputs of logits.
 */
export interface Task {
  kind: "classes" | "labels" | "quantities";
  names: string[];
  link: "sigmoid" | "softmax" | "identity";
}

/**
 * A number of each frame: (frame,). `quantity` names its axis: curves of one quantity are drawn together.
 */
export interface Curve {
  name: string;
  quantity: string;
  split: "train" | "validation";
  values: Values;
}

/**
 * A plane that examples lie in: two units of a layer, a projection of a wider one, or the plane of the inputs.
 *
 * `x` and `y` are the columns and rows of the regions, over all that the runs compared have; within their ends,
 * what this run has alone lies between the two ends `own_x` and `own_y`. `points` are (frame, example, 2); of
 * inputs there is one frame for all. `regions` (frame, row, column) are what the rest of the network says of
 * places, rows from the bottom: of two classes l / (1 + |l|) of the second's logit lead l, of more the number of
 * the class that wins, of quantities the first. `leads`, of more than two classes, say by which logit lead l it
 * wins over the next, as l / (1 + l), at places beside those of another; elsewhere 1. Several labels are shown as
 * two classes of the first. `lines` (frame, line, point, 2) are a grid of the inputs' plane as the layer warps it,
 * `grid` (line, point, 2) the same as it lies in that plane. `kept` (frame,) is the share of the variance that is
 * drawn, `agreement` (frame,) that of examples that are predicted as the place at which they are drawn. Points of a
 * layer that is projected are (activations - `origin` (unit,)) x `basis` (unit, axis), whose columns are orthonormal,
 * and regions those of the plane through the mean of the examples; of very wide layers, and of inputs, neither is
 * given.
 */
export interface Space {
  layer: string;
  projection: string;
  x: number[];
  y: number[];
  own_x: number[];
  own_y: number[];
  points: Values;
  regions: Values | null;
  leads: Values | null;
  lines: Values | null;
  grid: Values | null;
  origin: Values | null;
  basis: Values | null;
  kept: Values | null;
  agreement: Values | null;
}

/**
 * The principal components of a wide layer's activations, of all frames together, to be looked at from any side.
 *
 * `scores` (frame, example, component) are centred. Together they keep `kept` of the variance.
 */
export interface Tour {
  layer: string;
  scores: Values;
  kept: number;
}

/**
 * How the values of each layer are distributed: weights, gradients, pre-activations or activations.
 *
 * `edges` (layer, edge) of the bins and `quantiles` (frame, layer, level) at `levels` are those of the values, or of
 * the logarithms to base 10 of the magnitudes that are not 0 if `log`; `densities` (frame, layer, bin) with a peak of
 * 1; `zeros` (frame, layer) is the share that is exactly 0.
 */
export interface Distribution {
  kind: "weights" | "gradients" | "layer_gradients" | "pre_activations" | "activations";
  layers: string[];
  log: boolean;
  levels: number[];
  edges: Values;
  densities: Values;
  quantiles: Values;
  zeros: Values;
}

/**
 * A column of the network's diagram: the units shown of `size` of a layer, the inputs first.
 */
export interface Column {
  layer: string;
  activation: string;
  size: number;
  units: number[];
}

/**
 * A chain of dense layers. `weights` (frame, edge): column by column from each unit shown to each of the next.
 *
 * `maps` (frame, unit, row, column) are the units' activations over the plane of two inputs, of all units shown of
 * all columns but the inputs; None for other networks. They reach as far as the plane of the inputs, `Run.boundary`.
 */
export interface Diagram {
  columns: Column[];
  weights: Values;
  maps: Values | null;
}

/**
 * A dense layer: activation(x kernel + bias); `kernel` (frame, input, unit), `bias` (frame, unit).
 */
export interface Dense {
  name: string;
  activation: string;
  kernel: Values;
  bias: Values | null;
}

/**
 * How the network was trained: what a fork begins with.
 */
export interface Training {
  optimizer: string;
  learning_rate: number;
  momentum: number;
  batch_size: number;
  loss: string;
}

/**
 * A small network that the page computes itself, and how it was trained if that is known.
 *
 * `computes` names the arrays that a file leaves out because they are computed, which was compared with what is
 * recorded when the file was made; `ends` are the least and the largest finite number of some of these. By
 * `mean_loss` (frame,), the recorded loss of the examples shown, a page can tell that its network is the
 * recorded one. `noise` are the types of layers that act while the network is trained only, such as dropout.
 */
export interface Mlp {
  layers: Dense[];
  mean_loss: Values;
  training: Training | null;
  noise: string[];
  computes: string[];
  ends: Record<string, number[]>;
}

/**
 * A moment or stretch of the timeline, in epochs; `stop` is `start` for a moment.
 */
export interface Mark {
  kind: "milestone" | "plateau";
  text: string;
  start: number;
  stop: number;
}

/**
 * A recorded training. Arrays with an axis "example" have the same examples in the same order.
 *
 * `epochs` and `steps` (frame,) ascend. `labels` (example,) are classes by number. `inputs` (example, input) are
 * those of few inputs, `images` (example, row, column, channel) those of pictures. `probabilities` are (frame,
 * example, class), of one label (frame, example, 2); `losses` and `wrong` (frame, example). Of quantities `targets`
 * (example, quantity) are true, and `predictions` (frame, example, quantity) predicted. `missing` says what of the run
 * could not be read, or is not shown and why. Where frames are computed when they are asked for, `at_once` are
 * together.
 */
export interface Run {
  id: string;
  name: string;
  status: string;
  hyperparameters: Record<string, string>;
  missing: string[];
  at_once: number | null;
  epochs: Values;
  steps: Values;
  task: Task;
  labels: Values | null;
  inputs: Values | null;
  input_names: string[];
  images: Values | null;
  example_numbers: number[];
  loss: string;
  curves: Curve[];
  probabilities: Values | null;
  targets: Values | null;
  predictions: Values | null;
  losses: Values;
  wrong: Values | null;
  spaces: Space[];
  boundary: Space | null;
  tours: Tour[];
  distributions: Distribution[];
  diagram: Diagram | null;
  mlp: Mlp | null;
  marks: Mark[];
}

/**
 * What the viewer shows. `differing` are the hyper-parameters in which the runs differ. `live`: frames may come.
 */
export interface Payload {
  format: number;
  title: string;
  runs: Run[];
  differing: string[];
  live: boolean;
}
