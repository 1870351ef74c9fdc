"""A statistic of the networks of each combination of two hyper-parameters."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from ..theme import LABEL, THEMES, TICK, style_axes
from .marks import short

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ...study.statistics import Grid
    from ..theme import ThemeName

# With more columns, or more cells, there is no room for how many networks; with yet more, none for the values.
_MOST_COUNTED, _MOST_COLUMNS, _MOST_ROWS = 7, 12, 16


def setting_grid(measure: Grid, ax: Axes, *, form: str = ".3g", theme: ThemeName = "light") -> list[Artist]:
    """Draw a heatmap, each cell with its value, in the format `form`, and of how many networks it is.

    Cells without networks, or whose value is not finite, are hatched. Returns the image.
    """
    colors = THEMES[theme]
    rows, columns = measure.values.shape
    title = measure.statistic[:1].upper() + measure.statistic[1:]
    counted = columns <= _MOST_COUNTED and rows <= _MOST_COUNTED
    if not counted:
        least, most = int(measure.n.min()), int(measure.n.max())
        title += f", n = {least:,}" + (f" to {most:,}" if most > least else "") + " a cell"
    style_axes(ax, colors, title=title, xlabel=_words(measure.column_name), ylabel=_words(measure.row_name))
    finite = measure.values[np.isfinite(measure.values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    scale = Normalize(low, high if high > low else low + 1)
    shades: Any = mpl.colormaps["cividis"]
    image = ax.imshow(
        np.ma.masked_invalid(measure.values), cmap=shades, norm=scale, aspect="auto", interpolation="nearest"
    )
    ax.set_xticks(range(columns), [short(name) for name in measure.columns])
    ax.set_yticks(range(rows), [short(name) for name in measure.rows])
    if columns > _MOST_COUNTED or sum(map(len, measure.columns)) > 60:
        ax.tick_params(axis="x", labelrotation=90)
    ax.tick_params(length=0, labelcolor=colors.ink)
    for spine in ax.spines.values():
        spine.set_visible(False)
    for row, column in np.ndindex(rows, columns):
        value, n = float(measure.values[row, column]), int(measure.n[row, column])
        if not np.isfinite(value):
            ax.add_patch(
                Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="none", edgecolor=colors.line, hatch="////", lw=0)
            )
        if columns > _MOST_COLUMNS or rows > _MOST_ROWS:
            continue
        ink = (
            colors.ink
            if not np.isfinite(value)
            else "#FFFFFF"
            if _luminance(shades(scale(value))) < 0.18
            else "#14171C"
        )
        words = _number(value, form) if np.isfinite(value) else "none" if n else ""
        lost = int(measure.diverged[row, column])
        if counted:
            words = f"{words}\nn = {n:,}" + (f"\n{lost:,} diverged" if lost else "") if n else "no networks"
        size = TICK if counted else TICK - 2.5
        ax.text(column, row, words, ha="center", va="center", fontsize=size, color=ink, linespacing=1.15)
    if high > low:
        bar = ax.figure.colorbar(image, ax=ax, pad=0.02, aspect=30)
        bar.ax.yaxis.set_major_formatter(FuncFormatter(partial(_tick, form)))
        bar.set_label(measure.statistic, fontsize=LABEL, color=colors.ink)
        bar.ax.tick_params(colors=colors.muted, labelcolor=colors.muted, labelsize=TICK)
        bar.outline.set_visible(False)
    return [image]


def _number(value: float, form: str) -> str:
    return format(value, form).replace("%", " %")


def _tick(form: str, value: float, _: int | None) -> str:
    return _number(value, form)


def _words(name: str) -> str:
    return short(name.replace("_", " "))


def _luminance(color: tuple[float, ...]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
