"""The examples of a layer along a grand tour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .timeline import Timeline

if TYPE_CHECKING:
    from jaxtyping import Float

    from .projection import Projection, Tour
    from .task import Task


@dataclass(frozen=True)
class Toured(Timeline):
    """What a layer makes of the examples, as a grand tour sees it: `places` along the tour's few directions.

    All projections of the tour lie among these directions, so that they are enough for any of its positions, however
    many units the layer has. `variance` is that of the examples' activations, over all units together.
    """

    layer: str
    task: Task
    tour: Tour
    places: Float[np.ndarray, "frame example direction"]
    variance: Float[np.ndarray, " frame"]

    def drawn(self, projection: Projection) -> Float[np.ndarray, "frame example 2"]:
        """Where a projection of the tour draws the examples."""
        with np.errstate(invalid="ignore"):
            return self.places @ (self.tour.directions.T @ projection.basis).astype(self.places.dtype)

    def kept(self, projection: Projection) -> Float[np.ndarray, " frame"]:
        """The share of the variance that it draws. NaN where nothing varies."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.drawn(projection).var(axis=1, dtype=float).sum(axis=1) / self.variance


def toured(
    activations: Float[np.ndarray, "frame example unit"],
    tour: Tour,
    *,
    layer: str,
    task: Task,
    epochs: Float[np.ndarray, " frame"],
) -> Toured:
    """Find where the examples lie along a tour's directions."""
    with np.errstate(invalid="ignore", over="ignore"):
        places = np.stack([(frame - tour.origin) @ tour.directions for frame in activations])
        variance = np.array([frame.var(axis=0, dtype=float).sum() for frame in activations])
    return Toured(epochs, layer, task, tour, places.astype(np.float32), variance)
