"""What a metric makes of outputs, whatever the framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from numpy.typing import NDArray


def accuracy(
    outputs: Float[np.ndarray, "frame example ..."], targets: NDArray[Any], *, logits: bool
) -> Float[np.ndarray, " frame"]:
    """Share of examples, or of places, whose class is the predicted one.

    One output unit is positive above a probability of a half, which is a logit of 0; of several the largest wins.
    Targets are labels, or one probability for each class.
    """
    if outputs.ndim == 2 or outputs.shape[-1] == 1:
        labels = targets.reshape(len(targets), -1) > 0.5
        return ((outputs.reshape(*outputs.shape[:2], -1) > (0 if logits else 0.5)) == labels).mean(axis=(1, 2))
    labels = targets.argmax(-1) if targets.ndim == outputs.ndim - 1 and targets.shape[-1] > 1 else targets
    predicted = outputs.argmax(-1)
    return (predicted == labels.reshape(predicted.shape[1:])).reshape(len(outputs), -1).mean(axis=1)
