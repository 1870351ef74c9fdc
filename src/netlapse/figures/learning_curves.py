"""Accuracy and loss of several runs on shared axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.lines import Line2D

from .blocks import CURVE_FRAMES, Blocks, overview
from .stage import distinct_titles
from .theme import DASHES, LABEL, THEMES, style_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend

    from ..replay import Replay
    from .theme import ThemeName


_Corner = Literal["lower left", "lower right", "upper left", "upper right"]
# A longer legend has no room among the curves.
_MOST_INSIDE = 4
# Where the others may be, the likeliest first: scores grow and losses fall.
_OF_SCORES: tuple[_Corner, ...] = ("lower right", "upper left", "upper right", "lower left")
_OF_LOSSES: tuple[_Corner, ...] = ("upper right", "lower left", "upper left", "lower right")


class LearningCurves:
    """The curves of several runs, accuracy above and mean loss below, each run with a colour and a dash of its own.

    With `follow`, the curves are faint and drawn up to the epoch shown.
    """

    def __init__(
        self,
        replays: Sequence[Replay],
        axes: Sequence[Axes],
        *,
        theme: ThemeName = "light",
        follow: bool = False,
    ) -> None:
        colors = THEMES[theme]
        self._curves = [replay.curves(overview(replay.epochs, CURVE_FRAMES)) for replay in replays]
        self._exact = [
            Blocks(replay.curves, replay.epochs, known=curves)
            for replay, curves in zip(replays, self._curves, strict=True)
        ]
        names = {curves.loss_name for curves in self._curves}
        loss = f"mean {names.pop()}" if len(names) == 1 else "mean loss"
        last = max(float(curves.epochs[-1]) for curves in self._curves)
        scores = {curves.score_name for curves in self._curves}
        score = scores.pop() if len(scores) == 1 else "accuracy or R²"
        titles, labels = (score[:1].upper() + score[1:], "Mean loss"), (f"{score} on the probe", loss)
        for ax, title, label in zip(axes, titles, labels, strict=True):
            style_axes(ax, colors, title=title, xlabel="epoch", ylabel=label)
            ax.set_xlim(0, last)
        losses = np.concatenate([curves.loss for curves in self._curves])
        lowest = max(-1.0, min(float(np.nanmin(curves.score, initial=1.0)) for curves in self._curves))
        axes[0].set_ylim(min(0.45, lowest - 0.02), 1.015)
        axes[1].set_ylim(0, 1.03 * float(np.max(losses[np.isfinite(losses)], initial=1e-9)))
        self.lines: list[list[Line2D]] = []
        for number, (curves, title) in enumerate(zip(self._curves, distinct_titles(replays), strict=True)):
            color, dash = colors.series[number % len(colors.series)], DASHES[number % len(DASHES)]
            pair: list[Line2D] = []
            for ax, values in zip(axes, (curves.score, curves.loss), strict=True):
                if follow:
                    ax.plot(curves.epochs, values, color=color, alpha=0.25, linewidth=1)
                line = Line2D(
                    curves.epochs, values, color=color, linestyle=dash, linewidth=2, label=title, markersize=6
                )
                line.set_clip_on(False)
                pair.append(ax.add_line(line))
            self.lines.append(pair)
        style: dict[str, Any] = {"frameon": False, "fontsize": LABEL, "labelcolor": colors.ink, "handlelength": 2.6}
        if len(replays) > _MOST_INSIDE:
            axes[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), **style)
        else:
            for ax, corners in zip(axes, (_OF_SCORES, _OF_LOSSES), strict=True):
                _move_off_curves(ax.legend(loc=corners[0], **style), ax, corners)
        self.artists: list[Artist] = [line for pair in self.lines for line in pair]

    def show(self, epoch: float) -> None:
        """Show the curves up to this epoch, or to the end of a run that ended before."""
        for curves, exact, pair in zip(self._curves, self._exact, self.lines, strict=True):
            now = exact.at(min(epoch, float(curves.epochs[-1])))
            past = curves.epochs < now.epochs[0]
            x = np.append(curves.epochs[past], now.epochs[0])
            for line, values, value in zip(pair, (curves.score, curves.loss), (now.score, now.loss), strict=True):
                line.set_data(x, np.append(values[past], value))
                line.set(marker="o", markevery=[len(x) - 1])


def _move_off_curves(legend: Legend, ax: Axes, corners: Sequence[_Corner]) -> None:
    """Move a legend to the corner where it covers the least of the curves, the first one of equal corners."""
    curves = [line.get_transform().transform_path(line.get_path()) for line in ax.lines]

    def covered(corner: _Corner) -> int:
        legend.set_loc(corner)
        box = legend.get_window_extent()
        return sum(box.count_contains(each.vertices) + each.intersects_bbox(box, filled=False) for each in curves)

    legend.set_loc(min(corners, key=covered))
