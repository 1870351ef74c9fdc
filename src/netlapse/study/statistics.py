"""What a study says of its settings: numbers with their intervals, and of how many networks.

Time until all cases are right is censored: of a network that was never right within the epochs trained, one knows only
that it takes longer. A network that diverged can no longer become right: it counts as never right, and is counted.

Where a setting has several networks of one pair, as in a grid of other hyper-parameters, they are no independent
evidence. The intervals of shares and of differences allow for that; survival curves and log-rank tests do not.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from itertools import combinations
from math import ceil, inf, isfinite, log
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import UnknownName, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from jaxtyping import Bool, Float, Int
    from numpy.typing import NDArray

Event = Literal["first_right", "right_for_good"]
Among = Literal["all", "right", "both"]

_RESAMPLES = 4_000
# Above, BCa and percentile intervals agree, and BCa's jackknife takes networks² steps.
_MOST_BCA = 1_000
# Numbers that are resampled at once, 32 MB.
_BATCH = 4_000_000
# With fewer, the middle one of a resampling is an end of the sample too often for an interval of 95 %.
_LEAST_FOR_MEDIAN = 6


@dataclass(frozen=True)
class Outcomes:
    """When each of some networks got all cases right.

    `first` is that epoch, NaN where it never was within the `trained` epochs, or where it `diverged`. Networks of the
    same number in `pairs` started from the same weights and saw the same batches.
    """

    first: Float[np.ndarray, " network"]
    trained: Float[np.ndarray, " network"]
    diverged: Bool[np.ndarray, " network"]
    pairs: Int[np.ndarray, " network"]

    @property
    def known(self) -> float:
        """The last epoch at which it is known of every network whether it had been right."""
        lasting = self.trained[~self.diverged]
        return float(lasting.min() if len(lasting) else self.trained.max())

    def counts(self, within: float = inf) -> tuple[int, int, int]:
        """How many networks there are, were right within these epochs, and diverged."""
        return len(self.first), int((self.first <= within).sum()), int(self.diverged.sum())

    def times(self, within: float) -> Float[np.ndarray, " network"]:
        """When each was right, infinite if not within these epochs. Raises Unsupported where that is not known."""
        unknown = int((np.isnan(self.first) & ~self.diverged & (self.trained < within)).sum())
        if unknown:
            raise Unsupported(
                f"{unknown:,} of {len(self.first):,} networks were trained for fewer than {within:g} epochs and not "
                f"right by then; compare within {self.known:g} epochs"
            )
        return np.where(self.first <= within, self.first, inf)

    def of(self, chosen: NDArray[Any]) -> Outcomes:
        """The outcomes of some of the networks."""
        return Outcomes(self.first[chosen], self.trained[chosen], self.diverged[chosen], self.pairs[chosen])


def outcomes(table: pd.DataFrame, event: Event = "first_right") -> Outcomes:
    """The outcomes of a study's networks, one row each. Raises UnknownName or Unsupported for what is no such table."""
    missing = [name for name in (event, "epochs", "status", "pair") if name not in table.columns]
    if missing:
        raise UnknownName(f"the study's table has no column {', '.join(missing)}; it has {', '.join(map(str, table))}")
    if not len(table):
        raise Unsupported("the study's table has no networks; choose settings that were trained")
    status: NDArray[Any] = table["status"].to_numpy(object)
    strange = sorted({str(value) for value in status} - {"trained", "diverged"})
    if strange:
        raise Unsupported(f'networks of status {", ".join(strange)}: only "trained" and "diverged" ones can be counted')
    diverged: NDArray[Any] = status == "diverged"
    first = np.where(diverged, np.nan, table[event].to_numpy(float))
    return Outcomes(first, table["epochs"].to_numpy(float), diverged, table["pair"].to_numpy(np.int64))


