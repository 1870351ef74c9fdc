"""Many small networks trained at once, the networks as the last axis: near what `fit` does, and much faster."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..jax.backend import jax, over_leaves
from .exact import Trained
from .measured import Start, measure_of, numbers
from .train_last import COMPILER_OPTIONS, train_last

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from .initial import Stacked
    from .right import Data, Reading


class Fast:
    """As `Exact`, within its rounding, for networks of which `GROUP` neighbours share the order of their examples."""

    def __init__(self, model: Any, reading: Reading, data: Data, *, batch_size: int, every_epoch: bool = False) -> None:
        self._model, self._reading, self._batch, self._every_epoch = model, reading, batch_size, every_epoch
        self._start = Start(model, data)

    def __call__(
        self,
        initial: tuple[Stacked, Stacked],
        rates: Float[np.ndarray, " network"],
        orders: Int[np.ndarray, "order epoch example"],
        data: Data,
    ) -> Trained:
        """Train the networks, each group of neighbours in one order of the examples for each epoch."""
        found = self._trained(*initial, jax.numpy.asarray(rates, np.float32), orders, data)
        logged, measured, wrong, trainable, others = over_leaves(_networks_first, found)
        return Trained(logged, measured, wrong, trainable, others)

    @cached_property
    def _trained(self) -> Any:
        return jax.jit(self._train, compiler_options=COMPILER_OPTIONS)

    def _train(self, trainable: Any, others: Any, rates: Any, orders: Any, data: Data) -> Any:
        def step(state: Any, batch: Any) -> Any:
            return self._model.train_step(state, tuple(batch[:2]))

        state = jax.vmap(self._start)(trainable, others, rates)
        state, epochs = train_last(
            step,
            over_leaves(lambda values: jax.numpy.moveaxis(values, 0, -1), state),
            orders,
            tuple(data),
            batch_size=self._batch,
            group=-(-len(rates) // len(orders)),
            measure=measure_of(self._model, self._reading, self._start, data),
            every_epoch=self._every_epoch,
        )
        _, measured, wrong = epochs.measured
        return numbers(epochs.metrics), measured, wrong, *(epochs.weights if self._every_epoch else state[:2])


def _networks_first(values: Any) -> Any:
    """Axes epoch, ..., network as network, epoch, ..."""
    return np.moveaxis(np.asarray(values), -1, 0)
