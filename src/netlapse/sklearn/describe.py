"""What can be read from an estimator: layers, parameters, hyper-parameters."""

from __future__ import annotations

import math
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ..record import Description, plain
from ..store import Layer, Parameter
from .architecture import Architecture, weights_of

if TYPE_CHECKING:
    from collections.abc import Mapping

# What is the same is called the same in every framework, so that runs can be compared.
_NAMES = {"logistic": "sigmoid", "identity": "linear", "exp": "exponential", "sgd": "SGD", "adam": "Adam"}
_LOSSES = {"binary_log_loss": "binary_crossentropy", "log_loss": "crossentropy"}


def describe(estimator: Any, examples: int, extra: Mapping[str, Any]) -> Description:
    """Everything a run should know of an estimator whose weights are initialised, and that fits so many examples."""
    described = Architecture.of(estimator)
    weights = weights_of(estimator)
    activations = [*[_named(described.activation)] * (len(described.layers) - 1), _named(described.out_activation)]
    files = described.files()
    return Description(
        framework="sklearn",
        backend="numpy",
        versions={
            "python": platform.python_version(),
            "scikit-learn": version("scikit-learn"),
            "numpy": version("numpy"),
        },
        hyperparameters=plain({**_hyperparameters(estimator, described, examples), **extra}),
        layers=tuple(
            Layer(name, "Dense", units, activation)
            for name, units, activation in zip(described.layers, described.units[1:], activations, strict=True)
        ),
        parameters=tuple(
            Parameter(name, array.shape, str(array.dtype), True, name.split("/")[0]) for name, array in weights.items()
        ),
        model={role: name for role, (name, _) in files.items()},
        model_files=dict(files.values()),
    )


def batches_of(estimator: Any, examples: int) -> tuple[int, int]:
    """Size of a batch, and number of batches in an epoch, of a training on so many examples."""
    if estimator.early_stopping:
        examples -= math.ceil(estimator.validation_fraction * examples)
    size = min(200 if estimator.batch_size == "auto" else estimator.batch_size, examples)
    return size, math.ceil(examples / max(1, size))


def _hyperparameters(estimator: Any, described: Architecture, examples: int) -> dict[str, Any]:
    params = estimator.get_params()
    weights = weights_of(estimator)
    batch_size, _ = batches_of(estimator, examples)
    values: dict[str, Any] = {
        "activation": _named(described.activation),
        "layers": len(described.layers),
        "units": list(described.units[1:]),
        "parameters": sum(array.size for array in weights.values()),
        "dtype": str(weights["output/coefs"].dtype),
        "optimizer": _named(params["solver"]),
        "learning_rate": params["learning_rate_init"],
        "loss": _LOSSES.get(described.loss, described.loss),
        "alpha": params["alpha"],
        "batch_size": batch_size,
        "epochs": params["max_iter"],
        "shuffle": params["shuffle"],
        "tol": params["tol"],
        "n_iter_no_change": params["n_iter_no_change"],
        "seed": params["random_state"] if isinstance(params["random_state"], int) else None,
    }
    if params["early_stopping"]:
        values |= {"early_stopping": True, "validation_split": params["validation_fraction"]}
    if params["solver"] == "adam":
        return {**values, **{f"optimizer.{name}": params[name] for name in ("beta_1", "beta_2", "epsilon")}}
    values |= {"optimizer.momentum": params["momentum"], "optimizer.nesterov": params["nesterovs_momentum"]}
    if params["learning_rate"] != "constant":
        values["learning_rate.schedule"] = params["learning_rate"]
    if params["learning_rate"] == "invscaling":
        values["learning_rate.power_t"] = params["power_t"]
    return values


def _named(name: str) -> str:
    return _NAMES.get(name, name)
