"""What a convolution has learnt: its filters, and what they make of examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import Unsupported
from .images import as_images
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from jaxtyping import Float, Int, Shaped


@dataclass(frozen=True)
class Filters(Timeline):
    """Kernels of a convolution at each frame: what each unit multiplies the surroundings of a place with.

    `units` and `channels` are the numbers of those shown, of `total` (units, input channels) that there are. A
    convolution along a sequence has one row.
    """

    layer: str
    total: tuple[int, int]
    units: Int[np.ndarray, " unit"]
    channels: Int[np.ndarray, " channel"]
    kernels: Float[np.ndarray, "frame unit channel row column"]


@dataclass(frozen=True)
class FeatureMaps(Timeline):
    """What units of a layer make of examples, at each frame and place.

    `units` are the numbers of those shown, of `total`; `examples` places in the probe. `images` are the examples
    themselves from 0 to 1, None where they are no images. What lies along a sequence has one row.
    """

    layer: str
    total: int
    units: Int[np.ndarray, " unit"]
    examples: Int[np.ndarray, " example"]
    images: Float[np.ndarray, "example row column ..."] | None
    maps: Float[np.ndarray, "frame example unit row column"]


def as_planes(values: Float[np.ndarray, "... place"]) -> Float[np.ndarray, "... row column"]:
    """Values by unit at places, (frame, a, b, place ...), as planes: what lies along a sequence has one row."""
    return values[:, :, :, None] if values.ndim == 4 else values


def pictures(
    inputs: Shaped[np.ndarray, "example ..."],
    shape: Sequence[int] | None,
    *,
    along_sequence: bool,
    channels_first: bool,
) -> Float[np.ndarray, "example row column ..."] | None:
    """Inputs as images, as `as_images` has them; None where they are none and no shape is given.

    Sequences have a row for each channel.
    """
    if along_sequence and shape is None and inputs.ndim in (2, 3):
        return as_images(inputs.reshape(len(inputs), -1, inputs.shape[-1]) if channels_first else inputs.swapaxes(1, 2))
    try:
        return as_images(inputs, shape)
    except Unsupported:
        if shape is not None:
            raise
        return None
