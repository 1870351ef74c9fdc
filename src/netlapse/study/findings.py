"""What a study found, in sentences: each with its number, its interval, and of how many networks.

A network is right once no case is wrong or, in the table of a sweep with an event of its own, once that holds: the
sentences say "right" of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import inf, isfinite, nan
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import UnknownName, Unsupported
from .effects import difference_of_epochs, difference_of_shares, enough, ratio_of_epochs
from .outcomes import outcomes, split
from .shares import percentile, share
from .survival import pairwise_logrank, survival

if TYPE_CHECKING:
    import pandas as pd

    from .effects import Effect
    from .outcomes import Event, Outcomes
    from .survival import LogRank

Kind = Literal["share", "median", "difference of shares", "difference of epochs", "ratio of epochs", "pace", "luck"]

_RIGHT: dict[Event, str] = {"first_right": "right", "right_for_good": "right for good"}

# Of more settings, each is compared with one of them only.
_MOST_COMPARED = 3


@dataclass(frozen=True)
class Finding:
    """A sentence with the number that it is about, the interval of that, and of how many networks or pairs.

    The median where fewer than half are right is infinite. Of "pace" the number is a p-value, whose interval is NaN.
    `tells` is False where there are too few networks to tell; the sentence says so.
    """

    text: str
    number: float
    low: float
    high: float
    n: int
    kind: Kind
    tells: bool = True


def findings(
    table: pd.DataFrame,
    by: str,
    *,
    event: Event = "first_right",
    within: float | None = None,
    reference: str | None = None,
    smallest: float = 0.05,
) -> tuple[Finding, ...]:
    """What a study says of one hyper-parameter: of each setting, then of pairs of settings.

    Up to three settings are all compared; of more, each with the `reference`, the first by default. `smallest` is the
    least difference that matters, as a share of networks, of the epochs, or of a median. Raises UnknownName for a
    reference that is no setting.
    """
    every = outcomes(table, event)
    groups = {name: every.of(rows) for name, rows in split(table, by).items()}
    reference = next(iter(groups)) if reference is None else reference
    if reference not in groups:
        raise UnknownName(f"{by} has no setting {reference!r}; it has {', '.join(groups)}")
    within = min(group.known for group in groups.values()) if within is None else within
    said = {name: f"{by.replace('_', ' ')} {name}" for name in groups}
    right = _RIGHT[event]
    found = [finding for name, group in groups.items() for finding in _of_one(said[name], group, within, right)]
    pairs = [pair for pair in combinations(groups, 2) if len(groups) <= _MOST_COMPARED or reference in pair]
    # Several networks of one pair are no independent evidence, which the log-rank test would take them for.
    repeated = any(len(np.unique(group.pairs)) < len(group.pairs) for group in groups.values())
    tests = {test.settings: test for test in pairwise_logrank(groups)}
    for a, b in pairs:
        # The reference, where there is one, is what the other is compared with.
        first, second = (b, a) if len(groups) > _MOST_COMPARED and a == reference else (a, b)
        found += _of_two(said[first], said[second], groups[first], groups[second], within, smallest, right)
        if not repeated:
            found.append(_pace(said[a], said[b], tests[a, b], len(tests), right))
    return tuple(found)


def luck(table: pd.DataFrame, by: str, network: int, *, event: Event = "first_right") -> Finding:
    """How lucky one network was: its percentile among those of its setting. Raises UnknownName if there is none."""
    rows = table["network"].to_numpy()
    if network not in rows:
        raise UnknownName(
            f"the study has no network {network}; it has {len(rows):,}, from {rows.min()} to {rows.max()}"
        )
    [place] = (rows == network).nonzero()[0][:1]
    every = outcomes(table, event)
    setting, members = next((name, found) for name, found in split(table, by).items() if place in found)
    of = every.of(members)
    found = percentile(of, float(every.first[place]))
    when = f"was {_RIGHT[event]} at epoch {found.epoch:g}" if isfinite(found.epoch) else f"was never {_RIGHT[event]}"
    who = f"Network {network} (seed {table['seed'].iloc[int(place)]}) of {by.replace('_', ' ')} {setting}"
    text = (
        f"{who} {when}: ahead of "
        f"{_percent(found.value, found.n)} of {found.n:,} ({_range(found.low, found.high, found.n)})."
    )
    return Finding(text, found.value, found.low, found.high, found.n, "luck")


def _of_one(name: str, group: Outcomes, within: float, right: str) -> list[Finding]:
    of = share(group, within)
    text = (
        f"With {name}, {_percent(of.value, of.n)} of {_networks(of.n)} became {right} within {within:g} epochs "
        f"({_range(of.low, of.high, of.n)})"
    )
    text += f"; {of.diverged:,} diverged and count as never right." if of.diverged else "."
    found = [Finding(text, of.value, of.low, of.high, of.n, "share")]
    curve = survival(group)
    low, high, n = curve.median_low, curve.median_high, curve.n
    if isfinite(curve.median):
        ends = f"{low:g} to {high:g}" if isfinite(high) else f"{low:g} or later"
        text = f"With {name}, the median epoch of being {right} is {curve.median:g} ({ends}; {_networks(n)})."
    else:
        text = f"With {name}, fewer than half of {_networks(n)} are ever {right}: there is no median epoch."
    return [*found, Finding(text, curve.median, low, high, n, "median")]


def _of_two(
    a: str, b: str, of_a: Outcomes, of_b: Outcomes, within: float, smallest: float, right: str
) -> list[Finding]:
    shares = difference_of_shares(of_a, of_b, within=within)
    points, low, high = (100 * part for part in (shares.value, shares.low, shares.high))
    how = f"{abs(points):.1f} points {'fewer' if points < 0 else 'more'} networks" if points else "as many networks"
    text = (
        f"With {a}, {how} become {right} within {within:g} epochs {'than' if points else 'as'} with {b} "
        f"({_signed(low, high, points < 0)} points; {_of(shares)})"
    )
    found = [_finding(text, shares, smallest, "difference of shares")]
    epochs = difference_of_epochs(of_a, of_b, within=within)
    slower = epochs.value > 0
    how = (
        f"{abs(epochs.value):.1f} epochs {'more' if slower else 'fewer'} than" if epochs.value else "as many epochs as"
    )
    text = (
        f"With {a}, a network takes in the mean {how} with {b} "
        f"({_signed(epochs.low, epochs.high, epochs.value < 0)}; {_of(epochs)}; never {right} counts as {within:g})"
    )
    found.append(_finding(text, epochs, smallest * within, "difference of epochs"))
    try:
        ratio = ratio_of_epochs(of_a, of_b, within=within)
    except Unsupported:  # the sentence about the median, or about the design, has said why
        return found
    high_end = f"{ratio.high:.3g}" if isfinite(ratio.high) else "no limit"
    text = (
        f"The median epoch of being {right} with {a} is {ratio.value:.2f} times that with {b}, of all networks "
        f"({ratio.low:.3g} to {high_end}; {_of(ratio)})"
    )
    return [*found, _finding(text, ratio, smallest, "ratio of epochs")]


def _finding(text: str, effect: Effect, least: float, kind: Kind) -> Finding:
    warning = enough(effect, least)
    if warning:
        text += f": {warning}."
    elif effect.null - least <= effect.low and effect.high <= effect.null + least:
        text += ": no difference that matters, if there is any."
    elif not effect.tells:
        text += ": that there is no difference is not ruled out."
    else:
        text += "."
    return Finding(
        text,
        effect.value,
        effect.low,
        effect.high,
        effect.pairs if effect.paired else min(effect.n),
        kind,
        warning is None,
    )


def _pace(a: str, b: str, test: LogRank, tests: int, right: str) -> Finding:
    p = f"p = {test.adjusted:.2g}" if test.adjusted >= 1e-4 else "p < 0.0001"
    pace = "at different paces" if test.adjusted < 0.05 else "perhaps at the same pace"
    corrected = f", Holm's correction for {tests} tests" if tests > 1 else ""
    text = (
        f"Networks with {a} and with {b} become {right} {pace} (log-rank {p}{corrected}; {test.n[0]:,} and"
        f" {test.n[1]:,} networks)."
    )
    return Finding(text, test.adjusted, nan, nan, sum(test.n), "pace")


def _of(effect: Effect) -> str:
    a, b = effect.n
    if effect.paired:
        pairs = "1 pair" if effect.pairs == 1 else f"{effect.pairs:,} pairs"
        return pairs if a == effect.pairs else f"{pairs} with {a:,} and {b:,} networks"
    return f"{a:,} and {b:,} networks"


def _networks(n: int) -> str:
    return "1 network" if n == 1 else f"{n:,} networks"


def _percent(value: float, n: int) -> str:
    return f"{100 * value:.{_digits(n)}f} %"


def _range(low: float, high: float, n: int) -> str:
    digits = _digits(n)
    return f"{100 * low:.{digits}f} to {100 * high:.{digits}f} %"


def _digits(n: int) -> int:
    return 1 if n >= 100 else 0


def _signed(low: float, high: float, turned: bool) -> str:
    """An interval in the direction of its sentence: of "fewer" it is turned around."""
    low, high = (-high, -low) if turned else (low, high)
    return f"{low + 0.0:.1f} to {high + 0.0:.1f}" if inf not in (abs(low), abs(high)) else "no limit"
