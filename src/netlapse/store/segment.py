"""A segment: consecutive frames stacked on a leading frame axis in one immutable safetensors file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

from ..errors import DamagedRun
from . import files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

Tensors = dict[str, "NDArray[Any]"]

CHECKSUMS = "xxh3_64"
FIRST = "first"


@dataclass(frozen=True, slots=True)
class Frame:
    """One recorded moment: the clock, all weights, and what was logged.

    `epoch` counts completed epochs (12.5 is the middle of the thirteenth), `step` optimiser steps, `time`
    seconds of wall time since the run began.
    """

    step: int
    epoch: float
    time: float
    weights: Mapping[str, NDArray[Any]]
    scalars: Mapping[str, float]

    @property
    def nbytes(self) -> int:
        """Bytes of this frame's weights."""
        return sum(array.nbytes for array in self.weights.values())


def stack(frames: Sequence[Frame]) -> Tensors:
    """The tensors of a segment that holds these frames. A scalar that a frame lacks becomes NaN."""
    tensors: Tensors = {
        "clock/step": np.array([frame.step for frame in frames], np.int64),
        "clock/epoch": np.array([frame.epoch for frame in frames], np.float64),
        "clock/time": np.array([frame.time for frame in frames], np.float64),
    }
    for name in frames[0].weights:
        tensors[f"weights/{name}"] = np.stack([frame.weights[name] for frame in frames])
    for name in sorted({name for frame in frames for name in frame.scalars}):
        values = [frame.scalars.get(name, np.nan) for frame in frames]
        tensors[f"scalars/{name}"] = np.array(values, np.float64)
    return tensors


def join(segments: Sequence[Tensors]) -> Tensors:
    """The tensors of several consecutive segments as those of one."""
    lengths = [len(tensors["clock/step"]) for tensors in segments]
    joined: Tensors = {}
    for name in dict.fromkeys(name for tensors in segments for name in tensors):
        blank = np.nan if name.startswith("scalars/") else 0
        parts = [
            tensors[name] if name in tensors else np.full(length, blank)
            for tensors, length in zip(segments, lengths, strict=True)
        ]
        joined[name] = np.concatenate(parts)
    return joined


def checksum(name: str, array: NDArray[Any]) -> str:
    """XXH3 (64 bits, hex) over name, dtype and shape as one line of text, then the bytes in C order."""
    digest = xxhash.xxh3_64(f"{name} {array.dtype.name} {list(array.shape)}\n".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def write(path: Path, first: int, tensors: Tensors) -> None:
    """Write a segment durably; it appears under `path` whole or not at all."""
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    sums = {name: checksum(name, array) for name, array in tensors.items()}
    with files.placed(path) as beside:
        save_file(tensors, beside, metadata={FIRST: str(first), CHECKSUMS: json.dumps(sums)})


class Segment:
    """One segment opened for reading. Every tensor is checked against its checksum when it is first read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        try:
            self._file: Any = safe_open(path, framework="numpy")
            metadata: dict[str, str] = self._file.metadata() or {}
            self._sums: dict[str, str] = json.loads(metadata[CHECKSUMS])
            self.first = int(metadata[FIRST])
        except FileNotFoundError:
            raise
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise DamagedRun(f"{path} is truncated or altered: {error}") from error
        names = set(self._file.keys())
        if names != set(self._sums) or files.segment_path(path.parents[1], self.first) != path:
            raise DamagedRun(f"{path} is altered: its header contradicts itself")
        self._sound: set[str] = set()
        self.scalars = sorted(name.removeprefix("scalars/") for name in names if name.startswith("scalars/"))
        self.steps, self.epochs, self.times = (self.read(f"clock/{key}") for key in ("step", "epoch", "time"))

    def __len__(self) -> int:
        return len(self.steps)

    def __contains__(self, name: str) -> bool:
        return name in self._sums

    @property
    def names(self) -> list[str]:
        """The names of its tensors."""
        return sorted(self._sums)

    def read(self, name: str, frames: slice | None = None) -> NDArray[Any]:
        """The tensor, or the part of it for some frames, as (frame, ...). Raises DamagedRun if it was altered."""
        if name in self._sound and frames is not None:
            return self._file.get_slice(name)[frames]
        try:
            whole: NDArray[Any] = self._file.get_tensor(name)
        except (SafetensorError, OSError, KeyError) as error:
            raise DamagedRun(f"{self.path} is truncated or altered at {name!r}: {error}") from error
        if name not in self._sound:
            if checksum(name, whole) != self._sums[name]:
                raise DamagedRun(f"{self.path} is altered: the checksum of {name!r} does not match")
            self._sound.add(name)
        return whole if frames is None else whole[frames]


def sequence(run: Path) -> list[Segment]:
    """The segments of a run in order, each frame once. Raises DamagedRun at the first that is damaged.

    A writer that died while merging leaves parts beside the whole that holds their frames: these are passed over.
    """
    segments: list[Segment] = []
    for path in sorted((run / files.FRAMES).glob(f"*{files.SEGMENT}")):
        segment = Segment(path)
        if not segments or segment.first >= segments[-1].first + len(segments[-1]):
            segments.append(segment)
    return segments
