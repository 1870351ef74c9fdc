"""Examples of one array, or of several by name, for networks of several inputs or outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike, NDArray

# Each array is (example, ...). The names of several are those of inputs or outputs; digits stand for places.
Arrays = NDArray[Any] | Mapping[str, NDArray[Any]]
# The same as users pass it; several in a list are named by their places, "0", "1", ...
Examples = ArrayLike | Mapping[str, ArrayLike] | Sequence[ArrayLike]


def each(arrays: Arrays, function: Callable[[NDArray[Any]], Any]) -> Any:
    """Do this to the array, or to each of several."""
    return (
        {name: function(array) for name, array in arrays.items()} if isinstance(arrays, Mapping) else function(arrays)
    )


def named(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """The arrays by name; a single one has the name ""."""
    return dict(arrays) if isinstance(arrays, Mapping) else {"": arrays}


def count(arrays: Arrays) -> int:
    """Number of examples."""
    return len(next(iter(named(arrays).values())))


def flat(name: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """As a file of a run has them: "name", or "name/input" for each of several."""
    return {f"{name}/{key}" if key else name: array for key, array in named(arrays).items()}


def gather(name: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays | None:
    """What `flat` made the arrays of; None if there is nothing of this name."""
    if name in arrays:
        return arrays[name]
    return {key.removeprefix(f"{name}/"): arrays[key] for key in arrays if key.startswith(f"{name}/")} or None
