"""How a quantity, such as the final loss, is distributed over the networks of each setting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from ..theme import LABEL, THEMES, TICK, blend, style_axes
from .marks import line_style, longest, plural, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ..theme import ThemeName

_POINTS = 400
# Of fewer networks each is a tick of its own.
_FEW = 60
_WIDE = 30
# How high a ridge is, in rows.
_HEIGHT = 0.78


def ridges(
    settings: Mapping[str, Float[np.ndarray, " network"]],
    ax: Axes,
    *,
    quantity: str = "final loss",
    theme: ThemeName = "light",
) -> list[Artist]:
    """Draw the density of a quantity for each setting, all equally high, the median marked.

    NaN and infinity are networks that diverged: they are counted at the right, and worse than the median is. Returns
    the ridges.
    """
    colors = THEMES[theme]
    style_axes(ax, colors, title=f"{quantity[:1].upper()}{quantity[1:]} by setting", xlabel=quantity)
    finite = np.concatenate([values[np.isfinite(values)] for values in settings.values()]).astype(float)
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    log = low > 0 and high > _WIDE * low
    scale = np.log10 if log else np.asarray
    start, stop = float(scale(low)), float(scale(high))
    # Three times the widest smoothing, so that no ridge is cut off.
    margin = 0.16 * (stop - start or abs(stop) or 1.0)
    x = np.linspace(start - margin, stop + margin, _POINTS)
    at = 10**x if log else x
    if log:
        ax.set_xscale("log")
    ax.set(xlim=(at[0], at[-1]), ylim=(len(settings) - 0.8, -_HEIGHT - 0.2))
    ax.set_yticks(range(len(settings)), [short(name, longest(ax)) for name in settings])
    ax.tick_params(axis="y", length=0, labelcolor=colors.ink, labelsize=LABEL)
    ax.spines["left"].set_visible(False)
    artists: list[Artist] = []
    for row, values in enumerate(settings.values()):
        color = line_style(row, colors)["color"]
        known = np.sort(values[np.isfinite(values)].astype(float))
        ax.axhline(row, color=colors.line, linewidth=0.8, zorder=1)
        top = np.full(_POINTS, float(row))
        if len(known):
            density = _density(scale(known), x)
            top = row - _HEIGHT * density / density.max()
            artists.append(
                ax.fill_between(at, top, row, facecolor=blend(colors.surface, color, 0.45), edgecolor=color, zorder=2)
            )
        if 0 < len(known) < _FEW:
            ticks = Line2D(known, np.full(len(known), row + 0.05), color=color, linestyle="", marker="|", markersize=6)
            ax.add_line(ticks)
        middle = (len(values) - 1) // 2
        if middle < len(known):
            median = float(known[middle])
            place = float(np.interp(scale(median), x, top))
            artists.append(ax.add_line(Line2D([median] * 2, [row, place], color=colors.ink, linewidth=1.8, zorder=3)))
        lost = len(values) - len(known)
        note = plural(len(values)) + (f"\n{lost:,} diverged" if lost else "")
        ax.text(
            1.02,
            row,
            note,
            transform=ax.get_yaxis_transform(),
            fontsize=TICK,
            color=colors.wrong if lost else colors.muted,
            ha="left",
            va="bottom",
            linespacing=1.1,
        )
    ax.set_xlabel(f"{quantity} (line: median)", fontsize=LABEL, color=colors.ink)
    return artists


def _density(values: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
    """A Gaussian kernel density on evenly spaced points, its width after Silverman, no less than two points."""
    step = float(x[1] - x[0])
    spread = min(float(values.std()), float(np.subtract(*np.quantile(values, [0.75, 0.25]))) / 1.34)
    # Two heaps far apart have a wide spread, which would smear both.
    width = min(max(0.9 * spread * len(values) ** -0.2, 2.5 * step), 0.04 * (x[-1] - x[0]))
    edges = np.append(x - step / 2, x[-1] + step / 2)
    counts = np.histogram(values, edges)[0]
    reach = np.arange(-len(x) // 2 + 1, len(x) // 2) * step
    return np.convolve(counts, np.exp(-((reach / width) ** 2) / 2), mode="same")
