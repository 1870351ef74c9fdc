"""The panel of the grand tour."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from ..blocks import Blocks, frames_within, overview
from ..panel import Moving, axes_in, whose
from ..planes import class_legend
from ..spaces import feature_layer
from ..tour import GrandTourPanel, limits_of

if TYPE_CHECKING:
    from matplotlib.gridspec import SubplotSpec

    from ...measures import Projection
    from ...replay import Replay
    from ...replay.values import Split
    from ..panel import Drawn
    from ..theme import Theme

# Enough for the scale.
_FEW = 64


@dataclass(frozen=True)
class GrandTour:
    """The feature space of a layer, by default that of the feature space, under the grand tour fixed by `seed`.

    From the first epoch to the last it passes so many `stops`, from the plane of the principal directions on.
    """

    layer: str | None = None
    stops: int = 8
    seed: int = 0
    split: Split = "train"
    output: str | None = None
    span: tuple[int, int] = (2, 2)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        if self.stops < 0:
            raise ValueError(f"stops={self.stops}; a tour passes 0 stops, so that it stands still, or more")
        layer = self.layer or feature_layer(replay)
        tour = replay.grand_tour(layer, seed=self.seed, split=self.split)
        start, end = float(replay.epochs[0]), float(replay.epochs[-1])

        @lru_cache(maxsize=1)
        def way(epoch: float) -> Projection:
            return tour(self.stops * (epoch - start) / (end - start) if end > start else 0.0)

        compute = partial(replay.toured, tour, layer, split=self.split, output=self.output)
        at_once = frames_within(compute([start]).frame_bytes)
        few = overview(replay.epochs, _FEW)
        parts = (compute(few[k : k + at_once]) for k in range(0, len(few), at_once))
        limits = limits_of(parts, way)
        blocks = Blocks(compute, replay.epochs, at_once=at_once)
        ax, title = axes_in(area), f"Grand tour{whose(replay, self.split, self.output)}"
        panel = GrandTourPanel(ax, blocks.at(start), way, limits=limits, theme=theme, title=title)
        class_legend(ax, panel.dots, theme, title=panel.quantity)
        return Moving(blocks, panel)
