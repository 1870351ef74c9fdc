"""A measure computed a block of frames at a time, so that a long run needs no more memory than a short one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from ..measures.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Float


M = TypeVar("M", bound=Timeline)

BLOCK_FRAMES = 256
BLOCK_BYTES = 16 * 2**20
# More points than this no curve on a screen can show.
CURVE_FRAMES = 1000
# So many frames from one picture to the next are still one way through the run.
_NEAR = 8


class Blocks(Generic[M]):
    """Gives the measure at any epoch; keeps the block computed last.

    A single picture needs one frame, and a slider jumps: what is asked for first, or far from what was asked for
    before, is computed alone, and a block of frames only for those who go through the run. Neighbouring blocks share a
    frame, so that what lies between two frames lies within a block. What is `known` already is not computed again.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[float]], M],
        epochs: Float[np.ndarray, " frame"],
        known: M | None = None,
        at_once: int | None = None,
    ) -> None:
        self._compute, self._epochs, self._known, self._at_once = compute, epochs, known, at_once or BLOCK_FRAMES
        self._block = known if known is not None and len(known.epochs) == len(epochs) else None
        self._frame = -_NEAR - 1

    def at(self, epoch: float) -> M:
        """The measure at one epoch."""
        if self._known is not None and epoch in self._known.epochs:
            return self._known.at(epoch)
        frame = max(int(np.searchsorted(self._epochs, epoch, side="right")) - 1, 0)
        near, self._frame = 0 <= frame - self._frame <= _NEAR, frame
        block = self._block
        if block is None or not block.epochs[0] <= epoch <= block.epochs[-1]:
            start = frame // self._at_once * self._at_once
            last = start + self._at_once if near else frame + (self._epochs[frame] != epoch)
            block = self._block = self._compute(self._epochs[start if near else frame : last + 1].tolist())
        return block.at(epoch)


def overview(epochs: Float[np.ndarray, " frame"], most: int = BLOCK_FRAMES) -> list[float]:
    """All epochs of a short run, evenly spaced ones of a long run; the first and the last in any case."""
    chosen = np.unique(np.linspace(0, len(epochs) - 1, min(len(epochs), most)).round().astype(int))
    return epochs[chosen].tolist()


def frames_within(frame_bytes: int) -> int:
    """How many frames of this size one block holds."""
    return max(1, min(BLOCK_FRAMES, BLOCK_BYTES // max(1, frame_bytes)))
