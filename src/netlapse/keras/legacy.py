"""Models that Keras 2 saved, rebuilt by Keras 3."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ..errors import Unsupported
from .backend import keras
from .rebuild import reason

if TYPE_CHECKING:
    from collections.abc import Callable

# What Keras 2 called them; the functions are the same.
_RENAMED_LOSSES = {"logcosh": "log_cosh", "kullback_leibler_divergence": "kl_divergence"}


@dataclass(frozen=True)
class Keras2Model:
    """A model of Keras 2 in Keras 3.

    `layers` are in the order in which Keras 2 counted them. `unknown` has settings of the training that Keras 3 has
    no equal for, such as a loss of the user's own: the model is compiled without them.
    """

    model: Any
    layers: list[Any]
    unknown: dict[str, Any]


def rebuild_keras2(architecture: str, training: str | None) -> Keras2Model:
    """The model that Keras 2 described, in JSON, as "model_config" and "training_config" of its HDF5 files.

    Its weights are not loaded. Raises Unsupported for what Keras 3 cannot rebuild by itself or would compute
    otherwise, and for layers that hold code: no code of the file's is run.
    """
    try:
        # Safe mode is off where nobody turns it on; the warnings are about how Keras 2 wrote its models.
        with warnings.catch_warnings(action="ignore"), keras.src.saving.serialization_lib.SafeModeScope(True):
            described = json.loads(architecture, object_hook=_converted)
            names = [layer["config"].get("name") for layer in described["config"]["layers"]]
            kind = keras.Sequential if described["class_name"] == "Sequential" else keras.Model
            model = kind.from_config(described["config"])
            layers = [model.get_layer(name) for name in names if name]
            unknown = _compile(model, json.loads(training, object_hook=_converted)) if training else {}
    except Unsupported:
        raise
    except Exception as error:  # whatever Keras trips over in a file that another Keras wrote
        raise Unsupported(f"Keras {keras.__version__} cannot rebuild it ({reason(error)})") from error
    return Keras2Model(model, layers, unknown)


def variables_of(layer: Any) -> list[Any]:
    """The layer's variables in the order of Keras 2's `get_weights`."""
    if isinstance(layer, keras.Model):
        return [variable for inner in layer.layers for variable in variables_of(inner)]
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _converted(entry: dict[str, Any]) -> dict[str, Any]:
    """One object of the description, innermost first, in the words of Keras 3."""
    kind: Any = entry.get("class_name")
    layer: Any = getattr(keras.layers, str(kind), None)
    # Keras' layers that are defined elsewhere wrap programs of other libraries; Keras 2 never wrote a "module".
    foreign = layer is not None and not layer.__module__.startswith("keras.src.layers.")
    if kind == "Lambda" or foreign or (kind and "module" in entry):
        raise Unsupported(f"its {kind} holds code or is none of Keras 2's, and no code out of a file is run")
    if "hard_sigmoid" in (entry.get("activation"), entry.get("recurrent_activation")):
        raise Unsupported(f"layer {entry.get('name')!r} uses hard_sigmoid, which is another function in Keras 3")
    return _with_input(entry["config"]) if kind == "Sequential" else entry


def _with_input(config: Any) -> dict[str, Any]:
    """A Sequential model whose input is a layer of its own; Keras 3 would take the batch for an axis of the example."""
    if isinstance(config, list):  # before Keras 2.2.3
        return _with_input({"name": "sequential", "layers": config})
    first = config["layers"][0]
    if first["class_name"] != "InputLayer" and "batch_input_shape" in first["config"]:
        entrance = {"batch_shape": first["config"].pop("batch_input_shape"), "dtype": first["config"].get("dtype")}
        config["layers"].insert(0, {"class_name": "InputLayer", "config": entrance})
    return {"class_name": "Sequential", "config": config}


def _compile(model: Any, training: dict[str, Any]) -> dict[str, Any]:
    """Compile the model as far as Keras 3 can, and return the settings that it cannot."""
    described, loss = training["optimizer_config"], _loss(training["loss"])
    settings, rate = _optimizer_settings(described["config"])
    optimizer = _understood(keras.optimizers.get, {"class_name": described["class_name"], "config": settings})
    known_loss = _understood(keras.losses.get, loss)
    metrics = [
        metric
        for metric in cast("list[Any]", training.get("metrics") or [])
        if metric in ("acc", "accuracy") or (isinstance(metric, str) and _understood(keras.metrics.get, metric))
    ]
    model.compile(optimizer, loss if isinstance(loss, str) and known_loss else known_loss, metrics=metrics)
    unknown = {} if optimizer else {"optimizer": described["class_name"], "learning_rate": rate}
    return unknown if known_loss else {**unknown, "loss": loss}


def _loss(described: Any) -> Any:
    if isinstance(described, str):
        return _RENAMED_LOSSES.get(described, described)
    if isinstance(described, dict) and "class_name" in described:
        return cast("Any", described)
    [only] = keras.tree.flatten(described)  # one for each output, and there is one
    return _loss(only)


def _optimizer_settings(settings: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Settings of an optimiser in the words of Keras 3, and its initial learning rate."""
    # Nadam's schedule_decay is a constant now, of the value that was the default.
    kept = {key: value for key, value in settings.items() if key not in ("lr", "decay", "schedule_decay")}
    initial = rate = kept.pop("learning_rate", settings.get("lr"))
    if settings.get("decay"):
        schedules = keras.optimizers.schedules
        rate = schedules.serialize(schedules.InverseTimeDecay(initial, 1, settings["decay"]))
    return {**kept, "learning_rate": rate}, initial


def _understood(get: Callable[[Any], Any], described: Any) -> Any:
    """What Keras makes of a name or description; None if it knows nothing of the kind."""
    try:
        return get(described)
    except (ValueError, TypeError):
        return None
