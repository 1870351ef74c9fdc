"""The map of a data set: how surely and how steadily each example was given its label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from .panel import Still
from .theme import LABEL, THEMES, TICK, Theme, style_axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..measures import ExampleDynamics
    from .theme import ThemeName


class CartographyPanel(Still):
    """The examples by variability and confidence, coloured by correctness, those of suspicious labels ringed.

    After Swayamdipta et al. (2020), Dataset cartography: easy examples lie above, ambiguous ones at the right, hard
    ones and wrong labels below. No example can lie beyond the thin half circle.
    """

    def __init__(self, ax: Axes, measure: ExampleDynamics, *, theme: Theme) -> None:
        style_axes(
            ax,
            theme,
            title=f"Map of {len(measure.index):,} examples",
            xlabel="variability: standard deviation of P(label)",
            ylabel="confidence: mean P(label)",
        )
        ax.set(xlim=(-0.01, 0.56), ylim=(-0.03, 1.03))
        angle = np.linspace(-np.pi / 2, np.pi / 2, 181)
        ax.plot(0.5 * np.cos(angle), 0.5 + 0.5 * np.sin(angle), color=theme.line, linewidth=0.8, zorder=1)
        # What is seldom right lies on what is often right.
        order = np.argsort(-measure.correctness, kind="stable")
        dots = ax.scatter(
            measure.variability[order],
            measure.confidence[order],
            c=measure.correctness[order],
            cmap="cividis",
            vmin=0,
            vmax=1,
            s=13,
            linewidths=0.4,
            edgecolors=theme.muted,
            clip_on=False,
            zorder=2,
        )
        chosen = measure.suspicious
        rings = ax.scatter(
            measure.variability[chosen],
            measure.confidence[chosen],
            s=44,
            facecolors="none",
            edgecolors=theme.wrong,
            linewidths=1.1,
            clip_on=False,
            zorder=3,
            label=f"suspicious label ({chosen.sum():,})",
        )
        missing = int(np.isnan(measure.confidence).sum())
        notes = [Line2D([], [], linestyle="none", label=f"{missing:,} not a number")] if missing else []
        ax.legend(
            handles=[rings, *notes],
            loc="lower right",
            frameon=False,
            fontsize=TICK,
            labelcolor=theme.ink,
            borderpad=0.1,
            handletextpad=0.2,
        )
        for x, y, region, rotation in ((0.55, 1, "easy", 0), (0.55, 0.57, "ambiguous", 90), (0.55, 0.26, "hard", 0)):
            ax.text(x, y, region, fontsize=LABEL, color=theme.muted, ha="right", va="center", rotation=rotation)
        bar = ax.figure.colorbar(dots, ax=ax, pad=0.02, aspect=30)
        bar.set_label("correctness: share of epochs right", fontsize=LABEL, color=theme.ink)
        bar.ax.tick_params(colors=theme.muted, labelcolor=theme.muted, labelsize=TICK)
        bar.outline.set_visible(False)
        self.marks: list[Artist] = [dots, rings]


def cartography(measure: ExampleDynamics, ax: Axes, *, theme: ThemeName = "light") -> list[Artist]:
    """Draw the map of the examples over all epochs of the measure. Returns the artists."""
    return CartographyPanel(ax, measure, theme=THEMES[theme]).marks
