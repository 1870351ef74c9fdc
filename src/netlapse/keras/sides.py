"""The two sides of a model, inputs and outputs: which of some arrays, given by name or by place, is which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import BadProbe
from ..store.examples import named
from .backend import keras
from .graph import graph_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ..store import Arrays


def inputs_of(model: Any, arrays: Arrays) -> list[NDArray[Any]]:
    """The arrays in the order of the model's inputs."""
    found, names = named(arrays), [tensor.name for tensor in graph_of(model).inputs]
    return [found[name] for name in names] if found.keys() == set(names) else list(found.values())


def output_names(model: Any) -> list[tuple[str, ...]]:
    """What each output may be called: by its key, if the model makes a dict of outputs, its layer or its place."""
    graph = graph_of(model)
    paths: list[tuple[Any, ...]] = [path for path, _ in keras.tree.flatten_with_path(graph.output)]
    return [
        (*(str(part) for part in path[-1:]), tensor._keras_history.operation.name, str(place))
        for place, (path, tensor) in enumerate(zip(paths, graph.outputs, strict=True))
    ]


def targets_of(model: Any, arrays: Arrays, wanted: list[int]) -> list[NDArray[Any] | None]:
    """The targets in the order of the model's outputs, None for outputs without. Those `wanted` have a loss.

    Raises BadProbe if it is not clear which is which, or one that is wanted is missing.
    """
    found, names = named(arrays), output_names(model)
    all_names = {name for each in names for name in each}
    if len(names) == 1 and len(found) == 1:
        return list(found.values())
    targets: list[NDArray[Any] | None] = [next((found[name] for name in each if name in found), None) for each in names]
    by_place = set(found) in ({""}, {str(place) for place in range(len(found))})
    if len(found) == len(wanted) < len(names) and by_place:
        targets = [None] * len(names)
        for output, array in zip(wanted, found.values(), strict=True):
            targets[output] = array
    elif not found.keys() <= all_names or any(targets[output] is None for output in wanted):
        given = ", ".join(map(repr, found)) if any(found) else "one array"
        known = ", ".join(repr(next(name for name in each if not name.isdecimal())) for each in names)
        raise BadProbe(
            f"targets are {given}; model {model.name!r} has outputs {known}: pass a list with one array for each, or a"
            " dict by name"
        )
    return targets


def as_given(arrays: Arrays) -> Any:
    """The arrays as a Keras model takes them: one, a list, or a dict by name."""
    found: Mapping[str, Any] = named(arrays)
    if "" in found:
        return found[""]
    return list(found.values()) if all(name.isdecimal() for name in found) else dict(found)


def symbolic(arrays: Arrays) -> Any:
    """Symbolic inputs for examples such as these."""
    dtypes = {name: None if array.dtype.kind == "f" else array.dtype.name for name, array in named(arrays).items()}
    ends = {
        name: keras.Input(array.shape[1:], dtype=dtypes[name], name=None if name.isdecimal() else name or None)
        for name, array in named(arrays).items()
    }
    return as_given(ends)
