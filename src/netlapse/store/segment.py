"""A segment: consecutive frames stacked on a leading frame axis in one immutable safetensors file."""

from __future__ import annotations

import json
import math
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DamagedRun
from . import files, tensors
from .compression import CODEC, compress, decompress, is_bomb

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from numpy.typing import NDArray

    from .folder import File, Folder, Identity
    from .tensors import Layout, Place, Tensors

CHECKSUMS = "xxh3_64"
RUN = "run"
COMPRESSED = "compressed"

NUMBERS = "clock/frame"
CLOCK = (NUMBERS, "clock/step", "clock/epoch", "clock/time")
_SCALAR = np.dtype(np.float64)
_CLOCK = tuple(zip(CLOCK, (np.dtype(np.int64),) * 2 + (_SCALAR,) * 2, strict=True))
# Numbers of frames and steps up to here are exact as floats, and have no more digits than names of files.
_MOST = 2**53
WEIGHTS = "weights/"
STATE = "state/"
LOGGED = "scalars/"


@dataclass(frozen=True, slots=True)
class Frame:
    """One recorded moment: the clock, all weights, and what was logged.

    `epoch` counts completed epochs (12.5 is the middle of the thirteenth), `step` optimiser steps, `time`
    seconds of wall time since the run began. `state` is what training would need to go on from here: the optimiser's
    variables and the states of random generators.
    """

    step: int
    epoch: float
    time: float
    weights: Mapping[str, NDArray[Any]]
    scalars: Mapping[str, float]
    state: Mapping[str, NDArray[Any]] = field(default_factory=dict[str, "NDArray[Any]"])


class Block:
    """Frames on their way to a segment: arrays of so many rows, filled from the first on."""

    def __init__(self, layout: Layout, rows: int) -> None:
        self.arrays = {name: np.empty((rows, *shape), dtype) for name, (dtype, shape) in layout.items()}
        self.rows = rows
        self.clear()

    def clear(self) -> None:
        """Make it empty, to be filled again."""
        self._clock: list[tuple[int, float, float]] = []
        self._scalars: list[Mapping[str, float]] = []

    def __len__(self) -> int:
        return len(self._clock)

    @property
    def full(self) -> bool:
        """Whether no frame can be added."""
        return len(self._clock) == self.rows

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return sum(array.nbytes for array in self.arrays.values())

    def add(self, frame: Frame) -> None:
        """Copy a frame into the next row."""
        row = len(self._clock)
        for name, array in frame.weights.items():
            self.arrays[WEIGHTS + name][row] = array
        for name, array in frame.state.items():
            self.arrays[STATE + name][row] = array
        self._scalars.append(frame.scalars)
        self._clock.append((frame.step, frame.epoch, frame.time))

    def amend(self, epoch: float, scalars: Mapping[str, float]) -> None:
        """Add what was logged to the last frame."""
        step, _, time = self._clock[-1]
        self._clock[-1] = step, epoch, time
        self._scalars[-1] = {**self._scalars[-1], **scalars}

    def take_last(self, other: Block) -> None:
        """Move the last frame of another block into this empty one."""
        row = len(other) - 1
        for name, array in self.arrays.items():
            array[0] = other.arrays[name][row]
        self._clock.append(other._clock.pop())
        self._scalars.append(other._scalars.pop())

    def tensors(self, first: int) -> Tensors:
        """The tensors of a segment of its frames, of which the first has this number."""
        steps, epochs, times = zip(*self._clock, strict=True)
        stacked: Tensors = {
            NUMBERS: np.arange(first, first + len(self), dtype=np.int64),
            "clock/step": np.array(steps, np.int64),
            "clock/epoch": np.array(epochs, np.float64),
            "clock/time": np.array(times, np.float64),
        }
        for name in sorted({name for scalars in self._scalars for name in scalars}):
            # A scalar that a frame lacks becomes NaN.
            stacked[LOGGED + name] = np.array([scalars.get(name, np.nan) for scalars in self._scalars], np.float64)
        return stacked | {name: array[: len(self)] for name, array in self.arrays.items()}


def join(segments: Sequence[Segment]) -> Tensors:
    """The tensors of several consecutive segments as those of one."""
    names = dict.fromkeys(name for segment in segments for name in segment.names)
    return {name: np.concatenate([segment.read(name) for segment in segments]) for name in names}


