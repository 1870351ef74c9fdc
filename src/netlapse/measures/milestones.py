"""When a network had learnt what, and where it stood still."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Unsupported

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from .curves import Curves


@dataclass(frozen=True)
class Milestone:
    """The first epoch at which a group of examples was all right, and the one from which it stayed so.

    None if that never happened.
    """

    first: float | None
    for_good: float | None


@dataclass(frozen=True)
class Milestones:
    """When the examples of each class (or each label) and all were right, and the epochs of the loss plateaus."""

    classes: dict[str, Milestone]
    all: Milestone
    plateaus: tuple[tuple[float, float], ...]


def milestones(curves: Curves) -> Milestones:
    """Find the milestones of a run in its learning curves. Raises Unsupported where nothing is right or wrong."""
    if curves.wrong.shape[1] == 0:
        raise Unsupported(
            f"the network predicts quantities ({', '.join(curves.names)}), of which none is right or wrong"
        )
    return Milestones(
        classes={
            name: _milestone(wrong == 0, curves.epochs)
            for name, wrong in zip(curves.names, curves.wrong.T, strict=True)
        },
        all=_milestone((curves.wrong == 0).all(axis=1), curves.epochs),
        plateaus=plateaus(curves.loss, curves.epochs),
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
    slow: float = 0.25,
    shortest: float = 0.05,
) -> tuple[tuple[float, float], ...]:
    """Stretches of epochs, first and last, in which the loss nearly stood still.

    There the loss falls, in proportion to itself, at less than `slow` times its mean pace over the whole run, for
    at least the share `shortest` of all epochs. The pace is measured over a window of 2 % of the frames to either
    side, so that single noisy epochs neither make nor break a plateau. A run whose loss did not fall has none.
    """
    if len(loss) < 5 or not (np.isfinite(loss).all() and (loss > 0).all()):
        return ()
    reach = max(1, round(0.02 * len(loss)))
    frames = np.arange(len(loss))
    low, high = np.maximum(frames - reach, 0), np.minimum(frames + reach, len(loss) - 1)
    height = np.log(loss)
    pace = (height[low] - height[high]) / (epochs[high] - epochs[low])
    total = epochs[-1] - epochs[0]
    mean = (height[0] - height[-1]) / total
    if mean <= 0:
        return ()
    still = np.concatenate([[False], pace < slow * mean, [False]])
    starts, stops = np.flatnonzero(still[1:] & ~still[:-1]), np.flatnonzero(~still[1:] & still[:-1]) - 1
    # A hitch no longer than the window is noise within one plateau, not the end of it.
    whole = starts[1:] - stops[:-1] > 2 * reach
    starts, stops = starts[np.append(True, whole)[: len(starts)]], stops[np.append(whole, True)[: len(stops)]]
    return tuple(
        (float(epochs[start]), float(epochs[stop]))
        for start, stop in zip(starts, stops, strict=True)
        if epochs[stop] - epochs[start] >= shortest * total
    )
