"""The network of a run, from the user's own module where torch.export cannot follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import Unsupported
from ..replay.network import Tap
from .arrays import apply, dtype_name
from .describe import trace
from .quiet import loaded, replica, undisturbed, weights_of
from .state import unwrapped
from .taps import is_activation_module

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..store import Manifest
    from .export import Traced
    from .program import Input


class Eager:
    """A network that is evaluated by calling a copy of the user's module, in inference mode."""

    def __init__(self, module: nn.Module, manifest: Manifest, inputs: Sequence[Input]) -> None:
        self.inputs = list(inputs)
        self._module = module
        self._layers = {layer.name: layer for layer in manifest.layers}
        self._holder = _Called(module)
        examples = {entry.name: torch.zeros((2, *entry.shape), dtype=entry.dtype) for entry in inputs}
        with torch.no_grad():
            made = self._trace(weights_of(module), examples)
        self.attention_layers = tuple(name for name, weights in made.attention.items() if len(weights) == 2)
        self.outputs = {place: layer for place, (layer, _, _) in made.outputs.items()}
        self.output_shapes = {place: tuple(tensor.shape[1:]) for place, (_, _, tensor) in made.outputs.items()}
        taps = (*made.taps, *made.outputs.values())
        self._values = sum(before.numel() + after.numel() for _, before, after in taps) // 2

    def values_per_example(self, inputs: Mapping[str, Tensor]) -> int:
        """Numbers that one example takes."""
        return self._values

    def evaluate(
        self,
        weights: Mapping[str, Tensor],
        inputs: Mapping[str, Tensor],
        taps: Sequence[Tap],
        start: str | None = None,
        shifts: Mapping[str, Tensor] | None = None,
    ) -> list[Tensor]:
        """Values at the taps, with one frame's weights."""
        if start is not None:
            # The whole module runs on any input at all, and the layer's activation is exchanged for what is given.
            [value] = inputs.values()
            return self._read(weights, self._any_inputs(len(value), 0), taps, start, value)
        return self._read(weights, inputs, taps, shifts=shifts)

    def decides(
        self, start: str, taps: Sequence[Tap], weights: Mapping[str, Tensor], values: Mapping[str, Tensor]
    ) -> bool:
        """Whether a layer's activations alone seem to decide the values at the taps: other inputs change nothing."""
        [value] = (tensor[:8] for tensor in values.values())
        with torch.no_grad():
            first, second = (
                self._read(weights, self._any_inputs(len(value), number), taps, start, value) for number in (0, 1)
            )
        return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))

    def module(self, weights: Mapping[str, Tensor], trainable: set[str]) -> nn.Module:
        """A copy of the user's module with these weights."""
        return loaded(self._module, weights)

    def _any_inputs(self, count: int, number: int) -> dict[str, Tensor]:
        return {entry.name: torch.full((count, *entry.shape), number, dtype=entry.dtype) for entry in self.inputs}

    def _read(
        self,
        weights: Mapping[str, Tensor],
        inputs: Mapping[str, Tensor],
        taps: Sequence[Tap],
        start: str | None = None,
        value: Tensor | None = None,
        shifts: Mapping[str, Tensor] | None = None,
    ) -> list[Tensor]:
        made = self._trace(weights, inputs, start, value, shifts)
        found: dict[Tap, Tensor] = {Tap(name, "attention"): tensor for name, tensor in made.attention.items()}
        for layer, before, after in (*made.taps, *made.outputs.values()):
            found |= {Tap(layer.name, "pre_activation"): before, Tap(layer.name): after}
        if missing := [tap.layer for tap in taps if tap not in found]:
            raise Unsupported(
                f"the module that was passed does not apply layer {missing[0]!r} to these inputs; it applies"
                f" {', '.join(dict.fromkeys(tap.layer for tap in found))}"
            )
        return [found[tap] for tap in taps]

    def _trace(
        self,
        weights: Mapping[str, Tensor],
        inputs: Mapping[str, Tensor],
        start: str | None = None,
        value: Tensor | None = None,
        shifts: Mapping[str, Tensor] | None = None,
    ) -> Traced:
        layer = self._layers.get(start or "")
        by_function = layer is not None and layer.activation is not None and not is_activation_module(layer.type)
        with undisturbed(self._module):
            named = {f"module.{name}": tensor for name, tensor in weights.items()}

            def functional(_: nn.Module, given: Any) -> Any:
                return torch.func.functional_call(self._holder, named, (given,))

            exchange = {"start": start, "value": value, "by_function": by_function, "shifts": shifts}
            return trace(self._module, inputs, functional, **exchange)


class _Called(nn.Module):
    """A module that takes its inputs as one value."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, given: Any) -> Any:
        return apply(self.module, given)


def copy_of(model: Any, manifest: Manifest) -> nn.Module:
    """A copy of the user's module on the CPU. Raises Unsupported if it is not the recorded network."""
    if not isinstance(model, nn.Module):
        raise Unsupported(f"model= is a {type(model).__name__}; pass the torch module that run {manifest.name!r} is of")
    model = unwrapped(model)
    found = {name: (tuple(t.shape), dtype_name(t.dtype)) for name, t in weights_of(model).items()}
    wanted = {parameter.name: (parameter.shape, parameter.dtype) for parameter in manifest.parameters}
    if found != wanted:
        listed = [
            ", ".join(f"{name} {kind[1]} {kind[0]}" for name, kind in ours.items() if theirs.get(name) != kind)
            for ours, theirs in ((wanted, found), (found, wanted))
        ]
        raise Unsupported(
            f"run {manifest.name!r} was recorded from another model: its weights are {listed[0] or 'fewer'}, where the"
            f" model has {listed[1] or 'none'}; pass a model built as the recorded one was"
        )
    return replica(model, share=False).cpu()
