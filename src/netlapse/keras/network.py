"""A Keras model as a `Network`: evaluated for many frames at once on the JAX and torch backends."""

from __future__ import annotations

import math
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NetlapseError, UnknownName, Unsupported
from ..replay.link import LINKS
from ..replay.network import Head, Tap
from ..store.examples import each
from .backend import keras
from .describe import activation_name, parameters_of
from .graph import applications, goes_round, graph_of, maker_of
from .losses import example_losses, like, link_of_loss, losses_of, task
from .over_frames import gradient_of, over_frames
from .rebuild import copy_of, rebuild
from .sides import inputs_of, targets_of
from .tapped import ATTENTION_LAYERS, Tapped

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from numpy.typing import NDArray

    from ..replay.network import StackedWeights
    from ..store import Arrays, Manifest


class KerasNetwork:
    """The architecture of a Keras model, tapped: one call yields the values of any layer.

    The weights of a frame are passed in at every call; the model's own are never looked at.
    """

    def __init__(self, make: Callable[[], Any], manifest: Manifest) -> None:
        self._make, self._run, self._manifest = make, manifest.name, manifest
        self._model: Any = make()
        self._variables = self._variables_of(self._model)
        # By place, not by name: the same code run twice calls its layers "dense" and then "dense_1".
        self._tapped = Tapped(self._model, [layer.name for layer in manifest.layers])
        self._compiled = cache(self._compile)
        self.head = cache(self._head)

    def _variables_of(self, model: Any) -> dict[str, Any]:
        """The model's variables by the run's names. Raises Unsupported for a model of another architecture."""
        found = list(parameters_of(model).values())
        wanted = self._manifest.parameters
        if [parameter.shape for parameter, _ in found] != [parameter.shape for parameter in wanted] or len(
            applications(model)
        ) != len(self._manifest.layers):
            raise Unsupported(
                f"run {self._run!r} was recorded from another model: its weights are"
                f" {', '.join(f'{p.name} {p.shape}' for p in wanted)}; pass a model built as the recorded one was"
            )
        return {parameter.name: variable for parameter, (_, variable) in zip(wanted, found, strict=True)}

    @property
    def input_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Shape of one example by input; the only one has the name ""."""
        shapes = {tensor.name: tuple(tensor.shape[1:]) for tensor in self._tapped.inputs}
        return shapes if len(shapes) > 1 else {"": next(iter(shapes.values()))}

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the layers that make the outputs; "name:1" is the second output of a layer."""
        made = {id(each.node): name for name, each in self._tapped.applications.items() if not each.within}
        found: list[str] = []
        for tensor in graph_of(self._model).outputs:
            operation, node, place = tensor._keras_history
            name = made.get(id(operation._inbound_nodes[node]), str(operation.name))
            found.append(f"{name}:{place}" if place else name)
        return tuple(found)

    def values_per_example(self, inputs: Arrays) -> int:
        """Numbers held over all layers for one example of one frame."""
        tensors = [tensor for each in self._tapped.applications.values() for tensor in each.node.output_tensors]
        # Before and after the activation function.
        return 2 * sum(math.prod(size or 1 for size in tensor.shape[1:]) for tensor in tensors)

    def _head(self, output: str) -> Head:
        """Before a final sigmoid or softmax; else the output itself, as its loss takes it."""
        place = self.outputs.index(output)
        maker, tensor = maker_of(self._model, place), graph_of(self._model).outputs[place]
        last_axis = getattr(maker and maker.layer, "axis", -1) in (-1, len(tensor.shape) - 1)
        link = LINKS.get(activation_name(maker.layer) or "") if maker and last_axis else None
        if maker is not None and link is not None:
            return Head(Tap(self._name_of(maker), "pre_activation"), link)
        loss = next((each for each in losses_of(self._model) if each.output == place), None)
        link, log = link_of_loss(loss, tensor.shape[1:])
        return Head(Tap(output), link, log)

    def targets_of(self, targets: Arrays) -> list[NDArray[Any] | None]:
        """The targets in the order of the outputs, by the names that Keras knows them by."""
        return targets_of(self._model, targets, [each.output for each in losses_of(self._model)])

    @property
    def attention_layers(self) -> tuple[str, ...]:
        """Keras' own attention layers."""
        return tuple(
            name for name, each in self._tapped.applications.items() if isinstance(each.layer, ATTENTION_LAYERS)
        )

    def forward(
        self, weights: StackedWeights, inputs: Arrays, taps: Sequence[Tap], start: str | None = None
    ) -> list[NDArray[Any]]:
        """Values at each tap, (frame, example, ...)."""
        if start is not None:
            self._require_bottleneck(start)
        with self._evaluating():
            return self._compiled("forward", tuple(taps), start)(weights, self._inputs(inputs))

    def losses(self, weights: StackedWeights, inputs: Arrays, targets: Arrays) -> NDArray[Any]:
        """Loss of each example, (frame, example): of several outputs the weighted sum of their losses."""
        with self._evaluating():
            return self._compiled("losses")(weights, self._inputs(inputs), each(targets, _single))

    def token_losses(self, weights: StackedWeights, inputs: Arrays, targets: Arrays) -> NDArray[Any]:
        """Loss of each place of each example, (frame, example, place ...)."""
        with self._evaluating():
            return self._compiled("token_losses")(weights, self._inputs(inputs), each(targets, _single))

    def gradients(self, weights: StackedWeights, inputs: Arrays, targets: Arrays) -> dict[str, NDArray[Any]]:
        """Gradient of the mean loss by trainable parameter."""
        with self._evaluating():
            return self._compiled("gradients")(weights, self._inputs(inputs), each(targets, _single))

    def layer_gradients(
        self, weights: StackedWeights, inputs: Arrays, targets: Arrays, layers: Sequence[str]
    ) -> list[NDArray[Any]]:
        """Gradient of each example's loss by the pre-activations of layers, (frame, example, ...)."""
        with self._evaluating():
            taps = tuple(Tap(layer, "pre_activation") for layer in layers)
            return self._compiled("layer_gradients", taps)(weights, self._inputs(inputs), each(targets, _single))

    def _inputs(self, inputs: Arrays) -> list[NDArray[Any]]:
        return [_single(array) for array in inputs_of(self._model, inputs)]

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
            metric.update_state(like(targets, output), output)
            found.append(float(metric.result()))
        return np.array(found)

    def model(self, weights: Mapping[str, NDArray[Any]]) -> Any:
        """A Keras model of its own with these weights, compiled as in training where Keras could store that."""
        model = self._make()
        for name, variable in self._variables_of(model).items():
            variable.assign(weights[name])
        return model

    def _name_of(self, maker: Any) -> str:
        """The run's name of an application."""
        return next(name for name, each in self._tapped.applications.items() if each.name == maker.name)

    def _apply(
        self,
        weights: Mapping[str, Any],
        inputs: Any,
        start: str | None = None,
        shifts: Mapping[str, Any] | None = None,
        *,
        attention: bool = False,
    ) -> tuple[dict[Tap, Any], Any]:
        """Values at all taps, and the outputs."""
        variables = [(self._variables[name], value) for name, value in weights.items()]
        seen, outputs = self._tapped(variables, inputs, start, shifts, attention=attention)
        return {**seen, **{Tap(name): output for name, output in zip(self.outputs, outputs, strict=True)}}, outputs

    def _require_bottleneck(self, start: str) -> None:
        """Raise Unsupported unless every path through the network passes this layer."""
        if goes_round(self._model, self._tapped.applications[start]):
            raise Unsupported(
                f"run {self._run!r} has connections that go round layer {start!r}, so that its activations alone do not"
                " decide the output; choose a layer that everything passes through"
            )

    def _example_losses(
        self,
        weights: Mapping[str, Any],
        inputs: Any,
        targets: Any,
        tokens: bool = False,
        shifts: Mapping[str, Any] | None = None,
    ) -> Any:
        if not losses_of(self._model):
            loss = self._manifest.hyperparameters.get("loss")
            known = f" that Keras can rebuild by itself ({loss}); register it, or" if loss else ";"
            raise Unsupported(
                f"run {self._run!r} was recorded without a loss{known} pass the compiled model:"
                " netlapse.open(path, model=your_model)"
            )
        _, outputs = self._apply(weights, inputs, shifts=shifts)
        return example_losses(self._model, outputs, targets, tokens=tokens)

    def _compile(self, what: str, taps: tuple[Tap, ...] = (), start: str | None = None) -> Callable[..., Any]:
        """A function of stacked weights and arrays, vectorised over frames. NumPy in, NumPy out."""
        if what == "forward":
            attention = any(tap.moment == "attention" for tap in taps)

            def one_frame(weights: Any, inputs: Any) -> Any:
                seen, _ = self._apply(weights, inputs, start, attention=attention)
                return [_at_least_single(seen[tap]) for tap in taps]

            return over_frames(one_frame)
        if what == "losses":
            return over_frames(self._example_losses)
        if what == "token_losses":
            return over_frames(partial(self._example_losses, tokens=True))
        if what == "layer_gradients":
            return over_frames(partial(self._layer_gradients, taps))
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

    def _layer_gradients(self, taps: Sequence[Tap], weights: Any, inputs: Any, targets: Any) -> list[Any]:
        """By what is added to the pre-activations: nothing, but the loss depends on it."""
        seen, _ = self._apply(weights, inputs)
        nothing = {tap.layer: keras.ops.zeros(seen[tap].shape, "float32") for tap in taps}

        def total_loss(shifts: Any) -> Any:
            losses = self._example_losses(weights, inputs, targets, shifts=shifts)
            return keras.ops.sum(losses), losses

        found, losses = gradient_of(total_loss)(nothing)
        # The loss that is no number came from no differentiable branch.
        return [_marked(found[tap.layer], keras.ops.isnan(losses)) for tap in taps]


