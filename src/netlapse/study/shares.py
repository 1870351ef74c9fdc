"""Shares of networks: of how many are ever right, and of how many one network is ahead.

Where a setting has several networks of one pair, as in a grid of other hyper-parameters, they are no independent
evidence, and the intervals allow for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .outcomes import Outcomes


@dataclass(frozen=True)
class Share:
    """The share of networks that were right within so many epochs, with its interval (Wilson's)."""

    value: float
    low: float
    high: float
    within: float
    n: int
    reached: int
    diverged: int
    confidence: float


def share(of: Outcomes, within: float | None = None, *, confidence: float = 0.95) -> Share:
    """The share of networks that ever become right."""
    within = of.known if within is None else within
    low, high = wilson(of, np.isfinite(of.times(within)), confidence)
    n, reached, diverged = of.counts(within)
    return Share(reached / n, low, high, within, n, reached, diverged, confidence)


@dataclass(frozen=True)
class Percentile:
    """How many of its setting's networks a network is ahead of, 0 to 1, with an interval; half of those level count."""

    value: float
    low: float
    high: float
    epoch: float
    n: int
    reached: int
    diverged: int
    confidence: float


def percentile(of: Outcomes, epoch: float, *, within: float | None = None, confidence: float = 0.95) -> Percentile:
    """How lucky a network was that got right at this epoch (infinite: never) among others of its setting."""
    within = of.known if within is None else within
    times = of.times(within)
    epoch = epoch if epoch <= within else inf  # NaN, too, is never
    behind = (times > epoch) + (times == epoch) / 2
    low, high = wilson(of, behind, confidence)
    n, reached, diverged = of.counts(within)
    return Percentile(float(behind.mean()), low, high, epoch, n, reached, diverged, confidence)


def wilson(of: Outcomes, values: NDArray[Any], confidence: float) -> tuple[float, float]:
    """Wilson's interval of the mean of these networks' values, which are from 0 to 1.

    It counts as many networks as independent ones would have to be for the mean to vary as it does from pair to pair.
    """
    p, means = float(values.mean()), of.by_pair(values)
    n = float(len(means))
    if n < len(values):
        spread = float(means.var(ddof=1)) / n if n > 1 else inf
        n = min(max(p * (1 - p) / spread if spread else inf, 1.0), len(values)) if 0 < p < 1 else n
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    scale = 1 + z**2 / n
    middle, reach = p + z**2 / (2 * n), z * (p * (1 - p) / n + (z / (2 * n)) ** 2) ** 0.5
    # The ends of 0 and 1 are those values, not what rounding leaves of them.
    low = max((middle - reach) / scale, 0.0) if p else 0.0
    high = (middle + reach) / scale if p < 1 else 1.0
    return low, high