def split(table: pd.DataFrame, by: str, most: int = 6) -> dict[str, Int[np.ndarray, " row"]]:
    """The rows of each setting of a hyper-parameter, under the setting's name, in order.

    More than `most` different numbers become four ranges of as many networks each.
    """
    if by not in table.columns:
        raise UnknownName(f"the study's table has no column {by}; it has {', '.join(map(str, table))}")
    values: NDArray[Any] = table[by].to_numpy(object)
    # What a setting lacks, such as the momentum of Adam, is NaN.
    given: NDArray[Any] = table[by].notna().to_numpy(bool)
    distinct: list[Any] = list(dict.fromkeys(values[given].tolist()))
    numeric = all(isinstance(value, int | float | np.number) and not isinstance(value, bool) for value in distinct)
    rows: dict[str, Int[np.ndarray, " row"]] = {}
    if numeric and len(distinct) > most:
        numbers = np.where(given, values, np.nan).astype(float)
        ends: list[float] = np.quantile(numbers[given], np.linspace(0, 1, 5)).tolist()
        which = np.digitize(numbers, ends[1:-1])
        for k in range(4):
            rows[f"{ends[k]:.3g} to {ends[k + 1]:.3g}"] = np.flatnonzero(given & (which == k))
    else:
        for value in sorted(distinct) if numeric else distinct:
            rows[_name(value)] = np.flatnonzero(
                [known and one == value for one, known in zip(values, given, strict=True)]
            )
    if not given.all():
        rows["none"] = np.flatnonzero(~given)
    return {name: found for name, found in rows.items() if len(found)}


def _name(value: object) -> str:
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


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
    """The share of networks that ever get all cases right."""
    within = of.known if within is None else within
    right = np.isfinite(of.times(within))
    low, high = _wilson(right, of.pairs, confidence)
    n, reached, diverged = of.counts(within)
    return Share(reached / n, low, high, within, n, reached, diverged, confidence)


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
    data = _censored(of)
    function = _stats().ecdf(data).sf
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
    times = np.sort(np.concatenate([data._uncensored, data._right]))
    at_risk = n - np.searchsorted(times, epochs)
    if epochs[0] > 0:
        epochs, at_risk = np.append(0.0, epochs), np.append(n, at_risk)
        waiting, low, high = np.append(1, waiting), np.append(open_part, low), np.append(1, high)
    middle, soonest, latest = (_first_below_half(epochs, part) for part in (waiting, low, high))
    trained = float(of.trained.max())
    return Survival(
        epochs, waiting, low, high, at_risk, trained, n, reached, diverged, middle, soonest, latest, confidence
    )


def _first_below_half(epochs: NDArray[Any], shares: NDArray[Any]) -> float:
    below = shares <= 0.5
    return float(epochs[below.argmax()]) if below.any() else inf


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
        found = _stats().logrank(_censored(a), _censored(b))
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


