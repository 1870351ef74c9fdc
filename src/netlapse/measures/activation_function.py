"""An activation function and its gradient over the pre-activation, and what a reader looks for in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

Stretch = tuple[float, float]
"""An interval of pre-activations, from and to."""


@dataclass(frozen=True, eq=False)
class ActivationFunction:
    """What a unit makes of its pre-activation z, and how steeply.

    `values` are activations, `gradients` their exact derivatives with respect to z; all three arrays run over
    the same increasing grid of z. `label` writes out what was evaluated where the name alone does not say it:
    softmax needs a whole vector, so it is shown as "softmax((z, 0))₁".
    """

    name: str
    z: Float[np.ndarray, " point"]
    values: Float[np.ndarray, " point"]
    gradients: Float[np.ndarray, " point"]
    label: str | None = None

    @property
    def title(self) -> str:
        """The label, or the plain name where that says it all."""
        return self.label or self.name


@dataclass(frozen=True)
class GradientPeak:
    """The gradient of largest magnitude on the grid, and where it is reached.

    `stretches` are single points (from = to) or whole plateaus, as z > 0 for ReLU. `growing`: the gradient
    still climbs by more than a tenth of itself per unit of z where the grid ends, so this is no true peak.
    """

    gradient: float
    stretches: tuple[Stretch, ...]
    growing: bool


def gradient_peak(curve: ActivationFunction) -> GradientPeak:
    """The steepest part of `curve`; a plateau is at least a hundredth of the grid wide."""
    z, size = curve.z, np.abs(curve.gradients)
    peak = float(np.nanmax(size))
    # float32 derivatives of a flat stretch differ in their last digits.
    stretches = _stretches(z, size >= peak * (1 - 1e-5))
    wide = 0.01 * float(z[-1] - z[0])
    points = tuple(ends if ends[1] - ends[0] > wide else _point(ends, z) for ends in stretches)
    climb = np.abs(np.diff(size) / np.diff(z))
    growing = (points[0] == (z[0], z[0]) and climb[0] > 0.1 * peak) or (
        points[-1] == (z[-1], z[-1]) and climb[-1] > 0.1 * peak
    )
    gradient = float(curve.gradients[int(np.nanargmax(size))])
    return GradientPeak(gradient, points, bool(growing))


def saturated(curve: ActivationFunction, fraction: float = 0.05) -> tuple[Stretch, ...]:
    """Where |gradient| is below `fraction` of its peak: a unit there hardly learns.

    Empty where there is no true peak to compare with, as for the exponential.
    """
    peak = gradient_peak(curve)
    if peak.growing:
        return ()
    return _stretches(curve.z, np.abs(curve.gradients) < fraction * abs(peak.gradient))


def jumps(values: Float[np.ndarray, " point"]) -> Int[np.ndarray, " jump"]:
    """Indices i where `values` is discontinuous between points i and i + 1.

    A jump is over 1 % of the values' range and at least five times the steps beside it; a curve that the grid
    resolves has neighbouring steps of like size.
    """
    steps = np.abs(np.diff(values))
    padded = np.concatenate([[0.0], steps, [0.0]])
    beside = np.maximum(padded[:-2], padded[2:])
    return np.flatnonzero((steps > 0.01 * np.ptp(values)) & (steps > 5 * beside))


def _stretches(z: Float[np.ndarray, " point"], inside: Bool[np.ndarray, " point"]) -> tuple[Stretch, ...]:
    """Intervals of consecutive true points; an inner end lies halfway to the first point outside."""
    edges = np.diff(np.concatenate([[0], inside.astype(int), [0]]))
    borders = np.concatenate([z[:1], (z[1:] + z[:-1]) / 2, z[-1:]])
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return tuple((float(borders[i]), float(borders[j])) for i, j in zip(starts, stops, strict=True))


def _point(stretch: Stretch, z: Float[np.ndarray, " point"]) -> Stretch:
    """A peak too narrow to be a plateau: at the grid's end if it touches that, else in the middle."""
    for end in (float(z[0]), float(z[-1])):
        if end in stretch:
            return end, end
    middle = sum(stretch) / 2
    return middle, middle
