"""What the pictures of studies share: a line for each setting, its name, and how many networks there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import printable
from ..legends import room
from ..shapes import fitted
from ..theme import DASHES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..theme import Theme

# Points: longer names are cut, and in narrow Axes those that take more than this share of them.
_LONGEST, _SHARE = 130.0, 0.3


def line_style(number: int, theme: Theme) -> dict[str, Any]:
    """The colour and the dash of a setting. The first thirty-six differ."""
    count = len(theme.series)
    return {"color": theme.series[number % count], "linestyle": DASHES[(number + number // count) % len(DASHES)]}


def short(name: str, most: float = _LONGEST) -> str:
    """A setting's name, cut to so many points, and taken as it is: a dollar sign begins no mathematics."""
    return fitted(" ".join(printable(name).split()), most).replace("$", r"\$")


def longest(ax: Axes) -> float:
    """How long, in points, a name at the side of Axes may be."""
    return min(_LONGEST, _SHARE * room(ax))


def plural(count: int, noun: str = "network") -> str:
    """As many of something, in words."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def percent(share: float, n: int) -> str:
    """A share in as many digits as so many networks can tell."""
    return f"{100 * share:.1f} %" if n >= 200 else f"{100 * share:.0f} %"
