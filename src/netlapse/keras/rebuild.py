"""A model of the user's own for a run: rebuilt from what the run stores, or copied from the user's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..errors import Unsupported
from .backend import keras
from .check import check_model
from .describe import loss_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..store import Manifest


def rebuild(manifest: Manifest, read: Callable[[str], bytes]) -> Any:
    """The recorded model, compiled as in training where Keras could store that.

    Raises Unsupported for what Keras cannot rebuild without the user's code.
    """
    if "architecture" not in manifest.model:
        raise _cannot_rebuild(manifest, "one of its layers has no get_config")
    try:
        model = keras.models.model_from_json(read("architecture").decode())
    except (ValueError, TypeError, ImportError) as error:
        raise _cannot_rebuild(manifest, _reason(error)) from error
    if "compile" in manifest.model:
        _compile_as(model, json.loads(read("compile")))
    return model


def _compile_as(model: Any, config: dict[str, Any]) -> None:
    # A metric or optimiser of the user's own, which Keras cannot read back, is no reason to forget the loss.
    for part in (config, {"loss": config.get("loss")}):
        try:
            model.compile_from_config(part)
        except (ValueError, TypeError, ImportError):
            continue
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
            f"model {model.name!r} cannot be copied ({_reason(error)}); give its layers a get_config"
        ) from error
    if loss_of(model) is not None:
        copy.compile(loss=model.loss)
    return copy


def _cannot_rebuild(manifest: Manifest, why: str) -> Unsupported:
    return Unsupported(
        f"run {manifest.name!r} has a network that Keras cannot rebuild by itself ({why}); pass it:"
        " netlapse.open(path, model=your_model)"
    )


def _reason(error: BaseException) -> str:
    # Keras wraps what it found in advice that does not apply here.
    while error.__context__ is not None:
        error = error.__context__
    return str(error).strip().split("\n")[0].split(". ")[0]
