"""JAX itself, of a version that this netlapse knows."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_OLDEST = (0, 4, 35)


def import_jax() -> Any:
    """The jax package. Raises ImportError that says what to install."""
    try:
        package = import_module("jax")
    except ImportError as error:
        raise ImportError(f'JAX cannot be imported ({error}); install it with `pip install "netlapse[jax]"`') from error
    check_version(package.__version__)
    _ = import_module("jax.export")
    return package


def check_version(version: str) -> None:
    """Raise ImportError for a JAX that is too old."""
    if tuple(int(part) for part in version.split(".")[:3] if part.isdigit()) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise ImportError(
            f"JAX {version} is too old: netlapse needs {oldest} or newer; upgrade it with `pip install --upgrade jax`"
        )


jax: Any = import_jax()

# JAX 0.10.2 sums wrongly on the CPU above 32,768 results (jax-ml/jax#39103): its new fused reductions are turned off.
SUMS_RIGHTLY = {"xla_cpu_experimental_ynn_fusion_type": ""} if jax.__version__ == "0.10.2" else None


def over_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """The tree with this done to each of its leaves."""
    return jax.tree_util.tree_map(function, tree)
