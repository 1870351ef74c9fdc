"""A Keras model as a `Network`: evaluated for many frames at once on the JAX and torch backends."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import Unsupported
from ..replay.network import Tap
from .backend import keras
from .describe import activation_name, layers_of, parameters_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from ..replay.network import StackedWeights
    from ..store import Manifest


class KerasNetwork:
    """The architecture of a Keras model, tapped: one call yields the values of any layer.

    The weights of a frame are passed in at every call; the model's own are never looked at.
    """

    def __init__(self, make: Callable[[], Any], name: str) -> None:
        self._make, self._name = make, name
        self._model: Any = make()
        if len(self._model.inputs) != 1 or len(self._model.outputs) != 1:
            raise Unsupported(
                f"run {name!r} has a network with {len(self._model.inputs)} inputs and {len(self._model.outputs)}"
                " outputs; networks with one input and one output are supported"
            )
        self._variables = {key: variable for key, (_, variable) in parameters_of(self._model).items()}
        self._trainable = [key for key, (parameter, _) in parameters_of(self._model).items() if parameter.trainable]
        self._seen: dict[Tap, Any] = {}
        self._exchange: tuple[str, Any] | None = None
        for layer in layers_of(self._model):
            self._tap(layer)
        self._compiled = lru_cache(maxsize=None)(self._compile)

    @classmethod
    def of_run(cls, manifest: Manifest, read: Callable[[str], bytes], model: Any = None) -> KerasNetwork:
        """The network of a recorded run, rebuilt from its architecture, or from the user's own model.

        Runs no code of the run's: Keras refuses what would need it, and then asks for `model`.
        """
        if model is not None:
            return cls(lambda: _copy(model), manifest.name)
        architecture = read("architecture").decode()
        compiled = json.loads(read("compile")) if "compile" in manifest.model else None

        def make() -> Any:
            try:
                rebuilt = keras.models.model_from_json(architecture)
            except (ValueError, TypeError, ImportError) as error:
                raise Unsupported(
                    f"run {manifest.name!r} has a network that Keras cannot rebuild by itself"
                    f" ({str(error).splitlines()[0]}); pass it: netlapse.open(path, model=your_model)"
                ) from error
            if compiled is not None:
                _compile_as(rebuilt, compiled)
            return rebuilt

        return cls(make, manifest.name)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Shape of one example."""
        return tuple(self._model.inputs[0].shape[1:])

    @property
    def output(self) -> str:
        """Name of the last layer."""
        return str(
            layers_of(self._model)[-1].name
            if self._sequential
            else self._model.outputs[0]._keras_history.operation.name
        )

    @property
    def _sequential(self) -> bool:
        return isinstance(self._model, keras.Sequential)

    @property
    def values_per_example(self) -> int:
        """Numbers held over all layers for one example of one frame."""
        shapes = [layer.output.shape[1:] for layer in layers_of(self._model)]
        # Before and after the activation function.
        return 2 * sum(int(np.prod([size or 1 for size in shape])) for shape in shapes)

    @property
    def logits(self) -> Tap | None:
        """Before a final sigmoid, or the output itself where the loss takes logits."""
        last = next((layer for layer in layers_of(self._model) if layer.name == self.output), None)
        if last is not None and activation_name(last) == "sigmoid":
            return Tap(self.output, "pre_activation")
        from_logits = getattr(self._loss, "_fn_kwargs", {}).get("from_logits", False)
        return Tap(self.output) if from_logits else None

    @property
    def _loss(self) -> Any:
        loss = self._model.loss if getattr(self._model, "compiled", False) else None
        return keras.losses.get(loss) if isinstance(loss, str | dict) else loss

    def forward(
        self, weights: StackedWeights, inputs: NDArray[Any], taps: Sequence[Tap], start: str | None = None
    ) -> list[NDArray[Any]]:
        """Values at each tap, (frame, example, ...)."""
        if start is not None:
            self._require_bottleneck(start)
        run = self._compiled("forward", tuple(taps), start)
        return run(weights, _single(inputs))

    def losses(self, weights: StackedWeights, inputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
        """Loss of each example, (frame, example)."""
        return self._compiled("losses")(weights, _single(inputs), _single(targets))

    def gradients(
        self, weights: StackedWeights, inputs: NDArray[Any], targets: NDArray[Any]
    ) -> dict[str, NDArray[Any]]:
        """Gradient of the mean loss by trainable parameter."""
        return self._compiled("gradients")(weights, _single(inputs), _single(targets))

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
        for name, (_, variable) in parameters_of(model).items():
            variable.assign(weights[name])
        return model

    def _tap(self, layer: Any) -> None:
        """Make the layer leave its values, before and after its activation function, in `self._seen`."""
        call = layer.call
        # A recurrent layer applies its activation within a loop: what passes there are not its pre-activations.
        inner = isinstance(layer, keras.layers.RNN | keras.layers.Wrapper | keras.layers.MultiHeadAttention)
        own = activation_name(layer) is not None and not inner
        if own:
            activation = layer.activation

            def activate(values: Any, *args: Any, **kwargs: Any) -> Any:
                self._seen[Tap(layer.name, "pre_activation")] = values
                return activation(values, *args, **kwargs)

            # Keras asks an activation for its name when it describes a layer.
            activate.__name__ = getattr(activation, "__name__", "activation")
            layer.activation = activate
        stateless_activation = isinstance(
            layer,
            keras.layers.ReLU | keras.layers.LeakyReLU | keras.layers.PReLU | keras.layers.ELU | keras.layers.Softmax,
        )

        def tapped(*args: Any, **kwargs: Any) -> Any:
            values = call(*args, **kwargs)
            if self._exchange is not None and self._exchange[0] == layer.name:
                values = self._exchange[1]
            self._seen[Tap(layer.name)] = values
            if not own:
                self._seen[Tap(layer.name, "pre_activation")] = args[0] if stateless_activation and args else values
            return values

        layer.call = tapped

    def _apply(self, weights: Mapping[str, Any], inputs: Any, start: str | None = None) -> Any:
        """Outputs of the model; with `start`, of what comes after that layer, given its activations."""
        self._seen.clear()
        if start is not None:
            # The whole model runs on any input at all, and the layer's output is exchanged for what was given.
            self._exchange = (start, inputs)
            shape = [size or 1 for size in self.input_shape]
            inputs = keras.ops.zeros((inputs.shape[0], *shape), dtype=self._model.inputs[0].dtype)
        try:
            with keras.StatelessScope(
                state_mapping=[(self._variables[name], value) for name, value in weights.items()]
            ):
                outputs = self._model(inputs, training=False)
        finally:
            self._exchange = None
        outputs = cast("Any", outputs[0] if isinstance(outputs, list) else outputs)
        self._seen[Tap(self.output)] = outputs
        return outputs

    def _require_bottleneck(self, start: str) -> None:
        """Raise Unsupported unless every path through the network passes this layer."""
        tensors = list(self._model.outputs)
        while tensors:
            operation, node, _ = tensors.pop()._keras_history
            if operation.name == start:
                continue
            if operation._inbound_nodes[node].is_input:
                raise Unsupported(
                    f"run {self._name!r} has connections that go round layer {start!r}, so that its activations alone"
                    " do not decide the output; choose a layer that everything passes through"
                )
            tensors += operation._inbound_nodes[node].input_tensors

    def _example_losses(self, weights: Mapping[str, Any], inputs: Any, targets: Any) -> Any:
        loss = self._loss
        if loss is None or isinstance(loss, list | dict):
            raise Unsupported(
                f"run {self._name!r} was recorded without a loss that Keras can rebuild by itself; pass the"
                " compiled model: netlapse.open(path, model=your_model)"
            )
        outputs = self._apply(weights, inputs)
        values = (loss.call if isinstance(loss, keras.losses.Loss) else loss)(_like(targets, outputs), outputs)
        return keras.ops.mean(keras.ops.reshape(values, (len(targets), -1)), axis=1)

    def _compile(self, what: str, taps: tuple[Tap, ...] = (), start: str | None = None) -> Callable[..., Any]:
        """A function of stacked weights and arrays, vectorised over frames. NumPy in, NumPy out."""
        if what == "forward":

            def one_frame(weights: Any, inputs: Any) -> Any:
                self._apply(weights, inputs, start)
                return [self._seen[tap] for tap in taps]

            return _over_frames(one_frame)
        if what == "losses":
            return _over_frames(self._example_losses)

        def mean_loss(free: Any, fixed: Any, inputs: Any, targets: Any) -> Any:
            return keras.ops.mean(self._example_losses({**fixed, **free}, inputs, targets))

        def gradients(weights: Any, inputs: Any, targets: Any) -> Any:
            free = {name: weights[name] for name in self._trainable}
            fixed = {name: value for name, value in weights.items() if name not in free}
            return _gradient(mean_loss)(free, fixed, inputs, targets)

        return _over_frames(gradients)


def _over_frames(function: Callable[..., Any]) -> Callable[..., Any]:
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        @cache
        def vectorised(arguments: int) -> Any:
            return jax.jit(jax.vmap(function, in_axes=(0, *[None] * arguments)))

        def run(weights: Any, *arrays: NDArray[Any]) -> Any:
            return jax.tree.map(np.asarray, vectorised(len(arrays))(dict(weights), *arrays))

        return run
    if backend == "torch":
        import torch

        device = keras.src.backend.torch.core.get_device()

        def run_torch(weights: Any, *arrays: NDArray[Any]) -> Any:
            stacked = {name: torch.as_tensor(value, device=device) for name, value in weights.items()}
            tensors = [torch.as_tensor(array, device=device) for array in arrays]
            with torch.no_grad():
                found = torch.func.vmap(function, in_dims=(0, *[None] * len(tensors)))(stacked, *tensors)
            return keras.tree.map_structure(keras.ops.convert_to_numpy, found)

        return run_torch
    raise Unsupported(
        f"Keras runs on its {backend!r} backend; runs are replayed on jax or torch: set KERAS_BACKEND before Keras is"
        " imported"
    )


def _gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    if keras.backend.backend() == "jax":
        import jax

        gradient: Any = jax.grad(function)
    else:
        import torch

        gradient = torch.func.grad(function)
    return gradient


def _single(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float32) if array.dtype.kind in "fb" else array


def _like(targets: Any, outputs: Any) -> Any:
    """Targets with the rank of the outputs: (example,) and (example, 1) would broadcast to a matrix."""
    if len(targets.shape) == len(outputs.shape) - 1 and outputs.shape[-1] == 1:
        targets = targets[..., None]
    return targets


def _metric(name: str, shape: tuple[int, ...], targets: NDArray[Any]) -> Any:
    if name in ("accuracy", "acc"):
        if shape[-1:] == (1,):
            return keras.metrics.BinaryAccuracy()
        sparse = targets.ndim == len(shape) or targets.shape[-1] == 1
        return keras.metrics.SparseCategoricalAccuracy() if sparse else keras.metrics.CategoricalAccuracy()
    metric = keras.metrics.get(name)
    return metric if isinstance(metric, keras.metrics.Metric) else keras.metrics.MeanMetricWrapper(metric)


def _copy(model: Any) -> Any:
    copy = keras.models.clone_model(model)
    if getattr(model, "compiled", False):
        copy.compile(loss=model.loss)
    return copy


def _compile_as(model: Any, config: dict[str, Any]) -> None:
    """Compile as the recorded model was. What Keras cannot read back (a loss of the user's own) is left out."""
    try:
        model.compile_from_config(config)
    except (ValueError, TypeError, ImportError):
        return
