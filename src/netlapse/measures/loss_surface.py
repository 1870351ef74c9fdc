"""The loss on a plane of weight space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import plane as planes

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float

    from .plane import Limits
    from .weight_space import WeightPlane, Weights

    # Told how many of how many points are done.
    Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class LossSurface:
    """Mean loss of the probe with the weights at each point of a grid on a plane of weight space.

    `loss` names it, `split` says of which examples. What is not a number, or infinite, is kept as it is.
    """

    plane: WeightPlane
    loss: str
    split: str
    x: Float[np.ndarray, " column"]
    y: Float[np.ndarray, " row"]
    losses: Float[np.ndarray, "row column"]

    def under(self, points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, " point"]:
        """The surface at any points of its plane, linear between those of the grid; NaN beside it."""
        found = np.full(len(points), np.nan)
        inside = ((points >= [self.x[0], self.y[0]]) & (points <= [self.x[-1], self.y[-1]])).all(axis=1)
        column = np.interp(points[inside, 0], self.x, np.arange(len(self.x)))
        row = np.interp(points[inside, 1], self.y, np.arange(len(self.y)))
        left, low = np.minimum(column.astype(int), len(self.x) - 2), np.minimum(row.astype(int), len(self.y) - 2)
        right, high = column - left, row - low
        found[inside] = (
            (1 - high) * ((1 - right) * self.losses[low, left] + right * self.losses[low, left + 1])
            + high * ((1 - right) * self.losses[low + 1, left] + right * self.losses[low + 1, left + 1])
        )  # fmt: skip
        return found


def loss_surface(
    mean_losses: Callable[[Weights], Float[np.ndarray, " point"]],
    plane: WeightPlane,
    *,
    loss: str,
    split: str,
    resolution: int,
    margin: float = 0.2,
    limits: Limits | None = None,
    points_at_once: int = 256,
    progress: Progress | None = None,
) -> LossSurface:
    """Evaluate the loss on a grid of `resolution` x `resolution` points of a plane, a block of points at a time.

    The grid covers `limits`, by default a square around the moments that the plane was made for, with a margin on each
    side as a share of its width; in random directions it reaches from -1 to 1 at least, as in Li et al. (2018).
    """
    x, y, points = planes.grid(around(plane, margin) if limits is None else limits, resolution)
    losses = np.empty(len(points))
    for start in range(0, len(points), points_at_once):
        rows = slice(start, min(start + points_at_once, len(points)))
        losses[rows] = mean_losses(plane.weights(points[rows]))
        if progress is not None:
            progress(rows.stop, len(points))
    return LossSurface(plane, loss, split, x, y, losses.reshape(len(y), len(x)))


def around(plane: WeightPlane, margin: float) -> Limits:
    """The square around a plane's moments and its centre, with a margin on each side as a share of its width."""
    points = plane.points[np.isfinite(plane.points).all(axis=1)]
    reach = [[-1.0, -1.0], [1.0, 1.0]] if plane.kind == "random" else [[0.0, 0.0]]
    points = np.concatenate([points, reach])
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    half = (0.5 + margin) * float((points.max(axis=0) - points.min(axis=0)).max())
    (x, y) = middle.tolist()
    return (x - half, x + half), (y - half, y + half)
