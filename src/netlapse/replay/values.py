"""A run as arrays, recomputed from its weights for any frame, layer and input."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import numpy as np

from ..errors import BadProbe, DamagedRun, UnknownName, Unsupported
from ..store.examples import count, each, gather, named
from . import frames
from .convolutions import channels_first, convolutions
from .network import Tap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from jaxtyping import Float
    from numpy.typing import NDArray

    from ..store import Arrays, Examples, Layer, Manifest, Run
    from .frames import Epochs
    from .network import Head, Network, Shape, StackedWeights

# What one evaluation may hold at a time, over all layers.
BLOCK_BYTES = 32 * 2**20
BLOCK_EXAMPLES = 65_536
# Of gradients by them: the values twice, once with nothing added; and the gradients of both.
_COPIES = 4

Split = Literal["train", "validation"]


class Values:
    """The arrays of a run.

    Every method takes `epoch`: one epoch (the result then has no frame axis), a slice of epochs (both ends
    included), several epochs, or None for all frames. Without `inputs` the run's probe is looked at. Values are
    those of the framework itself in inference mode, evaluated for many frames at once in blocks of bounded memory.

    A run that is still being recorded can be replayed; `refresh` looks for new frames.
    """

    def __init__(self, run: Run, network: Callable[[Manifest, Callable[[str], bytes]], Network]) -> None:
        self.run = run
        self._make_network = network

    def __repr__(self) -> str:
        return f"<Replay of run {self.name!r}: {len(self.run)} frames, {self.run.status}>"

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run.name

    @property
    def status(self) -> str:
        """Whether it is "recording", "complete" or "interrupted"."""
        return self.run.status

    @property
    def epochs(self) -> Float[np.ndarray, " frame"]:
        """Epochs done at each frame; fractions lie within an epoch."""
        return self.run.epochs

    @property
    def steps(self) -> NDArray[np.int64]:
        """Optimiser steps done at each frame, (frame,)."""
        return self.run.steps

    @property
    def times(self) -> Float[np.ndarray, " frame"]:
        """Seconds of wall time since the run began, at each frame."""
        return self.run.times

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The run's hyper-parameters, as read from the model and its optimiser or given to the recorder."""
        return self.run.manifest.hyperparameters

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The network's layers in the order in which they are applied."""
        return self.run.manifest.layers

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of all weights, such as "hidden/kernel"."""
        return tuple(parameter.name for parameter in self.run.manifest.parameters)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of their labels."""
        return tuple(self.run.manifest.probe.get("class_names") or ("negative", "positive"))

    def refresh(self) -> Self:
        """Look for frames recorded since. Returns itself."""
        self.run.refresh()
        return self

    def only(self, *, frames: NDArray[np.intp] | None = None, examples: NDArray[np.intp] | None = None) -> Self:
        """The replay as if only these frames had been recorded, and it were looked at with these examples alone.

        `frames` are numbers of this replay's frames, `examples` places in its "train" examples; all by default.
        """
        some = copy.copy(self)
        if frames is not None:
            some.run = self.run.only(frames)
        if examples is not None:
            train = {
                key: each(arrays, lambda array: array[examples])
                for key, arrays in self._probe.items()
                if key.startswith("train/")
            }
            some._probe = {**self._probe, **train}
        return some

    def apart(self) -> Self:
        """The replay for somebody in another thread, who refreshes it alone. All such have one network, in turn."""
        other = self.only(frames=np.arange(len(self.run)))
        other._network = self._network_apart
        return other

    def nearest(self, epoch: float) -> float:
        """The recorded epoch nearest to this one."""
        return frames.nearest(self.epochs, epoch)

    def history(self) -> dict[str, Float[np.ndarray, " moment"]]:
        """Everything that was logged, at every moment it was: see `Run.history`."""
        return self.run.history()

    def recorded_epochs(self, epoch: Epochs = None) -> Float[np.ndarray, " frame"]:
        """The recorded epochs that are meant. Raises MissingFrame, naming the nearest, where there is no frame."""
        return self.epochs[self._select(epoch)]

    @cached_property
    def _probe(self) -> dict[str, Arrays]:
        arrays = self.run.probe()
        found: dict[str, Arrays] = {}
        for split in ("train", "validation"):
            parts = {key: gather(key, arrays) for key in (f"{split}/inputs", f"{split}/targets")}
            pair = {key: part for key, part in parts.items() if part is not None}
            all_arrays = [array for part in pair.values() for array in named(part).values()]
            lengths = {array.shape[:1] or None for array in all_arrays}
            unfit = None in lengths or any(array.dtype.kind not in "biuf" for array in all_arrays)
            if pair and (len(pair) == 1 or len(lengths) > 1 or unfit):
                raise DamagedRun(f"the probe of run {self.name!r} holds no {split} examples with targets of their own")
            found |= pair
        return found

    @cached_property
    def _network(self) -> Network:
        # Without frames, nothing but the run's word says how large its network is.
        self._select(None)
        return self._make_network(self.run.manifest, self.run.model_file)

    @cached_property
    def _network_apart(self) -> Network:
        self._select(None)
        return self._make_network(self.run.manifest, self.run.model_file)

    @property
    def splits(self) -> tuple[Split, ...]:
        """The examples that the run is looked at with: "train", and "validation" where some were given."""
        return ("train", "validation") if "validation/inputs" in self._probe else ("train",)

    def inputs(self, split: Split = "train") -> Any:
        """Inputs of the run's probe, (example, ...); arrays by name if the network has several."""
        return self._of_probe(f"{split}/inputs")

    def targets(self, split: Split = "train") -> Any:
        """Targets of the run's probe, (example, ...); arrays by name if there are several."""
        return self._of_probe(f"{split}/targets")

    def _of_probe(self, key: str) -> Arrays:
        if key not in self._probe:
            raise BadProbe(
                f"run {self.name!r} was recorded without validation examples; give the recorder `validation=`"
            )
        return self._probe[key]

    # Weights and what was logged

    def weights(self, name: str, epoch: Epochs = None) -> NDArray[Any]:
        """One parameter, (frame, ...). Raises UnknownName, MissingFrame or DamagedRun."""
        return _unframe(self.run.weights(name, self._select(epoch)), epoch)

    def recorded(self, name: str, epoch: Epochs = None) -> Float[np.ndarray, " frame"]:
        """What the framework logged under this name, (frame,); NaN at frames where it logged nothing."""
        return _unframe(self.run.scalar(name)[self._select(epoch)], epoch)

    def _select(self, epoch: Epochs) -> NDArray[np.intp]:
        return frames.select(self.epochs, epoch, self.name)

    @property
    def convolutions(self) -> tuple[str, ...]:
        """Names of the convolutional layers."""
        return tuple(convolutions(self.run.manifest))

    def channels_first(self, layer: str, shape: tuple[int, ...]) -> bool:
        """Whether the first axis of a layer's activations of one example, of this shape, is that of the units.

        In torch's convolutional networks it is; elsewhere it is the last.
        """
        return channels_first(self.run.manifest, layer, shape)

    # What the network makes of its inputs

    def activations(self, layer: str, epoch: Epochs = None, inputs: Examples | None = None) -> Float[np.ndarray, ...]:
        """Output of a layer, (frame, example, unit ...). Raises UnknownName for a layer that is not there."""
        return self._values(Tap(self._known(layer)), epoch, inputs)

    def pre_activations(
        self, layer: str, epoch: Epochs = None, inputs: Examples | None = None
    ) -> Float[np.ndarray, ...]:
        """Values of a layer before its activation function, (frame, example, unit ...).

        For a layer that applies none they are its output.
        """
        return self._values(Tap(self._known(layer), "pre_activation"), epoch, inputs)

    @property
    def attention_layers(self) -> tuple[str, ...]:
        """Names of the layers whose attention can be asked for."""
        return self._network.attention_layers

    def attention(
        self, layer: str, epoch: Epochs = None, inputs: Examples | None = None
    ) -> Float[np.ndarray, "frame example head query key"]:
        """What each place of the examples attends to, (frame, example, head, query, key), by default of all the probe.

        Attention weights are those after the softmax: over the keys they add up to 1, or to 0 where a query may see
        none. Raises UnknownName for a layer that is no attention, or none that can be looked into.
        """
        return self._values(self._attention_tap(layer), epoch, inputs)

    def _attention_tap(self, layer: str) -> Tap:
        known = self.attention_layers
        if layer not in known:
            has = f"it has that of {', '.join(known)}" if known else "it has that of no layer"
            raise UnknownName(f"run {self.name!r} has no attention of a layer {layer!r}; {has}")
        return Tap(layer, "attention")

    def outputs(self, epoch: Epochs = None, inputs: Examples | None = None) -> Any:
        """What the framework's own predict returns, (frame, example, output ...); by name if there are several."""
        names = self._network.outputs
        examples = self._examples(self.inputs() if inputs is None else inputs)
        values = self._evaluate([Tap(name) for name in names], self._select(epoch), examples)
        if len(names) == 1:
            return _unframe(values[0], epoch)
        return {name: _unframe(array, epoch) for name, array in zip(names, values, strict=True)}

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the network's outputs."""
        return self._network.outputs

    def logits(
        self, epoch: Epochs = None, inputs: Examples | None = None, *, output: str | None = None
    ) -> Float[np.ndarray, "frame example ... unit"]:
        """Scores of one output, by default the first, (frame, example, ..., unit).

        Their sigmoid or softmax are the probabilities; of a regression they are its values. An output of one number
        for each example has one unit.
        """
        head = self._head(output)
        examples = self._examples(self.inputs() if inputs is None else inputs)
        return _unframe(self._scores(head, self._select(epoch), examples), epoch)

    def target(self, output: str | None = None, split: Split = "train") -> NDArray[Any]:
        """The probe's targets of one output, by default the first, (example, ...).

        Raises UnknownName for an output that is not there, Unsupported for one without targets.
        """
        name = self._output(output)
        found = self._network.targets_of(self.targets(split))[self.output_names.index(name)]
        if found is None:
            raise Unsupported(f"run {self.name!r} has no targets of output {name!r}; choose another output")
        return found

    def _output(self, name: str | None) -> str:
        names = self.output_names
        if name is not None and name not in names:
            raise UnknownName(f"run {self.name!r} has no output {name!r}; it has {', '.join(names)}")
        return names[0] if name is None else name

    def _head(self, output: str | None) -> Head:
        return self._network.head(self._output(output))

    def _scores(self, head: Head, numbers: NDArray[np.intp], examples: Arrays) -> NDArray[Any]:
        [values] = self._evaluate([head.tap], numbers, examples)
        return scores(head, values)

    def losses(
        self, epoch: Epochs = None, inputs: Examples | None = None, targets: Examples | None = None
    ) -> Float[np.ndarray, "frame example"]:
        """Loss of each example, (frame, example); their mean is the framework's loss without regularisation."""
        examples, wanted = self._pair(inputs, targets)
        return _unframe(self._losses(self._select(epoch), examples, wanted), epoch)

    def token_losses(
        self, epoch: Epochs = None, inputs: Examples | None = None, targets: Examples | None = None
    ) -> Float[np.ndarray, "frame example ..."]:
        """Loss of each place of each example, such as a token or a pixel, (frame, example, place ...).

        NaN where the loss leaves a place out. Raises Unsupported if the loss has one number for an example.
        """
        examples, wanted = self._pair(inputs, targets)
        numbers = self._select(epoch)
        blocks = (
            (rows, columns, [self._network.token_losses(weights, rows_of(examples, columns), rows_of(wanted, columns))])
            for rows, columns, weights in self._blocks(numbers, count(examples))
        )
        [found] = joined(blocks, len(numbers), count(examples))
        return _unframe(found, epoch)

    def _losses(
        self, numbers: NDArray[np.intp], examples: Arrays, targets: Arrays
    ) -> Float[np.ndarray, "frame example"]:
        found = np.empty((len(numbers), count(examples)), np.float32)
        for rows, columns, weights in self._blocks(numbers, count(examples)):
            found[rows, columns] = self._network.losses(weights, rows_of(examples, columns), rows_of(targets, columns))
        return found

    def _losses_of(
        self, weights: StackedWeights, examples: Arrays, targets: Arrays
    ) -> Float[np.ndarray, "frame example"]:
        """Losses with weights that no frame need have, of which there are at most `_frames_at_once`."""
        parts = [
            self._network.losses(weights, rows_of(examples, columns), rows_of(targets, columns))
            for columns in slices(count(examples), self._examples_at_once)
        ]
        return np.concatenate(parts, axis=1)

    def _accuracies_of(
        self, weights: StackedWeights, examples: Arrays, targets: Arrays
    ) -> Float[np.ndarray, " frame"] | None:
        """The same of the accuracy. None unless one output says which one class an example has."""
        names = self._network.outputs
        if "cross-entropy" not in self.loss_name or len(names) != 1 or not isinstance(targets, np.ndarray):
            return None
        parts = [
            self._network.forward(weights, rows_of(examples, columns), [Tap(names[0])])[0]
            for columns in slices(count(examples), self._examples_at_once)
        ]
        outputs = np.concatenate(parts, axis=1)
        several_labels = "binary" in self.loss_name and outputs[0, 0].size > 1
        return None if several_labels else self._network.metric("accuracy", outputs, targets)

    def gradients(
        self, epoch: Epochs = None, inputs: Examples | None = None, targets: Examples | None = None
    ) -> dict[str, NDArray[Any]]:
        """Gradient of the examples' mean loss by each trainable parameter, (frame, ...).

        Unit: loss per unit of weight. Regularisation is left out, as in `losses`.
        """
        examples, wanted = self._pair(inputs, targets)
        numbers = self._select(epoch)
        found: dict[str, NDArray[Any]] = {}
        for rows, columns, weights in self._blocks(numbers, count(examples)):
            share = (columns.stop - columns.start) / count(examples)
            parts = self._network.gradients(weights, rows_of(examples, columns), rows_of(wanted, columns))
            for name, part in parts.items():
                whole = found.setdefault(name, np.zeros((len(numbers), *part.shape[1:]), part.dtype))
                whole[rows] += share * part
        return {name: _unframe(values, epoch) for name, values in found.items()}

    def layer_gradients(
        self, layer: str, epoch: Epochs = None, inputs: Examples | None = None, targets: Examples | None = None
    ) -> Float[np.ndarray, "frame example ..."]:
        """Gradient of each example's loss by a layer's pre-activations, (frame, example, unit ...).

        Unit: loss per unit of pre-activation. It is what backpropagation carries to the layer: times the values that
        come in, and averaged over examples, it is the layer's part of `gradients`. NaN where the example's loss is.
        Raises UnknownName for a layer that is not there, Unsupported if the run does not hold what it takes.
        """
        layers = [self._known(layer)]
        examples, wanted = self._pair(inputs, targets)
        numbers = self._select(epoch)
        [found] = joined(self._layer_gradients(layers, numbers, examples, wanted), len(numbers), count(examples))
        return _unframe(found, epoch)

    def _layer_gradients(
        self, layers: Sequence[str], numbers: NDArray[np.intp], examples: Arrays, targets: Arrays
    ) -> Iterator[tuple[slice, slice, list[NDArray[Any]]]]:
        """Frames, examples and the gradients of each layer there, a block at a time."""
        for rows, columns, weights in self._blocks(numbers, count(examples), _COPIES):
            pair = rows_of(examples, columns), rows_of(targets, columns)
            yield rows, columns, self._network.layer_gradients(weights, *pair, layers)

    def metric(
        self,
        metric: str | Callable[[NDArray[Any], NDArray[Any]], float],
        epoch: Epochs = None,
        inputs: Examples | None = None,
        targets: Examples | None = None,
    ) -> Float[np.ndarray, " frame"]:
        """A metric over the examples, (frame,), with the weights of each frame.

        `metric` is the name of one of the framework's, or a function of outputs (example, ...) and targets
        (example, ...) that returns a number. `recorded(name)` is what was logged in training: a running mean while the
        weights moved.
        """
        examples, wanted = self._pair(inputs, targets)
        of_targets = self._one_array(wanted, "targets")
        output = self._only_output()
        numbers = self._select(epoch)
        found = np.empty(len(numbers))
        for rows in slices(len(numbers), self._frames_at_once(count(examples))):
            [outputs] = self._evaluate([Tap(output)], numbers[rows], examples)
            if callable(metric):
                found[rows] = [metric(output, of_targets) for output in outputs]
            else:
                found[rows] = self._network.metric(metric, outputs, of_targets)
        return _unframe(found, epoch)

    def model(self, epoch: float) -> Any:
        """The framework's own model as it was at this epoch."""
        numbers = self._select(epoch)
        return self._network.model({name: self.run.weights(name, numbers)[0] for name in self.parameters})

    def _known(self, layer: str) -> str:
        names = [entry.name for entry in self.layers]
        if layer not in names:
            raise UnknownName(f"run {self.name!r} has no layer {layer!r}; it has {', '.join(names)}")
        return layer

    def _examples(self, inputs: Examples) -> Arrays:
        examples = _as_arrays(inputs, self.inputs())
        arrays, shapes = named(examples), self._network.input_shapes
        if shapes is not None and not _fits(arrays, shapes):
            raise BadProbe(f"inputs have {_listed(arrays)}; run {self.name!r} takes {_listed_shapes(shapes)}")
        if len({len(array) for array in arrays.values()}) > 1:
            raise BadProbe(f"inputs have {_listed(arrays)}; pass as many examples of each")
        if count(examples) == 0:
            raise BadProbe("there are no inputs; pass at least one example")
        return examples

    def _pair(self, inputs: Examples | None, targets: Examples | None) -> tuple[Arrays, Arrays]:
        if (inputs is None) != (targets is None):
            raise BadProbe("pass both inputs and targets, or neither for the run's probe")
        if inputs is None or targets is None:
            return self._examples(self.inputs()), self.targets()
        examples, wanted = self._examples(inputs), _as_arrays(targets, self.targets())
        if count(examples) != count(wanted):
            raise BadProbe(
                f"there are {count(examples)} inputs but {count(wanted)} targets; pass one target per example"
            )
        shapes = {name: array.shape[1:] for name, array in named(self.targets()).items()}
        sizes = sorted(math.prod(array.shape[1:]) for array in named(wanted).values())
        if sizes != sorted(map(math.prod, shapes.values())):  # in any order: they may be given by name
            # Losses would broadcast them to something that nobody asked for.
            raise BadProbe(f"targets have {_listed(named(wanted))}; run {self.name!r} has {_listed_shapes(shapes)}")
        return examples, wanted

    def _one_array(self, arrays: Arrays, what: str) -> NDArray[Any]:
        if isinstance(arrays, np.ndarray):
            return arrays
        if len(arrays) == 1:
            return next(iter(arrays.values()))
        raise Unsupported(
            f"run {self.name!r} has {len(arrays)} {what} ({', '.join(arrays)}); this view shows networks of one input"
            " and one output"
        )

    def _only_output(self) -> str:
        names = self._network.outputs
        if len(names) != 1:
            raise Unsupported(
                f"run {self.name!r} has {len(names)} outputs ({', '.join(names)}); this view shows networks of one"
            )
        return names[0]

    def _values(self, tap: Tap, epoch: Epochs, inputs: Examples | None) -> NDArray[Any]:
        examples = self._examples(self.inputs() if inputs is None else inputs)
        [values] = self._evaluate([tap], self._select(epoch), examples)
        return _unframe(values, epoch)

    def _evaluate(
        self, taps: Sequence[Tap], numbers: NDArray[np.intp], examples: Arrays, start: str | None = None
    ) -> list[NDArray[Any]]:
        blocks = (
            (rows, columns, self._network.forward(weights, rows_of(examples, columns), taps, start))
            for rows, columns, weights in self._blocks(numbers, count(examples))
        )
        return joined(blocks, len(numbers), count(examples))

    def _blocks(
        self, numbers: NDArray[np.intp], examples: int, copies: int = 1
    ) -> Iterator[tuple[slice, slice, StackedWeights]]:
        """Frames and examples in blocks of bounded memory, with the weights of the frames.

        `copies` says how often all values are held.
        """
        for rows in slices(len(numbers), max(1, self._frames_at_once(examples) // copies)):
            weights = {name: self.run.weights(name, numbers[rows]) for name in self.parameters}
            for columns in slices(examples, max(1, self._examples_at_once // copies)):
                yield rows, columns, weights
            # Whoever goes over the blocks still holds these, and they may be all that fits.
            weights.clear()

    @cached_property
    def _values_per_example(self) -> int:
        return self._network.values_per_example(rows_of(self.inputs(), slice(1)))

    @property
    def _examples_at_once(self) -> int:
        return max(1, min(BLOCK_EXAMPLES, BLOCK_BYTES // (4 * self._values_per_example)))

    def _frames_at_once(self, examples: int) -> int:
        values = self._values_per_example * min(examples, self._examples_at_once)
        weights = self.run.manifest.parameter_count
        return max(1, BLOCK_BYTES // (4 * (values + weights)))

    @property
    def loss_name(self) -> str:
        """The loss, in words."""
        words = str(self.hyperparameters.get("loss", "loss")).replace("_", " ")
        return _SAME_LOSS.get(words, words).replace("crossentropy", "cross-entropy")


# What PyTorch and Optax call a loss that others know by another name.
_SAME_LOSS = {
    "bce": "binary cross-entropy",
    "bce with logits": "binary cross-entropy",
    "binary cross entropy": "binary cross-entropy",
    "binary cross entropy with logits": "binary cross-entropy",
    "sigmoid binary cross entropy": "binary cross-entropy",
    "cross entropy": "cross-entropy",
    "softmax cross entropy": "cross-entropy",
    "softmax cross entropy with integer labels": "cross-entropy",
    "sparse categorical crossentropy": "cross-entropy",
    "categorical crossentropy": "cross-entropy",
    "mse": "mean squared error",
}


def scores(head: Head, values: Float[np.ndarray, "frame example ..."]) -> Float[np.ndarray, "frame example ... unit"]:
    """What is read at a head's tap, as scores."""
    values = values[..., None] if values.ndim == 2 else values
    if not head.log:
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values) - (np.log1p(-values) if head.link == "sigmoid" else 0)


def _unframe(values: NDArray[Any], epoch: Epochs) -> NDArray[Any]:
    return values[0] if frames.is_one(epoch) else values


def joined(blocks: Iterable[tuple[slice, slice, list[NDArray[Any]]]], frames: int, examples: int) -> list[NDArray[Any]]:
    """Arrays (frame, example, ...) of their blocks of frames and examples."""
    found: list[NDArray[Any]] = []
    for rows, columns, parts in blocks:
        if not found:
            found = [np.empty((frames, examples, *part.shape[2:]), part.dtype) for part in parts]
        for whole, part in zip(found, parts, strict=True):
            whole[rows, columns] = part
    return found


def rows_of(arrays: Arrays, rows: slice) -> Arrays:
    return each(arrays, lambda array: array[rows])


def _as_arrays(given: Examples, like: Arrays) -> Arrays:
    """What users pass. A list is one array, or one for each input if the run's probe has several."""
    if isinstance(given, Mapping):
        return {name: np.asarray(array) for name, array in cast("Mapping[str, Any]", given).items()}
    if isinstance(given, list | tuple) and isinstance(like, Mapping):
        return {str(place): np.asarray(array) for place, array in enumerate(cast("Sequence[Any]", given))}
    return np.asarray(given)


def _fits(arrays: Mapping[str, NDArray[Any]], shapes: Mapping[str, Shape]) -> bool:
    if len(arrays) != len(shapes):
        return False
    # Given by name or by place.
    wanted = [shapes[name] for name in arrays] if arrays.keys() == shapes.keys() else shapes.values()
    return all(
        array.ndim == len(shape) + 1
        and all(size is None or size == found for size, found in zip(shape, array.shape[1:], strict=True))
        for array, shape in zip(arrays.values(), wanted, strict=True)
    )


def _listed(arrays: Mapping[str, NDArray[Any]]) -> str:
    return "shape " + ", ".join(f"{name} {array.shape}".lstrip() for name, array in arrays.items())


def _listed_shapes(shapes: Mapping[str, Shape]) -> str:
    def text(shape: Shape) -> str:
        return ", ".join(["example", *("any" if size is None else str(size) for size in shape)])

    return ", ".join(f"{name} ({text(shape)})".lstrip() for name, shape in shapes.items())


def slices(total: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]
