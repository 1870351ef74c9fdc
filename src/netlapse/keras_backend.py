"""Which backend Keras loads when its user has not said."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

# Keras' name for a backend is the name of the package that it needs.
_DEFAULT = "tensorflow"
_SUPPORTED = ("jax", "torch")


def choose_backend(preferred: str) -> str | None:
    """Make Keras load `preferred` if the user has not chosen a backend. Returns it if it was chosen here.

    A choice is: Keras already imported, KERAS_BACKEND set, or a configuration file that names a backend that is
    installed (Keras writes such a file by itself, naming its default, so the file alone is no choice).
    """
    # A run says what it was recorded with: looking for a package of any name at all may import one.
    if preferred not in _SUPPORTED or "keras" in sys.modules or os.environ.get("KERAS_BACKEND"):
        return None
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        configured = json.loads((home / "keras.json").read_text()).get("backend", _DEFAULT)
    except (OSError, ValueError):
        configured = _DEFAULT
    if configured == preferred or find_spec(configured) is not None or find_spec(preferred) is None:
        return None
    os.environ["KERAS_BACKEND"] = preferred
    return preferred
