"""Examples as images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Shaped
    from numpy.typing import NDArray


def as_images(
    inputs: Shaped[np.ndarray, "example ..."], shape: Sequence[int] | None = None
) -> Float[np.ndarray, "example row column ..."]:
    """Examples as images from 0 to 1: grey ones (example, row, column), or colours (example, row, column, 3).

    An example is (row, column), (row, column, channel) or (channel, row, column) with 1 or 3 channels. `shape` says
    which of these a flat example is, such as (8, 8). Bytes are divided by 255; other values are kept if all lie between
    0 and 1, or else mapped there linearly, the least of all examples to 0 and the largest to 1. What is not finite is
    NaN. Raises Unsupported for what is no image.
    """
    if shape is not None:
        if math.prod(shape) != math.prod(inputs.shape[1:]):
            raise Unsupported(
                f"examples of shape {inputs.shape[1:]} cannot be images of shape {tuple(shape)}; pass an image_shape of"
                f" {math.prod(inputs.shape[1:])} values"
            )
        inputs = inputs.reshape(len(inputs), *shape)
    sizes = inputs.shape[1:]
    if len(sizes) == 3 and sizes[-1] in (1, 3):
        images = inputs
    elif len(sizes) == 3 and sizes[0] in (1, 3):
        images = np.moveaxis(inputs, 1, -1)
    elif len(sizes) == 2:
        images = inputs[..., None]
    else:
        raise Unsupported(
            f"examples of shape {sizes} are no images; images are (row, column), (row, column, channel) or (channel,"
            " row, column) with 1 or 3 channels. For flat ones pass image_shape, such as (8, 8)"
        )
    return _scaled(images[..., 0] if images.shape[-1] == 1 else images)


def _scaled(images: NDArray[Any]) -> NDArray[Any]:
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255)
    values = images.astype(np.float32)
    values[~np.isfinite(values)] = np.nan
    low, high = np.nanmin(values, initial=np.inf), np.nanmax(values, initial=-np.inf)
    if low >= 0 and high <= 1:
        return values
    return (values - low) / ((high - low) or 1)