def network_of_run(
    manifest: Manifest, read: Callable[[str], bytes], model: Any = None, loss: Any = None
) -> KerasNetwork:
    """The network of a recorded run, rebuilt from its architecture, or from the user's own model.

    Runs no code of the run's: Keras refuses what would need it, and then asks for `model`.
    """
    if loss is not None:
        raise Unsupported(
            "a Keras model brings its own loss: compile it with that, and pass netlapse.open(path, model=)"
        )
    if model is not None:
        return KerasNetwork(partial(copy_of, model, manifest, read), manifest)
    return KerasNetwork(partial(rebuild, manifest, read), manifest)


def _single(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float32) if array.dtype.kind in "fb" else array


def _at_least_single(values: Any) -> Any:
    half = keras.backend.standardize_dtype(values.dtype) in ("float16", "bfloat16")
    return keras.ops.cast(values, "float32") if half else values


def _marked(values: Any, broken: Any) -> Any:
    """NaN for the examples that are broken."""
    return keras.ops.where(keras.ops.reshape(broken, (-1, *[1] * (values.ndim - 1))), np.nan, values)


def _metric(name: str, shape: tuple[int, ...], targets: NDArray[Any]) -> Any:
    if name in ("accuracy", "acc"):
        return getattr(keras.metrics, f"{task(shape, targets)}Accuracy")()
    try:
        metric = keras.metrics.get(name)
    except ValueError as error:
        raise UnknownName(f"Keras has no metric {name!r}; `recorded` has what was logged in training") from error
    return metric if isinstance(metric, keras.metrics.Metric) else keras.metrics.MeanMetricWrapper(metric)
