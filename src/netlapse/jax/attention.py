"""Attention in a traced function: a softmax over the last axis that something is multiplied with and summed over."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .program import VIEWS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .layers import Found
    from .program import Operation, Program


def find_attention(program: Program, layers: Iterable[Found]) -> dict[str, int]:
    """The numbers of attention weights, (..., query, key), by name.

    They are named after what the layers that make queries and keys have in common: "block/MultiHead_0" for
    "block/MultiHead_0/query" and ".../key"; "attention" where that is nothing. Of the same name they are numbered.
    """
    ends = {number: layer.name for layer in layers for number in (layer.pre_activation, layer.activation)}
    weights = [operation for operation in program.operations if _is_softmax(program, operation)]
    numbers = [operation.outputs[0] for operation in weights if _weighs(program, operation.outputs[0])]
    names = [_common(_nearest(program, number, ends)) or "attention" for number in numbers]
    times, seen, found = Counter(names), Counter[str](), dict[str, int]()
    for name, number in zip(names, numbers, strict=True):
        seen[name] += 1
        found[name if times[name] == 1 else f"{name}@{seen[name]}"] = number
    return found


def _is_softmax(program: Program, operation: Operation) -> bool:
    """Whether it divides exponentials by their sum over the last axis."""
    if operation.name != "div":
        return False
    above, below = (_origin(program, number) for number in operation.inputs)
    if above is None or below is None or (above.name, below.name) != ("exp", "reduce_sum"):
        return False
    last = len(program.avals[below.inputs[0]].shape) - 1
    return _origin(program, below.inputs[0]) is above and tuple(below.equation.params["axes"]) == (last,)


def _origin(program: Program, number: int) -> Operation | None:
    """The operation that makes a value, whatever its shape and precision."""
    while number in program.made_by:
        operation = program.operations[program.made_by[number]]
        if operation.name not in VIEWS:
            return operation
        number = operation.inputs[0]
    return None


def _weighs(program: Program, number: int) -> bool:
    """Whether a product sums over the last axis of a value."""
    last = len(program.avals[number].shape) - 1
    same = {number}
    for operation in program.operations[program.made_by[number] + 1 :]:
        places = [place for place, given in enumerate(operation.inputs) if given in same]
        if places and operation.name in ("convert_element_type", "copy", "stop_gradient"):
            same.update(operation.outputs)
        elif places and operation.name == "dot_general":
            contracted, _ = operation.equation.params["dimension_numbers"]
            return any(tuple(contracted[place]) == (last,) for place in places)
    return False


def _nearest(program: Program, number: int, ends: dict[int, str]) -> set[str]:
    """The layers whose values a value is made of, without those before them."""
    found, waiting, seen = set[str](), [number], set[int]()
    while waiting:
        one = waiting.pop()
        if one in ends:
            found.add(ends[one].partition("@")[0])
        elif one in program.made_by and one not in seen:
            waiting += program.operations[program.made_by[one]].inputs
        seen.add(one)
    return found


def _common(paths: set[str]) -> str:
    """The path that all are in."""
    parents = [path.split("/")[:-1] for path in sorted(paths)]
    shared: list[str] = []
    for parts in zip(*parents, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return "/".join(shared)
