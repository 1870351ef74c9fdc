"""The panel of the losses of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..blocks import Blocks, overview
from ..panel import Moving, entitle, figure_of, whose
from ..token_losses import PlaceLossesPanel, TokenLossesPanel, largest_place_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.gridspec import SubplotSpec

    from ...measures import LossByPlace
    from ...replay import Replay
    from ..panel import Drawn
    from ..theme import Theme


@dataclass(frozen=True)
class TokenLosses:
    """The loss of every place of some `examples`, by their numbers in the probe, and the mean by place of all."""

    examples: tuple[int, ...] | None = None
    split: Literal["train", "validation"] = "train"
    span: tuple[int, int] = (2, 2)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""

        def measured(epochs: Sequence[float]) -> LossByPlace:
            return replay.loss_by_place(epochs, examples=self.examples, split=self.split)

        whole = measured(overview(replay.epochs))
        figure, grid = figure_of(area), area.subgridspec(2, 1, height_ratios=(3, 2))
        largest = largest_place_loss(whole)
        above, below = (figure.add_subplot(part) for part in (grid[0], grid[1]))
        parts = (
            TokenLossesPanel(above, whole, largest=largest, theme=theme),
            PlaceLossesPanel(below, whole, largest=largest, theme=theme),
        )
        entitle(above, whose(replay, self.split))
        return Moving(Blocks(measured, replay.epochs, known=whole), *parts)
