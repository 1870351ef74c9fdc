"""The panel of confusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..blocks import Blocks
from ..confusion import ConfusionPanel
from ..panel import Moving, axes_in, entitle, whose

if TYPE_CHECKING:
    from matplotlib.gridspec import SubplotSpec

    from ...replay import Replay
    from ..panel import Drawn
    from ..theme import Theme


@dataclass(frozen=True)
class Confusion:
    """Which classes are taken for which; with `shares` in per cent of the true class. Of several labels, `label`."""

    shares: bool = False
    label: str | None = None
    split: Literal["train", "validation"] = "train"
    output: str | None = None
    span: tuple[int, int] = (2, 2)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        blocks = Blocks(
            lambda epochs: replay.confusion(epochs, label=self.label, split=self.split, output=self.output),
            replay.epochs,
        )
        first = blocks.at(float(replay.epochs[0]))
        ax = axes_in(area)
        panel = ConfusionPanel(ax, first, theme=theme, shares=self.shares)
        entitle(ax, whose(replay, self.split, self.output))
        return Moving(blocks, panel)
