"""Planes that examples lie in, the same for all runs that are compared: feature spaces, tours, the inputs' plane."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Unsupported
from ..measures import Classes, Quantities, plane
from ..measures.task import leads, predicted
from ..replay.outputs import evenly
from ..replay.values import slices
from .numbers import CLASS, LEAD, MARGIN, Scale, single, stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from jaxtyping import Float
    from numpy.typing import NDArray

    from ..measures import DecisionBoundary, FeatureSpace, Limits, Projection, Task
    from ..measures.projection import Tour as Path
    from ..replay import Replay
    from .numbers import Numbers
    from .schema import Array, Space, Tour

# Layers shown of a deep network, and frames that say how far a layer's examples lie.
_MOST_LAYERS, _FEW, _FEW_OF_WIDE = 6, 64, 8
# Rows and columns of the regions over the inputs' plane: of two inputs, and of more.
BOUNDARY, _COARSE = 81, 61
_BLOCK_BYTES = 2**25
# No network with a layer of more units is one that the page computes.
_WIDEST = 512


@dataclass(frozen=True)
class Inputs:
    """The plane of the inputs that all runs are looked at on; `projection` is None if each has its own."""

    domain: Limits | None
    projection: Projection | None


@dataclass(frozen=True)
class Plane:
    """How a layer of a run is drawn; `tour` leads through one of more than two units, `example` is one frame.

    `limits` are those of all runs that are compared, `own` those of this one.
    """

    example: FeatureSpace
    projection: Projection
    limits: Limits
    own: Limits
    tour: Path | None


def inputs_of(replays: Sequence[Replay]) -> Inputs:
    """One plane of the inputs for all."""
    domain = plane.shared_domain([replay.inputs() for replay in replays])
    try:
        return Inputs(domain, replays[0].inputs_projection())
    except Unsupported:
        return Inputs(domain, None)


def layers_of(replay: Replay) -> tuple[list[str], list[str]]:
    """The hidden layers that are shown, in the order of the network, and what is to be said of it."""
    hidden = [layer.name for layer in replay.layers[:-1] if layer.units and layer.name not in replay.output_names]
    places: list[int] = evenly(len(hidden), _MOST_LAYERS).tolist()
    some = [hidden[place] for place in places]
    notes = [f"{len(some)} of {len(hidden)} hidden layers are shown"] if len(some) < len(hidden) else []
    return some, notes


def planes_of(replays: Sequence[Replay], inputs: Inputs, missing: Sequence[list[str]]) -> list[dict[str, Plane]]:
    """For each run the planes of its layers; layers of one name and width share one. What cannot be is missing."""
    found: list[dict[str, Plane]] = [{} for _ in replays]
    groups: dict[tuple[str, int | None], list[int]] = {}
    for number, replay in enumerate(replays):
        names, notes = layers_of(replay)
        missing[number].extend(notes)
        widths = {layer.name: layer.units for layer in replay.layers}
        for name in names:
            groups.setdefault((name, widths[name]), []).append(number)
    for (name, _), members in groups.items():
        try:
            shared = _planes([replays[number] for number in members], name, inputs)
        except Unsupported as error:
            for number in members:
                missing[number].append(f"no feature space of layer {name}: {error}")
            continue
        for number, one in zip(members, shared, strict=True):
            found[number][name] = one
    return found


def _planes(replays: Sequence[Replay], layer: str, inputs: Inputs) -> list[Plane]:
    first, others = replays[0], replays[1:]
    projection = first.projection(layer, also=others)
    wide = len(projection.origin) > 2
    spaces = [
        replay.feature_space(
            layer,
            _spread(replay, _FEW_OF_WIDE if wide else _FEW),
            projection=projection,
            inputs=inputs.projection or "pca",
            domain=inputs.domain,
        )
        for replay in replays
    ]
    limits = reduce(_union, [space.limits for space in spaces])
    tour = first.grand_tour(layer, also=others) if wide else None
    return [Plane(space.at(float(space.epochs[0])), projection, limits, space.limits, tour) for space in spaces]


def _spread(replay: Replay, most: int) -> list[float]:
    """So many epochs from first to last; of a short run some come twice, since frameworks compile for each number."""
    rows = np.linspace(0, len(replay.epochs) - 1, most).round().astype(int)
    return replay.epochs[rows].tolist()


def _union(one: Limits, two: Limits) -> Limits:
    (a, b), (c, d) = (
        (min(first[0], second[0]), max(first[1], second[1])) for first, second in zip(one, two, strict=True)
    )
    return (a, b), (c, d)


def space(replay: Replay, layer: str, how: Plane, inputs: Inputs, prefix: str, numbers: Numbers) -> Space:
    """The feature space of a layer."""

    def measured(rows: NDArray[np.intp]) -> FeatureSpace:
        return replay.feature_space(
            layer,
            replay.epochs[rows].tolist(),
            projection=how.projection,
            inputs=inputs.projection or "pca",
            domain=inputs.domain,
            limits=how.limits,
        )

    first = how.example
    x, y, _ = plane.grid(how.limits, len(first.x))
    wide = len(how.projection.origin) > 2

    def arrays(found: FeatureSpace) -> dict[str, NDArray[Any]]:
        parts: dict[str, Any] = {"points": single(found.points)}
        if found.plane_logits is not None:
            parts |= _said(found.task, found.plane_logits)
        if found.lines is not None:
            parts["lines"] = single(found.lines)
        if wide:
            parts["kept"] = single(found.kept)
        if found.agreement is not None:
            parts["agreement"] = single(found.agreement)
        return parts

    given = numbers.moving(
        prefix, len(replay.epochs), _in_blocks(measured, arrays, first.frame_bytes), _AXES, _scales(first.task)
    )
    grid = None
    if first.lines is not None and first.domain is not None:
        lattice = plane.lattice(first.domain, first.lines.shape[1] // 2, first.lines.shape[2])
        grid = numbers.still(f"{prefix}/grid", lattice, ("line", "point", "axis"))
    known: dict[str, Array] = {}
    if wide and len(how.projection.origin) <= _WIDEST:
        for name, values, axes in (
            ("origin", how.projection.origin, ("unit",)),
            ("basis", how.projection.basis, ("unit", "axis")),
        ):
            known[name] = numbers.still(f"{prefix}/{name}", single(values), axes)
    return _space(layer, how.projection, (x, y), how.own, given["points"], {**given, **known}, grid)


def boundary(replay: Replay, inputs: Inputs, prefix: str, numbers: Numbers) -> Space:
    """The plane of the inputs. Raises Unsupported where there is none."""
    first_epoch = replay.epochs[:1].tolist()
    first = replay.decision_boundary(first_epoch, inputs=inputs.projection or "pca", domain=inputs.domain, resolution=2)
    side = BOUNDARY if len(first.projection.origin) == 2 else _COARSE

    def measured(rows: NDArray[np.intp]) -> DecisionBoundary:
        return replay.decision_boundary(
            replay.epochs[rows].tolist(),
            inputs=first.projection,
            domain=inputs.domain,
            resolution=side,
        )

    def arrays(found: DecisionBoundary) -> dict[str, NDArray[Any]]:
        parts = _said(found.task, found.plane_logits)
        if found.agreement is not None:
            parts["agreement"] = single(found.agreement)
        return parts

    compute = _in_blocks(measured, arrays, 4 * side**2 * first.plane_logits.shape[-1])
    given = numbers.moving(prefix, len(replay.epochs), compute, _AXES, _scales(first.task))
    points = numbers.still(f"{prefix}/points", single(first.points)[None], ("frame", "example", "axis"))
    x, y, _ = plane.grid(first.limits, side)
    return _space("inputs", first.projection, (x, y), first.limits, points, given, None)


def tour(replay: Replay, layer: str, path: Path, prefix: str, numbers: Numbers) -> Tour:
    """The examples along the directions of a tour."""
    few = replay.toured(path, layer, _spread(replay, _FEW_OF_WIDE))
    drawn = float(few.places.var(axis=1, dtype=float).sum())
    total = float(few.variance.sum())

    def compute(rows: NDArray[np.intp]) -> Mapping[str, NDArray[Any]]:
        return {"scores": single(replay.toured(path, layer, replay.epochs[rows].tolist()).places)}

    given = numbers.moving(prefix, len(replay.epochs), compute, {"scores": ("example", "component")})
    # Of what does not vary, nothing is lost.
    kept = drawn / total if np.isfinite(drawn) and np.isfinite(total) and total > 0 else 1.0
    return {"layer": layer, "scores": given["scores"], "kept": kept}


def _said(task: Task, logits: Float[np.ndarray, "frame row column unit"]) -> dict[str, NDArray[Any]]:
    parts = {"regions": regions(task, logits)}
    if isinstance(task, Classes) and len(task.names) > 2:
        with np.errstate(invalid="ignore"):
            lead = leads(task.scores(logits)).max(axis=-1)
            ahead = np.where(np.isinf(lead), 1, lead / (1 + lead))
        # Only at the edges is it asked for; all of them would be half of a page.
        parts["leads"] = stored(np.where(np.isnan(ahead) | _at_edges(parts["regions"]), ahead, 1), MARGIN)
    return parts


def _at_edges(winners: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether a place (frame, row, column) has another winner above, below or beside it."""
    found = np.zeros(winners.shape, bool)
    across, up = np.diff(winners, axis=2) != 0, np.diff(winners, axis=1) != 0
    found[:, :, 1:] |= across
    found[:, :, :-1] |= across
    found[:, 1:] |= up
    found[:, :-1] |= up
    return found


