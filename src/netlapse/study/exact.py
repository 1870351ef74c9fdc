"""Many networks trained at once, each as `fit` trains it, to the bit."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..jax.backend import jax, over_leaves
from .train_last import measure_all
from .trainer import Trained, Trainer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .right import Data
    from .trainer import Given

    # Variables of one network: trainable, others, the optimiser's and the metrics', as Keras' train_step has them; and
    # its numbers.
    State = tuple[Any, Any, Any, Any, Any]


class Exact(Trainer):
    """Keras' own `train_step`, over the steps of an epoch by `lax.scan` and over networks by `jax.vmap`.

    XLA computes each of the networks as it computes one alone, as long as there are not so many, or so large ones, that
    it multiplies matrices in another way: `difference` tells.
    """

    def __call__(self, given: Given, data: Data) -> Trained:
        """Train the networks."""
        state = self._begin(given.trainable, given.others, given.numbers)
        logs, seen, kept = [], [self._seen(state, data)], [state[:2]]
        # An epoch is what is compiled: as many as there are cost nothing more.
        for order in given.orders.swapaxes(0, 1):
            state, logged = self._trained(state, order, data)
            logs.append(logged)
            seen.append(self._seen(state, data))
            kept = [*kept, state[:2]] if self._every_epoch else [state[:2]]
        logged, (measured, wrong), variables = (jax.tree.map(_stacked, *parts) for parts in (logs, seen, kept))
        trainable, others = variables if self._every_epoch else over_leaves(lambda values: values[:, 0], variables)
        return Trained(logged, measured, wrong, trainable, others)

    @cached_property
    def _begin(self) -> Any:
        return jax.jit(jax.vmap(self._start))

    @cached_property
    def _trained(self) -> Any:
        return jax.jit(self._each)

    @cached_property
    def _seen(self) -> Any:
        def seen(state: State, data: Data) -> Any:
            last = over_leaves(lambda values: jax.numpy.moveaxis(values, 0, -1), state)
            networks = len(jax.tree.leaves(state)[0])
            _, measured, wrong = measure_all(self._measure(data), last, tuple(data), networks)
            return over_leaves(lambda values: jax.numpy.moveaxis(values, -1, 0), (measured, wrong))

        return jax.jit(seen)

    def _each(self, state: State, orders: Any, data: Data) -> tuple[State, dict[str, Any]]:
        """One epoch of each network."""
        return jax.vmap(self._epoch, in_axes=(0, 0, None))(state, orders, data)

    def _epoch(self, state: State, order: Any, data: Data) -> tuple[State, dict[str, Any]]:
        """One epoch as `fit` goes through it: metrics begin anew, the last batch may be smaller."""
        state = (*state[:3], self._start.metrics, state[4])
        whole = len(order) // self._batch * self._batch
        logs: Any = {}

        def step(state: State, rows: Any) -> tuple[State, dict[str, Any]]:
            logs, state = self._step(state, _rows(data, rows))
            return state, logs

        if whole:
            state, every = jax.lax.scan(step, state, order[:whole].reshape(-1, self._batch))
            logs = {name: values[-1] for name, values in every.items()}
        if whole < len(order):
            state, logs = step(state, order[whole:])
        return state, logs

    def by_single_steps(self, given: Given, data: Data) -> list[NDArray[Any]]:
        """What single steps of this model, with its own numbers, make of the last network's weights in one epoch."""
        step = jax.jit(self._step)
        state = self._start([values[-1] for values in given.trainable], [values[-1] for values in given.others], {})
        order = given.orders[-1, 0]
        for start in range(0, len(order), self._batch):
            _, state = step(state, _rows(data, jax.numpy.asarray(order[start : start + self._batch])))
        return [np.asarray(values) for values in state[0]]

    def difference(self, given: Given, data: Data, expected: Sequence[NDArray[Any]]) -> float:
        """By how much any weight of the last network differs after one epoch from what is expected.

        0.0 says that all bits are the same.
        """
        together = self(given._replace(orders=given.orders[:, :1]), data).trainable
        last = [values[-1, -1] if self._every_epoch else values[-1] for values in together]
        return max(_gap(own, found) for own, found in zip(expected, last, strict=True))


class InTurn(Exact):
    """As `Exact`, the networks one after another in one program: it computes each as one alone, however large it is."""

    def _each(self, state: State, orders: Any, data: Data) -> tuple[State, dict[str, Any]]:
        def one(network: tuple[State, Any]) -> tuple[State, dict[str, Any]]:
            return self._epoch(*network, data)

        return jax.lax.map(one, (state, orders))


def _rows(data: Data, rows: Any) -> Any:
    return over_leaves(lambda values: values[rows], (data.inputs, data.targets))


def _gap(values: NDArray[Any], others: NDArray[Any]) -> float:
    """The largest difference: 0 between two that are no numbers, infinite between one that is and one that is not."""
    same = (values == others) | (np.isnan(values) & np.isnan(others))
    with np.errstate(invalid="ignore"):
        gaps = np.where(same, 0, np.abs(values - others))
    return float(np.where(np.isnan(gaps), np.inf, gaps).max(initial=0))


def _stacked(*epochs: Any) -> NDArray[Any]:
    """Axes network, ... of each epoch as network, epoch, ..."""
    return np.stack([np.asarray(values) for values in epochs], axis=1)