def write(folder: Folder, series: str, run: str, arrays: Tensors, *, compressed: bool = False, new: bool = True) -> int:
    """Write a segment of the run with this id durably, whole or not at all. Returns the bytes of its file.

    With `compressed`, arrays are compressed where that pays. FileExistsError if it is to be `new` and is not.
    """
    first = int(arrays[NUMBERS][0])
    whole = tensors.plain(arrays)
    arrays = dict(whole)
    packed: dict[str, Any] = {}
    for name in [name for name in arrays if compressed and name.startswith((WEIGHTS, STATE))]:
        array = arrays[name]
        if (content := compress(array)) is not None:
            packed[name] = {"codec": CODEC, "dtype": tensors.NAMES[array.dtype.name], "shape": array.shape}
            arrays[name] = content
    if is_bomb(sum(array.nbytes for array in arrays.values()), sum(whole[name].nbytes for name in packed)):
        return write(folder, series, run, whole, new=new)
    sums = {name: tensors.checksums(name, array) for name, array in arrays.items()}
    metadata = {RUN: run, CHECKSUMS: json.dumps(sums)}
    if packed:
        metadata[COMPRESSED] = json.dumps(packed)
    parts = tensors.encode(arrays, metadata)
    folder.place(files.segment_name(series, first), parts, new=new)
    return sum(map(len, parts))


