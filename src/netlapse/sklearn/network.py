"""A multi-layer perceptron of scikit-learn as a `Network`: NumPy, all frames at once."""

from __future__ import annotations

import importlib
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadProbe, UnknownName, Unsupported
from ..replay.binary import accuracy
from ..replay.network import Tap
from . import architecture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

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

    @property
    def logits(self) -> Tap | None:
        """Before the logistic function of the output."""
        return Tap("output", "pre_activation") if self._described.out_activation == "logistic" else None

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
        outputs, y = self._apply(weights, inputs)[Tap("output")], self._wanted(targets)
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
        values, y, layers = self._apply(weights, inputs), self._wanted(targets), self._described.layers
        # Every one of its losses has this derivative by the output's pre-activation.
        deltas = (values[Tap("output")] - y) / len(inputs)
        if self._described.loss == "squared_error":
            deltas /= y.shape[1]
        found: dict[str, NDArray[Any]] = {}
        for place in reversed(range(len(layers))):
            before = values[Tap(layers[place - 1])] if place else inputs
            found[f"{layers[place]}/coefs"] = np.swapaxes(before, -1, -2) @ deltas
            found[f"{layers[place]}/intercepts"] = deltas.sum(axis=1)
            if place:
                back = deltas @ np.swapaxes(weights[f"{layers[place]}/coefs"], -1, -2)
                deltas = back * _DERIVATIVES[self._described.activation](before)
        return {name: found[name] for name in weights}

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
