"""What all measures share: a frame axis with epochs on it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..errors import MissingFrame

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy.typing import NDArray


def per_frame() -> Any:
    """A field whose first axis is the frame."""
    return field(metadata={"axis": "frame"})


@dataclass(frozen=True)
class Timeline:
    """A measure along the frames of a run.

    `epochs` (frame,) are those it was computed at, ascending.
    """

    epochs: Float[np.ndarray, " frame"] = per_frame()

    def at(self, epoch: float) -> Self:
        """The measure at one epoch, with a frame axis of length 1.

        Between two frames all values are interpolated linearly: a picture of them must say so (`is_recorded`).
        Raises MissingFrame outside the measure's epochs.
        """
        if not self.epochs[0] <= epoch <= self.epochs[-1]:
            raise MissingFrame(
                f"epoch {epoch:g} lies outside the epochs {self.epochs[0]:g} to {self.epochs[-1]:g} that were computed"
            )
        position = float(np.interp(epoch, self.epochs, np.arange(len(self.epochs))))
        low = int(position)
        share = position - low
        if share == 0:
            return self._map(lambda values: values[low : low + 1])
        return self._map(lambda values: _mix(values[low : low + 1], values[low + 1 : low + 2], share))

    def is_recorded(self, epoch: float) -> bool:
        """Whether there is a frame at this epoch, so that `at` need not interpolate."""
        return bool(np.any(self.epochs == epoch))

    def _map(self, change: Any) -> Self:
        framed = [f.name for f in fields(self) if f.metadata.get("axis") == "frame"]
        values = {name: getattr(self, name) for name in framed}
        return replace(self, **{name: change(value) for name, value in values.items() if value is not None})


def _mix(low: NDArray[Any], high: NDArray[Any], share: float) -> NDArray[Any]:
    return low + (high - low) * np.asarray(share, low.dtype)
