"""Intervals of how far samples are apart, by resampling them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .scipy import stats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Float
    from numpy.typing import NDArray

_RESAMPLES = 4_000
# Above, BCa and percentile intervals agree, and BCa's jackknife takes networks² steps.
_MOST_BCA = 1_000
# Numbers that are resampled at once, 32 MB.
_BATCH = 4_000_000


def of_means(samples: Sequence[Float[np.ndarray, " pair"]], confidence: float, seed: int) -> tuple[float, float, str]:
    """The ends of the interval of a sample's mean or, of two, of the difference of their means; and the method."""
    bca = max(map(len, samples)) <= _MOST_BCA
    low, high = _interval(samples, _mean if len(samples) == 1 else _difference, confidence, seed, bca=bca)
    return low, high, f"{'BCa' if bca else 'percentile'} bootstrap"


def of_medians(
    samples: Sequence[Float[np.ndarray, " network"]], confidence: float, seed: int, *, paired: bool
) -> tuple[float, float, str]:
    """The ends of the interval of the ratio of two samples' medians, either of which may be infinite; and the method.

    `paired` samples are of as many pairs, in one order.
    """
    return *_interval(samples, _ratio, confidence, seed, paired=paired), "percentile bootstrap"


def median(x: NDArray[Any], axis: int = -1) -> NDArray[Any]:
    """As of a survival curve: the first epoch by which half are right."""
    middle = (x.shape[axis] - 1) // 2
    return np.take(np.partition(x, middle, axis), middle, axis)


def _interval(
    samples: Sequence[NDArray[Any]],
    statistic: Callable[..., NDArray[Any]],
    confidence: float,
    seed: int,
    *,
    bca: bool = False,
    paired: bool = False,
) -> tuple[float, float]:
    with np.errstate(invalid="ignore"):  # a standard error, which is not used, of what may be infinite
        found = stats().bootstrap(
            samples,
            statistic,
            n_resamples=_RESAMPLES,
            batch=max(1, _BATCH // max(map(len, samples))),
            paired=paired,
            confidence_level=confidence,
            method="BCa" if bca else "percentile",
            rng=np.random.default_rng(seed),
        )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _mean(x: NDArray[Any], axis: int) -> NDArray[Any]:
    return x.mean(axis)


def _difference(x: NDArray[Any], y: NDArray[Any], axis: int) -> NDArray[Any]:
    return x.mean(axis) - y.mean(axis)


def _ratio(x: NDArray[Any], y: NDArray[Any], axis: int) -> NDArray[Any]:
    x, y = median(x, axis), median(y, axis)
    # A resampling in which neither has a median says nothing: it counts as no difference.
    return np.divide(x, y, out=np.ones_like(x), where=~(np.isinf(x) & np.isinf(y)) & (y > 0))
