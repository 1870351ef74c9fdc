"""How far two settings are apart: differences and ratios, each with its interval, and whether networks are enough.

Networks of one pair are compared with each other. Where a setting has several of a pair, as in a grid of other
hyper-parameters, they are no independent evidence, and the intervals allow for that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, inf, isfinite, log
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import Unsupported
from . import bootstrap
from .shares import wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .outcomes import Outcomes

Among = Literal["all", "right", "both"]
Kind = Literal["difference of shares", "difference of epochs", "ratio of epochs"]

# With fewer, the middle one of a resampling is an end of the sample too often for an interval of 95 %.
_LEAST_FOR_MEDIAN = 6


@dataclass(frozen=True)
class Effect:
    """How far two settings, a and b, are apart, with an interval.

    `null` is the value of no difference. `n`, `reached` and `diverged` are those of a and b; `paired` says that
    networks of the same pair were compared, of which there are `pairs` (else the fewer of both settings).
    """

    kind: Kind
    value: float
    low: float
    high: float
    null: float
    within: float
    paired: bool
    pairs: int
    method: str
    n: tuple[int, int]
    reached: tuple[int, int]
    diverged: tuple[int, int]
    confidence: float

    @property
    def tells(self) -> bool:
        """Whether the interval leaves out that there is no difference."""
        return not self.low <= self.null <= self.high


def difference_of_shares(
    a: Outcomes, b: Outcomes, *, within: float | None = None, paired: bool | None = None, confidence: float = 0.95
) -> Effect:
    """The share of networks ever right in a, less that in b.

    The interval is Newcombe's (1998), from Wilson's of each share: a bootstrap would be sure of a share of 0 or 1 after
    a single network. Of pairs (his method 10) it takes the correlation into account, and asks what McNemar's test asks.
    """
    within = _common(a, b, within)
    paired = _is_paired(a, b, paired)
    first, second = (np.isfinite(part.times(within)) for part in (a, b))
    p, q = float(first.mean()), float(second.mean())
    (p_low, p_high), (q_low, q_high) = wilson(a, first, confidence), wilson(b, second, confidence)
    r = _correlation(a.by_pair(first), b.by_pair(second)) if paired else 0.0

    def reach(of_p: float, of_q: float) -> float:
        return max(of_p**2 - 2 * r * of_p * of_q + of_q**2, 0.0) ** 0.5

    low, high = p - q - reach(p - p_low, q_high - q), p - q + reach(p_high - p, q - q_low)
    method = "Newcombe's, paired" if paired else "Newcombe's"
    return _effect("difference of shares", p - q, (low, high, method), a, b, within, paired, confidence)


def difference_of_epochs(
    a: Outcomes,
    b: Outcomes,
    *,
    within: float | None = None,
    paired: bool | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Effect:
    """The mean number of epochs until right in a, less that in b, a network never right counting as all of them.

    That is the difference of the restricted mean times, the areas below the survival curves up to `within`. The
    interval is a bootstrap of pairs, together where `paired`, else of each setting by itself: BCa, percentile of more
    than 1,000. Each pair counts as much as any other.
    """
    within = _common(a, b, within)
    paired = _is_paired(a, b, paired)
    samples = [part.by_pair(np.minimum(part.times(within), within)) for part in (a, b)]
    value = float(samples[0].mean() - samples[1].mean())
    if paired:
        samples = [samples[0] - samples[1]]
    n = min(map(len, samples))
    if n < 2 or all(np.ptp(sample) == 0 for sample in samples):
        # Resampling sees no spread. Of the networks not seen, so large a share may differ, and no further than this.
        reach = (2 if paired else 1) * within * (1 - ((1 - confidence) / 2) ** (1 / n))
        interval = max(value - reach, -within), min(value + reach, within), "binomial bound"
    else:
        interval = bootstrap.of_means(samples, confidence, seed)
    return _effect("difference of epochs", value, interval, a, b, within, paired, confidence)


def ratio_of_epochs(
    a: Outcomes,
    b: Outcomes,
    *,
    among: Among = "all",
    within: float | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Effect:
    """The median epoch of being right in a, divided by that in b.

    `among` says of which networks: "all" (never right is later than any epoch), those of either that are "right" within
    these epochs, or the pairs in which "both" are. The interval is a percentile bootstrap, of pairs where the design is
    paired ("right" are different networks, and are not); an end of it may be infinite. Raises Unsupported for too few
    networks, where a pair is in a setting more than once, and where fewer than half are right: then there is no median.
    """
    within = _common(a, b, within)
    paired = _is_paired(a, b, {"all": None, "right": False, "both": True}[among])
    if any(len(np.unique(part.pairs)) < len(part.pairs) for part in (a, b)):
        raise Unsupported("a setting has several networks of one pair; choose one value of each other hyper-parameter")
    samples = [part.times(within)[np.argsort(part.pairs)] for part in (a, b)]
    if among == "right":
        samples = [sample[np.isfinite(sample)] for sample in samples]
    elif among == "both":
        both = np.isfinite(samples[0]) & np.isfinite(samples[1])
        samples = [sample[both] for sample in samples]
    n = min(map(len, samples))
    if n < _LEAST_FOR_MEDIAN:
        raise Unsupported(f"medians of {n} networks ({among!r}) have no interval; {_LEAST_FOR_MEDIAN} are needed")
    middles = [float(bootstrap.median(sample)) for sample in samples]
    if inf in middles or middles[1] == 0:
        raise Unsupported(
            f"half are right at epochs {middles[0]:g} and {middles[1]:g} of {within:g}: there is no ratio"
        )
    interval = bootstrap.of_medians(samples, confidence, seed, paired=paired)
    found = _effect("ratio of epochs", middles[0] / middles[1], interval, a, b, within, paired, confidence)
    return found if among == "all" else replace(found, n=(len(samples[0]), len(samples[1])), pairs=n)


def enough(effect: Effect, smallest: float) -> str | None:
    """A warning if there are too few networks to tell: None if there are enough.

    So it is where the interval contains no difference and reaches further than `smallest`, the least difference that
    matters (of a ratio: 0.1 is a tenth more). The number needed assumes that intervals shrink with the square root.
    """
    low, high, least = effect.low, effect.high, smallest
    if effect.kind == "ratio of epochs":
        low, high, least = (log(x) if x > 0 else -inf for x in (low, high, 1 + smallest))
    half = (high - low) / 2
    if effect.tells or half <= least:
        return None
    # Networks that started alike are one piece of evidence.
    few, noun = effect.pairs, "pair" if effect.paired else "network"
    which = f"{few:,} {noun}s are" if few > 1 else f"1 {noun} is"
    seeds = few * (half / least) ** 2
    needed = f"about {_rounded_up(seeds):,} would be needed" if isfinite(seeds) else "many more would be needed"
    return f"{which} too few to tell: {needed}"


def _rounded_up(number: float) -> int:
    unit = 10 ** max(0, len(str(int(number))) - 2)
    return ceil(number / unit) * unit


def _common(a: Outcomes, b: Outcomes, within: float | None) -> float:
    return min(a.known, b.known) if within is None else within


def _is_paired(a: Outcomes, b: Outcomes, paired: bool | None) -> bool:
    same = np.array_equal(np.unique(a.pairs), np.unique(b.pairs))
    if paired and not same:
        alone = len(np.setxor1d(a.pairs, b.pairs))
        raise Unsupported(f"{alone:,} pairs are of one setting only; choose networks of both, or compare unpaired")
    return same if paired is None else paired


def _correlation(x: NDArray[Any], y: NDArray[Any]) -> float:
    x, y = x - x.mean(), y - y.mean()
    together, scale = float(x @ y), float(np.sqrt((x @ x) * (y @ y)))
    # With Newcombe's correction for continuity: of few pairs a correlation is not to be believed as it is.
    return min(together, max(together - 0.5, 0.0)) / scale if scale else 0.0


def _effect(
    kind: Kind,
    value: float,
    interval: tuple[float, float, str],
    a: Outcomes,
    b: Outcomes,
    within: float,
    paired: bool,
    confidence: float,
) -> Effect:
    """An effect with an interval: its ends and its method."""
    low, high, method = interval
    n, reached, diverged = zip(a.counts(within), b.counts(within), strict=True)
    null = 1.0 if kind == "ratio of epochs" else 0.0
    pairs = min(len(np.unique(part.pairs)) for part in (a, b))
    return Effect(kind, value, low, high, null, within, paired, pairs, method, n, reached, diverged, confidence)
