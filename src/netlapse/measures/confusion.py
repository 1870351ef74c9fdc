"""Which classes are taken for which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Unsupported
from .task import Classes, predicted
from .timeline import Timeline

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from .task import Task


@dataclass(frozen=True)
class Confusion(Timeline):
    """Examples by true class, the first axis of the two, and by predicted class.

    `cases` counts the examples of each true class. Those whose scores are not numbers are predicted as none.
    """

    names: tuple[str, ...]
    cases: Int[np.ndarray, " class"]
    counts: Int[np.ndarray, "frame class class"]

    @property
    def shares(self) -> Float[np.ndarray, "frame class class"]:
        """Share of the examples of each true class; 0 for a class without any."""
        return self.counts / np.maximum(self.cases, 1)[:, None]

    @property
    def undecided(self) -> Int[np.ndarray, " frame"]:
        """Examples that no class is predicted for."""
        return self.cases.sum() - self.counts.sum(axis=(1, 2))

    def most_confused(self, frame: int = -1) -> list[tuple[int, int, int]]:
        """Pairs of classes and how many examples of the first are taken for the second, the most first."""
        wrong = self.counts[frame] * (1 - np.eye(len(self.names), dtype=int))
        order = np.argsort(-wrong, axis=None, kind="stable")
        pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
        return [(int(i), int(j), int(wrong[i, j])) for i, j in pairs if wrong[i, j]]


def confusion(
    logits: Float[np.ndarray, "frame example unit"], *, epochs: Float[np.ndarray, " frame"], task: Task
) -> Confusion:
    """Count the examples by true and predicted class. Raises Unsupported unless each example has one class."""
    if not isinstance(task, Classes):
        raise Unsupported(
            f"the network predicts {', '.join(task.names)}, not one class for each example; of several labels ask for"
            " one with label=, of quantities for `predictions`"
        )
    classes = len(task.names)
    found = predicted(task.scores(logits))
    # One more column for those that have no prediction.
    cells = task.labels * (classes + 1) + np.where(found < 0, classes, found)
    cells = cells + np.arange(len(cells))[:, None] * classes * (classes + 1)
    counts = np.bincount(cells.ravel(), minlength=len(cells) * classes * (classes + 1))
    return Confusion(
        epochs=epochs,
        names=task.names,
        cases=np.bincount(task.labels, minlength=classes),
        counts=counts.reshape(len(cells), classes, classes + 1)[..., :classes],
    )
