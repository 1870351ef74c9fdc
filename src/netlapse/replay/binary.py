"""What a loss and a metric make of one output unit, whatever the framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float
    from numpy.typing import NDArray


def takes_logits(losses: Callable[[NDArray[Any], NDArray[Any]], Any]) -> bool:
    """Whether a loss of one output unit is a binary cross-entropy of logits.

    Known by what it does, since it may be anybody's function: between the outputs z and -z it differs by a multiple of
    z, one way for positive and the other for negative examples. `losses` maps outputs (example, 1) and targets
    (example, 1) to one number for each example; what it does not take, it may refuse.
    """
    z = np.array([2.0, 4.0], np.float32)
    outputs = np.concatenate([z, -z])[:, None]
    try:
        positive, negative = (
            np.asarray(losses(outputs, np.full_like(outputs, label)), np.float64).reshape(2, 2) for label in (1, 0)
        )
    # Frameworks raise errors of many kinds for outputs that are no probabilities.
    except Exception:
        return False
    gains = np.array([positive[1] - positive[0], negative[0] - negative[1]]) / z
    return bool((gains > 0).all() and np.allclose(gains[:, 0], gains[:, 1], rtol=1e-4))


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
