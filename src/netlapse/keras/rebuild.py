"""A model of the user's own for a run: rebuilt from what the run stores, or copied from the user's."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import Unsupported
from .backend import keras
from .check import check_model
from .functional import functional_form
from .graph import graph_of
from .losses import losses_of
from .trust import build, check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..store import Manifest


def rebuild(manifest: Manifest, read: Callable[[str], bytes]) -> Any:
    """The recorded model, compiled as in training where Keras could store that.

    Raises Unsupported for what Keras cannot rebuild without the user's code.
    """
    if "architecture" not in manifest.model:
        raise _cannot_rebuild(manifest, "one of its layers has no get_config")
    architecture = read("architecture")
    compiled = read("compile") if "compile" in manifest.model else None
    # Keras raises errors of many kinds at configs that it did not write.
    try:
        model = build(json.loads(architecture), [parameter.shape for parameter in manifest.parameters])
    except Exception as error:
        raise _cannot_rebuild(manifest, reason(error)) from error
    if compiled is not None:
        _compile_as(model, compiled)
    return model


def _compile_as(model: Any, compiled: bytes) -> None:
    # A metric or optimiser of the user's own, which Keras cannot read back, or none is no reason to forget the loss.
    for entries in (None, ("loss", "loss_weights")):
        with suppress(Exception):
            config = json.loads(compiled)
            config = {key: config[key] for key in entries or config}
            check(config)
            model.compile_from_config(config)
            return


def copy_of(model: Any, manifest: Manifest, read: Callable[[str], bytes]) -> Any:
    """A copy of the user's model, compiled with its loss. Raises Unsupported if it cannot be copied."""
    if graph_of(model) is None and model.built and "architecture" in manifest.model:
        with suppress(KeyError):  # another model
            model = functional_form(model, _examples(json.loads(read("architecture"))["config"]))
    check_model(model)
    try:
        # The model is the user's own, so that its lambdas may run. A compiled one would be compiled by name.
        with keras.src.saving.serialization_lib.SafeModeScope(safe_mode=False):
            copy = keras.models.clone_model(keras.Model(graph_of(model).input, graph_of(model).output))
    except (NotImplementedError, TypeError, ValueError) as error:
        raise Unsupported(
            f"model {model.name!r} cannot be copied ({reason(error)}); give its layers a get_config"
        ) from error
    if losses_of(model):
        copy.compile(loss=model.loss, loss_weights=model._compile_loss._user_loss_weights)
    return copy


def _examples(config: dict[str, Any]) -> Any:
    """One example for the inputs of a functional model's config."""
    ends = {layer["name"]: layer["config"] for layer in config["layers"] if layer["class_name"] == "InputLayer"}

    def example(name: str) -> Any:
        end = ends[name]
        return np.zeros([size or 1 for size in end["batch_shape"]], end["dtype"])

    given = config["input_layers"]
    if isinstance(given, dict):
        return {name: example(end[0]) for name, end in cast("dict[str, Any]", given).items()}
    if isinstance(given[0], list):
        return {str(place): example(end[0]) for place, end in enumerate(cast("list[Any]", given))}
    return example(given[0])


def _cannot_rebuild(manifest: Manifest, why: str) -> Unsupported:
    return Unsupported(
        f"run {manifest.name!r} has a network that Keras cannot rebuild by itself ({why}); pass it:"
        " netlapse.open(path, model=your_model)"
    )


def reason(error: BaseException) -> str:
    # Keras wraps what it found in advice that does not apply here.
    while error.__context__ is not None:
        error = error.__context__
    return str(error).strip().split("\n")[0].split(". ")[0]
