"""What trains networks of one structure, whichever way, and what is found of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..jax.backend import jax, over_leaves
from .measured import Start, measure_of
from .numbers import Numbers
from .train_last import Measure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Float, Int
    from numpy.typing import NDArray

    from .initial import Stacked
    from .right import Data, Reading


class Given(NamedTuple):
    """What some networks differ in: the variables that they begin with, the numbers of their model, and the orders.

    Orders say for each epoch in which order the examples are seen; where neighbours share one, there are fewer orders
    than networks.
    """

    trainable: Stacked
    others: Stacked
    numbers: Mapping[str, Float[np.ndarray, " network"]]
    orders: Int[np.ndarray, "order epoch example"]


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


class Trainer(ABC):
    """Trains networks of a compiled model on data, and measures them before and after each epoch.

    With `every_epoch` their variables of each epoch are returned, not only those in the end.
    """

    def __init__(self, model: Any, reading: Reading, data: Data, *, batch_size: int, every_epoch: bool = False) -> None:
        self._model, self._reading, self._batch, self._every_epoch = model, reading, batch_size, every_epoch
        self._numbers = Numbers(model)
        self._start = Start(model, data)

    @abstractmethod
    def __call__(self, given: Given, data: Data) -> Trained:
        """Train the networks."""

    def operations(self, data: Data) -> float:
        """How many floating-point operations one network's step takes, as XLA counts them before it compiles."""
        variables = [
            [variable.value for variable in side]
            for side in (self._model.trainable_variables, self._model.non_trainable_variables)
        ]
        state = self._start(variables[0], variables[1], {})
        batch = over_leaves(lambda values: values[: self._batch], (data.inputs, data.targets))
        return float(jax.jit(self._step).lower(state, batch).cost_analysis()["flops"])

    def _step(self, state: Any, batch: Any) -> tuple[dict[str, Any], Any]:
        """Keras' own step of one network: what it logs, and the next state."""
        with self._numbers.given(state[4]):
            logs, following = self._model.train_step(state[:4], tuple(batch[:2]))
        return {name: jax.numpy.asarray(value) for name, value in logs.items()}, (*following, state[4])

    def _measure(self, data: Data) -> Measure:
        """What is measured of a network, computed with its own numbers."""
        begin, add = measure_of(self._model, self._reading, self._start, data)

        def add_with_numbers(found: Any, state: Any, part: Any) -> Any:
            with self._numbers.given(state[4]):
                return add(found, state, part)

        return Measure(begin, add_with_numbers)


def _end_to_end(*parts: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate(parts)
