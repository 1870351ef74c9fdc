"""Replay: a run as arrays, recomputed from its weights for any frame, layer and input."""

from __future__ import annotations

import math
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import measures
from ..errors import BadProbe, DamagedRun, UnknownName, Unsupported
from . import frames
from .network import Tap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jaxtyping import Float, Shaped
    from numpy.typing import ArrayLike, NDArray

    from ..measures import Limits
    from ..store import Layer, Manifest, Run
    from .frames import Epochs
    from .network import Network, StackedWeights

# What one evaluation may hold at a time, over all layers.
BLOCK_BYTES = 32 * 2**20
BLOCK_EXAMPLES = 65_536

Split = Literal["train", "validation"]


class Replay:
    """A recorded run, replayed.

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

    def refresh(self) -> Replay:
        """Look for frames recorded since. Returns itself."""
        self.run.refresh()
        return self

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
    def _probe(self) -> dict[str, NDArray[Any]]:
        probe = self.run.probe()
        for split in ("train", "validation"):
            pair = [probe.get(f"{split}/{kind}") for kind in ("inputs", "targets")]
            arrays = [array for array in pair if array is not None]
            fits = len({array.shape[:1] or None for array in arrays} - {None}) == (1 if arrays else 0)
            if len(arrays) == 1 or not fits or any(array.dtype.kind not in "biuf" for array in arrays):
                raise DamagedRun(f"the probe of run {self.name!r} holds no {split} examples with targets of their own")
        return probe

    @cached_property
    def _network(self) -> Network:
        # Without frames, nothing but the run's word says how large its network is.
        self._select(None)
        return self._make_network(self.run.manifest, self.run.model_file)

    def inputs(self, split: Split = "train") -> Shaped[np.ndarray, "example ..."]:
        """Inputs of the run's probe."""
        return self._of_probe(f"{split}/inputs")

    def targets(self, split: Split = "train") -> Shaped[np.ndarray, "example ..."]:
        """Targets of the run's probe."""
        return self._of_probe(f"{split}/targets")

    def _of_probe(self, key: str) -> NDArray[Any]:
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

    # What the network makes of its inputs

    def activations(self, layer: str, epoch: Epochs = None, inputs: ArrayLike | None = None) -> Float[np.ndarray, ...]:
        """Output of a layer, (frame, example, unit ...). Raises UnknownName for a layer that is not there."""
        return self._values(Tap(self._known(layer)), epoch, inputs)

    def pre_activations(
        self, layer: str, epoch: Epochs = None, inputs: ArrayLike | None = None
    ) -> Float[np.ndarray, ...]:
        """Values of a layer before its activation function, (frame, example, unit ...).

        For a layer that applies none they are its output.
        """
        return self._values(Tap(self._known(layer), "pre_activation"), epoch, inputs)

    def outputs(self, epoch: Epochs = None, inputs: ArrayLike | None = None) -> Float[np.ndarray, ...]:
        """What the framework's own predict returns, (frame, example, output ...)."""
        return self._values(Tap(self._network.output), epoch, inputs)

    def losses(
        self, epoch: Epochs = None, inputs: ArrayLike | None = None, targets: ArrayLike | None = None
    ) -> Float[np.ndarray, "frame example"]:
        """Loss of each example, (frame, example); their mean is the framework's loss without regularisation."""
        examples, wanted = self._pair(inputs, targets)
        return _unframe(self._losses(self._select(epoch), examples, wanted), epoch)

    def _losses(
        self, numbers: NDArray[np.intp], examples: NDArray[Any], targets: NDArray[Any]
    ) -> Float[np.ndarray, "frame example"]:
        found = np.empty((len(numbers), len(examples)), np.float32)
        for rows, columns, weights in self._blocks(numbers, len(examples)):
            found[rows, columns] = self._network.losses(weights, examples[columns], targets[columns])
        return found

    def gradients(
        self, epoch: Epochs = None, inputs: ArrayLike | None = None, targets: ArrayLike | None = None
    ) -> dict[str, NDArray[Any]]:
        """Gradient of the examples' mean loss by each trainable parameter, (frame, ...).

        Unit: loss per unit of weight. Regularisation is left out, as in `losses`.
        """
        examples, wanted = self._pair(inputs, targets)
        numbers = self._select(epoch)
        found: dict[str, NDArray[Any]] = {}
        for rows, columns, weights in self._blocks(numbers, len(examples)):
            share = (columns.stop - columns.start) / len(examples)
            for name, part in self._network.gradients(weights, examples[columns], wanted[columns]).items():
                whole = found.setdefault(name, np.zeros((len(numbers), *part.shape[1:]), part.dtype))
                whole[rows] += share * part
        return {name: _unframe(values, epoch) for name, values in found.items()}

    def metric(
        self,
        name: str,
        epoch: Epochs = None,
        inputs: ArrayLike | None = None,
        targets: ArrayLike | None = None,
    ) -> Float[np.ndarray, " frame"]:
        """One of the framework's metrics over the examples, (frame,), with the weights of each frame.

        `recorded(name)` is what was logged in training: a running mean while the weights moved.
        """
        examples, wanted = self._pair(inputs, targets)
        numbers = self._select(epoch)
        found = np.empty(len(numbers))
        for rows in _slices(len(numbers), self._frames_at_once(len(examples))):
            [outputs] = self._evaluate([Tap(self._network.output)], numbers[rows], examples)
            found[rows] = self._network.metric(name, outputs, wanted)
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

    def _examples(self, inputs: ArrayLike) -> NDArray[Any]:
        examples = np.asarray(inputs)
        shape = self._network.input_shape
        fits = examples.ndim == len(shape) + 1 and all(
            size is None or size == found for size, found in zip(shape, examples.shape[1:], strict=True)
        )
        if not fits:
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            raise BadProbe(f"inputs have shape {examples.shape}; run {self.name!r} takes (example, {wanted})")
        if len(examples) == 0:
            raise BadProbe("there are no inputs; pass at least one example")
        return examples

    def _pair(self, inputs: ArrayLike | None, targets: ArrayLike | None) -> tuple[NDArray[Any], NDArray[Any]]:
        if (inputs is None) != (targets is None):
            raise BadProbe("pass both inputs and targets, or neither for the run's probe")
        if inputs is None or targets is None:
            return self._examples(self.inputs()), self.targets()
        examples, wanted = self._examples(inputs), np.asarray(targets)
        if len(examples) != len(wanted):
            raise BadProbe(f"there are {len(examples)} inputs but {len(wanted)} targets; pass one target per example")
        shape = self.targets().shape[1:]
        if math.prod(wanted.shape[1:]) != math.prod(shape):
            # Losses would broadcast them to something that nobody asked for.
            raise BadProbe(f"targets have shape {wanted.shape}; run {self.name!r} has {('example', *shape)}")
        return examples, wanted

    def _values(self, tap: Tap, epoch: Epochs, inputs: ArrayLike | None) -> NDArray[Any]:
        examples = self._examples(self.inputs() if inputs is None else inputs)
        [values] = self._evaluate([tap], self._select(epoch), examples)
        return _unframe(values, epoch)

    def _evaluate(
        self, taps: Sequence[Tap], numbers: NDArray[np.intp], examples: NDArray[Any], start: str | None = None
    ) -> list[NDArray[Any]]:
        found: list[NDArray[Any]] = []
        for rows, columns, weights in self._blocks(numbers, len(examples)):
            parts = self._network.forward(weights, examples[columns], taps, start)
            if not found:
                found = [np.empty((len(numbers), len(examples), *part.shape[2:]), part.dtype) for part in parts]
            for whole, part in zip(found, parts, strict=True):
                whole[rows, columns] = part
        return found

    def _blocks(self, numbers: NDArray[np.intp], examples: int) -> Iterator[tuple[slice, slice, StackedWeights]]:
        """Frames and examples in blocks of bounded memory, with the weights of the frames."""
        for rows in _slices(len(numbers), self._frames_at_once(examples)):
            weights = {name: self.run.weights(name, numbers[rows]) for name in self.parameters}
            for columns in _slices(examples, self._examples_at_once):
                yield rows, columns, weights

    @property
    def _examples_at_once(self) -> int:
        return max(1, min(BLOCK_EXAMPLES, BLOCK_BYTES // (4 * self._network.values_per_example)))

    def _frames_at_once(self, examples: int) -> int:
        values = self._network.values_per_example * min(examples, self._examples_at_once)
        weights = sum(math.prod(parameter.shape) for parameter in self.run.manifest.parameters)
        return max(1, BLOCK_BYTES // (4 * (values + weights)))

    # Measures

    def _logit_tap(self) -> Tap:
        tap = self._network.logits
        if tap is None:
            raise Unsupported(
                f"run {self.name!r} ends in {self._network.output!r} without logits; this view shows binary"
                " classification: one output unit with a sigmoid, or a loss that takes logits"
            )
        return tap

    def _logits(self, numbers: NDArray[np.intp], inputs: NDArray[Any]) -> NDArray[Any]:
        return self._evaluate([self._logit_tap()], numbers, inputs)[0]

    def feature_space(
        self, layer: str, epoch: Epochs = None, *, domain: Limits | None = None, limits: Limits | None = None
    ) -> measures.FeatureSpace:
        """The feature space of a 2-unit layer: examples, decision regions and, for two inputs, the warped grid.

        `domain` is the part of the input plane whose image is shown, `limits` the part of the layer's plane; both
        are found from the data when None. Raises Unsupported for other layers and tasks.
        """
        numbers = self._select(epoch)
        taps = [Tap(self._known(layer)), self._logit_tap()]

        def hidden(inputs: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
            activations, logits = self._evaluate(taps, numbers, inputs)
            return activations, logits

        def head(points: NDArray[Any]) -> NDArray[Any]:
            return self._evaluate(taps[1:], numbers, points, start=layer)[0]

        return measures.feature_space(
            hidden,
            head,
            layer=layer,
            epochs=self.epochs[numbers],
            inputs=self.inputs(),
            targets=self.targets(),
            domain=domain,
            limits=limits,
        )

    def decision_boundary(
        self, epoch: Epochs = None, *, domain: Limits | None = None, resolution: int = 151
    ) -> measures.DecisionBoundary:
        """The decision boundary in the plane of two inputs. Raises Unsupported for other networks."""
        numbers = self._select(epoch)
        return measures.decision_boundary(
            partial(self._logits, numbers),
            epochs=self.epochs[numbers],
            inputs=self.inputs(),
            targets=self.targets(),
            domain=domain,
            resolution=resolution,
        )

    def class_probabilities(self, epoch: Epochs = None) -> measures.ClassProbabilities:
        """P(positive) of each example of the probe. Raises Unsupported unless the task is binary."""
        numbers = self._select(epoch)
        logits = self._logits(numbers, self.inputs())
        return measures.class_probabilities(logits, epochs=self.epochs[numbers], targets=self.targets())

    def sample_losses(self, epoch: Epochs = None) -> measures.SampleLosses:
        """Loss of each example of the probe, and which are wrong. Raises Unsupported unless the task is binary."""
        numbers = self._select(epoch)
        losses = self._losses(numbers, self.inputs(), self.targets())
        logits = self._logits(numbers, self.inputs())
        return measures.sample_losses(
            losses, logits, epochs=self.epochs[numbers], targets=self.targets(), loss=self.loss_name
        )

    def curves(self, epoch: Epochs = None) -> measures.Curves:
        """Mean loss and accuracy over the probe. Raises Unsupported unless the task is binary."""
        numbers = self._select(epoch)
        inputs, targets = self.inputs(), self.targets()
        return measures.Curves.join(
            [
                measures.curves(
                    self._losses(numbers[rows], inputs, targets),
                    self._logits(numbers[rows], inputs),
                    epochs=self.epochs[numbers[rows]],
                    targets=targets,
                    loss=self.loss_name,
                )
                for rows in _slices(len(numbers), self._frames_at_once(len(inputs)))
            ]
        )

    def milestones(self) -> measures.Milestones:
        """When which examples were right, and the loss plateaus. Raises Unsupported unless the task is binary."""
        return measures.milestones(self.curves())

    @property
    def loss_name(self) -> str:
        """The loss, in words."""
        return str(self.hyperparameters.get("loss", "loss")).replace("_", " ").replace("crossentropy", "cross-entropy")


def _unframe(values: NDArray[Any], epoch: Epochs) -> NDArray[Any]:
    return values[0] if frames.is_one(epoch) else values


def _slices(total: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]