def regions(task: Task, logits: Float[np.ndarray, "frame row column unit"]) -> NDArray[Any]:
    """What the network says of places, as `schema.Space` has it."""
    if isinstance(task, Quantities):
        return single(logits[..., 0])
    scores = task.scores(logits) if isinstance(task, Classes) else logits
    if scores.shape[-1] != 2:
        winner = predicted(scores)
        dtype = np.uint8 if scores.shape[-1] < 256 else np.uint16
        return np.where(winner < 0, np.iinfo(dtype).max, winner).astype(dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        lead = scores[..., 1] - scores[..., 0]
        return stored(np.where(np.isinf(lead), np.sign(lead), lead / (1 + np.abs(lead))), LEAD)


_AXES: dict[str, Sequence[str]] = {
    "points": ("example", "axis"),
    "regions": ("row", "column"),
    "leads": ("row", "column"),
    "lines": ("line", "point", "axis"),
    "kept": (),
    "agreement": (),
}


def _scales(task: Task) -> dict[str, Scale]:
    if isinstance(task, Quantities):
        return {}
    return {"regions": LEAD if isinstance(task, Classes) and len(task.names) == 2 else CLASS, "leads": MARGIN}


def _in_blocks(
    measured: Callable[[NDArray[np.intp]], Any],
    arrays: Callable[[Any], dict[str, NDArray[Any]]],
    frame_bytes: int,
) -> Callable[[NDArray[np.intp]], dict[str, NDArray[Any]]]:
    """What is kept of a measure is far smaller than the measure itself."""
    at_once = max(1, _BLOCK_BYTES // frame_bytes)

    def compute(rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
        parts = [arrays(measured(rows[some])) for some in slices(len(rows), at_once)]
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    return compute


def _space(
    layer: str,
    projection: Projection,
    crossings: tuple[NDArray[Any], NDArray[Any]],
    own: Limits,
    points: Array,
    given: Mapping[str, Array],
    grid: Array | None,
) -> Space:
    return {
        "layer": layer,
        "projection": projection.method,
        "x": _rounded(crossings[0]),
        "y": _rounded(crossings[1]),
        "own_x": _rounded(own[0]),
        "own_y": _rounded(own[1]),
        "points": points,
        "regions": given.get("regions"),
        "leads": given.get("leads"),
        "lines": given.get("lines"),
        "grid": grid,
        "origin": given.get("origin"),
        "basis": given.get("basis"),
        "kept": given.get("kept"),
        "agreement": given.get("agreement"),
    }


def _rounded(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.7g}") for value in values]
