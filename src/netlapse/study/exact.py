"""Many networks trained at once, each as `fit` trains it, to the bit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..jax.backend import jax, over_leaves
from .measured import Start, measure_of
from .train_last import measure_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Int
    from numpy.typing import NDArray

    from .initial import Stacked
    from .right import Data, Reading

    # Variables of one network: trainable, others, the optimiser's and the metrics', as Keras' train_step has them.
    State = tuple[Any, Any, Any, Any]


@dataclass(frozen=True)
class Trained:
    """What became of some networks.

    `logged` are the means over the batches of each epoch, as `fit` reports them, (network, epoch) from epoch 1 on.
    `measured` are the loss and the metrics over all examples before training and after each epoch, (network, epoch)
    from epoch 0 on, and `wrong` how many examples of each class are wrong then. `trainable` and `others` are the
    model's variables, (network, ...) in the end or, where every epoch was asked for, (network, epoch, ...).
    """

    logged: dict[str, Float[np.ndarray, "network epoch"]]
    measured: dict[str, Float[np.ndarray, "network epoch"]]
    wrong: Int[np.ndarray, "network epoch class"]
    trainable: list[NDArray[Any]]
    others: list[NDArray[Any]]

    def of(self, networks: Int[np.ndarray, " some"]) -> Trained:
        """Some of the networks."""
        return Trained(*over_leaves(lambda values: values[networks], self._parts))

    @staticmethod
    def join(parts: Sequence[Trained]) -> Trained:
        """Networks of several parts."""
        return Trained(*jax.tree.map(_end_to_end, *(part._parts for part in parts)))

    @property
    def _parts(self) -> tuple[Any, ...]:
        return self.logged, self.measured, self.wrong, self.trainable, self.others


class Exact:
    """Keras' own `train_step`, over steps and epochs by `lax.scan` and over networks by `jax.vmap`.

    The networks have one structure, and differ in their initial weights, their learning rates and the order of their
    examples. XLA computes each of them as it computes one alone, as long as there are not so many that it multiplies
    matrices in another way: `difference` tells.
    """

    def __init__(self, model: Any, reading: Reading, data: Data, *, batch_size: int, every_epoch: bool = False) -> None:
        self._model, self._reading, self._batch, self._every_epoch = model, reading, batch_size, every_epoch
        self._start = Start(model, data)

    def __call__(
        self,
        initial: tuple[Stacked, Stacked],
        rates: Float[np.ndarray, " network"],
        orders: Int[np.ndarray, "network epoch example"],
        data: Data,
    ) -> Trained:
        """Train the networks. Orders say for each epoch in which order the examples are seen."""
        found = self._trained(*initial, jax.numpy.asarray(rates, jax.numpy.float32), jax.numpy.asarray(orders), data)
        logged, measured, wrong, trainable, others = over_leaves(np.asarray, found)
        return Trained(logged, measured, wrong, trainable, others)

    @cached_property
    def _trained(self) -> Any:
        return jax.jit(self._train)

    def _train(self, trainable: Any, others: Any, rates: Any, orders: Any, data: Data) -> Any:
        """All networks, from their initial weights to their last epoch."""
        measure = measure_of(self._model, self._reading, self._start, data)
        one_epoch = jax.vmap(self._epoch, in_axes=(0, 0, None))

        def seen(state: State) -> Any:
            last = over_leaves(lambda values: jax.numpy.moveaxis(values, 0, -1), state[:2])
            _, measured, wrong = measure_all(measure, last, tuple(data), len(rates))
            kept: Any = state[:2] if self._every_epoch else ()
            return measured, wrong, kept

        def epoch(state: State, order: Any) -> tuple[State, Any]:
            state, logs = one_epoch(state, order, data)
            return state, (logs, seen(state))

        state = jax.vmap(self._start)(trainable, others, rates)
        before = seen(state)
        state, (logs, after) = jax.lax.scan(epoch, state, orders.swapaxes(0, 1))
        measured, wrong, kept = jax.tree.map(_begun_with, before, after)
        variables = over_leaves(lambda values: values.swapaxes(0, 1), kept) if self._every_epoch else state[:2]
        logs = {name: values.swapaxes(0, 1) for name, values in logs.items()}
        return logs, over_leaves(_networks_first, measured), _networks_first(wrong), *variables

    def _epoch(self, state: State, order: Any, data: Data) -> tuple[State, dict[str, Any]]:
        """One epoch as `fit` goes through it: metrics begin anew, the last batch may be smaller."""
        state = (*state[:3], self._start.metrics)
        whole = len(order) // self._batch * self._batch
        logs: Any = {}

        def step(state: State, rows: Any) -> tuple[State, dict[str, Any]]:
            logs, state = self._step(state, rows, data)
            return state, logs

        if whole:
            state, every = jax.lax.scan(step, state, order[:whole].reshape(-1, self._batch))
            logs = {name: values[-1] for name, values in every.items()}
        if whole < len(order):
            state, logs = step(state, order[whole:])
        return state, logs

    def _step(self, state: State, rows: Any, data: Data) -> tuple[dict[str, Any], State]:
        batch = over_leaves(lambda values: values[rows], (data.inputs, data.targets))
        logs, state = self._model.train_step(state, batch)
        return {name: jax.numpy.asarray(value) for name, value in logs.items()}, state

    def difference(
        self,
        initial: tuple[Stacked, Stacked],
        rates: Float[np.ndarray, " network"],
        orders: Int[np.ndarray, "network epoch example"],
        data: Data,
    ) -> float:
        """By how much any weight of the first network differs, after one epoch, from what single steps make of it.

        0.0 says that all bits are the same.
        """
        step = jax.jit(self._step)
        one: tuple[Stacked, Stacked] = over_leaves(_first, initial)
        state = self._start(
            [values[0] for values in one[0]], [values[0] for values in one[1]], jax.numpy.float32(rates[0])
        )
        order = orders[0, 0]
        for start in range(0, len(order), self._batch):
            _, state = step(state, jax.numpy.asarray(order[start : start + self._batch]), data)
        together = self(initial, rates, orders[:, :1], data).trainable
        last = [values[0, -1] if self._every_epoch else values[0] for values in together]
        return max(
            float(np.abs(np.asarray(own) - found).max(initial=0)) for own, found in zip(state[0], last, strict=True)
        )


def _end_to_end(*parts: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate(parts)


def _begun_with(first: Any, rest: Any) -> Any:
    return jax.numpy.concatenate([first[None], rest])


def _networks_first(values: Any) -> Any:
    """Axes epoch, ..., network as network, epoch, ..."""
    return jax.numpy.moveaxis(values, -1, 0)


def _first(values: NDArray[Any]) -> NDArray[Any]:
    return values[:1]
