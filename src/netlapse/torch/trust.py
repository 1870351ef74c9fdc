"""A program from a stranger: computed without numbers first, to refuse what would fill the memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from .program import Program, Ref

# Shape and dtype of each weight.
Kinds = Mapping[str, tuple[tuple[int, ...], torch.dtype]]

# Numbers in what one operation makes of one example.
_MOST_NUMBERS = 2**28
_MOST_IN_ALL = 2**31
_MOST_PARTS = 2**16
_MOST_OPERATIONS = 300_000


def check(program: Program, weights: Kinds) -> None:
    """Note what one example takes, and forget the layers without an example axis.

    Raises ValueError for a program of other weights, of more numbers than anybody needs, or whose values mix examples,
    and whatever torch makes of operations that do not fit.
    """
    missing = [str(name) for name in program.weights if name not in weights]
    if missing:
        raise ValueError(f"it needs weights that were not recorded: {', '.join(missing[:5])}")
    taps = [*program.layers, *program.outputs.values()]
    refs = [ref for tap in taps for ref in (tap.before, tap.after)] + [*program.attention.values()]
    two, three = (_sizes(program, weights, batch, refs) for batch in (2, 3))
    if len(two.numbers) != len(three.numbers) or any(
        b != a and 2 * b != 3 * a for a, b in zip(two.numbers, three.numbers, strict=True)
    ):
        raise ValueError("what it computes for an example depends on how many there are")
    if sum(two.numbers) > 2 * _MOST_IN_ALL:
        raise ValueError("it computes too many numbers")
    of_examples = {
        ref
        for ref, *shapes in zip(refs, two.shapes, three.shapes, strict=True)
        if [shape[:1] for shape in shapes] == [(2,), (3,)]
    }
    if not all(tap.after in of_examples for tap in program.outputs.values()):
        raise ValueError("an output does not have one entry for each example")
    program.layers = [tap for tap in program.layers if {tap.before, tap.after} <= of_examples]
    program.attention = {name: ref for name, ref in program.attention.items() if ref in of_examples}
    program.values_per_example = sum(a for a, b in zip(two.numbers, three.numbers, strict=True) if a != b) // 2
    shapes = dict(zip(refs, two.shapes, strict=True))
    program.output_shapes = {place: shapes[tap.after][1:] for place, tap in program.outputs.items()}


class _Sizes(TorchDispatchMode):
    """Counts the numbers in what is computed while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[int] = []
        self.shapes: list[tuple[int, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in (torch.ops.aten.unbind, torch.ops.aten.split, torch.ops.aten.unsafe_split):
            parts = args[0].numel() if func.overloadpacket is torch.ops.aten.unbind else args[0].numel() // args[1]
            if parts > _MOST_PARTS and max(args[0].shape) > _MOST_PARTS:
                raise ValueError("it makes too many parts")
        result: Any = func(*args, **(kwargs or {}))
        if not any(entry.alias_info for entry in func._schema.returns):
            self.numbers += [leaf.numel() for leaf in pytree.tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        if max(self.numbers[-1:], default=0) > 2 * _MOST_NUMBERS or len(self.numbers) > _MOST_OPERATIONS:
            raise ValueError("its layers are too large")
        return result


def _sizes(program: Program, weights: Kinds, batch: int, refs: list[Ref]) -> _Sizes:
    constants = program.constants
    with FakeTensorMode() as fake, torch.no_grad(), _Sizes() as sizes:
        given = {name: torch.empty(shape, dtype=dtype) for name, (shape, dtype) in weights.items()}
        inputs = {entry.name: torch.empty((batch, *entry.shape), dtype=entry.dtype) for entry in program.inputs}
        if sum(math.prod(entry.shape) for entry in program.inputs) > _MOST_NUMBERS:
            raise ValueError("its inputs are too large")
        sizes.numbers = []
        fakes: dict[str, Any] = {name: fake.from_tensor(tensor) for name, tensor in constants.items()}
        program.constants = fakes
        try:
            found = program.evaluate(refs, given, inputs)
        finally:
            program.constants = constants
    values: list[Any] = found
    if not all(isinstance(value, torch.Tensor) for value in values):
        raise ValueError("a layer is no tensor")
    sizes.shapes = [tuple(value.shape) for value in found]
    return sizes
