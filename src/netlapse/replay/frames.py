"""Which frames are meant by an epoch, a slice of epochs or a list of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import MissingFrame

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy.typing import NDArray

# One epoch, `slice(first, last, every)` with both ends included, several epochs, or None for all frames.
Epochs = float | slice | Sequence[float] | None


def is_one(wanted: Epochs) -> bool:
    """Whether one epoch is meant, so that the result has no frame axis."""
    return wanted is not None and not isinstance(wanted, slice) and np.ndim(wanted) == 0


def select(epochs: Float[np.ndarray, " frame"], wanted: Epochs, run: str) -> NDArray[np.intp]:
    """The numbers of the frames meant. Raises MissingFrame for an epoch that was not recorded."""
    if len(epochs) == 0:
        raise MissingFrame(f"run {run!r} has no frame yet; wait for its recorder, or record it again")
    if wanted is None:
        return np.arange(len(epochs))
    if isinstance(wanted, slice):
        low = -np.inf if wanted.start is None else wanted.start
        high = np.inf if wanted.stop is None else wanted.stop
        found = np.flatnonzero((epochs >= low) & (epochs <= high))[:: wanted.step or 1]
        if len(found) == 0:
            raise MissingFrame(f"run {run!r} has no frame in epochs {low:g} to {high:g}; {_extent(epochs)}")
        return found
    several = np.atleast_1d(np.asarray(wanted, float))
    if len(several) == 0:
        raise MissingFrame(f"no epochs are asked for of run {run!r}; {_extent(epochs)}")
    # Epochs within an epoch are fractions such as 12 + 17/125: meant is what prints alike.
    found = np.minimum(np.searchsorted(epochs, several - _ALIKE), len(epochs) - 1)
    missing = np.abs(epochs[found] - several) > _ALIKE
    if missing.any() or np.isnan(several).any():
        raise _missing(epochs, float(several[missing | np.isnan(several)][0]), run)
    return found


def nearest(epochs: Float[np.ndarray, " frame"], epoch: float) -> float:
    """The recorded epoch nearest to this one, the earlier of two."""
    return float(epochs[np.abs(epochs - epoch).argmin()])


_ALIKE = 1e-6


def _missing(epochs: Float[np.ndarray, " frame"], epoch: float, run: str) -> MissingFrame:
    below, above = epochs[epochs < epoch], epochs[epochs > epoch]
    near = [f"{value:g}" for value in (*below[-1:], *above[:1])]
    verb = "nearest are " + " and ".join(near) if len(near) > 1 else f"nearest is {near[0] if near else 'none'}"
    return MissingFrame(f"run {run!r} has no frame at epoch {epoch:g}; {verb} ({_extent(epochs)})")


def _extent(epochs: Float[np.ndarray, " frame"]) -> str:
    return f"it has {len(epochs)} frames, epochs {epochs[0]:g} to {epochs[-1]:g}"
