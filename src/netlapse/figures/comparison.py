"""Several runs side by side."""

from __future__ import annotations

from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MissingFrame
from ..measures import plane
from .blocks import Blocks, frames_within
from .learning_curves import LearningCurves
from .planes import DecisionBoundaryPanel, FeatureSpacePanel, class_legend
from .spaces import feature_layer, shared_projection, space_of
from .stage import DPI, Clock, distinct_titles, new_figure, shared_settings
from .theme import THEMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..measures import Limits, Projection
    from ..replay import Replay
    from .theme import Theme, ThemeName


class Comparison:
    """Runs in columns: feature spaces above, decision boundaries below; at the right their curves on shared axes.

    The clock runs over the epochs that all of them recorded.
    """

    def __init__(
        self,
        replays: Sequence[Replay],
        *,
        layer: str | None = None,
        domain: Limits | None = None,
        curves: bool = True,
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
        domain = domain or _shared_domain(replays)
        projection = shared_projection(replays, layer)
        columns = len(replays) + curves
        self.figure = new_figure(size or (430 * columns, 860), dpi, colors)
        grid = self.figure.add_gridspec(2, columns)
        self._columns: list[_Column] = []
        for number, (replay, title) in enumerate(zip(replays, distinct_titles(replays), strict=True)):
            axes = [self.figure.add_subplot(grid[row, number]) for row in (0, 1)]
            of = layer or feature_layer(replay)
            self._columns.append(_Column(replay, axes, title, of, domain, projection, colors))
        class_legend(self.figure.axes[1], self._columns[0].dots, colors)
        self._curves: LearningCurves | None = None
        if curves:
            axes = [self.figure.add_subplot(grid[row, columns - 1]) for row in (0, 1)]
            self._curves = LearningCurves(replays, axes, theme=theme, follow=True)
        self._clock = Clock(self.figure, shared_settings(replays), self.epochs, colors)
        self.artists: list[Artist] = [
            *(artist for column in self._columns for artist in column.artists),
            *(self._curves.artists if self._curves else ()),
            *self._clock.artists,
        ]

    def show(self, epoch: float) -> None:
        """Move every panel to this epoch."""
        for column in self._columns:
            column.show(epoch)
        if self._curves is not None:
            self._curves.show(epoch)
        self._clock.show(epoch)


class _Column:
    def __init__(
        self,
        replay: Replay,
        axes: Sequence[Axes],
        title: str,
        layer: str,
        domain: Limits | None,
        projection: Projection | None,
        theme: Theme,
    ) -> None:
        space = space_of(replay, layer, projection=projection or "pca", domain=domain)
        self._space = space.blocks
        compute = partial(replay.decision_boundary, domain=domain)
        first = float(replay.epochs[0])
        boundary = compute([first])
        self._boundary = Blocks(compute, replay.epochs, at_once=frames_within(boundary.frame_bytes))
        self._space_panel = FeatureSpacePanel(
            axes[0], self._space.at(first), theme=theme, title=title, facts=space.facts
        )
        self._boundary_panel = DecisionBoundaryPanel(axes[1], boundary, theme=theme, title="")
        self.dots = self._boundary_panel.dots
        self.artists: list[Artist] = [*self._space_panel.artists, *self._boundary_panel.artists]

    def show(self, epoch: float) -> None:
        self._space_panel.show(self._space.at(epoch))
        self._boundary_panel.show(self._boundary.at(epoch))


def _shared_domain(replays: Sequence[Replay]) -> Limits | None:
    inputs: list[Any] = [replay.inputs() for replay in replays]
    # Networks of other inputs have no input plane: the measures say so where it is needed.
    flat = all(np.ndim(part) == 2 and part.shape[1] == 2 for part in inputs)
    return plane.domain(np.concatenate(inputs)) if flat else None
