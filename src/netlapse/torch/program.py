"""A network as a list of torch's own operations, in JSON: replayed without the user's code, and without trust.

A value is made by a node, or is an input, a weight or a constant. In JSON a reference to it is {"node": 3},
{"node": 3, "item": 0}, {"input": "x"}, {"weight": "hidden.weight"} or {"constant": "c0"}; {"batch": 2} is twice the
number of examples, {"dtype": "float32"} a dtype and {"float": "-inf"} a number that JSON does not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor

from ..store import Layer
from ..store.tensors import shape_of
from .operations import operation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Kind = Literal["input", "weight", "constant", "node"]
_KINDS = ("input", "weight", "constant", "node")
_MOST_NODES = 100_000
_DEEPEST = 8
# Arguments that a program does not decide: it is computed on the CPU.
PLACES = frozenset(("device", "layout", "memory_format", "pin_memory"))


@dataclass(frozen=True)
class Ref:
    """A value of the program; `item` is the place in what a node returns, where that is several."""

    kind: Kind
    name: str | int
    item: int | None = None


@dataclass(frozen=True)
class Size:
    """So many times the number of examples."""

    batch: int


@dataclass(frozen=True)
class Input:
    """What is given to the network: the shape of one example, and the dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, entry: Any) -> Input:
        """As it is written in JSON."""
        return cls(str(entry["name"]), shape_of(entry["shape"]), dtype_of(entry["dtype"]))


@dataclass(frozen=True)
class Node:
    """One operation and its arguments, which hold references."""

    op: Any
    args: list[Any]
    kwargs: dict[str, Any]


@dataclass(frozen=True)
class Tapped:
    """Where a layer, or an output, has its values before and after its activation function."""

    layer: Layer
    before: Ref
    after: Ref


