"""The loss of every example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .binary import labels, logits_of, wrong
from .timeline import Timeline

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Shaped


@dataclass(frozen=True)
class SampleLosses(Timeline):
    """Loss of each example at each frame, in the unit of the network's loss, named `loss`, and which are wrong."""

    loss: str
    losses: Float[np.ndarray, "frame example"]
    wrong: Bool[np.ndarray, "frame example"]

    def histogram(
        self, edges: Float[np.ndarray, " edge"]
    ) -> tuple[Int[np.ndarray, "frame bin"], Int[np.ndarray, "frame bin"]]:
        """Right and wrong examples per bin at each frame. NaN and what lies outside the edges is in no bin."""
        return _count(self.losses, ~self.wrong, edges), _count(self.losses, self.wrong, edges)


def _count(
    losses: Float[np.ndarray, "frame example"],
    which: Bool[np.ndarray, "frame example"],
    edges: Float[np.ndarray, " edge"],
) -> Int[np.ndarray, "frame bin"]:
    return np.stack(
        [np.histogram(row[keep & np.isfinite(row)], edges)[0] for row, keep in zip(losses, which, strict=True)]
    )


def sample_losses(
    losses: Float[np.ndarray, "frame example"],
    logits: Float[np.ndarray, "frame example 1"],
    *,
    epochs: Float[np.ndarray, " frame"],
    targets: Shaped[np.ndarray, "example ..."],
    loss: str,
) -> SampleLosses:
    """Gather the losses of the examples and which are wrong. Raises Unsupported unless the task is binary."""
    return SampleLosses(epochs=epochs, loss=loss, losses=losses, wrong=wrong(logits_of(logits), labels(targets)))
