"""Which settings a study looks at: all combinations of some values, or samples of ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Method = Literal["sobol", "random"]
Setting = dict[str, Any]


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`: all as likely, or with `log` all orders of magnitude, or whole ones only.

    Raises ValueError for a range without numbers, or a logarithmic one that does not begin above 0.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            wanted = "low < high" + (" and low > 0 for log=True" if self.log else "")
            raise ValueError(f"{self} is no range; it needs {wanted}")

    def at(self, share: float) -> float | int:
        """The number below which this share of the range lies."""
        # Of whole numbers, each has the same share.
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole and not self.log else (self.low, self.high)
        number = low * (high / low) ** share if self.log else low + (high - low) * share
        return int(np.clip(round(number), self.low, self.high)) if self.whole else float(number)


Values = Sequence[Any] | Range
Space = Mapping[str, Values]


def settings_of(space: Space, samples: int | None = None, method: Method = "sobol", seed: int = 0) -> list[Setting]:
    """The settings of a space: all combinations, or samples of them.

    `samples` are evenly spread ("sobol") or independent ("random"). Of listed values a sample takes each as often as
    the others. Raises ValueError for names without values, ranges without a number of samples, and methods that are not
    there.
    """
    for name, values in space.items():
        if isinstance(values, str) or (not isinstance(values, Range) and not len(values)):
            raise ValueError(f"{name!r} has the values {values!r}; pass a list of some, or a Range")
    if samples is None:
        ranges = [name for name, values in space.items() if isinstance(values, Range)]
        if ranges:
            raise ValueError(f"{', '.join(ranges)} of the space are ranges; say how many samples= of them to take")
        lists = [list(cast("Sequence[Any]", values)) for values in space.values()]
        return [dict(zip(space, combination, strict=True)) for combination in product(*lists)]
    if samples < 1:
        raise ValueError(f"samples={samples}; take at least one")
    shares = _shares(len(space), samples, method, seed)
    return [
        {name: _at(values, float(share)) for (name, values), share in zip(space.items(), row, strict=True)}
        for row in shares
    ]


def _shares(dimensions: int, samples: int, method: Method, seed: int) -> NDArray[np.float64]:
    if method == "random":
        return np.random.default_rng(seed).random((samples, dimensions))
    if method != "sobol":
        raise ValueError(f'there is no method {method!r}; samples are "sobol" or "random"')
    qmc: Any = import_module("scipy.stats.qmc")
    sobol = qmc.Sobol(dimensions, rng=np.random.default_rng(seed))
    # Its points are balanced in powers of two: as many are drawn, and the first taken.
    return sobol.random_base2(int(np.ceil(np.log2(max(samples, 2)))))[:samples]


def _at(values: Values, share: float) -> Any:
    return values.at(share) if isinstance(values, Range) else values[min(int(share * len(values)), len(values) - 1)]


def plain(value: Any) -> str | int | float | bool | None:
    """A value of a setting as JSON and tables have it."""
    found = cast("Any", value).item() if isinstance(value, np.generic) else value
    return found if isinstance(found, str | int | float | bool | None) else repr(cast("object", value))
