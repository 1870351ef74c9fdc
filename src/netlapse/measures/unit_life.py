"""When the units of a layer are alive: how many examples each is active for, from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Bool, Float

RELUS = ("relu", "relu6")
# phi'(z) / max phi' of the activation functions that saturate on both sides.
_SLOPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": lambda activation: 4 * activation * (1 - activation),
    "tanh": lambda activation: 1 - activation**2,
}
SATURATED = 0.05


@dataclass(frozen=True)
class UnitLife(Timeline):
    """How active each unit of a layer is over the examples.

    `highest` is the largest pre-activation of any example, `active` the share of examples whose pre-activation is
    above 0. `saturated`, for sigmoid and tanh only, is the share for which the activation's slope is below 5 % of its
    largest.

    A unit with ReLU is *dead* at a frame where it is active for no example (`highest` <= 0): then nothing trains it.
    That none of n examples activates it bounds the share of all inputs that do by 3/n, with 95 % confidence.
    """

    layer: str
    activation: str | None
    examples: int
    highest: Float[np.ndarray, "frame unit"]
    active: Float[np.ndarray, "frame unit"]
    saturated: Float[np.ndarray, "frame unit"] | None

    @property
    def can_die(self) -> bool:
        """Whether units can be dead at all: of the activation functions, ReLU's alone."""
        return self.activation in RELUS

    @property
    def dead(self) -> Bool[np.ndarray, "frame unit"]:
        """Where a unit is dead; nowhere for activations other than ReLU, nor where weights are not numbers."""
        return np.where(self.can_die, self.highest <= 0, False)

    def dead_stretches(self, unit: int) -> list[tuple[float, float | None]]:
        """From which epoch until which a unit is dead; until None: to the end."""
        dead = self.dead[:, unit].astype(int)
        change = np.diff(np.concatenate([[0], dead, [0]]))
        starts, stops = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
        return [
            (float(self.epochs[start]), float(self.epochs[stop]) if stop < len(dead) else None)
            for start, stop in zip(starts, stops, strict=True)
        ]

    @property
    def born_dead(self) -> Bool[np.ndarray, " unit"]:
        """Which units are dead at the first frame."""
        return self.dead[0]

    @property
    def died(self) -> Float[np.ndarray, " unit"]:
        """The epoch from which each unit is dead to the end; NaN for those that live at the end."""
        frames = len(self.epochs)
        alive = np.argmax(~self.dead[::-1], axis=0)  # frames since a unit lived last
        since = np.where(self.dead.all(axis=0), 0, frames - alive)
        return np.where(self.dead[-1], self.epochs[np.minimum(since, frames - 1)], np.nan)

    @property
    def revived(self) -> Bool[np.ndarray, " unit"]:
        """Which units were dead and lived again."""
        return np.any(self.dead[:-1] & ~self.dead[1:], axis=0)


def unit_life(
    pre_activations: Float[np.ndarray, "frame example unit"],
    activations: Float[np.ndarray, "frame example unit"],
    *,
    epochs: Float[np.ndarray, " frame"],
    layer: str,
    activation: str | None,
) -> UnitLife:
    """Count the examples for which each unit is active or saturated.

    After Glorot, Bordes and Bengio, Deep Sparse Rectifier Neural Networks (2011), and Glorot and Bengio,
    Understanding the difficulty of training deep feedforward neural networks (2010).
    """
    highest = pre_activations.max(axis=1)
    unknown = np.isnan(highest)
    slope = _SLOPES.get(activation or "")

    def share(which: Bool[np.ndarray, "frame example unit"]) -> Float[np.ndarray, "frame unit"]:
        return np.where(unknown, np.nan, which.mean(axis=1))

    return UnitLife(
        epochs=epochs,
        layer=layer,
        activation=activation,
        examples=pre_activations.shape[1],
        highest=highest,
        active=share(pre_activations > 0),
        saturated=share(slope(activations.astype(float)) < SATURATED) if slope else None,
    )
