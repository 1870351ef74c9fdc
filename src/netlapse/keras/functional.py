"""Models that are written as code, as graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import Unsupported
from .backend import keras
from .graph import applications, graph_of, not_built
from .sides import symbolic

if TYPE_CHECKING:
    from ..store import Arrays


def functional_form(model: Any, inputs: Arrays) -> Any:
    """The model itself if it is Sequential or functional, and nothing more; else its graph without its class.

    For a model that is written as code, that is what its `call` makes of such inputs; where `call` hides some weights
    from the graph, the model is its only layer. The form shares the layers, and so the weights, of the model, and is
    compiled as it is. Raises Unsupported for a model that is not built or cannot be traced.
    """
    graph = graph_of(model)
    if graph is not None and type(model).__module__.startswith("keras."):
        return model
    if graph is None and not model.built:
        raise not_built(model)
    form = _traced(model, symbolic(inputs)) if graph is None else keras.Model(graph.input, graph.output)
    if getattr(model, "compiled", False) and hasattr(model, "_compile_config"):
        form.compile(**{**model._compile_config.config, "optimizer": model.optimizer})
    return form


def _traced(model: Any, ends: Any) -> Any:
    # Whatever `call` would change, such as a random generator, stays as it is.
    with keras.StatelessScope():
        form = _graph_of_call(model, ends)
        try:
            return form or keras.Model(ends, model(ends))
        except Exception as error:
            raise Unsupported(
                f"model {model.name!r} cannot be traced on the probe's examples ({str(error)[:300]}); record a"
                " functional model"
            ) from error


def _graph_of_call(model: Any, ends: Any) -> Any:
    """The graph of all layers that `call` applies; None if it does not show all weights."""
    try:
        form = keras.Model(ends, model.call(ends, **({"training": False} if model._call_has_training_arg else {})))
    except Exception:  # of many kinds, where `call` takes arrays of the backend only
        return None
    seen = {id(weight) for each in applications(form) for weight in each.layer.weights}
    return form if seen >= {id(weight) for weight in model.weights} else None
