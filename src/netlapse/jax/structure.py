"""Pytrees of parameters and state: the names of their arrays, and how they are put together again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ..errors import RunError
from .backend import jax

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray


class Structure:
    """The pytrees `(params, state)` without their arrays.

    Arrays are named by their path, "Dense_0/kernel". Leaves that are none, such as the activation functions of Equinox'
    modules, belong to the structure, and so do typed random keys.
    """

    def __init__(self, params: Any, state: Any = None) -> None:
        leaves, self._definition = jax.tree_util.tree_flatten_with_path((params, state))
        self._leaves = [None if _is_array(leaf) else leaf for _, leaf in leaves]
        self._is_array = [_is_array(leaf) for _, leaf in leaves]
        paths = [path for path, leaf in leaves if _is_array(leaf)]
        self.specs: dict[str, Any] = {
            name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
            for name, leaf in zip(_names(paths), (leaf for _, leaf in leaves if _is_array(leaf)), strict=True)
        }
        trains = [_is_trained(path) for path in paths]
        in_params = any(trains)
        self.trainable = [
            name
            for name, spec, path, trained in zip(self.specs, self.specs.values(), paths, trains, strict=True)
            if path[0].idx == 0 and (trained or not in_params) and jax.numpy.issubdtype(spec.dtype, jax.numpy.inexact)
        ]

    def arrays(self, params: Any, state: Any = None) -> dict[str, NDArray[Any]]:
        """The arrays by name, on the host. Raises RunError for other pytrees than these."""
        leaves, _ = jax.tree_util.tree_flatten((params, state))
        arrays = [leaf for leaf in leaves if _is_array(leaf)]
        if [(array.shape, array.dtype) for array in arrays] != [(s.shape, s.dtype) for s in self.specs.values()]:
            raise RunError(f"the parameters have changed: {self._difference(params, state)}; record a new run of them")
        if any(getattr(array, "is_deleted", bool)() for array in arrays):
            raise RunError(
                "the last parameters that the recorder was given were donated to another computation;"
                " pass recorder.step and recorder.epoch the newest"
            )
        return dict(zip(self.specs, jax.device_get(arrays), strict=True))

    def _difference(self, params: Any, state: Any) -> str:
        before, now = (
            {name: f"{s.dtype}{list(s.shape)}" for name, s in of.items()}
            for of in (self.specs, Structure(params, state).specs)
        )
        changed = [
            *(f"{name} is gone" for name in before.keys() - now.keys()),
            *(f"{name} {now[name]} is new" for name in now.keys() - before.keys()),
            *(
                f"{name} was {before[name]}, is {now[name]}"
                for name in before.keys() & now.keys()
                if before[name] != now[name]
            ),
        ]
        return ", ".join(sorted(changed)[:10])

    def build(self, weights: Mapping[str, Any]) -> tuple[Any, Any]:
        """`(params, state)` with these arrays."""
        arrays = iter([weights[name] for name in self.specs])
        leaves = [
            next(arrays) if is_array else leaf for leaf, is_array in zip(self._leaves, self._is_array, strict=True)
        ]
        return jax.tree_util.tree_unflatten(self._definition, leaves)

    def plain(self) -> Any:
        """The structure as JSON knows it; None where it takes more than dicts, lists and tuples."""
        if not all(self._is_array):
            return None
        try:
            return [plain_of(part) for part in self.build({name: name for name in self.specs})]
        except TypeError:
            return None


class PlainStructure:
    """A structure that was kept as JSON."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain

    def build(self, weights: Mapping[str, Any]) -> tuple[Any, Any]:
        """`(params, state)` with these arrays."""
        params, state = (of_plain(part, weights) for part in self._plain)
        return params, state


def by_path(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dicts, by the parts of the names."""
    tree: dict[str, Any] = {}
    for name, value in weights.items():
        *parents, last = name.split("/")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return tree


# Flax': the statistics of a layer are its own, as its parameters are.
_COLLECTIONS = ("params", "batch_stats")


def _is_array(leaf: Any) -> bool:
    return (
        hasattr(leaf, "shape") and hasattr(leaf, "dtype") and not jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.extended)
    )


def _is_trained(path: Any) -> bool:
    """Whether Flax' variables have this one in their collection of parameters."""
    return path[0].idx == 0 and len(path) > 2 and _text(path[1]) == "params"


def _names(paths: Iterable[Any]) -> list[str]:
    names: list[str] = []
    for path in paths:
        tree = "state" if path[0].idx else "params"
        parts = [_text(key) for key in path[1:]]
        if len(parts) > 1 and parts[-1] in ("value", ".value"):  # nnx'
            parts.pop()
        if len(parts) > 2 and parts[0] in _COLLECTIONS:
            parts.pop(0)
        name = "/".join(parts) or tree
        while name in names:
            name = f"{tree}/{name}"
        names.append(name)
    return names


def _text(key: Any) -> str:
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def plain_of(tree: Any) -> Any:
    """A tree of names as JSON knows it. Raises TypeError where it takes more than dicts, lists and tuples."""
    if tree is None or isinstance(tree, str):
        return tree
    kind = cast("Any", type(tree))
    if kind.__name__ in ("dict", "FrozenDict") and all(isinstance(key, str) for key in tree):
        return {"dict": {key: plain_of(entry) for key, entry in tree.items()}}
    if kind in (list, tuple):
        parts = [plain_of(entry) for entry in tree]
        return parts if kind is list else {"tuple": parts}
    raise TypeError(kind)


def of_plain(plain: Any, weights: Mapping[str, Any]) -> Any:
    """What `plain_of` made of a tree of names, with these values in their places."""
    if plain is None:
        return None
    if isinstance(plain, str):
        return weights[plain]
    if isinstance(plain, list):
        return [of_plain(entry, weights) for entry in cast("list[Any]", plain)]
    if "tuple" in plain:
        return tuple(of_plain(entry, weights) for entry in plain["tuple"])
    return {key: of_plain(entry, weights) for key, entry in plain["dict"].items()}
