"""What shares a colour in a picture: examples and regions of a class, or of a range of a quantity."""

from __future__ import annotations

from itertools import pairwise
from math import floor, log10
from typing import TYPE_CHECKING, Any

import contourpy
import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex

from ..measures.task import UNNAMED, Classes, Labels, Quantities, leads
from .shapes import EMPTY, Dots, edge, path_of, regions

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.axes import Axes
    from matplotlib.path import Path
    from numpy.typing import NDArray

    from ..measures import Task
    from .theme import Theme

_LEVELS = 8


class Groups:
    """Groups of examples with the name and the colour of each.

    Each of the classes has a colour of its own, up to as many as the theme has. Of more, those of the most examples
    have one, and all others are one grey group. A quantity is cut into ranges of equal width, from the least
    to the largest that is wanted of an example, with the colours of a sequential map; `quantity` is its name.
    """

    def __init__(self, task: Task, theme: Theme) -> None:
        if isinstance(task, Labels):
            task = task.one()
        self._classes = isinstance(task, Classes)
        self.quantity = task.names[0] if isinstance(task, Quantities) and task.names != UNNAMED else ""
        if isinstance(task, Classes):
            self._make_classes(task, theme)
        else:
            self._make_ranges(task.values[:, 0], task.names[0], theme)

    def _make_classes(self, task: Classes, theme: Theme) -> None:
        every = np.arange(len(task.names))
        colors = list(theme.classes)
        members = [every[k : k + 1] for k in every]
        names: list[str] = list(task.names)
        if len(every) > len(colors):
            counts = np.bincount(task.labels, minlength=len(every))
            chosen: NDArray[np.intp] = np.sort(np.argsort(-counts, kind="stable")[: len(colors)])
            members = [*(every[k : k + 1] for k in chosen), np.setdiff1d(every, chosen)]
            names = [*(task.names[k] for k in chosen.tolist()), f"{len(every) - len(chosen)} others"]
            colors.append(theme.line)
        self.members, self.names, self.colors = members, tuple(names), tuple(colors[: len(members)])
        group_of = np.empty(len(every), np.intp)
        for number, classes in enumerate(members):
            group_of[classes] = number
        self.of_example: NDArray[np.intp] = group_of[task.labels]

    def _make_ranges(self, values: Float[np.ndarray, " example"], name: str, theme: Theme) -> None:
        low, high = float(values.min()), float(values.max())
        width = (high - low or 1.0) / _LEVELS
        self._edges = low + width * np.arange(1, _LEVELS)
        shades = mpl.colormaps["viridis"](np.linspace(0.02, 0.98, _LEVELS))
        self.colors = tuple(to_hex(shade) for shade in shades)
        ends = [_rounded(end, width) for end in (low, *self._edges.tolist(), high)]
        self.names = tuple(f"{start} to {stop}" for start, stop in pairwise(ends))
        self.members = []
        self.of_example = np.digitize(values, self._edges)

    def __len__(self) -> int:
        return len(self.names)

    def dots(self, ax: Axes, radius: float = 1.6) -> list[Dots]:
        """Dots for each group, in the order of the names. Those of the grey group lie beneath the others."""
        made = [Dots(ax, color, radius=radius, label=name) for color, name in zip(self.colors, self.names, strict=True)]
        if self.members and len(self.members[-1]) > 1:
            made[-1].set_zorder(made[-1].get_zorder() - 0.1)
        return made

    def regions(self, x: NDArray[Any], y: NDArray[Any], logits: Float[np.ndarray, "row column unit"]) -> list[Path]:
        """Where each group wins, on a rectangular or a warped grid. Scores that are not numbers are in no region."""
        if not self._classes:
            return _between(x, y, logits[..., 0], [-np.inf, *self._edges, np.inf])
        if len(self) == 2:
            return list(regions(x, y, _second_of_two(logits)))
        found = leads(self._of_groups(logits))
        return [regions(x, y, found[..., k])[1] if (found[..., k] > 0).any() else EMPTY for k in range(len(self))]

    def edges(self, x: NDArray[Any], y: NDArray[Any], logits: Float[np.ndarray, "row column unit"]) -> Path:
        """The boundaries between the groups."""
        if not self._classes:
            return EMPTY  # what separates the ranges of a quantity is arbitrary
        if len(self) == 2:
            return edge(x, y, _second_of_two(logits))
        found = leads(self._of_groups(logits))
        crossing = [k for k in range(len(self)) if (found[..., k] > 0).any() and (found[..., k] < 0).any()]
        paths = [edge(x, y, found[..., k]) for k in crossing]
        return EMPTY.make_compound_path(*paths) if paths else EMPTY

    def _of_groups(self, scores: Float[np.ndarray, "row column class"]) -> Float[np.ndarray, "row column group"]:
        if len(self.members) == scores.shape[-1]:
            return scores
        return np.stack([scores[..., classes].max(axis=-1) for classes in self.members], axis=-1)


def _rounded(value: float, width: float) -> str:
    """A number to a tenth of the width of its range, so that what is nearly 0 is written as 0."""
    digits = max(0, 1 - floor(log10(width)))
    # Adding 0 takes the sign from -0.
    return f"{round(value, digits) + 0.0:.{digits}f}" if digits <= 4 and abs(value) < 1e5 else f"{value:.3g}"


def _second_of_two(logits: Float[np.ndarray, "row column unit"]) -> Float[np.ndarray, "row column"]:
    return logits[..., 0] if logits.shape[-1] == 1 else logits[..., 1] - logits[..., 0]


def _between(x: NDArray[Any], y: NDArray[Any], z: NDArray[Any], ends: list[float]) -> list[Path]:
    generator = contourpy.contour_generator(x, y, z, fill_type=contourpy.FillType.ChunkCombinedCode)
    return [path_of(generator.filled(low, high)) for low, high in pairwise(ends)]
