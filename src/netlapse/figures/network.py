"""A feed-forward network as a diagram: units as nodes split into z and activation, weights as edges."""
# matplotlib leaves **kwargs untyped.

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Polygon

from ..errors import Unsupported
from ..measures.dense import DenseLayer as DenseLayer
from ..measures.dense import shown
from .shapes import text_width
from .theme import LABEL, THEMES, TICK, TITLE, Theme, ThemeName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

MOST_NUMBERS = 12
WIDE = 1.9
"""Half the width of a split node, in radii."""
# How much wider than plain letters bold ones are, and the space between two words.
_BOLD = 1.25


@dataclass(frozen=True)
class Column:
    """Where the nodes of one layer are, in inches; `half` is half the width of a node.

    `rows` are (unit, height); unit None is the gap that stands for the units left out.
    """

    x: float
    half: float
    rows: tuple[tuple[int | None, float], ...]

    @property
    def nodes(self) -> list[tuple[int, float]]:
        """Unit and height of every node that is drawn."""
        return [(unit, y) for unit, y in self.rows if unit is not None]


def network_diagram(layers: Sequence[DenseLayer], ax: Axes, *, theme: ThemeName = "light") -> list[Artist]:
    """Draw inputs, units and weights of dense `layers`, first to last.

    An edge is as wide as its weight is large, and dashed if that is negative. Up to 12 weights are printed,
    with the biases. Layers of more than 8 units are shortened and say by how many units. Raises Unsupported
    for kernels that are not matrices or do not follow from one another, and for more layers than the Axes are wide for.
    """
    _check(layers)
    colours = THEMES[theme]
    width, height = paper(ax, colours)
    sizes = [layers[0].kernel.shape[0], *(layer.kernel.shape[1] for layer in layers)]
    _check_room(layers, width, len(sizes))
    numbers = sum(layer.kernel.size for layer in layers) <= MOST_NUMBERS
    widest = max(float(np.abs(layer.kernel).max()) for layer in layers) or 1.0
    floor, ceiling, step = 0.4, height - 0.8, width / len(sizes)
    pitch = (ceiling - floor) / max(len(shown(size)) for size in sizes)
    # Under a node its bias needs a line of text.
    radius = min(0.38, 0.44 * pitch, step / 8, (pitch - 0.28) / 2 if numbers else 0.38)
    columns = [
        column(size, step * (depth + 0.5), radius * (WIDE if depth else 1), floor, ceiling)
        for depth, size in enumerate(sizes)
    ]
    artists = [*_heading(columns[0], ceiling, "inputs", f"{sizes[0]}", ax, colours)]
    artists += [
        part for unit, y in columns[0].nodes for part in node(columns[0], y, radius, f"$x_{{{unit + 1}}}$", ax, colours)
    ]
    for depth, (layer, (source, target)) in enumerate(zip(layers, pairwise(columns), strict=True), start=1):
        out = "\\hat{y}" if depth == len(layers) else "a"
        count = f"{sizes[depth]} unit{'s' if sizes[depth] > 1 else ''}"
        detail = f"{count}, ${out}$ = {layer.activation}($z$)"
        if text_width(f"{count}, y = {layer.activation}(z) ", LABEL) > 72 * step:
            detail = count
        artists += _heading(target, ceiling, layer.name, detail, ax, colours)
        labels = [[number(weight) for weight in row] for row in layer.kernel] if numbers else None
        artists += edges(layer.kernel, source, target, ax, colours, labels=labels, widest=widest)
        for unit, y in target.nodes:
            index = _index(unit, depth, sizes)
            artists += node(target, y, radius, f"$z{index}$", ax, colours, activation=f"${out}{index}$")
            if numbers and layer.bias is not None:
                place, text = (target.x, y - radius - 0.16), f"$b$ = {number(layer.bias[unit])}"
                artists.append(ax.text(*place, text, **_centred(TICK), color=colours.ink))
    artists += [
        ax.text(one.x, y, f"⋮  {size - len(one.nodes)} more", **_centred(LABEL), color=colours.muted, zorder=4)
        for one, size in zip(columns, sizes, strict=True)
        for unit, y in one.rows
        if unit is None
    ]
    return [*artists, _key(widest, ax, colours)]


def paper(ax: Axes, colours: Theme) -> tuple[float, float]:
    """Make the data units of `ax` inches, so that nodes keep in proportion to text. Its width and height."""
    ax.set(xticks=[], yticks=[], facecolor=colours.surface)
    for spine in ax.spines.values():
        spine.set_visible(False)
    figure = ax.figure.figure
    if layout := figure.get_layout_engine():
        layout.execute(figure)  # or the size would be that before the layout, a quarter too small
    width, height = np.array(ax.get_window_extent().size) / figure.dpi
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    return float(width), float(height)


def column(size: int, x: float, half: float, floor: float, ceiling: float) -> Column:
    """Spread the nodes of a layer evenly between two heights, the first on top."""
    units = shown(size)
    pitch = (ceiling - floor) / len(units)
    return Column(x, half, tuple((unit, ceiling - pitch * (row + 0.5)) for row, unit in enumerate(units)))


