"""Whether a model, and examples for it, can be recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadProbe
from ..store.examples import named
from .describe import name_of
from .graph import graph_of, not_built
from .losses import losses_of
from .sides import inputs_of, targets_of

if TYPE_CHECKING:
    from ..record import Probe


def check_model(model: Any) -> None:
    """Raise Unsupported unless the model is a graph of known inputs and outputs."""
    if graph_of(model) is None:
        raise not_built(model)


def check_probe(model: Any, probe: Probe, name: str) -> None:
    """Raise BadProbe unless the model can be evaluated on these examples."""
    _check_inputs(model, probe, name)
    losses = losses_of(model)
    try:
        targets = targets_of(model, probe.targets, [each.output for each in losses]) if losses else []
    except BadProbe as error:
        raise BadProbe(f"{name} {error}") from error
    for each in losses:
        labels = targets[each.output]
        if "binary_crossentropy" in name_of(each.loss) and labels is not None and ((labels < 0) | (labels > 1)).any():
            shown = ", ".join(f"{value:g}" for value in np.unique(labels)[:6])
            raise BadProbe(f"{name} targets are {shown}; binary cross-entropy needs labels 0 and 1: relabel them")


def _check_inputs(model: Any, probe: Probe, name: str) -> None:
    wanted = {tensor.name: tuple(tensor.shape[1:]) for tensor in graph_of(model).inputs}
    found = named(probe.inputs)
    by_place = set(found) in ({""}, {str(place) for place in range(len(found))})
    if len(found) != len(wanted) or not (by_place or found.keys() == wanted.keys()):
        takes = ", ".join(f"{key!r} {shape}" for key, shape in wanted.items())
        given = "one array" if "" in found else ", ".join(f"{key!r} {array.shape[1:]}" for key, array in found.items())
        raise BadProbe(
            f"{name} inputs are {given}; model {model.name!r} takes {takes} per example: pass a list with one array for"
            " each, or a dict by name"
        )
    for (key, shape), array in zip(wanted.items(), inputs_of(model, probe.inputs), strict=True):
        sizes = array.shape[1:]
        if len(sizes) != len(shape) or any(w not in (None, f) for w, f in zip(shape, sizes, strict=True)):
            which = "inputs have" if len(wanted) == 1 else f"input {key!r} has"
            raise BadProbe(f"{name} {which} shape {sizes} per example; model {model.name!r} takes {shape}")
