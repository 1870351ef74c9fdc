"""The numbers of a payload, computed when they are asked for, a range of frames at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from .schema import Array

    # Arrays by what they are, each (frame, ...), of the frames of these numbers.
    Compute = Callable[[NDArray[np.intp]], Mapping[str, NDArray[Any]]]

_DTYPES = ("float32", "uint8", "uint16", "int32")


@dataclass(frozen=True)
class Scale:
    """How values are stored as whole numbers: see `schema.Array`."""

    low: float = 0.0
    step: float = 1.0
    gaps: bool = False


PLAIN = Scale()
CLASS = Scale(gaps=True)
SHARE = Scale(step=1 / 255)
# 0 is one of the numbers, so that an edge stays where it is.
LEAD = Scale(low=-1.0, step=2 / 254, gaps=True)


def stored(values: NDArray[Any], scale: Scale) -> NDArray[np.uint8]:
    """Values on a scale as bytes."""
    with np.errstate(invalid="ignore"):
        whole = np.round((values - scale.low) / scale.step)
        return np.where(np.isnan(values), 255, np.clip(whole, 0, 254 if scale.gaps else 255)).astype(np.uint8)


class Numbers:
    """Arrays by name. Those that one measure gives are computed together; those computed last are kept.

    With `ahead`, all are computed when they are added: where all are needed that takes half the time, since a framework
    compiles for each number of frames.
    """

    def __init__(self, *, ahead: bool = False) -> None:
        self._ahead = ahead
        self._whole: dict[str, NDArray[Any]] = {}
        self._still: dict[str, NDArray[Any]] = {}
        self._moving: dict[str, tuple[Compute, str, int]] = {}
        self._latest: tuple[Compute, int, int, Mapping[str, NDArray[Any]]] | None = None

    def still(self, name: str, values: NDArray[Any], axes: Sequence[str], scale: Scale = PLAIN) -> Array:
        """Add an array that is known already."""
        (self._whole if axes[0] == "frame" else self._still)[name] = values
        return _array(name, values, values.shape, axes, scale)

    def moving(
        self,
        prefix: str,
        frames: int,
        compute: Compute,
        axes: Mapping[str, Sequence[str]],
        scales: Mapping[str, Scale] | None = None,
    ) -> dict[str, Array]:
        """Add what a measure gives, by what it is; `axes` are those of one frame."""
        found: dict[str, Array] = {}
        # The first frame says how large they are.
        for key, values in compute(np.arange(frames if self._ahead else 1)).items():
            name = f"{prefix}/{key}"
            self._moving[name] = compute, key, frames
            if self._ahead:
                self._whole[name] = values
            scale = (scales or {}).get(key, PLAIN)
            found[key] = _array(name, values, (frames, *values.shape[1:]), ("frame", *axes[key]), scale)
        return found

    def __call__(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """What is stored of frames `start` to `stop` - 1; of an array without a frame axis all.

        Raises UnknownName for an array that there is not.
        """
        if name in self._still:
            return self._still[name]
        if name in self._whole:
            return self._whole[name][start:stop]
        if name not in self._moving:
            raise UnknownName(f"there is no array {name!r}; the payload names those there are")
        compute, key, frames = self._moving[name]
        low, high, _ = slice(start, stop).indices(frames)
        if self._latest is None or self._latest[:3] != (compute, low, high):
            self._latest = compute, low, high, compute(np.arange(low, max(low, high)))
        return self._latest[3][key]


def _array(name: str, values: NDArray[Any], shape: Sequence[int], axes: Sequence[str], scale: Scale) -> Array:
    dtype = values.dtype.name
    assert dtype in _DTYPES, (name, dtype)
    return {
        "name": name,
        "dtype": cast("Any", dtype),
        "shape": list(shape),
        "axes": list(axes),
        "low": scale.low,
        "step": scale.step,
        "gaps": scale.gaps,
    }


def single(values: Any) -> NDArray[np.float32]:
    """In single precision; what is too large for it becomes infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32)
