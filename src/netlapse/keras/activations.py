"""Keras' activation functions as curves: values and exact gradients from the backend's own autodiff."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UnknownName, Unsupported
from ..measures.activation_function import ActivationFunction
from .backend import keras

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float
    from numpy.typing import ArrayLike

    Activation = Callable[[Any], Any]

_PLUMBING = ("get", "serialize", "deserialize")
# Mirrored, so that kinks at 0 fall between two points a hair apart: nothing is evaluated at the kink itself.
_HALF = np.linspace(1e-6, 5.0, 500)
GRID = np.concatenate([-_HALF[::-1], _HALF])


def activation_names() -> list[str]:
    """Every activation function of this Keras, without aliases such as "swish"."""
    functions: dict[str, Any] = dict(inspect.getmembers(keras.activations, inspect.isfunction))
    return [name for name, function in functions.items() if function.__name__ == name and name not in _PLUMBING]


def activation_function(activation: str | Activation, z: ArrayLike | None = None) -> ActivationFunction:
    """The curve of one activation over `z` (1-D, increasing; by default 1,000 points from -5 to 5).

    `activation` is a Keras name or any function of Keras tensors. One that mixes the units of a layer
    (softmax, glu) is followed along one coordinate, as the first output for the vector (z, 0), and the label
    says so. Values and gradients are computed in float32, the precision networks run in.
    Raises UnknownName for a name that Keras does not have, Unsupported for a backend without autodiff.
    """
    function = _by_name(activation) if isinstance(activation, str) else activation
    name = str(getattr(function, "__name__", type(function).__name__))
    grid = GRID if z is None else np.asarray(z, dtype=np.float64)
    if grid.ndim != 1 or len(grid) < 3 or not np.all(np.diff(grid) > 0):
        raise Unsupported(
            f"z has shape {grid.shape}; give a 1-D array of at least three increasing pre-activations, "
            "such as numpy.linspace(-5, 5, 1000)"
        )
    label = None
    if function is getattr(keras.activations, "threshold", None):  # the one that has required arguments
        function, label = _threshold, f"{name}(z, 1, 0)"
    values, gradients = _differentiate(function, grid, other=0.0)
    elsewhere, _ = _differentiate(function, grid, other=1.0)
    if not np.allclose(values, elsewhere, rtol=1e-6, atol=1e-6, equal_nan=True):
        label = f"{name}((z, 0))₁"
    return ActivationFunction(name, grid, values, gradients, label)


def _by_name(name: str) -> Activation:
    function = getattr(keras.activations, name, None)
    if not inspect.isfunction(function) or name in _PLUMBING:
        raise UnknownName(
            f"Keras {keras.__version__} has no activation {name!r}; it has {', '.join(activation_names())}"
        )
    return function


def _threshold(z: Any) -> Any:
    return keras.activations.threshold(z, threshold=1.0, default_value=0.0)


def _differentiate(
    function: Activation, grid: Float[np.ndarray, " point"], other: float
) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, " point"]]:
    """First output of `function` for the vectors (z, other), and its derivative with respect to z."""
    if keras.backend.backend() == "jax":
        values, gradients = _differentiate_jax(function, grid.astype(np.float32), other)
    elif keras.backend.backend() == "torch":
        values, gradients = _differentiate_torch(function, grid.astype(np.float32), other)
    else:
        raise Unsupported(
            f"gradients of activations need Keras on jax or torch, and it runs on {keras.backend.backend()}; "
            "set KERAS_BACKEND=jax before the first import of keras"
        )
    return np.asarray(values, dtype=np.float64), np.asarray(gradients, dtype=np.float64)


def _differentiate_jax(function: Activation, grid: Any, other: float) -> tuple[Any, Any]:
    jax: Any = importlib.import_module("jax")

    def first_output(z: Any) -> Any:
        return function(jax.numpy.stack([z, jax.numpy.full_like(z, other)])[None, :])[0, 0]

    return jax.vmap(jax.value_and_grad(first_output))(grid)


def _differentiate_torch(function: Activation, grid: Any, other: float) -> tuple[Any, Any]:
    torch: Any = importlib.import_module("torch")
    z = keras.ops.convert_to_tensor(grid).requires_grad_(True)
    values = function(torch.stack([z, torch.full_like(z, other)], dim=1))[:, 0]
    # Every value depends on its own z alone, so the gradient of the sum is the derivative at each point.
    (gradients,) = torch.autograd.grad(values.sum(), z)
    return values.detach().cpu().numpy(), gradients.cpu().numpy()
