"""The affine step of a dense layer, xW + b, written out in four equivalent ways with its own numbers."""
# matplotlib leaves **kwargs untyped.

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from ..errors import Unsupported
from .network import column, edges, node, paper
from .theme import THEMES, TITLE, Theme, ThemeName

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.axes import Axes

    from .network import DenseLayer

    Matrix = Float[np.ndarray, "row column"]

MOST = 4
SIZE = 12.5
"""Font size of the mathematics, in points."""
LINE, GAP, MARGIN, HEAD = 0.3, 0.11, 0.25, 0.45
"""In inches: height of a row of text, space between pieces and between panels, height of a panel's title."""
RADIUS = 0.27
BESIDE = RADIUS + 1.5 * GAP
"""From a node's centre to the numbers beside it, in inches."""

Cells = list[list[str]]


@dataclass(frozen=True)
class Block:
    """Text in rows and columns; a matrix if `bracketed`.

    A row about one example has that example's tint: `example` for the first row, later rows count on. A
    negative one is a row of symbols, without tint. `like` are cells whose columns it is to align with.
    """

    cells: Cells
    bracketed: bool = False
    example: int | None = None
    like: Cells | None = None

    @property
    def widths(self) -> list[float]:
        """Width of every column."""
        columns = zip(*(self.like or self.cells), strict=True)
        return [max(_text_width(text) for text in texts) for texts in columns]

    @property
    def width(self) -> float:
        """Width with gaps and brackets."""
        return sum(self.widths) + GAP * (len(self.widths) - 1 + 2 * self.bracketed)

    def draw(self, x: float, y: float, ax: Axes, colours: Theme) -> None:
        """Draw it with its left edge at `x` and its middle at height `y`."""
        width, half = self.width, LINE * len(self.cells) / 2
        if self.bracketed:
            for end, tip in ((x, x + 0.07), (x + width, x + width - 0.07)):
                heights = [y + half, y + half, y - half, y - half]
                ax.plot([tip, end, end, tip], heights, color=colours.ink, lw=1.3)
        for k, row in enumerate(self.cells):
            middle, left = y + half - LINE * (k + 0.5), x + GAP * self.bracketed
            if self.example is not None and self.example + k >= 0:
                tint: dict[str, Any] = {"color": colours.series[self.example + k], "alpha": 0.25, "lw": 0}
                pad = -0.03 if self.bracketed else 0.05
                corner = x - pad, middle - 0.45 * LINE
                ax.add_patch(Rectangle(corner, width + 2 * pad, 0.9 * LINE, **tint))
            for text, wide in zip(row, self.widths, strict=True):
                centre = left + wide / 2
                ax.text(centre, middle, text, ha="center", va="center", fontsize=SIZE, color=colours.ink)
                left += wide + GAP


Line = list[Block]


