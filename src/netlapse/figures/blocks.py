"""A measure computed a block of frames at a time, so that a long run needs no more memory than a short one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from ..measures.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Float

    from ..measures import FeatureSpace, Limits
    from ..replay import Replay

M = TypeVar("M", bound=Timeline)

BLOCK_FRAMES = 256
# More points than this no curve on a screen can show.
CURVE_FRAMES = 1000


class Blocks(Generic[M]):
    """Gives the measure at any epoch; keeps the block computed last.

    Neighbouring blocks share a frame, so that what lies between two frames lies within a block. What is `known`
    already serves as the one block of a run whose `overview` is all of it.
    """

    def __init__(
        self, compute: Callable[[Sequence[float]], M], epochs: Float[np.ndarray, " frame"], known: M | None = None
    ) -> None:
        self._compute, self._epochs = compute, epochs
        self._block = known if known is not None and len(known.epochs) == len(epochs) else None

    def at(self, epoch: float) -> M:
        """The measure at one epoch."""
        block = self._block
        if block is None or not block.epochs[0] <= epoch <= block.epochs[-1]:
            frame = max(int(np.searchsorted(self._epochs, epoch, side="right")) - 1, 0)
            start = frame // BLOCK_FRAMES * BLOCK_FRAMES
            block = self._block = self._compute(self._epochs[start : start + BLOCK_FRAMES + 1].tolist())
        return block.at(epoch)


def overview(epochs: Float[np.ndarray, " frame"], most: int = BLOCK_FRAMES) -> list[float]:
    """All epochs of a short run, evenly spaced ones of a long run; the first and the last in any case."""
    chosen = np.unique(np.linspace(0, len(epochs) - 1, min(len(epochs), most)).round().astype(int))
    return epochs[chosen].tolist()


def space_blocks(replay: Replay, layer: str, domain: Limits | None) -> Blocks[FeatureSpace]:
    """The feature space of a layer at any epoch, all on the one scale that holds the whole run."""
    space = replay.feature_space(layer, overview(replay.epochs), domain=domain)
    limits = space.limits
    return Blocks(
        lambda epochs: replay.feature_space(layer, epochs, domain=domain, limits=limits), replay.epochs, known=space
    )
