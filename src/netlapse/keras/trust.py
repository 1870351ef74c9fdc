"""A Keras config from a stranger: refused where building it would run code, read files, or fill the memory."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .backend import keras
from .check import check_model
from .describe import parameters_of
from .graph import applications, graph_of

if TYPE_CHECKING:
    from collections.abc import Sequence

# Where Keras' own classes and functions are found by name.
_CLASSES = (
    "keras",
    "keras.layers",
    "keras.models",
    "keras.initializers",
    "keras.regularizers",
    "keras.constraints",
    "keras.losses",
    "keras.metrics",
    "keras.optimizers",
    "keras.optimizers.schedules",
    "keras.dtype_policies",
    "keras.quantizers",
)
_FUNCTIONS = ("activations", "initializers", "regularizers", "constraints", "losses", "metrics", "ops")
_NO_FUNCTIONS = ("get", "serialize", "deserialize")
# Layers that run what their config says, or read the file that it names.
_REFUSED = (
    "Lambda",
    "TFSMLayer",
    "TorchModuleWrapper",
    "JaxLayer",
    "FlaxLayer",
    "StringLookup",
    "IntegerLookup",
    "TextVectorization",
)
_PLAIN = ("__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__")
# How often layers may be applied, over all levels of nested models: each level can double it.
_MOST_LAYERS = 100_000
_DEEPEST = 200
# Numbers in what one operation makes of one example.
_MOST_NUMBERS = 2**28


def build(config: Any, shapes: Sequence[tuple[int, ...]]) -> Any:
    """The model of a config, if its parameters have these shapes. No memory is taken for others.

    Raises ValueError for a config that is not to be trusted or of another model, and whatever Keras makes of it.
    """
    check(config)
    state: Any = keras.src.backend.common.global_state
    waiting: Any = state.get_global_attribute("uninitialized_variables") or []
    state.set_global_attribute("uninitialized_variables", [])
    try:
        # Variables that are made here know their shapes, and take their memory only when all is known to be right.
        with keras.StatelessScope(initialize_variables=False):
            model = keras.saving.deserialize_keras_object(config)
            if not isinstance(model, keras.Model):
                raise ValueError("it is no model")
            check_model(model)
        found = [tuple(parameter.shape) for parameter, _ in parameters_of(model).values()]
        if found != list(shapes):
            raise ValueError("its weights are not those that the run states")
        graphs = [graph_of(model), *filter(None, (graph_of(each.layer) for each in applications(model)))]
        outputs = [operation.output for graph in graphs for operation in graph.operations]
        tensors: list[Any] = keras.tree.flatten(outputs)
        if any(math.prod(size or 1 for size in tensor.shape) > _MOST_NUMBERS for tensor in tensors):
            raise ValueError("its layers are too large")
        keras.src.backend.common.variables.initialize_all_variables()
        return model
    finally:
        state.set_global_attribute("uninitialized_variables", waiting)


def check(config: Any) -> None:
    """Raise ValueError unless all that the config names belongs to Keras, or was registered with it by the user."""
    level: list[tuple[Any, int]] = [(config, 1)]
    layers = 0
    for _ in range(_DEEPEST):
        below: list[tuple[Any, int]] = []
        for entry, times in level:
            if isinstance(entry, dict):
                values = cast("dict[str, Any]", entry)
                if "class_name" in values:
                    _check_object(values)
                    # How a model within another was trained for itself is of no use.
                    values.pop("compile_config", None)
                    times *= _applied(values)
                    layers += times
                below += [(value, times) for value in values.values()]
            elif isinstance(entry, list):
                below += [(value, times) for value in cast("list[Any]", entry)]
        if not below:
            return
        if layers > _MOST_LAYERS:
            raise ValueError(f"it applies more than {_MOST_LAYERS:,} layers")
        level = below
    raise ValueError("it is nested too deeply")


def _applied(entry: dict[str, Any]) -> int:
    """How often what is in an entry is applied each time that the entry itself is."""
    calls: Any = entry.get("inbound_nodes")
    both = 2 if entry["class_name"] == "Bidirectional" else 1
    return both * max(1, len(cast("list[Any]", calls)) if isinstance(calls, list) else 1)


def _check_object(entry: dict[str, Any]) -> None:
    name, module = entry["class_name"], entry.get("module")
    config: Any = entry.get("config")
    shown = f"{str(module)[:80]}.{str(name)[:80]}"
    if name in _PLAIN:
        if name == "__numpy__" and config["dtype"] not in np.sctypeDict:
            raise ValueError("it holds an array of no numbers")
        return
    if name == "function":
        if not (_registered(config) or _is_function(module, config)):
            entry["config"] = _registered_since(config)
        return
    is_own = module is None or str(module).partition(".")[0] not in ("keras", "builtins")
    if is_own or _registered(entry.get("registered_name", name)):
        if not _registered(entry.get("registered_name", name)):
            entry["registered_name"] = _registered_since(name)
        # It is built when it is applied: what has no `build` of its own cannot be built before.
        entry.pop("build_config", None)
        return
    found: Any = None
    if module in _CLASSES or str(module).startswith("keras.src."):
        # Looked up, never imported.
        found = vars(sys.modules[module]).get(name) if module in sys.modules else None
    is_ours = isinstance(found, type) and hasattr(found, "from_config")
    if is_ours and module not in _CLASSES:
        is_ours = issubclass(cast("type", found), keras.Operation | keras.optimizers.Optimizer)
    refused = tuple(getattr(keras.layers, layer) for layer in _REFUSED if hasattr(keras.layers, layer))
    if not is_ours or issubclass(cast("type", found), refused):
        raise ValueError(f"it needs {shown}, which may run code or read files")


def _registered(name: Any) -> bool:
    return isinstance(name, str) and keras.saving.get_registered_object(name) is not None


def _registered_since(name: Any) -> str:
    """The name under which the user has registered what was recorded under its plain name, unregistered."""
    found = [each for each in keras.saving.get_custom_objects() if str(each).rpartition(">")[2] == name]
    if len(found) != 1:
        raise ValueError(
            f"it needs {str(name)[:80]}, which may run code: it is rebuilt if it is registered, with"
            " @keras.saving.register_keras_serializable(), before the run is opened"
        )
    return found[0]


def _is_function(module: Any, name: Any) -> bool:
    rooms = _FUNCTIONS if module == "builtins" else (str(module).removeprefix("keras."),)
    return (
        isinstance(name, str)
        and name not in _NO_FUNCTIONS
        and any(room in _FUNCTIONS and callable(getattr(getattr(keras, room), name, None)) for room in rooms)
    )
