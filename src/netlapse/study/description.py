"""A model in words: what tells it from others, and what of it needs a program of its own."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from sys import intern
from typing import TYPE_CHECKING, Any, cast

from .numbers import RATE, Numbers, side

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Description:
    """A compiled model, with the names that Keras counts left out.

    `numbers` are those that a program can be given, the learning rate among them unless it is a schedule. `rest` is all
    else: architecture, initialisers, loss, metrics and optimiser, as JSON. `structure` is what needs a program of its
    own: the rest without its initialisers.
    """

    numbers: Mapping[str, float]
    rest: str
    structure: str

    @property
    def whole(self) -> str:
        """All that tells the model from others."""
        return json.dumps([self.numbers, self.rest], sort_keys=True)


def describe(model: Any) -> Description:
    """Describe a compiled model."""
    numbers = Numbers(model)
    values = numbers.values
    with numbers.given(dict.fromkeys(values, math.nan)):
        config = _config(model)
    # Of an optimiser that was given by its name, there is no config.
    part: Any = cast("dict[str, Any]", config["compile"] or {}).get("optimizer")
    # Keras counts optimisers too. That within another is of the same kind.
    while isinstance(part, dict):
        settings = cast("dict[str, Any]", part)["config"]
        settings.pop("name", None)
        if isinstance(settings.get(RATE), float | int):
            values[RATE] = float(settings[RATE])
            settings[RATE] = math.nan
        part = settings.get("inner_optimizer")
    sides = {name: side(value) for name, value in values.items() if name != RATE}
    structure = [_without_initializers(config), sides]
    # Most settings of a study have the same texts: they are kept, and sent to workers, once.
    return Description(
        values, intern(json.dumps(config, sort_keys=True)), intern(json.dumps(structure, sort_keys=True))
    )


def _config(model: Any) -> dict[str, Any]:
    layers: list[dict[str, Any]] = [
        {"class": type(layer).__name__, "config": layer.get_config()}
        for layer in model._flatten_layers(include_self=False, recursive=True)
    ]
    try:
        wiring = model.get_config()
    except NotImplementedError:  # a subclassed model, whose code is the same for all
        wiring = None
    names: dict[str, str] = {layer["config"].get("name"): f"layer {number}" for number, layer in enumerate(layers)}
    names[model.name] = "model"
    shapes = [[list(variable.shape), str(variable.dtype)] for variable in model.variables]
    found = {"compile": model.get_compile_config(), "layers": layers, "wiring": wiring, "shapes": shapes}
    return _renamed(json.loads(json.dumps(found, default=repr)), names)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(part, names) for key, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_renamed(part, names) for part in cast("list[Any]", value)]
    return names.get(value, value) if isinstance(value, str) else value


def _without_initializers(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_initializers(part)
            for key, part in cast("dict[str, Any]", value).items()
            if not key.endswith("_initializer")
        }
    return [_without_initializers(part) for part in cast("list[Any]", value)] if isinstance(value, list) else value
