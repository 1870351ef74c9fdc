"""A chain of dense layers: its weights at one epoch, or those that a diagram shows at every frame."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING

import numpy as np

from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

MOST_UNITS = 8


@dataclass(frozen=True, eq=False)
class DenseLayer:
    """One dense layer: activation(x kernel + bias). `kernel` has a row per input and a column per unit."""

    name: str
    activation: str
    kernel: Float[np.ndarray, "input unit"]
    bias: Float[np.ndarray, " unit"] | None = None


@dataclass(frozen=True)
class NetworkWeights(Timeline):
    """The weights between those units of a chain of dense layers that a diagram shows.

    `units` are the units shown of each layer, counted from 0, the inputs first. Column by column, `weights` are those
    from every unit shown of a layer to every unit shown of the next, in the order of `edges`.
    """

    units: tuple[tuple[int, ...], ...]
    weights: Float[np.ndarray, "frame edge"]

    @property
    def edges(self) -> list[tuple[int, int]]:
        """The places of both ends of every edge among all units shown."""
        starts = np.cumsum([0, *map(len, self.units)])
        ends = [range(start, stop) for start, stop in pairwise(starts.tolist())]
        return [edge for sources, targets in pairwise(ends) for edge in product(sources, targets)]


def network_weights(
    kernels: Sequence[Float[np.ndarray, "frame input unit"]],
    units: Sequence[Sequence[int]],
    *,
    epochs: Float[np.ndarray, " frame"],
) -> NetworkWeights:
    """Take the weights between the units shown out of the kernels of all layers, first to last."""
    chosen = [
        kernel[:, list(sources)][:, :, list(targets)].reshape(len(epochs), -1)
        for kernel, (sources, targets) in zip(kernels, pairwise(units), strict=True)
    ]
    return NetworkWeights(epochs, tuple(map(tuple, units)), np.concatenate(chosen, axis=1))


def shown(size: int) -> tuple[int | None, ...]:
    """The units of a layer that are drawn; None is the gap that stands for those left out of more than 8."""
    return tuple(range(size)) if size <= MOST_UNITS else (0, 1, 2, 3, None, size - 1)


def shown_units(size: int) -> tuple[int, ...]:
    """The units of a layer that are drawn."""
    return tuple(unit for unit in shown(size) if unit is not None)
