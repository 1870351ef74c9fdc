"""The panel of attention layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ...errors import Unsupported
from ..attention import AttentionPanel
from ..mosaic import steady
from ..panel import Moving, axes_in, entitle, whose

if TYPE_CHECKING:
    from matplotlib.gridspec import SubplotSpec

    from ...replay import Replay
    from ...replay.values import Split
    from ..panel import Drawn
    from ..theme import Theme


@dataclass(frozen=True)
class Attention:
    """What places attend to in a layer, the first that attends by default; `tokens` name the places.

    By default of the first example of the probe, and by its heads, of which 12 at most.
    """

    layer: str | None = None
    examples: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    tokens: tuple[str, ...] | None = None
    split: Split = "train"
    span: tuple[int, int] = (2, 2)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        compute = partial(
            replay.attention_maps,
            self.layer or _first_attention(replay),
            examples=self.examples,
            heads=self.heads,
            split=self.split,
        )
        blocks, first, (_, largest) = steady(compute, replay.epochs, lambda measure: measure.weights)
        ax = axes_in(area)
        panel = AttentionPanel(ax, first, largest=largest, theme=theme, tokens=self.tokens)
        entitle(ax, whose(replay, self.split))
        return Moving(blocks, panel)


def _first_attention(replay: Replay) -> str:
    if not replay.attention_layers:
        layers = ", ".join(f"{layer.name} ({layer.type})" for layer in replay.layers)
        raise Unsupported(f"run {replay.name!r} has no layer whose attention can be seen; its layers are {layers}")
    return replay.attention_layers[0]
