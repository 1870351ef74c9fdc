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
MARGIN = Scale(step=1 / 254, gaps=True)
# 0 is one of the numbers, so that an edge stays where it is.
LEAD = Scale(low=-1.0, step=2 / 254, gaps=True)


def stored(values: NDArray[Any], scale: Scale) -> NDArray[np.uint8]:
    """Values on a scale as bytes."""
    with np.errstate(invalid="ignore"):
        whole = np.round((values - scale.low) / scale.step)
        return np.where(np.isnan(values), 255, np.clip(whole, 0, 254 if scale.gaps else 255)).astype(np.uint8)


class Numbers:
    """Arrays by name. Those that one measure gives are computed together; those computed last are kept.

    Of each measure, `at_once` frames are computed at a time, no more and no fewer, since a framework compiles for each
    number of frames. With `ahead`, all are computed when they are added: where all are needed that takes half the time.
    """

    def __init__(self, *, ahead: bool = False, at_once: int = 16) -> None:
        self._ahead, self.at_once = ahead, at_once
        self._whole: dict[str, NDArray[Any]] = {}
        self._still: dict[str, NDArray[Any]] = {}
        self._moving: dict[str, tuple[Compute, str, Array]] = {}
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
        for key, values in compute(np.arange(frames) if self._ahead else np.zeros(self.at_once, np.intp)).items():
            name = f"{prefix}/{key}"
            if self._ahead:
                self._whole[name] = values
            scale = (scales or {}).get(key, PLAIN)
            found[key] = _array(name, values, (frames, *values.shape[1:]), ("frame", *axes[key]), scale)
            self._moving[name] = compute, key, found[key]
        return found

    def grow(self, prefix: str, frames: int) -> None:
        """Say of arrays whose names begin so that they have come to have so many frames."""
        for name, (_, _, array) in self._moving.items():
            if name.startswith(f"{prefix}/"):
                array["shape"][0] = frames

    def __call__(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """What is stored of frames `start` to `stop` - 1; of an array without a frame axis all.

        Raises UnknownName for an array that there is not.
        """
        return self.together(name, start, stop)[name]

    def together(self, name: str, start: int = 0, stop: int | None = None) -> Mapping[str, NDArray[Any]]:
        """The same, by name, of all arrays that are computed with this one."""
        if name in self._still:
            return {name: self._still[name]}
        if name in self._whole:
            return {name: self._whole[name][start:stop]}
        if name not in self._moving:
            raise UnknownName(f"there is no array {name!r}; the payload names those there are")
        compute, key, array = self._moving[name]
        low, high, _ = slice(start, stop).indices(array["shape"][0])
        latest = self._latest
        if latest is None or latest[:3] != (compute, low, high):
            latest = self._latest = compute, low, high, self._computed(compute, low, high)
        return {name.removesuffix(key) + other: values for other, values in latest[3].items()}

    def _computed(self, compute: Compute, low: int, high: int) -> Mapping[str, NDArray[Any]]:
        size = self.at_once
        # The last frame again, instead of fewer.
        blocks = [np.arange(start, start + size).clip(max=max(low, high - 1)) for start in range(low, high, size)]
        parts = [compute(rows) for rows in blocks or [np.full(size, low)]]
        return {key: np.concatenate([part[key] for part in parts])[: max(0, high - low)] for key in parts[0]}


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
