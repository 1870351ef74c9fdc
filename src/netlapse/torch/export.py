"""A module, as torch.export sees it, made a program in JSON."""

from __future__ import annotations

import math
import operator
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch._decomp import core_aten_decompositions

from ..store import Layer
from .arrays import dtype_name
from .operations import allowed
from .program import PLACES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch.fx import Node

# One tap: the layer, and its values before and after its activation function.
Taps = list[tuple[Layer, Tensor, Tensor]]


@dataclass(frozen=True)
class Traced:
    """What is evaluated, of tensors by name: its taps, its outputs by place, likewise, and its attention by layer."""

    taps: Taps
    outputs: dict[str, tuple[Layer, Tensor, Tensor]]
    attention: dict[str, Tensor] = field(default_factory=dict[str, "Tensor"])


# Operations that only choose how numbers lie in memory. A program's values have one layout, so that they are left out.
_SAME = ("clone", "alias", "lift_fresh_copy", "contiguous", "dropout", "feature_dropout")


class NotExported(Exception):
    """The network cannot be stored as a program; the message says why."""


def export(
    module: nn.Module,
    evaluate: Callable[[Mapping[str, Tensor]], Traced],
    inputs: Mapping[str, Tensor],
    names: Mapping[int, str],
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The program of what `evaluate` makes of the inputs with this module, and its constants.

    `names` are those of the recorded weights, by identity of the tensor: all other tensors are constants.
    Raises NotExported.
    """
    traced: list[Traced] = []

    class Evaluated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, tensors: list[Tensor]) -> tuple[Tensor, ...]:
            traced.append(evaluate(dict(zip(inputs, tensors, strict=True))))
            made = traced[-1]
            values = (tensor for tap in (*made.taps, *made.outputs.values()) for tensor in tap[1:])
            return (*values, *made.attention.values())

    root = Evaluated()
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings(action="ignore"):  # torch's about its own classes, and about how it traces
        try:
            exported = torch.export.export(
                root, (list(inputs.values()),), dynamic_shapes=([{0: batch} for _ in inputs],), strict=False
            )
            # In-place operations become functions. What torch has one operation for stays one, so that it is fast.
            plain = exported.run_decompositions({})
            if others := {node.target for node in plain.graph.nodes if not _is_allowed(node)}:
                known: Any = getattr(torch.export, "default_decompositions", core_aten_decompositions)()
                plain = exported.run_decompositions({target: known[target] for target in others if target in known})
        # torch.export raises errors of many kinds.
        except Exception as error:
            raise NotExported(reason_of(error)) from error
    held = {**dict(root.named_parameters(remove_duplicate=False)), **dict(root.named_buffers(remove_duplicate=False))}
    graph = _Graph(plain, held, names, inputs)
    made, values = traced[-1], iter(graph.results)
    content: dict[str, Any] = {
        "format": 1,
        "inputs": inputs_of(inputs),
        "nodes": graph.nodes,
        "layers": [_tap(tap[0], next(values), next(values)) for tap in made.taps],
        "outputs": [
            {"place": place, **_tap(tap[0], next(values), next(values))} for place, tap in made.outputs.items()
        ],
        "attention": [{"name": name, "value": next(values)} for name in made.attention],
    }
    return content, graph.constants


def inputs_of(inputs: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """What is given to the network, as JSON."""
    return [
        {"name": name, "shape": list(tensor.shape[1:]), "dtype": dtype_name(tensor.dtype)}
        for name, tensor in inputs.items()
    ]


def _tap(layer: Layer, before: Any, after: Any) -> dict[str, Any]:
    return {
        "name": layer.name,
        "type": layer.type,
        "units": layer.units,
        "activation": layer.activation,
        "before": before,
        "after": after,
    }


def reason_of(error: BaseException) -> str:
    """torch's own words, without those that are for its developers."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'without a message'}"[:300]


def _is_allowed(node: Node) -> bool:
    return node.op != "call_function" or not hasattr(node.target, "_schema") or _is_size(node) or _allowed(node)


def _allowed(node: Node) -> bool:
    target: Any = node.target
    return _base(target) in (*_SAME, "view", "_unsafe_view") or not node.users or allowed(target)


def _is_size(node: Node) -> bool:
    return isinstance(node.meta.get("val"), torch.SymInt | int)


def _base(target: Any) -> str:
    return str(getattr(target, "_schema", None) and target._schema.name).removeprefix("aten::")


class _Graph:
    """The nodes that the results need, as JSON."""

    def __init__(
        self, exported: Any, held: Mapping[str, Tensor], names: Mapping[int, str], inputs: Mapping[str, Tensor]
    ) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.constants: dict[str, Tensor] = {}
        self._refs: dict[Node, Any] = {}
        self._names: dict[int, str] = dict(names)
        self._needed = self._find_needed(exported)
        given = iter(inputs)
        placeholders = {node.name: node for node in exported.graph.nodes if node.op == "placeholder"}
        for spec in exported.graph_signature.input_specs:
            kind, node = spec.kind.name, placeholders.get(getattr(spec.arg, "name", ""))
            if node is None:
                continue
            if kind == "USER_INPUT":
                self._refs[node] = {"input": next(given)}
            elif kind in ("PARAMETER", "BUFFER", "CONSTANT_TENSOR"):
                tensor = held.get(spec.target)
                tensor = exported.constants[spec.target] if tensor is None else tensor
                if node in self._needed:
                    self._refs[node] = self._held(tensor)
        for node in exported.graph.nodes:
            if node in self._needed and node.op == "call_function":
                self._add(node)
        [output] = [node for node in exported.graph.nodes if node.op == "output"]
        kept = [spec.kind.name == "USER_OUTPUT" for spec in exported.graph_signature.output_specs]
        values = cast("Sequence[Any]", output.args[0])
        self.results = [self._value(value) for value, keep in zip(values, kept, strict=True) if keep]

    def _held(self, tensor: Tensor) -> dict[str, str]:
        if id(tensor) in self._names:
            return {"weight": self._names[id(tensor)]}
        key = next((name for name, known in self.constants.items() if known is tensor), f"c{len(self.constants)}")
        self.constants[key] = tensor
        return {"constant": key}

    def _find_needed(self, exported: Any) -> set[Node]:
        specs = exported.graph_signature.output_specs
        [output] = [node for node in exported.graph.nodes if node.op == "output"]
        values = zip(cast("Sequence[Any]", output.args[0]), specs, strict=True)
        waiting: list[Any] = [value for value, spec in values if spec.kind.name == "USER_OUTPUT"]
        found = set[Any]()
        while waiting:
            node = waiting.pop()
            if node not in found and hasattr(node, "all_input_nodes"):
                found.add(node)
                # Sizes are written out where they are used.
                waiting += [] if _is_size(node) else node.all_input_nodes
        return found

    def _add(self, node: Node) -> None:
        if _is_size(node):
            return
        if node.target is operator.getitem:
            source, item = cast("tuple[Node, int]", node.args)
            if "item" in self._refs[source] or "node" not in self._refs[source]:
                raise NotExported("it takes parts of parts")
            self._refs[node] = {**self._refs[source], "item": item}
            return
        if _base(node.target) in _SAME:
            self._refs[node] = self._value(node.args[0])
            return
        if not hasattr(node.target, "_schema") or not _allowed(node):
            raise NotExported(f"it needs {node.target}, which a run does not hold")
        # Whatever the layout of its argument.
        name = str(node.target).replace("aten._unsafe_view.", "aten.view.").replace("aten.view.", "aten.reshape.")
        entry: dict[str, Any] = {"op": name, "args": [self._value(argument) for argument in node.args]}
        kwargs = {key: self._value(value) for key, value in node.kwargs.items() if key not in PLACES}
        self.nodes.append({**entry, "kwargs": kwargs} if kwargs else entry)
        self._refs[node] = {"node": len(self.nodes) - 1}

    def _value(self, value: Any) -> Any:
        if isinstance(value, torch.fx.Node):
            if value in self._refs:
                return self._refs[value]
            if _is_size(value):
                return _size(value.meta["val"])
            raise NotExported(f"it needs the value {value.name}, which is no tensor")
        if isinstance(value, list | tuple):
            return [self._value(part) for part in cast("list[Any]", value)]
        if isinstance(value, torch.dtype):
            return {"dtype": dtype_name(value)}
        if isinstance(value, float) and not math.isfinite(value):
            return {"float": str(value)}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise NotExported(f"it needs a {type(value).__name__} as an argument")


def _size(value: Any) -> Any:
    """A size that is the same for every batch, or so many times the batch."""
    if isinstance(value, int):
        return value
    expression: Any = value.node.expr
    symbols = list(expression.free_symbols)
    if not symbols:
        return int(expression)
    times: Any = expression / symbols[0]
    if len(symbols) != 1 or not times.is_Integer:
        raise NotExported("it has sizes that are not so many times the number of examples")
    return {"batch": int(times)}
