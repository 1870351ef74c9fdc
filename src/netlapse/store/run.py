"""Reading a run, finished or still growing."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]

from ..errors import DamagedRun, UnknownName
from . import files, manifest
from .segment import Segment, checksum

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from numpy.typing import NDArray


class Run:
    """A run in a folder, as arrays.

    Opening reads the manifest and the clocks; weights are read when asked for. A segment that is truncated or
    altered is named in a warning and left out; the frames of all others can be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest = manifest.read(self.path)
        self.damage: dict[Path, str] = {}
        self._segments: list[Segment] = []
        self.refresh()

    def refresh(self) -> None:
        """Look for frames that were recorded since."""
        for _ in range(3):
            try:
                self._open_segments()
            except FileNotFoundError:  # the writer merged segments while we were looking: look again
                continue
            break
        self.manifest = manifest.read(self.path)

    def _open_segments(self) -> None:
        known = {segment.path: segment for segment in self._segments}
        damage = dict(self.damage)
        segments: list[Segment] = []
        covered = 0
        for path in sorted((self.path / files.FRAMES).glob(f"*{files.SEGMENT}")):
            if path in damage:
                continue
            try:
                # A merged segment has the name of its first part: the inode tells them apart, the length suffices.
                segment = known[path] if path in known and known[path].size == path.stat().st_size else Segment(path)
            except DamagedRun as error:
                damage[path] = str(error)
                warnings.warn(f"{error}; its frames are left out", stacklevel=4)
                continue
            # While segments are being merged, old parts may lie beside the whole for a moment.
            if segment.first >= covered:
                segments.append(segment)
                covered = segment.first + len(segment)
        self._segments, self.damage = segments, damage

    @property
    def name(self) -> str:
        """The run's name: that of its folder when it was recorded."""
        return self.manifest.name

    @property
    def status(self) -> manifest.Status:
        """Whether it is "recording", "complete", or "interrupted" when its writer has gone without closing it."""
        if self.manifest.status == "recording" and not files.is_being_written(self.path):
            # It may have been closed between our two looks.
            fresh = manifest.read(self.path).status
            return "interrupted" if fresh == "recording" else fresh
        return self.manifest.status

    def __len__(self) -> int:
        return sum(len(segment) for segment in self._segments)

    @property
    def steps(self) -> Int[np.ndarray, " frame"]:
        """Optimiser steps done at each frame."""
        return np.concatenate([segment.steps for segment in self._segments] or [np.zeros(0, np.int64)])

    @property
    def epochs(self) -> Float[np.ndarray, " frame"]:
        """Epochs done at each frame; fractions lie within an epoch."""
        return np.concatenate([segment.epochs for segment in self._segments] or [np.zeros(0)])

    @property
    def times(self) -> Float[np.ndarray, " frame"]:
        """Seconds of wall time since the run began, at each frame."""
        return np.concatenate([segment.times for segment in self._segments] or [np.zeros(0)])

    @property
    def scalars(self) -> list[str]:
        """Names of what was logged: losses, metrics, learning rate."""
        return sorted({name for segment in self._segments for name in segment.scalars})

    def weights(self, name: str, frames: slice | NDArray[np.intp] = slice(None)) -> NDArray[Any]:
        """One parameter at some frames, as (frame, ...)."""
        names = [parameter.name for parameter in self.manifest.parameters]
        if name not in names:
            raise UnknownName(f"run {self.name!r} has no parameter {name!r}; it has {', '.join(names)}")
        return self._read(f"weights/{name}", frames)

    def scalar(self, name: str) -> Float[np.ndarray, " frame"]:
        """What was logged under this name at each frame; NaN where nothing was."""
        if name not in self.scalars:
            raise UnknownName(f"run {self.name!r} logged no {name!r}; it logged {', '.join(self.scalars) or 'nothing'}")
        key = f"scalars/{name}"
        return np.concatenate(
            [segment.read(key) if key in segment else np.full(len(segment), np.nan) for segment in self._segments]
        )

    def _read(self, key: str, frames: slice | NDArray[np.intp]) -> NDArray[Any]:
        wanted = np.arange(len(self))[frames]
        parts: list[NDArray[Any]] = []
        start = 0
        for segment in self._segments:
            here = wanted[(wanted >= start) & (wanted < start + len(segment))] - start
            start += len(segment)
            if len(here):
                low, high = int(here.min()), int(here.max()) + 1
                parts.append(segment.read(key, slice(low, high))[here - low])
        found = np.concatenate(parts)
        if isinstance(frames, slice):
            return found
        # Back from the order on disk to the order asked for.
        order = np.argsort(np.argsort(wanted, kind="stable"), kind="stable")
        return found[order]

    def probe(self) -> dict[str, NDArray[Any]]:
        """The arrays of `probe.safetensors`: inputs and targets of the examples the run is looked at with."""
        path = self.path / files.PROBE
        try:
            arrays: dict[str, NDArray[Any]] = load_file(path)
        except (SafetensorError, OSError) as error:
            raise DamagedRun(f"{path} is missing, truncated or altered: {error}; restore it from a copy") from error
        for name, expected in self.manifest.probe["xxh3_64"].items():
            if name not in arrays or checksum(name, arrays[name]) != expected:
                raise DamagedRun(f"{path} is altered: the checksum of {name!r} does not match; restore it from a copy")
        return arrays

    def model_file(self, kind: str) -> bytes:
        """The content of a file under `model/` that the manifest names."""
        path = self.path / files.MODEL / self.manifest.model[kind]
        try:
            return path.read_bytes()
        except OSError as error:
            raise DamagedRun(f"{path} cannot be read: {error}; restore it from a copy") from error

    def verify(self) -> list[str]:
        """Read every byte against its checksum. Returns one line per file that is damaged; none is good news."""
        problems = list(self.damage.values())
        for segment in self._segments:
            try:
                for name in segment.names:
                    segment.read(name)
            except DamagedRun as error:
                problems.append(str(error))
        expected = 0
        for segment in self._segments:
            if segment.first != expected and not self.damage:
                problems.append(f"{segment.path}: frames {expected} to {segment.first - 1} are missing before it")
            expected = segment.first + len(segment)
        try:
            self.probe()
            for kind in self.manifest.model:
                self.model_file(kind)
        except DamagedRun as error:
            problems.append(str(error))
        return problems