class Segment:
    """One segment opened for reading. Every block of a tensor is checked against its checksum when it is first read.

    The file is not kept open. When it has been removed or replaced since, reading raises FileNotFoundError: its frames
    are in another file now.

    Attributes
    ----------
    numbers, steps, epochs, times
        Number of each frame in the run, and its clock. Shape (frame,).
    """

    def __init__(self, folder: Folder, name: str, identity: Identity, run: str, head: bytes = b"") -> None:
        self._folder, self.name, self.identity = folder, name, identity
        with self._naming(), folder.open(name) as file:
            self._places, metadata, head = tensors.read_header(file, self.size, head)
            if metadata[RUN] != run:
                raise ValueError(f"it belongs to the run with the id {metadata[RUN]!r}")
            self._sums: dict[str, str] = json.loads(metadata[CHECKSUMS])
            self._packed = _packed(metadata.get(COMPRESSED, "{}"))
            self._layout = {name: (place.dtype, place.shape) for name, place in self._places.items()} | self._packed
            # ValueError unless all tensors have the same number of frames.
            [[self._length]] = {shape[:1] for _, shape in self._layout.values()}
            self._check_header()
            self._sound = {name: np.zeros(_blocks(place), bool) for name, place in self._places.items()}
            # Clock and scalars usually lie in what was read for the header: they cost no request of their own.
            begun = tensors.Content(head)
            early = {name for name, place in self._places.items() if place.begin + 8 * self._length <= len(head)}
            self.numbers, self.steps, self.epochs, self.times = (
                self._checked(begun if key in early else file, key, 0, self._length) for key in CLOCK
            )
            self._kept = {
                name: self._checked(begun, name, 0, self._length) for name in early if name.startswith(LOGGED)
            }
            # Compared, not subtracted: the difference of two large numbers may be none.
            ordered = self.first >= 0 and self.end <= _MOST and (self.numbers[:-1] < self.numbers[1:]).all()
            if not ordered or name != files.segment_name(name.partition("/")[0], self.first):
                raise ValueError("its frames contradict its name")
            steps_in_range = (self.steps >= 0).all() and (self.steps <= _MOST).all()
            # NaN is a time that is not known.
            if not steps_in_range or not np.isfinite(self.epochs).all() or np.isinf(self.times).any():
                raise ValueError("its clock shows no time")

    def _check_header(self) -> None:
        """Raise ValueError unless the tensors are of the kinds that a segment holds."""
        kinds = dict(_CLOCK) | {name: _SCALAR for name in self._places if name.startswith(LOGGED)}
        if (
            self._places.keys() != self._sums.keys()
            or any(self._layout[name] != (dtype, (self._length,)) for name, dtype in kinds.items())
            or any(self._places[name].dtype != np.uint8 or len(self._places[name].shape) != 1 for name in self._packed)
            or not all(name.startswith((WEIGHTS, STATE)) for name in self._packed)
        ):
            raise ValueError("its header contradicts itself")
        if is_bomb(self.size, tensors.nbytes(self._packed)):
            raise ValueError("its compressed arrays would be larger than any that netlapse writes")

    def __len__(self) -> int:
        return self._length

    @property
    def first(self) -> int:
        """The number of its first frame."""
        return int(self.numbers[0])

    @property
    def end(self) -> int:
        """The number after that of its last frame."""
        return int(self.numbers[-1]) + 1

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
        """Dtype and shape of one frame's weights and state by the names of their tensors."""
        arrays = {name: (dtype, shape[1:]) for name, (dtype, shape) in self._layout.items()}
        return {name: what for name, what in arrays.items() if name.startswith((WEIGHTS, STATE))}

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame's weights and state in memory."""
        return tensors.nbytes(self.layout)

    def read(self, name: str, low: int = 0, high: int | None = None) -> NDArray[Any]:
        """The tensor from its row `low` to `high`, as (frame, ...).

        Raises DamagedRun if it was altered, FileNotFoundError if the file is not the same any more.
        """
        high = self._length if high is None else high
        dtype, shape = self._layout.get(name) or _MISSING
        out = np.empty((high - low, *shape[1:]), dtype)
        self.read_into(name, low, high, out)
        return out

    def read_into(self, name: str, low: int, high: int, out: NDArray[Any]) -> None:
        """Read rows into a contiguous array. A scalar that is missing throughout is NaN. Errors as of `read`."""
        if name not in self._places and name.startswith(LOGGED):
            out[:] = np.nan
            return
        if name in self._kept:
            out[:] = self._kept[name][low:high]
            return
        with self._naming(), self._folder.open(self.name) as file:
            try:
                if name in self._packed:
                    packed = self._checked(file, name, 0, self._places[name].shape[0])
                    out[:] = decompress(packed, *self._packed[name])[low:high]
                else:
                    self._checked(file, name, low, high, out)
            finally:
                # Whatever was found, if it was found in another file that took this one's place, it says nothing.
                if file.identity != self.identity:
                    raise FileNotFoundError(f"{self.name} was replaced")

    def _checked(self, file: File, name: str, low: int, high: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Rows of a tensor as it is stored, read with the whole of each block that was not checked before."""
        place, sound = self._places[name], self._sound[name]
        size = tensors.block_rows(place.row_bytes)
        first, last = low // size, math.ceil(high / size)
        begin, end = low, high
        if not sound[first:last].all():
            begin, end = first * size, min(last * size, place.shape[0])
        whole = out
        if whole is None or (begin, end) != (low, high):
            whole = np.empty((end - begin, *place.shape[1:]), place.dtype)
        tensors.read_rows(file, place, begin, whole)
        for block in (first + np.flatnonzero(~sound[first:last])).tolist():
            rows = whole[block * size - begin : (block + 1) * size - begin]
            if tensors.checksum(name, block, rows, place.shape) != self._sums[name][16 * block : 16 * block + 16]:
                raise ValueError(f"the checksum of {name!r} does not match")
            sound[block] = True
        if out is not None and whole is not out:
            out[:] = whole[low - begin : high - begin]
        return whole[low - begin : high - begin] if out is None else out

    def verify(self) -> None:
        """Read every tensor. Raises DamagedRun at the first that was altered."""
        self._kept.clear()
        for sound in self._sound.values():
            sound[:] = False
        for name in self.names:
            self.read(name)

    @contextmanager
    def _naming(self) -> Generator[None]:
        """Turn whatever is wrong with the file into an error that names it."""
        try:
            yield
        except (FileNotFoundError, ConnectionError, DamagedRun):
            raise
        except (OSError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, *_TOO_MUCH) as error:
            raise DamagedRun(f"{self._folder}/{self.name} is truncated or altered: {error}") from error


_TOO_MUCH = (MemoryError, RecursionError)
# A scalar that was logged at other frames only.
_MISSING = (_SCALAR, (0,))


def _blocks(place: Place) -> int:
    return math.ceil(place.shape[0] / tensors.block_rows(place.row_bytes))


def _packed(text: str) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
    """Dtype and shape of the tensors that are compressed."""
    found: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
    for name, entry in json.loads(text).items():
        if entry["codec"] != CODEC:
            raise ValueError(f"it is compressed as {entry['codec']!r}; upgrade netlapse to read it")
        found[name] = tensors.DTYPES[entry["dtype"]], tensors.shape_of(entry["shape"])
    return found


# Of so many files the beginnings are held in memory: 8 MiB.
_AT_ONCE = 128


def look(folder: Folder, series: str, run: str, known: Sequence[Segment] = ()) -> tuple[list[Segment], dict[str, str]]:
    """The segments of a series in order, each frame once; and what is wrong with the files that cannot be read.

    While a writer merges, and after one that died then, parts lie beside the whole that holds their frames: these are
    passed over. Segments that are `known` and unchanged are not opened again. Raises FileNotFoundError if a file went
    away meanwhile: look again.
    """
    opened = {(segment.name, segment.identity): segment for segment in known}
    segments: list[Segment] = []
    damage: dict[str, str] = {}
    heads: dict[str, bytes] = {}
    found = list(files.segments(folder, series).items())
    for place, (first, (name, identity)) in enumerate(found):
        if place % _AT_ONCE == 0:
            group = [entry for _, entry in found[place : place + _AT_ONCE] if entry not in opened]
            heads = folder.heads([name for name, _ in group], tensors.HEAD)
        if segments and first < segments[-1].end:
            continue
        try:
            segment = opened.get((name, identity))
            if segment is None:
                segment = Segment(folder, name, identity, run, heads.get(name, b""))
                if segments and segment.layout != segments[0].layout:
                    raise DamagedRun(f"{folder}/{name} has other arrays than {segments[0].name}")
            segments.append(segment)
        except DamagedRun as error:
            if files.segments(folder, series).get(first) != (name, identity):
                raise FileNotFoundError(f"{name} was replaced") from error
            damage[name] = str(error)
    return segments, damage
