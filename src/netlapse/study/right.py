"""Which examples a network has right, computed where it is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from ..errors import Unsupported
from ..jax.backend import jax
from ..keras.describe import activation_name
from ..keras.graph import maker_of
from ..keras.losses import link_of_loss, losses_of
from ..measures import Classes, task_of
from ..replay.link import LINKS

if TYPE_CHECKING:
    from jaxtyping import Int
    from numpy.typing import NDArray


class Data(NamedTuple):
    """Examples that networks learn: inputs and targets as `fit` takes them, and the class of each (example,) if any."""

    inputs: Any
    targets: Any
    labels: Int[np.ndarray, " example"] | None


@dataclass(frozen=True)
class Reading:
    """How the only output of a network is read: the names of its classes, none where it predicts none.

    With one unit, outputs above the `threshold` say the second class; with several the highest wins.
    """

    names: tuple[str, ...]
    threshold: float


_NOTHING = Reading((), 0.0)


def read(model: Any, inputs: Any, targets: Any) -> tuple[Reading, Data]:
    """How a compiled model's output is read, known by its activation function or its loss, and the data it learns."""
    losses = losses_of(model)
    if len(model.outputs) != 1 or not losses or not isinstance(targets, np.ndarray) or len(model.outputs[0].shape) != 2:
        return _NOTHING, Data(inputs, targets, None)
    units = int(model.outputs[0].shape[1])
    maker = maker_of(model, 0)
    link, probabilities = (LINKS.get(activation_name(maker.layer) or "") if maker else None), True
    if link is None:
        link, probabilities = link_of_loss(losses[0], (units,))
    try:
        task = task_of(cast("NDArray[Any]", targets), link=link, units=units)
    except Unsupported:
        return _NOTHING, Data(inputs, targets, None)
    if not isinstance(task, Classes):
        return _NOTHING, Data(inputs, targets, None)
    return Reading(task.names, 0.5 if probabilities and units == 1 else 0.0), Data(inputs, targets, task.labels)


def wrong_by_class(reading: Reading, outputs: Any, labels: Any | None) -> Any:
    """How many examples of each class are wrong, (class,); outputs that are not numbers are right for none."""
    if labels is None:
        return jax.numpy.zeros(0, jax.numpy.int32)
    said = outputs[:, 0] > reading.threshold if outputs.shape[-1] == 1 else outputs.argmax(axis=-1)
    wrong = (said != labels) | jax.numpy.isnan(outputs).any(axis=-1)
    return jax.numpy.stack([(wrong & (labels == number)).sum() for number in range(len(reading.names))])
