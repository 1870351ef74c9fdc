"""Many small networks at once, as the last axis of every array.

`jax.vmap` puts the networks first, and a compiler that is given thousands of 2 x 2 matrices multiplies them one by one.
With the networks last, the product of two small matrices is a handful of multiplications and additions of long vectors.
So the program of one network's function is read equation by equation and written anew.
"""

from __future__ import annotations

import importlib
import itertools
import math
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ..jax.backend import jax, over_leaves
from .convolution import as_product

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Sums of up to so many terms are written out.
_TERMS = 64

# What calls a function and nothing else, once derivatives have been taken.
_CALLS = {
    *("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint"),
    *("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"),
}
# What works number by number on several arrays, of which some may be scalars.
_ELEMENTWISE = {
    *("add", "add_any", "and", "atan2", "clamp", "div", "eq", "ge", "gt", "le", "lt", "max", "min", "mul", "ne"),
    *("nextafter", "or", "pow", "rem", "select_n", "shift_left", "shift_right_arithmetic", "shift_right_logical"),
    *("sub", "xor"),
}


class _Value(NamedTuple):
    """An array, and whether it has an axis of networks: the last."""

    array: Any
    mapped: bool


def last_axis(function: Callable[..., Any], mapped: Sequence[Any], *, one: Any = None) -> Callable[..., Any]:
    """The function of one network as one of many, which are the last axis of arrays.

    `mapped` says for each argument, or for parts of it, whether it has that axis: True or False, or a tree of these.
    All arrays that are returned have it. The function must be pure, and is not to be differentiated any further.

    `one` is the number 1, of which the compiler must not know that it is: products of matrices are divided by it. XLA
    takes additions for so cheap that it repeats them wherever their sum is used (with ReLU that takes twice the time),
    but repeats no division; its own optimization barrier is gone before it does so. Without it products are kept apart,
    which is faster where there are no derivatives.
    """

    def of_networks(*arguments: Any) -> Any:
        leaves, structure = jax.tree.flatten(arguments)
        flags = jax.tree.leaves(jax.tree.map(_throughout, tuple(mapped), arguments))
        values = [_Value(jax.numpy.asarray(leaf), flag) for leaf, flag in zip(leaves, flags, strict=True)]
        networks = {value.array.shape[-1] for value in values if value.mapped}
        if len(networks) != 1:
            raise ValueError(f"arrays of networks must agree in their last axis; its sizes are {sorted(networks)}")
        shapes = [jax.ShapeDtypeStruct(_shape(value), value.array.dtype) for value in values]
        program, shape = jax.make_jaxpr(function, return_shape=True)(*jax.tree.unflatten(structure, shapes))
        reader = _Reader(networks.pop(), one)
        made = reader.run(program.jaxpr, program.consts, values)
        return jax.tree.unflatten(jax.tree.structure(shape), [reader.lifted(value) for value in made])

    return of_networks


