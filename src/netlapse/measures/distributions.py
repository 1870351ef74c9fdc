"""Distributions by layer: weights, gradients, pre-activations and activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Float, Int, Shaped
    from numpy.typing import NDArray

Kind = Literal["weights", "gradients", "layer_gradients", "pre_activations", "activations"]
Parameters = Literal["kernels", "biases", "all"]

LEVELS = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
"""Shares of the values that lie below each quantile."""

_BINS = 100
# How far a value is smoothed at most, in bins.
_REACH = 48
# So many frames of the run say where its values lie.
_OVERVIEW = 17


@dataclass(frozen=True)
class Distributions(Timeline):
    """How the values of each layer are distributed at each frame.

    `kind` says of what: "weights", "gradients" (of the mean loss by the weights, dL/dW), "layer_gradients" (of each
    example's loss by the pre-activations, dL/dz), "pre_activations" or "activations". A layer has `sizes` values, of
    `examples[0]` of the probe's `examples[1]` examples (None for weights).

    A layer's `edges` are those of the whole run at every frame. `shares` are of all its finite values: those that lie
    in each bin without being exactly 0, which `zeros` gives. `densities` are their outlines, each with a peak of 1,
    smoothed by a Gaussian as wide as Silverman (1986) recommends. `quantiles` are those at `LEVELS`. If `log`, edges
    and quantiles are of the magnitudes that are not 0, and the edges evenly spaced in their logarithm.

    `deviations` are standard deviations, `norms` Euclidean (L2). All but `not_finite`, the number of values that
    are, leave out what is not finite: where nothing is finite they are NaN, the shares 0.
    """

    kind: Kind
    layers: tuple[str, ...]
    log: bool
    sizes: Int[np.ndarray, " layer"]
    examples: tuple[int, int] | None
    edges: Float[np.ndarray, "layer edge"]
    shares: Float[np.ndarray, "frame layer bin"]
    densities: Float[np.ndarray, "frame layer bin"]
    quantiles: Float[np.ndarray, "frame layer level"]
    means: Float[np.ndarray, "frame layer"]
    deviations: Float[np.ndarray, "frame layer"]
    zeros: Float[np.ndarray, "frame layer"]
    norms: Float[np.ndarray, "frame layer"]
    not_finite: Int[np.ndarray, "frame layer"]

    @property
    def rms(self) -> Float[np.ndarray, "frame layer"]:
        """Root mean square: the norm that does not grow with the number of values."""
        return np.hypot(self.means, self.deviations)

    @property
    def outside(self) -> Float[np.ndarray, "frame layer"]:
        """Share of the finite values that lie in no bin, and are not 0."""
        known = self.not_finite < self.sizes
        return np.where(known, np.clip(1 - self.zeros - self.shares.sum(axis=2), 0, 1).round(9), np.nan)


def distributions(
    values: Callable[[Sequence[float]], Sequence[Shaped[np.ndarray, "frame value"]]],
    *,
    kind: Kind,
    layers: Sequence[str],
    epochs: Float[np.ndarray, " frame"],
    run_epochs: Float[np.ndarray, " moment"],
    log: bool = False,
    examples: tuple[int, int] | None = None,
    frames_at_once: int = 1,
    edges: Float[np.ndarray, "layer edge"] | None = None,
) -> Distributions:
    """Distributions at `epochs` of what `values` gives for some epochs, by layer.

    No more than `frames_at_once` frames are asked for at a time, and none is kept. Unless they are given, frames from
    all over `run_epochs` say where the `edges` lie.
    """
    if edges is None:
        some = np.unique(np.linspace(0, len(run_epochs) - 1, _OVERVIEW).round().astype(int))
        edges = _edges([_extents(values([epoch]), log) for epoch in run_epochs[some].tolist()], log)
    found: list[list[_Summary]] = []
    for start in range(0, len(epochs), frames_at_once):
        block = values(epochs[start : start + frames_at_once].tolist())
        found += [
            [_summary(frame, bounds, log) for frame, bounds in zip(frames, edges, strict=True)]
            for frames in zip(*block, strict=True)
        ]
    sizes, shares, quantiles, statistics, not_finite = (
        np.array([[layer[part] for layer in row] for row in found]) for part in range(5)
    )
    means, deviations, zeros, norms = np.moveaxis(statistics, 2, 0)
    return Distributions(
        epochs=epochs,
        kind=kind,
        layers=tuple(layers),
        log=log,
        sizes=sizes[0],
        examples=examples,
        edges=edges,
        shares=shares,
        densities=_densities(shares, sizes[0]),
        quantiles=quantiles,
        means=means,
        deviations=deviations,
        zeros=zeros,
        norms=norms,
        not_finite=not_finite,
    )


_Summary = tuple[int, Any, Any, tuple[float, ...], int]


def _summary(values: NDArray[Any], edges: NDArray[Any], log: bool) -> _Summary:
    """Number of values, shares, quantiles, the four statistics, and how many values are not finite."""
    finite = values[np.isfinite(values)]
    count = len(finite)
    if count == 0:
        nothing = (np.nan,) * 4
        return len(values), np.zeros(len(edges) - 1), np.full(len(LEVELS), np.nan), nothing, len(values)
    present = _sorted(finite, log)
    # Bins are half open, the last one closed, as NumPy's are.
    ends = np.append(np.searchsorted(present, edges[:-1]), np.searchsorted(present, edges[-1:], side="right"))
    statistics = (
        float(finite.mean(dtype=float)),
        float(finite.std(dtype=float)),
        1 - len(present) / count,
        float(np.sqrt(np.square(finite, dtype=float).sum())),
    )
    of = present if log else np.sort(finite)
    return len(values), np.diff(ends) / count, _quantiles(of), statistics, len(values) - count


def _densities(
    shares: Float[np.ndarray, "frame layer bin"], sizes: Int[np.ndarray, " layer"]
) -> Float[np.ndarray, "frame layer bin"]:
    bins = np.arange(float(shares.shape[2]))
    total = np.maximum(shares.sum(axis=2, keepdims=True), 1e-300)
    mean = (shares * bins).sum(axis=2, keepdims=True) / total
    spread = np.sqrt((shares * (bins - mean) ** 2 / total).sum(axis=2))
    below = np.cumsum(shares, axis=2) / total
    half = (below < 0.75).sum(axis=2) - (below < 0.25).sum(axis=2)
    widths = 0.9 * np.minimum(spread, half / 1.34) * np.maximum(total[..., 0] * sizes, 1) ** -0.2
    found = np.zeros(shares.shape, np.float32)
    reach = np.arange(-_REACH, _REACH + 1)
    for frame, layer in np.argwhere(total[..., 0] > 1e-300):
        width = np.clip(widths[frame, layer], 0.5, _REACH / 4)
        smooth = np.convolve(shares[frame, layer], np.exp(-0.5 * (reach / width) ** 2), "same")
        # Beyond the outermost values there is nothing.
        [filled] = np.nonzero(shares[frame, layer])
        inside = slice(filled[0], filled[-1] + 1)
        found[frame, layer, inside] = smooth[inside] / smooth[inside].max()
    return found


def _sorted(finite: NDArray[Any], log: bool) -> NDArray[Any]:
    """What is not 0, or its magnitudes, in ascending order."""
    present = finite[finite != 0]
    return np.sort(np.abs(present) if log else present)


def _quantiles(ascending: NDArray[Any], levels: Sequence[float] = LEVELS) -> Float[np.ndarray, " level"]:
    """As `np.quantile` finds them, which would sort again."""
    if len(ascending) == 0:
        return np.full(len(levels), np.nan)
    places = np.asarray(levels) * (len(ascending) - 1)
    low = places.astype(int)
    below, above = (ascending[np.minimum(place, len(ascending) - 1)].astype(float) for place in (low, low + 1))
    return below + (places - low) * (above - below)


def _extents(values: Sequence[NDArray[Any]], log: bool) -> Float[np.ndarray, "layer 2"]:
    """Between which values almost all of each layer's lie at one frame; NaN for a layer of zeros."""
    found: list[tuple[float, float]] = []
    for [frame] in values:
        least, low, high, most = _quantiles(_sorted(frame[np.isfinite(frame)], log), (0.0, 0.01, 0.99, 1.0))
        # Magnitudes next to 0 are many decades of next to nothing; of the rest only what lies far out is left out.
        reach = 2 * (high - low) or np.inf
        found.append((low, most) if log else (max(least, low - reach), min(most, high + reach)))
    return np.array(found)


def _edges(extents: Sequence[NDArray[Any]], log: bool) -> Float[np.ndarray, "layer edge"]:
    """Evenly spaced edges between the extents of all frames, a little widened."""
    low: NDArray[Any] = np.fmin.reduce([extent[:, 0] for extent in extents])
    high: NDArray[Any] = np.fmax.reduce([extent[:, 1] for extent in extents])
    if log:
        low, high = np.log10(low), np.log10(high)
    # A layer whose values are all the same has a width all the same.
    margin = 0.03 * np.where(high > low, high - low, 1.0 if log else np.abs(low))
    edges = (low - margin)[:, None] + (high - low + 2 * margin)[:, None] * np.linspace(0, 1, _BINS + 1)
    return 10**edges if log else edges
