"""The names of lines around their Axes, where no curve comes: at the right, or above."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .shapes import fitted, text_width
from .theme import TICK, TITLE, TITLE_PAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from .theme import Theme

# The line of an entry in times the size of its text, so long that each dash can be told; and what an entry takes
# besides its name, in points.
_HANDLE = 2.4
_ENTRY = (_HANDLE + 0.6 + 1.0) * TICK
# Points: curves in narrower Axes say nothing.
_NARROW = 200.0


def room(ax: Axes) -> float:
    """How wide Axes are, in points. The layout will change it only a little."""
    return 0.95 * ax.bbox.width * 72 / ax.figure.dpi


def name_lines(ax: Axes, lines: Sequence[Artist], theme: Theme) -> None:
    """Name lines by their labels, whose first row is the name proper: at the right, or above narrow Axes."""
    if max(_width(_label(line)) for line in lines) + _ENTRY > room(ax) - _NARROW:
        joined = [_label(line).replace("\n", ": ", 1) for line in lines]
        if max(map(_width, joined)) + _ENTRY < room(ax):
            for line, name in zip(lines, joined, strict=True):
                line.set_label(name)
        name_above(ax, lines, theme, rows=len(lines))
        return
    ax.legend(
        handles=lines, loc="center left", bbox_to_anchor=(1.0, 0.5), borderaxespad=0.8, labelspacing=0.9, **_look(theme)
    )


def name_above(ax: Axes, lines: Sequence[Artist], theme: Theme, *, rows: int = 2) -> None:
    """Name lines by their labels: at the right of the title if there is room, or else below it in so many rows.

    What is too long for that is cut.
    """
    names = [_label(line) for line in lines]
    widths = [_width(name) + _ENTRY for name in names]
    title = ax.get_title(loc="left")
    beside = sum(widths) < room(ax) - text_width(title, TITLE)
    columns = len(lines)
    if not beside:
        columns = min(max(int(room(ax) / max(widths)), math.ceil(len(lines) / rows)), len(lines))
        down = math.ceil(len(lines) / columns)
        high = max(len("\n".join(names[k : k + down]).split("\n")) for k in range(0, len(names), down))
        pad = TITLE_PAD + 1.3 * TICK * high
        ax.set_title(title, loc="left", fontsize=TITLE, color=theme.ink, pad=pad)
        each = room(ax) / columns - _ENTRY
        names = ["\n".join(fitted(part, each) for part in name.split("\n")) for name in names]
    ax.legend(
        handles=lines,
        labels=names,
        loc="lower right" if beside else "lower left",
        bbox_to_anchor=(1.0 if beside else 0.0, 1.0),
        ncols=columns,
        borderaxespad=0.35,
        labelspacing=0.2,
        **_look(theme),
    )


def _look(theme: Theme) -> dict[str, Any]:
    return {
        "frameon": False,
        "fontsize": TICK,
        "labelcolor": theme.ink,
        "borderpad": 0.1,
        "handlelength": _HANDLE,
        "handletextpad": 0.6,
        "columnspacing": 1.0,
    }


def _label(line: Artist) -> str:
    return str(line.get_label())


def _width(name: str) -> float:
    return max(text_width(part, TICK) for part in name.split("\n"))
