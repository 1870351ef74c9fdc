"""Learning curves: a few numbers per frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .binary import labels, logits_of, wrong
from .timeline import Timeline

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Shaped


@dataclass(frozen=True)
class Curves(Timeline):
    """Mean loss and number of wrong examples of the probe, with the weights of each frame.

    Not what the framework logs: that is a running mean over an epoch during which the weights move.
    """

    loss_name: str
    negatives: int
    positives: int
    loss: Float[np.ndarray, " frame"]
    wrong_negatives: Float[np.ndarray, " frame"]
    wrong_positives: Float[np.ndarray, " frame"]

    @property
    def accuracy(self) -> Float[np.ndarray, " frame"]:
        """Share of all examples that are right."""
        return 1 - (self.wrong_negatives + self.wrong_positives) / (self.negatives + self.positives)


def curves(
    losses: Float[np.ndarray, "frame example"],
    logits: Float[np.ndarray, "frame example 1"],
    *,
    epochs: Float[np.ndarray, " frame"],
    targets: Shaped[np.ndarray, "example ..."],
    loss: str,
) -> Curves:
    """Mean loss and wrong examples. Raises Unsupported unless the task is binary."""
    positive = labels(targets)
    mistakes = wrong(logits_of(logits), positive)
    return Curves(
        epochs=epochs,
        loss_name=loss,
        negatives=int((~positive).sum()),
        positives=int(positive.sum()),
        loss=losses.mean(axis=1, dtype=float),
        wrong_negatives=mistakes[:, ~positive].sum(axis=1, dtype=float),
        wrong_positives=mistakes[:, positive].sum(axis=1, dtype=float),
    )
