"""The loss of every example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .timeline import Timeline, per_frame

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True)
class SampleLosses(Timeline):
    """Loss of each example at each frame, in the unit of the network's loss, named `loss`."""

    loss: str
    losses: Float[np.ndarray, "frame example"] = per_frame()

    def histogram(
        self, edges: Float[np.ndarray, " edge"]
    ) -> tuple[Int[np.ndarray, "frame bin"], Int[np.ndarray, " frame"]]:
        """Examples per bin at each frame, and how many lie beyond the last edge. NaN is in no bin."""
        counts = np.stack([np.histogram(row[np.isfinite(row)], edges)[0] for row in self.losses])
        return counts, (self.losses > edges[-1]).sum(axis=1)


def sample_losses(
    losses: Float[np.ndarray, "frame example"], *, epochs: Float[np.ndarray, " frame"], loss: str
) -> SampleLosses:
    """Gather the losses of the examples."""
    return SampleLosses(epochs=epochs, loss=loss, losses=losses)
