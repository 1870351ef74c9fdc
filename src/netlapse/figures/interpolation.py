"""The loss on the straight line between two networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from .panel import spines
from .theme import LABEL, THEMES, Theme, style_axes
from .weight_space import loss_label

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..measures import Interpolation
    from .theme import ThemeName

# A rise of less than this share of the losses drawn is no barrier that could be seen.
_VISIBLE = 0.01
_LONGEST_NAME = 24


class InterpolationPanel:
    """Loss, and accuracy if there is one, along the line; both ends, the chord between them, and the barrier."""

    def __init__(self, ax: Axes, line: Interpolation, *, theme: Theme) -> None:
        color = theme.series[0]
        style_axes(ax, theme, title="Interpolation", ylabel=loss_label(line.loss, line.split))
        within = (line.alphas >= 0) & (line.alphas <= 1)
        finite = line.losses[within & np.isfinite(line.losses)]
        top, bottom = (float(finite.max()), min(0.0, float(finite.min()))) if len(finite) else (1.0, 0.0)
        top = max(top, bottom + 1e-9)
        ax.set(xlim=line.alphas[[0, -1]], ylim=(bottom, bottom + 1.18 * (top - bottom)))
        ax.set_xticks([0, 0.5, 1], [f"0\n{_short(line.ends[0])}", r"$\alpha$ = 0.5", f"1\n{_short(line.ends[1])}"])
        ax.yaxis.label.set_color(color)
        ends = np.isin(line.alphas, (0, 1))
        loss = ax.add_line(Line2D(line.alphas, line.losses, color=color, linewidth=2.2))
        chord = ax.add_line(Line2D([0, 1], line.chord[ends], color=theme.muted, linewidth=1.2, linestyle=(0, (4, 2))))
        ax.add_line(
            Line2D([0, 1], line.losses[ends], color=color, marker="o", markersize=8, linestyle="none", clip_on=False)
        )
        self.artists: list[Artist] = [loss]
        if line.accuracies is not None:
            self.artists.append(_accuracy(ax, line, theme))
        self.note = ax.text(0.5, 0.94, "", fontsize=LABEL, color=theme.ink, ha="center", va="center", zorder=6)
        self.note.set_transform(ax.get_xaxis_transform())
        self._mark_barrier(ax, line, theme, top - bottom)
        self.artists += [chord, self.note, *spines(ax)]

    def _mark_barrier(self, ax: Axes, line: Interpolation, theme: Theme, height: float) -> None:
        place, barrier = line.barrier_at, line.barrier
        if not np.isfinite(barrier) or barrier <= _VISIBLE * height:
            self.note.set_text("no barrier" if np.isfinite(barrier) else "the loss is not a number on the way")
            return
        low = float(np.interp(place, line.alphas, line.chord))
        ax.annotate(
            "",
            (place, low),
            (place, low + barrier),
            arrowprops={"arrowstyle": "<->", "color": theme.ink, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0},
        )
        self.note.set(text=f"barrier {barrier:.3g}", x=min(max(place, 0.15), 0.85))


def _accuracy(ax: Axes, line: Interpolation, theme: Theme) -> Line2D:
    twin = ax.twinx()
    style_axes(twin, theme, ylabel="accuracy (dotted)")
    twin.set_facecolor("none")
    twin.spines["right"].set_visible(True)
    for side in ("left", "bottom"):
        twin.spines[side].set_visible(False)
    twin.set_ylim(0, 1.18)
    twin.set_yticks([0, 0.25, 0.5, 0.75, 1])
    assert line.accuracies is not None
    return twin.add_line(Line2D(line.alphas, line.accuracies, color=theme.ink, linewidth=1.6, linestyle=(0, (1, 1))))


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}\N{HORIZONTAL ELLIPSIS}"


def interpolation(measure: Interpolation, ax: Axes, *, theme: ThemeName = "light") -> list[Artist]:
    """Draw the loss along the line, the ends and the barrier. Returns the artists."""
    return InterpolationPanel(ax, measure, theme=THEMES[theme]).artists
