"""The decision boundaries of many networks of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Unsupported
from ..jax.backend import SUMS_RIGHTLY, jax
from ..measures import plane
from .boundaries import Boundaries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Int
    from numpy.typing import NDArray

    from .program import Program
    from .right import Data


def boundaries(
    program: Program,
    data: Data,
    weights: Mapping[str, NDArray[Any]],
    networks: Int[np.ndarray, " network"],
    resolution: int,
) -> Boundaries:
    """Evaluate networks on a grid of `resolution` x `resolution` points around their examples.

    `weights` are the model's variables, "trainable/0", ... and "others/0", ..., each (network, ...).
    """
    inputs: NDArray[Any] = data.inputs
    labels = data.labels
    if np.shape(inputs)[1:] != (2,) or labels is None or len(program.classes) != 2:
        raise Unsupported("boundaries in the plane are those of networks of two inputs and two classes")
    x, y, points = plane.grid(plane.widen(plane.domain(inputs), 0.05), resolution)
    sides = [
        [weights[f"{kind}/{place}"] for place in range(len(variables))]
        for kind, variables in (
            ("trainable", program.model.trainable_variables),
            ("others", program.model.non_trainable_variables),
        )
    ]

    def outputs(trainable: Any, others: Any) -> Any:
        return program.model.stateless_call(trainable, others, points.astype(np.float32), training=False)[0]

    found = np.asarray(jax.jit(jax.vmap(outputs), compiler_options=SUMS_RIGHTLY)(*sides), np.float64)
    logits = found[..., 0] if found.shape[-1] == 1 else found[..., 1] - found[..., 0]
    if program.reading.threshold:  # probabilities: their log-odds
        shares = np.clip(logits, 1e-7, 1 - 1e-7)
        logits = np.log(shares) - np.log1p(-shares)
    return Boundaries(networks, x, y, logits.reshape(len(found), resolution, resolution), inputs, labels)
