"""Accuracy and mean loss of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from .panel import last_epoch, spines
from .theme import LABEL, THEMES, Theme, style_axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..measures import Curves
    from .theme import ThemeName


class CurvesPanel:
    """Accuracy and mean loss up to the epoch shown, the rest of the run faint."""

    def __init__(self, ax: Axes, curves: Curves, *, theme: Theme) -> None:
        color = theme.series[2]
        style_axes(ax, theme, xlabel="epoch", ylabel="accuracy")
        twin = ax.twinx()
        style_axes(twin, theme, ylabel="mean loss")
        twin.set_facecolor("none")
        twin.yaxis.label.set_color(color)
        twin.spines["right"].set_visible(True)
        for side in ("left", "bottom"):
            twin.spines[side].set_visible(False)
        last = float(curves.epochs[-1])
        ax.set(xlim=(float(curves.epochs[0]), max(last, curves.epochs[0] + 1e-9)), ylim=(0, 1.03))
        finite = curves.loss[np.isfinite(curves.loss)]
        twin.set_ylim(0, 1.03 * max(float(finite.max()) if len(finite) else 1.0, 1e-9))
        ax.plot(curves.epochs, curves.accuracy, color=theme.ink, alpha=0.25, linewidth=1)
        twin.plot(curves.epochs, curves.loss, color=color, alpha=0.3, linewidth=1)
        self._curves = curves
        self._accuracy = ax.add_line(Line2D([], [], color=theme.ink, linewidth=1.8, label="accuracy"))
        self._loss = twin.add_line(
            Line2D([], [], color=color, linewidth=1.8, linestyle=(0, (4, 1.5)), label="mean loss")
        )
        self._now = [
            axes.add_line(Line2D([], [], color=line.get_color(), marker="o", markersize=6, clip_on=False))
            for axes, line in ((ax, self._accuracy), (twin, self._loss))
        ]
        ax.legend(
            handles=[self._accuracy, self._loss],
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=2,
            frameon=False,
            fontsize=LABEL,
            labelcolor=theme.ink,
            borderpad=0.1,
            borderaxespad=0.35,
            handlelength=1.7,
            handletextpad=0.5,
            columnspacing=1.2,
        )
        self.artists: list[Artist] = [self._accuracy, self._loss, *self._now, *spines(ax), *spines(twin)]

    def show(self, now: Curves) -> None:
        """Show the curves up to the epoch of `now`, a measure of one frame."""
        curves, epoch = self._curves, float(now.epochs[0])
        past = curves.epochs < epoch
        x = np.append(curves.epochs[past], epoch)
        for line, dot, values, value in (
            (self._accuracy, self._now[0], curves.accuracy, now.accuracy[0]),
            (self._loss, self._now[1], curves.loss, now.loss[0]),
        ):
            line.set_data(x, np.append(values[past], value))
            dot.set_data([epoch], [value])


def curves(measure: Curves, ax: Axes, *, epoch: float | None = None, theme: ThemeName = "light") -> list[Artist]:
    """Draw accuracy and mean loss up to one epoch, the last by default. Returns the artists."""
    panel = CurvesPanel(ax, measure, theme=THEMES[theme])
    panel.show(measure.at(last_epoch(measure.epochs, epoch)))
    return panel.artists
