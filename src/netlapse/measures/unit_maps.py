"""What all units of a network compute, small: over the plane of two inputs, or on average over the examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import plane
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Float, Shaped

    from .plane import Limits


@dataclass(frozen=True)
class UnitMaps(Timeline):
    """A small map of the activation of every unit shown, layer by layer, the inputs first.

    `units` are those shown of each layer, counted from 0; `sizes` are how many it has, `functions` its activation
    functions. `maps` has columns along `x` and rows along `y` of the input plane; without such a plane each map is one
    number, the unit's mean activation over the examples, and `x` and `y` are None.
    """

    layers: tuple[str, ...]
    functions: tuple[str | None, ...]
    sizes: tuple[int, ...]
    units: tuple[tuple[int, ...], ...]
    x: Float[np.ndarray, " column"] | None
    y: Float[np.ndarray, " row"] | None
    maps: Float[np.ndarray, "frame node row column"]

    @property
    def depths(self) -> list[int]:
        """The layer of every node, 0 for the inputs."""
        return [depth for depth, units in enumerate(self.units) for _ in units]


def unit_maps(
    activations: Callable[[Shaped[np.ndarray, "example feature"]], Sequence[Float[np.ndarray, "frame example unit"]]],
    *,
    epochs: Float[np.ndarray, " frame"],
    inputs: Shaped[np.ndarray, "example feature"],
    layers: Sequence[str],
    functions: Sequence[str | None],
    sizes: Sequence[int],
    units: Sequence[Sequence[int]],
    domain: Limits | None = None,
    resolution: int = 31,
) -> UnitMaps:
    """Evaluate units over the plane of two inputs, or else over the examples.

    `activations` gives those of the units shown, layer by layer without the inputs.
    """
    x = y = None
    points = inputs
    if inputs.shape[1] == 2:
        x, y, points = plane.grid(plane.widen(domain or plane.domain(inputs), 0.05), resolution)
    sources = np.broadcast_to(points[:, list(units[0])], (len(epochs), len(points), len(units[0])))
    values = np.concatenate([sources, *activations(points)], axis=-1).astype(np.float32)
    if x is None:
        maps = values.mean(axis=1)[:, :, None, None]
    else:
        maps = np.moveaxis(values, 1, -1).reshape(len(epochs), -1, resolution, resolution)
    return UnitMaps(epochs, tuple(layers), tuple(functions), tuple(sizes), tuple(map(tuple, units)), x, y, maps)
