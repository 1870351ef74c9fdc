"""What the viewer is given of recorded runs: a payload, and the numbers that it names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np

from .. import measures
from ..errors import Unsupported
from ..measures import Classes, Labels, Quantities
from ..measures.distributions import LEVELS
from ..store.examples import count
from . import network, planes
from .numbers import PLAIN, SHARE, Numbers, Scale, single, stored
from .schema import FORMAT
from .selection import example_numbers, select

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ..measures import Kind, Task
    from ..replay import Replay
    from ..replay.values import Split
    from .schema import Array, Curve, Distribution, Payload, Run
    from .schema import Task as Asked
    from .selection import Selection

MOST_FRAMES, MOST_EXAMPLES = 400, 2000
# Frames that are computed together: fewer of a large network, so that one is soon there.
_AT_ONCE, _MOST_PRODUCTS, _MOST_WEIGHTS = 16, 10**9, 2**22
# Inputs of more numbers are no table that anybody reads; and values of all images together.
_FEW_INPUTS, _MOST_PIXELS = 16, 4_000_000
# What is at home in decades.
_LOG = ("gradients", "layer_gradients")


@dataclass(frozen=True)
class Shown:
    """A payload and its numbers: `numbers(name, start, stop)` is what is stored of an array's frames.

    `replays` are those shown, without the frames that are left out.
    """

    payload: Payload
    numbers: Numbers
    replays: Sequence[Replay] = ()

    def grow(self) -> None:
        """Take in the frames that the runs have got since, where they were refreshed. Projections and scales stay."""
        for replay, run in zip(self.replays, self.payload["runs"], strict=True):
            self.numbers.grow(run["epochs"]["name"].removesuffix("/epochs"), len(replay.epochs))


def shown(
    replays: Sequence[Replay],
    *,
    title: str | None = None,
    most_frames: int = MOST_FRAMES,
    most_examples: int = MOST_EXAMPLES,
    ahead: bool = False,
    check: bool = False,
    prefix: str = "",
) -> Shown:
    """What the viewer shows of one run or of several that are compared, on the same scales.

    No more is computed than says what there is, numbers when they are asked for. With `ahead`, all are computed now.
    With either that or `check`, all weights are read, and frames whose are damaged are left out; else reading them
    raises DamagedRun. Frames and examples beyond so many are left out too, and the payload says so; all runs show the
    same examples if they were recorded with as many. Names of arrays begin with `prefix`. Raises ValueError if there
    are no runs, MissingFrame for a run without frames.
    """
    if not replays:
        raise ValueError("there are no runs to show; pass at least one replay")
    check = check or ahead
    chosen = [
        select(replay, most_frames=most_frames, most_examples=most_examples, check=check, ahead=ahead)
        for replay in replays
    ]
    at_once = min(_frames_at_once(selection.sample) for selection in chosen)
    numbers = Numbers(ahead=ahead, at_once=at_once)
    inputs = planes.inputs_of([selection.replay for selection in chosen])
    drawn = planes.planes_of(
        [selection.sample for selection in chosen], inputs, [selection.missing for selection in chosen]
    )
    payload: Payload = {
        "format": FORMAT,
        "title": title or ", ".join(replay.name for replay in replays),
        "runs": [
            _run(selection, f"{prefix}{number}", inputs, of_layers, numbers, None if ahead else at_once)
            for number, (selection, of_layers) in enumerate(zip(chosen, drawn, strict=True))
        ],
        "differing": measures.differing([replay.hyperparameters for replay in replays]),
        "live": False,
    }
    return Shown(payload, numbers, [selection.replay for selection in chosen])


def _frames_at_once(replay: Replay) -> int:
    weights = replay.run.manifest.parameter_count
    products = weights * (count(replay.inputs()) + planes.BOUNDARY**2)
    return max(1, min(_AT_ONCE, _MOST_PRODUCTS // max(1, products), _MOST_WEIGHTS // max(1, weights)))


def _run(
    selection: Selection,
    prefix: str,
    inputs: planes.Inputs,
    of_layers: Mapping[str, planes.Plane],
    numbers: Numbers,
    at_once: int | None,
) -> Run:
    replay, sample, missing = selection.replay, selection.sample, selection.missing
    try:
        task = sample.task()
    except Unsupported as error:  # an output with places, or of an unknown meaning
        task = None
        missing.append(f"no predictions: {error}")
    given = _examples(sample, task, prefix, numbers, missing)
    inputs_shown = _inputs(sample, prefix, numbers)
    boundary = diagram = mlp = None
    try:
        boundary = planes.boundary(sample, inputs, f"{prefix}/boundary", numbers)
    except Unsupported as error:
        missing.append(f"no plane of inputs: {error}")
    try:
        diagram = network.diagram(replay, inputs.domain, f"{prefix}/diagram", numbers)
        mlp = network.mlp(replay, given["losses"], len(selection.places) + planes.BOUNDARY**2, f"{prefix}/mlp", numbers)
    except Unsupported as error:
        missing.append(f"no diagram: {error}")
    clock = numbers.moving(
        prefix,
        len(replay.epochs),
        lambda rows: {"epochs": single(replay.epochs[rows]), "steps": replay.steps[rows].astype(np.int32)},
        {"epochs": (), "steps": ()},
    )
    return {
        "id": replay.run.manifest.id,
        "name": replay.name,
        "status": replay.status,
        "hyperparameters": {name: _text(value) for name, value in replay.hyperparameters.items()},
        "missing": missing,
        "at_once": at_once,
        "epochs": clock["epochs"],
        "steps": clock["steps"],
        "task": _task(sample, task),
        "labels": _labels(task, prefix, numbers),
        "inputs": inputs_shown,
        "input_names": [f"x{number}" for number in range(1, 1 + inputs_shown["shape"][1])] if inputs_shown else [],
        "images": _images(sample, prefix, numbers),
        "example_numbers": example_numbers(selection.whole, selection.places),
        "loss": replay.loss_name,
        "curves": _curves(replay, prefix, numbers),
        "probabilities": given.get("probabilities"),
        "targets": _targets(task, prefix, numbers),
        "predictions": given.get("predictions"),
        "losses": given["losses"],
        "wrong": given.get("wrong"),
        "spaces": [
            planes.space(sample, layer, how, inputs, f"{prefix}/spaces/{number}", numbers)
            for number, (layer, how) in enumerate(of_layers.items())
        ],
        "boundary": boundary,
        "tours": [
            planes.tour(sample, layer, how.tour, f"{prefix}/tours/{number}", numbers)
            for number, (layer, how) in enumerate(of_layers.items())
            if how.tour is not None
        ],
        "distributions": _distributions(replay, prefix, numbers),
        "diagram": diagram,
        "mlp": mlp,
        "marks": selection.marks,
    }


def _task(sample: Replay, task: Task | None) -> Asked:
    if task is None:
        return {"kind": "quantities", "names": [], "link": "identity"}
    if isinstance(task, Classes):
        units = sample.logits(float(sample.epochs[0])).shape[-1]
        # Of two classes by one unit, both links give the same; but of the unit alone only the sigmoid does.
        return {"kind": "classes", "names": list(task.names), "link": "sigmoid" if units == 1 else task.link}
    labels = isinstance(task, Labels)
    return {
        "kind": "labels" if labels else "quantities",
        "names": list(task.names),
        "link": "sigmoid" if labels else "identity",
    }


def _labels(task: Task | None, prefix: str, numbers: Numbers) -> Array | None:
    if isinstance(task, Labels):
        task = task.one()
    if not isinstance(task, Classes):
        return None
    labels = task.labels.astype(np.uint8 if len(task.names) <= 256 else np.int32)
    return numbers.still(f"{prefix}/labels", labels, ("example",))


def _targets(task: Task | None, prefix: str, numbers: Numbers) -> Array | None:
    if not isinstance(task, Quantities):
        return None
    return numbers.still(f"{prefix}/targets", single(task.values), ("example", "quantity"))


def _inputs(sample: Replay, prefix: str, numbers: Numbers) -> Array | None:
    """The examples as rows of a few numbers."""
    values = sample.inputs()
    if not isinstance(values, np.ndarray):
        return None
    array = cast("NDArray[Any]", values)
    if array.ndim > 2 or array[0].size > _FEW_INPUTS:
        return None
    return numbers.still(f"{prefix}/inputs", single(array.reshape(len(array), -1)), ("example", "input"))


def _images(sample: Replay, prefix: str, numbers: Numbers) -> Array | None:
    """The examples as images; of large ones, every so many pixels."""
    try:
        images = measures.as_images(np.asarray(sample.inputs()))
    except Unsupported:
        return None
    every = max(1, math.ceil(math.sqrt(images.size / _MOST_PIXELS)))
    pixels = stored(np.nan_to_num(images.reshape(*images.shape[:3], -1)[:, ::every, ::every]), SHARE)
    return numbers.still(f"{prefix}/images", pixels, ("example", "row", "column", "channel"), SHARE)


def _examples(sample: Replay, task: Task | None, prefix: str, numbers: Numbers, missing: list[str]) -> dict[str, Array]:
    """Probabilities or predicted quantities, losses and mistakes, as far as there are any."""
    first = sample.epochs[:1].tolist()
    probable = task is not None
    try:
        sample.class_probabilities(first)
    except Unsupported:
        probable = False
    lossy = True
    try:
        sample.losses(first)
    except Unsupported as error:
        lossy = False
        missing.append(f"no losses: {error}")

    def compute(rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
        epochs = sample.epochs[rows].tolist()
        found: dict[str, NDArray[Any]] = {}
        if lossy and task is not None:
            measured = sample.sample_losses(epochs)
            found["losses"] = single(measured.losses)
            if measured.wrong is not None:
                found["wrong"] = measured.wrong.astype(np.uint8)
        else:
            shape = (len(rows), count(sample.inputs()))
            found["losses"] = single(sample.losses(epochs) if lossy else np.full(shape, np.nan))
        if probable:
            found["probabilities"] = single(sample.class_probabilities(epochs).probabilities)
        if isinstance(task, Quantities):
            found["predictions"] = single(sample.predictions(epochs).predicted)
        return found

    axes = {
        "losses": ("example",),
        "wrong": ("example",),
        "probabilities": ("example", "class"),
        "predictions": ("example", "quantity"),
    }
    return numbers.moving(f"{prefix}/examples", len(sample.epochs), compute, axes)


def _curves(replay: Replay, prefix: str, numbers: Numbers) -> list[Curve]:
    found: list[Curve] = []
    for split in replay.splits:
        try:
            first = replay.curves(replay.epochs[:1].tolist(), split=split)
        except Unsupported:
            continue

        def compute(rows: NDArray[np.intp], split: Split = split) -> dict[str, NDArray[Any]]:
            measured = replay.curves(replay.epochs[rows].tolist(), split=split)
            return {"loss": single(measured.loss), "score": single(measured.score)}

        given = numbers.moving(f"{prefix}/curves/{split}", len(replay.epochs), compute, {"loss": (), "score": ()})
        loss: Curve = {"name": "loss", "quantity": first.loss_name, "split": split, "values": given["loss"]}
        score: Curve = {
            "name": first.score_name,
            "quantity": first.score_name,
            "split": split,
            "values": given["score"],
        }
        found += [loss, score]
    return found


def _distributions(replay: Replay, prefix: str, numbers: Numbers) -> list[Distribution]:
    found: list[Distribution] = []
    for kind in cast("tuple[Kind, ...]", get_args(measures.Kind)):
        log = kind in _LOG
        try:
            first = replay.distributions(kind, None, replay.epochs[:1].tolist(), log=log)
        except Unsupported:
            continue

        def compute(
            rows: NDArray[np.intp], kind: Kind = kind, log: bool = log, first: measures.Distributions = first
        ) -> dict[str, NDArray[Any]]:
            # Those of the frames that there are now, also when the run has grown.
            measured = replay.distributions(kind, None, replay.epochs[rows].tolist(), log=log, edges=first.edges)
            return {
                "densities": stored(measured.densities, SHARE),
                "quantiles": single(_magnitudes(measured.quantiles, log)),
                "zeros": single(measured.zeros),
            }

        axes = {"densities": ("layer", "bin"), "quantiles": ("layer", "level"), "zeros": ("layer",)}
        name = f"{prefix}/distributions/{kind}"
        given = numbers.moving(name, len(replay.epochs), compute, axes, _SHARES)
        edges = single(_magnitudes(first.edges, log))
        found.append(
            {
                "kind": kind,
                "layers": list(first.layers),
                "log": log,
                "levels": list(LEVELS),
                "edges": numbers.still(f"{name}/edges", edges, ("layer", "edge"), PLAIN),
                "densities": given["densities"],
                "quantiles": given["quantiles"],
                "zeros": given["zeros"],
            }
        )
    return found


_SHARES: dict[str, Scale] = {"densities": SHARE}


def _magnitudes(values: NDArray[Any], log: bool) -> NDArray[Any]:
    with np.errstate(divide="ignore"):
        return np.log10(values) if log else values


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, cast("list[object]", value)))
    return f"{value:g}" if isinstance(value, float) else str(value)
