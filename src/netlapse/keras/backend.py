"""Keras itself, imported with the backend that the user chose."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Any

from ..keras_backend import choose_backend


def import_keras() -> Any:
    """The keras package. Raises ImportError that says what to install or set."""
    _ = choose_backend("jax") or choose_backend("torch")
    try:
        return importlib.import_module("keras")
    except ImportError as error:
        if find_spec("keras") is None:
            message = 'Keras is not installed; install it with `pip install "netlapse[keras]"`'
        else:
            message = (
                f"Keras cannot load its backend ({error}); set KERAS_BACKEND to one that is installed, such as"
                " `jax` or `torch`, before Keras is imported"
            )
        raise ImportError(message) from error


keras: Any = import_keras()
