"""Functions of the weights of one frame, made functions of many frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree as pytree

_functorch: Any = torch._C._functorch  # pyright: ignore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor


def over_frames(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of the weights of one frame, and of tensors, as one of the stacked weights of several frames.

    Operations of which torch cannot do several at once are done frame by frame.
    """
    can_vectorise = True

    def run(weights: Mapping[str, Tensor], *others: Any) -> Any:
        nonlocal can_vectorise
        with torch.no_grad():
            if can_vectorise:
                # What torch does frame by frame by itself is slower, not wrong.
                _functorch._set_vmap_fallback_warning_enabled(False)
                try:
                    return torch.func.vmap(function, in_dims=(0, *[None] * len(others)))(dict(weights), *others)
                except RuntimeError:  # an operation without a rule for it, or a module that looks at the numbers
                    pass
                finally:
                    _functorch._set_vmap_fallback_warning_enabled(True)
            frames = zip(*weights.values(), strict=True)
            found = [function(dict(zip(weights, frame, strict=True)), *others) for frame in frames]
            can_vectorise = False
            return pytree.tree_map(_stack, *found)

    return run


def _stack(*parts: Tensor) -> Tensor:
    return torch.stack(parts)
