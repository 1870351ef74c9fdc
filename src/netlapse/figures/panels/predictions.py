"""The panels of regression: predicted against true, and the residuals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..blocks import Blocks, overview
from ..layout import arrange
from ..panel import Moving, entitle, figure_of, whose
from ..predictions import PredictionsPanel, ResidualsPanel, largest_residual, prediction_limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.gridspec import SubplotSpec

    from ...measures import Predictions as Measure
    from ...replay import Replay
    from ..panel import Drawn
    from ..theme import Theme

# Of more quantities than these no picture in a picture could be read.
_MOST = 4


@dataclass(frozen=True)
class Predictions:
    """Predicted against true, one picture for each of `quantities`, the output's units: by default the first four."""

    quantities: tuple[int, ...] | None = None
    split: Literal["train", "validation"] = "train"
    output: str | None = None
    span: tuple[int, int] = (1, 1)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        whole, blocks = _measured(self, replay)
        axes = _axes(area, len(whole.names))
        parts = [
            PredictionsPanel(ax, whole, limits=prediction_limits(whole, place), theme=theme, quantity=place)
            for place, ax in enumerate(axes)
        ]
        entitle(axes[0], whose(replay, self.split, self.output))
        return Moving(blocks, *parts)


@dataclass(frozen=True)
class Residuals:
    """Histograms of predicted less true, one for each of `quantities`, the output's units: by default four."""

    quantities: tuple[int, ...] | None = None
    split: Literal["train", "validation"] = "train"
    output: str | None = None
    span: tuple[int, int] = (1, 1)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        whole, blocks = _measured(self, replay)
        axes = _axes(area, len(whole.names))
        parts = [
            ResidualsPanel(ax, whole, largest=largest_residual(whole, place), theme=theme, quantity=place)
            for place, ax in enumerate(axes)
        ]
        entitle(axes[0], whose(replay, self.split, self.output))
        return Moving(blocks, *parts)


def _measured(panel: Predictions | Residuals, replay: Replay) -> tuple[Measure, Blocks[Measure]]:
    """The measure of the whole run, for the scales, and the one that is shown."""
    quantities = panel.quantities
    if quantities is None:
        names = replay.task(split=panel.split, output=panel.output).names
        quantities = tuple(range(min(len(names), _MOST)))

    def measured(epochs: Sequence[float]) -> Measure:
        return replay.predictions(epochs, quantities=quantities, split=panel.split, output=panel.output)

    whole = measured(overview(replay.epochs))
    return whole, Blocks(measured, replay.epochs, known=whole)


def _axes(area: SubplotSpec, count: int) -> list[Axes]:
    figure, box = figure_of(area), area.get_position(figure_of(area))
    layout = arrange([(1, 1)] * count, box.width * figure.get_figwidth() / (box.height * figure.get_figheight()))
    grid = area.subgridspec(layout.rows, layout.columns)
    return [figure.add_subplot(grid[place]) for place in layout.places]
