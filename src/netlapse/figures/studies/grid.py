"""A statistic of the networks of each combination of two hyper-parameters."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from ..legends import room
from ..shapes import text_width
from ..theme import LABEL, THEMES, TICK, TITLE, style_axes
from .marks import longest, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ...study.grid import Grid
    from ..theme import ThemeName

# Points: the text of values where counts have no room, and what a text leaves free of its cell.
_SMALL, _FREE = TICK - 2.5, 5.0


def setting_grid(measure: Grid, ax: Axes, *, form: str = ".3g", theme: ThemeName = "light") -> list[Artist]:
    """Draw a heatmap, each cell with its value, in the format `form`, and of how many networks it is.

    Where there is no room for that, there are values only, or a bar of the colours. Cells without networks, or whose
    value is not finite, are hatched. Returns the image.
    """
    colors = THEMES[theme]
    rows, columns = measure.values.shape
    places = list(np.ndindex(rows, columns))
    full, values = ([words(measure, place, form) for place in places] for words in (_all_of, _value_of))
    names = [short(name, longest(ax)) for name in measure.rows]
    across = (room(ax) - max(map(_width, names))) / columns
    down = ax.bbox.height * 72 / ax.figure.dpi / rows
    size, words = next(
        ((size, words) for size, words in ((TICK, full), (_SMALL, values)) if _fits(words, size, across, down)),
        (0.0, None),
    )
    title = measure.statistic[:1].upper() + measure.statistic[1:]
    if words is not full:
        least, most = int(measure.n.min()), int(measure.n.max())
        counts = f"n = {least:,}" + (f" to {most:,}" if most > least else "") + " a cell"
        title += (", " if text_width(f"{title}, {counts}", TITLE) < room(ax) else "\n") + counts
    style_axes(ax, colors, title=title, xlabel=_words(measure.column_name), ylabel=_words(measure.row_name))
    finite = measure.values[np.isfinite(measure.values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    scale = Normalize(low, high if high > low else low + 1)
    shades: Any = mpl.colormaps["cividis"]
    image = ax.imshow(
        np.ma.masked_invalid(measure.values), cmap=shades, norm=scale, aspect="auto", interpolation="nearest"
    )
    ax.set_xticks(range(columns), [short(name) for name in measure.columns])
    ax.set_yticks(range(rows), names)
    if max(text_width(name, TICK) for name in measure.columns) + _FREE > across:
        ax.tick_params(axis="x", labelrotation=90)
    ax.tick_params(length=0, labelcolor=colors.ink)
    for spine in ax.spines.values():
        spine.set_visible(False)
    for number, (row, column) in enumerate(places):
        value = float(measure.values[row, column])
        ink = colors.ink
        if np.isfinite(value):
            ink = "#FFFFFF" if _luminance(shades(scale(value))) < 0.18 else "#14171C"
        else:
            ax.add_patch(
                Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="none", edgecolor=colors.line, hatch="////", lw=0)
            )
        if words is not None:
            text = ax.text(column, row, words[number], ha="center", va="center", fontsize=size, color=ink)
            text.set_linespacing(1.15)
    if words is None and high > low:
        bar = ax.figure.colorbar(image, ax=ax, pad=0.02, aspect=30)
        bar.ax.yaxis.set_major_formatter(FuncFormatter(partial(_tick, form)))
        bar.set_label(measure.statistic, fontsize=LABEL, color=colors.ink)
        bar.ax.tick_params(colors=colors.muted, labelcolor=colors.muted, labelsize=TICK)
        bar.outline.set_visible(False)
    return [image]


def _value_of(measure: Grid, place: tuple[int, ...], form: str) -> str:
    value = float(measure.values[place])
    return _number(value, form) if np.isfinite(value) else "none" if measure.n[place] else ""


def _all_of(measure: Grid, place: tuple[int, ...], form: str) -> str:
    n, lost = int(measure.n[place]), int(measure.diverged[place])
    if not n:
        return "no networks"
    return f"{_value_of(measure, place, form)}\nn = {n:,}" + (f"\n{lost:,} diverged" if lost else "")


def _fits(words: Sequence[str], size: float, across: float, down: float) -> bool:
    """Whether each text fits into a cell of so many points."""
    wide = max(_width(text, size) for text in words)
    high = 1.4 * size * (1 + max(text.count("\n") for text in words))
    return wide + _FREE < across and high + _FREE < down


def _width(text: str, size: float = TICK) -> float:
    return max(text_width(part, size) for part in text.split("\n"))


def _number(value: float, form: str) -> str:
    return format(value, form).replace("%", " %")


def _tick(form: str, value: float, _: int | None) -> str:
    return _number(value, form)


def _words(name: str) -> str:
    return short(name.replace("_", " "))


def _luminance(color: tuple[float, ...]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
