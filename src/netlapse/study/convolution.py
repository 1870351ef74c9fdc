"""Convolutions as products of matrices, of which many small ones at once are fast."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from ..jax.backend import jax

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def as_product(params: Mapping[str, Any]) -> Callable[[Any, Any], Any] | None:
    """The convolution of JAX's parameters as a product of patches and a kernel ("im2col").

    Of examples by a kernel, or, as its derivative is, of examples by what is to be learnt of them: whichever is the
    smaller, the kernel's places or the result's, is gone through. None for convolutions by groups.
    """
    if params["feature_group_count"] != 1 or params["batch_group_count"] != 1:
        return None
    lhs_spec, rhs_spec, out_spec = params["dimension_numbers"]
    strides, steps = params["window_strides"], params["rhs_dilation"]

    def convolve(lhs: Any, rhs: Any) -> Any:
        # Example, channel, places ...; and result's channel, channel, places ... of the kernel.
        lhs = jax.lax.transpose(lhs, lhs_spec)
        rhs = jax.lax.transpose(rhs, rhs_spec)
        # Padding may be negative, which cuts off.
        pads = zip(params["padding"], params["lhs_dilation"], strict=True)
        interior = [(low, high, dilation - 1) for (low, high), dilation in pads]
        lhs = jax.lax.pad(lhs, jax.numpy.zeros((), lhs.dtype), [(0, 0, 0), (0, 0, 0), *interior])
        kernel = rhs.shape[2:]
        out = [
            (size - (length - 1) * step - 1) // stride + 1
            for size, length, step, stride in zip(lhs.shape[2:], kernel, steps, strides, strict=True)
        ]

        def cut(start: Sequence[int], count: Sequence[int], step: Sequence[int]) -> Any:
            stop = [a + (n - 1) * s + 1 for a, n, s in zip(start, count, step, strict=True)]
            return jax.lax.slice(lhs, (0, 0, *start), (*lhs.shape[:2], *stop), (1, 1, *step))

        def starts(sizes: Sequence[int], step: Sequence[int]) -> list[list[int]]:
            places = itertools.product(*map(range, sizes))
            return [[k * s for k, s in zip(place, step, strict=True)] for place in places]

        if math.prod(kernel) <= math.prod(out):
            # Of each place of the kernel what it lies on: (place, example, channel, places of the result).
            patches = jax.numpy.stack([cut(start, out, strides) for start in starts(kernel, steps)])
            weights = rhs.reshape(*rhs.shape[:2], -1)
            made = jax.lax.dot_general(patches, weights, (((0, 2), (2, 1)), ((), ())))
            made = jax.numpy.moveaxis(made, -1, 1)
        else:
            # Of each place of the result what the kernel lies on: (place, example, channel, places of the kernel).
            patches = jax.numpy.stack([cut(start, kernel, steps) for start in starts(out, strides)])
            summed = tuple(range(1, rhs.ndim))
            made = jax.lax.dot_general(patches, rhs, ((tuple(axis + 1 for axis in summed), summed), ((), ())))
            made = jax.numpy.moveaxis(made, 0, -1).reshape(lhs.shape[0], rhs.shape[0], *out)
        return jax.lax.transpose(made, [out_spec.index(axis) for axis in range(len(out_spec))])

    return convolve
