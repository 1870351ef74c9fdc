"""One unit: for which examples it is active."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.ticker import MaxNLocator

from .panel import last_epoch, spines
from .shapes import fitted, text_width
from .theme import THEMES, TITLE, style_axes
from .unit_axes import BESIDE, LONGEST, ROW, finite, groups, note, room_of, ticks

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ..measures import Unit
    from .theme import Theme, ThemeName
    from .unit_axes import Room

_BINS = 40
# Points: a label below Axes.
_LABEL = 17.5


class HistogramPanel:
    """How many examples of each group, such as a class, the unit gives which activation, a row for each.

    `unit` is the unit at many frames: bins reach as far as its activations do. What is written fits Axes of so much
    `room`; by default they are as large as they are now.
    """

    def __init__(
        self, ax: Axes, unit: Unit, *, theme: Theme, title: str | None = None, room: Room | None = None
    ) -> None:
        width, height = room or room_of(ax)
        lows, highs = np.quantile(finite(unit.activations), (0.001, 0.999), axis=1)
        low, high = float(lows.min()), float(highs.max())
        span = high - low or 1.0
        self._edges = cast("NDArray[Any]", np.linspace(low - 0.02 * span, high + 0.02 * span, _BINS + 1))
        self._groups, colors, names = zip(*groups(unit, theme), strict=True)
        rows = len(names)
        words = "Activations of the examples"
        words = words if text_width(words, TITLE) < width + BESIDE else "Activations"
        # The title says it as well.
        xlabel = "activation" if title or height > rows * ROW + _LABEL else ""
        style_axes(ax, theme, title=fitted(title or words, width + BESIDE, TITLE), xlabel=xlabel)
        self._base = np.arange(rows)[::-1].astype(float)
        self._stairs = [
            ax.stairs(np.zeros(_BINS), self._edges, fill=True, color=color, linewidth=0, baseline=base)
            for base, color in zip(self._base, colors, strict=True)
        ]
        ax.set(xlim=(self._edges[0], self._edges[-1]), ylim=(0, rows))
        # Of rows lower than their names, every second is named, or fewer.
        every = max(1, math.ceil(rows * ROW / height)) if height > 0 else rows
        ax.set_yticks(self._base[::every] + 0.5, [fitted(name, LONGEST) for name in names[::every]])
        ax.tick_params(axis="y", length=0)
        ax.xaxis.set_major_locator(MaxNLocator(ticks(width)))
        self._note = note(ax, theme, width)
        self.artists: list[Artist] = [*self._stairs, self._note, *spines(ax)]

    def show(self, unit: Unit) -> None:
        """Show the histogram at its one frame; heights are shares of a group, by their square root."""
        values = unit.activations[0]
        self._note.set_visible(not np.isfinite(values).all())
        inside = np.clip(values, self._edges[0], self._edges[-1])
        for stairs, which, base in zip(self._stairs, self._groups, self._base, strict=True):
            chosen = inside[which]
            counts = np.histogram(chosen[np.isfinite(chosen)], self._edges)[0]
            stairs.set_data(base + 0.92 * np.sqrt(counts / max(int(which.sum()), 1)), baseline=base)


def unit_histogram(
    unit: Unit,
    ax: Axes,
    *,
    epoch: float | None = None,
    theme: ThemeName = "light",
) -> list[Artist]:
    """Draw for which examples a unit is active at one epoch, the last by default. Returns what changes."""
    panel = HistogramPanel(ax, unit, theme=THEMES[theme])
    panel.show(unit.at(last_epoch(unit.epochs, epoch)))
    return panel.artists
