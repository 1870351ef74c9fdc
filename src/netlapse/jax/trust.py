"""An exported program from a stranger: refused where it would call code, or fill the memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import jax.interpreters.mlir as mlir
from jax._src.export import _export  # pyright: ignore

if TYPE_CHECKING:
    from collections.abc import Iterator

# Numbers in what one operation makes of one example.
_MOST_NUMBERS = 2**28
_MOST_BYTES = 4 * _MOST_NUMBERS
# What JAX promises to keep, without the entries that bring code of their own.
_OWN_CODE = {"tf.call_tf_function", "tpu_custom_call", "mosaic_gpu_v2", "__gpu$xla.gpu.triton"}
_TARGETS: set[str] = set(_export._CUSTOM_CALL_TARGETS_GUARANTEED_STABLE) - _OWN_CODE  # pyright: ignore
# Talk to the host or to other devices.
_REFUSED = ("infeed", "outfeed", "send", "recv")


def check_program(exported: Any) -> None:
    """Raise ValueError for a program that is not plain arithmetic on arrays of a bearable size."""
    if exported.ordered_effects or exported.unordered_effects or exported.nr_devices != 1:
        raise ValueError("it has effects, or runs on several devices")
    with mlir.make_ir_context():
        module = mlir.ir.Module.parse(exported.mlir_module())
        for operation in _walk(module.operation):
            name = operation.name
            dialect, _, word = name.partition(".")
            if dialect not in ("builtin", "func", "stablehlo", "chlo") or word in _REFUSED:
                raise ValueError(f"it has an operation {name!r}")
            if word == "custom_call":
                target = mlir.ir.StringAttr(operation.attributes["call_target_name"]).value
                if target not in _TARGETS:
                    raise ValueError(f"it calls {target!r}")
            for result in operation.results:
                if _numbers(result.type) > _MOST_NUMBERS:
                    raise ValueError("it makes arrays that are too large")


def check_memory(compiled: Any) -> None:
    """Raise ValueError for a compiled program that needs much more memory than what it is given."""
    needs = compiled.memory_analysis()
    if needs is not None and needs.temp_size_in_bytes > _MOST_BYTES + 64 * needs.argument_size_in_bytes:
        raise ValueError(f"it needs {needs.temp_size_in_bytes / 2**30:.1f} GiB")


def _walk(operation: Any) -> Iterator[Any]:
    pending = [operation]
    while pending:
        operation = pending.pop()
        yield operation
        pending += [inner.operation for region in operation.regions for block in region for inner in block]


def _numbers(kind: Any) -> int:
    # Whatever is no array of a known number of axes raises ValueError, and is refused as well.
    shape = mlir.ir.RankedTensorType(kind)
    # Those that grow with the examples are not known yet.
    return math.prod(1 if shape.is_dynamic_dim(axis) else shape.get_dim_size(axis) for axis in range(shape.rank))
