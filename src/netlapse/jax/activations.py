"""Activation functions, known by what they do: a traced function has no names for them."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from .backend import jax

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from .program import Program

_SLOPES = (0.01, 0.05, 0.1, 0.2, 0.3)
# On both sides of all their kinks, even the first four.
_Z = np.array([-2.3, 1.7, 7.0, -0.4, *np.random.default_rng(0).normal(scale=3.0, size=508)], np.float32)


def activation_functions(program: Program, candidates: Mapping[int, Sequence[int]]) -> dict[int, tuple[int, str]]:
    """For each value the first of its candidates that an activation function makes of it, and the function's name."""
    candidates = {
        before: [after for after in later if program.avals[after].size == program.avals[before].size]
        for before, later in candidates.items()
    }

    def evaluate(given: dict[int, Any]) -> dict[int, list[Any]]:
        return {before: program.evaluate(later, {before: given[before]}) for before, later in candidates.items()}

    made = jax.jit(evaluate)({before: np.resize(_Z, program.avals[before].shape) for before in candidates})
    found: dict[int, tuple[int, str]] = {}
    for before, later in candidates.items():
        for after, value in zip(later, made[before], strict=True):
            name = _name(np.asarray(value, np.float32))
            if name is not None:
                found[before] = after, name
                break
    return found


def _name(values: NDArray[np.float32]) -> str | None:
    """The function that makes these values of `_Z`, repeated."""
    if not values.ndim:
        return None
    z = np.resize(_Z, values.shape).astype(np.float64)
    shifted = z - z.max(axis=-1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    head = values.ravel()[: len(_Z)]
    for name, curve in _curves():
        if np.allclose(head, curve[: len(head)], rtol=1e-3, atol=1e-5):
            return name
    if values.shape[-1] > 1:
        for name, expected in (("softmax", np.exp(log_softmax)), ("log_softmax", log_softmax)):
            if np.allclose(values, expected, rtol=1e-3, atol=1e-5):
                return name
    return None


@cache
def _curves() -> list[tuple[str, NDArray[np.float64]]]:
    z = _Z.astype(np.float64)
    sigmoid, softplus = 1 / (1 + np.exp(-z)), np.logaddexp(z, 0)
    below, hard_sigmoid = np.expm1(np.minimum(z, 0)), np.clip(z + 3, 0, 6) / 6
    return [
        ("relu", np.maximum(z, 0)),
        ("tanh", np.tanh(z)),
        ("sigmoid", sigmoid),
        ("silu", z * sigmoid),
        ("gelu", z * [(1 + math.erf(value / math.sqrt(2))) / 2 for value in z]),
        ("gelu", z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))) / 2),
        ("elu", np.maximum(z, 0) + below),
        ("selu", 1.0507009873554805 * (np.maximum(z, 0) + 1.6732632423543772 * below)),
        ("softplus", softplus),
        ("mish", z * np.tanh(softplus)),
        ("log_sigmoid", z - softplus),
        ("soft_sign", z / (1 + np.abs(z))),
        ("squareplus", (z + np.sqrt(z**2 + 4)) / 2),
        ("relu6", np.clip(z, 0, 6)),
        ("hard_tanh", np.clip(z, -1, 1)),
        ("hard_sigmoid", hard_sigmoid),
        ("hard_silu", z * hard_sigmoid),
        *(("leaky_relu", np.where(z > 0, z, slope * z)) for slope in _SLOPES),
    ]
