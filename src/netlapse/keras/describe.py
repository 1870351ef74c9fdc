"""What can be read from a Keras model and its optimiser: layers, parameters, hyper-parameters."""

from __future__ import annotations

import inspect
import json
import platform
import warnings
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from ..record import Description, one_or_all, plain
from ..store import Layer, Parameter
from .backend import keras
from .graph import applications, graph_of
from .losses import losses_of
from .sides import output_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .graph import Application


# Layers that do nothing but apply an activation function.
ACTIVATION_LAYERS = {
    keras.layers.ReLU: "relu",
    keras.layers.LeakyReLU: "leaky_relu",
    keras.layers.PReLU: "prelu",
    keras.layers.ELU: "elu",
    keras.layers.Softmax: "softmax",
}


def layers_of(model: Any) -> dict[int, Application]:
    """The first application of each layer, by the layer's id, in order. Nested models count as their layers."""
    found: dict[int, Application] = {}
    for each in applications(model):
        if graph_of(each.layer) is None:
            found.setdefault(id(each.layer), each)
    return found


def parameters_of(model: Any) -> dict[str, tuple[Parameter, Any]]:
    """Every weight of the model by name, "layer/variable", with the Keras variable that holds it."""
    found: dict[str, tuple[Parameter, Any]] = {}
    trainable = {id(variable) for variable in model.trainable_weights}
    seen: set[int] = set()
    for each in layers_of(model).values():
        # Layers may share a weight.
        for variable in (variable for variable in each.layer.weights if id(variable) not in seen):
            seen.add(id(variable))
            name = "/".join([*each.path, *_within(each, variable)])
            while name in found:
                name += "_"
            parameter = Parameter(
                name, tuple(variable.shape), str(variable.dtype), id(variable) in trainable, each.name
            )
            found[name] = (parameter, variable)
    return found


def _within(layer: Application, variable: Any) -> list[str]:
    """What follows the layer's own name in the path: the paths of the same weight differ from copy to copy."""
    path: list[str] = variable.path.split("/")
    models = list(layer.path[:-1])
    if path[: len(models)] == models:  # one of them may have the name of the layer
        path = path[len(models) :]
    own = layer.path[-1]
    return path[path.index(own) + 1 :] if own in path[:-1] else path[-1:]


def optimizer_of(model: Any) -> Any:
    """The model's optimiser, out of the wrapping that mixed precision puts around it; None if it has none."""
    optimizer = getattr(model, "optimizer", None)
    return getattr(optimizer, "inner_optimizer", optimizer)


def describe(model: Any, extra: Mapping[str, Any], fit: Mapping[str, Any]) -> Description:
    """Everything a run should know of this model. `fit` holds arguments of `fit`, `extra` the user's own entries."""
    with warnings.catch_warnings(action="ignore"):  # Keras' about lambdas: no run's lambda is ever loaded
        files = _model_files(model)
        values = {**hyperparameters(model, fit), **extra}
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
        hyperparameters=plain(values),
        layers=tuple(_layer(each) for each in applications(model)),
        parameters=tuple(parameter for parameter, _ in parameters_of(model).values()),
        model={kind: name for kind, (name, _) in files.items()},
        model_files=dict(files.values()),
    )


def _model_files(model: Any) -> dict[str, tuple[str, bytes]]:
    try:
        config: dict[str, Any] = json.loads(model.to_json(), object_hook=_for_every_backend)
    except (NotImplementedError, TypeError, ValueError):
        return {}  # a layer that cannot describe itself: the user's own model will be needed to replay the run
    # A loss or metric of the user's own could not be read back with the architecture: they are kept apart.
    compiled = config.pop("compile_config", None)
    files = {"architecture": ("keras.json", json.dumps(config, indent=1).encode())}
    if compiled is not None:
        files["compile"] = ("compile.json", json.dumps(compiled, indent=1).encode())
    return files


def _for_every_backend(entry: dict[str, Any]) -> dict[str, Any]:
    """Keras' config of an object, without the backend: torch's optimisers have the public name of all others."""
    if str(entry.get("module")).startswith("keras.src.backend.") and hasattr(keras.optimizers, entry["class_name"]):
        return {**entry, "module": "keras.optimizers", "registered_name": None}
    return entry


def _version(package: str) -> dict[str, str]:
    try:
        return {package: version(package)}
    except PackageNotFoundError:
        return {}


def _layer(application: Application) -> Layer:
    layer, shape = application.layer, application.node.output_tensors[0].shape
    units = getattr(layer, "units", None) or getattr(layer, "filters", None) or (shape[-1] if shape else None)
    return Layer(application.name, type(layer).__name__, units, activation_name(layer))


def activation_name(layer: Any) -> str | None:
    """Name of the activation function that a layer applies, if it does."""
    activation = getattr(layer, "activation", None)
    return name_of(activation) if callable(activation) else ACTIVATION_LAYERS.get(type(layer))


