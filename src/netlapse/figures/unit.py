"""One unit: what it computes over a plane of inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import PathPatch
from matplotlib.ticker import MaxNLocator

from ..errors import Unsupported
from .groups import Groups
from .panel import last_epoch, spines
from .planes import Foot
from .shapes import EMPTY, Dots, edge, fitted, text_width
from .theme import LABEL, THEMES, TICK, TITLE, style_axes
from .thumbnails import signed
from .unit_axes import color_bar, finite, groups, named, note, room_of, ticks
from .unit_life import unit_in_words

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..measures import Unit, UnitLife
    from .theme import Theme, ThemeName
    from .unit_axes import Room

# Points: what a title may reach beyond Axes with a colour bar there.
_BAR = 64.0
_NOW = (
    "this epoch: line right for {:.0%} of the examples",
    "this epoch: line right for {:.0%}",
    "line right for {:.0%}",
)


class MapPanel:
    """The plane of inputs, coloured by the unit's activation on one scale for the whole run, with its hinge.

    The hinge is where the pre-activation is 0. `unit` is the unit at many frames: the scale is taken from them.
    What is written fits Axes of so much `room`; by default they are as large as they are now.
    """

    def __init__(
        self, ax: Axes, unit: Unit, *, theme: Theme, title: str | None = None, room: Room | None = None
    ) -> None:
        if unit.x is None or unit.y is None or unit.places is None or unit.projection is None:
            raise Unsupported(
                f"unit {unit.unit} of layer {unit.layer!r} was not evaluated over a plane of inputs; its map is drawn"
                " for inputs that are real numbers"
            )
        width, height = room or room_of(ax)
        title = fitted(unit_title(unit) if title is None else title, width + _BAR, TITLE)
        wide = len(unit.projection.origin) > 2
        axes = unit.projection.axes if wide else ("input $x_1$", "input $x_2$")
        style_axes(ax, theme, title=title, xlabel=axes[0], ylabel=axes[1])
        assert unit.grid_activations is not None
        self._x, self._y = unit.x, unit.y
        largest = float(np.quantile(np.abs(finite(unit.grid_activations)), 0.999)) or 1.0
        low, high = (0.0, 1.0) if unit.activation == "sigmoid" else (-largest, largest)
        box = float(unit.x[0]), float(unit.x[-1]), float(unit.y[0]), float(unit.y[-1])
        self._image = ax.imshow(
            unit.grid_activations[0], cmap=signed(theme, strength=0.6), vmin=low, vmax=high, extent=box, origin="lower",
            aspect="auto", interpolation="nearest", zorder=1,
        )  # fmt: skip
        self._hinge = PathPatch(EMPTY, facecolor="none", edgecolor=theme.ink, linewidth=1.8, zorder=2)
        ax.add_artist(self._hinge)
        self._hinge.set_clip_box(ax.bbox)
        ax.set(xlim=box[:2], ylim=box[2:])
        ax.xaxis.set_major_locator(MaxNLocator(ticks(width), steps=(1, 2, 5, 10)))
        ax.yaxis.set_major_locator(MaxNLocator(ticks(2 * height), steps=(1, 2, 5, 10)))
        self._dots = [Dots(ax, theme.muted)] if unit.task is None else Groups(unit.task, theme).dots(ax)
        for dots, (which, *_) in zip(self._dots, groups(unit, theme), strict=True):
            dots.set_positions(unit.places[which])
        words = "activation (line: z = 0)"
        bar = color_bar(ax, self._image, words if text_width(words, LABEL) < height else "activation", theme)
        bar.ax.set_ylim(max(low, min(0.0, float(finite(unit.grid_activations).min()))), high)
        self._note = note(ax, theme, width)
        in_order = sorted(self._dots, key=Dots.get_zorder)
        self.artists: list[Artist] = [self._image, self._hinge, *in_order, self._note, *spines(ax)]
        self._foot: Foot | None = None
        if wide:
            lines = [f"plane of {len(unit.projection.origin)} inputs: {unit.projection.method}"]
            # The foot measures the Axes for itself.
            fit = [words for words in _NOW if text_width(words.format(1), TICK) <= room_of(ax)[0]]
            self._now = (*fit, _NOW[-1])[0]
            self._foot = Foot(ax, lines, [self._now.format(1)], theme)
            self.artists += self._foot.artists

    def show(self, unit: Unit) -> None:
        """Show the unit at its one frame."""
        assert unit.grid_activations is not None
        assert unit.grid_pre_activations is not None
        self._image.set_data(unit.grid_activations[0])
        self._hinge.set_path(edge(self._x, self._y, unit.grid_pre_activations[0]))
        self._note.set_visible(not np.isfinite(unit.grid_pre_activations).all())
        if self._foot is not None and unit.agreement is not None:
            self._foot.show([self._now.format(unit.agreement[0])])


def unit(unit: Unit, ax: Axes, *, epoch: float | None = None, theme: ThemeName = "light") -> list[Artist]:
    """Draw what a unit computes over the plane of inputs at one epoch, the last by default. Returns what changes.

    Raises Unsupported for a unit that was not evaluated over a plane.
    """
    panel = MapPanel(ax, unit, theme=THEMES[theme])
    panel.show(unit.at(last_epoch(unit.epochs, epoch)))
    return panel.artists


def unit_title(unit: Unit, life: UnitLife | None = None) -> str:
    """Which unit it is, and when it was dead; what its activation function is where it never was."""
    words = unit_in_words(life, unit.unit) if life else ""
    return f"{named(unit.layer)}, unit {unit.unit}: {words or unit.activation or 'linear'}"
