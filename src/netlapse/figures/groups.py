"""What shares a colour in a picture: examples and regions of a class, or of a range of a quantity."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import contourpy
import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex

from ..measures.task import Classes, Labels, leads
from .shapes import EMPTY, edge, path_of, regions

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.path import Path
    from numpy.typing import NDArray

    from ..measures import Task
    from .theme import Theme

_LEVELS = 8


class Groups:
    """Groups of examples with the name and the colour of each.

    Each of the classes has a colour of its own, up to as many as the theme has. Of more, those of the most examples
    have one, and all others are one grey group. A quantity is cut into ranges of equal width, from the least
    to the largest that is wanted of an example, with the colours of a sequential map.
    """

    def __init__(self, task: Task, theme: Theme) -> None:
        if isinstance(task, Labels):
            task = task.one()
        self._classes = isinstance(task, Classes)
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
        self._edges = np.linspace(low, high if high > low else low + 1, _LEVELS + 1)[1:-1]
        shades = mpl.colormaps["viridis"](np.linspace(0.02, 0.98, _LEVELS))
        self.colors = tuple(to_hex(shade) for shade in shades)
        ends = [low, *self._edges.tolist(), high]
        self.names = tuple(f"{start:.3g} to {stop:.3g}" for start, stop in pairwise(ends))
        self.members = []
        self.of_example = np.digitize(values, self._edges)

    def __len__(self) -> int:
        return len(self.names)

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


def _second_of_two(logits: Float[np.ndarray, "row column unit"]) -> Float[np.ndarray, "row column"]:
    return logits[..., 0] if logits.shape[-1] == 1 else logits[..., 1] - logits[..., 0]


def _between(x: NDArray[Any], y: NDArray[Any], z: NDArray[Any], ends: list[float]) -> list[Path]:
    generator = contourpy.contour_generator(x, y, z, fill_type=contourpy.FillType.ChunkCombinedCode)
    return [path_of(generator.filled(low, high)) for low, high in pairwise(ends)]
