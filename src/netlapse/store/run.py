"""Reading a run, finished or still growing."""

from __future__ import annotations

import copy
import warnings
from bisect import bisect_right
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..errors import DamagedRun, UnknownName
from . import files, manifest, tensors
from .folder import folder_of
from .folder import read as read_file
from .segment import LOGGED, STATE, WEIGHTS, look

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jaxtyping import Float, Int
    from numpy.typing import NDArray

    from .folder import Folder
    from .segment import Segment

# How often to look again when the writer moves files under our eyes; it does so only when it closes or thins the run.
_LOOKS = 5
# Up to this many bytes, reading rows that are not wanted is cheaper than reading each row by itself.
_SPAN = 4 * 2**20


class Run:
    """A run as arrays, from a folder or a URL such as s3://bucket/runs/relu.

    Opening reads the manifest and the clocks; weights are read when asked for. What is seen is the run as it was when
    it was opened or last refreshed. A segment that is truncated or altered is named in a warning and left out; the
    frames of all others can be read. Altered weights raise DamagedRun when they are read.

    Where a training was continued from an earlier state than the last frame, steps were done twice: of frames at the
    same or a later step than that of a frame recorded afterwards, the later recording counts.

    Attributes
    ----------
    manifest
        Everything about the run that is not a frame.
    status
        Whether it is "recording", "complete", or "interrupted" when its writer has gone without closing it.
    steps, epochs, times
        Optimiser steps done at each frame; epochs done (fractions lie within an epoch); seconds of wall time since
        the run began. Shape (frame,).
    scalars
        Names of what was logged: losses, metrics, learning rate.
    superseded
        Number of frames that do not count, because training was continued from before them.
    damage
        Files that are left out, and why.
    whole_frames
        Number of frames of which everything can be read, as `verify` has found.
    """

    def __init__(self, path: str | Path | Folder) -> None:
        self.folder = folder_of(path)
        self.damage: dict[str, str] = {}
        self.whole_frames = 0
        self._series = {files.FRAMES: _Series(), files.SCALARS: _Series()}
        self.refresh()

    def refresh(self) -> None:
        """Look for frames that were recorded since. Raises RunError or DamagedRun as opening does."""
        # The manifest before the segments: once the run is seen as complete, its last frame is seen too.
        self.manifest = manifest.read(self.folder)
        self.status: manifest.Status = self.manifest.status
        if self.status == "recording":
            written = self.folder.written()
            # Read again, for it may have been closed before we asked.
            self.manifest = manifest.read(self.folder)
            died = self.manifest.status == "recording" and not written
            self.status = "interrupted" if died else self.manifest.status
        self._look(files.FRAMES)
        frames = self._series[files.FRAMES]
        layout = frames.segments[0].layout if frames.segments else {}
        for parameter in self.manifest.parameters if frames.segments else ():
            _, shape = layout.get(WEIGHTS + parameter.name, (None, None))
            if shape != parameter.shape:
                raise DamagedRun(
                    f"{self.folder}/{files.MANIFEST} states {parameter.name!r} {parameter.shape}, the frames hold"
                    f" {shape}; restore it from a copy"
                )
        for name in frames.damage.keys() - self.damage.keys():
            warnings.warn(f"{frames.damage[name]}; its frames are left out", stacklevel=3)
        self.damage = frames.damage
        clocks = frames.clocks()
        self.superseded = len(clocks[0]) - len(frames.counts)
        # The number of each frame in the whole run: it stays the same when segments are merged.
        self._numbers: Int[np.ndarray, " frame"]
        self.steps: Int[np.ndarray, " frame"]
        self.epochs: Float[np.ndarray, " frame"]
        self.times: Float[np.ndarray, " frame"]
        self._numbers, self.steps, self.epochs, self.times = (clock[frames.counts] for clock in clocks)
        self.scalars = frames.names(LOGGED)

    def _look(self, series: str) -> None:
        looks = 0
        while True:
            looks += 1
            known = self._series[series].segments
            try:
                segments, damage = look(self.folder, series, self.manifest.id, known)
            except FileNotFoundError:
                if looks == _LOOKS:
                    raise
                continue
            # Some file systems forget a file that is being replaced in the very moment they list its folder, and a
            # writer that keeps to a byte budget says so before it drops frames.
            if looks == _LOOKS or not _gaps(segments, damage, self.manifest.thinned):
                self._series[series] = _Series(segments, damage)
                return
            self.manifest = manifest.read(self.folder)

    @property
    def path(self) -> str:
        """Where the run is: a path of this machine or a URL."""
        return str(self.folder)

    @property
    def name(self) -> str:
        """The run's name: that of its folder when it was recorded."""
        return self.manifest.name

    def __len__(self) -> int:
        return len(self._numbers)

    def only(self, frames: Sequence[int] | NDArray[np.intp]) -> Self:
        """The run as if only these of its frames, in ascending order, had been recorded; until it is refreshed."""
        some, chosen = copy.copy(self), np.asarray(frames, np.intp)
        some._numbers, some.steps, some.epochs, some.times = (
            clock[chosen] for clock in (self._numbers, self.steps, self.epochs, self.times)
        )
        return some

    def weights(self, name: str, frames: slice | Sequence[int] | NDArray[np.intp] = slice(None)) -> NDArray[Any]:
        """One parameter at some frames, as (frame, ...). Raises UnknownName, IndexError or DamagedRun."""
        known = {parameter.name: parameter for parameter in self.manifest.parameters}
        if name not in known:
            raise UnknownName(f"run {self.name!r} has no parameter {name!r}; it has {', '.join(known)}")
        numbers = self._numbers[frames]
        if not len(numbers):
            return np.empty((0, *known[name].shape), _readable(known[name].dtype))
        found = self._read(files.FRAMES, WEIGHTS + name, numbers)
        return found.astype(_readable(known[name].dtype), copy=False)

    @property
    def state_names(self) -> list[str]:
        """Names of what was kept of the training's state besides the weights."""
        return self._series[files.FRAMES].names(STATE)

    def state(self, frame: int = -1) -> dict[str, NDArray[Any]]:
        """What training needs to go on from a frame, besides the weights: empty if it was not recorded.

        Raises IndexError or DamagedRun.
        """
        number = self._numbers[frame : frame + 1 or None]
        if not len(number):
            raise IndexError(f"run {self.name!r} has {len(self)} frames; there is no frame {frame}")
        return {name: self._read(files.FRAMES, STATE + name, number)[0] for name in self.state_names}

    def scalar(self, name: str) -> Float[np.ndarray, " frame"]:
        """What was logged under this name at each frame; NaN where nothing was. Raises UnknownName or DamagedRun."""
        if name not in self.scalars:
            raise UnknownName(f"run {self.name!r} logged no {name!r}; it logged {', '.join(self.scalars) or 'nothing'}")
        return self._read(files.FRAMES, LOGGED + name, self._numbers)

    def history(self) -> dict[str, Float[np.ndarray, " moment"]]:
        """Everything that was logged, at every moment it was: at frames, and more often if it was asked for.

        "step", "epoch" and "time" by the side of the scalars, in order of the steps; NaN where a scalar was not logged.
        Shape (moment,). Raises DamagedRun.
        """
        self._look(files.SCALARS)
        dense, frames = self._series[files.SCALARS], self._series[files.FRAMES]
        clocks = [
            np.concatenate([ours, theirs[dense.counts]])
            for ours, theirs in zip((self._numbers, self.steps, self.epochs, self.times), dense.clocks(), strict=True)
        ]
        order = np.argsort(clocks[1], kind="stable")
        # A moment that is a frame is one moment.
        new = np.diff(clocks[1][order], prepend=-1) != 0
        moments = np.cumsum(new) - 1
        found: dict[str, NDArray[Any]] = {
            name: clock[order][new] for name, clock in zip(("step", "epoch", "time"), clocks[1:], strict=True)
        }
        for name in sorted({*self.scalars, *dense.names(LOGGED)}):
            values = np.concatenate(
                [
                    self._read(files.FRAMES, LOGGED + name, self._numbers)
                    if name in frames.names(LOGGED)
                    else np.full(len(self), np.nan),
                    self._read(files.SCALARS, LOGGED + name, dense.clocks()[0][dense.counts])
                    if name in dense.names(LOGGED)
                    else np.full(len(dense.counts), np.nan),
                ]
            )[order]
            logged = ~np.isnan(values)
            found[name] = np.full(int(new.sum()), np.nan)
            found[name][moments[logged]] = values[logged]
        return found

    def _read(self, series: str, key: str, numbers: NDArray[np.int64]) -> NDArray[Any]:
        for _ in range(_LOOKS):
            try:
                return self._gather(series, key, numbers)
            except FileNotFoundError:  # merged since: the same frames are in other files now
                self._look(series)
        return self._gather(series, key, numbers)

    def _gather(self, series: str, key: str, numbers: NDArray[np.int64]) -> NDArray[Any]:
        segments = self._series[series].segments
        if (np.diff(numbers) <= 0).any():
            ordered, places = np.unique(numbers, return_inverse=True)
            return self._gather(series, key, ordered)[places]
        if not len(numbers):
            return segments[0].read(key, 0, 0) if segments else np.empty(0)
        found: NDArray[Any] | None = None
        done = 0
        while done < len(numbers):
            place = bisect_right(segments, numbers[done], key=lambda segment: segment.first) - 1
            segment = segments[max(place, 0)]
            count = int(np.searchsorted(numbers[done:], segment.end))
            rows = np.searchsorted(segment.numbers, numbers[done : done + count])
            if not count or not np.array_equal(segment.numbers[rows], numbers[done : done + count]):
                raise DamagedRun(
                    f"{self.folder} has lost frames since it was opened; open it again to hear which files"
                )
            low, high = int(rows[0]), int(rows[-1]) + 1
            if found is None:
                sample = segment.read(key, low, low)
                found = np.empty((len(numbers), *sample.shape[1:]), sample.dtype)
            out = found[done : done + count]
            if high - low == count:
                segment.read_into(key, low, high, out)
            elif (high - low) * found[:1].nbytes <= _SPAN:
                out[:] = segment.read(key, low, high)[rows - low]
            else:
                for row, one in zip(rows.tolist(), out, strict=True):
                    segment.read_into(key, row, row + 1, one[None])
            done += count
        assert found is not None
        return found

    def probe(self) -> dict[str, NDArray[Any]]:
        """The arrays of `probe.safetensors`: inputs and targets of the examples the run is looked at with."""
        try:
            return tensors.decode(self.content(files.PROBE))
        except (ValueError, LookupError, TypeError, AttributeError, MemoryError) as error:
            raise DamagedRun(f"{self.folder}/{files.PROBE} is altered: {error}; restore it from a copy") from error

    def model_file(self, kind: str) -> bytes:
        """The content of the file under `model/` that the manifest names for this role."""
        return self.content(f"{files.MODEL}/{self.manifest.model[kind]}")

    def content(self, name: str) -> bytes:
        """The content of a file of the run that is no segment, checked. Raises DamagedRun, or ConnectionError."""
        path = f"{self.folder}/{name}"
        if name not in self.manifest.checksums:
            raise DamagedRun(f"{self.folder}/{files.MANIFEST} has no checksum of {name!r}; restore it from a copy")
        try:
            content = read_file(self.folder, name, _LARGEST)
        except ConnectionError:
            raise
        except (OSError, ValueError) as error:
            raise DamagedRun(f"{path} cannot be read: {error}; restore it from a copy") from error
        if manifest.checksum(content) != self.manifest.checksums[name]:
            raise DamagedRun(f"{path} is truncated or altered: its checksum does not match; restore it from a copy")
        return content

    def verify(self) -> list[str]:
        """Read every byte against its checksum. Returns one line per file that is damaged; none is good news."""
        self.refresh()
        self._look(files.SCALARS)
        problems: list[str] = []
        if not manifest.has_checksum(self.folder):
            problems.append(f"{self.folder}/{files.MANIFEST} has no checksum: nobody can tell whether it was altered")
        for name, series in self._series.items():
            problems += series.damage.values()
            problems += [
                f"{self.folder}/{name} lacks a segment: frames {first} to {end - 1} are missing"
                for first, end in _gaps(series.segments, series.damage, self.manifest.thinned)
            ]
        whole = self._numbers
        try:
            for series in self._series.values():
                for segment in series.segments:
                    try:
                        segment.verify()
                    except DamagedRun as error:
                        problems.append(str(error))
                        if series is self._series[files.FRAMES]:
                            whole = np.setdiff1d(whole, segment.numbers)
        except FileNotFoundError:  # merged since
            return self.verify()
        for name in self.manifest.checksums:
            try:
                self.content(name)
            except DamagedRun as error:
                problems.append(str(error))
        self.whole_frames = len(whole)
        return problems


