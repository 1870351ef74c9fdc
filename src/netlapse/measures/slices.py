"""How well a slice through a space of many dimensions speaks for the examples that lie beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .task import Classes, Labels, predicted

if TYPE_CHECKING:
    from jaxtyping import Float

    from .task import Task


def agreement(
    task: Task,
    own: Float[np.ndarray, "frame example unit"],
    drawn: Float[np.ndarray, "frame example unit"],
) -> Float[np.ndarray, " frame"]:
    """Share of examples that are predicted as the point of the slice at which they are drawn is.

    `own` are the examples' logits, `drawn` those at their places on the slice. For quantities it is R² between both.
    """
    if isinstance(task, Classes):
        return (predicted(task.scores(own)) == predicted(task.scores(drawn))).mean(axis=1)
    if isinstance(task, Labels):
        return ((own > 0) == (drawn > 0)).all(axis=-1).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (1 - ((own - drawn) ** 2).mean(axis=1) / own.var(axis=1)).mean(axis=-1)