@dataclass(frozen=True)
class Effect:
    """How far two settings, a and b, are apart, with an interval.

    `null` is the value of no difference. `n`, `reached` and `diverged` are those of a and b; `paired` says that
    networks of the same pair were compared, of which there are `pairs` (else the fewer of both settings).
    """

    kind: Literal["difference of shares", "difference of epochs", "ratio of epochs"]
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
    (p_low, p_high), (q_low, q_high) = _wilson(first, a.pairs, confidence), _wilson(second, b.pairs, confidence)
    r = _correlation(_by_pair(first, a.pairs), _by_pair(second, b.pairs)) if paired else 0.0

    def reach(of_p: float, of_q: float) -> float:
        return max(of_p**2 - 2 * r * of_p * of_q + of_q**2, 0.0) ** 0.5

    low, high = p - q - reach(p - p_low, q_high - q), p - q + reach(p_high - p, q - q_low)
    method = "Newcombe's, paired" if paired else "Newcombe's"
    return _effect("difference of shares", p - q, low, high, a, b, within, paired, method, confidence)


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
    samples = [_by_pair(np.minimum(part.times(within), within), part.pairs) for part in (a, b)]
    value = float(samples[0].mean() - samples[1].mean())
    if paired:
        samples = [samples[0] - samples[1]]
    n = min(map(len, samples))
    if n < 2 or all(np.ptp(sample) == 0 for sample in samples):
        # Resampling sees no spread. Of the networks not seen, so large a share may differ, and no further than this.
        reach = (2 if paired else 1) * within * (1 - ((1 - confidence) / 2) ** (1 / n))
        low, high, method = max(value - reach, -within), min(value + reach, within), "binomial bound"
    else:
        bca = max(map(len, samples)) <= _MOST_BCA
        low, high = _bootstrap(samples, _mean if paired else _difference, confidence, seed, bca=bca)
        method = f"{'BCa' if bca else 'percentile'} bootstrap"
    return _effect("difference of epochs", value, low, high, a, b, within, paired, method, confidence)


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
    middles = [float(_middle(sample, -1)) for sample in samples]
    if inf in middles or middles[1] == 0:
        raise Unsupported(
            f"half are right at epochs {middles[0]:g} and {middles[1]:g} of {within:g}: there is no ratio"
        )
    value = middles[0] / middles[1]
    low, high = _bootstrap(samples, _ratio, confidence, seed, paired=paired)
    found = _effect("ratio of epochs", value, low, high, a, b, within, paired, "percentile bootstrap", confidence)
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
    n, reached, diverged = of.counts(within)
    low, high = _wilson(behind, of.pairs, confidence)
    return Percentile(float(behind.mean()), low, high, epoch, n, reached, diverged, confidence)


@dataclass(frozen=True)
class Grid:
    """A statistic of each combination of two hyper-parameters, NaN where there are no networks, and how many."""

    row_name: str
    column_name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    statistic: str
    values: Float[np.ndarray, "row column"]
    n: Int[np.ndarray, "row column"]
    diverged: Int[np.ndarray, "row column"]


def grid(
    table: pd.DataFrame,
    rows: str,
    columns: str,
    statistic: Callable[[Outcomes], float] | None = None,
    name: str = "share ever right",
) -> Grid:
    """A statistic of the networks of each combination of two hyper-parameters: the share ever right, or another."""
    every, down, across = outcomes(table), split(table, rows), split(table, columns)
    values = np.full((len(down), len(across)), np.nan)
    n, diverged = np.zeros(values.shape, int), np.zeros(values.shape, int)
    for r, row in enumerate(down.values()):
        for c, column in enumerate(across.values()):
            chosen = np.intersect1d(row, column)
            if len(chosen):
                part = every.of(chosen)
                values[r, c] = share(part).value if statistic is None else statistic(part)
                n[r, c], _, diverged[r, c] = part.counts()
    return Grid(rows, columns, tuple(down), tuple(across), name, values, n, diverged)


@dataclass(frozen=True)
class Boundaries:
    """What some networks, named by their ids, make of the plane of their inputs, and the examples they were trained on.

    A logit above 0 is the second class; `labels` are 0 or 1.
    """

    networks: Int[np.ndarray, " network"]
    x: Float[np.ndarray, " column"]
    y: Float[np.ndarray, " row"]
    logits: Float[np.ndarray, "network row column"]
    points: Float[np.ndarray, "example 2"]
    labels: Int[np.ndarray, " example"]

    def first(self, most: int) -> Boundaries:
        """Those of the first networks only."""
        return replace(self, networks=self.networks[:most], logits=self.logits[:most])


def _effect(
    kind: Any,
    value: float,
    low: float,
    high: float,
    a: Outcomes,
    b: Outcomes,
    within: float,
    paired: bool,
    method: str,
    confidence: float,
) -> Effect:
    n, reached, diverged = zip(a.counts(within), b.counts(within), strict=True)
    null = 1.0 if kind == "ratio of epochs" else 0.0
    pairs = min(len(np.unique(part.pairs)) for part in (a, b))
    return Effect(kind, value, low, high, null, within, paired, pairs, method, n, reached, diverged, confidence)


