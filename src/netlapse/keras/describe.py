"""What can be read from a Keras model and its optimiser: layers, parameters, hyper-parameters."""

from __future__ import annotations

import inspect
import json
import math
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..record import Description
from ..store import Layer, Parameter
from .backend import keras

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def layers_of(model: Any) -> list[Any]:
    """The model's layers in the order in which they were added, without its inputs."""
    return [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]


def parameters_of(model: Any) -> dict[str, tuple[Parameter, Any]]:
    """Every weight of the model by name, "layer/variable", with the Keras variable that holds it."""
    found: dict[str, tuple[Parameter, Any]] = {}
    trainable = {id(variable) for variable in model.trainable_weights}
    for layer in layers_of(model):
        for variable in layer.weights:
            # What follows the layer's own name in the path: the paths of the same weight differ from copy to copy.
            path = variable.path.split("/")
            inner = path[path.index(layer.name) + 1 :] if layer.name in path[:-1] else path[-1:]
            name = "/".join([layer.name, *inner])
            while name in found:
                name += "_"
            parameter = Parameter(
                name, tuple(variable.shape), str(variable.dtype), id(variable) in trainable, layer.name
            )
            found[name] = (parameter, variable)
    return found


def describe(model: Any, extra: Mapping[str, Any], fit: Mapping[str, Any]) -> Description:
    """Everything a run should know of this model. `fit` holds arguments of `fit`, `extra` the user's own entries."""
    config: dict[str, Any] = json.loads(model.to_json())
    # A loss or metric of the user's own could not be read back with the architecture: they are kept apart.
    compiled = config.pop("compile_config", None)
    files = {"keras.json": json.dumps(config, indent=1).encode()}
    entries = {"architecture": "keras.json"}
    if compiled is not None:
        files["compile.json"] = json.dumps(compiled, indent=1).encode()
        entries["compile"] = "compile.json"
    backend = keras.backend.backend()
    return Description(
        framework="keras",
        backend=backend,
        versions={
            "python": platform.python_version(),
            "keras": keras.__version__,
            **_version(backend),
            **_version("numpy"),
        },
        hyperparameters=plain({**hyperparameters(model, fit), **extra}),
        layers=tuple(_layer(layer) for layer in layers_of(model)),
        parameters=tuple(parameter for parameter, _ in parameters_of(model).values()),
        model=entries,
        model_files=files,
    )


def _version(package: str) -> dict[str, str]:
    try:
        return {package: version(package)}
    except PackageNotFoundError:
        return {}


def _layer(layer: Any) -> Layer:
    shape = getattr(getattr(layer, "output", None), "shape", ())
    units = getattr(layer, "units", None) or getattr(layer, "filters", None) or (shape[-1] if shape else None)
    return Layer(layer.name, type(layer).__name__, units, activation_name(layer))


def activation_name(layer: Any) -> str | None:
    """Name of the activation function that a layer applies, if it does."""
    activation = getattr(layer, "activation", None)
    return _name(activation) if callable(activation) else None


def hyperparameters(model: Any, fit: Mapping[str, Any]) -> dict[str, Any]:
    """Hyper-parameters in one flat dict, so that two runs can be compared entry by entry."""
    layers = layers_of(model)
    hidden = [layer for layer in layers[:-1] if hasattr(layer, "kernel_initializer")]
    values: dict[str, Any] = {
        "activation": _one([activation_name(layer) for layer in hidden]),
        "initializer": _one([_name(layer.kernel_initializer) for layer in hidden]),
        "layers": len(layers),
        "units": [layer.units if hasattr(layer, "units") else getattr(layer, "filters", None) for layer in layers],
        "parameters": int(model.count_params()),
        "dtype": model.dtype_policy.name,
    }
    for layer in layers:
        for role in ("kernel", "bias"):
            initializer = getattr(layer, f"{role}_initializer", None)
            if initializer is not None:
                values[f"{layer.name}.{role}_initializer"] = _name(initializer)
                settings: dict[str, Any] = initializer.get_config() if hasattr(initializer, "get_config") else {}
                values |= {f"{layer.name}.{role}_initializer.{key}": value for key, value in settings.items()}
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        settings = optimizer.get_config()
        values["optimizer"] = type(optimizer).__name__
        values["learning_rate"] = settings.get("learning_rate")
        values |= {f"optimizer.{key}": value for key, value in settings.items() if key not in ("name", "learning_rate")}
    if getattr(model, "compiled", False):
        values["loss"] = loss_name(model)
    return {**values, **fit}


def loss_name(model: Any) -> str:
    """Name of the loss that the model is compiled with, such as "binary_crossentropy"; "" if it is not."""
    return _name(model.loss) if getattr(model, "compiled", False) and model.loss is not None else ""


def fit_arguments(model: Any) -> dict[str, Any]:
    """The arguments of the running `fit` that matter to a run.

    Keras tells its callbacks the epochs and the steps only, not the batch size nor the class weights: they are
    read, never written, in the frame of the `fit` that called us.
    """
    for caller in _callers():
        if caller.f_code.co_name == "fit" and caller.f_locals.get("self") is model:
            given = caller.f_locals
            adapter = getattr(given.get("epoch_iterator"), "data_adapter", None)
            batch_size = given.get("batch_size") or getattr(adapter, "batch_size", None)
            found = {
                "batch_size": batch_size,
                "epochs": given.get("epochs"),
                "shuffle": given.get("shuffle"),
                "initial_epoch": given.get("initial_epoch") or 0,
            }
            optional = {key: given.get(key) for key in ("class_weight", "steps_per_epoch")}
            return {**found, **{key: value for key, value in optional.items() if value is not None}}
    return {}


def _callers() -> Iterator[Any]:
    frame = inspect.currentframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


def _name(thing: Any) -> str:
    if isinstance(thing, str):
        return thing
    config: Any = keras.saving.serialize_keras_object(thing) if thing is not None else None
    if isinstance(config, dict):
        config = cast("dict[str, Any]", config)
        inner: Any = config["config"]
        # Functions are stored as {"class_name": "function", "config": "relu"}.
        name = inner if isinstance(inner, str) else config.get("class_name")
        return _snake(str(name))
    return str(getattr(thing, "__name__", config if config is not None else type(thing).__name__))


def _snake(name: str) -> str:
    return "".join(
        f"_{c.lower()}" if c.isupper() and i and not name[i - 1].isupper() else c.lower() for i, c in enumerate(name)
    )


def _one(names: list[Any]) -> Any:
    return names[0] if len(set(names)) == 1 else names or None


def plain(value: Any) -> Any:
    """The value as JSON knows it; what JSON cannot say becomes text."""
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return _plain_float(value)
    if isinstance(value, np.generic) or (hasattr(value, "item") and getattr(value, "ndim", None) == 0):
        return plain(value.item())
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in cast("dict[Any, Any]", value).items() if entry is not None}
    if isinstance(value, list | tuple | set | np.ndarray):
        return [plain(entry) for entry in cast("list[Any]", value)]
    return str(value)


def _plain_float(value: float) -> float | str:
    if not math.isfinite(value):
        return str(value)
    # What was a float32 is written as a person would: 0.05, not 0.05000000074505806.
    if abs(value) < np.finfo(np.float32).max and float(np.float32(value)) == value:
        return float(str(np.float32(value)))
    return value
