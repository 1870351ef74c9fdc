"""Learning curves: a few numbers per frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Unsupported
from .task import Classes, Labels
from .timeline import Timeline

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from .task import Task


@dataclass(frozen=True)
class Curves(Timeline):
    """Mean loss of the probe with the weights of each frame, and how much of it is right.

    `score` is named by `score_name`: the accuracy of classes and of labels, R² of quantities (one less the share of
    their variance that is left as squared error; of several the mean). `wrong` counts the wrong examples of each class,
    or of each label, of which there are `counts` and whose names are `names`; for quantities there are none.

    Not what the framework logs: that is a running mean over an epoch during which the weights move.
    """

    loss_name: str
    score_name: str
    names: tuple[str, ...]
    counts: Int[np.ndarray, " class"]
    loss: Float[np.ndarray, " frame"]
    score: Float[np.ndarray, " frame"]
    wrong: Float[np.ndarray, "frame class"]

    @property
    def accuracy(self) -> Float[np.ndarray, " frame"]:
        """Share of examples, or of labels, that are right. Raises Unsupported for quantities."""
        if self.score_name != "accuracy":
            raise Unsupported(f"the network predicts quantities; `score` is their {self.score_name}")
        return self.score


def curves(
    losses: Float[np.ndarray, "frame example"],
    logits: Float[np.ndarray, "frame example unit"],
    *,
    epochs: Float[np.ndarray, " frame"],
    task: Task,
    loss: str,
) -> Curves:
    """Mean loss, and what is right: of classes, of labels or of quantities."""
    mean = losses.mean(axis=1, dtype=float)
    if isinstance(task, Classes):
        wrong, counts = task.wrong(logits), np.bincount(task.labels, minlength=len(task.names))
        by_class = np.stack([np.bincount(task.labels[row], minlength=len(counts)) for row in wrong]).astype(float)
    elif isinstance(task, Labels):
        counts = np.full(len(task.names), len(task.present))
        by_class = task.wrong_labels(logits).sum(axis=1, dtype=float)
    else:
        left = ((logits - task.values) ** 2).mean(axis=1, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):  # of a quantity that is always the same there is no R²
            explained = (1 - left / task.values.var(axis=0)).mean(axis=1)
        none = np.zeros((len(losses), 0))
        return Curves(epochs, loss, "R²", task.names, np.zeros(0, int), mean, explained, none)
    accuracy = 1 - by_class.sum(axis=1) / counts.sum()
    return Curves(epochs, loss, "accuracy", task.names, counts, mean, accuracy, by_class)