def apart(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which XLA then does not merge with others."""
    try:
        metadata: Any = importlib.import_module("jax.experimental.xla_metadata")
    except ImportError:  # JAX 0.4.35
        return function

    def call(*arguments: Any) -> Any:
        with metadata.set_xla_metadata(inlineable="false"):
            return jax.jit(function)(*arguments)

    return call


def _throughout(flag: bool, part: Any) -> Any:
    return over_leaves(lambda _: flag, part)


def _shape(value: _Value) -> tuple[int, ...]:
    """The shape for one network."""
    return value.array.shape[:-1] if value.mapped else value.array.shape


class _Reader:
    """Evaluates programs of one network for this number of them."""

    def __init__(self, networks: int, one: Any):
        self.networks = networks
        self.one = one

    def run(self, jaxpr: Any, constants: Sequence[Any], arguments: Sequence[_Value]) -> list[_Value]:
        values = dict(zip(jaxpr.invars, arguments, strict=True))
        values |= {variable: _Value(value, False) for variable, value in zip(jaxpr.constvars, constants, strict=True)}

        def read(atom: Any) -> _Value:
            return _Value(jax.numpy.asarray(atom.val, atom.aval.dtype), False) if hasattr(atom, "val") else values[atom]

        for equation in jaxpr.eqns:
            given = [read(atom) for atom in equation.invars]
            values.update(zip(equation.outvars, self._evaluate(equation, given), strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _evaluate(self, equation: Any, given: list[_Value]) -> list[_Value]:
        name, params = equation.primitive.name, equation.params
        if not any(value.mapped for value in given):
            return [_Value(array, False) for array in _bind(equation, [value.array for value in given])]
        if name in _CALLS:
            inner = next(params[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in params)
            return self.run(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), given)
        if name in _ELEMENTWISE:
            shape = equation.outvars[0].aval.shape
            return [_Value(array, True) for array in _bind(equation, [self.lifted(value, shape) for value in given])]
        rule = _RULES.get(name)
        array = None if rule is None else rule(self, params, *given)
        if array is not None:
            return [_Value(array, True)]
        # Correct for whatever it is, if not always fast; most keep the axis of networks where it is.
        axes = [-1 if value.mapped else None for value in given]

        def bind(*arrays: Any) -> Sequence[Any]:
            return _bind(equation, arrays)

        vectorised = jax.vmap(bind, in_axes=axes, out_axes=-1)
        return [_Value(array, True) for array in vectorised(*(value.array for value in given))]

    def lifted(self, value: _Value, shape: tuple[int, ...] | None = None) -> Any:
        """The value for all networks, and a scalar throughout this shape."""
        own = _shape(value)
        shape = own if shape is None else shape
        axes = (*range(len(own)), *([len(shape)] if value.mapped else []))
        full = (*shape, self.networks)
        return value.array if value.mapped and own == shape else jax.lax.broadcast_in_dim(value.array, full, axes)


def _bind(equation: Any, arrays: Sequence[Any]) -> Sequence[Any]:
    """What the equation's operation makes of these arrays."""
    bound = equation.primitive.get_bind_params(equation.params)
    # Older JAX has functions apart.
    functions, params = cast("tuple[Any, Any]", bound) if isinstance(bound, tuple) else ((), bound)
    made = equation.primitive.bind(*functions, *arrays, **params)
    return made if equation.primitive.multiple_results else [made]


def _broadcast(reader: _Reader, params: Any, value: _Value, *_: _Value) -> Any:
    shape, axes = tuple(params["shape"]), tuple(int(axis) for axis in params["broadcast_dimensions"])
    return jax.lax.broadcast_in_dim(value.array, (*shape, reader.networks), (*axes, len(shape)))


def _reshape(reader: _Reader, params: Any, value: _Value, *_: _Value) -> Any:
    return jax.lax.reshape(value.array, (*params["new_sizes"], reader.networks))


def _squeeze(_: _Reader, params: Any, value: _Value) -> Any:
    return jax.lax.squeeze(value.array, params["dimensions"])


def _transpose(_: _Reader, params: Any, value: _Value) -> Any:
    return jax.lax.transpose(value.array, (*params["permutation"], len(params["permutation"])))


def _concatenate(reader: _Reader, params: Any, *values: _Value) -> Any:
    return jax.lax.concatenate([reader.lifted(value) for value in values], params["dimension"])


def _folded(join: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """A reduction as a tree of `join`: what XLA makes of one on the CPU goes through the numbers one by one."""

    def fold(array: Any, axis: int) -> Any:
        length = array.shape[axis]
        if length <= _TERMS:
            return reduce(join, (jax.lax.index_in_dim(array, k, axis, keepdims=False) for k in range(length)))
        whole = length // _TERMS * _TERMS
        blocks = jax.lax.slice_in_dim(array, 0, whole, axis=axis)
        blocks = blocks.reshape(*array.shape[:axis], whole // _TERMS, _TERMS, *array.shape[axis + 1 :])
        folded = fold(fold(blocks, axis + 1), axis)
        if whole == length:
            return folded
        return join(folded, fold(jax.lax.slice_in_dim(array, whole, length, axis=axis), axis))

    def rule(_: _Reader, params: Any, value: _Value) -> Any:
        array = value.array
        if not array.size:
            return None
        for axis in sorted(params["axes"], reverse=True):
            array = fold(array, axis)
        return array

    return rule


def _dot(reader: _Reader, params: Any, left: _Value, right: _Value) -> Any:
    (left_sum, right_sum), (left_batch, right_batch) = params["dimension_numbers"]
    terms = math.prod(left.array.shape[axis] for axis in left_sum)
    if not 0 < terms <= _TERMS:
        return None
    dtype = params["preferred_element_type"] or jax.numpy.result_type(left.array, right.array)

    def product(left_array: Any, right_array: Any) -> Any:
        rows, row_sizes = _terms(left._replace(array=left_array.astype(dtype)), left_batch, left_sum)
        columns, column_sizes = _terms(right._replace(array=right_array.astype(dtype)), right_batch, right_sum)
        products = (row[:, :, None] * column[:, None] for row, column in zip(rows, columns, strict=True))
        batch_sizes = (left_array.shape[axis] for axis in left_batch)
        return reduce(jax.lax.add, products).reshape(*batch_sizes, *row_sizes, *column_sizes, reader.networks)

    if reader.one is None:
        return apart(product)(left.array, right.array)
    made = product(left.array, right.array)
    return made / reader.one.astype(dtype) if jax.numpy.issubdtype(dtype, jax.numpy.floating) else made


def _convolution(reader: _Reader, params: Any, left: _Value, right: _Value) -> Any:
    convolve = as_product(params)
    if convolve is None:
        return None
    shapes = [jax.ShapeDtypeStruct(_shape(value), value.array.dtype) for value in (left, right)]
    program = jax.make_jaxpr(convolve)(*shapes)
    return reader.lifted(reader.run(program.jaxpr, program.consts, [left, right])[0])


def _terms(value: _Value, batch: Sequence[int], summed: Sequence[int]) -> tuple[list[Any], tuple[int, ...]]:
    """For each term of the sums an array with the axes batch, free and networks; and the free axes' sizes."""
    shape = _shape(value)
    free = [axis for axis in range(len(shape)) if axis not in (*batch, *summed)]
    # Each is cut out before it is transposed: whole arrays that are transposed would be stored.
    kept = sorted([*batch, *free])
    order = [kept.index(axis) for axis in (*batch, *free)] + [len(kept)] * value.mapped
    sizes = tuple(shape[axis] for axis in free)
    merged = (math.prod(shape[axis] for axis in batch), math.prod(sizes), -1)
    terms: list[Any] = []
    for place in itertools.product(*(range(shape[axis]) for axis in summed)):
        at = dict(zip(summed, place, strict=True))
        cut = value.array[tuple(at.get(axis, slice(None)) for axis in range(len(shape)))]
        terms.append(jax.lax.transpose(cut, order).reshape(merged))
    return terms, sizes


_RULES: dict[str, Callable[..., Any]] = {
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "conv_general_dilated": _convolution,
    "dot_general": _dot,
    "reduce_and": _folded(jax.lax.bitwise_and),
    "reduce_max": _folded(jax.lax.max),
    "reduce_min": _folded(jax.lax.min),
    "reduce_or": _folded(jax.lax.bitwise_or),
    "reduce_prod": _folded(jax.lax.mul),
    "reduce_sum": _folded(jax.lax.add),
    "reshape": _reshape,
    "squeeze": _squeeze,
    "transpose": _transpose,
}
