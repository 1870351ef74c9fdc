"""What a run holds of a network: its layers, and its forward and its loss as programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import BadProbe
from ..store import Layer, tensors
from ..store.examples import named
from .arrays import array_of, call, tensor_of, tensors_in
from .export import NotExported, Traced, export, inputs_of, reason_of
from .loss import Loss
from .program import Program
from .quiet import replica, undisturbed, weights_of
from .taps import Tapped
from .trust import check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..store import Arrays
    from .arrays import Forward


@dataclass(frozen=True)
class NetworkFiles:
    """The layers, the files of the network by role and their contents; why it could not be stored, if so."""

    layers: tuple[Layer, ...]
    model: dict[str, str]
    files: dict[str, bytes]
    reason: str = ""


def network_files(
    model: nn.Module, inputs: Arrays, targets: Arrays, *, loss: Any = None, forward: Forward | None = None
) -> NetworkFiles:
    """Describe a module, and store its forward and its loss where torch.export can follow them.

    The module, its mode, its hooks and the state of random generators stay as they are. Raises BadProbe where module or
    loss cannot be evaluated on the first examples, and for a loss that has one number for all of them.
    """
    try:
        copy = replica(model)
    except Exception as error:
        why = f"the model cannot be copied, {reason_of(error)}"
        return NetworkFiles((), {"reason": "reason.txt"}, {"reason.txt": why.encode()}, why)
    known = weights_of(copy)
    device = next((tensor.device for tensor in known.values()), torch.device("cpu"))
    examples = {name: tensor.to(device) for name, tensor in first(inputs, known).items()}
    files: dict[str, tuple[str, bytes]] = {}
    reason = ""
    with undisturbed(model):
        try:
            content, constants = export_module(copy, examples, forward)
            program = read_program(content, constants, known)
            outputs = _computed(program, known, examples)
            files |= _program("program", content, constants)
            layers = tuple(tap.layer for tap in program.layers)
        except NotExported as error:
            reason = str(error)
            layers, outputs = _evaluated(model, examples, forward)
            files |= {"inputs": ("inputs.json", json.dumps({"inputs": inputs_of(examples)}).encode())}
            files |= {"reason": ("reason.txt", reason.encode())}
        if loss is not None:
            given = {name: tensor.to(device) for name, tensor in outputs.items()}
            wanted = {name: tensor.to(device) for name, tensor in first(targets, known).items()}
            files |= _loss_files(loss, given, wanted)
    return NetworkFiles(layers, {role: name for role, (name, _) in files.items()}, dict(files.values()), reason)


def first(arrays: Arrays, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Two examples as tensors; what has digits after the point in the precision of the network's weights."""
    found = {name: tensor_of(array[:2]) for name, array in named(arrays).items()}
    dtype = precision(weights)
    return {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in ((name, torch.cat([tensor, tensor])[:2]) for name, tensor in found.items())
    }


def precision(weights: Mapping[str, Tensor]) -> torch.dtype:
    """The dtype of the network's numbers."""
    return next((tensor.dtype for tensor in weights.values() if tensor.is_floating_point()), torch.get_default_dtype())