def _common(a: Outcomes, b: Outcomes, within: float | None) -> float:
    return min(a.known, b.known) if within is None else within


def _is_paired(a: Outcomes, b: Outcomes, paired: bool | None) -> bool:
    same = np.array_equal(np.unique(a.pairs), np.unique(b.pairs))
    if paired and not same:
        alone = len(np.setxor1d(a.pairs, b.pairs))
        raise Unsupported(f"{alone:,} pairs are of one setting only; choose networks of both, or compare unpaired")
    return same if paired is None else paired


def _by_pair(values: NDArray[Any], pairs: Int[np.ndarray, " network"]) -> Float[np.ndarray, " pair"]:
    """The mean over the networks of each pair, in the order of the pairs' numbers."""
    _, which, count = np.unique(pairs, return_inverse=True, return_counts=True)
    return np.bincount(which, values) / count


def _wilson(values: NDArray[Any], pairs: Int[np.ndarray, " network"], confidence: float) -> tuple[float, float]:
    """Wilson's interval of a mean of values from 0 to 1.

    It counts as many networks as independent ones would have to be for the mean to vary as it does from pair to pair.
    """
    p, means = float(values.mean()), _by_pair(values, pairs)
    n = float(len(means))
    if n < len(values):
        spread = float(means.var(ddof=1)) / n if n > 1 else inf
        n = min(max(p * (1 - p) / spread if spread else inf, 1.0), len(values)) if 0 < p < 1 else n
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    middle, reach = p + z**2 / (2 * n), z * (p * (1 - p) / n + (z / (2 * n)) ** 2) ** 0.5
    # The ends of 0 and 1 are those values, not what rounding leaves of them.
    return max((middle - reach) / (1 + z**2 / n), 0.0) if p else 0.0, (middle + reach) / (
        1 + z**2 / n
    ) if p < 1 else 1.0


def _correlation(x: NDArray[Any], y: NDArray[Any]) -> float:
    x, y = x - x.mean(), y - y.mean()
    together, scale = float(x @ y), float(np.sqrt((x @ x) * (y @ y)))
    # With Newcombe's correction for continuity: of few pairs a correlation is not to be believed as it is.
    return min(together, max(together - 0.5, 0.0)) / scale if scale else 0.0


def _bootstrap(
    samples: Sequence[NDArray[Any]],
    statistic: Callable[..., NDArray[Any]],
    confidence: float,
    seed: int,
    *,
    bca: bool = False,
    paired: bool = False,
) -> tuple[float, float]:
    with np.errstate(invalid="ignore"):  # a standard error, which is not used, of what may be infinite
        found = _stats().bootstrap(
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


def _middle(x: NDArray[Any], axis: int) -> NDArray[Any]:
    # As of a survival curve: the first epoch by which half are right.
    middle = (x.shape[axis] - 1) // 2
    return np.take(np.partition(x, middle, axis), middle, axis)


def _ratio(x: NDArray[Any], y: NDArray[Any], axis: int) -> NDArray[Any]:
    x, y = _middle(x, axis), _middle(y, axis)
    # A resampling in which neither has a median says nothing: it counts as no difference.
    return np.divide(x, y, out=np.ones_like(x), where=~(np.isinf(x) & np.isinf(y)) & (y > 0))


def _censored(of: Outcomes) -> Any:
    right = np.isfinite(of.first)
    until = np.where(of.diverged, of.trained.max(), of.trained)
    return _stats().CensoredData.right_censored(np.where(right, of.first, until), ~right)


def _stats() -> Any:
    try:
        from scipy import stats  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise ImportError("statistics of a study need scipy; install it with: pip install 'netlapse[study]'") from error
    return stats
