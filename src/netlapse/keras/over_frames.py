"""Functions of the weights of one frame, made functions of many frames on Keras' backend."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Unsupported
from .backend import keras

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


# JAX 0.10.2 sums wrongly on the CPU above 32,768 results (jax-ml/jax#39103): its new fused reductions are turned off.
_WRONG_SUMS = {"0.10.2": {"xla_cpu_experimental_ynn_fusion_type": ""}}


def over_frames(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of the weights of one frame, and of arrays, as one of the stacked weights of several frames."""
    backend = keras.backend.backend()
    if backend == "jax":
        jax: Any = importlib.import_module("jax")

        def vectorised(weights: Any, *arrays: Any) -> Any:
            return jax.vmap(function, in_axes=(0, *[None] * len(arrays)))(weights, *arrays)

        compiled = jax.jit(vectorised, compiler_options=_WRONG_SUMS.get(jax.__version__))

        def run(weights: Any, *arrays: NDArray[Any]) -> Any:
            return jax.tree.map(np.asarray, compiled(dict(weights), *arrays))

        return run
    if backend == "torch":
        torch: Any = importlib.import_module("torch")
        # Imported where Keras runs on torch.
        from ..torch.over_frames import over_frames as over_frames_of_torch

        device = keras.src.backend.torch.core.get_device()
        run_stacked = over_frames_of_torch(function)

        def tensor(array: NDArray[Any]) -> Any:
            # torch takes no views that are read-only or run backwards.
            return torch.as_tensor(np.require(array, requirements=["C", "W"]), device=device)

        def run_torch(weights: Any, *arrays: NDArray[Any]) -> Any:
            stacked = {name: tensor(array) for name, array in weights.items()}
            found = run_stacked(stacked, *(keras.tree.map_structure(tensor, array) for array in arrays))
            return keras.tree.map_structure(keras.ops.convert_to_numpy, found)

        return run_torch
    raise Unsupported(
        f"Keras runs on its {backend!r} backend; runs are replayed on jax or torch: set KERAS_BACKEND before Keras is"
        " imported"
    )


def gradient_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """The gradient of a function's first result by its first argument, and the function's second result."""
    module: Any = importlib.import_module("jax" if keras.backend.backend() == "jax" else "torch.func")
    return module.grad(function, has_aux=True)
