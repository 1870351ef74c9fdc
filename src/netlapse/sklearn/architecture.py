"""What rebuilds a multi-layer perceptron: a small JSON file, nothing pickled."""

from __future__ import annotations

import importlib
import json
import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from ..errors import DamagedRun
from ..record import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ..store import Manifest

neural_network: Any = importlib.import_module("sklearn.neural_network")
preprocessing: Any = importlib.import_module("sklearn.preprocessing")

Kind = Literal["MLPClassifier", "MLPRegressor"]
KINDS: tuple[Kind, ...] = ("MLPClassifier", "MLPRegressor")
_HIDDEN = ("identity", "logistic", "tanh", "relu")
_FILE = "sklearn.json"


def kind_of(estimator: Any) -> Kind | None:
    """Which multi-layer perceptron the estimator is, if it is one."""
    return next((kind for kind in KINDS if isinstance(estimator, getattr(neural_network, kind))), None)


def layer_names(layers: int) -> tuple[str, ...]:
    """The names "hidden_1", ..., "output"."""
    return (*(f"hidden_{place}" for place in range(1, layers)), "output")


def weights_of(estimator: Any) -> dict[str, NDArray[Any]]:
    """The estimator's own arrays by parameter: "hidden_1/coefs", "hidden_1/intercepts", ..."""
    found: dict[str, NDArray[Any]] = {}
    names = layer_names(len(estimator.coefs_))
    for name, coefs, intercepts in zip(names, estimator.coefs_, estimator.intercepts_, strict=True):
        found |= {f"{name}/coefs": coefs, f"{name}/intercepts": intercepts}
    return found


@dataclass(frozen=True)
class Architecture:
    """An estimator without its weights.

    `units` counts the features and the units of each layer. `classes` are the labels as `fit` saw them; None for
    regression and for several labels at once.
    """

    kind: Kind
    params: dict[str, Any]
    units: tuple[int, ...]
    out_activation: str
    classes: list[Any] | None

    @classmethod
    def of(cls, estimator: Any) -> Architecture:
        """The architecture of an estimator whose weights are initialised."""
        kind = kind_of(estimator)
        assert kind is not None
        known = getattr(neural_network, kind)().get_params()
        params = {name: value for name, value in estimator.get_params().items() if name in known}
        if not isinstance(params["random_state"], int):
            params["random_state"] = None  # a generator, whose state is no setting
        units = (estimator.n_features_in_, *(len(intercepts) for intercepts in estimator.intercepts_))
        single = kind == "MLPClassifier" and not estimator._label_binarizer.y_type_.startswith("multilabel")
        classes = plain(estimator.classes_.tolist()) if single else None
        return cls(
            kind, {name: plain(value) for name, value in params.items()}, units, estimator.out_activation_, classes
        )

    def files(self) -> dict[str, tuple[str, bytes]]:
        """Name and content of the run's file by role."""
        return {"architecture": (_FILE, json.dumps(asdict(self), indent=1).encode())}

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers."""
        return layer_names(len(self.units) - 1)

    @property
    def activation(self) -> str:
        """Activation function of the hidden layers, as scikit-learn calls it."""
        return self.params["activation"]

    @property
    def loss(self) -> str:
        """The loss, as scikit-learn calls its functions."""
        if self.kind == "MLPRegressor":
            return self.params.get("loss", "squared_error")
        return "binary_log_loss" if self.out_activation == "logistic" else "log_loss"

    def estimator(self, weights: Mapping[str, NDArray[Any]]) -> Any:
        """An estimator of its own with these weights, which predicts, and can be trained on."""
        made = self.unfitted()
        made.n_features_in_ = self.units[0]
        if self.kind == "MLPClassifier":
            outputs = self.units[-1]
            labels = np.array(self.classes) if self.classes is not None else np.eye(2, outputs, dtype=int)
            made._label_binarizer = preprocessing.LabelBinarizer().fit(labels)
            made.classes_ = made._label_binarizer.classes_
        made._random_state = np.random.RandomState(0)
        dtype = weights["output/coefs"].dtype
        made._initialize(np.empty((1, self.units[-1])), list(self.units), dtype)
        made.coefs_ = [weights[f"{layer}/coefs"].copy() for layer in self.layers]
        made.intercepts_ = [weights[f"{layer}/intercepts"].copy() for layer in self.layers]
        return made

    def unfitted(self) -> Any:
        """An estimator with these settings."""
        return getattr(neural_network, self.kind)(**{name: _as_given(value) for name, value in self.params.items()})


def _as_given(value: Any) -> Any:
    """What JSON has no word for."""
    if isinstance(value, list):
        return tuple(cast("list[Any]", value))
    return math.inf if value == "inf" else value


def read(manifest: Manifest, content: bytes) -> Architecture:
    """The architecture of a run. Raises DamagedRun for what nobody recorded: the file may be a stranger's."""
    try:
        entries: dict[str, Any] = json.loads(content)
        entries["units"] = tuple(entries["units"])
        found = Architecture(**entries)
        _check(found, manifest)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedRun(
            f"{_FILE} of run {manifest.name!r} describes no network that scikit-learn could have recorded"
            f" ({str(error)[:200]}); restore it from a copy"
        ) from error
    return found


def _check(found: Architecture, manifest: Manifest) -> None:
    _require(found.kind in KINDS and isinstance(found.params, dict), "its class")  # pyright: ignore
    _require(len(found.units) > 1 and _are(found.units, int), "its units")
    shapes = [
        shape
        for (before, after), layer in zip(pairwise(found.units), found.layers, strict=True)
        for shape in ((f"{layer}/coefs", (before, after)), (f"{layer}/intercepts", (after,)))
    ]
    _require([(p.name, p.shape) for p in manifest.parameters] == shapes, "its units")
    _require({p.dtype for p in manifest.parameters} <= {"float32", "float64"}, "its precision")
    estimator = found.unfitted()
    estimator._validate_params()
    hidden: Any = estimator.hidden_layer_sizes
    _require([*found.units[1:-1]] == ([hidden] if isinstance(hidden, int) else [*hidden]), "its hidden layers")
    _require(found.activation in _HIDDEN, "its activation")
    outputs, classes = max(found.units[-1:]), found.classes
    _require(classes is None or any(_are(classes, kind) for kind in (bool, int, float, str)), "its classes")
    if found.kind == "MLPRegressor":
        wanted = "exp" if found.loss == "poisson" else "identity"
    elif classes is None:
        wanted = "logistic" if outputs > 1 else ""
    else:
        _require(len(set(classes)) == len(classes), "its classes")
        binary = len(classes) <= 2
        wanted = "logistic" if binary else "softmax"
        _require(outputs == (1 if binary else len(classes)), "its classes")
    _require(found.out_activation == wanted, "its output")


def _are(values: Any, kind: type) -> bool:
    return isinstance(values, list | tuple) and all(type(value) is kind for value in cast("Sequence[Any]", values))


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)
