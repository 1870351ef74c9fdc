"""What a network begins with, and what is measured of it after each epoch, whichever way it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..jax.backend import jax, over_leaves
from .numbers import RATE
from .right import wrong_by_class
from .train_last import Measure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .right import Data, Reading


class Start:
    """The state with which the training of a network begins: called with its variables and its numbers."""

    def __init__(self, model: Any, data: Data) -> None:
        # As `fit` does at its beginning: what metrics and optimiser remember has its shapes then.
        model._symbolic_build(data_batch=over_leaves(_first, (data.inputs, data.targets)))
        self._optimizer = [variable.value for variable in model.optimizer.variables]
        optimizer = model.optimizer
        while (inner := getattr(optimizer, "inner_optimizer", None)) is not None:
            optimizer = inner
        rate = getattr(optimizer, "_learning_rate", None)
        self._rate = next((k for k, variable in enumerate(model.optimizer.variables) if variable is rate), None)
        self.metrics = [jax.numpy.zeros(variable.shape, variable.dtype) for variable in model.metrics_variables]

    def __call__(self, trainable: Any, others: Any, numbers: Mapping[str, Any]) -> tuple[Any, Any, Any, Any, Any]:
        """Trainable and other variables, those of the optimiser and of the metrics, and the numbers of the model."""
        optimizer = list(self._optimizer)
        if self._rate is not None and RATE in numbers:
            optimizer[self._rate] = numbers[RATE]
        rest = {name: value for name, value in numbers.items() if name != RATE}
        return trainable, others, optimizer, self.metrics, rest


def measure_of(model: Any, reading: Reading, start: Start, data: Data) -> Measure:
    """Loss and metrics over all examples, as `evaluate` has them, and how many examples of each class are wrong."""

    def add(found: Any, state: Any, part: Any) -> Any:
        metrics, _, wrong = found
        trainable, others, *_ = state
        logs, (_, _, metrics) = model.test_step((trainable, others, metrics), tuple(part[:2]))
        outputs, _ = model.stateless_call(trainable, others, part[0], training=False)
        return metrics, _arrays(logs), wrong + wrong_by_class(reading, outputs, part[2])

    def logs_of(inputs: Any, targets: Any) -> dict[str, Any]:
        variables = (
            [variable.value for variable in each] for each in (model.trainable_variables, model.non_trainable_variables)
        )
        return _arrays(model.test_step((*variables, start.metrics), (inputs, targets))[0])

    shapes = jax.eval_shape(logs_of, data.inputs, data.targets)
    nothing = over_leaves(lambda one: np.zeros(one.shape, one.dtype), shapes)
    return Measure((start.metrics, nothing, np.zeros(len(reading.names), np.int32)), add)


def _arrays(logs: Any) -> dict[str, Any]:
    """What Keras logs, as arrays."""
    return {name: jax.numpy.asarray(value) for name, value in logs.items()}


def _first(values: NDArray[Any]) -> NDArray[Any]:
    return values[:1]
