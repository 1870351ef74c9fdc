"""A Keras model as a `Network`: evaluated for many frames at once on the JAX and torch backends."""

from __future__ import annotations

import math
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NetlapseError, UnknownName, Unsupported
from ..replay.network import Tap
from .backend import keras
from .describe import ACTIVATION_LAYERS, CHOSEN_BY_SHAPE, activation_name, layers_of, loss_of, parameters_of
from .over_frames import gradient_of, over_frames
from .rebuild import copy_of, rebuild

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from numpy.typing import NDArray

    from ..replay.network import StackedWeights
    from ..store import Manifest


class KerasNetwork:
    """The architecture of a Keras model, tapped: one call yields the values of any layer.

    The weights of a frame are passed in at every call; the model's own are never looked at.
    """

    def __init__(self, make: Callable[[], Any], manifest: Manifest) -> None:
        self._make, self._run, self._manifest = make, manifest.name, manifest
        self._model: Any = make()
        self._variables = self._variables_of(self._model)
        # By place, not by name: the same code run twice calls its layers "dense" and then "dense_1".
        self._layers = dict(zip([layer.name for layer in manifest.layers], layers_of(self._model), strict=True))
        self._seen: dict[Tap, Any] = {}
        self._repeated: set[str] = set()
        self._exchange: tuple[str, Any] | None = None
        for name, layer in self._layers.items():
            self._tap(name, layer)
        self._compiled = cache(self._compile)

    @classmethod
    def of_run(cls, manifest: Manifest, read: Callable[[str], bytes], model: Any = None) -> KerasNetwork:
        """The network of a recorded run, rebuilt from its architecture, or from the user's own model.

        Runs no code of the run's: Keras refuses what would need it, and then asks for `model`.
        """
        if model is not None:
            return cls(partial(copy_of, model), manifest)
        return cls(partial(rebuild, manifest, read), manifest)

    def _variables_of(self, model: Any) -> dict[str, Any]:
        """The model's variables by the run's names. Raises Unsupported for a model of another architecture."""
        found = list(parameters_of(model).values())
        wanted = self._manifest.parameters
        if [parameter.shape for parameter, _ in found] != [parameter.shape for parameter in wanted] or len(
            layers_of(model)
        ) != len(self._manifest.layers):
            raise Unsupported(
                f"run {self._run!r} was recorded from another model: its weights are"
                f" {', '.join(f'{p.name} {p.shape}' for p in wanted)}; pass a model built as the recorded one was"
            )
        return {parameter.name: variable for parameter, (_, variable) in zip(wanted, found, strict=True)}

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Shape of one example."""
        return tuple(self._model.inputs[0].shape[1:])

    @property
    def output(self) -> str:
        """Name of the last layer."""
        last = (
            layers_of(self._model)[-1]
            if isinstance(self._model, keras.Sequential)
            else self._model.outputs[0]._keras_history.operation
        )
        return next((name for name, layer in self._layers.items() if layer is last), str(last.name))

    @property
    def values_per_example(self) -> int:
        """Numbers held over all layers for one example of one frame."""
        tensors = keras.tree.flatten([layer.output for layer in self._layers.values()])
        # Before and after the activation function.
        return 2 * sum(math.prod(size or 1 for size in tensor.shape[1:]) for tensor in tensors)

    @property
    def logits(self) -> Tap | None:
        """Before a final sigmoid, or the output itself where the loss takes logits."""
        last = self._layers.get(self.output)
        if last is not None and activation_name(last) == "sigmoid":
            return Tap(self.output, "pre_activation")
        return Tap(self.output) if getattr(loss_of(self._model), "from_logits", False) else None

    def forward(
        self, weights: StackedWeights, inputs: NDArray[Any], taps: Sequence[Tap], start: str | None = None
    ) -> list[NDArray[Any]]:
        """Values at each tap, (frame, example, ...)."""
        if start is not None:
            self._require_bottleneck(start)
        with self._evaluating():
            return self._compiled("forward", tuple(taps), start)(weights, _single(inputs))

    def losses(self, weights: StackedWeights, inputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
        """Loss of each example, (frame, example)."""
        with self._evaluating():
            return self._compiled("losses")(weights, _single(inputs), _single(targets))

    def gradients(
        self, weights: StackedWeights, inputs: NDArray[Any], targets: NDArray[Any]
    ) -> dict[str, NDArray[Any]]:
        """Gradient of the mean loss by trainable parameter."""
        with self._evaluating():
            return self._compiled("gradients")(weights, _single(inputs), _single(targets))

    @contextmanager
    def _evaluating(self) -> Generator[None]:
        """Turn whatever Keras says about examples that its layers or its loss do not take into one error."""
        try:
            yield
        except NetlapseError:
            raise
        except Exception as error:
            raise Unsupported(
                f"Keras cannot evaluate run {self._run!r} on these examples: {str(error)[:300]}; pass others"
            ) from error

    def metric(self, name: str, outputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float64]:
        """One of Keras' metrics, frame by frame."""
        metric = _metric(name, outputs.shape[2:], targets)
        found: list[float] = []
        for output in outputs:
            metric.reset_state()
            metric.update_state(_like(targets, output), output)
            found.append(float(metric.result()))
        return np.array(found)

    def model(self, weights: Mapping[str, NDArray[Any]]) -> Any:
        """A Keras model of its own with these weights, compiled as in training where Keras could store that."""
        model = self._make()
        for name, variable in self._variables_of(model).items():
            variable.assign(weights[name])
        return model

    def _tap(self, name: str, layer: Any) -> None:
        """Make the layer leave its values, before and after its activation function, in `self._seen`."""
        call, before, after = layer.call, Tap(name, "pre_activation"), Tap(name)
        # A recurrent layer applies its activation within a loop: what passes there are not its pre-activations.
        inner = isinstance(layer, keras.layers.RNN | keras.layers.Wrapper | keras.layers.MultiHeadAttention)
        if callable(getattr(layer, "activation", None)) and not inner:
            activation = layer.activation

            def activate(values: Any, *args: Any, **kwargs: Any) -> Any:
                self._seen[before] = values
                return activation(values, *args, **kwargs)

            # Keras asks an activation for its name when it describes a layer.
            activate.__name__ = getattr(activation, "__name__", "activation")
            layer.activation = activate

        def tapped(*args: Any, **kwargs: Any) -> Any:
            if after in self._seen:
                self._repeated.add(name)
            values = call(*args, **kwargs)
            if self._exchange is not None and self._exchange[0] == name:
                values = self._exchange[1]
            self._seen[after] = keras.tree.flatten(values)[0]
            self._seen.setdefault(before, args[0] if type(layer) in ACTIVATION_LAYERS else self._seen[after])
            return values

        layer.call = tapped

    def _apply(self, weights: Mapping[str, Any], inputs: Any, start: str | None = None) -> dict[Tap, Any]:
        """Values at all taps; with `start`, of what comes after that layer, given its activations."""
        self._seen = {}
        if start is not None:
            # The whole model runs on any input at all, and the layer's output is exchanged for what was given.
            self._exchange = (start, inputs)
            shape = [size or 1 for size in self.input_shape]
            inputs = keras.ops.zeros((inputs.shape[0], *shape), dtype=self._model.inputs[0].dtype)
        try:
            with keras.StatelessScope([(self._variables[name], value) for name, value in weights.items()]):
                outputs = self._model(inputs, training=False)
        finally:
            self._exchange = None
        seen, self._seen = self._seen, {}
        [seen[Tap(self.output)]] = keras.tree.flatten(outputs)
        return seen

    def _require_bottleneck(self, start: str) -> None:
        """Raise Unsupported unless every path through the network passes this layer."""
        tensors, followed = list(self._model.outputs), set[int]()
        while tensors:
            tensor = tensors.pop()
            operation, node, _ = tensor._keras_history
            if operation is self._layers[start] or id(tensor) in followed:
                continue
            followed.add(id(tensor))
            if operation._inbound_nodes[node].is_input:
                raise Unsupported(
                    f"run {self._run!r} has connections that go round layer {start!r}, so that its activations alone"
                    " do not decide the output; choose a layer that everything passes through"
                )
            tensors += operation._inbound_nodes[node].input_tensors

    def _require_single(self, *layers: str | None) -> None:
        """Raise Unsupported for layers that the network applies more than once."""
        for name in self._repeated.intersection(layers):
            raise Unsupported(
                f"run {self._run!r} applies layer {name!r} more than once, so that it has no one activation; choose"
                " another layer"
            )

    def _example_losses(self, weights: Mapping[str, Any], inputs: Any, targets: Any) -> Any:
        outputs = self._apply(weights, inputs)[Tap(self.output)]
        loss = loss_of(self._model)
        if loss in CHOSEN_BY_SHAPE:
            loss = getattr(keras.losses, f"{_task(outputs.shape[1:], targets)}Crossentropy")()
        if loss is None:
            raise Unsupported(
                f"run {self._run!r} was recorded without a loss that Keras can rebuild by itself; pass the"
                " compiled model: netlapse.open(path, model=your_model)"
            )
        # Keras computes losses in single precision, whatever the precision of the network.
        outputs, targets = (keras.ops.cast(array, keras.config.floatx()) for array in (outputs, targets))
        # torch refuses to compute the loss of what is no number: it is none either.
        broken = keras.ops.isnan(outputs)
        outputs = keras.ops.where(broken, 0.0, outputs)
        example_losses = getattr(loss, "call", loss)
        values: Any = example_losses(_like(targets, outputs), outputs)
        if len(values.shape) == 0:
            raise Unsupported(
                f"the loss of run {self._run!r} is one number for a whole batch; a loss that returns one number per"
                " example can be replayed"
            )
        means = keras.ops.mean(keras.ops.reshape(values, (len(targets), -1)), axis=1)
        return keras.ops.where(keras.ops.any(keras.ops.reshape(broken, (len(targets), -1)), axis=1), np.nan, means)

    def _compile(self, what: str, taps: tuple[Tap, ...] = (), start: str | None = None) -> Callable[..., Any]:
        """A function of stacked weights and arrays, vectorised over frames. NumPy in, NumPy out."""
        if what == "forward":

            def one_frame(weights: Any, inputs: Any) -> Any:
                seen = self._apply(weights, inputs, start)
                self._require_single(start, *(tap.layer for tap in taps))
                return [_at_least_single(seen[tap]) for tap in taps]

            return over_frames(one_frame)
        if what == "losses":
            return over_frames(self._example_losses)
        trainable = [parameter.name for parameter in self._manifest.parameters if parameter.trainable]

        def mean_loss(free: Any, fixed: Any, inputs: Any, targets: Any) -> Any:
            loss = keras.ops.mean(self._example_losses({**fixed, **free}, inputs, targets))
            return loss, loss

        def gradients(weights: Any, inputs: Any, targets: Any) -> Any:
            free = {name: weights[name] for name in trainable}
            fixed = {name: value for name, value in weights.items() if name not in free}
            found, loss = gradient_of(mean_loss)(free, fixed, inputs, targets)
            # The loss that is no number came from no differentiable branch.
            return {name: keras.ops.where(keras.ops.isnan(loss), np.nan, part) for name, part in found.items()}

        return over_frames(gradients)


