"""The panels of units: all of a network, those of a layer, one of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...errors import Unsupported
from ..blocks import CURVE_FRAMES, Blocks, overview
from ..panel import Moving, axes_in, figure_of
from ..shapes import fitted, text_width
from ..theme import TICK
from ..unit import MapPanel, unit_title
from ..unit_axes import LONGEST, ROW, groups
from ..unit_grid import EdgesPanel, UnitGridPanel, key
from ..unit_histogram import HistogramPanel
from ..unit_life import LifePanel
from ..unit_weights import WeightImagePanel, WeightsPanel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.gridspec import SubplotSpec
    from numpy.typing import ArrayLike

    from ... import measures
    from ...measures import Limits, Projection, UnitMaps
    from ...replay import Replay
    from ...replay.spaces import Plane
    from ..panel import Drawn
    from ..theme import Theme
    from ..unit_axes import Room

# The name of a part, or several boxes side by side; within these one stands above the other, and so on in turns.
_Box: TypeAlias = "str | tuple[_Box, ...]"

# What is drawn of a unit: the first that fits. Alone, a histogram says of which unit it is.
_ARRANGEMENTS: tuple[_Box, ...] = (
    ("map", ("histogram", ("in", "out"))),
    ("map", "histogram", "in", "out"),
    ("map", ("histogram", "in")),
    (("map", "histogram", ("in", "out")),),
    ("map", "histogram", "in"),
    ("map", "histogram"),
    (("map", "histogram", "in"),),
    ("map", ("in", "out")),
    ("map", "in", "out"),
    ("map", "in"),
    ("map",),
    ("alone",),
)

# Points: what Axes have around them, from pad to pad, with a title above and ticks below, and what a label adds; small
# print below; a label with ticks at the left and a colour bar at the right.
_AROUND, _TITLED, _LABEL, _FOOT, _UP, _BAR = 28.0, 52.0, 17.5, 28.0, 50.0, 66.0
# Points: what the labels beside another panel take.
_OTHERS = 120.0


class _Together:
    """Several drawn panels as one."""

    def __init__(self, *drawn: Drawn) -> None:
        self._drawn = drawn
        self.artists: Sequence[Artist] = [artist for each in drawn for artist in each.artists]

    def show(self, epoch: float) -> None:
        for each in self._drawn:
            each.show(epoch)


@dataclass(frozen=True)
class _Part:
    """A part of the picture of a unit: how large its Axes are at least, and what is around them, in points."""

    draw: Callable[[Axes, Room], Drawn]
    axes: Room
    around: Room


@dataclass(frozen=True)
class Unit:
    """One unit of a layer, counted from 0: what it computes, for which examples it is active, its weights.

    The layer is the first with weights by default. `inputs` is which plane of more than two inputs is drawn: see
    `Replay.inputs_projection`. `image_shape`, such as (8, 8), shows the weights of the inputs as an image. An area
    too small for all of these shows fewer: without the weights out of the unit, those into it, the examples.
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
        title = unit_title(whole, replay.unit_life(layer, epochs))
        parts = _of_examples(blocks, whole, title, theme)
        if weights:
            of_weights = Blocks(lambda epochs: replay.unit_weights(layer, self.unit, epochs), replay.epochs, weights)
            parts |= _of_weights(of_weights, weights, self.image_shape, theme)
        room = _room(area)
        boxes = [box for box in (_without(box, parts) for box in _ARRANGEMENTS) if box]
        fit = (box for box in boxes if all(least <= most for least, most in zip(_least(box, parts), room, strict=True)))
        return _Together(*_draw(next(fit, boxes[-1]), area, room, parts))


def _of_examples(blocks: Blocks[measures.Unit], whole: measures.Unit, title: str, theme: Theme) -> dict[str, _Part]:
    """What the unit computes: over a plane if there is one, and for the examples."""
    names = [fitted(name, LONGEST) for *_, name in groups(whole, theme)]
    high = max(40.0, len(names) * ROW)
    wide = _AROUND + max(text_width(name, TICK) for name in names)

    def histogram(title: str | None) -> _Part:
        return _Part(
            lambda ax, room: Moving(blocks, HistogramPanel(ax, whole, theme=theme, title=title, room=room)),
            (90, high),
            (wide, _TITLED + (_LABEL if title else 0)),
        )

    if whole.projection is None:
        return {"histogram": histogram(title)}
    foot = _FOOT if len(whole.projection.origin) > 2 else 0
    plane = _Part(
        lambda ax, room: Moving(blocks, MapPanel(ax, whole, theme=theme, title=title, room=room)),
        (100, 50),
        (_UP + _BAR, _TITLED + _LABEL + foot),
    )
    return {"map": plane, "histogram": histogram(None), "alone": histogram(title)}