def node(
    where: Column,
    y: float,
    radius: float,
    text: str,
    ax: Axes,
    colours: Theme,
    *,
    activation: str | None = None,
) -> list[Artist]:
    """A circle with `text`; with an `activation`, a pill with that on its right half."""
    size = min(15.0, 0.78 * 72 * radius)
    parts: list[Artist] = []
    look: dict[str, Any] = {"ec": colours.ink, "lw": 1.4, "zorder": 3}
    if activation is None:
        parts.append(ax.add_patch(Circle((where.x, y), radius, fc=colours.surface, **look)))
        parts.append(ax.text(where.x, y, text, **_centred(size), color=colours.ink, zorder=5))
        return parts
    turn = np.linspace(np.pi / 2, 3 * np.pi / 2, 40)
    arc = radius * np.column_stack([np.cos(turn), np.sin(turn)]) - (where.half - radius, 0)
    outline = np.concatenate([arc, [(0, -radius), (0, radius)]])
    for side, label in ((1, text), (-1, activation)):
        fill, ink = (colours.surface, colours.ink) if side == 1 else (colours.muted, colours.surface)
        parts.append(ax.add_patch(Polygon(outline * (side, 1) + (where.x, y), fc=fill, **look)))
        middle = where.x - side * 0.47 * where.half
        parts.append(ax.text(middle, y, label, **_centred(size), color=ink, zorder=5))
    return parts


def edges(
    kernel: Float[np.ndarray, "input unit"],
    source: Column,
    target: Column,
    ax: Axes,
    colours: Theme,
    *,
    labels: Sequence[Sequence[str]] | None = None,
    size: float = TICK,
    widest: float | None = None,
) -> list[Artist]:
    """The weights between two columns as lines, with `labels` (a row per input) on them.

    The weight of size `widest`, by default the largest of this kernel, has the widest line.
    """
    ends = [(i, j, y, end) for i, y in source.nodes for j, end in target.nodes]
    weights = np.array([kernel[i, j] for i, j, _, _ in ends])
    start, stop = source.x + source.half, target.x - target.half
    thickest = (5.0 if labels else 2.4) / (widest or float(np.abs(kernel).max()) or 1.0)
    lines = LineCollection(
        [[(start, y), (stop, end)] for _, _, y, end in ends],
        colors=[colours.ink if weight >= 0 else colours.muted for weight in weights],
        linewidths=np.maximum(0.6, thickest * np.abs(weights)),
        linestyles=["solid" if weight >= 0 else (0, (2.4, 1.2)) for weight in weights],
        zorder=1,
    )
    ax.add_collection(lines, autolim=False)
    if labels is None:
        return [lines]
    # At this fraction of the way the labels of all edges are evenly spaced, one above the other.
    way = 1 / (1 + len(source.rows))
    surround = {"boxstyle": "round,pad=0.12", "fc": colours.surface, "ec": "none"}
    texts: list[Artist] = []
    for i, j, y, end in ends:
        place = start + way * (stop - start), y + way * (end - y)
        look: dict[str, Any] = {**_centred(size), "color": colours.ink, "bbox": surround, "zorder": 2}
        texts.append(ax.text(*place, labels[i][j], **look))
    return [lines, *texts]


def number(value: float) -> str:
    """Up to three decimals, or two digits of what would vanish in them, with a true minus sign."""
    rounded = round(float(value), 3) or float(f"{float(value):.2g}")
    return f"{rounded + 0.0:g}".replace("-", "\N{MINUS SIGN}")


def _index(unit: int, depth: int, sizes: Sequence[int]) -> str:
    """Subscript of a unit, with its layer above where the layers could be mistaken for one another."""
    last = depth == len(sizes) - 1
    if last and sizes[-1] == 1 and len(sizes) <= 3:
        return ""
    layer = f"^{{({depth})}}" if len(sizes) > 3 or (len(sizes) == 3 and sizes[-1] > 1) else ""
    return f"_{{{unit + 1}}}{layer}"


def _heading(where: Column, y: float, name: str, detail: str, ax: Axes, colours: Theme) -> list[Artist]:
    title = ax.text(where.x, y + 0.36, name, ha="center", fontsize=TITLE, color=colours.ink, weight="bold")
    return [title, ax.text(where.x, y + 0.12, detail, ha="center", fontsize=LABEL, color=colours.muted)]


def _key(widest: float, ax: Axes, colours: Theme) -> Artist:
    scale = f"          width ∝ |weight|, widest {number(widest)}"
    return ax.legend(
        handles=[
            Line2D([], [], color=colours.ink, lw=3, label="positive weight"),
            Line2D([], [], color=colours.muted, lw=3, dashes=(2.4, 1.2), label=f"negative weight{scale}"),
        ],
        loc="lower center",
        borderaxespad=0,
        ncols=2,
        frameon=False,
        fontsize=TICK,
        labelcolor=colours.ink,
        handlelength=2.6,
    )


def _centred(size: float) -> dict[str, Any]:
    return {"ha": "center", "va": "center", "fontsize": size}


def _check(layers: Sequence[DenseLayer]) -> None:
    if not layers:
        raise Unsupported("a network diagram needs at least one dense layer, and was given none")
    for layer in layers:
        if np.ndim(layer.kernel) != 2:
            raise Unsupported(
                f"layer {layer.name!r} has a kernel of shape {np.shape(layer.kernel)}; the diagram shows "
                "dense layers, whose kernels are (inputs, units)"
            )
    for before, after in pairwise(layers):
        if before.kernel.shape[1] != after.kernel.shape[0]:
            raise Unsupported(
                f"layer {after.name!r} takes {after.kernel.shape[0]} inputs, but {before.name!r} before it "
                f"has {before.kernel.shape[1]} units; give the dense layers in order and leave none out"
            )


def _check_room(layers: Sequence[DenseLayer], width: float, columns: int) -> None:
    """Whether the names of the layers, which are bold, fit into so many columns beside one another."""
    needed = columns * max(_BOLD * text_width(name, TITLE) for name in ("inputs", *(layer.name for layer in layers)))
    if needed > 72 * width:
        raise Unsupported(
            f"a diagram of {len(layers)} layers with these names needs Axes {needed / 72:.0f} inches wide, and these"
            f" have {width:.1f}; give it wider ones, or draw the panel 'network', for up to 30 layers"
        )
