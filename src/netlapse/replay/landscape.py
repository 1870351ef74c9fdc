"""Measures of weight space: the way through it, the loss around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import measures
from ..store.examples import count
from . import weight_space
from .values import Values, slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from numpy.typing import NDArray

    from ..measures import Limits
    from ..measures.loss_surface import Progress
    from .frames import Epochs
    from .network import StackedWeights
    from .values import Split


class Landscape(Values):
    """Measures of weight space."""

    def weight_plane(
        self,
        epoch: Epochs = None,
        *,
        kind: measures.PlaneKind = "pca",
        others: Sequence[Values] = (),
        seed: int = 0,
    ) -> measures.WeightPlane:
        """A plane in the space of all trainable weights, through those of the last frame: see `WeightPlane`.

        It is made for this run's frames and, pooled, those of `others` of the same architecture, thinned evenly where
        they are more than 512 in all (128 of a network of a million weights). Frames whose weights are not all numbers
        count for nothing. Raises Unsupported if the weights never moved, or the architectures differ.
        """
        runs = [(replay.run, replay._select(epoch if replay is self else None)) for replay in (self, *others)]
        return weight_space.weight_plane(runs, kind, seed)

    def trajectory(
        self, epoch: Epochs = None, *, plane: measures.WeightPlane | None = None, split: Split | None = None
    ) -> measures.Trajectory:
        """Where the weights of each frame lie in a plane of weight space, by default the run's own.

        With `split` the mean loss of those examples at each frame, too. To see several runs in one plane pass
        `first.weight_plane(others=[second])` to both. Raises Unsupported if the weights never moved.
        """
        plane = self.weight_plane() if plane is None else plane
        numbers = self._select(epoch)
        losses = None
        if split is not None:
            inputs, targets = self.inputs(split), self.targets(split)
            blocks = slices(len(numbers), self._frames_at_once(count(inputs)))
            losses = np.concatenate([self._losses(numbers[rows], inputs, targets).mean(1, float) for rows in blocks])
        moments = weight_space.Moments([(self.run, numbers, weight_space.names_in(plane, self.run))])
        return measures.trajectory(moments.read, plane, epochs=self.epochs[numbers], loss=losses)

    def loss_surface(
        self,
        plane: measures.WeightPlane | None = None,
        *,
        split: Split = "train",
        resolution: int = 41,
        margin: float = 0.2,
        limits: Limits | None = None,
        progress: Progress | None = None,
    ) -> measures.LossSurface:
        """Mean loss of the probe on a plane of weight space, by default that in which the run moved most.

        A grid of `resolution` x `resolution` points that holds all frames the plane was made for, with a margin on each
        side as a share of its width, or `limits`. `progress(done, total)` is called as points are done. BatchNorm
        statistics are those of the plane's centre everywhere; the loss is without regularisation.
        """
        plane = self.weight_plane() if plane is None else plane
        inputs, targets = self.inputs(split), self.targets(split)
        names = weight_space.names_in(plane, self.run)

        def mean_losses(weights: StackedWeights) -> Float[np.ndarray, " point"]:
            own = {names[name]: array for name, array in weights.items()}
            return self._losses_of(own, inputs, targets).mean(axis=1, dtype=float)

        return measures.loss_surface(
            mean_losses,
            plane,
            loss=self.loss_name,
            split=split,
            resolution=resolution,
            margin=margin,
            limits=limits,
            points_at_once=self._frames_at_once(count(inputs)),
            progress=progress,
        )

    def interpolation(
        self,
        first: float,
        second: float,
        other: Values | None = None,
        *,
        split: Split = "train",
        alphas: Sequence[float] | None = None,
    ) -> measures.Interpolation:
        """Loss and accuracy on the straight line between the weights at two epochs, the second of `other` if given.

        `alphas` go from 0 (the first) to 1 (the second), by default 31 and three more beyond each end. The examples are
        this run's. Raises Unsupported if the architectures differ.
        """
        target = self if other is None else other
        names = weight_space.counterparts(self.run, target.run)
        start = weight_space.weights_at(self.run, self._select(first)[0], {name: name for name in names})
        end = weight_space.weights_at(target.run, target._select(second)[0], names)
        inputs, targets = self.inputs(split), self.targets(split)

        def evaluate(weights: StackedWeights) -> tuple[NDArray[Any], NDArray[Any] | None]:
            losses = self._losses_of(weights, inputs, targets).mean(axis=1, dtype=float)
            return losses, self._accuracies_of(weights, inputs, targets)

        return measures.interpolation(
            evaluate,
            start,
            end,
            alphas=measures.usual_alphas() if alphas is None else np.asarray(alphas, float),
            trainable=weight_space.trainable_of(self.run),
            loss=self.loss_name,
            split=split,
            ends=_names_of_ends(self, first, target, second),
            points_at_once=self._frames_at_once(count(inputs)),
        )


def _names_of_ends(first: Values, start: float, second: Values, end: float) -> tuple[str, str]:
    if first is second:
        return f"epoch {start:g}", f"epoch {end:g}"
    return f"{first.name}, epoch {start:g}", f"{second.name}, epoch {end:g}"
