"""The probabilities that the network gives to the classes, example by example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .timeline import Timeline

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from .task import Classes


@dataclass(frozen=True)
class ClassProbabilities(Timeline):
    """Probability of every class for each example at each frame, in [0, 1], and whether the wrong class gets most."""

    names: tuple[str, ...]
    labels: Int[np.ndarray, " example"]
    probabilities: Float[np.ndarray, "frame example class"]
    wrong: Bool[np.ndarray, "frame example"]

    @property
    def own(self) -> Float[np.ndarray, "frame example"]:
        """Probability of each example's own class."""
        return np.take_along_axis(self.probabilities, self.labels[None, :, None], axis=-1)[..., 0]

    def histogram(
        self, classes: Int[np.ndarray, " some"] | int, *, bins: int = 20
    ) -> tuple[Int[np.ndarray, "frame bin"], Int[np.ndarray, "frame bin"], Float[np.ndarray, " edge"]]:
        """Right and wrong examples of some classes per bin of their own class' probability, and the bins' edges.

        Bins are closed on the left, the last on both sides: of two classes 0.5 counts as the class wins it, and with an
        even number of bins each is wholly right or wholly wrong but for such a tie. NaN is in no bin.
        """
        those = np.isin(self.labels, classes)
        values, wrong = self.own[:, those], self.wrong[:, those]
        edges = np.linspace(0, 1, bins + 1)
        index = np.clip(np.floor(np.nan_to_num(values, nan=0.0) * bins), 0, bins - 1).astype(np.intp)
        right, mistaken = (_count(np.where(which & ~np.isnan(values), index, bins), bins) for which in (~wrong, wrong))
        return right, mistaken, edges


def _count(index: Int[np.ndarray, "frame example"], bins: int) -> Int[np.ndarray, "frame bin"]:
    rows = np.arange(len(index))[:, None] * (bins + 1)
    counts = np.bincount((rows + index).ravel(), minlength=len(index) * (bins + 1))
    return counts.reshape(len(index), bins + 1)[:, :bins]


def class_probabilities(
    logits: Float[np.ndarray, "frame example unit"], *, epochs: Float[np.ndarray, " frame"], task: Classes
) -> ClassProbabilities:
    """Make probabilities of scores. Raises Unsupported where outputs are none."""
    return ClassProbabilities(
        epochs=epochs,
        names=task.names,
        labels=task.labels,
        probabilities=task.probabilities(logits).astype(logits.dtype),
        wrong=task.wrong(logits),
    )
