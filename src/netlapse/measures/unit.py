"""One unit: what it computes over a plane of inputs and for the examples, and its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import plane
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float, Shaped

    from .plane import Limits
    from .projection import Projection
    from .task import Task

    # Pre-activations and activations (frame, example) of the unit for inputs (example, ...).
    UnitValues = Callable[
        [Shaped[np.ndarray, "example ..."]],
        tuple[Float[np.ndarray, "frame example"], Float[np.ndarray, "frame example"]],
    ]


@dataclass(frozen=True)
class UnitWeights(Timeline):
    """The weights into and out of one unit of a chain of dense layers, counted from 0.

    `incoming` come from the units of the layer `before`, or from the inputs; `outgoing` go to those of the layer
    `behind`, both None for the last layer. `bias` is None where the layer has none.
    """

    layer: str
    unit: int
    before: str
    behind: str | None
    incoming: Float[np.ndarray, "frame source"]
    bias: Float[np.ndarray, " frame"] | None
    outgoing: Float[np.ndarray, "frame target"] | None


@dataclass(frozen=True)
class Unit(Timeline):
    """One unit of a layer, counted from 0.

    The plane of inputs, onto which `projection` projects the examples at `places`, has columns `x` and rows `y`; on it
    the unit's hinge is where `grid_pre_activations` crosses 0. Of more than two inputs it is the plane through the
    examples' mean. The examples lie beside it, so that some are on the other side of the hinge than where they are
    drawn; `agreement` is the share of those that are not. All these are None where no plane was given.

    `task` is what the examples' targets ask for, None where there is nothing to tell them apart by.
    """

    layer: str
    unit: int
    activation: str | None
    task: Task | None
    pre_activations: Float[np.ndarray, "frame example"]
    activations: Float[np.ndarray, "frame example"]
    projection: Projection | None
    x: Float[np.ndarray, " column"] | None
    y: Float[np.ndarray, " row"] | None
    places: Float[np.ndarray, "example 2"] | None
    grid_pre_activations: Float[np.ndarray, "frame row column"] | None
    grid_activations: Float[np.ndarray, "frame row column"] | None
    agreement: Float[np.ndarray, " frame"] | None


def unit(
    values: UnitValues,
    *,
    epochs: Float[np.ndarray, " frame"],
    layer: str,
    unit: int,
    activation: str | None,
    inputs: Shaped[np.ndarray, "example ..."],
    task: Task | None = None,
    projection: Projection | None = None,
    domain: Limits | None = None,
    resolution: int,
) -> Unit:
    """Evaluate one unit for the examples and, with a `projection` of flattened inputs, over the plane of it."""
    x = y = places = agreement = before = after = None
    everything, examples = inputs, len(inputs)
    if projection is not None:
        flat = inputs.reshape(examples, -1).astype(np.float32)
        places = projection(flat).astype(np.float32)
        x, y, points = plane.grid(plane.widen(domain or plane.domain(places), 0.05), resolution)
        everything = np.empty((2 * examples + len(points), flat.shape[1]), inputs.dtype)
        everything[:examples] = inputs.reshape(examples, -1)
        projection.lift_to(everything[examples:], np.concatenate([places, points]), flat.mean(axis=0))
        everything = everything.reshape(-1, *inputs.shape[1:])
    pre_activations, activations = values(everything)
    if projection is not None:
        before, after = (
            array[:, 2 * examples :].reshape(-1, resolution, resolution) for array in (pre_activations, activations)
        )
        if len(projection.origin) > 2:
            active = pre_activations[:, : 2 * examples] > 0
            agreement = np.mean(active[:, :examples] == active[:, examples:], axis=1)
    return Unit(
        epochs=epochs,
        layer=layer,
        unit=unit,
        activation=activation,
        task=task,
        pre_activations=pre_activations[:, :examples],
        activations=activations[:, :examples],
        projection=projection,
        x=x,
        y=y,
        places=places,
        grid_pre_activations=before,
        grid_activations=after,
        agreement=agreement,
    )
