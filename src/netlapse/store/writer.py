"""Writing a run: frames go in, durable segments come out."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import DamagedRun, RunError
from . import files, manifest, segment, tensors
from .lock import Lock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from .manifest import Manifest, Status
    from .segment import Frame, Layout, Segment

Exist = Literal["error", "replace", "resume"]

# A segment is written as soon as this much waits, or this long after the one before: then as soon as something happens
# (a frame comes or is passed by). So 18,750 frames of nine floats become 74 files.
SEGMENT_FRAMES = 256
SEGMENT_BYTES = 8 * 2**20
SEGMENT_SECONDS = 1.0
# Closing merges neighbours up to this size. A tensor is checked whole, so it also bounds what reading one frame costs.
MERGED_BYTES = 32 * 2**20
# Below this, writing a file costs the same whatever its size.
SMALL_BYTES = 2**20
# A reader that asks whether somebody records may be in the way of the lock for a moment.
LOCK_SECONDS = 0.3


class Writer:
    """The one writer of a run. It holds the run's lock until it is closed.

    `durable` counts the frames of the run that a crash or a power cut can no longer take.
    """

    def __init__(self, path: Path, description: Manifest, lock: Lock, last: Segment | None = None) -> None:
        self.path = path
        self.manifest = description
        self.durable = last.end if last else 0
        self._layout: Layout | None = last.layout if last else None
        self._waiting: list[Frame] = []
        self._waiting_bytes = 0
        self._flushed = -np.inf
        self._lock = lock

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

        Raises RunError if the folder holds something else, or a run that may not be replaced, or is being recorded.
        """
        _refuse(path, replace_existing)
        files.make_folder(path)
        lock = _take_lock(path)
        try:
            # Again, now that nobody else can begin a run here.
            _refuse(path, replace_existing)
            return cls(path, _lay_out(path, description, probe, model), lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def resume(cls, path: Path) -> Writer:
        """Continue the run in this folder after its last frame.

        Raises RunError if there is none, it is being recorded, or a segment is damaged.
        """
        manifest.read(path)
        lock = _take_lock(path)
        try:
            description = replace(manifest.read(path), status="recording")
            for unfinished in path.rglob(f"*{files.UNFINISHED}"):
                unfinished.unlink()
            parts, damage = segment.look(path, description.id)
            if damage:
                found = "; ".join(damage.values())
                raise RunError(f"{path} cannot be continued: {found}; restore that file from a copy, or delete it")
            _remove_parts(path, parts)
            files.sync_folder(path / files.FRAMES)  # the writer before may have died before it did so
            manifest.write(path, description)
            return cls(path, description, lock, parts[-1] if parts else None)
        except BaseException:
            lock.release()
            raise

    @property
    def closed(self) -> bool:
        """Whether this process cannot write any more: the run was closed, or the process is a forked child."""
        return not self._lock.held

    def append(self, frame: Frame) -> None:
        """Take a frame. Its arrays must not be changed afterwards.

        Raises RunError if its weights do not have the names, shapes and dtypes of the frames before.
        """
        if self.closed:
            raise RunError(
                f"{self.path} is closed, or is recorded by the process that forked this one; record to another"
            )
        if frame.layout != self._layout:
            self._check(frame.layout)
        self._waiting.append(frame)
        self._waiting_bytes += frame.nbytes
        self.flush_if_due()

    def _check(self, layout: Layout) -> None:
        shapes = {name: shape for name, (_, shape) in layout.items()}
        expected = {parameter.name: parameter.shape for parameter in self.manifest.parameters}
        storable = all(dtype.name in tensors.NAMES for dtype, _ in layout.values())
        if self._layout is not None or shapes != expected or not storable:
            found = ", ".join(f"{name} {dtype} {shape}" for name, (dtype, shape) in layout.items())
            wanted = ", ".join(f"{p.name} {p.dtype} {p.shape}" for p in self.manifest.parameters)
            raise RunError(f"{self.path} holds weights {wanted}; it cannot take {found}: record them to another path")
        self._layout = layout

    def flush_if_due(self) -> None:
        """Make durable what waits if it is much, or the last segment was written long enough ago."""
        if self._waiting and (
            len(self._waiting) >= SEGMENT_FRAMES
            or self._waiting_bytes >= SEGMENT_BYTES
            or time.monotonic() - self._flushed >= SEGMENT_SECONDS
        ):
            self.flush()

    def flush(self) -> None:
        """Make every frame given so far durable. On OSError (a full disk) they keep waiting."""
        if self._waiting:
            path = files.segment_path(self.path, self.durable)
            segment.write(path, self.manifest.id, self.durable, segment.stack(self._waiting))
            self.durable += len(self._waiting)
            self._waiting, self._waiting_bytes = [], 0
        self._flushed = time.monotonic()

    def close(self, status: Status = "complete") -> None:
        """Make everything durable, merge small segments and release the run. Closing twice does nothing."""
        if self.closed:
            return
        try:
            self.flush()
            self._merge()
            manifest.write(self.path, replace(self.manifest, status=status))
        finally:
            self._lock.release()

    def _merge(self) -> None:
        parts, _ = segment.look(self.path, self.manifest.id)
        for group in _groups(parts):
            try:
                # The whole takes the place of its first part at once; readers pass over the others until they are gone.
                segment.write(group[0].path, self.manifest.id, group[0].first, segment.join(group))
                for part in group[1:]:
                    part.path.unlink()
            except (OSError, DamagedRun):
                # Merging only makes reading faster: without room, or with a damaged part, the parts stay as they are.
                continue


def _refuse(path: Path, replace_existing: bool) -> None:
    if not (replace_existing and files.is_run(path)):
        Writer.refuse_existing(path)
        return
    try:
        manifest.read(path)
    except RunError as error:
        raise RunError(f"{path} is not replaced, for it may be no run of netlapse: {error}, or delete it") from error


def _take_lock(path: Path) -> Lock:
    lock = Lock(path / files.LOCK)
    if not lock.acquire(LOCK_SECONDS):
        raise RunError(f"{path} is being recorded by another recorder or process; give this run a path of its own")
    return lock


def _clear(path: Path) -> None:
    # The manifest goes first, as it comes last: a folder is a run only while all the rest is there.
    for file in (path / files.MANIFEST, path / files.PROBE):
        file.unlink(missing_ok=True)
    for folder in (path / files.FRAMES, path / files.MODEL):
        if folder.is_dir():
            shutil.rmtree(folder)


def _lay_out(
    path: Path, description: Manifest, probe: Mapping[str, NDArray[Any]], model: Mapping[str, bytes]
) -> Manifest:
    """Put everything but frames into the folder of a new run."""
    _clear(path)
    try:
        for folder in (files.FRAMES, files.MODEL):
            files.make_folder(path / folder)
        checksums: dict[str, str] = {}
        for name, content in model.items():
            files.place(path / files.MODEL / name, content)
            checksums[f"{files.MODEL}/{name}"] = manifest.checksum(content)
        with files.placed(path / files.PROBE) as beside:
            tensors.write(beside, tensors.plain(probe), {})
            checksums[files.PROBE] = manifest.checksum(beside.read_bytes())
        complete = replace(description, checksums=checksums)
        manifest.write(path, complete)
    except BaseException:
        _clear(path)  # so that the folder can be used once there is room
        raise
    return complete


def _remove_parts(path: Path, segments: list[Segment]) -> None:
    """Remove the parts that a writer left when it died while merging, where the whole is sound."""
    kept = {part.path for part in segments}
    for first, file in files.segment_paths(path).items():
        if file not in kept:
            next(whole for whole in segments if whole.first < first < whole.end).verify()
            file.unlink()


def _groups(parts: list[Segment]) -> list[list[Segment]]:
    """Neighbours that are worth a common file: from the last on, those not larger than all after them in their group.

    So a run of many short trainings is not written anew at the end of each: once its file is no longer small, a frame
    is copied at most as often as the size of that file can double.
    """
    groups: list[list[Segment]] = []
    size = 0
    for part in reversed(parts):
        # Never across missing frames: numbers would shift.
        adjoins = bool(groups) and part.end == groups[-1][0].first
        if adjoins and part.size <= max(size, SMALL_BYTES) and size + part.size <= MERGED_BYTES:
            groups[-1].insert(0, part)
            size += part.size
        else:
            groups.append([part])
            size = part.size
    return [group for group in groups if len(group) > 1]
