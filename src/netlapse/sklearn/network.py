"""A multi-layer perceptron of scikit-learn as a `Network`: NumPy, all frames at once."""

from __future__ import annotations

import importlib
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadProbe, UnknownName, Unsupported
from ..replay.binary import accuracy
from ..replay.network import Head, Tap, in_order
from ..store.examples import named
from . import architecture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from ..replay.link import Link
    from ..replay.network import Shape, StackedWeights
    from ..store import Arrays, Manifest
    from .architecture import Architecture

_special: Any = importlib.import_module("scipy.special")
_metrics: Any = importlib.import_module("sklearn.metrics")

_ACTIVATIONS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "identity": lambda z: z,
    "logistic": _special.expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "softmax": partial(_special.softmax, axis=-1),
    "exp": np.exp,
}
_LINKS: dict[str, Link] = {"logistic": "sigmoid", "softmax": "softmax"}
# By the activation, as scikit-learn has them.
_DERIVATIVES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "identity": np.ones_like,
    "logistic": lambda a: a * (1 - a),
    "tanh": lambda a: 1 - a**2,
    "relu": lambda a: (a != 0).astype(a.dtype),
}
# A training that diverged has overflown; what it makes is shown as it is.
_quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")


class SklearnNetwork:
    """The layers "hidden_1", ..., "output" of an MLPClassifier or MLPRegressor.

    The output of a binary classifier is the probability of the second class, (example, 1).
    """

    def __init__(self, described: Architecture, manifest: Manifest) -> None:
        self._described, self._run = described, manifest.name
        self._itemsize = max(np.dtype(parameter.dtype).itemsize for parameter in manifest.parameters)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The output layer."""
        return ("output",)

    @property
    def input_shapes(self) -> Mapping[str, Shape]:
        """Shape of one example."""
        return {"": (self._described.units[0],)}

    def head(self, output: str) -> Head:
        """What comes before the output's logistic function or softmax; of a regression its output."""
        link = _LINKS.get(self._described.out_activation, "identity")
        return Head(Tap(output, "activation" if link == "identity" else "pre_activation"), link)

    def targets_of(self, targets: Arrays) -> list[NDArray[Any] | None]:
        """The only targets."""
        return in_order(named(targets), self.outputs)

    @property
    def attention_layers(self) -> tuple[str, ...]:
        """None."""
        return ()

    def values_per_example(self, inputs: Arrays) -> int:
        """Numbers held over all layers for one example of one frame, counted in single precision."""
        return 2 * sum(self._described.units[1:]) * max(1, self._itemsize // 4)

    def forward(
        self, weights: StackedWeights, inputs: Any, taps: Sequence[Tap], start: str | None = None
    ) -> list[NDArray[Any]]:
        """Values at each tap, (frame, example, unit)."""
        values = self._apply(weights, inputs, start)
        return [values[tap] for tap in taps]

    @_quiet
    def _apply(self, weights: StackedWeights, inputs: NDArray[Any], start: str | None = None) -> dict[Tap, Any]:
        """Values before and after each layer's activation function; with `start`, of the layers after that one."""
        layers, values, found = self._described.layers, inputs, dict[Tap, Any]()
        for layer in layers[0 if start is None else layers.index(start) + 1 :]:
            z = values @ weights[f"{layer}/coefs"] + weights[f"{layer}/intercepts"][:, None]
            values = _ACTIVATIONS[self._activation(layer)](z)
            found |= {Tap(layer, "pre_activation"): z, Tap(layer): values}
        if start is not None:
            frames = len(weights["output/coefs"])
            found[Tap(start)] = np.broadcast_to(inputs, (frames, *inputs.shape))
        return found

    def _activation(self, layer: str) -> str:
        return self._described.out_activation if layer == "output" else self._described.activation

    @_quiet
    def losses(self, weights: StackedWeights, inputs: Any, targets: Any) -> NDArray[Any]:
        """Loss of each example, (frame, example), as scikit-learn computes it, without its L2 term."""
        return self._example_losses(self._apply(weights, inputs)[Tap("output")], targets)

    def _example_losses(self, outputs: NDArray[Any], targets: Any) -> NDArray[Any]:
        y = self._wanted(targets)
        xlogy = _special.xlogy
        if self._described.loss == "squared_error":
            return 0.5 * ((outputs - y) ** 2).mean(axis=-1)
        if self._described.loss == "poisson":
            return (xlogy(y, y / outputs) - y + outputs).sum(axis=-1)
        eps = np.finfo(outputs.dtype).eps
        p = np.clip(outputs, eps, 1 - eps)
        if self._described.loss == "log_loss":
            return -xlogy(y, p).sum(axis=-1)
        return -(xlogy(y, p) + xlogy(1 - y, 1 - p)).sum(axis=-1)

    def _wanted(self, targets: NDArray[Any]) -> NDArray[Any]:
        """Targets as the output layer should have them, (example, unit)."""
        if self._described.out_activation != "softmax":
            return targets.reshape(len(targets), -1).astype(np.result_type(targets, np.float32), copy=False)
        labels, units = targets.reshape(-1), self._described.units[-1]
        if not np.isin(labels, np.arange(units)).all():
            raise BadProbe(f"targets hold labels other than 0 to {units - 1}, the classes of run {self._run!r}")
        return np.eye(units, dtype=np.float32)[labels.astype(int)]

    def token_losses(self, weights: StackedWeights, inputs: Any, targets: Any) -> NDArray[Any]:
        """Raises Unsupported: an example is one place."""
        raise Unsupported(f"the loss of run {self._run!r} has one number for each example; ask for `losses`")

    @_quiet
    def gradients(self, weights: StackedWeights, inputs: Any, targets: Any) -> dict[str, NDArray[Any]]:
        """Gradient of the mean loss by parameter, by backpropagation.

        scikit-learn's updates of a regression with several outputs take the sum over these for their mean.
        """
        values, layers = self._apply(weights, inputs), self._described.layers
        deltas = dict(zip(layers, self._backpropagate(weights, values, targets), strict=True))
        found: dict[str, NDArray[Any]] = {}
        for place, layer in enumerate(layers):
            before = values[Tap(layers[place - 1])] if place else inputs
            found[f"{layer}/coefs"] = np.swapaxes(before, -1, -2) @ deltas[layer] / len(inputs)
            found[f"{layer}/intercepts"] = deltas[layer].mean(axis=1)
        return {name: found[name] for name in weights}

    @_quiet
    def layer_gradients(
        self, weights: StackedWeights, inputs: Any, targets: Any, layers: Sequence[str]
    ) -> list[NDArray[Any]]:
        """Gradient of each example's loss by the pre-activations of layers, (frame, example, unit)."""
        values = self._apply(weights, inputs)
        found = self._backpropagate(weights, values, targets)
        broken = np.isnan(self._example_losses(values[Tap("output")], targets))[..., None]
        return [np.where(broken, np.nan, found[self._described.layers.index(layer)]) for layer in layers]

    def _backpropagate(self, weights: StackedWeights, values: Mapping[Tap, Any], targets: Any) -> list[NDArray[Any]]:
        """What `layer_gradients` says, of all layers in order."""
        layers, outputs, y = self._described.layers, values[Tap("output")], self._wanted(targets)
        # Every one of its losses has this derivative by the output's pre-activation.
        deltas = (outputs - y).astype(outputs.dtype)
        found = [deltas / y.shape[1] if self._described.loss == "squared_error" else deltas]
        for before, layer in reversed([*pairwise(layers)]):
            back = found[0] @ np.swapaxes(weights[f"{layer}/coefs"], -1, -2)
            found.insert(0, back * _DERIVATIVES[self._described.activation](values[Tap(before)]))
        return found

    def metric(self, name: str, outputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
        """The metric "accuracy" of classifiers, of all labels of an example at once; "r2" of regressors."""
        has = "r2" if self._described.kind == "MLPRegressor" else "accuracy"
        if name != has:
            raise UnknownName(
                f"run {self._run!r} is of an {self._described.kind}, whose metric is {has!r}, not {name!r}; pass a"
                " function of outputs and targets"
            )
        if name == "r2":
            y = targets.reshape(len(targets), -1)
            return np.array([_metrics.r2_score(y, o) if np.isfinite(o).all() else np.nan for o in outputs])
        if self._described.classes is None:
            return ((outputs > 0.5) == (targets > 0.5)).all(axis=-1).mean(axis=-1)
        return accuracy(outputs, targets, logits=False)

    def model(self, weights: Mapping[str, NDArray[Any]]) -> Any:
        """An estimator of its own with these weights, which predicts as the recorded one did."""
        return self._described.estimator(weights)


def network_of_run(
    manifest: Manifest, read: Callable[[str], bytes], model: Any = None, loss: Any = None
) -> SklearnNetwork:
    """The network of a recorded run."""
    if model is not None or loss is not None:
        raise Unsupported("a run of scikit-learn holds its network and its loss; leave out model= and loss=")
    return SklearnNetwork(architecture.read(manifest, read("architecture")), manifest)