@dataclass(frozen=True, eq=False)
class Step:
    """One affine step as printed: inputs `x` and results `z` (a row per example), kernel `w`, bias `b`."""

    kernel: Float[np.ndarray, "input unit"]
    x: Cells
    w: Cells
    b: Cells
    z: Cells

    @classmethod
    def of(cls, layer: DenseLayer, inputs: Matrix, decimals: int) -> Step:
        """Take the step in float64, then round. Raises Unsupported for what would not fit on a page."""
        X, W = np.asarray(inputs, dtype=np.float64), np.asarray(layer.kernel, dtype=np.float64)
        if X.ndim != 2 or W.ndim != 2 or X.shape[1] != W.shape[0]:
            raise Unsupported(
                f"inputs of shape {X.shape} do not fit layer {layer.name!r}, whose kernel is {W.shape}; "
                "give (examples, inputs) and (inputs, units)"
            )
        if not 1 <= len(X) <= MOST or max(W.shape) > MOST:
            raise Unsupported(
                f"layer {layer.name!r} with {W.shape[0]} inputs, {W.shape[1]} units and {len(X)} examples "
                f"cannot be written out legibly; 1 to {MOST} of each are supported"
            )
        b = np.zeros(W.shape[1]) if layer.bias is None else np.asarray(layer.bias, dtype=np.float64)
        x, z = _cells(X, decimals), _cells(X @ W + b, decimals)
        return cls(W, x, _cells(W, _fewest(W)), _cells(b[None], _fewest(b)), z)

    def unit_by_unit(self) -> list[Line]:
        """A block per unit: the equation in symbols, then a row of numbers for every example."""
        indices = range(1, len(self.w) + 1)
        lines: list[Line] = []
        for j, (weights, bias) in enumerate(zip(zip(*self.w, strict=True), self.b[0], strict=True)):
            names = [f"$x_{i}$" for i in indices], [f"$w_{{{i}{j + 1}}}$" for i in indices]
            rows = [_equation(f"$z_{j + 1}$", *names, f"$b_{j + 1}$")]
            for x, z in zip(self.x, self.z, strict=True):
                rows.append(_equation(z[j], x, list(weights), bias))
            lines.append([Block(rows, example=-1)])
        return lines

    def example_by_example(self) -> list[Line]:
        """The equation in symbols, then its two sides for every example."""
        inputs, units = len(self.w), len(self.b[0])
        names = _row("x", inputs), _grid("w", inputs, units), _row("b", units), _row("z", units)
        then, pairs = Block([["$W + b$", "="]]), enumerate(zip(self.x, self.z, strict=True))
        return [
            _product(*names),
            *([Block([x], True, k, self.x), then, Block([z], True, k, self.z)] for k, (x, z) in pairs),
        ]

    def all_at_once(self) -> list[Line]:
        """The product of matrices in symbols and in numbers, an example per row."""
        examples, inputs, units = len(self.x), len(self.w), len(self.b[0])
        names = _grid("x", examples, inputs), _grid("w", inputs, units), _row("b", units)
        symbols = _product(*names, _grid("z", examples, units))
        return [symbols, _product(self.x, self.w, self.b, self.z, example=0)]

    @property
    def labels(self) -> Cells:
        """Symbol and number of every weight."""
        rows = zip(_grid("w", len(self.w), len(self.b[0])), self.w, strict=True)
        return [[f"{name} = {text}" for name, text in zip(*row, strict=True)] for row in rows]

    @property
    def network_width(self) -> float:
        """Room for the columns of numbers and the nodes, and for the labels between them to stand clear."""
        ins, outs = _stacks(self.x)[0].width, _stacks(self.z)[0].width
        label = max(_text_width(text) for row in self.labels for text in row) / 2 + 0.05
        bias = max(_text_width(f"$b_1$ = {text}") for text in self.b[0]) - 2 * RADIUS + 0.05
        way = 1 / (1 + len(self.w))
        between = max(label / way, (label + max(bias, 0)) / (1 - way))
        return ins + outs + 2 * BESIDE + 2 * RADIUS + between

    def draw_network(self, left: float, right: float, floor: float, ceiling: float, ax: Axes, colours: Theme) -> None:
        """Draw units and weights, and beside them what goes in and comes out for every example."""
        ins, outs = _stacks(self.x), _stacks(self.z)
        source = column(len(ins), left + ins[0].width + BESIDE, RADIUS, floor, ceiling)
        target = column(len(outs), right - outs[0].width - BESIDE, RADIUS, floor, ceiling)
        edges(self.kernel, source, target, ax, colours, labels=self.labels, size=SIZE)
        for i, y in source.nodes:
            node(source, y, RADIUS, f"$x_{i + 1}$", ax, colours)
            ins[i].draw(left, y, ax, colours)
        for j, y in target.nodes:
            node(target, y, RADIUS, f"$z_{j + 1}$", ax, colours)
            outs[j].draw(target.x + BESIDE, y, ax, colours)
            # Flush with the node's right edge: further right are the results.
            place, text = (target.x + RADIUS, y - RADIUS - 0.16), f"$b_{j + 1}$ = {self.b[0][j]}"
            ground = {"boxstyle": "round,pad=0.05", "fc": colours.surface, "ec": "none"}
            look: dict[str, Any] = {"fontsize": SIZE, "color": colours.ink, "bbox": ground}
            ax.text(*place, text, ha="right", va="center", **look)


