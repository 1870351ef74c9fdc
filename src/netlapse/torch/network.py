"""A torch module as a `Network`: evaluated for many frames at once."""

from __future__ import annotations

import json
import math
from functools import cache, cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..errors import NetlapseError, UnknownName, Unsupported
from ..replay.binary import accuracy
from ..replay.link import LINKS, link_of
from ..replay.network import Head, Tap, in_order
from ..store.examples import named
from .arrays import array_of, fitting, tensor_of
from .describe import export_module, precision, read_program
from .eager import Eager, copy_of
from .export import NotExported, reason_of
from .loss import Loss
from .over_frames import over_frames
from .program import Input, dtype_of
from .quiet import undisturbed, weights_of
from .stored import Stored, StoredLoss, read_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ..replay.link import Losses
    from ..replay.network import Shape, StackedWeights
    from ..store import Arrays, Layer, Manifest

    Tensors = Mapping[str, Tensor]


class OneFrame(Protocol):
    """A network with the weights of one frame."""

    inputs: list[Input]
    # By their places in what the module returns: their layers, and the shapes of one example.
    outputs: dict[str, Layer]
    output_shapes: dict[str, tuple[int, ...]]
    attention_layers: tuple[str, ...]

    def values_per_example(self, inputs: Tensors) -> int:
        """Numbers that one example takes."""
        ...

    def evaluate(
        self,
        weights: Tensors,
        inputs: Tensors,
        taps: Sequence[Tap],
        start: str | None = None,
        shifts: Tensors | None = None,
    ) -> list[Tensor]:
        """Values at the taps; with `start`, of the activations of that layer. `shifts` are added to pre-activations."""
        ...

    def decides(self, start: str, taps: Sequence[Tap], weights: Tensors, values: Tensors) -> bool:
        """Whether the activations of a layer alone decide the values at the taps."""
        ...

    def module(self, weights: Tensors, trainable: set[str]) -> nn.Module:
        """A module with these weights."""
        ...


