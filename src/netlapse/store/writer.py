"""Writing a run: frames go in, durable segments come out."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import DamagedRun, RunError
from . import files, manifest, segment, tensors
from .folder import folder_of, is_run
from .segment import STATE, WEIGHTS, Block, Frame
from .thinning import interval_for, size_of, thin

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from .folder import Buffer, Folder
    from .lock import Lock
    from .manifest import Manifest, Status, Thinned
    from .segment import Segment
    from .tensors import Layout

Exist = Literal["error", "replace", "resume"]

# A segment is written as soon as this much waits, or this long after the one before. So 18,750 frames of nine floats
# become 74 files.
SEGMENT_FRAMES = 256
SEGMENT_BYTES = 32 * 2**20
SEGMENT_SCALARS = 4096
SEGMENT_SECONDS = 1.0
# So much may wait for the disk, or one frame if it is larger; then the training waits.
QUEUE_BYTES = 64 * 2**20
# Closing merges neighbours up to this size.
MERGED_BYTES = 32 * 2**20
# Below this, writing a file costs the same whatever its size.
SMALL_BYTES = 2**20
# From this size on, reading a file costs as much as its bytes: writing it once more would gain nothing.
LARGE_BYTES = 4 * 2**20
# A reader that asks whether somebody records may be in the way of the lock for a moment.
LOCK_SECONDS = 0.3


class Writer:
    """The one writer of a run. It holds the run's lock until it is closed.

    `append` copies a frame; a thread makes segments of what waits, checksums and writes them. When the disk does not
    keep up, `append` waits: no frame is dropped.

    Attributes
    ----------
    durable
        Number of frames of the run that a crash or a power cut can no longer take.
    waited
        Seconds for which `append` has waited for the disk.
    """

    def __init__(self, folder: Folder, description: Manifest, lock: Lock, budget: int | None = None) -> None:
        self.folder = folder
        self.manifest = description
        self.waited = 0.0
        self._lock = lock
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._failure: BaseException | None = None
        self._written = -np.inf
        self._series = {name: _Series(name, _sound_parts(folder, name, description.id)) for name in _SERIES}
        self._sealed: deque[tuple[_Series, Block]] = deque()
        self._spare: list[Block] = []
        self._queued_bytes = 0
        self._compressed = bool(description.storage.get("compressed"))
        self._budget = budget
        if budget is not None:
            self._bytes = size_of(folder)
            least = self._bytes + 3 * _frame_bytes(description)
            if budget < least:
                raise RunError(f"a budget of {budget:,} bytes is too small for {folder}: give it {least:,} or more")

    @property
    def durable(self) -> int:
        """Number of frames of the run that a crash or a power cut can no longer take."""
        return self._series[files.FRAMES].durable

    @staticmethod
    def refuse_existing(path: str | Path | Folder) -> None:
        """Raise RunError if anything is in the place where a run is to be."""
        folder = folder_of(path)
        if is_run(folder):
            raise RunError(
                f'{folder} holds a run already; choose another path, or pass exist="replace" to delete that run or'
                ' exist="resume" to continue it'
            )
        if found := folder.strangers():
            raise RunError(
                f"{folder} holds something else ({', '.join(found[:3])}); a run is a folder of its own: choose a new"
                " or empty one"
            )

    @staticmethod
    def take_lock(folder: Folder) -> Lock:
        """The lock of a run's writer, held. Raises RunError, which names who holds it, if somebody does."""
        lock = folder.lock()
        if not lock.acquire(LOCK_SECONDS):
            raise RunError(f"{folder} is being recorded by {lock.owner()}; give this run a path of its own")
        return lock

    @classmethod
    def create(
        cls,
        path: str | Path | Folder,
        description: Manifest,
        *,
        probe: Mapping[str, NDArray[Any]],
        model: Mapping[str, bytes],
        replace_existing: bool = False,
        budget: int | None = None,
    ) -> Writer:
        """Begin a run in an empty or new folder, or in place of the run there.

        With a `budget`, frames of the past are left out evenly so that the run never has more bytes.

        Raises RunError if the folder holds something else, or a run that may not be replaced, or is being recorded, or
        if the budget is too small.
        """
        folder = folder_of(path)
        _refuse(folder, replace_existing)
        folder.make()
        lock = cls.take_lock(folder)
        try:
            # Again, now that nobody else can begin a run here.
            _refuse(folder, replace_existing)
            return cls(folder, _lay_out(folder, description, probe, model), lock, budget)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def resume(cls, path: str | Path | Folder, *, budget: int | None = None) -> Writer:
        """Continue the run in this folder after its last frame.

        Raises RunError if there is none, it is being recorded, or a segment is damaged.
        """
        folder = folder_of(path)
        manifest.read(folder)
        lock = cls.take_lock(folder)
        try:
            description = replace(manifest.read(folder), status="recording")
            for below in files.FOLDERS:
                for name in folder.list(below):
                    if name.endswith(files.UNFINISHED):
                        folder.remove(f"{below}/{name}".lstrip("/"))
            writer = cls(folder, description, lock, budget)
            for series in writer._series.values():
                _remove_parts(folder, series.name, series.parts)
            # This also makes durable the names that the writer before may have died too early to.
            folder.settle()
            manifest.write(folder, description)
            return writer
        except BaseException:
            lock.release()
            raise

    @property
    def closed(self) -> bool:
        """Whether this process cannot write any more: the run was closed, or the process is a forked child."""
        return not self._lock.held

    @property
    def failed(self) -> bool:
        """Whether the thread could not write. Whatever is asked for next raises why."""
        return self._failure is not None

    def append(self, frame: Frame, *, amendable: bool = False) -> None:
        """Take a copy of a frame. One that is `amendable` stays so until the next comes or `settle` is called.

        Raises RunError if its weights do not have the names, shapes and dtypes of the frames before, and what kept the
        thread from writing earlier ones, such as OSError of a full disk.
        """
        self._take(self._series[files.FRAMES], frame, amendable)

    def log(self, step: int, epoch: float, time: float, scalars: Mapping[str, float]) -> None:
        """Take scalars of a moment that is no frame. Errors as of `append`."""
        self._take(self._series[files.SCALARS], Frame(step, epoch, time, {}, scalars), amendable=False)

    def amend(self, epoch: float, scalars: Mapping[str, float]) -> None:
        """Add what was logged since to the last frame, which was amendable."""
        with self._changed:
            block = self._series[files.FRAMES].block
            assert block is not None
            block.amend(epoch, scalars)

    def settle(self) -> None:
        """Nothing will be added to the last frame. Raises what kept the thread from writing."""
        with self._changed:
            self._settle(self._series[files.FRAMES])
            self._raise_failure()

    def flush(self) -> None:
        """Wait until every frame given so far is durable. Raises what kept the thread from writing."""
        with self._changed:
            self._seal_all()
            while self._sealed and self._failure is None:
                self._changed.wait()
            self._raise_failure()

    def close(self, status: Status = "complete") -> None:
        """Make everything durable, merge small segments and release the run. Closing twice does nothing.

        If the thread could not write, this tries once more, and raises OSError if it cannot either.
        """
        if self.closed:
            return
        try:
            with self._changed:
                self._seal_all()
                self._stopping = True
                self._changed.notify_all()
            if self._thread is not None:
                self._thread.join()
            while self._sealed:
                self._write_next()
            self._merge()
            manifest.write(self.folder, replace(self.manifest, status=status))
        finally:
            self._lock.release()

    def _take(self, series: _Series, frame: Frame, amendable: bool) -> None:
        if self.closed:
            raise RunError(
                f"{self.folder} is closed, or is recorded by the process that forked this one; record to another"
            )
        if not series.takes(frame):
            self._lay_out(series, frame)
        with self._changed:
            self._settle(series)
            self._raise_failure()
            if series.block is None:
                self._wait_for_room(series)
                series.block = self._new_block(series)
            series.block.add(frame)
            series.amendable = amendable
            if series.block.full and not amendable:
                self._seal(series)
            elif len(series.block) == 1:
                self._changed.notify_all()
        if self._thread is None:
            # A daemon: at exit Python waits for other threads before it closes runs that were left open.
            self._thread = threading.Thread(target=self._work, name=f"netlapse {self.folder}", daemon=True)
            self._thread.start()

    def _lay_out(self, series: _Series, frame: Frame) -> None:
        """Decide how frames are stored by the first of them. Raises RunError if this one is not like those before."""
        arrays = {WEIGHTS + name: array for name, array in frame.weights.items()}
        arrays |= {STATE + name: array for name, array in frame.state.items()}
        layout = {name: (self._stored(name, array.dtype), array.shape) for name, array in arrays.items()}
        wanted = series.layout
        if wanted is None and series.name == files.FRAMES:
            # The first frame of all: its weights have the shapes of the network, its state may have any.
            wanted = {name: what for name, what in layout.items() if name.startswith(STATE)}
            for parameter in self.manifest.parameters:
                dtype = layout.get(WEIGHTS + parameter.name, (np.dtype(np.float32), ()))[0]
                wanted[WEIGHTS + parameter.name] = dtype, parameter.shape
        if layout != (wanted or {}) or not all(dtype.name in tensors.NAMES for dtype, _ in layout.values()):
            raise RunError(
                f"{self.folder} holds {_listed(wanted or {})}; it cannot take {_listed(layout)}: record them to another"
                " path"
            )
        series.begin(frame, layout)

    def _stored(self, name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """The dtype in which an array is stored: weights may be asked for in fewer bits than training needs."""
        wanted = self.manifest.storage.get("dtype")
        if wanted and name.startswith(WEIGHTS) and dtype.name in ("float32", "float64"):
            return tensors.DTYPES[tensors.NAMES[wanted]]
        return dtype.newbyteorder("<")

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _settle(self, series: _Series) -> None:
        series.amendable = False
        if series.block is not None and series.block.full:
            self._seal(series)

    def _seal_all(self) -> None:
        for series in self._series.values():
            series.amendable = False
            self._seal(series)

    def _seal(self, series: _Series) -> None:
        """Hand all frames of a series that are final to the thread."""
        block = series.block
        if block is None or len(block) <= series.amendable:
            return
        series.block = None
        if series.amendable:
            series.block = self._new_block(series)
            series.block.take_last(block)
        self._sealed.append((series, block))
        self._changed.notify_all()

    def _wait_for_room(self, series: _Series) -> None:
        began = time.monotonic()
        while (
            self._queued_bytes
            and self._queued_bytes + series.rows * series.frame_bytes > QUEUE_BYTES
            and self._failure is None
        ):
            self._changed.wait()
        self.waited += time.monotonic() - began
        self._raise_failure()

    def _new_block(self, series: _Series) -> Block:
        # Fresh memory costs as much as the copy: that of blocks that were written is used again.
        block = (
            self._spare.pop()
            if self._spare and series.name == files.FRAMES
            else Block(series.layout or {}, series.rows)
        )
        self._queued_bytes += block.nbytes
        return block

    def _work(self) -> None:
        """What the thread does: write what is sealed, and seal what has waited long enough."""
        try:
            while self._wait_for_work():
                self._write_next()
        except BaseException as error:
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _wait_for_work(self) -> bool:
        """Wait until a block is sealed. Returns False when there will be none."""
        with self._changed:
            while not self._sealed and not self._stopping:
                waiting = [series for series in self._series.values() if series.block is not None]
                pause = max(SEGMENT_SECONDS, self.folder.segment_seconds)
                rest = self._written + pause - time.monotonic()
                if waiting and rest <= 0:
                    for series in waiting:
                        self._seal(series)
                    # What was not sealed is a frame that may still be amended.
                    rest = pause
                if not self._sealed:
                    self._changed.wait(min(rest, _LONG) if waiting else None)
            return bool(self._sealed)

    def _write_next(self) -> None:
        series, block = self._sealed[0]
        size = segment.write(
            self.folder, series.name, self.manifest.id, block.tensors(series.durable), compressed=self._compressed
        )
        with self._changed:
            self._sealed.popleft()
            series.durable += len(block)
            self._queued_bytes -= block.nbytes
            self._written = time.monotonic()
            block.clear()
            if series.name == files.FRAMES and not self._spare:
                self._spare.append(block)
            self._changed.notify_all()
        if self._budget is not None:
            self._bytes += size
            if self._bytes + size > self._budget:
                self._thin(self._budget)

    def _thin(self, budget: int) -> None:
        parts, _ = segment.look(self.folder, files.FRAMES, self.manifest.id)
        before = self.manifest.thinned.every if self.manifest.thinned else 1
        # Half at a time, so that each frame is copied twice on average however long the run.
        self.manifest = thin(self.folder, self.manifest, interval_for(parts, 0.5, before))
        self._bytes = size_of(self.folder)

    def _merge(self) -> None:
        for name in self._series:
            parts, _ = segment.look(self.folder, name, self.manifest.id)
            for group in _groups(parts, self.manifest.thinned):
                try:
                    # The whole takes the place of its first part at once; readers pass over the others until they are
                    # gone.
                    arrays = segment.join(group)
                    segment.write(self.folder, name, self.manifest.id, arrays, compressed=self._compressed, new=False)
                    for part in group[1:]:
                        self.folder.remove(part.name)
                except (OSError, DamagedRun):
                    # Merging only makes reading faster: without room, or with a damaged part, the parts stay.
                    continue


_SERIES = (files.FRAMES, files.SCALARS)


def _sound_parts(folder: Folder, series: str, run: str) -> list[Segment]:
    parts, damage = segment.look(folder, series, run)
    if damage:
        found = "; ".join(damage.values())
        raise RunError(f"{folder} cannot be continued: {found}; restore that file from a copy, or delete it")
    return parts


def _frame_bytes(description: Manifest) -> int:
    """Bytes of one frame's weights."""
    dtypes = (description.storage.get("dtype") or parameter.dtype for parameter in description.parameters)
    return sum(
        math.prod(parameter.shape) * (np.dtype(dtype).itemsize if dtype in tensors.NAMES else 4)
        for parameter, dtype in zip(description.parameters, dtypes, strict=True)
    )


# Longer than any training waits for its next step; the system's own limit is less than infinity.
_LONG = 3600.0


class _Series:
    """What waits of one series of segments."""

    def __init__(self, name: str, parts: list[Segment]) -> None:
        self.name, self.parts = name, parts
        self.durable = parts[-1].end if parts else 0
        self.layout: Layout | None = parts[-1].layout if parts else None
        self.block: Block | None = None
        self.amendable = False
        self._given: dict[str, Any] | None = None
        self._given_state: dict[str, Any] = {}

    def begin(self, frame: Frame, layout: Layout) -> None:
        """Take frames like this one from now on."""
        self.layout = layout
        self._given, self._given_state = (
            {n: (a.dtype, a.shape) for n, a in kind.items()} for kind in (frame.weights, frame.state)
        )
        self.frame_bytes = tensors.nbytes(layout)
        most = SEGMENT_FRAMES if layout else SEGMENT_SCALARS
        self.rows = min(max(1, SEGMENT_BYTES // max(1, self.frame_bytes)), most)

    def takes(self, frame: Frame) -> bool:
        """Whether a frame has the names, dtypes and shapes of the one this began with."""
        return self._given is not None and _same(frame.weights, self._given) and _same(frame.state, self._given_state)


def _same(arrays: Mapping[str, NDArray[Any]], wanted: dict[str, Any]) -> bool:
    return len(arrays) == len(wanted) and all(
        wanted.get(name) == (array.dtype, array.shape) for name, array in arrays.items()
    )


def _listed(layout: Layout) -> str:
    entries = [f"{name.removeprefix(WEIGHTS)} {dtype} {shape}" for name, (dtype, shape) in layout.items()]
    return ", ".join(entries) or "nothing"


def _refuse(folder: Folder, replace_existing: bool) -> None:
    if not (replace_existing and is_run(folder)):
        Writer.refuse_existing(folder)
        return
    try:
        manifest.read(folder)
    except RunError as error:
        raise RunError(f"{folder} is not replaced, for it may be no run of netlapse: {error}, or delete it") from error


def _lay_out(
    folder: Folder, description: Manifest, probe: Mapping[str, NDArray[Any]], model: Mapping[str, bytes]
) -> Manifest:
    """Put everything but frames into the folder of a new run."""
    folder.clear(*files.EVERYTHING)
    try:
        contents: dict[str, list[Buffer]] = {f"{files.MODEL}/{name}": [content] for name, content in model.items()}
        contents[files.PROBE] = tensors.encode(tensors.plain(probe), {})
        for name, parts in contents.items():
            folder.place(name, parts)
        sums = {name: manifest.checksum(*parts) for name, parts in contents.items()}
        complete = replace(description, checksums=sums)
        manifest.write(folder, complete)
    except BaseException:
        folder.clear(*files.EVERYTHING)  # so that the folder can be used once there is room
        raise
    return complete


def _remove_parts(folder: Folder, series: str, segments: list[Segment]) -> None:
    """Remove the parts that a writer left when it died while merging, where the whole is sound."""
    kept = {part.name for part in segments}
    for first, (name, _) in files.segments(folder, series).items():
        if name not in kept:
            next(whole for whole in segments if whole.first < first < whole.end).verify()
            folder.remove(name)


def _groups(parts: list[Segment], thinned: Thinned | None) -> list[list[Segment]]:
    """Neighbours that are worth a common file: from the last on, those not larger than all after them in their group.

    So a run of many short trainings is not written anew at the end of each: once its file is no longer small, a frame
    is copied at most as often as the size of that file can double.
    """
    groups: list[list[Segment]] = []
    size = 0
    for part in reversed(parts):
        # Never across frames that are missing without a reason: that would not be seen any more.
        following = thinned.next_kept(part.end) if thinned else part.end
        adjoins = bool(groups) and following >= groups[-1][0].first
        # In memory, where compressed parts are larger than their files.
        own = max(part.size, len(part) * part.frame_bytes)
        if adjoins and own <= min(max(size, SMALL_BYTES), LARGE_BYTES) and size + own <= MERGED_BYTES:
            groups[-1].insert(0, part)
            size += own
        else:
            groups.append([part])
            size = own
    return [group for group in groups if len(group) > 1]
