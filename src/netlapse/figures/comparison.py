"""Several runs side by side."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from math import ceil
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.transforms import blended_transform_factory

from ..errors import MissingFrame, Unsupported
from ..measures import plane
from . import panels as kinds
from .learning_curves import LearningCurves
from .planes import class_legend
from .scenes import panels_of
from .shapes import Dots, fitted
from .spaces import feature_layer, shared_projection
from .stage import DPI, Clock, distinct_titles, new_figure, shared_settings
from .theme import THEMES, TITLE, TITLE_PAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.gridspec import GridSpec, SubplotSpec
    from matplotlib.text import Text

    from ..measures import Limits
    from ..replay import Replay
    from .panel import Drawn, Panel
    from .theme import Theme, ThemeName

    # The Axes of one panel, and those of a row of them.
    Cell = list[Axes]
    Row = list[Cell]

_USUAL = ("feature_space", "decision_boundary")
# Titles that say no more than the labels of the axes.
_PLAIN = {"Feature space", "Decision boundary"}

# Pixels: the width of a column of so many cells as panels count them, the height of a row, what is around the rows.
_COLUMN, _CELLS, _ROW, _AROUND = 430, 2, 370, 120
# What high panels take besides, and those with small print below them.
_MORE = 100
# What the titles of the columns take in a line of their own, in inches.
_LINE = 0.27


class Comparison:
    """Runs in columns and panels in rows; at the right the curves of all runs on shared axes.

    By default feature spaces above and decision boundaries below. The clock runs over the epochs that all of them
    recorded.
    """

    def __init__(
        self,
        replays: Sequence[Replay],
        *,
        panels: Sequence[str | Panel] | None = None,
        layer: str | None = None,
        domain: Limits | None = None,
        curves: bool | None = None,
        theme: ThemeName = "light",
        size: tuple[int, int] | None = None,
        dpi: float = DPI,
    ) -> None:
        if not replays:
            raise ValueError("there are no runs to compare; pass at least one replay")
        colors = THEMES[theme]
        self.epochs = reduce(np.intersect1d, [replay.epochs for replay in replays])
        if len(self.epochs) == 0:
            raise MissingFrame("the runs have no epoch in common; record them with the same `every`")
        shown = _panels_of_all(replays, _USUAL if panels is None else panels, layer, domain)
        if curves is None:
            curves = not any(isinstance(panel, kinds.Curves) for panel in shown)
        # One curve stands above the other, but not in a single row.
        beside = 0 if not curves else 2 if len(shown) == 1 else 1
        widths = [max(1, *(ceil(panel.span[1] / _CELLS) for panel in shown))] * len(replays) + [1] * beside
        heights = [_height(panel, replays) for panel in shown]
        self.size = size or (_COLUMN * sum(widths), _AROUND + sum(heights))
        self.figure = new_figure(self.size, dpi, colors)
        # The layout keeps to no margins, but with these Axes are about as large before it, when panels measure them.
        margins: dict[str, float] = {"left": 0.1, "right": 0.93, "bottom": 0.2, "top": 0.85}
        grid = self.figure.add_gridspec(
            len(heights), len(widths), height_ratios=heights, width_ratios=widths, **margins
        )
        self.rows: list[Row] = [[] for _ in shown]
        self.drawn: list[list[Drawn]] = [[] for _ in replays]
        for column, replay in enumerate(replays):
            for row, panel in enumerate(shown):
                before = len(self.figure.axes)
                self.drawn[column].append(_draw(panel, replay, grid[row, column], colors))
                self.rows[row].append(self.figure.axes[before:])
        for panel, row in zip(shown, self.rows, strict=True):
            _share(row, _may_grow(panel))
            _title_once(row)
        _name_groups_once([ax for row in reversed(self.rows) for cell in row for ax in cell], grid, colors)
        room = 0.9 * 72 * self.figure.get_figwidth() * widths[0] / sum(widths)
        self._title_columns([fitted(title, room, TITLE) for title in distinct_titles(replays)], colors)
        self._curves = LearningCurves(replays, self._axes_of_curves(grid), theme=theme, follow=True) if curves else None
        self._clock = Clock(self.figure, shared_settings(replays), self.epochs, colors)
        self.artists: list[Artist] = [
            *(artist for column in self.drawn for drawn in column for artist in drawn.artists),
            *(self._curves.artists if self._curves else ()),
            *self._clock.artists,
        ]

    def show(self, epoch: float) -> None:
        """Move every panel to this epoch."""
        for column in self.drawn:
            for drawn in column:
                drawn.show(epoch)
        if self._curves is not None:
            self._curves.show(epoch)
        self._clock.show(epoch)

    def _title_columns(self, titles: Sequence[str], theme: Theme) -> None:
        """Put the titles on the top row where nothing else is above it, or else in a line of their own."""
        top = [min(cell, key=lambda ax: ax.get_position().x0) for cell in self.rows[0]]
        if all(
            len(cell) == 1 and not ax.get_title(loc="left") and not ax.get_legend()
            for cell in self.rows[0]
            for ax in cell
        ):
            for ax, title in zip(top, titles, strict=True):
                ax.set_title(title, loc="left", fontsize=TITLE, color=theme.ink, pad=TITLE_PAD)
            return
        layout = cast("Any", self.figure.get_layout_engine())
        left, bottom, width, height = layout.get()["rect"]
        layout.set(rect=(left, bottom, width, height - _LINE / self.figure.get_figheight()))
        for ax, title in zip(top, titles, strict=True):
            place = blended_transform_factory(ax.transAxes, self.figure.transFigure)
            self.figure.text(0, bottom + height, title, transform=place, fontsize=TITLE, color=theme.ink, va="top")

    def _axes_of_curves(self, grid: GridSpec) -> list[Axes]:
        half = len(self.rows) // 2
        places = [grid[:half, -1], grid[half:, -1]] if half else [grid[0, -2], grid[0, -1]]
        return [self.figure.add_subplot(place) for place in places]


def _panels_of_all(
    replays: Sequence[Replay], wanted: Sequence[str | Panel], layer: str | None, domain: Limits | None
) -> list[Panel]:
    """The panels of the rows. Those given by name look at the same plane in every run."""
    found = panels_of(replays[0], wanted, layer=layer, domain=domain)
    return [
        _alike(panel, replays, layer) if isinstance(name, str) else panel
        for name, panel in zip(wanted, found, strict=True)
    ]


def _alike(panel: Panel, replays: Sequence[Replay], layer: str | None) -> Panel:
    if isinstance(panel, kinds.FeatureSpace):
        panel = replace(panel, projection=shared_projection(replays, layer) or panel.projection)
    if isinstance(panel, kinds.FeatureSpace | kinds.DecisionBoundary | kinds.Unit | kinds.UnitGrid | kinds.Network):
        panel = replace(panel, domain=panel.domain or plane.shared_domain([replay.inputs() for replay in replays]))
    return panel


def _height(panel: Panel, replays: Sequence[Replay]) -> int:
    high, wide = panel.span
    if isinstance(panel, kinds.FeatureSpace):
        names = [panel.layer or feature_layer(replay) for replay in replays]
        units = [
            layer.units
            for replay, name in zip(replays, names, strict=True)
            for layer in replay.layers
            if layer.name == name
        ]
        return _ROW + _MORE * any(number != 2 for number in units)
    return _ROW + _MORE * (high > wide)


def _draw(panel: Panel, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
    try:
        return panel.draw(replay, area, theme)
    except Unsupported as error:
        if repr(replay.name) in str(error):
            raise
        raise Unsupported(f"run {replay.name!r}: {error}") from error


def _may_grow(panel: Panel) -> str:
    """The scales of a panel at which nothing ends that was computed or counted up to there: no regions, no bins."""
    if isinstance(panel, kinds.Curves | kinds.LayerStatistics):
        return "xy"
    if isinstance(panel, kinds.Interpolation):
        return "y"
    if isinstance(
        panel, kinds.Weights | kinds.Gradients | kinds.LayerGradients | kinds.PreActivations | kinds.Activations
    ):
        return {"violins": "y", "bands": "xy", "ridgeline": "x"}[panel.style]
    return ""


def _share(row: Row, scales: str) -> None:
    """Give the Axes that show the same of each run one scale, where there are as many of them in all columns."""
    if len({len(cell) for cell in row}) > 1:
        return
    for alike in zip(*row, strict=True):
        if "y" in scales and len({ax.get_yscale() for ax in alike}) > 1:
            _make_logarithmic([ax for ax in alike if ax.get_yscale() == "linear"])
        for scale in scales:
            ends = np.array([ax.get_xlim() if scale == "x" else ax.get_ylim() for ax in alike])
            for ax in alike:
                ax.set(**{f"{scale}lim": (ends.min(), ends.max())})


def _make_logarithmic(axes: Sequence[Axes]) -> None:
    for ax in axes:
        ax.set_yscale("log")
        # Statistics whose values are further apart have a logarithmic scale of their own.
        ax.set_ylim(ax.get_ylim()[1] / 40, ax.get_ylim()[1])


def _title_once(row: Row) -> None:
    """Keep of equal titles that of the first column, and none that only repeats the labels of the axes."""
    titles: list[list[Text]] = [[cast("Any", ax)._left_title for ax in cell] for cell in row]
    plain = all(title.get_text() in _PLAIN for part in titles for title in part)
    for part in titles:
        for title, first in zip(part, titles[0], strict=False):
            # Smaller ones name the parts of a panel.
            if plain or (
                part is not titles[0] and title.get_fontsize() == TITLE and title.get_text() == first.get_text()
            ):
                # A space keeps the line free that is not in the first column.
                title.set_text("" if plain else " ")


def _name_groups_once(axes: Sequence[Axes], grid: GridSpec, theme: Theme) -> None:
    """Keep of legends that name the same only the first.

    Those in a cell of several Axes stay, which would be larger without them than in the first column.
    """
    known: set[tuple[str, str]] = set()
    for ax in axes:
        legend, place = ax.get_legend(), ax.get_subplotspec()
        if legend is None or place is None or place.get_gridspec() is not grid:
            continue
        names = [text.get_text() for text in legend.get_texts()]
        entries = {(name, _color(handle)) for name, handle in zip(names, legend.legend_handles, strict=True)}
        dots = [patch for patch in ax.patches if isinstance(patch, Dots)]
        if dots:  # their legend may have moved the title, or the title the legend
            ax.set_title(ax.get_title(loc="left"), loc="left", fontsize=TITLE, color=theme.ink, pad=TITLE_PAD)
        if entries <= known:
            legend.remove()
        elif dots:
            class_legend(ax, dots, theme, title=legend.get_title().get_text())
        known |= entries


def _color(handle: Any) -> str:
    return str(handle.get_color() if isinstance(handle, Line2D) else handle.get_facecolor())
