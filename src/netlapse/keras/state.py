"""Reading a model's state in the middle of its training, at the lowest price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .backend import keras
from .describe import parameters_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ModelState:
    """Weights, learning rate and number of batches of a model that is being trained.

    Within an epoch Keras' JAX trainer keeps the state to itself. Asking a callback for its `model` writes that state
    back into every variable, the optimiser's and the metrics' too; reading what is needed costs a tenth of that.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._variables = {name: variable for name, (_, variable) in parameters_of(model).items()}
        trainable = {id(variable): index for index, variable in enumerate(model.trainable_variables)}
        others = {id(variable): index for index, variable in enumerate(model.non_trainable_variables)}
        self._places = {
            name: ("trainable_variables", trainable[id(variable)])
            if id(variable) in trainable
            else ("non_trainable_variables", others[id(variable)])
            for name, variable in self._variables.items()
        }
        rate = getattr(model.optimizer, "_learning_rate", None) if model.optimizer is not None else None
        self._schedule = rate if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule) else None
        self._rate = rate if self._schedule is None else None
        self._rate_place = next(
            (index for index, variable in enumerate(getattr(model.optimizer, "variables", [])) if variable is rate),
            None,
        )

    def _within_epoch(self) -> dict[str, Any] | None:
        state = getattr(self.model, "_jax_state", None)
        return state if state and not getattr(self.model, "_jax_state_synced", True) else None

    def weights(self) -> dict[str, NDArray[Any]]:
        """A copy of all weights, by parameter. What NumPy has no type for (bfloat16) becomes float32."""
        state = self._within_epoch()
        if state is None:
            return {name: _copy(variable.value) for name, variable in self._variables.items()}
        return {name: _copy(state[kind][index]) for name, (kind, index) in self._places.items()}

    def learning_rate(self, step: int) -> float:
        """The learning rate of the step that comes next; NaN if the model has no optimiser."""
        if self._schedule is not None:
            return float(keras.ops.convert_to_numpy(self._schedule(step)))
        state = self._within_epoch()
        if state is not None and self._rate_place is not None:
            return float(state["optimizer_variables"][self._rate_place])
        return float(keras.ops.convert_to_numpy(self._rate.value)) if self._rate is not None else float("nan")

    def batches(self) -> int:
        """Batches that the optimiser has seen. Within an epoch this is out of date on JAX."""
        optimizer = self.model.optimizer
        if optimizer is None:
            return 0
        return int(optimizer.iterations) * (optimizer.gradient_accumulation_steps or 1)


def _copy(value: Any) -> NDArray[Any]:
    # A copy, because the trainer gives the memory of its arrays to the next step.
    copy = np.array(
        value if hasattr(value, "__array__") and not _on_torch(value) else keras.ops.convert_to_numpy(value)
    )
    return copy if copy.dtype.kind in "biufc" else copy.astype(np.float32)


def _on_torch(value: Any) -> bool:
    return type(value).__module__.startswith("torch")
