"""netlapse: see a neural network learn.

Record a training run in any framework, then replay it: feature spaces, decision boundaries, losses, weights and
gradients, epoch by epoch, as figures, films and interactive pages.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import errors as errors

if TYPE_CHECKING:
    from pathlib import Path

    from .catalog import runs as runs
    from .deepreplay import import_deepreplay as import_deepreplay
    from .figures import compare as compare
    from .figures import film as film
    from .figures import panels as panels
    from .figures import plot as plot
    from .notebook import show as show
    from .replay import Replay as Replay
    from .store import Run as Run
    from .study.space import Range as Range
    from .study.study import Study as Study
    from .view.page import page as page

__all__ = [
    "Range",
    "Replay",
    "Run",
    "Study",
    "compare",
    "film",
    "import_deepreplay",
    "open",
    "page",
    "panels",
    "plot",
    "runs",
    "show",
]

# Imported when they are asked for: drawing needs matplotlib and replaying NumPy; listing runs needs neither.
_ROOMS = {
    "Range": "study.space",
    "Replay": "replay",
    "Run": "store",
    "Study": "study.study",
    "compare": "figures",
    "film": "figures",
    "import_deepreplay": "deepreplay",
    "page": "view.page",
    "panels": "figures",
    "plot": "figures",
    "runs": "catalog",
    "show": "notebook",
}


def open(path: str | Path, *, model: Any = None, loss: Any = None) -> Replay:  # noqa: A001
    """Open a recorded run, finished or still growing, for replay.

    The network is rebuilt from the run without your code. Where the run does not hold it (`netlapse show` says why),
    pass your own `model`: a Keras model, a torch module, or for JAX the `apply` function. Only its architecture is
    used, never its weights. `loss`, as the recorder takes it, replaces the run's; a Keras model brings its own.

    Raises RunError for a folder that is not a run or is written in a newer format, DamagedRun for a manifest that
    cannot be read. Damaged frames are named in a warning and left out.
    """
    from .replay import Replay
    from .store import Run

    return Replay(Run(path), _network(model, loss))


# The door through which the networks of a framework come.
_DOORS = ("keras", "torch", "jax", "sklearn")


def _network(model: Any, loss: Any) -> Any:
    # Imported when the first value is asked for: weights and curves need no framework.
    def make(manifest: Any, read: Any) -> Any:
        if manifest.framework not in _DOORS:
            raise errors.Unsupported(
                f"run {manifest.name!r} was recorded in {manifest.framework!r}; this netlapse replays"
                f" {', '.join(_DOORS)}"
            )
        if manifest.framework == "keras" and model is None:
            from .keras_backend import choose_backend

            choose_backend(manifest.backend)
        door = import_module(f".{manifest.framework}.network", __name__)
        return door.network_of_run(manifest, read, model, loss)

    return make


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(import_module(f".{_ROOMS[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS})
