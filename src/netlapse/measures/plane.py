"""Rectangles of a plane and the grids on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from numpy.typing import NDArray

# ((left, right), (bottom, top))
Limits = tuple[tuple[float, float], tuple[float, float]]


def domain(inputs: Float[np.ndarray, "example 2"]) -> Limits:
    """The part of the input plane that is looked at: the smallest square with one range for both features.

    Features of very different spans (more than threefold) keep a range each, one that is always the same a width of 1.
    """
    low: NDArray[Any] = inputs.min(axis=0).astype(float)
    high: NDArray[Any] = inputs.max(axis=0).astype(float)
    same = high - low < 1e-12 * np.maximum(1, np.abs(high))
    low, high = low - 0.5 * same, high + 0.5 * same
    spans = high - low
    if spans.max() <= 3 * spans.min():
        low, high = np.full(2, low.min()), np.full(2, high.max())
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def shared_domain(inputs: Sequence[Any]) -> Limits | None:
    """The domain of the inputs of several runs together. None unless all are inputs of two features."""
    flat = all(np.ndim(part) == 2 and part.shape[1] == 2 for part in inputs)
    return domain(np.concatenate(inputs)) if flat else None


def limits(points: Float[np.ndarray, "... 2"], margin: float = 0.05) -> Limits:
    """The rectangle around all finite points, with a margin on each side as a share of its span."""
    flat = points.reshape(-1, 2)
    flat = flat[np.isfinite(flat).all(axis=1)]
    if len(flat) == 0:
        return (-1.0, 1.0), (-1.0, 1.0)
    low, high = flat.min(axis=0).astype(float), flat.max(axis=0).astype(float)
    # A plane that has collapsed onto a line or a point is still drawn with some width.
    span = np.maximum(high - low, max(1e-3, 0.05 * float((high - low).max())))
    low, high = (low + high - span) / 2 - margin * span, (low + high + span) / 2 + margin * span
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def widen(area: Limits, margin: float) -> Limits:
    """The rectangle with a margin on each side, as a share of its span."""
    (left, right), (bottom, top) = area
    dx, dy = margin * (right - left), margin * (top - bottom)
    return (left - dx, right + dx), (bottom - dy, top + dy)


def grid(
    area: Limits, resolution: int
) -> tuple[Float[np.ndarray, " column"], Float[np.ndarray, " row"], Float[np.ndarray, "point 2"]]:
    """Evenly spaced columns and rows, and all their crossings row by row."""
    x, y = np.linspace(*area[0], resolution), np.linspace(*area[1], resolution)
    return x, y, crossings(x, y).astype(np.float32)


def crossings(x: Float[np.ndarray, " column"], y: Float[np.ndarray, " row"]) -> Float[np.ndarray, "point 2"]:
    """All crossings of columns and rows, row by row."""
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def lattice(area: Limits, lines: int, points: int) -> Float[np.ndarray, "line point 2"]:
    """`lines` vertical and `lines` horizontal grid lines, each drawn through `points` points."""
    across, along = np.linspace(*area[0], lines), np.linspace(*area[1], points)
    vertical = np.stack(np.broadcast_arrays(across[:, None], along[None, :]), axis=-1)
    across, along = np.linspace(*area[1], lines), np.linspace(*area[0], points)
    horizontal = np.stack(np.broadcast_arrays(along[None, :], across[:, None]), axis=-1)
    return np.concatenate([vertical, horizontal]).astype(np.float32)