class Program:
    """Values of a network, computed as they are asked for.

    `outputs` are by their places in what the module returned, as `arrays.tensors_in` names them.
    """

    def __init__(self, content: Any, constants: Mapping[str, Tensor]) -> None:
        """Read a program. Raises ValueError, TypeError, KeyError or AttributeError for what is none."""
        self.constants = dict(constants)
        self.inputs = [Input.of(entry) for entry in content["inputs"]]
        if len(content["nodes"]) > _MOST_NODES:
            raise ValueError(f"it has more than {_MOST_NODES:,} nodes")
        self.nodes: list[Node] = []
        for entry in content["nodes"]:
            args = [self._value(value) for value in entry["args"]]
            kwargs = {str(name): self._value(value) for name, value in entry.get("kwargs", {}).items()}
            if not PLACES.isdisjoint(kwargs):
                raise ValueError("it says where values lie")
            self.nodes.append(Node(operation(entry["op"]), args, kwargs))
        self.layers = [self._tapped(entry) for entry in content["layers"]]
        self.outputs = {str(entry["place"]): self._tapped(entry) for entry in content["outputs"]}
        # Attention weights by layer; runs of earlier days have none.
        self.attention = {str(entry["name"]): self._ref(entry["value"]) for entry in content.get("attention", [])}
        if not self.inputs or not self.outputs:
            raise ValueError("it has no inputs or no outputs")
        # Found when it is checked: numbers that one example takes, and the shapes of one example's outputs.
        self.values_per_example = 0
        self.output_shapes: dict[str, tuple[int, ...]] = {}
        self.weights = {ref.name for node in self.nodes for ref in refs_in([node.args, node.kwargs], "weight")}
        self._needed = cache(self._find_needed)

    def _tapped(self, entry: dict[str, Any]) -> Tapped:
        layer = Layer(str(entry["name"]), str(entry["type"]), entry.get("units"), entry.get("activation"))
        return Tapped(layer, self._ref(entry["before"]), self._ref(entry["after"]))

    def _ref(self, entry: Any) -> Ref:
        value = self._value(entry)
        if not isinstance(value, Ref):
            raise TypeError("a tap is no value")
        return value

    def _value(self, entry: Any, depth: int = 0) -> Any:
        """An argument as operations take it, with references. They lead to what is computed before, so never round."""
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        if entry is None or isinstance(entry, bool | str | float):
            return entry
        if isinstance(entry, int):
            return _count(entry)
        if isinstance(entry, list):
            return [self._value(part, depth + 1) for part in cast("list[Any]", entry)]
        [(kind, value), *more] = cast("dict[str, Any]", entry).items() or [("", None)]
        if kind == "batch":
            return Size(_count(value))
        if kind == "dtype":
            return dtype_of(value)
        if kind == "float":
            return float(str(value))
        if kind == "node":
            if type(value) is not int or not 0 <= value < len(self.nodes):
                raise ValueError("a node refers to one that does not come before it")
            item = dict(more).get("item")
            return Ref("node", value, None if item is None else _count(item))
        known = {"input": [entry.name for entry in self.inputs], "constant": list(self.constants)}
        if kind == "weight" or value in known.get(kind, []):
            return Ref(cast("Kind", kind), str(value))
        raise ValueError(f"{str(entry)[:80]} is no value")

    def evaluate(
        self,
        wanted: Sequence[Ref],
        weights: Mapping[str, Tensor],
        inputs: Mapping[str, Tensor],
        start: Ref | None = None,
        shifts: Mapping[Ref, Tensor] | None = None,
    ) -> list[Tensor]:
        """These values of the inputs; with `start`, of the only one as that value. `shifts` are added to values."""
        known: dict[Ref, Any] = {Ref("weight", name): tensor for name, tensor in weights.items()}
        known |= {Ref("constant", name): tensor for name, tensor in self.constants.items()}
        known |= {start or Ref("input", name): tensor for name, tensor in inputs.items()}
        batch = len(next(iter(inputs.values())))
        shifts = shifts or {}
        for ref in shifts.keys() & known.keys():
            known[ref] = known[ref] + shifts[ref]

        def fill(entry: Any) -> Any:
            if isinstance(entry, Ref):
                return known[entry] if entry in known else known[Ref(entry.kind, entry.name)][entry.item]
            if isinstance(entry, Size):
                return entry.batch * batch
            if isinstance(entry, list):
                return [fill(part) for part in cast("list[Any]", entry)]
            return entry

        for number in self._needed(tuple(wanted), start):
            node = self.nodes[number]
            kwargs = {name: fill(value) for name, value in node.kwargs.items()}
            made = known[Ref("node", number)] = node.op(*fill(node.args), **kwargs)
            for ref in (ref for ref in shifts if (ref.kind, ref.name) == ("node", number)):
                known[ref] = (made if ref.item is None else made[ref.item]) + shifts[ref]
        return [fill(ref) for ref in wanted]

    def decides(self, start: Ref, wanted: tuple[Ref, ...]) -> bool:
        """Whether this value alone decides those, so that no input is needed."""
        if any(ref.kind == "input" and ref != start for ref in wanted):
            return False
        nodes = (self.nodes[number] for number in self._needed(wanted, start))
        return not any(ref != start for node in nodes for ref in refs_in([node.args, node.kwargs], "input"))

    def _find_needed(self, wanted: tuple[Ref, ...], start: Ref | None) -> list[int]:
        """Numbers of the nodes that these values need, in order."""
        found, waiting = set[int](), list(wanted)
        while waiting:
            ref = waiting.pop()
            if ref == start:
                continue
            if ref.kind == "node" and ref.name not in found:
                node = self.nodes[cast("int", ref.name)]
                found.add(cast("int", ref.name))
                waiting += refs_in([node.args, node.kwargs])
        return sorted(found)


def refs_in(entry: Any, kind: Kind | None = None) -> list[Ref]:
    """All references in arguments, or those of a kind."""
    if isinstance(entry, Ref):
        return [entry] if kind in (None, entry.kind) else []
    parts: Any = list(cast("dict[Any, Any]", entry).values()) if isinstance(entry, dict) else entry
    if not isinstance(parts, list):
        return []
    return [ref for part in cast("list[Any]", parts) for ref in refs_in(part, kind)]


def dtype_of(name: Any) -> torch.dtype:
    """A dtype by its name."""
    found = vars(torch).get(name) if isinstance(name, str) else None
    if not isinstance(found, torch.dtype):
        raise ValueError(f"{str(name)[:40]!r} is no dtype")
    return found


def _count(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ValueError("a number is no count")
    return value
