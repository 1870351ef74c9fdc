"""Learning curves: one number per frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .binary import labels, logits_of, wrong
from .timeline import Timeline, per_frame

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Shaped


@dataclass(frozen=True)
class Curves(Timeline):
    """Mean loss and accuracy over the examples of the probe, with the weights of each frame.

    Not what the framework logs: that is a running mean over an epoch during which the weights move.
    """

    loss_name: str
    loss: Float[np.ndarray, " frame"] = per_frame()
    accuracy: Float[np.ndarray, " frame"] = per_frame()


def curves(
    losses: Float[np.ndarray, "frame example"],
    logits: Float[np.ndarray, "frame example 1"],
    *,
    epochs: Float[np.ndarray, " frame"],
    targets: Shaped[np.ndarray, "example ..."],
    loss: str,
) -> Curves:
    """Mean loss and share of right examples. Raises Unsupported unless the task is binary."""
    mistakes = wrong(logits_of(logits), labels(targets))
    return Curves(
        epochs=epochs, loss_name=loss, loss=losses.mean(axis=1, dtype=float), accuracy=1 - mistakes.mean(axis=1)
    )
