"""Many small networks trained at once, the networks as the last axis: near what `fit` does, and much faster."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..jax.backend import jax, over_leaves
from .train_last import COMPILER_OPTIONS, train_last
from .trainer import Trained, Trainer

if TYPE_CHECKING:
    from .right import Data
    from .trainer import Given


class Fast(Trainer):
    """As `Exact`, within its rounding, for networks of which `GROUP` neighbours share the order of their examples."""

    def __call__(self, given: Given, data: Data) -> Trained:
        """Train the networks, each group of neighbours in one order of the examples for each epoch."""
        numbers = over_leaves(lambda values: np.asarray(values, np.float32), given.numbers)
        found = self._trained(given._replace(numbers=numbers), data)
        return Trained(*over_leaves(_networks_first, found))

    @cached_property
    def _trained(self) -> Any:
        return jax.jit(self._train, compiler_options=COMPILER_OPTIONS)

    def _train(self, given: Given, data: Data) -> Any:
        state = jax.vmap(self._start)(given.trainable, given.others, given.numbers)
        networks = len(given.trainable[0])
        state, epochs = train_last(
            self._step,
            over_leaves(lambda values: jax.numpy.moveaxis(values, 0, -1), state),
            given.orders,
            tuple(data),
            batch_size=self._batch,
            group=-(-networks // len(given.orders)),
            measure=self._measure(data),
            every_epoch=self._every_epoch,
        )
        _, measured, wrong = epochs.measured
        return epochs.metrics, measured, wrong, *(epochs.weights if self._every_epoch else state[:2])


def _networks_first(values: Any) -> Any:
    """Axes epoch, ..., network as network, epoch, ..."""
    return np.moveaxis(np.asarray(values), -1, 0)