def hyperparameters(model: Any, fit: Mapping[str, Any]) -> dict[str, Any]:
    """Hyper-parameters in one flat dict, so that two runs can be compared entry by entry."""
    applied = list(layers_of(model).values())
    layers = [each.layer for each in applied]
    makers = [tensor._keras_history.operation for tensor in graph_of(model).outputs]
    hidden = [layer for layer in layers[:-1] if not any(layer is maker for maker in makers)]
    activations = [name for name in map(activation_name, hidden) if name is not None]
    initializers = [name_of(layer.kernel_initializer) for layer in hidden if hasattr(layer, "kernel_initializer")]
    values: dict[str, Any] = {
        # A linear layer before an activation layer is one layer in two parts.
        "activation": one_or_all([name for name in activations if name != "linear"] or activations),
        "initializer": one_or_all(initializers),
        "layers": len(layers),
        "units": [layer.units if hasattr(layer, "units") else getattr(layer, "filters", None) for layer in layers],
        "parameters": int(model.count_params()),
        "dtype": model.dtype_policy.name,
    }
    for each in applied:
        layer, path = each.layer, "/".join(each.path)
        for role in ("kernel", "bias"):
            initializer = getattr(layer, f"{role}_initializer", None)
            if initializer is not None:
                values[f"{path}.{role}_initializer"] = name_of(initializer)
                settings: dict[str, Any] = initializer.get_config() if hasattr(initializer, "get_config") else {}
                values |= {f"{path}.{role}_initializer.{key}": value for key, value in settings.items()}
    if optimizer_of(model) is not None:
        values |= _optimizer_settings(optimizer_of(model))
    if getattr(model, "compiled", False):
        values["loss"] = loss_name(model)
        values |= _losses_by_output(model)
    seed = keras.src.backend.common.global_state.get_global_attribute("global_random_seed")
    if seed is not None:
        values["seed"] = seed
    return {**values, **fit}


def _optimizer_settings(optimizer: Any) -> dict[str, Any]:
    settings: dict[str, Any] = optimizer.get_config()
    rate: Any = getattr(optimizer, "_learning_rate", None)
    value, schedule = settings.pop("learning_rate", None), dict[str, Any]()
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        value, schedule = type(rate).__name__, rate.get_config()
    elif callable(rate):
        value = name_of(rate)
    return {
        "optimizer": type(optimizer).__name__,
        "learning_rate": value,
        **{f"learning_rate.{key}": entry for key, entry in schedule.items() if key != "name"},
        **{f"optimizer.{key}": entry for key, entry in settings.items() if key != "name"},
    }


def loss_name(model: Any) -> str:
    """Name of the loss that the model is compiled with, such as "binary_crossentropy"; "" if it is not.

    Of several losses, their names.
    """
    return " + ".join(dict.fromkeys(name_of(each.loss) for each in losses_of(model)))


def _losses_by_output(model: Any) -> dict[str, Any]:
    names, found = output_names(model), dict[str, Any]()
    if len(names) > 1:
        for each in losses_of(model):
            name = next(name for name in names[each.output] if not name.isdecimal())
            found |= {f"loss.{name}": name_of(each.loss), f"loss_weight.{name}": each.weight}
    return found


def running_fit(model: Any) -> dict[str, Any]:
    """What the running `fit` of the model was given and made of it; nothing if none is running.

    Keras tells its callbacks the epochs and the steps only, not the batch size nor the class weights: they are
    read, never written, in the frame of the `fit` that called us.
    """
    found = (caller.f_locals for caller in callers("fit") if caller.f_locals.get("self") is model)
    return next(found, dict[str, Any]())


def fit_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a running `fit` that matter to a run."""
    adapter = getattr(given.get("epoch_iterator"), "data_adapter", None)
    arguments = {
        "batch_size": given.get("batch_size") or getattr(adapter, "batch_size", None),
        **{name: given.get(name) for name in ("epochs", "shuffle", "class_weight", "steps_per_epoch")},
        "validation_split": given.get("validation_split") or None,
    }
    return {name: value for name, value in arguments.items() if value is not None}


def callers(function: str) -> Iterator[Any]:
    """The frames of the running functions of this name, the innermost first."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == function:
            yield frame
        frame = frame.f_back


def name_of(thing: Any) -> str:
    """Name of a function, of an object's class, or the name itself."""
    if isinstance(thing, str):
        return thing
    # Functions have a name, objects such as initialisers that of their class.
    return str(getattr(thing, "__name__", None) or _snake(type(thing).__name__))


def _snake(name: str) -> str:
    return "".join(
        f"_{c.lower()}" if c.isupper() and i and not name[i - 1].isupper() else c.lower() for i, c in enumerate(name)
    )
