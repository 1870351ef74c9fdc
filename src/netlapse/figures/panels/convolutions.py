"""The panels of convolutional layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ...errors import Unsupported
from ..convolutions import FeatureMapsPanel, FiltersPanel
from ..mosaic import steady
from ..panel import Moving, axes_in, entitle, whose

if TYPE_CHECKING:
    from matplotlib.gridspec import SubplotSpec

    from ...replay import Replay
    from ...replay.values import Split
    from ..panel import Drawn
    from ..theme import Theme


@dataclass(frozen=True)
class Filters:
    """The kernels of a convolution, the first one by default: of chosen units and input channels, or the first ones."""

    layer: str | None = None
    units: tuple[int, ...] | None = None
    channels: tuple[int, ...] | None = None
    span: tuple[int, int] = (2, 2)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        layer = self.layer or _first_convolution(replay)
        compute = partial(replay.filters, layer, units=self.units, channels=self.channels)
        blocks, first, limits = steady(compute, replay.epochs, lambda measure: measure.kernels)
        return Moving(blocks, FiltersPanel(axes_in(area), first, largest=max(map(abs, limits)), theme=theme))


@dataclass(frozen=True)
class FeatureMaps:
    """What units of a layer, of the first convolution by default, make of examples, beside these examples.

    By default one example of each class, of 6 at most, and the first units. `image_shape` says what images flat inputs
    are, such as (8, 8).
    """

    layer: str | None = None
    examples: tuple[int, ...] | None = None
    units: tuple[int, ...] | None = None
    split: Split = "train"
    image_shape: tuple[int, ...] | None = None
    span: tuple[int, int] = (2, 2)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        compute = partial(
            replay.feature_maps,
            self.layer or _first_convolution(replay),
            examples=self.examples,
            units=self.units,
            split=self.split,
            image_shape=self.image_shape,
        )
        blocks, first, limits = steady(compute, replay.epochs, lambda measure: measure.maps)
        ax = axes_in(area)
        panel = FeatureMapsPanel(ax, first, limits=limits, theme=theme)
        entitle(ax, whose(replay, self.split))
        return Moving(blocks, panel)


def _first_convolution(replay: Replay) -> str:
    if not replay.convolutions:
        layers = ", ".join(f"{layer.name} ({layer.type})" for layer in replay.layers)
        raise Unsupported(f"run {replay.name!r} has no convolutional layer; its layers are {layers}")
    return replay.convolutions[0]
