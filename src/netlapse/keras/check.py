"""Whether a model, and examples for it, can be recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadProbe, Unsupported
from .describe import loss_name

if TYPE_CHECKING:
    from ..record import Probe


def check_model(model: Any) -> None:
    """Raise Unsupported unless the model is built from one known input to one output."""
    if not model.built or not getattr(model, "inputs", None):
        raise Unsupported(
            f"model {model.name!r} is not built as a Sequential or functional model with a known input shape; begin it"
            " with keras.Input(shape), or call model.build(shape), before it is recorded"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise Unsupported(
            f"model {model.name!r} has {len(model.inputs)} inputs and {len(model.outputs)} outputs; models with one"
            " input and one output are supported"
        )


def check_probe(model: Any, probe: Probe, name: str) -> None:
    """Raise BadProbe unless the model can be evaluated on these examples."""
    wanted = tuple(model.inputs[0].shape[1:])
    found = probe.inputs.shape[1:]
    if len(found) != len(wanted) or any(w not in (None, f) for w, f in zip(wanted, found, strict=True)):
        raise BadProbe(f"{name} inputs have shape {found} per example; model {model.name!r} takes {wanted}")
    if "binary_crossentropy" in loss_name(model) and not ((probe.targets >= 0) & (probe.targets <= 1)).all():
        shown = ", ".join(f"{value:g}" for value in np.unique(probe.targets)[:6])
        raise BadProbe(f"{name} targets are {shown}; binary cross-entropy needs labels 0 and 1: relabel them")