def affine(
    layer: DenseLayer,
    inputs: Float[np.ndarray, "example input"],
    *,
    examples: int = 3,
    decimals: int = 3,
    theme: ThemeName = "light",
) -> Figure:
    """Write out z = x kernel + bias for the first `examples` of `inputs`, in symbols and in numbers.

    (a) as a network, (b) unit by unit, (c) example by example, (d) as one product of matrices. After the
    arithmetic inputs and results are rounded to `decimals`, weights to three. Raises Unsupported above 4
    inputs, units or examples.
    """
    step, colours = Step.of(layer, np.asarray(inputs)[:examples], decimals), THEMES[theme]
    units, singles, whole = step.unit_by_unit(), step.example_by_example(), step.all_at_once()
    heading = f"Layer {layer.name!r}: one affine step, written in four ways"
    key = [Block([[f"example {k + 1}"]], example=k) for k in range(len(step.x))]
    # The heading is bold and larger than what _text_width measures.
    top = 1.4 * _text_width(heading) + _width([key]) + 2 * GAP * len(key)
    right = max(_width(units), _width(whole))
    left = max(_width(singles), step.network_width, 4.8, top - right - 2 * MARGIN)
    upper = max(_height(units), max(step.kernel.shape) * (LINE * len(step.x) + 0.3))
    lower = max(_height(singles), _height(whole))
    width, height = left + right + 4 * MARGIN, upper + lower + 3 * HEAD + 3 * MARGIN
    figure = Figure(figsize=(width, height), facecolor=colours.surface)
    FigureCanvasAgg(figure)
    ax = figure.add_axes((0, 0, 1, 1))
    paper(ax, colours)
    beside, below = left + 3 * MARGIN, lower + HEAD + MARGIN
    above = below + MARGIN + upper + HEAD
    places = (MARGIN, above), (beside, above), (MARGIN, below), (beside, below)
    titles = "as a network", "unit by unit", "example by example: $xW + b = z$", "all at once: $XW + b = Z$"
    for letter, place, title in zip("abcd", places, titles, strict=True):
        text = f"({letter}) {title}"
        ax.text(*place, text, va="top", fontsize=TITLE, color=colours.ink, weight="bold")
    step.draw_network(MARGIN, MARGIN + left, above - HEAD - upper, above - HEAD, ax, colours)
    for lines, (x, y) in zip((units, singles, whole), places[1:], strict=True):
        _draw(lines, x, y - HEAD, ax, colours)
    rules: dict[str, Any] = {"color": colours.line, "lw": 0.8}
    ax.plot([beside - MARGIN] * 2, [MARGIN, above], **rules)
    ax.plot([MARGIN, width - MARGIN], [below + MARGIN / 2] * 2, **rules)
    x = width - MARGIN
    for block in reversed(key):
        x -= block.width
        block.draw(x, height - MARGIN - LINE / 2, ax, colours)
        x -= 2 * GAP
    ax.text(MARGIN, height - MARGIN, heading, va="top", fontsize=TITLE + 2, color=colours.ink, weight="bold")
    return figure


def _equation(z: str, x: list[str], w: list[str], b: str) -> list[str]:
    """One row of "z = x × w + ... + b", its negative numbers in parentheses."""
    times = "\N{MULTIPLICATION SIGN}"
    terms = [part for pair in zip(x, w, strict=True) for part in (_closed(pair[0]), times, _closed(pair[1]), "+")]
    return [z, "=", *terms, _closed(b)]


def _closed(text: str) -> str:
    return f"({text})" if text.startswith("\N{MINUS SIGN}") else text


def _product(x: Cells, w: Cells, b: Cells, z: Cells, example: int | None = None) -> Line:
    """The blocks of "x w + b = z"."""
    plus, equals = Block([["+"]]), Block([["="]])
    return [Block(x, True, example), Block(w, True), plus, Block(b, True), equals, Block(z, True, example)]


def _grid(letter: str, rows: int, columns: int) -> Cells:
    return [[f"${letter}_{{{i + 1}{j + 1}}}$" for j in range(columns)] for i in range(rows)]


def _row(letter: str, columns: int) -> Cells:
    return [[f"${letter}_{j + 1}$" for j in range(columns)]]


def _stacks(rows: Cells) -> list[Block]:
    """A column of numbers for every input or unit, an example per row, all of one width."""
    widest = [[text] for row in rows for text in row]
    return [Block([[text] for text in texts], example=0, like=widest) for texts in zip(*rows, strict=True)]


def _cells(values: Matrix, decimals: int) -> Cells:
    rounded = np.round(values, decimals) + 0.0
    return [[f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}") for value in row] for row in rounded]


def _fewest(values: np.ndarray) -> int:
    """How many decimals, at most three, say the values whole: 4.1 needs one, though float32 has 4.0999999."""
    return next((d for d in range(3) if np.allclose(values, np.round(values, d), rtol=0, atol=1e-6)), 3)


@lru_cache(maxsize=1024)
def _text_width(text: str) -> float:
    return float(TextPath((0, 0), text, size=SIZE).get_extents().width) / 72


def _width(lines: list[Line]) -> float:
    return max(sum(block.width for block in line) + GAP * (len(line) - 1) for line in lines)


def _tall(line: Line) -> float:
    """Height of a line with the space below it."""
    return LINE * max(len(block.cells) for block in line) + MARGIN


def _height(lines: list[Line]) -> float:
    return sum(map(_tall, lines)) - MARGIN


def _draw(lines: list[Line], x: float, top: float, ax: Axes, colours: Theme) -> None:
    """Draw lines one below the other, the blocks of each side by side."""
    for line in lines:
        left, middle = x, top - (_tall(line) - MARGIN) / 2
        for block in line:
            block.draw(left, middle, ax, colours)
            left += block.width + GAP
        top -= _tall(line)