# Probes and architectures are read whole.
_LARGEST = 4 * 2**30


class _Series:
    """The segments of a series, and which of their frames count."""

    def __init__(self, segments: Sequence[Segment] = (), damage: Mapping[str, str] | None = None) -> None:
        self.segments = list(segments)
        self.damage = dict(damage or {})
        steps = self.clocks()[1]
        later = np.minimum.accumulate(np.append(steps[1:], _NEVER)[::-1])[::-1]
        self.counts = np.flatnonzero(steps < later)

    def clocks(self) -> list[NDArray[Any]]:
        """Numbers, steps, epochs and times of all frames."""
        clocks = [(segment.numbers, segment.steps, segment.epochs, segment.times) for segment in self.segments]
        dtypes = (np.int64, np.int64, np.float64, np.float64)
        columns = zip(*clocks, strict=True) if clocks else [()] * len(dtypes)
        return [np.concatenate([np.empty(0, dtype), *parts]) for dtype, parts in zip(dtypes, columns, strict=True)]

    def names(self, kind: str) -> list[str]:
        """The names of all tensors of a kind, without its prefix."""
        found = {name for segment in self.segments for name in segment.names if name.startswith(kind)}
        return sorted(name.removeprefix(kind) for name in found)


_NEVER = np.iinfo(np.int64).max


def _readable(dtype: str) -> np.dtype[Any]:
    """The dtype that weights of a framework's dtype are read as: what NumPy lacks becomes float32."""
    found = np.dtype(dtype) if dtype in tensors.NAMES else np.dtype(np.float32)
    return np.dtype(np.float32) if found == tensors.DTYPES["BF16"] else found


def _gaps(
    segments: Sequence[Segment], damage: Mapping[str, str], thinned: manifest.Thinned | None
) -> list[tuple[int, int]]:
    """First and end of each row of frames that are missing without a damaged file to explain it."""
    damaged = {int(PurePosixPath(name).stem) for name in damage}
    ends = [0, *(segment.end for segment in segments)]
    gaps = [(end, segment.first) for end, segment in zip(ends, segments, strict=False) if segment.first > end]
    if thinned is not None:
        # Within segments rows may be missing only because of this too, but a segment says itself what it holds.
        gaps = [(thinned.next_kept(first), end) for first, end in gaps]
    return [(first, end) for first, end in gaps if first < end and first not in damaged]
