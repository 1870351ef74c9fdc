"""Colours and sizes of every picture, light and dark, and how they are put on Axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from matplotlib.colors import to_rgb

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ThemeName = Literal["light", "dark"]


@dataclass(frozen=True)
class Theme:
    """One set of colours.

    `classes` (the first two are `negative` and `positive`) and `wrong` keep a distance that protanopes, deuteranopes
    and tritanopes can see; what is wrong is hatched as well, so that colour never speaks alone.
    """

    surface: str
    ink: str
    muted: str
    line: str
    negative: str = "#0072B2"
    positive: str = "#E69F00"
    wrong: str = "#C2185B"
    # Found by search: the least distance between any two, as seen by anybody, is as large as could be.
    classes: tuple[str, ...] = (
        "#0072B2",
        "#E69F00",
        "#00DB9E",
        "#614900",
        "#AAC2FF",
        "#AA9249",
        "#3D00F3",
        "#6D00B6",
        "#9E6DFF",
        "#790C6D",
    )
    # Runs side by side on one pair of axes: after Okabe and Ito (2008), each with a dash pattern of its own.
    series: tuple[str, ...] = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")


LIGHT = Theme(surface="#FFFFFF", ink="#22262E", muted="#5C636E", line="#A9AFB8")
DARK = Theme(
    surface="#14171C",
    ink="#ECEEF1",
    muted="#A6ADB8",
    line="#59616D",
    negative="#4FA8DC",
    positive="#F0B429",
    wrong="#FF5C9A",
    classes=(
        "#4FA8DC",
        "#F0B429",
        "#C200FF",
        "#AAB661",
        "#61FFB6",
        "#498649",
        "#927900",
        "#AAFF79",
        "#FFF300",
        "#CEDBFF",
    ),
    series=("#4FA8DC", "#FF8A4C", "#3CC79B", "#E39AC6", "#8FD3FF", "#F0B429"),
)
THEMES: dict[str, Theme] = {"light": LIGHT, "dark": DARK}

DASHES: tuple[tuple[int, tuple[int, ...]], ...] = (
    (0, ()),
    (0, (6, 2)),
    (0, (1, 1)),
    (0, (4, 1, 1, 1)),
    (0, (8, 2, 1, 2, 1, 2)),
    (0, (3, 3)),
)

# Points: sizes of text, and the space between a title and its Axes.
TITLE, LABEL, TICK = 13.0, 11.5, 10.5
TITLE_PAD = 8.0


def blend(surface: str, color: str, share: float) -> tuple[float, ...]:
    """The colour that a transparent `color` makes on `surface`."""
    below, above = to_rgb(surface), to_rgb(color)
    return tuple((1 - share) * b + share * a for b, a in zip(below, above, strict=True))


def style_axes(ax: Axes, theme: Theme, *, title: str = "", xlabel: str = "", ylabel: str = "") -> None:
    """Give `ax` the theme's look. Everything is set on the Axes itself; no global is changed."""
    ax.set_facecolor(theme.surface)
    ax.set_title(title, loc="left", fontsize=TITLE, color=theme.ink, pad=TITLE_PAD)
    ax.set_xlabel(xlabel, fontsize=LABEL, color=theme.ink)
    ax.set_ylabel(ylabel, fontsize=LABEL, color=theme.ink)
    ax.tick_params(which="both", colors=theme.muted, labelcolor=theme.muted, labelsize=TICK)
    for side, spine in ax.spines.items():
        spine.set_color(theme.line)
        spine.set_visible(side in ("left", "bottom"))
