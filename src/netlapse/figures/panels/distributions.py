"""The panels of what layers hold: weights, gradients, pre-activations and activations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ..blocks import Blocks, overview
from ..distributions import TITLES, ViolinsPanel
from ..layers_in_time import BandsPanel, RidgesPanel, Statistic, StatisticsPanel
from ..layout import arrange
from ..panel import Moving, axes_in, entitle, figure_of, whose
from ..theme import TITLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.gridspec import SubplotSpec

    from ...measures import Distributions, Kind
    from ...replay import Replay
    from ...replay.values import Split
    from ..panel import Drawn
    from ..theme import Theme

Style = Literal["violins", "bands", "ridgeline"]

# More layers than this are too small to be read, each on Axes of its own.
_MOST_AXES = 9


@dataclass(frozen=True)
class _OfLayers:
    """As violins of all layers at each epoch, or of each layer as quantile bands or a ridgeline over the epochs."""

    kind: ClassVar[Kind]

    style: Style = "violins"
    layers: Sequence[str] | None = None
    log: bool = False
    split: Split = "train"
    span: tuple[int, int] = (1, 2)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area. Raises ValueError for other styles, and what `Replay.distributions` does."""
        compute = partial(replay.distributions, self.kind, self.layers, split=self.split, log=self.log)
        if self.style == "violins":
            blocks = Blocks(compute, replay.epochs)
            first = blocks.at(float(replay.epochs[0]))
            title = f"{TITLES[self.kind]}{whose(replay, self.split)}"
            return Moving(blocks, ViolinsPanel(axes_in(area), first, theme=theme, title=title))
        if self.style not in ("bands", "ridgeline"):
            raise ValueError(f"there is no style {self.style!r}; there are violins, bands and ridgeline")
        whole = compute(overview(replay.epochs))
        part = BandsPanel if self.style == "bands" else RidgesPanel
        return Moving(_between(whole), *_multiples(whole, area, theme, part, whose(replay, self.split)))


@dataclass(frozen=True)
class Weights(_OfLayers):
    """Kernels of each layer."""

    kind: ClassVar[Kind] = "weights"


@dataclass(frozen=True)
class Gradients(_OfLayers):
    """Gradients of the probe's mean loss by the kernels of each layer."""

    kind: ClassVar[Kind] = "gradients"
    log: bool = True


@dataclass(frozen=True)
class LayerGradients(_OfLayers):
    """Gradients of each example's loss by the pre-activations of each layer."""

    kind: ClassVar[Kind] = "layer_gradients"
    log: bool = True


@dataclass(frozen=True)
class PreActivations(_OfLayers):
    """What each layer gives its activation function."""

    kind: ClassVar[Kind] = "pre_activations"


@dataclass(frozen=True)
class Activations(_OfLayers):
    """What each layer puts out."""

    kind: ClassVar[Kind] = "activations"


@dataclass(frozen=True)
class LayerStatistics:
    """One number of each layer over the epochs: "deviation", "zeros" (their share), "norm" or "rms"."""

    kind: Kind = "weights"
    statistic: Statistic = "deviation"
    layers: Sequence[str] | None = None
    split: Split = "train"
    span: tuple[int, int] = (1, 2)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        whole = replay.distributions(self.kind, self.layers, overview(replay.epochs), split=self.split)
        ax = axes_in(area)
        panel = StatisticsPanel(ax, whole, statistic=self.statistic, theme=theme)
        entitle(ax, whose(replay, self.split))
        return Moving(_between(whole), panel)


def _between(whole: Distributions) -> Blocks[Distributions]:
    """What shows no more than the epoch needs no more than the overview."""
    return Blocks(lambda _: whole, whole.epochs, known=whole)


def _multiples(
    whole: Distributions, area: SubplotSpec, theme: Theme, part: type[BandsPanel | RidgesPanel], what: str
) -> list[BandsPanel | RidgesPanel]:
    """Axes for each layer, under one title; of many layers, evenly spaced ones."""
    total, figure = len(whole.layers), figure_of(area)
    shown: list[int] = np.unique(np.linspace(0, total - 1, min(total, _MOST_AXES)).round().astype(int)).tolist()
    box = area.get_position(figure)
    ratio = box.width * figure.get_figwidth() / (box.height * figure.get_figheight())
    layout = arrange([(1, 1)] * len(shown), ratio)
    grid = area.subgridspec(layout.rows + 1, layout.columns, height_ratios=[0.001, *[1] * layout.rows])
    head = figure.add_subplot(grid[0, :])
    head.set(xticks=[], yticks=[])
    head.axis("off")
    shows = "median, 50, 90 and 98 % of the values" if part is BandsPanel else "distribution"
    some = "" if len(shown) == total else f", {len(shown)} of {total} layers"
    head.set_title(f"{TITLES[whole.kind]}{what}: {shows}{some}", loc="left", fontsize=TITLE, color=theme.ink)
    found: list[BandsPanel | RidgesPanel] = []
    for number, layer in enumerate(shown):
        row, column = divmod(number, layout.columns)
        ax = figure.add_subplot(grid[1 + row, column])
        found.append(part(ax, whole, whole.layers[layer], theme=theme))
        # Small multiples say once what all have in common.
        if number + layout.columns < len(shown):
            ax.set_xlabel("")
        if column:
            ax.set_ylabel("")
    return found
