"""The panels of units: all of a network, those of a layer, one of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ...errors import Unsupported
from ..blocks import CURVE_FRAMES, Blocks, overview
from ..panel import Moving, axes_in, figure_of
from ..unit import HistogramPanel, MapPanel, WeightImagePanel, WeightsPanel, unit_title
from ..unit_grid import EdgesPanel, UnitGridPanel, key
from ..unit_life import LifePanel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.gridspec import SubplotSpec

    from ...measures import Limits, Projection, UnitMaps
    from ...replay import Replay
    from ...replay.spaces import Plane
    from ..panel import Drawn
    from ..theme import Theme


class _Together:
    """Several drawn panels as one."""

    def __init__(self, *drawn: Drawn) -> None:
        self._drawn = drawn
        self.artists: Sequence[Artist] = [artist for each in drawn for artist in each.artists]

    def show(self, epoch: float) -> None:
        for each in self._drawn:
            each.show(epoch)


@dataclass(frozen=True)
class Unit:
    """One unit of a layer, counted from 0: what it computes, for which examples it is active, its weights.

    The layer is the first with weights by default. `inputs` is which plane of more than two inputs is drawn: see
    `Replay.inputs_projection`. `image_shape`, such as (8, 8), shows the weights of the inputs as an image.
    """

    layer: str | None = None
    unit: int = 0
    inputs: Plane | Projection = "pca"
    image_shape: tuple[int, int] | None = None
    domain: Limits | None = None
    span: tuple[int, int] = (2, 4)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        layer, epochs = self.layer or _first(replay), overview(replay.epochs)
        compute = partial(replay.unit, layer, self.unit, inputs=self.inputs, domain=self.domain)
        whole = compute(epochs)
        blocks = Blocks(compute, replay.epochs, whole)
        try:
            weights = replay.unit_weights(layer, self.unit, epochs)
        except Unsupported:
            weights = None  # of a network that is no chain of dense layers
        planar, figure = whole.x is not None, figure_of(area)
        title = unit_title(whole, replay.unit_life(layer, epochs))
        grid = area.subgridspec(1, 2, width_ratios=(1.2, 1) if planar else (1, 2))
        ways = 0 if weights is None else 1 if weights.outgoing is None else 2
        cells = grid[1].subgridspec(2 if planar and ways else 1, max(ways, 1))
        place = cells[0, :] if planar else grid[0] if ways else area
        histogram = HistogramPanel(figure.add_subplot(place), whole, theme=theme, title=None if planar else title)
        drawn: list[Drawn] = [Moving(blocks, histogram)]
        if planar:
            drawn.append(Moving(blocks, MapPanel(figure.add_subplot(grid[0]), whole, theme=theme, title=title)))
        if weights:
            of_weights = Blocks(lambda epochs: replay.unit_weights(layer, self.unit, epochs), replay.epochs, weights)
            below = [figure.add_subplot(cells[-1, column]) for column in range(cells.ncols)]
            if self.image_shape:
                drawn.append(Moving(of_weights, WeightImagePanel(below[0], weights, self.image_shape, theme=theme)))
            else:
                drawn.append(Moving(of_weights, WeightsPanel(below[0], weights, theme=theme)))
            out = [WeightsPanel(ax, weights, theme=theme, outgoing=True) for ax in below[1:]]
            drawn.append(Moving(of_weights, *out))
        return _Together(*drawn)


@dataclass(frozen=True)
class UnitLife:
    """For how many examples each unit of a layer is active, at every epoch, and when it is dead.

    The layer is the first with weights by default.
    """

    layer: str | None = None
    span: tuple[int, int] = (1, 2)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        life = replay.unit_life(self.layer or _first(replay), overview(replay.epochs, CURVE_FRAMES))
        return LifePanel(axes_in(area), life, theme=theme)


@dataclass(frozen=True)
class UnitGrid:
    """What every unit computes over the plane of two inputs (else its mean activation), layer by layer."""

    domain: Limits | None = None
    span: tuple[int, int] = (2, 2)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        ax, (whole, blocks) = axes_in(area), _maps(replay, self.domain)
        key(ax, theme)
        return Moving(blocks, UnitGridPanel(ax, whole, theme=theme))


@dataclass(frozen=True)
class Network:
    """The network: its units with what they compute, and its weights as lines, coloured by sign, as wide as large."""

    domain: Limits | None = None
    span: tuple[int, int] = (2, 3)

    def draw(self, replay: Replay, area: SubplotSpec, theme: Theme) -> Drawn:
        """Draw it into this area."""
        ax, (whole, blocks) = axes_in(area), _maps(replay, self.domain)
        weights = replay.network_weights(overview(replay.epochs))
        grid = UnitGridPanel(ax, whole, theme=theme, title="Network", numbered=False)
        edges = EdgesPanel(ax, weights, grid.places, theme=theme)
        key(ax, theme, edges.widest)
        of_weights = Blocks(replay.network_weights, replay.epochs, known=weights)
        return _Together(Moving(of_weights, edges), Moving(blocks, grid))


def _maps(replay: Replay, domain: Limits | None) -> tuple[UnitMaps, Blocks[UnitMaps]]:
    whole = replay.unit_maps(overview(replay.epochs), domain=domain)
    return whole, Blocks(lambda epochs: replay.unit_maps(epochs, domain=domain), replay.epochs, known=whole)


def _first(replay: Replay) -> str:
    """The first layer that has weights."""
    weighted = {parameter.layer for parameter in replay.run.manifest.parameters}
    return next(layer.name for layer in replay.layers if layer.name in weighted)
