"""The loss of every place of a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Unsupported
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Int

# Of the examples at a place, eight in ten have a loss between these.
QUANTILES = (0.1, 0.9)


@dataclass(frozen=True)
class LossByPlace(Timeline):
    """Loss of each place, such as a token, in the unit of the network's loss, named `loss`.

    `losses` are those of some examples, whose numbers in the probe are `chosen`. `mean`, `low` and `high` are the mean
    and the quantiles 0.1 and 0.9 of all examples. NaN where a place does not count.
    """

    loss: str
    chosen: Int[np.ndarray, " example"]
    losses: Float[np.ndarray, "frame example place"]
    mean: Float[np.ndarray, "frame place"]
    low: Float[np.ndarray, "frame place"]
    high: Float[np.ndarray, "frame place"]


def loss_by_place(
    losses: Float[np.ndarray, "frame example place"],
    *,
    epochs: Float[np.ndarray, " frame"],
    chosen: Sequence[int],
    loss: str,
) -> LossByPlace:
    """Summarise the losses of all places. Raises Unsupported unless the places of an example lie in one row."""
    if losses.ndim != 3:
        raise Unsupported(
            f"the loss has shape {losses.shape[2:]} for each example; this view shows sequences, whose places lie in a"
            " row: `token_losses` has the numbers"
        )
    examples = losses.shape[1]
    if not all(0 <= number < examples for number in chosen):
        raise Unsupported(f"there are {examples} examples; examples={list(chosen)} asks for one beyond them")
    counted = np.isfinite(losses)
    everywhere = counted.any(axis=1)
    with np.errstate(invalid="ignore"):
        mean = np.where(counted, losses, 0).sum(axis=1, dtype=float) / counted.sum(axis=1)
    # Sorted, what does not count comes last.
    ordered = np.sort(np.where(counted, losses, np.nan), axis=1)
    places = [_quantile(ordered, counted.sum(axis=1), share) for share in QUANTILES]
    low, high = (np.where(everywhere, values, np.nan) for values in places)
    return LossByPlace(
        epochs=epochs, loss=loss, chosen=np.array(chosen, int), losses=losses[:, chosen], mean=mean, low=low, high=high
    )


def _quantile(
    ordered: Float[np.ndarray, "frame example place"], counts: Int[np.ndarray, "frame place"], share: float
) -> Float[np.ndarray, "frame place"]:
    """As `numpy.nanquantile` computes it, without a loop over places and without its warnings."""
    position = share * np.maximum(counts - 1, 0)
    below = np.floor(position).astype(int)
    above = np.minimum(below + 1, np.maximum(counts - 1, 0))
    low, high = (np.take_along_axis(ordered, index[:, None], axis=1)[:, 0] for index in (below, above))
    return low + (high - low) * (position - below)