def export_module(
    copy: nn.Module, examples: Mapping[str, Tensor], forward: Forward | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The program of a module and its constants. Raises NotExported."""
    names = {id(tensor): name for name, tensor in weights_of(copy).items()}
    return export(copy, partial(trace, copy, forward=forward), examples, names)


def read_program(content: Any, constants: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> Program:
    """The program that was just written, read as any other. Raises NotExported where it would be refused."""
    try:
        program = Program(content, {name: tensor.detach().cpu() for name, tensor in constants.items()})
        check(program, {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in weights.items()})
    except Exception as error:
        raise NotExported(str(error)) from error
    content["layers"] = [
        entry for entry in content["layers"] if entry["name"] in {t.layer.name for t in program.layers}
    ]
    content["attention"] = [entry for entry in content["attention"] if entry["name"] in program.attention]
    return program


def trace(module: nn.Module, inputs: Mapping[str, Tensor], forward: Forward | None = None, **exchange: Any) -> Traced:
    """Apply a module: its layers, its outputs by place, each with its values before and after, and its attention.

    `exchange` is what `Tapped` takes.
    """
    with Tapped(module, **exchange) as tapped:
        outputs = tensors_in(call(module, inputs, forward))
    passages = tapped.layers()
    names = {passage.name for passage in passages}
    found: dict[str, tuple[Layer, Tensor, Tensor]] = {}
    for place, tensor in outputs.items():
        maker = next((passage for passage in passages if passage.outcome is tensor), None)
        name = place or "output"
        if len(outputs) == 1 and maker is not None:
            name = maker.name
        elif name in names and (maker is None or maker.name != name):
            name = f"outputs.{name}"
        if maker is not None:
            activation, before = maker.layer.activation, maker.before
        else:
            activation, before = tapped.made_by(tensor) or (None, tensor)
        found[place] = Layer(name, "output", activation=activation), before, tensor
    taps = [(passage.layer, passage.before, passage.activation) for passage in passages]
    return Traced(taps, found, tapped.attention.weights())


def _computed(program: Program, weights: Mapping[str, Tensor], examples: Mapping[str, Tensor]) -> dict[str, Tensor]:
    try:
        with torch.no_grad():
            values = program.evaluate(
                [tap.after for tap in program.outputs.values()],
                {name: tensor.detach().cpu() for name, tensor in weights.items()},
                {name: tensor.cpu() for name, tensor in examples.items()},
            )
    except Exception as error:
        raise NotExported(reason_of(error)) from error
    return dict(zip(program.outputs, values, strict=True))


def _evaluated(
    model: nn.Module, examples: Mapping[str, Tensor], forward: Forward | None
) -> tuple[tuple[Layer, ...], dict[str, Tensor]]:
    """Layers and outputs of one forward on the examples, without torch.export."""
    # A copy of its own: a forward may change weights in place.
    try:
        with torch.no_grad():
            made = trace(replica(model, share=False), examples, forward)
    except Exception as error:
        shapes = ", ".join(f"{name} {tuple(t.shape)} {t.dtype}".lstrip() for name, t in examples.items())
        raise BadProbe(
            f"the model cannot be evaluated on the first examples of the probe, {shapes}: {reason_of(error)}; pass a"
            " probe whose inputs are what its forward takes (several as a list or by name), or say how to call it:"
            " forward=lambda model, inputs: ..."
        ) from error
    count = len(next(iter(examples.values())))
    if not made.outputs or any(tensor.shape[:1] != (count,) for _, _, tensor in made.outputs.values()):
        raise BadProbe("the model's outputs do not have one entry for each example of the probe")
    layers = tuple(layer for layer, before, after in made.taps if before.shape[:1] == after.shape[:1] == (count,))
    return layers, {place: tensor for place, (_, _, tensor) in made.outputs.items()}


def _loss_files(loss: Any, outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> dict[str, tuple[str, bytes]]:
    losses = Loss(loss)
    try:
        with torch.no_grad():
            values = losses(outputs, targets)
    except Exception as error:
        raise BadProbe(
            f"the loss cannot be evaluated on the first examples of the probe: {reason_of(error)}; pass targets as the"
            " loss takes them, or loss=lambda outputs, targets: ... with one number for each example"
        ) from error
    count = len(next(iter(targets.values())))
    if not isinstance(values, Tensor) or values.shape[:1] != (count,):
        found = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        raise BadProbe(
            f"the loss gives {found} for {count} examples; pass one that gives a number for each example, such as"
            ' lambda outputs, targets: cross_entropy(outputs, targets, reduction="none")'
        )

    def evaluate(tensors: Mapping[str, Tensor]) -> Traced:
        parts = {
            kind: {name.removeprefix(f"{kind}/"): t for name, t in tensors.items() if name.startswith(f"{kind}/")}
            for kind in ("outputs", "targets")
        }
        values = losses(parts["outputs"], parts["targets"])
        return Traced([], {"": (Layer("loss", "loss"), values, values)})

    inputs = {f"outputs/{name}": t for name, t in outputs.items()} | {f"targets/{n}": t for n, t in targets.items()}
    try:
        content, constants = export(losses.module or nn.Module(), evaluate, inputs, {})
        read_program(content, constants, {})
        return _program("loss", content, constants)
    except NotExported as error:
        return {"loss_reason": ("loss_reason.txt", str(error).encode())}


def _program(role: str, content: Any, constants: Mapping[str, Tensor]) -> dict[str, tuple[str, bytes]]:
    try:
        text = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
        arrays = tensors.plain({name: array_of(tensor) for name, tensor in constants.items()})
        encoded = b"".join(tensors.encode(arrays, {}))
    except (TypeError, ValueError, KeyError) as error:
        raise NotExported(f"it cannot be written down: {error}") from error
    files = {role: (f"{role}.json", text)}
    return files | ({f"{role}_constants": (f"{role}_constants.safetensors", encoded)} if constants else {})
