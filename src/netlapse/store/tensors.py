"""The safetensors format, read by ranges and checked: nothing is believed that the file does not bear out.

The safetensors library opens files of this machine only; a run may lie in an object store, of which parts are fetched.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import ml_dtypes
import numpy as np
import xxhash

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .folder import Buffer, File

Tensors = dict[str, "NDArray[Any]"]
Layout = dict[str, tuple[np.dtype[Any], tuple[int, ...]]]

DTYPES: dict[str, np.dtype[Any]] = {
    code: np.dtype(name)
    for code, name in {
        "BOOL": "?",
        "U8": "u1",
        "I8": "i1",
        "U16": "<u2",
        "I16": "<i2",
        "F16": "<f2",
        "BF16": ml_dtypes.bfloat16,
        "U32": "<u4",
        "I32": "<i4",
        "F32": "<f4",
        "U64": "<u8",
        "I64": "<i8",
        "F64": "<f8",
        "C64": "<c8",
    }.items()
}
NAMES = {dtype.name: code for code, dtype in DTYPES.items()}

# Rows share a checksum up to this many bytes: so much is read to check one row.
BLOCK = 2**16
# A header of our own has some 200 bytes for each array and each 64 KiB of it.
_LARGEST_HEADER = 100 * 2**20
# So much of a file is read at first: header, clock and scalars of most segments.
HEAD = 2**14
_METADATA = "__metadata__"


@dataclass(frozen=True, slots=True)
class Place:
    """What a tensor in a file is, and the byte of the file it begins at."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one entry of its first axis."""
        return self.dtype.itemsize * math.prod(self.shape[1:])


def plain(arrays: Mapping[str, NDArray[Any]]) -> Tensors:
    """The arrays in C order and little-endian, as they are stored and hashed."""
    return {name: np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for name, array in arrays.items()}


def nbytes(layout: Layout) -> int:
    """Bytes of arrays of these dtypes and shapes."""
    return sum(dtype.itemsize * math.prod(shape) for dtype, shape in layout.values())


def as_bytes(array: NDArray[Any]) -> memoryview:
    """The memory of a plain array; NumPy gives none for bfloat16."""
    return array.reshape(-1).view(np.uint8).data


def block_rows(row_bytes: int) -> int:
    """How many rows share a checksum."""
    return max(1, BLOCK // max(1, row_bytes))


def checksum(name: str, block: int, rows: NDArray[Any], shape: tuple[int, ...]) -> str:
    """XXH3 (64 bits, hex) of one block of rows of a plain array of this shape.

    Taken over name, dtype, shape and number of the block as one line of text, then the bytes.
    """
    digest = xxhash.xxh3_64(f"{name} {rows.dtype.name} {list(shape)} {block}\n".encode())
    digest.update(as_bytes(rows))
    return digest.hexdigest()


def checksums(name: str, array: NDArray[Any]) -> str:
    """The checksums of all blocks of a plain array, one after another."""
    size = block_rows(array[:1].nbytes)
    blocks = range(math.ceil(len(array) / size))
    return "".join(checksum(name, n, array[n * size : (n + 1) * size], array.shape) for n in blocks)


def encode(arrays: Tensors, metadata: Mapping[str, str]) -> list[Buffer]:
    """A file of plain arrays, as a header and the arrays themselves."""
    # Whatever the header's length, every array begins at a multiple of its item size.
    names = sorted(arrays, key=lambda name: -arrays[name].itemsize)
    entries: dict[str, Any] = {_METADATA: dict(metadata)}
    end = 0
    for name in names:
        array = arrays[name]
        begin, end = end, end + array.nbytes
        entries[name] = {
            "dtype": NAMES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return [len(header).to_bytes(8, "little") + header, *(as_bytes(arrays[name]) for name in names)]


def read_header(file: File, size: int, head: bytes = b"") -> tuple[dict[str, Place], dict[str, str], bytes]:
    """The tensors of a file of this size by name, its metadata, and the beginning of the file, which had to be read.

    A `head` of it that was read before may be given. Raises ValueError, KeyError or TypeError if header and file
    contradict each other.
    """
    head = head or file.read(HEAD)
    start = 8 + int.from_bytes(head[:8], "little")
    if len(head) < 8 or start > min(size, _LARGEST_HEADER):
        raise ValueError("it has no header")
    if start > len(head):
        rest = bytearray(start - len(head))
        file.read_into(len(head), memoryview(rest))
        head += bytes(rest)
    try:
        entries = json.loads(head[8:start])
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None
    metadata = _strings(entries.pop(_METADATA, {}))
    places: dict[str, Place] = {}
    spans: list[tuple[int, int]] = []
    for name, entry in entries.items():
        dtype, shape = DTYPES[entry["dtype"]], shape_of(entry["shape"])
        begin, end = map(_count, entry["data_offsets"])
        if end - begin != dtype.itemsize * math.prod(shape):
            raise ValueError(f"tensor {name!r} of shape {shape} is not {end - begin} bytes")
        places[name] = Place(dtype, shape, start + begin)
        spans.append((begin, end))
    # Without gaps and overlaps from the end of the header to the end of the file.
    spans.sort()
    if [begin for begin, _ in spans] + [size - start] != [0] + [end for _, end in spans]:
        raise ValueError("its tensors do not fill the file")
    return places, metadata, head


# As many as NumPy has had for long.
_MOST_AXES = 32
# NumPy counts bytes in 63 bits, an axis of length 0 or not.
_MOST_NUMBERS = 2**56


def shape_of(lengths: Any) -> tuple[int, ...]:
    """A shape as it is written in JSON. Raises ValueError or TypeError if it is none."""
    if len(lengths) > _MOST_AXES:
        raise ValueError(f"a tensor has {len(lengths)} axes")
    shape = tuple(_count(length) for length in lengths)
    if math.prod(length or 1 for length in shape) > _MOST_NUMBERS:
        raise ValueError("a tensor has more numbers than any computer can hold")
    return shape


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{type(value).__name__} is no count" if type(value) is not int else "a count is negative")
    return value


def _strings(entries: Any) -> dict[str, str]:
    if not isinstance(entries, dict) or not all(isinstance(value, str) for value in cast("Any", entries).values()):
        raise ValueError("its metadata are no strings")
    return cast("dict[str, str]", entries)


def read_rows(file: File, place: Place, low: int, out: NDArray[Any]) -> None:
    """Read rows of a tensor, from `low` on, into a contiguous array of its dtype."""
    file.read_into(place.begin + low * place.row_bytes, as_bytes(out))


class Content:
    """Bytes in memory as a File."""

    identity = ()

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, most: int) -> bytes:
        """Its first bytes, at most so many."""
        return self._content[:most]

    def read_into(self, low: int, buffer: memoryview) -> None:
        """Fill the buffer from the byte `low` on."""
        part = self._content[low : low + len(buffer)]
        if len(part) != len(buffer):
            raise ValueError("the file ends too early")
        buffer[:] = part


def decode(content: bytes) -> Tensors:
    """All tensors of a file's content. Raises ValueError, KeyError or TypeError if it is none."""
    file = Content(content)
    places, _, _ = read_header(file, len(content))
    found: Tensors = {}
    for name, place in places.items():
        found[name] = np.empty(place.shape, place.dtype)
        read_rows(file, place, 0, found[name])
    return found
