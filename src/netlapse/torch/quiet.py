"""Looking at a module that is being trained, without a trace of having done so."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from copy import deepcopy
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules import transformer

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """All that is saved with a module, by name; what is tied once, under its first name."""
    found: dict[str, Tensor] = {}
    seen = set[int]()
    for prefix, module in modules_of(model):
        passing: set[str] = module._non_persistent_buffers_set
        buffers = ((name, buffer) for name, buffer in module.named_buffers(recurse=False) if name not in passing)
        for name, tensor in chain(module.named_parameters(recurse=False), buffers):
            if id(tensor) not in seen:
                seen.add(id(tensor))
                found[f"{prefix}.{name}".lstrip(".")] = tensor
    return found


def modules_of(model: nn.Module) -> list[tuple[str, Any]]:
    """All modules by name, each once."""
    return list(cast("Any", model).named_modules())


def replica(model: nn.Module, *, share: bool = True) -> nn.Module:
    """A copy in inference mode without the user's hooks, whose parameters are the model's own where they are shared.

    Raises whatever its parts raise when they are copied.
    """
    memo: dict[int, Any] = {id(parameter): parameter for parameter in model.parameters()} if share else {}
    for _, module in modules_of(model):
        # Those of torch's own compute weights, as of weight_norm; the others are only told what happens.
        hooks: list[tuple[int, Any]] = list(module._forward_pre_hooks.items())
        memo[id(module._forward_pre_hooks)] = OrderedDict((key, hook) for key, hook in hooks if _is_torchs(hook))
        # What such hooks have computed is none of the module's own.
        values = cast("dict[str, Any]", vars(module)).values()
        memo |= {id(v): v.detach() for v in values if isinstance(v, Tensor) and not v.is_leaf}
        for name in ("_forward_hooks", "_backward_hooks", "_backward_pre_hooks"):
            memo[id(getattr(module, name))] = OrderedDict[int, Any]()
    return deepcopy(model, memo).eval()


def _is_torchs(hook: Any) -> bool:
    return type(hook).__module__.startswith("torch.nn.utils.")


def loaded(module: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """A copy of a module with these weights."""
    found = deepcopy(module)
    with torch.no_grad():
        for name, tensor in weights_of(found).items():
            tensor.copy_(weights[name])
    return found


@contextmanager
def undisturbed(model: nn.Module) -> Generator[None]:
    """Leave the state of all random generators, and the way in which torch computes attention, as they were."""
    devices = {tensor.device.index or 0 for tensor in model.parameters() if tensor.is_cuda}
    fast = torch.backends.mha.get_fastpath_enabled()
    internals: dict[str, Any] = transformer.__dict__
    looks = internals.get("_detect_is_causal_mask")
    # The fast path has a whole layer in one operation, of which nothing can be seen.
    torch.backends.mha.set_fastpath_enabled(False)
    # nn.TransformerEncoder looks at the numbers in its mask for a faster way to the same result: no export follows it.
    internals["_detect_is_causal_mask"] = _is_said_to_be_causal
    try:
        with torch.random.fork_rng(sorted(devices)):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        internals["_detect_is_causal_mask"] = looks


def _is_said_to_be_causal(_mask: Tensor | None, is_causal: bool | None = None, _size: int | None = None) -> bool:
    return is_causal is True
