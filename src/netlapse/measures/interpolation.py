"""The straight line between two networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from jaxtyping import Float
    from numpy.typing import NDArray

    from .weight_space import Weights


@dataclass(frozen=True)
class Interpolation:
    """Mean loss of the probe with the weights (1 - alpha) first + alpha second, and accuracy if there are classes.

    `loss` names the loss, `split` the examples, `ends` the two networks. BatchNorm statistics are interpolated as the
    weights are, not estimated anew, and beyond the ends stay those of the end: variances are never negative. Units of
    different runs are taken as they are numbered, not aligned.
    """

    alphas: Float[np.ndarray, " alpha"]
    losses: Float[np.ndarray, " alpha"]
    accuracies: Float[np.ndarray, " alpha"] | None
    loss: str
    split: str
    ends: tuple[str, str]

    @property
    def chord(self) -> Float[np.ndarray, " alpha"]:
        """(1 - alpha) loss of the first + alpha loss of the second."""
        first, second = self.losses[[self._place(0), self._place(1)]]
        return (1 - self.alphas) * first + self.alphas * second

    @property
    def barrier(self) -> float:
        """How far the loss rises above the chord between both ends, at most: never below 0.

        Infinite where the loss is not a number between ends that are finite. With ends of one loss it is the barrier
        of Frankle et al. (2020), who subtract the mean of both; the chord does not call a mere slope a barrier.
        """
        return float(self._excess().max())

    @property
    def barrier_at(self) -> float:
        """The alpha where the loss is furthest above the chord."""
        return float(self.alphas[self._within][self._excess().argmax()])

    @property
    def error_barrier(self) -> float | None:
        """The highest share of wrong examples between both ends, less the mean of theirs (Frankle et al. 2020).

        Their networks count as connected below 0.02. None without accuracies.
        """
        if self.accuracies is None:
            return None
        ends = 1 - self.accuracies[[self._place(0), self._place(1)]]
        return float((1 - self.accuracies[self._within]).max() - ends.mean())

    @property
    def _within(self) -> NDArray[np.bool_]:
        return (self.alphas >= 0) & (self.alphas <= 1)

    def _excess(self) -> NDArray[Any]:
        excess = (self.losses - self.chord)[self._within]
        return np.where(np.isnan(excess), np.inf, excess)

    def _place(self, alpha: float) -> int:
        return int(np.abs(self.alphas - alpha).argmin())


def usual_alphas() -> Float[np.ndarray, " alpha"]:
    """31 from 0 to 1, and three more beyond each end."""
    return np.arange(-3, 34) / 30


def interpolation(
    evaluate: Callable[[Weights], tuple[NDArray[Any], NDArray[Any] | None]],
    first: Weights,
    second: Weights,
    *,
    alphas: Float[np.ndarray, " alpha"],
    trainable: Collection[str],
    loss: str,
    split: str,
    ends: tuple[str, str],
    points_at_once: int = 256,
) -> Interpolation:
    """Evaluate mean losses and accuracies along the line, always at both ends, too; a block of points at a time."""
    alphas = np.union1d(alphas, [0.0, 1.0])
    parts = [
        evaluate(_between(first, second, alphas[start : start + points_at_once], trainable))
        for start in range(0, len(alphas), points_at_once)
    ]
    accuracies = [part for _, part in parts if part is not None]
    return Interpolation(
        alphas,
        np.concatenate([part for part, _ in parts]),
        np.concatenate(accuracies) if accuracies else None,
        loss,
        split,
        ends,
    )


def _between(
    first: Weights, second: Weights, alphas: NDArray[Any], trainable: Collection[str]
) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for name, one in first.items():
        share = alphas if name in trainable else np.clip(alphas, 0, 1)
        share = share.reshape(-1, *[1] * one.ndim).astype(np.float32)
        if one.dtype.kind == "f":
            found[name] = ((1 - share) * one + share * second[name]).astype(one.dtype, copy=False)
        else:  # a count or a seed
            found[name] = np.broadcast_to(one, (len(alphas), *one.shape))
    return found
