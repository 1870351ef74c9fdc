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
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._optimizer = optimizer_of(model)
        self._variables = {name: variable for name, (_, variable) in parameters_of(model).items()}
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
        self._weight_places = [(name, *self._places[id(variable)]) for name, variable in self._variables.items()]

    def weights(self) -> dict[str, NDArray[Any]]:
        """A copy of all weights, by parameter. What NumPy has no type for (bfloat16) becomes float32."""
        state = self._within_epoch()
        if state is None:
            return {name: _copy(variable) for name, variable in self._variables.items()}
        # A copy, because the trainer gives the memory of its arrays to the next step.
        return {name: _plain(np.array(state[kind][index])) for name, kind, index in self._weight_places}

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
            return _copy(variable)
        kind, index = self._places[id(variable)]
        return np.array(state[kind][index])

    def _within_epoch(self) -> dict[str, Any] | None:
        state = getattr(self._model, "_jax_state", None)
        return state if state and not self._model._jax_state_synced else None


def _copy(variable: Any) -> NDArray[Any]:
    return _plain(np.array(keras.ops.convert_to_numpy(variable.value)))


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.dtype.kind in "biufc" else array.astype(np.float32)
