"""The panels of planes: feature spaces and the decision boundary."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..blocks import Blocks, frames_within
from ..panel import Moving, axes_in, whose
from ..planes import DecisionBoundaryPanel, FeatureSpacePanel, class_legend
from ..spaces import feature_layer, space_of

if TYPE_CHECKING:
    from matplotlib.gridspec import SubplotSpec

    from ...measures import Limits, Projection
    from ...replay import Replay
    from ...replay.spaces import Plane
    from ...replay.values import Split
    from ..panel import Drawn
    from ..theme import Theme


@dataclass(frozen=True)
class FeatureSpace:
    """The feature space of a layer: the last hidden one of two units, or else the last hidden one.

    `projection` is how a wider layer is drawn, and `inputs` which plane of more than two inputs its grid lies on: see
    `Replay.projection` and `Replay.inputs_projection`. `domain` is the part of the inputs' plane that is shown. Of
    several labels, `label` is the one whose regions are shown.
    """

    layer: str | None = None
    projection: Plane | Projection = "pca"
    inputs: Plane | Projection = "pca"
    domain: Limits | None = None
    label: str | None = None
    split: Split = "train"
    output: str | None = None
    span: tuple[int, int] = (2, 2)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        space = space_of(
            replay,
            self.layer or feature_layer(replay),
            projection=self.projection,
            inputs=self.inputs,
            domain=self.domain,
            label=self.label,
            split=self.split,
            output=self.output,
        )
        ax, what = axes_in(area), whose(replay, self.split, self.output)
        first = space.blocks.at(float(replay.epochs[0]))
        panel = FeatureSpacePanel(ax, first, theme=theme, facts=space.facts, title=f"Feature space{what}")
        class_legend(ax, panel.dots, theme, title=panel.quantity)
        return Moving(space.blocks, panel)


@dataclass(frozen=True)
class DecisionBoundary:
    """Decision regions in the plane of two inputs, or in a plane through more: see `Replay.inputs_projection`."""

    inputs: Plane | Projection = "pca"
    domain: Limits | None = None
    label: str | None = None
    split: Split = "train"
    output: str | None = None
    span: tuple[int, int] = (2, 2)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        compute = partial(
            replay.decision_boundary,
            domain=self.domain,
            inputs=self.inputs,
            label=self.label,
            split=self.split,
            output=self.output,
        )
        first = compute(replay.epochs[:1].tolist())
        most = frames_within(first.frame_bytes) if len(first.projection.origin) == 2 else 8
        blocks = Blocks(compute, replay.epochs, at_once=most)
        ax, what = axes_in(area), whose(replay, self.split, self.output)
        panel = DecisionBoundaryPanel(ax, first, theme=theme, title=f"Decision boundary{what}")
        class_legend(ax, panel.dots, theme, title=panel.quantity)
        return Moving(blocks, panel)
