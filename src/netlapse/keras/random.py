"""The global random generators that a Keras training draws from, as arrays."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np

from .backend import keras

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def random_state() -> dict[str, NDArray[Any]]:
    """The states of NumPy's, Python's, Keras' and torch's global generators; of the latter two where they are used."""
    state: Any = np.random.get_state()  # noqa: NPY002 - Keras draws from it
    _, keys, position, has_gauss, gauss = state
    version, words, gauss_next = random.getstate()
    found: dict[str, NDArray[Any]] = {
        "numpy/keys": keys,
        "numpy/position": np.array([position, has_gauss]),
        "numpy/gauss": np.array(gauss),
        "python/words": np.array([version, *words], np.uint64),
        "python/gauss": np.array(np.nan if gauss_next is None else gauss_next),
    }
    generator = _keras_generator()
    if generator is not None:
        found["keras"] = np.array(keras.ops.convert_to_numpy(generator.state.value))
    if keras.backend.backend() == "torch":
        import torch

        found["torch"] = torch.get_rng_state().numpy()
    return found


def set_random_state(state: Mapping[str, NDArray[Any]]) -> None:
    """Put the generators back into a state that was taken with `random_state`."""
    position, has_gauss = state["numpy/position"].tolist()
    np.random.set_state(("MT19937", state["numpy/keys"], position, has_gauss, float(state["numpy/gauss"])))  # noqa: NPY002
    version, *words = state["python/words"].tolist()
    gauss = float(state["python/gauss"])
    random.setstate((version, tuple(words), None if np.isnan(gauss) else gauss))
    generator = _keras_generator()
    if "keras" in state and generator is not None:
        generator.state.assign(state["keras"])
    if "torch" in state and keras.backend.backend() == "torch":
        import torch

        torch.set_rng_state(torch.as_tensor(state["torch"]))


def _keras_generator() -> Any:
    """Keras' own generator, for those who draw without a seed; None before anybody did."""
    return keras.src.backend.common.global_state.get_global_attribute("global_seed_generator")
