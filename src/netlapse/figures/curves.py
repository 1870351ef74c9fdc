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
    """Accuracy (or R²) and mean loss up to the epoch shown, the rest of the run faint.

    With the curves of a validation probe, those are dotted, and the gap between both is shaded.
    """

    def __init__(self, ax: Axes, curves: Curves, *, theme: Theme, validation: Curves | None = None) -> None:
        color = theme.series[2]
        style_axes(ax, theme, xlabel="epoch", ylabel=curves.score_name)
        twin = ax.twinx()
        style_axes(twin, theme, ylabel="mean loss")
        twin.set_facecolor("none")
        twin.yaxis.label.set_color(color)
        twin.spines["right"].set_visible(True)
        for side in ("left", "bottom"):
            twin.spines[side].set_visible(False)
        both = [curves] if validation is None else [curves, validation]
        last = float(curves.epochs[-1])
        ax.set(xlim=(float(curves.epochs[0]), max(last, curves.epochs[0] + 1e-9)), ylim=_score_limits(both))
        losses = np.concatenate([part.loss for part in both])
        finite = losses[np.isfinite(losses)]
        twin.set_ylim(0, 1.03 * max(float(finite.max()) if len(finite) else 1.0, 1e-9))
        self._curves, self._validation = curves, validation
        self._lines: list[Line2D] = []
        self._now: list[Line2D] = []
        # What a line shows is named by the axis of its colour; dashes tell two lines apart where there are two.
        dashed = (0, (4, 1.5)) if validation is None else (0, ())
        for part, dashes, name in zip(both, (dashed, (0, (1, 1))), ("training", "validation"), strict=False):
            for axes, values, tint, dash, label in (
                (ax, part.score, theme.ink, (0, ()) if part is curves else dashes, part.score_name),
                (twin, part.loss, color, dashes, "mean loss"),
            ):
                axes.plot(part.epochs, values, color=tint, alpha=0.28, linewidth=1)
                text = label if validation is None else name
                line = Line2D([], [], color=tint, linewidth=1.8, linestyle=dash, label=text)
                self._lines.append(axes.add_line(line))
                self._now.append(axes.add_line(Line2D([], [], color=tint, marker="o", markersize=6, clip_on=False)))
        if validation is not None and np.array_equal(curves.epochs, validation.epochs):
            for axes, tint, one, other in (
                (ax, theme.ink, curves.score, validation.score),
                (twin, color, curves.loss, validation.loss),
            ):
                axes.fill_between(curves.epochs, one, other, color=tint, alpha=0.12, linewidth=0)
        ax.legend(
            handles=self._lines if validation is None else self._lines[::2],
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
        self.artists: list[Artist] = [*self._lines, *self._now, *spines(ax), *spines(twin)]

    def show(self, now: Curves, validation: Curves | None = None) -> None:
        """Show the curves up to the epoch of `now`, a measure of one frame."""
        shown = [(self._curves, now)]
        if self._validation is not None and validation is not None:
            shown.append((self._validation, validation))
        for place, (curves, at) in enumerate(shown):
            epoch = float(at.epochs[0])
            past = curves.epochs < epoch
            x = np.append(curves.epochs[past], epoch)
            for number, values, value in (
                (2 * place, curves.score, at.score[0]),
                (2 * place + 1, curves.loss, at.loss[0]),
            ):
                self._lines[number].set_data(x, np.append(values[past], value))
                self._now[number].set_data([epoch], [value])


def _score_limits(curves: list[Curves]) -> tuple[float, float]:
    """All of an accuracy's range; of R² what is above -1."""
    if curves[0].score_name == "accuracy":
        return 0.0, 1.03
    scores = np.concatenate([part.score for part in curves])
    low = float(np.nanmin(scores, initial=0.0, where=np.isfinite(scores)))
    return max(low, -1.0), 1.03


def curves(
    measure: Curves,
    ax: Axes,
    *,
    validation: Curves | None = None,
    epoch: float | None = None,
    theme: ThemeName = "light",
) -> list[Artist]:
    """Draw accuracy and mean loss up to one epoch, the last by default. Returns the artists."""
    panel = CurvesPanel(ax, measure, theme=THEMES[theme], validation=validation)
    shown = last_epoch(measure.epochs, epoch)
    panel.show(measure.at(shown), validation and validation.at(shown))
    return panel.artists
