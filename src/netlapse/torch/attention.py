"""Attention that is computed while a module is applied.

It is what `scaled_dot_product_attention` or `nn.MultiheadAttention` weighs values with, or a softmax over the last axis
that values are multiplied with; it is named after the innermost module in which that happens.
"""

from __future__ import annotations

import inspect
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

# What leaves the weights as they are, in inference mode.
_KEEPING = frozenset(("contiguous", "dropout", "float", "to", "type_as"))
_PRODUCTS = frozenset(("__matmul__", "bmm", "einsum", "matmul"))


class Attention:
    """Attention weights, as calls of torch's functions are told to it."""

    def __init__(self) -> None:
        self._found: list[tuple[str, Tensor]] = []
        # What may yet become weights, by identity of the tensor, which is kept so that no other gets it.
        self._softmax: dict[int, tuple[Tensor, Tensor]] = {}

    def weights(self) -> dict[str, Tensor]:
        """Attention weights, (example, head, query, key), by module; of one that attends several times numbered."""
        times, seen = Counter(name for name, _ in self._found), Counter[str]()
        found: dict[str, Tensor] = {}
        for name, weights in self._found:
            seen[name] += 1
            found[name if times[name] == 1 else f"{name}@{seen[name]}"] = weights
        return found

    def note(self, func: Any, args: Any, kwargs: dict[str, Any], result: Any, module: str) -> None:
        """A function was called in a module."""
        name, weights = str(getattr(func, "__name__", "")), None
        if name == "scaled_dot_product_attention":
            weights = _of_dot_products(*args, **kwargs)
        elif name == "multi_head_attention_forward":
            bound = inspect.signature(func).bind(*args, **kwargs).arguments
            _, weights = func(**{**bound, "need_weights": True, "average_attn_weights": False})
        elif name == "softmax" and kwargs.get("dim", [*args, None][1]) in (-1, result.ndim - 1):
            self._softmax[id(result)] = result, result
        elif name in _KEEPING and args and id(args[0]) in self._softmax:
            self._softmax[id(result)] = self._softmax[id(args[0])][0], result
        elif name in _PRODUCTS:
            operands = args[1:] if name == "einsum" else args[:1]
            weights = next((self._softmax[id(one)][0] for one in operands if id(one) in self._softmax), None)
        if weights is not None and weights.ndim in (3, 4):
            # One head may have no axis of its own.
            self._found.append((module or "attention", weights[:, None] if weights.ndim == 3 else weights))


def _of_dot_products(
    query: Tensor,
    key: Tensor,
    value: Tensor,  # noqa: ARG001
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,  # noqa: ARG001
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """What torch's `scaled_dot_product_attention` weighs the values with; a query that may see no key has zeros."""
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = torch.where(attn_mask, scores, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return torch.where((scores == -math.inf).all(-1, keepdim=True), 0.0, scores.softmax(-1))
