"""Values of units at many places: rows and columns of an image, or steps of a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

POOLED = "mean over places"
"""What pooled features are called in a label."""


def units_first(
    activations: Float[np.ndarray, "frame example ..."], *, channels_first: bool
) -> Float[np.ndarray, "frame example unit ..."]:
    """Activations with the units before the places, whichever axis of a layer's values is theirs."""
    return activations if channels_first else np.moveaxis(activations, -1, 2)


def pooled(
    activations: Float[np.ndarray, "frame example ..."], *, channels_first: bool = False
) -> Float[np.ndarray, "frame example unit"]:
    """The mean of each unit over all places, (frame, example, unit); `POOLED` says so in a label.

    Activations are (frame, example, place ..., unit), as Keras and Flax have them, or with `channels_first`
    (frame, example, unit, place ...), as torch's convolutions have them. Without places they stay as they are.
    """
    values = units_first(activations, channels_first=channels_first)
    return values if values.ndim == 3 else values.mean(axis=tuple(range(3, values.ndim)))
