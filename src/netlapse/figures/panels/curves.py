"""The panel of learning curves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..blocks import CURVE_FRAMES, Blocks, overview
from ..curves import CurvesPanel
from ..panel import axes_in

if TYPE_CHECKING:
    from matplotlib.gridspec import SubplotSpec

    from ... import measures
    from ...replay import Replay
    from ..panel import Drawn
    from ..theme import Theme


@dataclass(frozen=True)
class Curves:
    """Accuracy (or R²) and mean loss of the probe; with validation examples, theirs too and the gap between both."""

    output: str | None = None
    span: tuple[int, int] = (1, 1)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        few = overview(replay.epochs, CURVE_FRAMES)
        computes = [partial(replay.curves, split=split, output=self.output) for split in replay.splits]
        wholes = [compute(few) for compute in computes]
        blocks = [Blocks(compute, replay.epochs, known=whole) for compute, whole in zip(computes, wholes, strict=True)]
        panel = CurvesPanel(axes_in(area), wholes[0], theme=theme, validation=wholes[1] if len(wholes) > 1 else None)
        return _Drawn(panel, blocks)


class _Drawn:
    def __init__(self, panel: CurvesPanel, blocks: list[Blocks[measures.Curves]]) -> None:
        self.parts, self.artists, self._blocks = (panel,), panel.artists, blocks

    def show(self, epoch: float) -> None:
        self.parts[0].show(*(block.at(epoch) for block in self._blocks))
