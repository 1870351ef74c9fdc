"""The feature space of a 2-unit layer: where it puts the examples, and how it warps the input plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Unsupported
from . import plane
from .binary import labels, logits_of
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Bool, Float, Shaped

    from .plane import Limits

    Hidden = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    Head = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class FeatureSpace(Timeline):
    """What a 2-unit layer makes of the examples and of the input plane, frame by frame.

    `points` are the examples' activations and `logits` what the rest of the network makes of them. `plane_logits`
    evaluates the rest of the network on a grid (`x`, `y`) of the layer's own plane: the exact decision regions,
    their edge where the logit is 0. For networks of two inputs, `lines` is a grid of the input domain as the layer
    warps it, and `image` with `image_logits` the whole domain, cell by cell; None otherwise.
    `limits` hold everything at all frames.
    """

    layer: str
    positive: Bool[np.ndarray, " example"]
    x: Float[np.ndarray, " column"]
    y: Float[np.ndarray, " row"]
    limits: Limits
    domain: Limits | None
    points: Float[np.ndarray, "frame example 2"]
    logits: Float[np.ndarray, "frame example"]
    plane_logits: Float[np.ndarray, "frame row column"]
    lines: Float[np.ndarray, "frame line point 2"] | None
    image: Float[np.ndarray, "frame row column 2"] | None
    image_logits: Float[np.ndarray, "frame row column"] | None


def feature_space(
    hidden: Hidden,
    head: Head,
    *,
    layer: str,
    epochs: Float[np.ndarray, " frame"],
    inputs: Shaped[np.ndarray, "example ..."],
    targets: Shaped[np.ndarray, "example ..."],
    domain: Limits | None = None,
    limits: Limits | None = None,
    lines: int = 11,
    resolution: int = 81,
) -> FeatureSpace:
    """Compute the feature space of a layer.

    `hidden` maps inputs (example, ...) to the layer's activations (frame, example, unit) and the network's logits;
    `head` maps activations (point, unit) of the layer to logits (frame, point, 1) through the remaining layers.
    Raises Unsupported unless the layer has two units and the task is binary.
    """
    positive = labels(targets)
    flat = inputs.ndim == 2 and inputs.shape[1] == 2
    batch = [np.asarray(inputs, np.float32)]
    side, along = 61, 81
    if flat:
        domain = domain or plane.domain(batch[0])
        lattice = plane.lattice(domain, lines, along)
        batch += [lattice.reshape(-1, 2), plane.grid(domain, side)[2]]
    # One evaluation for all: what is compiled once need not be compiled three times.
    activations, values = hidden(np.concatenate(batch))
    if activations.ndim != 3 or activations.shape[2] != 2:
        raise Unsupported(
            f"layer {layer!r} has {' x '.join(map(str, activations.shape[2:]))} units; the feature space is drawn for"
            " layers of two units"
        )
    values = logits_of(values)
    cuts = np.cumsum([len(part) for part in batch])[:-1]
    places = np.split(activations, cuts, axis=1)
    logits = np.split(values, cuts, axis=1)
    limits = limits or plane.limits(np.concatenate([part.reshape(-1, 2) for part in places[:2]]))
    x, y, crossings = plane.grid(limits, resolution)
    frames = len(epochs)
    return FeatureSpace(
        epochs=epochs,
        layer=layer,
        positive=positive,
        x=x,
        y=y,
        limits=limits,
        domain=domain if flat else None,
        points=places[0],
        logits=logits[0],
        plane_logits=logits_of(head(crossings)).reshape(frames, resolution, resolution),
        lines=places[1].reshape(frames, 2 * lines, along, 2) if flat else None,
        image=places[2].reshape(frames, side, side, 2) if flat else None,
        image_logits=logits[2].reshape(frames, side, side) if flat else None,
    )
