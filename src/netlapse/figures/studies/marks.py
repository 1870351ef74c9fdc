"""What the pictures of studies share: a line for each setting, and its name beside the Axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import printable
from ..shapes import fitted
from ..theme import DASHES, TICK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..theme import Theme

# Points: longer names are cut.
_LONGEST = 130.0


def line_style(number: int, theme: Theme) -> dict[str, Any]:
    """The colour and the dash of a setting. The first thirty-six differ."""
    count = len(theme.series)
    return {"color": theme.series[number % count], "linestyle": DASHES[(number + number // count) % len(DASHES)]}


def short(name: str) -> str:
    """A setting's name, cut if it is too long, and taken as it is: a dollar sign begins no mathematics."""
    return fitted(" ".join(printable(name).split()), _LONGEST).replace("$", r"\$")


def legend_beside(ax: Axes, handles: Sequence[Artist], theme: Theme, **more: Any) -> None:
    """Name the settings at the right of the Axes, where no curve comes."""
    ax.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
        fontsize=TICK,
        labelcolor=theme.ink,
        handlelength=2.4,
        labelspacing=0.9,
        **more,
    )


def plural(count: int, noun: str = "network") -> str:
    """As many of something, in words."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def percent(share: float, n: int) -> str:
    """A share in as many digits as so many networks can tell."""
    return f"{100 * share:.1f} %" if n >= 200 else f"{100 * share:.0f} %"
