"""The feature space of a layer on a grand tour: projections that turn into one another while the run goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from matplotlib.lines import Line2D

from .groups import Groups
from .panel import last_epoch, spines
from .planes import Foot, class_legend, diverged_note
from .shapes import Dots, broken
from .theme import LABEL, THEMES, Theme, style_axes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

    from ..measures import Limits, Projection, Toured
    from .theme import ThemeName

    # The projection at an epoch.
    Way = Callable[[float], Projection]

_MOST_AXES = 16
# An axis drawn in full length, as a share of how far the examples reach across; and how much wider the Axes are.
_AXIS, _MARGIN = 0.4, 1.08


class GrandTourPanel:
    """The examples in the projection at each epoch, and the axes of the units that it draws longest.

    `limits` is where the examples are drawn, over the whole run, and `way` gives the projection. Both axes have one
    scale, and more is shown along one of them if the Axes are no square.
    """

    def __init__(
        self, ax: Axes, toured: Toured, way: Way, *, limits: Limits, theme: Theme, title: str = "Grand tour"
    ) -> None:
        groups = Groups(toured.task, theme)
        self._way, self._groups = way, groups
        self._length = _AXIS * max(high - low for low, high in limits) or 1.0
        style_axes(ax, theme, title=title)
        shown = [(min(low, -self._length), max(high, self._length)) for low, high in limits]
        ax.set_axes_locator(_OneScale(ax, shown))
        units = len(toured.tour.origin)
        # torch's Sequential calls its layers "0", "1", ...
        name = f"layer {toured.layer}" if toured.layer.replace(".", "").isdecimal() else toured.layer
        # Which tour is said by the title.
        axes = [axis.removesuffix(" of the tour") for axis in way(float(toured.epochs[0])).axes]
        ax.set_xlabel(f"{name}, {axes[0]}", fontsize=LABEL, color=theme.ink)
        ax.set_ylabel(axes[1], fontsize=LABEL, color=theme.ink)
        lines = f"the {_MOST_AXES} longest axes of {units} units" if units > _MOST_AXES else f"axes of {units} units"
        turns = np.linspace(0, 2 * np.pi, 101)
        circle = self._length * np.stack([np.cos(turns), np.sin(turns)])
        ax.add_line(Line2D(*circle, color=theme.line, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1))
        self._foot = Foot(ax, [f"lines: {lines}", "dashed: full length"], ["this epoch: 100% of variance"], theme)
        self._axes = ax.add_line(Line2D([], [], color=theme.muted, linewidth=1.0, zorder=2))
        self.dots = groups.dots(ax)
        self._note = diverged_note(ax, theme)
        in_order = sorted(self.dots, key=Dots.get_zorder)
        self.artists: list[Artist] = [self._axes, *in_order, self._note, *spines(ax), *self._foot.artists]

    @property
    def quantity(self) -> str:
        """What the legend counts, if it is a quantity with a name."""
        return self._groups.quantity

    def show(self, toured: Toured) -> None:
        """Show the examples at their one frame."""
        projection = self._way(float(toured.epochs[0]))
        points = toured.drawn(projection)[0]
        for number, dots in enumerate(self.dots):
            dots.set_positions(points[self._groups.of_example == number])
        self._note.set_visible(not np.isfinite(points).all())
        longest = np.argsort(-np.linalg.norm(projection.basis, axis=1), kind="stable")[:_MOST_AXES]
        ends = self._length * projection.basis[longest]
        self._axes.set_data(*broken(np.stack([np.zeros_like(ends), ends], axis=1)).T)
        kept = float(toured.kept(projection)[0])
        self._foot.show([f"this epoch: {kept:.0%} of variance"] if np.isfinite(kept) else [])


class _OneScale:
    """Where Axes are, and on the way limits that hold these and have one scale for both axes.

    Axes ask for their place before they are drawn or laid out. matplotlib's own equal aspect would make them smaller
    than their place, or widen what limits it found, so that the last depend on how often it was asked.
    """

    def __init__(self, ax: Axes, limits: Sequence[tuple[float, float]]) -> None:
        self._ax, self._limits = ax, np.array(limits)

    def __call__(self, *_: object) -> Bbox:
        place, figure = self._ax.get_position(original=True), cast("Figure", self._ax.figure)
        size = np.array(place.size) * figure.get_size_inches()
        half = 0.5 * _MARGIN * (np.ptp(self._limits, axis=1) / size).max() * size
        (left, bottom), (right, top) = self._limits.mean(axis=1) + np.stack([-half, half])
        self._ax.set(xlim=(left, right), ylim=(bottom, top))
        return place


def limits_of(parts: Iterable[Toured], way: Way) -> Limits:
    """Where the examples are drawn at any of these epochs: the least box around them and the origin."""
    low, high = np.zeros(2), np.zeros(2)
    for part in parts:
        for epoch in part.epochs.tolist():
            points = part.at(epoch).drawn(way(epoch))[0]
            finite = points[np.isfinite(points).all(axis=1)]
            low = np.minimum(low, finite.min(axis=0, initial=0))
            high = np.maximum(high, finite.max(axis=0, initial=0))
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


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

    panel = GrandTourPanel(ax, toured, way, limits=limits_of([toured], way), theme=THEMES[theme])
    panel.show(toured.at(last_epoch(toured.epochs, epoch)))
    if legend:
        class_legend(ax, panel.dots, THEMES[theme], title=panel.quantity)
    return panel.artists
