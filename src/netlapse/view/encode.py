"""A payload's numbers as text in a page: large arrays of numbers rounded, then made small."""

from __future__ import annotations

from base64 import b64encode
from gzip import compress
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from .schema import Array

# Arrays up to so many values keep theirs.
_SMALL = 16_384
# Steps over the bulk of the values: an eighth of a pixel of a large picture, a tenth of a per cent of a probability.
_STEPS = 4096
# The largest stored number, and the one for NaN.
_MOST, _GAP = 65_534, 65_535
# Of a loss that falls over decades each counts: 8 bits of its mantissa are within 0.2 %.
_RELATIVE, _BITS = ("losses",), 8


def rounded(array: Array, values: NDArray[Any]) -> tuple[Array, NDArray[Any]]:
    """What is stored of an array in a page, and how it is to be read."""
    if array["dtype"] != "float32" or values.size <= _SMALL:
        return array, values
    if array["name"].rsplit("/", 1)[-1] in _RELATIVE:
        return array, _shortened(values)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    # A few values that are far out cost the others no precision, as long as there are numbers for them.
    bulk = np.quantile(finite, (0.01, 0.99)) if finite.size else np.zeros(2)
    step = max(float(bulk[1] - bulk[0]) / _STEPS, (high - low) / _MOST, np.finfo(np.float32).tiny)
    stored = np.full(values.shape, _GAP, np.uint16)
    known = np.isfinite(values)
    stored[known] = np.clip(np.round((values[known].astype(float) - low) / step), 0, _MOST).astype(np.uint16)
    gaps = not bool(known.all())
    return cast("Array", {**array, "dtype": "uint16", "low": low, "step": step, "gaps": gaps}), stored


def _shortened(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounded to so many bits of the mantissa."""
    drop = 23 - _BITS
    bits = values.view(np.uint32).astype(np.uint64) + (1 << (drop - 1))
    short = (bits >> drop << drop).astype(np.uint32).view(np.float32)
    return np.where(np.isfinite(values), short, values)


def encoded(array: Array, values: NDArray[Any]) -> str:
    """Base64 of gzip of the bytes.

    Of numbers of two bytes, each frame becomes its difference to the one before, modulo 65536. Of all numbers of
    several bytes the lowest bytes come first, then the next.
    """
    values = np.ascontiguousarray(values, np.dtype(array["dtype"]).newbyteorder("<"))
    if array["dtype"] == "uint16" and array["axes"][:1] == ["frame"] and len(values):
        values = np.concatenate([values[:1], values[1:] - values[:-1]])
    width = values.dtype.itemsize
    shuffled = values.reshape(-1).view(np.uint8).reshape(-1, width).T.tobytes()
    return b64encode(compress(shuffled, 9, mtime=0)).decode("ascii")


def arrays_in(part: Any) -> Iterator[Array]:
    """Every array that a part of a payload names."""
    if isinstance(part, dict):
        entries = cast("dict[str, Any]", part)
        if "dtype" in entries and "axes" in entries:
            yield cast("Array", part)
        else:
            for entry in entries.values():
                yield from arrays_in(entry)
    elif isinstance(part, list):
        for entry in cast("list[Any]", part):
            yield from arrays_in(entry)
