"""Reading a module's weights in the middle of its training."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from ..errors import Unsupported
from ..store import Parameter
from .arrays import array_of, dtype_name
from .quiet import weights_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Kinds = dict[str, tuple[torch.Size, torch.dtype]]


def unwrapped(model: nn.Module) -> nn.Module:
    """The user's own module, out of what `torch.compile`, DataParallel and DistributedDataParallel put around it."""
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = cast("nn.Module", model.module)
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


class ModelState:
    """The weights of a module that is being trained, or of the `layers` whose names match one of these patterns.

    Raises Unsupported for what has no values in this process, and for patterns that match nothing.
    """

    def __init__(self, model: nn.Module, layers: Sequence[str] | None = None) -> None:
        self.model, self.layers = unwrapped(model), [layers] if isinstance(layers, str) else layers
        self._tensors, self._modules = self._found(), list(self.model.modules())
        self._parts = self._ids()
        everything = weights_of(self.model)
        if not self._tensors:
            asked = "the model has no parameters" if layers is None else f"layers={layers!r} matches none"
            names = dict.fromkeys(repr(_layer(name)) for name in everything)
            raise Unsupported(f"{asked}; layers with parameters are: {', '.join(names)}")
        for name, tensor in self._tensors.items():
            _require_values(name, tensor)
        self._kinds = self._kinds_now()
        self.parameters = tuple(
            Parameter(name, tuple(shape), dtype_name(dtype), self._tensors[name].requires_grad, _layer(name))
            for name, (shape, dtype) in self._kinds.items()
        )
        self.device = next(iter(self._tensors.values())).device
        # What the run says of the layers that it has.
        counts = {"parameters": len(self._tensors), "of": len(everything)}
        self.subset = None if self.layers is None else {"layers": list(self.layers), **counts}
        # Memory that devices can copy to while training goes on, used for all frames.
        self._pinned: dict[str, Tensor] = {}

    def weights(self) -> dict[str, NDArray[Any]]:
        """All weights by parameter, to be copied before training goes on.

        Raises Unsupported for a network that is not the one it was in the beginning.
        """
        if self._ids() != self._parts:
            self._tensors, self._modules = self._found(), list(self.model.modules())
            self._parts = self._ids()
        if (kinds := self._kinds_now()) != self._kinds:
            raise Unsupported(_changes(self._kinds, kinds))
        here = {name: self._start_copy(name, tensor.detach()) for name, tensor in self._tensors.items()}
        for device in {tensor.device for tensor in self._tensors.values() if tensor.is_cuda}:
            torch.cuda.current_stream(device).synchronize()
        return {name: array_of(tensor) for name, tensor in here.items()}

    def _found(self) -> dict[str, Tensor]:
        return {
            name: tensor
            for name, tensor in weights_of(self.model).items()
            if self.layers is None or any(fnmatchcase(_layer(name), pattern) for pattern in self.layers)
        }

    def _ids(self) -> list[int]:
        """What all modules consist of, which may be exchanged; names are looked up only then, for that takes longer."""
        return [
            id(part)
            for module in self._modules
            for parts in (module._parameters, module._buffers, module._modules)  # pyright: ignore[reportPrivateUsage]
            for part in parts.values()
        ]

    def _kinds_now(self) -> Kinds:
        return {name: (tensor.shape, tensor.dtype) for name, tensor in self._tensors.items()}

    def _start_copy(self, name: str, tensor: Tensor) -> Tensor:
        if not tensor.is_cuda:
            return tensor.cpu()
        if name not in self._pinned:
            self._pinned[name] = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        return self._pinned[name].copy_(tensor, non_blocking=True)


def _require_values(name: str, tensor: Tensor) -> None:
    if nn.parameter.is_lazy(tensor):
        raise Unsupported(f"{name} has no shape yet; call the model once on a batch before it is recorded")
    if tensor.is_meta:
        raise Unsupported(f"{name} is on the meta device, without values; initialise the model before it is recorded")
    if hasattr(tensor, "full_tensor"):
        raise Unsupported(
            f"{name} is sharded over processes; models of which each process holds all parameters can be recorded,"
            " such as DistributedDataParallel's"
        )


def _changes(before: Kinds, now: Kinds) -> str:
    """What has become of the parameters."""
    changes = [f"{name} was added" for name in now if name not in before]
    changes += [f"{name} was removed" for name in before if name not in now]
    changes += [
        f"{name} was {dtype_name(before[name][1])} {tuple(before[name][0])} and is {dtype_name(dtype)} {tuple(shape)}"
        for name, (shape, dtype) in now.items()
        if before.get(name, (shape, dtype)) != (shape, dtype)
    ]
    return ", ".join(changes[:5]) + (", ..." if len(changes) > 5 else "")


def _layer(name: str) -> str:
    """The module that a parameter of this name belongs to."""
    return name.rpartition(".")[0]
