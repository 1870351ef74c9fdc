"""The user's `apply`, called the one way that a `Network` calls it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from .backend import jax

if TYPE_CHECKING:
    from collections.abc import Callable

    Build = Callable[[Mapping[str, Any]], tuple[Any, Any]]


@dataclass(frozen=True)
class Function:
    """`apply(params[, state][, rng], inputs)` as a function of weights by name and of inputs."""

    apply: Callable[..., Any]
    build: Build
    has_state: bool = False
    rng: Any = None

    def __call__(self, weights: Mapping[str, Any], inputs: Any) -> Any:
        """The outputs of one frame."""
        params, state = self.build(weights)
        more = [*([state] if self.has_state else []), *([self.rng] if self.rng is not None else [])]
        outputs: Any = self.apply(params, *more, as_given(inputs))
        if self.has_state and isinstance(outputs, tuple) and len(cast("tuple[Any, ...]", outputs)) == 2:
            outputs = cast("tuple[Any, Any]", outputs)[0]
        return cast("Any", outputs)


def as_given(arrays: Any) -> Any:
    """Arrays as the user's functions take them: those that are named by their places as a tuple."""
    if not isinstance(arrays, Mapping):
        return arrays
    given = cast("Mapping[str, Any]", arrays)
    return tuple(given[name] for name in sorted(given, key=int)) if all(map(str.isdigit, given)) else given


def flat_outputs(outputs: Any) -> dict[str, Any]:
    """The outputs by name: their path, "" for a single one."""
    paths = jax.tree_util.tree_flatten_with_path(outputs)[0]
    return {
        "/".join(str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", key)))) for key in path): leaf
        for path, leaf in paths
    }
