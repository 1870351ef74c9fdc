"""Networks that cannot be trained together, trained one after another by `fit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..jax.backend import jax, over_leaves
from .exact import Trained
from .measured import Start
from .right import wrong_by_class

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from .initial import Stacked
    from .right import Data, Reading


class OneByOne:
    """As `Exact`, for any model that `fit` trains: slow, as `fit` is."""

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
        """Train the networks; where several neighbours share an order there are fewer orders than networks."""
        group = -(-len(rates) // len(orders))
        every = [
            self._train(
                [values[network] for values in initial[0]],
                [values[network] for values in initial[1]],
                rate,
                orders[network // group],
                data,
            )
            for network, rate in enumerate(rates)
        ]
        logged, measured, wrong, trainable, others = _stacked(every)
        return Trained(logged, measured, wrong, trainable, others)

    def _train(self, trainable: Any, others: Any, rate: Any, orders: Any, data: Data) -> Any:
        model = self._model
        trainable, others, optimizer, _ = self._start(trainable, others, rate)
        for variables, values in (
            (model.trainable_variables, trainable),
            (model.non_trainable_variables, others),
            (model.optimizer.variables, optimizer),
        ):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        logs: list[Any] = []
        seen = [self._measure(data)]
        kept = [self._variables()]
        for order in orders:
            inputs, targets = over_leaves(lambda array, order=order: array[order], (data.inputs, data.targets))
            history = model.fit(inputs, targets, batch_size=self._batch, epochs=1, shuffle=False, verbose=0).history
            logs.append({name: np.float32(values[-1]) for name, values in history.items()})
            seen.append(self._measure(data))
            kept = [*kept, self._variables()] if self._every_epoch else [self._variables()]
        logged, (measured, wrong), variables = (_stacked(parts) for parts in (logs, seen, kept))
        trainable, others = variables if self._every_epoch else over_leaves(lambda values: values[0], variables)
        return logged, measured, wrong, trainable, others

    def _measure(self, data: Data) -> Any:
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
