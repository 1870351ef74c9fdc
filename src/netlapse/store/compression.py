"""Lossless compression of an array over frames: what changed from frame to frame, like bytes together, Zstandard.

Weights hardly compress by themselves (1.1 times). From one frame to the next, sign, exponent and leading bits mostly
stay: after XOR with the frame before they are zero, and sorting the bytes by their place in the number puts the zeros
together (bench/README.md has the ratios). Both steps are exact.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import zstandard

if TYPE_CHECKING:
    from numpy.typing import NDArray

CODEC = "xor-shuffle-zstd"
_LEVEL = 1
# What would grow so much more than weights do is not decompressed: it was made to fill the memory of whoever reads it.
_LARGE = 2**28
_MOST = 200


def compress(array: NDArray[Any]) -> NDArray[np.uint8] | None:
    """The bytes of a plain array (frame, ...), compressed; None where that does not pay."""
    if array.nbytes == 0:
        return None
    changes = _integers(array)
    changes[1:] ^= changes[:-1].copy()
    shuffled = changes.reshape(-1).view(np.uint8).reshape(-1, array.itemsize).T
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(shuffled.tobytes())
    if len(packed) >= array.nbytes or is_bomb(len(packed), array.nbytes):
        return None
    return np.frombuffer(packed, np.uint8)


def decompress(packed: NDArray[np.uint8], dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """The array of this dtype and shape again. Raises ValueError if the bytes are not such an array."""
    size = dtype.itemsize * math.prod(shape)
    content = packed.tobytes()
    try:
        if zstandard.frame_content_size(content) != size or is_bomb(len(content), size):
            raise ValueError(f"its compressed bytes are not the {size:,} that are stated")
        shuffled = np.frombuffer(zstandard.ZstdDecompressor().decompress(content, max_output_size=size), np.uint8)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    array = np.ascontiguousarray(shuffled.reshape(dtype.itemsize, -1).T).reshape(-1).view(dtype).reshape(shape)
    changes = _integers(array)
    np.bitwise_xor.accumulate(changes, axis=0, out=changes)
    return changes.reshape(-1).view(dtype).reshape(shape)


def is_bomb(packed: int, size: int) -> bool:
    """Whether so few bytes should not become so many."""
    return size > _LARGE and size > _MOST * packed


def _integers(array: NDArray[Any]) -> NDArray[Any]:
    """The bits of an array as unsigned integers, (frame, number), in memory of their own."""
    width = min(array.itemsize, 8)
    return array.reshape(len(array), -1).view(f"<u{width}").copy()
