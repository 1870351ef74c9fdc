"""The losses that a model is compiled with, example by example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import Unsupported
from ..replay.link import link_of
from .backend import keras
from .sides import output_names, targets_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..replay.link import Link
    from ..store import Arrays

# Losses of which Keras has one for each kind of targets.
CHOSEN_BY_SHAPE = ("crossentropy", "ce")


@dataclass(frozen=True)
class OutputLoss:
    """A loss of one output, by its place, and its weight in the sum of all.

    A name is left for the loss where Keras chooses it only when it sees outputs and targets.
    """

    output: int
    loss: Any
    weight: float


def losses_of(model: Any) -> list[OutputLoss]:
    """The losses that the model is compiled with, whether given as one, a list or a dict."""
    if not getattr(model, "compiled", False) or model.loss is None:
        return []
    names, weights = output_names(model), model._compile_loss._user_loss_weights
    found: list[OutputLoss] = []
    for output, keys in enumerate(names):
        loss, weight = (_of_output(given, output, keys, len(names)) for given in (model.loss, weights))
        if loss is not None:
            known = loss if loss in CHOSEN_BY_SHAPE else keras.losses.get(loss)
            found.append(OutputLoss(output, known, 1.0 if weight is None else float(weight)))
    return found


def _of_output(given: Any, output: int, keys: tuple[str, ...], outputs: int) -> Any:
    """What was given for one of the outputs."""
    if outputs == 1:
        # Of several losses of an only output, Keras computes the first.
        return keras.tree.flatten(given)[0]
    if isinstance(given, dict):
        values = cast("dict[str, Any]", given)
        return next((values[key] for key in keys if key in values), None)
    return cast("Sequence[Any]", given)[output] if isinstance(given, list | tuple) else given


def example_losses(model: Any, outputs: Sequence[Any], targets: Arrays, *, tokens: bool = False) -> Any:
    """The weighted sum of the losses of all outputs, (example,); with `tokens` of each place, (example, place ...).

    Raises Unsupported for losses that have no such values.
    """
    losses = losses_of(model)
    if not losses:
        raise Unsupported("there is no loss")
    wanted = targets_of(model, targets, [each.output for each in losses])
    parts = [each.weight * _values(each, outputs[each.output], wanted[each.output], tokens=tokens) for each in losses]
    if len({tuple(part.shape) for part in parts}) > 1:
        raise Unsupported("the losses of its outputs have different places; ask for `losses`")
    return sum(parts[1:], parts[0])


def _values(each: OutputLoss, outputs: Any, targets: Any, *, tokens: bool) -> Any:
    loss = each.loss
    if loss in CHOSEN_BY_SHAPE:
        loss = getattr(keras.losses, f"{task(outputs.shape[1:], targets)}Crossentropy")()
    # Keras computes losses in single precision, whatever the precision of the network.
    outputs, targets = (keras.ops.cast(array, keras.config.floatx()) for array in (outputs, targets))
    # torch refuses to compute the loss of what is no number: it is none either.
    broken = keras.ops.isnan(outputs)
    outputs = keras.ops.where(broken, 0.0, outputs)
    values: Any = getattr(loss, "call", loss)(like(targets, outputs), outputs)
    if len(values.shape) == 0:
        raise Unsupported(
            "its loss is one number for a whole batch; a loss that returns one number per example can be replayed"
        )
    if tokens:
        if len(values.shape) == 1:
            raise Unsupported("its loss has one number for each example; ask for `losses`")
        return values
    means = keras.ops.mean(keras.ops.reshape(values, (len(targets), -1)), axis=1)
    return keras.ops.where(keras.ops.any(keras.ops.reshape(broken, (len(targets), -1)), axis=1), np.nan, means)


def link_of_loss(each: OutputLoss | None, shape: Sequence[int | None]) -> tuple[Link, bool]:
    """What the loss takes its output for, and whether that is probabilities: see `link_of`."""

    def losses(outputs: NDArray[Any], targets: NDArray[Any]) -> Any:
        given = (keras.ops.convert_to_tensor(array) for array in (outputs, targets))
        return keras.ops.convert_to_numpy(_values(cast("OutputLoss", each), *given, tokens=False))

    # Of many places two are enough.
    *places, units = shape or (1,)
    return link_of(losses if each else None, [*(2 for _ in places), units or 1])


def like(targets: Any, outputs: Any) -> Any:
    """Targets with the rank of the outputs: (example,) and (example, 1) would broadcast to a matrix."""
    if len(targets.shape) == len(outputs.shape) - 1 and outputs.shape[-1] == 1:
        targets = targets[..., None]
    return targets


def task(shape: tuple[int, ...], targets: Any) -> str:
    """What Keras takes "accuracy" and "crossentropy" for, given the shapes of outputs and targets."""
    if shape[-1] == 1:
        return "Binary"
    return "SparseCategorical" if len(targets.shape) == len(shape) or targets.shape[-1] == 1 else "Categorical"
