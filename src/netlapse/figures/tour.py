"""The feature space of a layer on a grand tour: projections that turn into one another while the run goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from .groups import Groups
from .panel import last_epoch, spines
from .planes import Foot, class_legend, diverged_note
from .shapes import Dots, broken
from .theme import LABEL, THEMES, Theme, style_axes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..measures import Projection, Toured
    from .theme import ThemeName

    # The projection at an epoch.
    Way = Callable[[float], Projection]

_MOST_AXES = 16
# An axis drawn in full length, as a share of the way from the centre to the edge.
_AXIS = 0.6


class GrandTourPanel:
    """The examples in the projection at each epoch, and the axes of the units that it draws longest.

    `reach` is the distance from the centre that is shown, `way` gives the projection.
    """

    def __init__(
        self, ax: Axes, toured: Toured, way: Way, *, reach: float, theme: Theme, title: str = "Grand tour"
    ) -> None:
        groups = Groups(toured.task, theme)
        self._way, self._groups, self._reach = way, groups, reach
        style_axes(ax, theme, title=title)
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
        ax.set_aspect("equal", adjustable="box", anchor="W")
        units = len(toured.tour.origin)
        # torch's Sequential calls its layers "0", "1", ...
        name = f"layer {toured.layer}" if toured.layer.replace(".", "").isdecimal() else toured.layer
        axes = way(float(toured.epochs[0])).axes
        ax.set_xlabel(f"{name}, {axes[0]}", fontsize=LABEL, color=theme.ink)
        ax.set_ylabel(axes[1], fontsize=LABEL, color=theme.ink)
        shown = f"the {_MOST_AXES} longest axes of {units} units" if units > _MOST_AXES else f"axes of {units} units"
        turns = np.linspace(0, 2 * np.pi, 101)
        circle = _AXIS * reach * np.stack([np.cos(turns), np.sin(turns)])
        # The length of an axis that lies in the plane.
        ax.add_line(Line2D(*circle, color=theme.line, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1))
        self._foot = Foot(ax, [f"lines: {shown}", "dashed: full length"], ["this epoch: 100% of variance"], theme)
        self._axes = ax.add_line(Line2D([], [], color=theme.muted, linewidth=1.0, zorder=2))
        self.dots = [Dots(ax, color, label=label) for color, label in zip(groups.colors, groups.names, strict=True)]
        self._note = diverged_note(ax, theme)
        self.artists: list[Artist] = [self._axes, *self.dots, self._note, *spines(ax), *self._foot.artists]

    def show(self, toured: Toured) -> None:
        """Show the examples at their one frame."""
        projection = self._way(float(toured.epochs[0]))
        points = toured.drawn(projection)[0]
        for number, dots in enumerate(self.dots):
            dots.set_positions(points[self._groups.of_example == number])
        self._note.set_visible(not np.isfinite(points).all())
        longest = np.argsort(-np.linalg.norm(projection.basis, axis=1), kind="stable")[:_MOST_AXES]
        ends = _AXIS * self._reach * projection.basis[longest]
        self._axes.set_data(*broken(np.stack([np.zeros_like(ends), ends], axis=1)).T)
        kept = float(toured.kept(projection)[0])
        self._foot.show([f"this epoch: {kept:.0%} of variance"] if np.isfinite(kept) else [])


def reach_of(parts: Sequence[Toured], way: Way) -> float:
    """How far from the centre the examples are drawn at most, with a margin."""
    farthest = [
        np.abs(one.drawn(way(float(epoch)))) for part in parts for epoch in part.epochs for one in (part.at(epoch),)
    ]
    finite = [float(values[np.isfinite(values)].max(initial=0)) for values in farthest]
    return 1.08 * max(finite, default=0) or 1.0


def grand_tour(
    toured: Toured,
    ax: Axes,
    *,
    epoch: float | None = None,
    position: float = 0.0,
    theme: ThemeName = "light",
    legend: bool = True,
) -> list[Artist]:
    """Draw one epoch, the last by default, at one position of the tour. Returns the artists."""

    def way(_: float) -> Projection:
        return toured.tour(position)

    panel = GrandTourPanel(ax, toured, way, reach=reach_of([toured], way), theme=THEMES[theme])
    panel.show(toured.at(last_epoch(toured.epochs, epoch)))
    if legend:
        class_legend(ax, panel.dots, THEMES[theme])
    return panel.artists
