"""What the viewer is given of runs: the one definition, of which the viewer's TypeScript types are made.

`python -m netlapse.view.schema` prints those types.
"""

from __future__ import annotations

import sys
from typing import Any, Literal, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

FORMAT = 1


class Array(TypedDict):
    """Numbers, which the source of the payload gives by `name`: little-endian, in C order.

    A value is `low` + `step` * what is stored. Of whole numbers the largest, 255 or 65535, stands for NaN if `gaps`.
    The first of the `axes` is "frame" for what changes with time.
    """

    name: str
    dtype: Literal["float32", "uint8", "uint16", "int32"]
    shape: list[int]
    axes: list[str]
    low: float
    step: float
    gaps: bool


class Task(TypedDict):
    """What the network predicts: one of several classes, any of several labels, or quantities, by `names`.

    `link` makes outputs of logits.
    """

    kind: Literal["classes", "labels", "quantities"]
    names: list[str]
    link: Literal["sigmoid", "softmax", "identity"]


class Curve(TypedDict):
    """A number of each frame: (frame,). `quantity` names its axis: curves of one quantity are drawn together."""

    name: str
    quantity: str
    split: Literal["train", "validation"]
    values: Array


class Space(TypedDict):
    """A plane that examples lie in: two units of a layer, a projection of a wider one, or the plane of the inputs.

    `x` and `y` are the columns and rows of the regions, over all that the runs compared have; within their ends,
    what this run has alone lies between the two ends `own_x` and `own_y`. `points` are (frame, example, 2); of
    inputs there is one frame for all. `regions` (frame, row, column) are what the rest of the network says of
    places, rows from the bottom: of two classes l / (1 + |l|) of the second's logit lead l, of more the number of
    the class that wins, of quantities the first. `leads`, of more than two classes, say by which logit lead l it
    wins over the next, as l / (1 + l), at places beside those of another; elsewhere 1. Several labels are shown as
    two classes of the first. `lines` (frame, line, point, 2) are a grid of the inputs' plane as the layer warps it,
    `grid` (line, point, 2) the same as it lies in that plane. `kept` (frame,) is the share of the variance that is
    drawn, `agreement` (frame,) that of examples that are predicted as the place at which they are drawn. Points of a
    layer that is projected are (activations - `origin` (unit,)) x `basis` (unit, axis), whose columns are orthonormal,
    and regions those of the plane through the mean of the examples; of very wide layers, and of inputs, neither is
    given.
    """

    layer: str
    projection: str
    x: list[float]
    y: list[float]
    own_x: list[float]
    own_y: list[float]
    points: Array
    regions: Array | None
    leads: Array | None
    lines: Array | None
    grid: Array | None
    origin: Array | None
    basis: Array | None
    kept: Array | None
    agreement: Array | None


class Tour(TypedDict):
    """The principal components of a wide layer's activations, of all frames together, to be looked at from any side.

    `scores` (frame, example, component) are centred. Together they keep `kept` of the variance.
    """

    layer: str
    scores: Array
    kept: float


class Distribution(TypedDict):
    """How the values of each layer are distributed: weights, gradients, pre-activations or activations.

    `edges` (layer, edge) of the bins and `quantiles` (frame, layer, level) at `levels` are those of the values, or of
    the logarithms to base 10 of the magnitudes that are not 0 if `log`; `densities` (frame, layer, bin) with a peak of
    1; `zeros` (frame, layer) is the share that is exactly 0.
    """

    kind: Literal["weights", "gradients", "layer_gradients", "pre_activations", "activations"]
    layers: list[str]
    log: bool
    levels: list[float]
    edges: Array
    densities: Array
    quantiles: Array
    zeros: Array


class Column(TypedDict):
    """A column of the network's diagram: the units shown of `size` of a layer, the inputs first."""

    layer: str
    activation: str
    size: int
    units: list[int]


class Diagram(TypedDict):
    """A chain of dense layers. `weights` (frame, edge): column by column from each unit shown to each of the next.

    `maps` (frame, unit, row, column) are the units' activations over the plane of two inputs, of all units shown of
    all columns but the inputs; None for other networks. They reach as far as the plane of the inputs, `Run.boundary`.
    """

    columns: list[Column]
    weights: Array
    maps: Array | None