class TorchNetwork:
    """The network of a run, on the CPU. The weights of each frame are passed in at every call."""

    def __init__(
        self, manifest: Manifest, network: OneFrame, loss: Callable[..., Any] | None, no_loss: str = ""
    ) -> None:
        self._manifest, self._run, self._network = manifest, manifest.name, network
        self._loss, self._no_loss = loss, no_loss
        self._dtypes = {entry.name: dtype_of(entry.dtype) for entry in manifest.parameters}
        self._trainable = {entry.name for entry in manifest.parameters if entry.trainable}
        self._compiled = lru_cache(100)(self._compile)
        self.head = cache(self._head)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names under which the outputs are tapped."""
        return tuple(layer.name for layer in self._network.outputs.values())

    @property
    def input_shapes(self) -> Mapping[str, Shape] | None:
        """Shape of one example by input."""
        inputs = self._network.inputs
        return {entry.name if len(inputs) > 1 else "": entry.shape for entry in inputs}

    def values_per_example(self, inputs: Arrays) -> int:
        """Numbers held for one example of one frame."""
        return max(1, self._network.values_per_example(self._inputs(inputs)))

    def _head(self, output: str) -> Head:
        """What a final sigmoid or softmax is given; else the output itself, as the loss takes it."""
        place, layer = next(entry for entry in self._network.outputs.items() if entry[1].name == output)
        shape = self._network.output_shapes[place]
        link = LINKS.get(layer.activation or "")
        # Over which axis a softmax goes is known where there is but one.
        if link == "sigmoid" or (link == "softmax" and len(shape) == 1):
            return Head(Tap(output, "pre_activation"), link)
        link, log = link_of(self._losses_of(place), shape)
        return Head(Tap(output), link, log)

    def _losses_of(self, place: str) -> Losses | None:
        """The loss as one of a single output, whatever the others are; None if it is not known which target is its."""
        loss, shapes = self._loss, self._network.output_shapes
        if loss is None:
            return None
        targets = loss.targets if isinstance(loss, StoredLoss) else {"": None}
        own = dict(zip(shapes, in_order({name: name for name in targets}, list(shapes)), strict=True))[place]
        if own is None:
            return None

        def losses(values: NDArray[Any], wanted: NDArray[Any]) -> Any:
            # In the middle of what others may be, probabilities or not.
            given = {name: torch.full((len(values), *shape), 0.5) for name, shape in shapes.items()}
            of_others = {
                name: torch.zeros((len(values), *entry.shape), dtype=entry.dtype)
                for name, entry in targets.items()
                if entry is not None
            }
            found = loss(
                {name: tensor.to(self._precision) for name, tensor in {**given, place: tensor_of(values)}.items()},
                {**of_others, own: tensor_of(wanted)},
            )
            return array_of(found.float())

        return losses

    def targets_of(self, targets: Arrays) -> list[NDArray[Any] | None]:
        """The targets in the order of the outputs, by their places in what the module returns."""
        return in_order(named(targets), list(self._network.outputs))

    @property
    def attention_layers(self) -> tuple[str, ...]:
        """Modules in which attention was seen."""
        return self._network.attention_layers

    def forward(
        self, weights: StackedWeights, inputs: Arrays, taps: Sequence[Tap], start: str | None = None
    ) -> list[NDArray[Any]]:
        """Values at each tap, (frame, example, ...)."""
        stacked = self._weights(weights)
        if start is None:
            given = self._inputs(inputs)
        else:
            [values] = named(inputs).values()
            given = {"": fitting(tensor_of(values), self._precision)}
            one = {name: tensor[0] for name, tensor in stacked.items()}
            if not self._evaluated(self._network.decides, start, tuple(taps), one, given):
                raise Unsupported(
                    f"run {self._run!r} has connections that go round layer {start!r}, so that its activations alone do"
                    " not decide the output; choose a layer that everything passes through"
                )
        return self._arrays(self._compiled("forward", tuple(taps), start), stacked, given)

    def losses(self, weights: StackedWeights, inputs: Arrays, targets: Arrays) -> NDArray[Any]:
        """Loss of each example, (frame, example)."""
        return self._of_losses("losses", weights, inputs, targets)

    def token_losses(self, weights: StackedWeights, inputs: Arrays, targets: Arrays) -> NDArray[Any]:
        """Loss of each place of each example, (frame, example, place ...)."""
        found = self._of_losses("token_losses", weights, inputs, targets)
        if found.ndim == 2:
            raise Unsupported(f"the loss of run {self._run!r} has one number for each example; ask for `losses`")
        return found

    def gradients(self, weights: StackedWeights, inputs: Arrays, targets: Arrays) -> dict[str, NDArray[Any]]:
        """Gradient of the mean loss by trainable parameter."""
        return self._of_losses("gradients", weights, inputs, targets) if self._trainable else {}

    def layer_gradients(
        self, weights: StackedWeights, inputs: Arrays, targets: Arrays, layers: Sequence[str]
    ) -> list[NDArray[Any]]:
        """Gradient of each example's loss by the pre-activations of layers, (frame, example, ...)."""
        taps = tuple(Tap(layer, "pre_activation") for layer in layers)
        return self._of_losses("layer_gradients", weights, inputs, targets, taps)

    def metric(self, name: str, outputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float64]:
        """Accuracy, frame by frame."""
        if name not in ("accuracy", "acc"):
            raise UnknownName(
                f'torch has no metric {name!r}; ask for "accuracy", or pass a function of outputs and targets;'
                " `recorded` has what was logged in training"
            )
        return accuracy(outputs, targets, logits=self.head(self.outputs[0]).is_logit)

    def model(self, weights: Mapping[str, NDArray[Any]]) -> nn.Module:
        """A module with these weights, in inference mode: the user's own where it was passed."""
        own = {name: tensor.clone() for name, tensor in self._weights(weights).items()}
        return self._evaluated(self._network.module, own, self._trainable).eval()

    @cached_property
    def _precision(self) -> torch.dtype:
        return precision({name: torch.empty(0, dtype=dtype) for name, dtype in self._dtypes.items()})

    def _weights(self, weights: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
        return {name: tensor_of(array).to(self._dtypes[name]) for name, array in weights.items()}

    def _inputs(self, inputs: Arrays) -> dict[str, Tensor]:
        arrays = named(inputs)
        entries = self._network.inputs
        # By name where the names are the network's, else by place.
        if arrays.keys() != {entry.name for entry in entries}:
            arrays = dict(zip([entry.name for entry in entries], arrays.values(), strict=True))
        return {entry.name: fitting(tensor_of(arrays[entry.name]), entry.dtype) for entry in entries}

    def _targets(self, targets: Arrays) -> dict[str, Tensor]:
        found = {name: tensor_of(array) for name, array in named(targets).items()}
        return {
            name: tensor.to(self._precision) if tensor.is_floating_point() else tensor for name, tensor in found.items()
        }

    def _of_losses(
        self, what: str, weights: StackedWeights, inputs: Arrays, targets: Arrays, taps: tuple[Tap, ...] = ()
    ) -> Any:
        if self._loss is None:
            raise Unsupported(
                f"run {self._run!r} holds no loss ({self._no_loss}); pass one: netlapse.open(path, loss=...), such as"
                " nn.CrossEntropyLoss() or a function of outputs and targets"
            )
        given, wanted = self._inputs(inputs), self._targets(targets)
        return self._arrays(self._compiled(what, taps), self._weights(weights), given, wanted)

    def _arrays(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return pytree.tree_map(_at_least_single, self._evaluated(function, *arguments))

    def _evaluated(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Turn whatever torch says about examples that the network or its loss do not take into one error."""
        try:
            return function(*arguments)
        except NetlapseError:
            raise
        except Exception as error:
            raise Unsupported(
                f"torch cannot evaluate run {self._run!r} on these examples: {reason_of(error)}; pass others"
            ) from error

    def _compile(self, what: str, taps: tuple[Tap, ...] = (), start: str | None = None) -> Callable[..., Any]:
        """A function of stacked weights and tensors, vectorised over frames."""
        if what == "forward":
            return over_frames(partial(self._network.evaluate, taps=taps, start=start))
        if what == "losses":
            return over_frames(lambda *tensors: _mean_of_places(*self._place_losses(*tensors)))
        if what == "token_losses":
            return over_frames(lambda *tensors: _marked(*self._place_losses(*tensors)))
        if what == "layer_gradients":
            return over_frames(partial(self._layer_gradients, taps))

        def mean_loss(free: Tensors, fixed: Tensors, inputs: Tensors, targets: Tensors) -> tuple[Tensor, Tensor]:
            values, broken = self._place_losses({**fixed, **free}, inputs, targets)
            losses = _mean_of_places(values, torch.zeros_like(broken))
            return _mean(losses, 0), broken.any()

        def gradients(weights: Tensors, inputs: Tensors, targets: Tensors) -> dict[str, Tensor]:
            free = {name: tensor for name, tensor in weights.items() if name in self._trainable}
            fixed = {name: tensor for name, tensor in weights.items() if name not in free}
            found, broken = torch.func.grad(mean_loss, has_aux=True)(free, fixed, inputs, targets)
            return {name: torch.where(broken, math.nan, part) for name, part in found.items()}

        return over_frames(gradients)

    def _layer_gradients(
        self, taps: Sequence[Tap], weights: Tensors, inputs: Tensors, targets: Tensors
    ) -> list[Tensor]:
        """By what is added to the pre-activations: nothing, but the loss depends on it."""
        nothing = {
            # One number, whatever the shape.
            tap.layer: torch.zeros((), dtype=z.dtype if z.is_floating_point() else None).expand(z.shape)
            for tap, z in zip(taps, self._network.evaluate(weights, inputs, taps), strict=True)
        }

        def total_loss(shifts: Tensors) -> tuple[Tensor, Tensor]:
            values, broken = self._place_losses(weights, inputs, targets, shifts)
            losses = _mean_of_places(values, torch.zeros_like(broken))
            return losses.sum(), broken | losses.isnan()

        found, broken = torch.func.grad(total_loss, has_aux=True)(nothing)
        return [_marked(found.pop(tap.layer), broken) for tap in taps]

    def _place_losses(
        self, weights: Tensors, inputs: Tensors, targets: Tensors, shifts: Tensors | None = None
    ) -> tuple[Tensor, Tensor]:
        """Losses by place, NaN where they do not count, and which examples have an output that is no number."""
        assert self._loss is not None
        names = [Tap(layer.name) for layer in self._network.outputs.values()]
        values = self._network.evaluate(weights, inputs, names, shifts=shifts)
        outputs = dict(zip(self._network.outputs, values, strict=True))
        count = len(next(iter(outputs.values())))
        broken = torch.stack([tensor.isnan().reshape(count, -1).any(1) for tensor in outputs.values()]).any(0)
        # torch refuses to compute the loss of what is no number.
        sound = {place: torch.where(tensor.isnan(), 0, tensor) for place, tensor in outputs.items()}
        values: Any = self._loss(sound, targets)
        if not isinstance(values, Tensor) or values.shape[:1] != (count,):
            raise Unsupported(
                f"the loss of run {self._run!r} is one number for a whole batch; pass one that returns a number for"
                " each example: netlapse.open(path, loss=...)"
            )
        return values, broken


def _mean_of_places(values: Tensor, broken: Tensor) -> Tensor:
    return _marked(_mean(values.reshape(len(values), -1), 1), broken)


def _mean(values: Tensor, axis: int) -> Tensor:
    """The mean of those that are numbers."""
    counted = ~values.isnan()
    return torch.where(counted, values, 0).sum(axis) / counted.sum(axis)


def _marked(values: Tensor, broken: Tensor) -> Tensor:
    return torch.where(broken.reshape(-1, *[1] * (values.ndim - 1)), math.nan, values)


def _at_least_single(tensor: Tensor) -> NDArray[Any]:
    return array_of(tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor)


def network_of_run(
    manifest: Manifest, read: Callable[[str], bytes], model: Any = None, loss: Any = None
) -> TorchNetwork:
    """The network of a recorded run, from the program it holds, or from the user's own module.

    Raises Unsupported where the run holds none that can be replayed, and for a module of other parameters.
    """
    if "subset" in manifest.storage:
        raise Unsupported(
            f"run {manifest.name!r} cannot be evaluated: {_text(manifest, read, 'reason')}; their weights and what was"
            " logged can be read. Record all layers to have the rest"
        )
    if model is not None:
        network: OneFrame = _passed(model, manifest, read)
    elif "program" in manifest.model:
        network = Stored(read_stored("program", manifest, read))
    else:
        raise Unsupported(
            f"run {manifest.name!r} does not hold its network ({_text(manifest, read, 'reason')}); pass it:"
            " netlapse.open(path, model=your_module)"
        )
    if loss is not None:
        return TorchNetwork(manifest, network, Loss(loss))
    if "loss" in manifest.model:
        return TorchNetwork(manifest, network, StoredLoss(read_stored("loss", manifest, read)))
    return TorchNetwork(manifest, network, None, _text(manifest, read, "loss_reason"))


def _text(manifest: Manifest, read: Callable[[str], bytes], role: str) -> str:
    return read(role).decode(errors="replace")[:500] if role in manifest.model else "it was recorded without one"


def _passed(model: Any, manifest: Manifest, read: Callable[[str], bytes]) -> OneFrame:
    copy = copy_of(model, manifest)
    inputs = _recorded_inputs(manifest, read)
    examples = {entry.name: torch.zeros((2, *entry.shape), dtype=entry.dtype) for entry in inputs}
    weights = weights_of(copy)
    with undisturbed(copy):
        try:
            program = read_program(*export_module(copy, examples), weights)
        except NotExported:
            try:
                return Eager(copy, manifest, inputs)
            except Exception as error:
                raise Unsupported(
                    f"the module that was passed cannot be evaluated on the inputs of run {manifest.name!r}:"
                    f" {reason_of(error)}"
                ) from error
    return Stored(program, copy)


def _recorded_inputs(manifest: Manifest, read: Callable[[str], bytes]) -> list[Input]:
    try:
        content = json.loads(read("program" if "program" in manifest.model else "inputs"))
        return [Input.of(entry) for entry in content["inputs"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unsupported(
            f"run {manifest.name!r} does not say what its network takes ({error}); record it anew"
        ) from error