def _single(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float32) if array.dtype.kind in "fb" else array


def _at_least_single(values: Any) -> Any:
    half = keras.backend.standardize_dtype(values.dtype) in ("float16", "bfloat16")
    return keras.ops.cast(values, "float32") if half else values


def _like(targets: Any, outputs: Any) -> Any:
    """Targets with the rank of the outputs: (example,) and (example, 1) would broadcast to a matrix."""
    if len(targets.shape) == len(outputs.shape) - 1 and outputs.shape[-1] == 1:
        targets = targets[..., None]
    return targets


def _task(shape: tuple[int, ...], targets: Any) -> str:
    """What Keras takes "accuracy" and "crossentropy" for, given the shapes of outputs and targets."""
    if shape[-1] == 1:
        return "Binary"
    return "SparseCategorical" if len(targets.shape) == len(shape) or targets.shape[-1] == 1 else "Categorical"


def _metric(name: str, shape: tuple[int, ...], targets: NDArray[Any]) -> Any:
    if name in ("accuracy", "acc"):
        return getattr(keras.metrics, f"{_task(shape, targets)}Accuracy")()
    try:
        metric = keras.metrics.get(name)
    except ValueError as error:
        raise UnknownName(f"Keras has no metric {name!r}; `recorded` has what was logged in training") from error
    return metric if isinstance(metric, keras.metrics.Metric) else keras.metrics.MeanMetricWrapper(metric)
