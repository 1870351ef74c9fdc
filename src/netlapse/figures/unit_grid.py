"""All units of a network at once: small heatmaps, layer by layer, with or without the weights between them."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from ..errors import Unsupported
from ..measures.dense import shown
from .panel import last_epoch
from .shapes import text_width
from .theme import LABEL, THEMES, TICK, TITLE, TITLE_PAD
from .thumbnails import Thumbnails, signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..measures import NetworkWeights, UnitMaps
    from .theme import Theme, ThemeName

MOST_LAYERS = 30
WIDEST = 5.0
"""Points: the line of the largest weight of the run."""

_THINNEST = 0.25
# Points: a line of the headings, and what the key takes.
_LINE, _KEY = 15.0, 24.0
# Points: in columns narrower than this, nodes have no numbers.
_LEAST_STEP = 40.0
_WAY = np.linspace(0, 1, 18)
_BEND = _WAY**2 * (3 - 2 * _WAY)


class UnitGridPanel:
    """A node for every unit shown, with what it computes; each layer has one scale for the whole run.

    `maps` are those of many frames of the run: the scales are taken from them.
    """

    def __init__(
        self, ax: Axes, maps: UnitMaps, *, theme: Theme, title: str = "What the units compute", numbered: bool = True
    ) -> None:
        if len(maps.layers) > MOST_LAYERS + 1:
            raise Unsupported(
                f"the network has {len(maps.layers) - 1} layers; units are drawn of networks of up to {MOST_LAYERS},"
                " and of larger ones those of a layer by the panels 'unit' and 'unit_life'"
            )
        ax.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], facecolor=theme.surface)
        for spine in ax.spines.values():
            spine.set_visible(False)
        title += ": means over the examples" if maps.x is None else ""
        ax.set_title(title, loc="left", fontsize=TITLE, color=theme.ink, pad=TITLE_PAD)
        ranges = np.array(ranges_of(maps))
        width, height = _points(ax)
        headings = _headings(maps, ranges, width, sum(height > enough for enough in (0, 180, 260)))
        lines = len(headings[0])
        floor, top = _KEY / height, 1 - (lines * _LINE + 6) / height
        rows = _rows(maps, floor, top)
        step = 1 / len(rows)
        nodes = [
            (step * (depth + 0.5), y) for depth, column in enumerate(rows) for unit, y in column if unit is not None
        ]
        self.places = np.array(nodes)
        pitch = (0.7 * step, (top - floor) / max(map(len, rows)))
        self._nodes = Thumbnails(ax, self.places, pitch=pitch, ranges=ranges[maps.depths], theme=theme)
        _write_headings(ax, headings, width, theme)
        named = width * step > _LEAST_STEP
        _mark_gaps(ax, maps, rows, theme, counted=named)
        if named:
            _number(ax, rows, 4 + 0.4 * min(pitch[0] * width, pitch[1] * height), theme, all_layers=numbered)
        for text in ax.texts:
            text.set_in_layout(False)
        self._note = ax.annotate(
            "not a number: diverged", (1, 1), (0, TITLE_PAD), xycoords="axes fraction", textcoords="offset points",
            ha="right", va="baseline", fontsize=LABEL, color=theme.wrong, visible=False,
        )  # fmt: skip
        self._note.set_in_layout(False)
        self.artists: list[Artist] = [self._nodes, self._note]

    def show(self, maps: UnitMaps) -> None:
        """Show the units at their one frame."""
        self._nodes.set_maps(maps.maps[0])
        self._note.set_visible(not np.isfinite(maps.maps[0]).all())


class EdgesPanel:
    """The weights between the units shown: colour by sign, width by size, on one scale for the whole run."""

    def __init__(self, ax: Axes, weights: NetworkWeights, places: Float[np.ndarray, "node 2"], *, theme: Theme) -> None:
        finite = np.abs(weights.weights[np.isfinite(weights.weights)])
        self.widest = float(finite.max(initial=0)) or 1.0
        self._colors = signed(theme, middle=theme.line)
        starts, stops = (places[list(ends)] for ends in zip(*weights.edges, strict=True))
        lines = starts[:, None] + (stops - starts)[:, None] * np.stack([_WAY, _BEND], axis=-1)
        self.lines = LineCollection(list(lines), zorder=1, capstyle="butt")
        ax.add_collection(self.lines, autolim=False)
        self.artists: list[Artist] = [self.lines]

    def show(self, weights: NetworkWeights) -> None:
        """Show the weights at their one frame; those that are not numbers are as wide as the largest."""
        shares = np.clip(weights.weights[0] / self.widest, -1, 1)
        # The colour of a small weight is told apart as well.
        self.lines.set_color(cast("Any", self._colors(0.5 + 0.5 * np.sign(shares) * np.abs(shares) ** 0.5)))
        widths = np.maximum(_THINNEST, WIDEST * np.where(np.isnan(shares), 1, np.abs(shares)))
        self.lines.set_linewidth(widths.tolist())


def unit_grid(maps: UnitMaps, ax: Axes, *, epoch: float | None = None, theme: ThemeName = "light") -> list[Artist]:
    """Draw what all units compute at one epoch, the last by default. Returns the artists that change with it."""
    panel = UnitGridPanel(ax, maps, theme=THEMES[theme])
    key(ax, THEMES[theme])
    panel.show(maps.at(last_epoch(maps.epochs, epoch)))
    return panel.artists


def trained_network(
    weights: NetworkWeights, maps: UnitMaps, ax: Axes, *, epoch: float | None = None, theme: ThemeName = "light"
) -> list[Artist]:
    """Draw weights and units at one epoch, the last by default. Returns the artists that change with it."""
    grid = UnitGridPanel(ax, maps, theme=THEMES[theme], title="Network", numbered=False)
    edges = EdgesPanel(ax, weights, grid.places, theme=THEMES[theme])
    key(ax, THEMES[theme], edges.widest)
    shown_epoch = last_epoch(maps.epochs, epoch)
    grid.show(maps.at(shown_epoch))
    edges.show(weights.at(shown_epoch))
    return [*edges.artists, *grid.artists]


def ranges_of(maps: UnitMaps) -> list[tuple[float, float]]:
    """The least and largest activation that the colours of each layer tell apart, 0 in the middle.

    Nine tenths of its values other than 0 lie there; what lies beyond has the last colour. A
    sigmoid goes from 0 to 1.
    """
    finite = np.where(np.isfinite(maps.maps), np.abs(maps.maps), 0)
    stops = list(accumulate(map(len, maps.units)))
    found: list[tuple[float, float]] = []
    for start, stop, function in zip([0, *stops[:-1]], stops, maps.functions, strict=True):
        sizes = finite[:, start:stop]
        largest = float(np.quantile(sizes[sizes > 0], 0.9)) if sizes.any() else 1.0
        found.append((0.0, 1.0) if function == "sigmoid" else (-largest, largest))
    return found


def key(ax: Axes, theme: Theme, widest: float | None = None) -> None:
    """Say below the nodes what colours and widths mean, in as many words as there is room for."""
    colors = [theme.negative, theme.positive, theme.muted][: 2 if widest is None else 3]
    largest = "" if widest is None else f"{float(f'{widest:.2g}'):g}"
    for names in (
        ("negative", "positive", f"widest: |weight| = {largest}"),
        ("negative", "positive", f"widest: {largest}"),
        ("\N{MINUS SIGN}", "+", f"widest: {largest}"),
    ):
        # The handles and the spaces between all.
        if sum(text_width(name, TICK) + 3.8 * TICK for name in names[: len(colors)]) < _points(ax)[0] + 1.4 * TICK:
            break
    handles = [
        Line2D([], [], color=color, linewidth=WIDEST, label=name) for color, name in zip(colors, names, strict=False)
    ]
    legend = ax.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, -0.01), ncols=len(handles), frameon=False,
        fontsize=TICK, labelcolor=theme.ink, handlelength=1.6, columnspacing=1.4, borderaxespad=0, borderpad=0,
    )  # fmt: skip
    legend.set_in_layout(False)


def _rows(maps: UnitMaps, floor: float, top: float) -> list[list[tuple[int | None, float]]]:
    """The units shown of each layer and the gap, None, with their heights, evenly spaced about the middle."""
    columns = [shown(size) for size in maps.sizes]
    pitch, middle = (top - floor) / max(map(len, columns)), (top + floor) / 2
    return [
        [(unit, middle + pitch * ((len(units) - 1) / 2 - row)) for row, unit in enumerate(units)] for units in columns
    ]


def _points(ax: Axes) -> tuple[float, float]:
    """Width and height of the Axes, which the layout will make a little smaller."""
    width, height = (72 / ax.figure.dpi * size for size in ax.bbox.size)
    return width, height


def _headings(maps: UnitMaps, ranges: Float[np.ndarray, "layer 2"], width: float, lines: int) -> list[tuple[str, ...]]:
    """Of each layer its name, the range of its colours, and its size: what there is room for in so many points."""
    columns = [
        (
            f"layer {name}" if name.replace(".", "").isdecimal() else name,
            f"±{high:.2g}" if low else f"0 to {high:g}",
            f"{size} {function}" if function else f"{size}",
        )
        for name, size, function, (low, high) in zip(maps.layers, maps.sizes, maps.functions, ranges, strict=True)
    ]
    names, *details = zip(*columns, strict=True)
    room = 0.9 * width / len(columns)
    if _widest(names, LABEL) > room:
        names = tuple(f"{depth}" if depth else "in" for depth in range(len(columns)))
    fit = (texts for texts in details[: lines - 1] if _widest(texts, TICK) <= room)
    return list(zip(names, *fit, strict=True))


def _write_headings(ax: Axes, headings: list[tuple[str, ...]], width: float, theme: Theme) -> None:
    """Above each layer its heading; of very many layers, above some."""
    room = 0.9 * width / len(headings)
    every = math.ceil(1.2 * _widest([name for name, *_ in headings], LABEL) / room) if len(headings) > 9 else 1
    for depth, texts in list(enumerate(headings))[::every]:
        for row, text in enumerate(texts):
            ax.annotate(
                text, ((depth + 0.5) / len(headings), 1), (0, -_LINE * row), textcoords="offset points", ha="center",
                va="top", fontsize=TICK if row else LABEL, color=theme.muted if row else theme.ink,
            )  # fmt: skip


def _widest(texts: Sequence[str], size: float) -> float:
    return max(text_width(text, size) for text in texts)


def _mark_gaps(
    ax: Axes, maps: UnitMaps, rows: list[list[tuple[int | None, float]]], theme: Theme, *, counted: bool
) -> None:
    """Say where units are left out, and how many if there is room."""
    for depth, (column, size) in enumerate(zip(rows, maps.sizes, strict=True)):
        text = f"⋮ {size - len(column) + 1} more" if counted else "⋮"
        for place in [((depth + 0.5) / len(rows), y) for unit, y in column if unit is None]:
            ax.text(*place, text, ha="center", va="center", fontsize=TICK, color=theme.muted, zorder=4)


def _number(
    ax: Axes, rows: list[list[tuple[int | None, float]]], left: float, theme: Theme, *, all_layers: bool
) -> None:
    """Number the inputs and, for all layers, the units, `left` points to the left of their centres."""
    for depth, column in enumerate(rows if all_layers else rows[:1]):
        for unit, y in [(unit, y) for unit, y in column if unit is not None]:
            ax.annotate(
                f"{unit}" if depth else f"$x_{{{unit + 1}}}$", ((depth + 0.5) / len(rows), y), (-left, 0),
                textcoords="offset points", ha="right", va="center", fontsize=TICK, color=theme.muted,
            )  # fmt: skip
