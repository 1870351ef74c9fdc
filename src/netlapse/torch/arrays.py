"""Arrays of a run as torch's tensors, and back; the structure of what a module takes and returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, cast

import ml_dtypes
import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

# How a user says that the module is to be called: of the module and its inputs, a tensor or tensors by name.
Forward = Callable[[Any, Any], Any]


def tensor_of(array: NDArray[Any]) -> Tensor:
    """The array as a tensor on the CPU; it shares the memory where torch can."""
    # torch takes no views that are read-only or run backwards, and no bfloat16 of NumPy's.
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(np.require(array.view(np.int16), requirements=["C", "W"])).view(torch.bfloat16)
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def array_of(tensor: Tensor) -> NDArray[Any]:
    """The tensor as an array, without loss."""
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def dtype_name(dtype: torch.dtype) -> str:
    """The dtype as runs name it: "float32"."""
    return str(dtype).removeprefix("torch.")


def fitting(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor in this dtype, where no number is lost by it but digits."""
    return tensor.to(dtype) if dtype.is_floating_point or not tensor.is_floating_point() else tensor


def call(module: Any, inputs: Mapping[str, Tensor], forward: Forward | None = None) -> Any:
    """The module applied to its inputs: one, or several by place or by name."""
    return (forward or apply)(module, assembled(inputs))


def apply(module: Any, given: Any) -> Any:
    """The module applied to a tensor, a tuple of them or a dict."""
    if isinstance(given, tuple):
        return module(*given)
    return module(**given) if isinstance(given, dict) else module(given)


def tensors_in(values: Any) -> dict[str, Tensor]:
    """All tensors in what a module returned, by their places in it, such as "logits" or "1.0"; a single one is ""."""
    found = dict(_tensors_in(values, ""))
    return {name.removeprefix("."): tensor for name, tensor in found.items()}


def _tensors_in(values: Any, name: str) -> list[tuple[str, Tensor]]:
    if isinstance(values, Tensor):
        return [(name, values)]
    parts: Mapping[Any, Any] = {}
    if isinstance(values, Mapping):
        parts = cast("Mapping[Any, Any]", values)
    elif hasattr(values, "_asdict"):  # a named tuple
        parts = values._asdict()
    elif isinstance(values, list | tuple):
        parts = dict(enumerate(cast("list[Any]", values)))
    elif is_dataclass(values):
        parts = {entry.name: getattr(values, entry.name) for entry in fields(values)}
    elif hasattr(values, "__dict__"):
        parts = cast("dict[str, Any]", vars(values))
    return [entry for key in parts for entry in _tensors_in(parts[key], f"{name}.{key}")]


class Named(dict[str, Any]):
    """Tensors by name, which are attributes as well."""

    __getattr__ = dict[str, Any].__getitem__


def assembled(tensors: Mapping[str, Tensor]) -> Any:
    """What `tensors_in` took apart: a tensor, a tuple, or `Named` for all that has names."""
    if "" in tensors:
        return tensors[""]
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        first, _, rest = name.partition(".")
        groups.setdefault(first, {})[rest] = tensor
    parts = {name: assembled(group) for name, group in groups.items()}
    if all(name.isdecimal() for name in parts):
        return tuple(parts.get(str(place)) for place in range(1 + max(map(int, parts), default=-1)))
    return Named(parts)
