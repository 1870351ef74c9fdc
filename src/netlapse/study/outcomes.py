"""What became of a study's networks: when each became right, and which networks are of one setting.

A network that was not right within the epochs that it was trained for may take longer: its time is censored. One that
diverged can no longer become right: it counts as never right, and is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import UnknownName, Unsupported

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Bool, Float, Int
    from numpy.typing import NDArray

Event = Literal["first_right", "right_for_good"]


@dataclass(frozen=True)
class Outcomes:
    """When each of some networks became right: the event that is measured, such as all cases right.

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

    def by_pair(self, values: NDArray[Any]) -> Float[np.ndarray, " pair"]:
        """The mean of the networks' values over those of each pair, in the order of the pairs' numbers."""
        _, which, count = np.unique(self.pairs, return_inverse=True, return_counts=True)
        return np.bincount(which, values) / count


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
