"""A model of the user's own for a run: rebuilt from what the run stores, or copied from the user's."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import Unsupported
from .backend import keras
from .check import check_model
from .describe import loss_of
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
    for entries in (None, ("loss",)):
        with suppress(Exception):
            config = json.loads(compiled)
            config = {key: config[key] for key in entries or config}
            check(config)
            model.compile_from_config(config)
            return


def copy_of(model: Any) -> Any:
    """A copy of the user's model, compiled with its loss. Raises Unsupported if it cannot be copied."""
    check_model(model)
    try:
        # The model is the user's own, so that its lambdas may run. A compiled one would be compiled by name.
        with keras.src.saving.serialization_lib.SafeModeScope(safe_mode=False):
            copy = keras.models.clone_model(keras.Model(model.inputs[0], model.outputs[0]))
    except (NotImplementedError, TypeError, ValueError) as error:
        raise Unsupported(
            f"model {model.name!r} cannot be copied ({reason(error)}); give its layers a get_config"
        ) from error
    if loss_of(model) is not None:
        copy.compile(loss=model.loss)
    return copy


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
