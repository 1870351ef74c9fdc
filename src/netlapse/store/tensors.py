"""safetensors files, with the errors and checksums of this room."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save_file  # pyright: ignore[reportUnknownVariableType]

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

Tensors = dict[str, "NDArray[Any]"]

DTYPES: dict[str, np.dtype[Any]] = {
    code: np.dtype(name)
    for code, name in {
        "BOOL": "?",
        "U8": "u1",
        "I8": "i1",
        "U16": "<u2",
        "I16": "<i2",
        "F16": "<f2",
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


@dataclass(frozen=True, slots=True)
class Place:
    """What a tensor in a file is."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def plain(arrays: Mapping[str, NDArray[Any]]) -> Tensors:
    """The arrays in C order and little-endian, as they are stored and hashed."""
    return {name: np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for name, array in arrays.items()}


def checksum(name: str, array: NDArray[Any]) -> str:
    """XXH3 (64 bits, hex) over name, dtype and shape as one line of text, then the bytes of a plain array."""
    digest = xxhash.xxh3_64(f"{name} {array.dtype.name} {list(array.shape)}\n".encode())
    digest.update(array.data)
    return digest.hexdigest()


def write(path: Path, tensors: Tensors, metadata: Mapping[str, str]) -> None:
    """Write plain arrays to a file. Raises OSError if the disk is full."""
    try:
        save_file(tensors, path, metadata=dict(metadata))
    except SafetensorError as error:
        raise OSError(f"{path}: {error}") from error


def read_header(path: Path) -> tuple[dict[str, Place], dict[str, str]]:
    """The tensors of a file by name, and its metadata. Raises ValueError if they contradict the file."""
    with _opened(path) as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        places = {name: Place(DTYPES[part.get_dtype()], tuple(part.get_shape())) for name, part in slices.items()}
        return places, file.metadata() or {}


def read(path: Path, name: str, low: int, high: int) -> NDArray[Any]:
    """Rows `low` to `high` of a tensor. Raises ValueError if the file is not what its header says."""
    with _opened(path) as file:
        part = file.get_slice(name)
        shape: list[int] = part.get_shape()
        if (low, high) == (0, shape[0]):
            return file.get_tensor(name)
        return part[low:high]


def read_bytes(content: bytes) -> Tensors:
    """All tensors of a file's content. Raises ValueError if it is none."""
    try:
        return load(content)
    except SafetensorError as error:
        raise ValueError(str(error)) from error


@contextmanager
def _opened(path: Path) -> Generator[Any]:
    try:
        # Read in calls, not mapped into memory: a mapped file that is cut short kills the process that reads it.
        with safe_open(path, framework="numpy", backend="pread") as file:  # pyright: ignore[reportUnknownVariableType]
            yield file
    except SafetensorError as error:
        raise ValueError(str(error)) from error
