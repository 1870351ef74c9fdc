"""A segment: consecutive frames stacked on a leading frame axis in one immutable safetensors file."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DamagedRun
from . import files, tensors

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from .tensors import Tensors

    Layout = dict[str, tuple[np.dtype[Any], tuple[int, ...]]]

CHECKSUMS = "xxh3_64"
FIRST = "first"
RUN = "run"


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

    @property
    def layout(self) -> Layout:
        """Dtype and shape of its weights by parameter."""
        return {name: (array.dtype, array.shape) for name, array in self.weights.items()}


def stack(frames: Sequence[Frame]) -> Tensors:
    """The tensors of a segment that holds these frames. A scalar that a frame lacks becomes NaN."""
    stacked: Tensors = {
        "clock/step": np.array([frame.step for frame in frames], np.int64),
        "clock/epoch": np.array([frame.epoch for frame in frames], np.float64),
        "clock/time": np.array([frame.time for frame in frames], np.float64),
    }
    for name in sorted({name for frame in frames for name in frame.scalars}):
        values = [frame.scalars.get(name, np.nan) for frame in frames]
        stacked[f"scalars/{name}"] = np.array(values, np.float64)
    for name in frames[0].weights:
        stacked[f"weights/{name}"] = np.stack([frame.weights[name] for frame in frames])
    return stacked


def join(segments: Sequence[Segment]) -> Tensors:
    """The tensors of several consecutive segments as those of one."""
    names = dict.fromkeys(name for segment in segments for name in segment.names)
    return {name: np.concatenate([segment.read(name) for segment in segments]) for name in names}


def write(path: Path, run: str, first: int, arrays: Tensors) -> None:
    """Write a segment of the run with this id durably; it appears under `path` whole or not at all."""
    arrays = tensors.plain(arrays)
    sums = {name: tensors.checksum(name, array) for name, array in arrays.items()}
    with files.placed(path) as beside:
        tensors.write(beside, arrays, {RUN: run, FIRST: str(first), CHECKSUMS: json.dumps(sums)})


class Segment:
    """One segment opened for reading. Every tensor is checked against its checksum when it is first read.

    The file is not kept open. When it has been removed or replaced since, reading raises FileNotFoundError: its frames
    are in another file now.
    """

    def __init__(self, path: Path, run: str) -> None:
        self.path = path
        self._sound: set[str] = set()
        with _naming(path):
            self.identity = identity(path.stat())
            self._places, metadata = tensors.read_header(path)
            if metadata[RUN] != run:
                raise ValueError(f"it belongs to the run with the id {metadata[RUN]!r}")
            self._sums: dict[str, str] = json.loads(metadata[CHECKSUMS])
            self.first = int(metadata[FIRST])
            # ValueError unless all tensors have the same number of frames.
            [[self._length]] = {place.shape[:1] for place in self._places.values()}
            if self._places.keys() != self._sums.keys() or path != files.segment_path(path.parents[1], self.first):
                raise ValueError("its header contradicts itself")
            self.steps, self.epochs, self.times = (
                self._read(f"clock/{key}", 0, self._length) for key in ("step", "epoch", "time")
            )

    def __len__(self) -> int:
        return self._length

    @property
    def end(self) -> int:
        """The number of the frame after its last."""
        return self.first + self._length

    @property
    def size(self) -> int:
        """Bytes of its file."""
        return self.identity[2]

    @property
    def names(self) -> list[str]:
        """The names of its tensors."""
        return list(self._places)

    @property
    def layout(self) -> Layout:
        """Dtype and shape of the weights of one frame by parameter."""
        return {
            name.removeprefix("weights/"): (place.dtype, place.shape[1:])
            for name, place in self._places.items()
            if name.startswith("weights/")
        }

    def read(self, name: str, low: int = 0, high: int | None = None) -> NDArray[Any]:
        """The tensor from its row `low` to `high`, as (frame, ...). A scalar that is missing throughout is NaN.

        Raises DamagedRun if it was altered, FileNotFoundError if the file is not the same any more.
        """
        high = self._length if high is None else high
        if name not in self._places and name.startswith("scalars/"):
            return np.full(high - low, np.nan)
        with _naming(self.path):
            return self._read(name, low, high)

    def _read(self, name: str, low: int, high: int) -> NDArray[Any]:
        sound = name in self._sound
        try:
            part = tensors.read(self.path, name, *((low, high) if sound else (0, self._length)))
        finally:
            # Whatever was found, if it was found in another file that took this one's place, it says nothing.
            if identity(self.path.stat()) != self.identity:
                raise FileNotFoundError(f"{self.path} was replaced")
        if sound:
            return part
        whole = part
        if tensors.checksum(name, whole) != self._sums[name]:
            raise ValueError(f"the checksum of {name!r} does not match")
        self._sound.add(name)
        return whole[low:high]

    def verify(self) -> None:
        """Read every tensor. Raises DamagedRun at the first that was altered."""
        for name in self.names:
            self.read(name)


@contextmanager
def _naming(path: Path) -> Generator[None]:
    """Turn whatever is wrong with a file into an error that names it."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise DamagedRun(f"{path} is truncated or altered: {error}") from error


def identity(status: os.stat_result) -> tuple[int, int, int, int]:
    """What tells a file from another that took its place: device, inode, size and time of its last change."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def look(run: Path, run_id: str, known: Sequence[Segment] = ()) -> tuple[list[Segment], dict[Path, str]]:
    """The segments of a run in order, each frame once; and what is wrong with the files that cannot be read.

    While a writer merges, and after one that died then, parts lie beside the whole that holds their frames: these are
    passed over. Segments that are `known` and unchanged are not opened again. Raises FileNotFoundError if a file went
    away meanwhile: look again.
    """
    opened = {segment.path: segment for segment in known}
    segments: list[Segment] = []
    damage: dict[Path, str] = {}
    for first, path in files.segment_paths(run).items():
        if segments and first < segments[-1].end:
            continue
        segment = opened.get(path)
        try:
            if segment is None or segment.identity != identity(path.stat()):
                segment = Segment(path, run_id)
            segments.append(segment)
        except DamagedRun as error:
            damage[path] = str(error)
    return segments, damage
