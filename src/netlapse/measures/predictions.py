"""Quantities: what is predicted, and what is true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Unsupported
from .task import Quantities
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Int

    from .task import Task


@dataclass(frozen=True)
class Predictions(Timeline):
    """What is true of each example and what is predicted at each frame, of some of the `total` quantities."""

    names: tuple[str, ...]
    total: int
    true: Float[np.ndarray, "example quantity"]
    predicted: Float[np.ndarray, "frame example quantity"]

    @property
    def residuals(self) -> Float[np.ndarray, "frame example quantity"]:
        """By how much the predictions exceed what is true, in the unit of the quantity."""
        # Infinity is as far as it seems.
        with np.errstate(invalid="ignore", over="ignore"):
            return self.predicted - self.true

    @property
    def rmse(self) -> Float[np.ndarray, "frame quantity"]:
        """Root of the mean squared residual, in the unit of the quantity; NaN if any prediction is."""
        with np.errstate(invalid="ignore", over="ignore"):
            return np.sqrt((self.residuals**2).mean(axis=1))

    @property
    def r2(self) -> Float[np.ndarray, "frame quantity"]:
        """Share of the variance that is explained: 1 at best, 0 for predicting the mean; NaN without variance."""
        variance = self.true.var(axis=0)
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            return np.where(variance > 0, 1 - self.rmse**2 / variance, np.nan)

    def histogram(self, edges: Float[np.ndarray, " edge"], quantity: int = 0) -> Int[np.ndarray, "frame bin"]:
        """Examples by the residual of one quantity. What is not a number or beyond the edges is in no bin."""
        rows = self.residuals[:, :, quantity]
        return np.stack([np.histogram(row[np.isfinite(row)], edges)[0] for row in rows])


def predictions(
    outputs: Float[np.ndarray, "frame example unit"],
    *,
    epochs: Float[np.ndarray, " frame"],
    task: Task,
    quantities: Sequence[int] | None = None,
) -> Predictions:
    """Gather the predictions of some quantities, all by default, by their places among the output's units.

    Raises Unsupported for classes and labels.
    """
    if not isinstance(task, Quantities):
        raise Unsupported(
            "the network predicts classes or labels, not quantities: ask for `class_probabilities` or `confusion`"
        )
    total = len(task.names)
    chosen = list(range(total) if quantities is None else quantities)
    if any(not 0 <= place < total for place in chosen):
        raise Unsupported(f"there are {total} quantities; quantities={chosen} asks for one beyond them")
    return Predictions(
        epochs=epochs,
        names=tuple(task.names[place] for place in chosen),
        total=total,
        true=task.values[:, chosen],
        predicted=outputs[:, :, chosen].astype(float),
    )
