"""The network of a run, from the program that the run holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from ..errors import Unsupported
from ..store import tensors
from .arrays import assembled, fitting, tensor_of
from .program import Program, dtype_of
from .quiet import loaded
from .trust import check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..replay.network import Tap
    from ..store import Manifest
    from .program import Ref


def read_stored(role: str, manifest: Manifest, read: Callable[[str], bytes]) -> Program:
    """The program that a run has in this role. Raises Unsupported for one that is not to be trusted."""
    key = f"{role}_constants"
    # Whatever a stranger may have written: torch raises errors of many kinds at it.
    try:
        constants = tensors.decode(read(key)) if key in manifest.model else {}
        program = Program(json.loads(read(role)), {name: tensor_of(array) for name, array in constants.items()})
        weights = manifest.parameters if role == "program" else ()
        check(program, {entry.name: (entry.shape, dtype_of(entry.dtype)) for entry in weights})
    except Exception as error:
        what, how = ("network", "model=your_module") if role == "program" else ("loss", "loss=your_loss")
        raise Unsupported(
            f"run {manifest.name!r} holds a {what} that cannot be replayed ({str(error)[:300]}); pass it:"
            f" netlapse.open(path, {how})"
        ) from error
    return program


class Stored:
    """A network that is evaluated as its program says. `own` is the user's module, where it is of one."""

    def __init__(self, program: Program, own: nn.Module | None = None) -> None:
        self.inputs = program.inputs
        self.outputs = {place: tap.layer for place, tap in program.outputs.items()}
        self.output_shapes = program.output_shapes
        self.attention_layers = tuple(program.attention)
        self._program, self._own = program, own
        self._taps = {tap.layer.name: tap for tap in (*program.outputs.values(), *program.layers)}

    def values_per_example(self, inputs: Mapping[str, Tensor]) -> int:
        """Numbers that one example takes."""
        return self._program.values_per_example

    def evaluate(
        self,
        weights: Mapping[str, Tensor],
        inputs: Mapping[str, Tensor],
        taps: Sequence[Tap],
        start: str | None = None,
        shifts: Mapping[str, Tensor] | None = None,
    ) -> list[Tensor]:
        """Values at the taps, with one frame's weights."""
        first = None if start is None else self._ref(start)
        by_ref: dict[Ref, Tensor] = {}
        for layer, shift in (shifts or {}).items():
            # A module and the last one that it applies have the same values.
            ref = self._ref(layer, "pre_activation")
            by_ref[ref] = by_ref[ref] + shift if ref in by_ref else shift
        wanted = [self._ref(tap.layer, tap.moment) for tap in taps]
        return self._program.evaluate(wanted, weights, inputs, first, by_ref)

    def decides(
        self, start: str, taps: Sequence[Tap], weights: Mapping[str, Tensor], values: Mapping[str, Tensor]
    ) -> bool:
        """Whether the activations of a layer alone decide the values at the taps."""
        return self._program.decides(self._ref(start), tuple(self._ref(tap.layer, tap.moment) for tap in taps))

    def module(self, weights: Mapping[str, Tensor], trainable: set[str]) -> nn.Module:
        """A module of its own with these weights."""
        if self._own is not None:
            return loaded(self._own, weights)
        return StoredModule(self._program, weights, trainable)

    def _ref(self, layer: str, moment: str = "activation") -> Ref:
        if moment == "attention":
            return self._program.attention[layer]
        if layer not in self._taps:
            raise Unsupported(f"the network of this run has no values of layer {layer!r}; choose another layer")
        tap = self._taps[layer]
        return tap.before if moment == "pre_activation" else tap.after


class StoredLoss:
    """A loss that is evaluated as its program says."""

    def __init__(self, program: Program) -> None:
        self._program = program
        # By name, in the order in which they are given.
        self.targets = {
            entry.name.removeprefix("targets/"): entry for entry in program.inputs if entry.name.startswith("targets/")
        }

    def __call__(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        """Loss of each example, or of each of its places; NaN where it does not count."""
        given = [*outputs.values(), *targets.values()]
        inputs = {
            entry.name: fitting(tensor.reshape((len(tensor), *entry.shape)), entry.dtype)
            for entry, tensor in zip(self._program.inputs, given, strict=True)
        }
        return self._program.evaluate([tap.after for tap in self._program.outputs.values()], {}, inputs)[0]


class StoredModule(nn.Module):
    """The network of a run as a module. It has the run's weights under their names, and none of the user's classes."""

    def __init__(self, program: Program, weights: Mapping[str, Tensor], trainable: set[str]) -> None:
        super().__init__()
        self._program = program
        for name, tensor in weights.items():
            *path, last = name.split(".")
            holder: Any = self
            for part in path:
                if part not in holder._modules:
                    holder.add_module(part, nn.Module())
                holder = holder._modules[part]
            if name in trainable:
                holder.register_parameter(last, nn.Parameter(tensor))
            else:
                holder.register_buffer(last, tensor)

    def forward(self, *args: Tensor, **kwargs: Tensor) -> Any:
        """The outputs, of inputs by place or by name."""
        names = [entry.name for entry in self._program.inputs]
        inputs = {**dict(zip(names, args, strict=False)), **kwargs}
        refs = [tap.after for tap in self._program.outputs.values()]
        values = self._program.evaluate(refs, self.state_dict(keep_vars=True), inputs)
        return assembled(dict(zip(self._program.outputs, values, strict=True)))
