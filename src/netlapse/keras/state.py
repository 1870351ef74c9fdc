"""Reading a model's state in the middle of its training, at the lowest price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .backend import keras
from .describe import optimizer_of, parameters_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ModelState:
    """Weights and learning rate of a model that is being trained.

    Within an epoch Keras' JAX trainer keeps the state to itself. Asking a callback for its `model` writes that state
    back into every variable, the optimiser's and the metrics' too; reading what is needed costs a tenth of that.
    `form` is the functional form of a model that is none.
    """

    def __init__(self, model: Any, form: Any = None) -> None:
        self._model = model
        self._optimizer = optimizer_of(model)
        self.variables = {name: variable for name, (_, variable) in parameters_of(form or model).items()}
        self._rate = getattr(self._optimizer, "learning_rate", None)
        kept = {
            "trainable_variables": model.trainable_variables,
            "non_trainable_variables": model.non_trainable_variables,
            "optimizer_variables": getattr(getattr(model, "optimizer", None), "variables", []),
        }
        # Where the JAX trainer keeps the value of each variable.
        self._places = {
            id(variable): (kind, index) for kind, variables in kept.items() for index, variable in enumerate(variables)
        }
        weights = {id(variable) for variable in self.variables.values()}
        # The optimiser's, and the states of random generators such as that of a Dropout layer.
        others = [*kept["optimizer_variables"], *(v for v in model.non_trainable_variables if id(v) not in weights)]
        self.others = {f"{number:03d} {variable.path}": variable for number, variable in enumerate(others)}
        self._weight_places = [(name, *self._places[id(variable)]) for name, variable in self.variables.items()]

    def weights(self) -> dict[str, NDArray[Any]]:
        """All weights, by parameter, to be copied before training goes on."""
        state = self._within_epoch()
        if state is None:
            return {name: _value(variable) for name, variable in self.variables.items()}
        return {name: _plain(np.asarray(state[kind][index])) for name, kind, index in self._weight_places}

    def other_variables(self) -> dict[str, NDArray[Any]]:
        """The optimiser's variables and the states of the layers' random generators, to be copied likewise."""
        return {name: self._read(variable) for name, variable in self.others.items()}

    def learning_rate(self) -> float | None:
        """The learning rate of the step that led here, or before training that of the first; None if there is none."""
        if self._rate is None:
            return None
        if isinstance(self._rate, keras.Variable):
            return float(self._read(self._rate))
        # A schedule or a function: Keras evaluates it, as it did when it made the step.
        iterations = self._optimizer._iterations
        with keras.StatelessScope([(iterations, max(int(self._read(iterations)) - 1, 0))]):
            return float(keras.ops.convert_to_numpy(self._optimizer.learning_rate))

    def _read(self, variable: Any) -> NDArray[Any]:
        state = self._within_epoch()
        if state is None:
            return _value(variable)
        kind, index = self._places[id(variable)]
        return _plain(np.asarray(state[kind][index]))

    def _within_epoch(self) -> dict[str, Any] | None:
        state = getattr(self._model, "_jax_state", None)
        return state if state and not self._model._jax_state_synced else None


def _value(variable: Any) -> NDArray[Any]:
    return _plain(np.asarray(keras.ops.convert_to_numpy(variable.value)))


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.dtype.kind in "biufc" or array.dtype.name == "bfloat16" else array.astype(np.float32)
