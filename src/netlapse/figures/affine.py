"""The affine step of a dense layer, xW + b, written out in four equivalent ways with the layer's own numbers."""
# pyright: reportUnknownMemberType=false
# matplotlib leaves **kwargs untyped.

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from ..errors import Unsupported
from .network import bias, column, edges, node, number, paper
from .theme import LABEL, THEMES, TICK, TITLE, ThemeName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jaxtyping import Float
    from matplotlib.axes import Axes

    from .network import DenseLayer
    from .theme import Theme

MOST = 4
SIZE, LINE, GAP = 12.0, 0.28, 0.14
"""Font size in points; line height and space between two blocks in inches."""


def affine(
    layer: DenseLayer, inputs: Float[np.ndarray, "example input"], *, examples: int = 3, theme: ThemeName = "light"
) -> Figure:
    """Write out z = x kernel + bias for the first few `examples` of `inputs`, with symbols and numbers.

    (a) as a network, (b) unit by unit, (c) example by example, (d) as one product of matrices. Numbers are
    rounded to four decimals, after the arithmetic. Raises Unsupported above 4 inputs, units or examples.
    """
    step = _Step.of(layer, inputs, examples)
    colours = THEMES[theme]
    by_unit, by_example, at_once = step.by_unit(), step.by_example(), step.at_once()
    left = max(_width(line) for line in by_example)
    right = max(_width(line) for line in [*by_unit, *at_once])
    upper = max(_height(by_unit), step.inputs * (len(step.X) * LINE + 0.2))
    lower = max(_height(by_example), _height(at_once))
    margin, head = 0.4, 0.55
    width, height = max(10.0, left + right + 4 * margin), upper + lower + 2 * head + 4 * margin + 0.3
    figure = Figure(figsize=(width, height), facecolor=colours.surface)
    ax = figure.add_axes((0, 0, 1, 1))
    paper(ax, colours)
    return figure
