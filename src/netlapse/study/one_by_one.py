"""Networks that cannot be trained together, trained one after another by `fit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..jax.backend import jax, over_leaves
from .right import wrong_by_class
from .trainer import Trained, Trainer

if TYPE_CHECKING:
    from .right import Data
    from .trainer import Given


class OneByOne(Trainer):
    """As `Exact`, for any model that `fit` trains: slow, as `fit` is."""

    def __call__(self, given: Given, data: Data) -> Trained:
        """Train the networks."""
        networks = len(given.trainable[0])
        group = -(-networks // len(given.orders))
        every: list[Any] = []
        for network in range(networks):
            trainable, others, numbers = over_leaves(
                lambda values, network=network: values[network], (given.trainable, given.others, given.numbers)
            )
            state = self._start(trainable, others, numbers)
            with self._numbers.given({name: float(value) for name, value in state[4].items()}):
                every.append(self._train(state, given.orders[network // group], data))
        return Trained(*_stacked(every))

    def _train(self, state: Any, orders: Any, data: Data) -> Any:
        model, (trainable, others, optimizer, *_) = self._model, state
        if state[4]:  # what is compiled has the numbers of another network
            model.train_function = model.test_function = None
        for variables, values in (
            (model.trainable_variables, trainable),
            (model.non_trainable_variables, others),
            (model.optimizer.variables, optimizer),
        ):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        logs: list[Any] = []
        seen = [self._evaluate(data)]
        kept = [self._variables()]
        for order in orders:
            inputs, targets = over_leaves(lambda array, order=order: array[order], (data.inputs, data.targets))
            history = model.fit(inputs, targets, batch_size=self._batch, epochs=1, shuffle=False, verbose=0).history
            logs.append({name: np.float32(values[-1]) for name, values in history.items()})
            seen.append(self._evaluate(data))
            kept = [*kept, self._variables()] if self._every_epoch else [self._variables()]
        logged, (measured, wrong), variables = (_stacked(parts) for parts in (logs, seen, kept))
        trainable, others = variables if self._every_epoch else over_leaves(lambda values: values[0], variables)
        return logged, measured, wrong, trainable, others

    def _evaluate(self, data: Data) -> Any:
        found: dict[str, Any] = self._model.evaluate(
            data.inputs, data.targets, batch_size=len(jax.tree.leaves(data.inputs)[0]), verbose=0, return_dict=True
        )
        outputs = self._model.predict(data.inputs, verbose=0)
        wrong = np.asarray(wrong_by_class(self._reading, outputs, data.labels))
        return {name: np.float32(value) for name, value in found.items()}, wrong

    def _variables(self) -> Any:
        return tuple(
            [np.asarray(variable.value) for variable in variables]
            for variables in (self._model.trainable_variables, self._model.non_trainable_variables)
        )


def _stacked(parts: list[Any]) -> Any:
    return jax.tree.map(_stack, *parts)


def _stack(*values: Any) -> Any:
    return np.stack(values)
