"""How networks become right in time: survival curves, and tests of whether settings are equally fast.

Of a network that was never right within the epochs trained, one knows only that it takes longer. Several networks of
one pair are no independent evidence: neither survival curves nor log-rank tests allow for that.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from itertools import combinations
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from .scipy import stats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Bool, Float, Int
    from numpy.typing import NDArray

    from .outcomes import Outcomes


@dataclass(frozen=True)
class Survival:
    """The share of networks that are not yet right, after Kaplan and Meier (1958).

    From `epochs[k]` on it is `waiting[k]`, with a band from `low` to `high` that holds at each epoch by itself
    (Greenwood's variance, log-log). `at_risk` were not right just before. The median is the first epoch at which
    half of them are right, infinite if that never happens; its interval is where the band crosses a half (Brookmeyer
    and Crowley, 1982).
    """

    epochs: Float[np.ndarray, " step"]
    waiting: Float[np.ndarray, " step"]
    low: Float[np.ndarray, " step"]
    high: Float[np.ndarray, " step"]
    at_risk: Int[np.ndarray, " step"]
    trained: float
    n: int
    reached: int
    diverged: int
    median: float
    median_low: float
    median_high: float
    confidence: float

    def at_risk_at(self, epoch: float) -> int:
        """How many networks were trained up to this epoch and not right before."""
        step = int(np.searchsorted(self.epochs, epoch))
        return int(self.at_risk[step]) if step < len(self.at_risk) else 0


def survival(of: Outcomes, *, confidence: float = 0.95) -> Survival:
    """When networks become right, with censoring. Its complement is the share that is right by each epoch."""
    function = stats().ecdf(_censored(of)).sf
    epochs, waiting = (np.asarray(part, float) for part in (function.quantiles, function.probabilities))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where Greenwood's variance is 0
        band = function.confidence_interval(confidence_level=confidence, method="log-log")
    n, reached, diverged = of.counts()
    # There all or none were right: what can be said is what a binomial share of 0 or 1 leaves open.
    open_part = ((1 - confidence) / 2) ** (1 / n)
    of_none = 1 - ((1 - confidence) / 2) ** (1 / max(reached, 1))
    edges = [waiting == 1, waiting == 0]
    low = np.select(edges, [open_part, 0.0], np.asarray(band.low.probabilities))
    high = np.select(edges, [1.0, of_none], np.asarray(band.high.probabilities))
    at_risk = n - np.searchsorted(np.sort(_followed(of)[0]), epochs)
    if epochs[0] > 0:
        epochs, at_risk = np.append(0.0, epochs), np.append(n, at_risk)
        waiting, low, high = np.append(1, waiting), np.append(open_part, low), np.append(1, high)
    middle, soonest, latest = (_first_below_half(epochs, part) for part in (waiting, low, high))
    trained = float(of.trained.max())
    return Survival(
        epochs, waiting, low, high, at_risk, trained, n, reached, diverged, middle, soonest, latest, confidence
    )


@dataclass(frozen=True)
class LogRank:
    """Whether two settings become right at the same pace: the log-rank test of Mantel (1966).

    It takes all networks as independent. `adjusted` is p after Holm's correction for all tests that were made together.
    """

    settings: tuple[str, str]
    statistic: float
    p: float
    adjusted: float
    n: tuple[int, int]
    reached: tuple[int, int]
    diverged: tuple[int, int]


def logrank(a: Outcomes, b: Outcomes, settings: tuple[str, str] = ("a", "b")) -> LogRank:
    """Test whether two settings become right at the same pace. Where none ever is, p is 1."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = stats().logrank(_censored(a), _censored(b))
    p = float(found.pvalue) if isfinite(found.pvalue) else 1.0
    n, reached, diverged = zip(a.counts(), b.counts(), strict=True)
    return LogRank(settings, float(np.nan_to_num(found.statistic)), p, p, n, reached, diverged)


def pairwise_logrank(groups: Mapping[str, Outcomes]) -> tuple[LogRank, ...]:
    """Test all pairs of settings, with Holm's correction: the chance of any false finding stays below the level."""
    tests = [logrank(groups[a], groups[b], (a, b)) for a, b in combinations(groups, 2)]
    adjusted = holm([test.p for test in tests])
    return tuple(replace(test, adjusted=p) for test, p in zip(tests, adjusted, strict=True))


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values after Holm (1979)."""
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(np.asarray(p)[order] * (len(p) - np.arange(len(p))))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(raised, 1)
    return adjusted.tolist()


def _first_below_half(epochs: NDArray[Any], shares: NDArray[Any]) -> float:
    below = shares <= 0.5
    return float(epochs[below.argmax()]) if below.any() else inf


def _followed(of: Outcomes) -> tuple[Float[np.ndarray, " network"], Bool[np.ndarray, " network"]]:
    """Until which epoch each network was followed, and whether it was right then. One that diverged is to the end."""
    right = np.isfinite(of.first)
    until = np.where(of.diverged, of.trained.max(), of.trained)
    return np.where(right, of.first, until), right


def _censored(of: Outcomes) -> Any:
    times, right = _followed(of)
    return stats().CensoredData.right_censored(times, ~right)
