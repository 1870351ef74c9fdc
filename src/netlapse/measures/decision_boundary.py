"""Decision regions in the plane of two inputs, or in a plane through the inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import plane
from .slices import agreement
from .task import mistakes
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Bool, Float, Shaped

    from .plane import Limits
    from .projection import Projection
    from .task import Task


@dataclass(frozen=True)
class DecisionBoundary(Timeline):
    """The network's logits over a plane of inputs, and the examples, frame by frame.

    `plane_logits` on the grid (`x`, `y`) are those of each class, (frame, row, column, class): a boundary is where one
    class' lead over the others crosses 0. Contouring scores instead of probabilities finds it with a hundredth of the
    error where the network is sure of itself. Of quantities they are the outputs.

    `points` are the examples as the `projection` draws them. Networks of more than two inputs are looked at on the
    plane through the examples' mean. The examples lie beside it, so that some are predicted otherwise than the region
    in which they are drawn; `agreement` is the share of those that are not.
    """

    task: Task
    projection: Projection
    x: Float[np.ndarray, " column"]
    y: Float[np.ndarray, " row"]
    limits: Limits
    points: Float[np.ndarray, "example 2"]
    plane_logits: Float[np.ndarray, "frame row column unit"]
    wrong: Bool[np.ndarray, "frame example"] | None
    agreement: Float[np.ndarray, " frame"] | None


def decision_boundary(
    logits: Callable[[np.ndarray], np.ndarray],
    *,
    epochs: Float[np.ndarray, " frame"],
    inputs: Shaped[np.ndarray, "example ..."],
    task: Task,
    projection: Projection,
    domain: Limits | None = None,
    resolution: int = 151,
) -> DecisionBoundary:
    """Evaluate the network over a plane of inputs.

    `logits` maps inputs (example, ...) to logits (frame, example, unit), `projection` inputs, flattened, to the plane.
    """
    flat = np.asarray(inputs, np.float32).reshape(len(inputs), -1)
    points = projection(flat).astype(np.float32)
    exact = flat.shape[1] == 2
    limits = plane.widen(domain or plane.domain(points), 0.05)
    x, y, crossings = plane.grid(limits, resolution)
    through = flat.mean(axis=0)
    places = crossings if exact else np.concatenate([crossings, points])
    shown = np.empty((len(flat) + len(places), flat.shape[1]), np.float32)
    shown[: len(flat)] = flat
    projection.lift_to(shown[len(flat) :], places, through)
    values = logits(shown.reshape(-1, *inputs.shape[1:]))
    own, on_plane = values[:, : len(flat)], values[:, len(flat) :]
    cells = len(crossings)
    return DecisionBoundary(
        epochs=epochs,
        task=task,
        projection=projection,
        x=x,
        y=y,
        limits=limits,
        points=points,
        plane_logits=on_plane[:, :cells].reshape(len(epochs), resolution, resolution, -1),
        wrong=mistakes(task, own),
        agreement=None if exact else agreement(task, own, on_plane[:, cells:]),
    )
