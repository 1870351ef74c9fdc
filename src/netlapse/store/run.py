"""Reading a run, finished or still growing."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DamagedRun, UnknownName
from . import files, lock, manifest, tensors
from .segment import look

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Float, Int
    from numpy.typing import NDArray

    from .segment import Segment

# How often to look again when the writer moves files under our eyes; it does so only when it closes the run.
_LOOKS = 5


class Run:
    """A run in a folder, as arrays.

    Opening reads the manifest and the clocks; weights are read when asked for. What is seen is the run as it was when
    it was opened or last refreshed. A segment that is truncated or altered is named in a warning and left out; the
    frames of all others can be read. Altered weights raise DamagedRun when they are read.

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
    damage
        Files that are left out, and why.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.damage: dict[Path, str] = {}
        self._segments: list[Segment] = []
        self.refresh()

    def refresh(self) -> None:
        """Look for frames that were recorded since. Raises RunError or DamagedRun as opening does."""
        # The manifest before the segments: once the run is seen as complete, its last frame is seen too.
        self.manifest = manifest.read(self.path)
        self.status: manifest.Status = self.manifest.status
        if self.status == "recording":
            written = lock.is_held(self.path / files.LOCK)
            # Read again, for it may have been closed before we asked.
            self.manifest = manifest.read(self.path)
            died = self.manifest.status == "recording" and not written
            self.status = "interrupted" if died else self.manifest.status
        segments, damage = self._look()
        for path in damage.keys() - self.damage.keys():
            warnings.warn(f"{damage[path]}; its frames are left out", stacklevel=3)
        self._segments, self.damage = segments, damage
        # The number of each frame in the whole run: it stays the same when segments are merged.
        self._numbers = _joined([np.arange(segment.first, segment.end) for segment in segments], np.int64)
        self.steps: Int[np.ndarray, " frame"] = _joined([segment.steps for segment in segments], np.int64)
        self.epochs: Float[np.ndarray, " frame"] = _joined([segment.epochs for segment in segments], np.float64)
        self.times: Float[np.ndarray, " frame"] = _joined([segment.times for segment in segments], np.float64)
        names = {name for segment in segments for name in segment.names}
        self.scalars = sorted(name.removeprefix("scalars/") for name in names if name.startswith("scalars/"))

    def _look(self) -> tuple[list[Segment], dict[Path, str]]:
        looks = 0
        while True:
            looks += 1
            try:
                segments, damage = look(self.path, self.manifest.id, self._segments)
            except FileNotFoundError:
                if looks == _LOOKS:
                    raise
            else:
                # Some file systems forget a file that is being replaced in the very moment they list its folder.
                if looks == _LOOKS or not _gaps(segments, damage):
                    return segments, damage

    @property
    def name(self) -> str:
        """The run's name: that of its folder when it was recorded."""
        return self.manifest.name

    def __len__(self) -> int:
        return len(self._numbers)

    def weights(self, name: str, frames: slice | Sequence[int] | NDArray[np.intp] = slice(None)) -> NDArray[Any]:
        """One parameter at some frames, as (frame, ...). Raises UnknownName, IndexError or DamagedRun."""
        known = {parameter.name: parameter for parameter in self.manifest.parameters}
        if name not in known:
            raise UnknownName(f"run {self.name!r} has no parameter {name!r}; it has {', '.join(known)}")
        if not self._segments:
            stored = known[name].dtype if known[name].dtype in tensors.NAMES else "float32"
            return np.empty((0, *known[name].shape), stored)[frames]
        return self._read(f"weights/{name}", self._numbers[frames])

    def scalar(self, name: str) -> Float[np.ndarray, " frame"]:
        """What was logged under this name at each frame; NaN where nothing was. Raises UnknownName or DamagedRun."""
        if name not in self.scalars:
            raise UnknownName(f"run {self.name!r} logged no {name!r}; it logged {', '.join(self.scalars) or 'nothing'}")
        return self._read(f"scalars/{name}", self._numbers)

    def _read(self, key: str, numbers: NDArray[np.int64]) -> NDArray[Any]:
        for _ in range(_LOOKS):
            try:
                return self._gather(key, numbers)
            except FileNotFoundError:  # merged since: the same frames are in other files now
                self._segments, _ = self._look()
        return self._gather(key, numbers)

    def _gather(self, key: str, numbers: NDArray[np.int64]) -> NDArray[Any]:
        # Nothing asked for is still an array of the right dtype and shape.
        parts = [self._segments[0].read(key, 0, 0)] if len(numbers) == 0 else []
        places: list[NDArray[np.intp]] = []
        for segment in self._segments:
            here = np.flatnonzero((numbers >= segment.first) & (numbers < segment.end))
            if len(here):
                rows = numbers[here] - segment.first
                low, high = int(rows.min()), int(rows.max()) + 1
                part = segment.read(key, low, high)
                parts.append(part if (np.diff(rows) == 1).all() else part[rows - low])
                places.append(here)
        if sum(map(len, places)) != len(numbers):
            raise DamagedRun(f"{self.path} has lost frames since it was opened; open it again to hear which files")
        found = parts[0] if len(parts) == 1 else np.concatenate(parts)
        order = _joined(places, np.intp)
        return found if (np.diff(order) > 0).all() else found[np.argsort(order)]

    def probe(self) -> dict[str, NDArray[Any]]:
        """The arrays of `probe.safetensors`: inputs and targets of the examples the run is looked at with."""
        try:
            return tensors.read_bytes(self._content(files.PROBE))
        except ValueError as error:
            raise DamagedRun(f"{self.path / files.PROBE} is altered: {error}; restore it from a copy") from error

    def model_file(self, kind: str) -> bytes:
        """The content of the file under `model/` that the manifest names for this role."""
        return self._content(f"{files.MODEL}/{self.manifest.model[kind]}")

    def _content(self, name: str) -> bytes:
        path = self.path / name
        if name not in self.manifest.checksums:
            raise DamagedRun(f"{self.path / files.MANIFEST} has no checksum of {name!r}; restore it from a copy")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DamagedRun(f"{path} cannot be read: {error}; restore it from a copy") from error
        if manifest.checksum(content) != self.manifest.checksums[name]:
            raise DamagedRun(f"{path} is truncated or altered: its checksum does not match; restore it from a copy")
        return content

    def verify(self) -> list[str]:
        """Read every byte against its checksum. Returns one line per file that is damaged; none is good news."""
        self.refresh()
        problems = list(self.damage.values())
        if not manifest.has_checksum(self.path):
            problems.append(f"{self.path / files.MANIFEST} has no checksum: nobody can tell whether it was altered")
        problems += [
            f"{self.path / files.FRAMES} lacks a segment: frames {first} to {end - 1} are missing"
            for first, end in _gaps(self._segments, self.damage)
        ]
        for check in (
            *(segment.verify for segment in self._segments),
            *(partial(self._content, name) for name in self.manifest.checksums),
        ):
            try:
                check()
            except DamagedRun as error:
                problems.append(str(error))
            except FileNotFoundError:  # merged since
                return self.verify()
        return problems


def _gaps(segments: Sequence[Segment], damage: Mapping[Path, str]) -> list[tuple[int, int]]:
    """First and end of each row of frames that are missing without a damaged file to explain it."""
    damaged = {int(path.stem) for path in damage}
    ends = [0, *(segment.end for segment in segments)]
    gaps = [(end, segment.first) for end, segment in zip(ends, segments, strict=False) if segment.first > end]
    return [(first, end) for first, end in gaps if first not in damaged]


def _joined(parts: Sequence[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *parts])
