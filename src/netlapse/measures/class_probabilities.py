"""The probability that the network gives to the positive class, example by example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .binary import labels, logits_of
from .timeline import Timeline

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Shaped


@dataclass(frozen=True)
class ClassProbabilities(Timeline):
    """P(positive) of each example at each frame, in [0, 1]. An example is wrong on the far side of 0.5."""

    positive: Bool[np.ndarray, " example"]
    probabilities: Float[np.ndarray, "frame example"]

    def histogram(
        self, *, positive: bool, bins: int = 20
    ) -> tuple[Int[np.ndarray, "frame bin"], Float[np.ndarray, " edge"]]:
        """Examples of one class per bin of P(positive), at each frame, and the bins' edges.

        With an even number of bins 0.5 is an edge, so that each bin is wholly right or wholly wrong; exactly 0.5
        counts as predicted negative, as Keras' accuracy does. NaN is in no bin.
        """
        values = self.probabilities[:, self.positive == positive]
        edges = np.linspace(0, 1, bins + 1)
        # Bins are closed on the right: 0.5 falls into the last bin of the negative half.
        index = np.clip(np.ceil(np.nan_to_num(values, nan=-1.0) * bins) - 1, 0, bins - 1).astype(np.intp)
        index[np.isnan(values)] = bins
        rows = np.arange(len(values))[:, None] * (bins + 1)
        counts = np.bincount((rows + index).ravel(), minlength=len(values) * (bins + 1))
        return counts.reshape(len(values), bins + 1)[:, :bins], edges


def class_probabilities(
    logits: Float[np.ndarray, "frame example 1"],
    *,
    epochs: Float[np.ndarray, " frame"],
    targets: Shaped[np.ndarray, "example ..."],
) -> ClassProbabilities:
    """Turn logits into probabilities. Raises Unsupported unless the task is binary."""
    values = logits_of(logits)
    # The two branches of the logistic function, each where it cannot overflow.
    small = np.exp(-np.abs(values))
    probabilities = np.where(values >= 0, 1, small) / (1 + small)
    return ClassProbabilities(epochs=epochs, positive=labels(targets), probabilities=probabilities.astype(values.dtype))
