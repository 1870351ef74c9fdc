"""How far a picture in a plane is to be trusted: what a projection keeps of a layer's points and their movements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .directions import finite, mean, parts
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jaxtyping import Float
    from numpy.typing import NDArray

    from .projection import Projection


@dataclass(frozen=True)
class Honesty(Timeline):
    """What a projection keeps, of each frame and of the whole run. NaN where nothing varies or moves.

    `kept` is the share of the variance of a frame's points that is drawn; `kept_overall` that of the points of all
    frames together, to which the movement of their mean belongs. `distance` is the median distance of a frame's points
    from the plane through their mean, in the unit of the activations, and `distance_share` the same as a share of the
    points' spread, the root mean square distance from their mean.

    `movement` is Pearson's correlation between the drawn and the true lengths of all movements of examples from one
    frame to the next; `longer` is the share of them that are drawn longer than they are, beyond rounding: 0.
    """

    kept: Float[np.ndarray, " frame"]
    distance: Float[np.ndarray, " frame"]
    distance_share: Float[np.ndarray, " frame"]
    kept_overall: float
    movement: float
    longer: float


def honesty(
    blocks: Iterable[Float[np.ndarray, "frame example unit"]],
    projection: Projection,
    *,
    epochs: Float[np.ndarray, " frame"],
) -> Honesty:
    """Compare a layer's points with where they are drawn, a block of consecutive frames at a time.

    Points that are not finite are left out, and movements from and to them.
    """
    basis = projection.basis
    overall, lengths, longer = _Spread(basis), _Spread(np.eye(2)), 0
    frames: list[tuple[float, float, float]] = []
    before: NDArray[Any] | None = None
    for points in (frame for block in blocks for frame in block):
        # A few examples at a time: in float64, a frame of a wide layer is large.
        known, cuts = finite(points), list(parts(*points.shape))
        here = _Spread(basis)
        for cut in cuts:
            here.add(points[cut][known[cut]])
        overall.merge(here)
        away: list[NDArray[Any]] = []
        for cut in cuts:
            vectors = points[cut][known[cut]] - here.mean
            away.append(np.linalg.norm(vectors - vectors @ basis @ basis.T, axis=1))
            if before is not None:
                both = known[cut] & finite(before[cut])
                moves = points[cut][both].astype(float) - before[cut][both]
                true, drawn = np.linalg.norm(moves, axis=1), np.linalg.norm(moves @ basis, axis=1)
                longer += int((drawn > true * (1 + 1e-9)).sum())
                lengths.add(np.column_stack([true, drawn]))
        before = points.copy()
        distance = float(np.median(np.concatenate(away))) if known.any() else np.nan
        frames.append((here.kept, distance, distance / here.size))
    kept, distances, shares = np.transpose(frames)
    return Honesty(
        epochs=epochs,
        kept=kept,
        distance=distances,
        distance_share=shares,
        kept_overall=overall.kept,
        movement=lengths.correlation,
        longer=longer / lengths.count if lengths.count else np.nan,
    )


class _Spread:
    """How rows spread about their mean, in all and as drawn; of many rows, some at a time.

    After Chan, Golub and LeVeque, "Algorithms for computing the sample variance" (1983).
    """

    def __init__(self, basis: Float[np.ndarray, "unit 2"]) -> None:
        self.basis = basis
        self.count = 0
        self.mean = np.zeros(len(basis))
        self.total = 0.0
        self.drawn = np.zeros((2, 2))

    def add(self, rows: Float[np.ndarray, "row unit"]) -> None:
        part = _Spread(self.basis)
        part.count, part.mean = len(rows), mean(rows)
        part._square(rows - part.mean, 1.0)
        self.merge(part)

    def merge(self, other: _Spread) -> None:
        count = self.count + other.count
        if other.count:
            gap = other.mean - self.mean
            self.total += other.total
            self.drawn += other.drawn
            self._square(gap[None], self.count * other.count / count)
            self.mean = self.mean + gap * (other.count / count)
            self.count = count

    def _square(self, rows: Float[np.ndarray, "row unit"], weight: float) -> None:
        places = rows @ self.basis
        self.total += weight * float(np.square(rows).sum())
        self.drawn += weight * places.T @ places

    @property
    def varying(self) -> bool:
        """Whether the rows differ by more than rounding."""
        return self.total > 1e-20 * self.count * float(self.mean @ self.mean)

    @property
    def size(self) -> float:
        """Root mean square distance from the mean."""
        return np.sqrt(self.total / self.count) if self.varying else np.nan

    @property
    def kept(self) -> float:
        """Share of the variance that is drawn."""
        return min(1.0, float(np.trace(self.drawn)) / self.total) if self.varying else np.nan

    @property
    def correlation(self) -> float:
        """Pearson's, between the two coordinates that are drawn."""
        (first, both), (_, second) = self.drawn
        size = np.sqrt(first * second)
        return float(np.clip(both / size, -1, 1)) if self.varying and size > 0 else np.nan
