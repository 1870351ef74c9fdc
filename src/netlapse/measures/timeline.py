"""What all measures share: a frame axis with epochs on it."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..errors import MissingFrame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Float
    from numpy.typing import NDArray


# The axis names in a field's annotation say whether it has one value per frame: "frame example", " frame".
_PER_FRAME = re.compile(r"""["'] ?frame\b""")


@dataclass(frozen=True)
class Timeline:
    """A measure along the frames of a run.

    `epochs` (frame,) are those it was computed at, ascending.
    """

    epochs: Float[np.ndarray, " frame"]

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

    @property
    def frame_bytes(self) -> int:
        """Bytes of memory that one frame takes."""
        values = [getattr(self, name) for name in _per_frame(type(self))]
        return sum(value.nbytes for value in values if value is not None) // len(self.epochs)

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The same measure of consecutive blocks of frames as one."""
        columns = {name: [getattr(part, name) for part in parts] for name in _per_frame(cls)}
        return replace(
            parts[0],
            **{name: np.concatenate(column) for name, column in columns.items() if column[0] is not None},
        )

    def _map(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Self:
        values = {name: getattr(self, name) for name in _per_frame(type(self))}
        return replace(self, **{name: change(value) for name, value in values.items() if value is not None})


def _per_frame(cls: type[Timeline]) -> list[str]:
    return [field.name for field in fields(cls) if _PER_FRAME.search(str(field.type))]


def _mix(low: NDArray[Any], high: NDArray[Any], share: float) -> NDArray[Any]:
    if low.dtype.kind != "f":
        return low if share < 0.5 else high
    return low + (high - low) * np.asarray(share, low.dtype)