class Dense(TypedDict):
    """A dense layer: activation(x kernel + bias); `kernel` (frame, input, unit), `bias` (frame, unit)."""

    name: str
    activation: str
    kernel: Array
    bias: Array | None


class Training(TypedDict):
    """How the network was trained: what a fork begins with."""

    optimizer: str
    learning_rate: float
    momentum: float
    batch_size: int
    loss: str


class Mlp(TypedDict):
    """A small network that the page computes itself, and how it was trained if that is known.

    `computes` names the arrays that a file leaves out because they are computed, which was compared with what is
    recorded when the file was made; `ends` are the least and the largest finite number of some of these. By
    `mean_loss` (frame,), the recorded loss of the examples shown, a page can tell that its network is the
    recorded one. `noise` are the types of layers that act while the network is trained only, such as dropout.
    """

    layers: list[Dense]
    mean_loss: Array
    training: Training | None
    noise: list[str]
    computes: list[str]
    ends: dict[str, list[float]]


class Mark(TypedDict):
    """A moment or stretch of the timeline, in epochs; `stop` is `start` for a moment."""

    kind: Literal["milestone", "plateau"]
    text: str
    start: float
    stop: float


class Run(TypedDict):
    """A recorded training. Arrays with an axis "example" have the same examples in the same order.

    `epochs` and `steps` (frame,) ascend. `labels` (example,) are classes by number. `inputs` (example, input) are
    those of few inputs, `images` (example, row, column, channel) those of pictures. `probabilities` are (frame,
    example, class), of one label (frame, example, 2); `losses` and `wrong` (frame, example). Of quantities `targets`
    (example, quantity) are true, and `predictions` (frame, example, quantity) predicted. `missing` says what of the run
    could not be read, or is not shown and why. Where frames are computed when they are asked for, `at_once` are
    together.
    """

    id: str
    name: str
    status: str
    hyperparameters: dict[str, str]
    missing: list[str]
    at_once: int | None
    epochs: Array
    steps: Array
    task: Task
    labels: Array | None
    inputs: Array | None
    input_names: list[str]
    images: Array | None
    example_numbers: list[int]
    loss: str
    curves: list[Curve]
    probabilities: Array | None
    targets: Array | None
    predictions: Array | None
    losses: Array
    wrong: Array | None
    spaces: list[Space]
    boundary: Space | None
    tours: list[Tour]
    distributions: list[Distribution]
    diagram: Diagram | None
    mlp: Mlp | None
    marks: list[Mark]


class Payload(TypedDict):
    """What the viewer shows. `differing` are the hyper-parameters in which the runs differ. `live`: frames may come."""

    format: int
    title: str
    runs: list[Run]
    differing: list[str]
    live: bool


_NAMES = {str: "string", float: "number", int: "number", bool: "boolean", type(None): "null", Any: "unknown"}


def typescript() -> str:
    """The types as TypeScript."""
    module = sys.modules[__name__]
    types = [value for value in vars(module).values() if is_typeddict(value)]
    parts = ["// Made by `python -m netlapse.view.schema`: change it there.\n", f"export const FORMAT = {FORMAT};"]
    for one in types:
        text = "\n".join(f" * {line.strip()}".rstrip() for line in (one.__doc__ or "").strip().splitlines())
        fields = "\n".join(f"  {name}: {_written(kind)};" for name, kind in get_type_hints(one).items())
        parts.append(
            f"/**\n{text}\n */\nexport interface {'Values' if one is Array else one.__name__} {{\n{fields}\n}}"
        )
    return "\n\n".join(parts).replace("\n\n\n", "\n\n") + "\n"


def _written(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " | ".join(f'"{value}"' for value in arguments)
    if origin is list:
        return f"{_written(arguments[0])}[]"
    if origin is dict:
        return f"Record<{_written(arguments[0])}, {_written(arguments[1])}>"
    if arguments:
        return " | ".join(map(_written, arguments))
    if is_typeddict(kind):
        return "Values" if kind is Array else kind.__name__
    return _NAMES[kind]


if __name__ == "__main__":
    sys.stdout.write(typescript())