def _of_weights(
    blocks: Blocks[measures.UnitWeights],
    weights: measures.UnitWeights,
    image_shape: tuple[int, int] | None,
    theme: Theme,
) -> dict[str, _Part]:
    """The weights into the unit, as bars or as an image, and out of it."""

    def bars(values: Float[np.ndarray, "frame other"], *, outgoing: bool = False) -> _Part:
        name = text_width(f"unit {values.shape[1] - 1}", TICK)
        return _Part(
            lambda ax, room: Moving(blocks, WeightsPanel(ax, weights, theme=theme, outgoing=outgoing, room=room)),
            (62, min(4, values.shape[1] + 1) * ROW),
            (_AROUND + name, _TITLED + _LABEL),
        )

    parts = {"in": bars(weights.incoming)}
    if image_shape:
        parts["in"] = _Part(
            lambda ax, _: Moving(blocks, WeightImagePanel(ax, weights, image_shape, theme=theme)),
            (70, 70),
            (_AROUND + _BAR, _TITLED),
        )
    if weights.outgoing is not None:
        parts["out"] = bars(weights.outgoing, outgoing=True)
    return parts


def _room(area: SubplotSpec) -> Room:
    """How large an area will be at least, in points."""
    grid, (wide, high) = area.get_gridspec(), 72 * figure_of(area).get_size_inches()
    # Less the margins, and the heading.
    wide, high = 0.97 * wide, high - 36
    across, down = _share(grid.get_width_ratios(), area.colspan), _share(grid.get_height_ratios(), area.rowspan)
    # The Axes of all panels share what their labels leave. An area of several Axes has its own labels within it, so
    # that it loses to others, unless they have theirs above or below it.
    if down == 1:
        return (wide - _OTHERS * math.ceil((grid.ncols - len(area.colspan)) / 2)) * across, high
    return wide * across * (1 if across == 1 else 0.88), 0.65 * high * down


def _share(ratios: ArrayLike, part: range) -> float:
    whole = np.asarray(ratios, float)
    return float(whole[part.start : part.stop].sum() / whole.sum())


def _without(box: _Box, parts: dict[str, _Part]) -> _Box:
    """The box with those parts only that there are."""
    if isinstance(box, str):
        return box if box in parts else ()
    return tuple(one for one in (_without(one, parts) for one in box) if one)


def _least(box: _Box, parts: dict[str, _Part], axis: int = 0) -> Room:
    """How much room a box takes at least whose parts lie along an axis: 0 is side by side."""
    if isinstance(box, str):
        part = parts[box]
        return part.axes[0] + part.around[0], part.axes[1] + part.around[1]
    sizes = [_least(one, parts, 1 - axis) for one in box]
    along, across = sum(size[axis] for size in sizes), max(size[1 - axis] for size in sizes)
    return (across, along) if axis else (along, across)


def _draw(box: _Box, area: SubplotSpec, room: Room, parts: dict[str, _Part], axis: int = 0) -> list[Drawn]:
    """Draw a box into an area. Each of its parts gets room in proportion to what it takes at least."""
    if isinstance(box, str):
        part = parts[box]
        # In a grid of its own, or the proportions would be those of the Axes without what is around them.
        ax = axes_in(area.subgridspec(1, 1)[0])
        return [part.draw(ax, (room[0] - part.around[0], room[1] - part.around[1]))]
    ratios = [_least(one, parts, 1 - axis)[axis] for one in box]
    count = len(box)
    # Without gaps, so that Axes that are measured before the layout are about as large as after it.
    gaps = {"wspace": 0.0, "hspace": 0.0}
    grid = (
        area.subgridspec(count, 1, height_ratios=ratios, **gaps)
        if axis
        else area.subgridspec(1, count, width_ratios=ratios, **gaps)
    )
    drawn: list[Drawn] = []
    for number, (one, ratio) in enumerate(zip(box, ratios, strict=True)):
        share = ratio / sum(ratios)
        inner = (room[0], share * room[1]) if axis else (share * room[0], room[1])
        drawn += _draw(one, grid[number], inner, parts, 1 - axis)
    return drawn


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
