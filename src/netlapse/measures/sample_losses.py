"""The loss of every example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .task import mistakes
from .timeline import Timeline

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from .task import Task


@dataclass(frozen=True)
class SampleLosses(Timeline):
    """Loss of each example at each frame, in the unit of the network's loss, named `loss`, and which are wrong.

    Where the network predicts quantities no example is right or wrong, and `wrong` is None.
    """

    loss: str
    losses: Float[np.ndarray, "frame example"]
    wrong: Bool[np.ndarray, "frame example"] | None

    def histogram(
        self, edges: Float[np.ndarray, " edge"]
    ) -> tuple[Int[np.ndarray, "frame bin"], Int[np.ndarray, "frame bin"]]:
        """Right and wrong examples per bin at each frame. NaN and what lies outside the edges is in no bin.

        Where none can be wrong, all count as right.
        """
        wrong = np.zeros(self.losses.shape, bool) if self.wrong is None else self.wrong
        return _count(self.losses, ~wrong, edges), _count(self.losses, wrong, edges)


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
    logits: Float[np.ndarray, "frame example unit"],
    *,
    epochs: Float[np.ndarray, " frame"],
    task: Task,
    loss: str,
) -> SampleLosses:
    """Gather the losses of the examples and which are wrong."""
    return SampleLosses(epochs=epochs, loss=loss, losses=losses, wrong=mistakes(task, logits))
