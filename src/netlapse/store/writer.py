"""Writing a run: frames go in, durable segments come out."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from filelock import Timeout
from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

from ..errors import DamagedRun, RunError
from . import files, manifest, segment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from .manifest import Manifest, Status
    from .segment import Frame

Exist = Literal["error", "replace", "resume"]

# A segment is written when this much waits, or this long after the one before. So a killed process loses the
# last second at most, and 18,750 frames of nine floats become 74 files.
SEGMENT_FRAMES = 256
SEGMENT_BYTES = 8 * 2**20
SEGMENT_SECONDS = 1.0
# Closing merges neighbours up to this size. A tensor is checked whole, so it also bounds what reading one frame costs.
MERGED_BYTES = 32 * 2**20


class Writer:
    """The one writer of a run. It holds the run's lock until it is closed.

    `frames` counts all frames given; `durable` those that a crash or a power cut can no longer take.
    """

    def __init__(self, path: Path, description: Manifest, frames: int) -> None:
        self.path = path
        self.manifest = description
        self.durable = frames
        self.closed = False
        self._waiting: list[Frame] = []
        self._waiting_bytes = 0
        self._flushed = -np.inf
        self._lock = files.writer_lock(path)

    @staticmethod
    def refuse_existing(path: Path) -> None:
        """Raise RunError if anything is in the place where a run is to be."""
        if path.exists() and not path.is_dir():
            raise RunError(f"{path} is a file; a run is a folder: choose another path")
        if files.is_run(path):
            raise RunError(
                f'{path} holds a run already; choose another path, or pass exist="replace" to delete that run or'
                ' exist="resume" to continue it'
            )
        if path.is_dir() and {entry.name for entry in path.iterdir()} - {files.LOCK}:
            raise RunError(f"{path} is a folder with other files in it; choose a new or empty folder for the run")

    @classmethod
    def create(
        cls,
        path: Path,
        description: Manifest,
        *,
        probe: Mapping[str, NDArray[Any]],
        model: Mapping[str, bytes],
        replace_existing: bool = False,
    ) -> Writer:
        """Begin a run in an empty or new folder, or in place of the run there.

        Raises RunError if the folder holds something else, or a run that may not be replaced.
        """
        if not (replace_existing and files.is_run(path)):
            cls.refuse_existing(path)
        (path / files.FRAMES).mkdir(parents=True, exist_ok=True)
        writer = cls(path, description, frames=0)
        writer._take_lock()
        # The manifest goes first and comes last: a folder is a run only while all the rest is there.
        (path / files.MANIFEST).unlink(missing_ok=True)
        for old in (files.FRAMES, files.MODEL):
            shutil.rmtree(path / old, ignore_errors=True)
            (path / old).mkdir()
        for name, content in model.items():
            files.place(path / files.MODEL / name, content)
        arrays = {name: np.ascontiguousarray(array) for name, array in probe.items()}
        with files.placed(path / files.PROBE) as beside:
            save_file(arrays, beside)
        sums = {name: segment.checksum(name, array) for name, array in arrays.items()}
        writer.manifest = replace(description, probe={**description.probe, "xxh3_64": sums})
        manifest.write(path, writer.manifest)
        return writer

    @classmethod
    def resume(cls, path: Path) -> Writer:
        """Continue the run in this folder after its last frame."""
        description = manifest.read(path)
        writer = cls(path, replace(description, status="recording"), frames=0)
        writer._take_lock()
        for unfinished in (path / files.FRAMES).glob(f"*{files.UNFINISHED}"):
            unfinished.unlink()
        try:
            for part in segment.sequence(path):
                writer.durable = part.first + len(part)
        except DamagedRun as error:
            writer._lock.release()
            raise RunError(
                f"{path} cannot be continued: {error}; restore that file from a copy, or delete it"
            ) from error
        manifest.write(path, writer.manifest)
        return writer

    def _take_lock(self) -> None:
        try:
            # A reader that asks whether we live holds the lock for a moment: wait it out.
            self._lock.acquire(timeout=1)
        except Timeout:
            raise RunError(
                f"{self.path} is being recorded by another recorder or process; give this run a path of its own"
            ) from None

    @property
    def frames(self) -> int:
        """Frames given so far, durable or waiting."""
        return self.durable + len(self._waiting)

    def append(self, frame: Frame) -> None:
        """Take a frame. Its arrays must not be changed afterwards."""
        self._waiting.append(frame)
        self._waiting_bytes += frame.nbytes
        if (
            len(self._waiting) >= SEGMENT_FRAMES
            or self._waiting_bytes >= SEGMENT_BYTES
            or time.monotonic() - self._flushed >= SEGMENT_SECONDS
        ):
            self.flush()

    def flush(self) -> None:
        """Make every frame given so far durable. On OSError (a full disk) they keep waiting."""
        if self._waiting:
            tensors = segment.stack(self._waiting)
            segment.write(files.segment_path(self.path, self.durable), self.durable, tensors)
            self.durable += len(self._waiting)
            self._waiting, self._waiting_bytes = [], 0
        self._flushed = time.monotonic()

    def update(self, **changes: Any) -> None:
        """Rewrite the manifest with some entries changed, where they differ."""
        changed = replace(self.manifest, **changes)
        if changed != self.manifest:
            self.manifest = changed
            manifest.write(self.path, changed)

    def close(self, status: Status = "complete") -> None:
        """Make everything durable, merge small segments and release the run. Closing twice does nothing."""
        if self.closed:
            return
        self.closed = True
        try:
            self.flush()
            self._merge()
            self.update(status=status)
        finally:
            self._lock.release()

    def _merge(self) -> None:
        try:
            parts = segment.sequence(self.path)
        except DamagedRun:
            return  # everything stays as it is, for `verify` to name
        group: list[segment.Segment] = []
        for part in parts:
            if group and sum(member.size for member in group) + part.size > MERGED_BYTES:
                self._merge_group(group)
                group = []
            group.append(part)
        self._merge_group(group)

    def _merge_group(self, group: list[segment.Segment]) -> None:
        if len(group) < 2:
            return
        tensors = segment.join([{name: part.read(name) for name in part.names} for part in group])
        # The whole takes the place of its first part at once; readers pass over the others until they are gone.
        segment.write(group[0].path, group[0].first, tensors)
        for part in group[1:]:
            part.path.unlink()
