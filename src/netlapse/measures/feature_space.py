"""The feature space of a layer: where it puts the examples, and how it warps the inputs' plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import plane
from .slices import agreement
from .task import mistakes
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Bool, Float, Shaped
    from numpy.typing import NDArray

    from .plane import Limits
    from .projection import Projection
    from .task import Task

    Hidden = Callable[[np.ndarray | None], tuple[np.ndarray, np.ndarray, np.ndarray]]
    Head = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class FeatureSpace(Timeline):
    """What a layer makes of the examples and of the inputs' plane, frame by frame, drawn by one projection for all.

    `points` are the examples' activations as the projection draws them. `plane_logits` evaluates the rest of the
    network on a grid (`x`, `y`) of the plane: the exact decision regions, their edges where one class' lead over the
    others is 0. A layer of two units is that plane. In a wider one it is the affine plane along the projection through
    the examples' mean at each frame. There the examples lie beside it: `agreement` is the share of them that are
    predicted as the place at which they are drawn is. It is None for two units; so are both where the layer does not
    decide the output by itself. `kept` is the share of the variance of the examples' activations that is drawn.

    `lines` is a grid of the inputs' plane (the input plane itself, or one that `inputs_plane` describes) as the layer
    warps it; for layers of two units and networks of two inputs `image` with `image_logits` is the whole domain, cell
    by cell. None where there is none. `limits` hold everything at all frames.
    """

    layer: str
    task: Task
    projection: Projection
    inputs_plane: str
    x: Float[np.ndarray, " column"]
    y: Float[np.ndarray, " row"]
    limits: Limits
    domain: Limits | None
    points: Float[np.ndarray, "frame example 2"]
    wrong: Bool[np.ndarray, "frame example"] | None
    plane_logits: Float[np.ndarray, "frame row column unit"] | None
    agreement: Float[np.ndarray, " frame"] | None
    kept: Float[np.ndarray, " frame"]
    lines: Float[np.ndarray, "frame line point 2"] | None
    image: Float[np.ndarray, "frame row column 2"] | None
    image_logits: Float[np.ndarray, "frame row column unit"] | None


def feature_space(
    hidden: Hidden,
    head: Head | None,
    *,
    layer: str,
    epochs: Float[np.ndarray, " frame"],
    inputs: Shaped[np.ndarray, "example ..."] | None,
    task: Task,
    projection: Projection,
    inputs_projection: Projection | None,
    domain: Limits | None = None,
    limits: Limits | None = None,
    lines: int = 11,
    resolution: int = 81,
) -> FeatureSpace:
    """Compute the feature space of a layer.

    `hidden` evaluates the examples and, after them, further inputs (example, ...) if there are any: the places (frame,
    example, 2) of the layer's activations, the network's logits (frame, example, unit), and the share of the examples'
    variance that is drawn, (frame,); `head` maps places of the plane, (point, 2) or (frame, point, 2), to logits
    (frame, point, unit) through the remaining layers. With an `inputs_projection`, of flattened inputs, the grid on
    its plane through the examples' mean is followed through the layer; it needs the examples' `inputs`.
    """
    two_units, two_inputs = len(projection.origin) == 2, inputs is not None and inputs.shape[1:] == (2,)
    side, along = 61, 81 if two_inputs else 41
    shown: list[NDArray[Any]] = []
    if inputs is not None and inputs_projection is not None:
        flat = inputs.reshape(len(inputs), -1)
        domain = domain or plane.domain(inputs_projection(flat))
        through = flat.mean(axis=0)
        crossings = [plane.lattice(domain, lines, along).reshape(-1, 2)]
        if two_units and two_inputs:
            crossings.append(plane.grid(domain, side)[2])
        shown = [
            inputs_projection.lift(part, through).astype(np.float32).reshape(-1, *inputs.shape[1:])
            for part in crossings
        ]
    # One evaluation for all: what is compiled once need not be compiled three times.
    found, values, kept = hidden(np.concatenate(shown) if shown else None)
    examples = found.shape[1] - sum(map(len, shown))
    cuts = np.cumsum([examples, *map(len, shown)])[:-1]
    images, logits = np.split(found, cuts, axis=1), np.split(values, cuts, axis=1)
    frames, cell = len(epochs), (resolution, resolution)
    limits = limits or plane.limits(np.concatenate([part.reshape(-1, 2) for part in images[:2]]))
    x, y, crossings = plane.grid(limits, resolution)
    exact = two_units or head is None
    whole = len(images) > 2
    return FeatureSpace(
        epochs=epochs,
        layer=layer,
        task=task,
        projection=projection,
        inputs_plane=_words(inputs_projection) if inputs_projection and not two_inputs else "",
        x=x,
        y=y,
        limits=limits,
        domain=domain if shown else None,
        points=images[0],
        wrong=mistakes(task, logits[0]),
        plane_logits=None if head is None else head(crossings).reshape(frames, *cell, -1),
        agreement=None if exact or head is None else agreement(task, logits[0], head(images[0])),
        kept=kept,
        lines=images[1].reshape(frames, 2 * lines, along, 2) if shown else None,
        image=images[2].reshape(frames, side, side, 2) if whole else None,
        image_logits=logits[2].reshape(frames, side, side, -1) if whole else None,
    )


def _words(projection: Projection) -> str:
    return f"{projection.method} of {len(projection.origin)} inputs"
