"""A small picture of a run, for a gallery: its last frame's decision regions where that is soon done, and its loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from ..errors import NetlapseError
from ..measures import Classes
from ..replay.outputs import evenly
from ..store.examples import count
from . import planes

if TYPE_CHECKING:
    from ..replay import Replay

_SIDE, _MOST_POINTS, _MOST_MOMENTS = 41, 160, 120
# Weights times places that are evaluated, beyond which nobody would wait for a small picture.
_MOST_PRODUCTS = 10**8


class Regions(TypedDict):
    """As `schema.Space` has them, of `side` x `side` places; `points` are x and y as shares of it, and the class."""

    side: int
    classes: int
    values: list[int]
    points: list[tuple[float, float, int]]


class Thumbnail(TypedDict):
    """`loss` is what was logged under `name` at some frames."""

    regions: Regions | None
    name: str
    loss: list[float | None]


def thumbnail(replay: Replay) -> Thumbnail:
    """A run's picture. What cannot be shown of it is left out."""
    scalars = replay.run.scalars
    name = next((name for name in ("loss", "train_loss", "val_loss") if name in scalars), (scalars or [""])[0])
    losses: list[float | None] = []
    if name and len(replay.epochs):
        values = replay.run.scalar(name)
        known = values[np.isfinite(values)]
        losses = [float(value) for value in known[evenly(len(known), _MOST_MOMENTS)]] if len(known) else []
    try:
        regions = _regions(replay)
    except (NetlapseError, ImportError, ValueError, MemoryError):
        regions = None
    return {"regions": regions, "name": name, "loss": losses}


def _regions(replay: Replay) -> Regions | None:
    weights = replay.run.manifest.parameter_count
    if not len(replay.epochs) or weights * (_SIDE**2 + count(replay.inputs())) > _MOST_PRODUCTS:
        return None
    found = replay.decision_boundary([float(replay.epochs[-1])], resolution=_SIDE)
    if not isinstance(found.task, Classes) or len(found.task.names) > 255:
        return None
    values: Any = planes.regions(found.task, found.plane_logits)[0]
    some = evenly(len(found.points), _MOST_POINTS)
    ends = np.array(found.limits, float)
    places = ((found.points[some] - ends[:, 0]) / (ends[:, 1] - ends[:, 0])).round(4)
    labels = found.task.labels[some].tolist()
    return {
        "side": _SIDE,
        "classes": len(found.task.names),
        "values": values.ravel().tolist(),
        "points": [(x, y, label) for (x, y), label in zip(places.tolist(), labels, strict=True)],
    }
