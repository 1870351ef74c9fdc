"""What is acknowledged survives faults that are set off inside this process, at each operation on files in turn.

Processes that are really killed, disks that are really full and readers in other processes are in tests/durability.
"""

import errno
import os
import sys
import warnings
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from netlapse.errors import RunError
from netlapse.record import Description, Probe, Recording
from netlapse.store import Parameter, Run, Writer, files, folder, is_run
from tests.test_store import assert_holds, begin, frame_at, quiet, segment_paths, segments_of

# Crashes


class Crash(BaseException):
    """The end of the process: nothing is tidied up after it."""


@contextmanager
def crash_after(operations):
    """Let this many operations on files pass; the next breaks off and none follows. Yields the number still to go."""
    left = [operations]

    def limited(function):
        def call(*arguments, **keywords):
            if left[0] <= 0:
                if function is write:
                    write(arguments[0], arguments[1][:100])
                raise Crash
            left[0] -= 1
            return function(*arguments, **keywords)

        return call

    write = folder._write
    with ExitStack() as patches:
        for place, name in [(os, "fsync"), (os, "replace"), (os, "unlink"), (os, "mkdir"), (folder, "_write")]:
            patches.enter_context(mock.patch.object(place, name, limited(getattr(place, name))))
        yield left


def session(path, acknowledge):
    """Two trainings whose segments are merged, and of the first the trace that a dead writer left."""
    with segments_of(2, 2**25):
        for steps in (range(9), range(9, 14)):
            recorder = begin(path) if steps[0] == 0 else Writer.resume(path)
            acknowledge(recorder)
            for step in steps:
                recorder.append(frame_at(step))
                quiet(recorder)
                acknowledge(recorder)
            recorder.close()
            acknowledge(recorder)


def end(recorder):
    """What is left of a writer whose process was killed."""
    with recorder._changed:
        recorder._stopping = True
        recorder._sealed.clear()
        recorder._changed.notify_all()
    if recorder._thread:
        recorder._thread.join()
    recorder._lock.release()


def test_a_crash_at_any_moment_leaves_a_run_that_goes_on(tmp_path):
    operations, left = 0, [0]
    while left[0] == 0:
        path, acknowledged, recorders = tmp_path / str(operations), [0], []

        def acknowledge(recorder, acknowledged=acknowledged, recorders=recorders):
            acknowledged.append(recorder.durable)
            recorders.append(recorder)

        with crash_after(operations) as left:
            try:
                session(path, acknowledge)
            except Crash:
                pass
            else:
                break
        for recorder in recorders:  # as the kernel does
            end(recorder)
        operations += 1
        if not is_run(path):
            assert acknowledged[-1] == 0
            continue
        run = Run(path)
        assert len(run) >= acknowledged[-1]
        assert_holds(run, range(len(run)))
        assert run.status in ("interrupted", "complete")
        recorder = Writer.resume(path)
        assert recorder.durable == len(run)
        assert list(path.rglob("*.unfinished")) == []
        recorder.append(frame_at(len(run)))
        recorder.close()
        assert_holds(Run(path), range(len(run) + 1))
        assert Run(path).verify() == []
        ends = [part.end for part in Run(path)._series["frames"].segments]
        assert list(segment_paths(path)) == [0, *ends[:-1]]
    assert operations > 60


# Power cuts


class Disk:
    """What of a folder would survive a power cut: of a file what was synced, of its name what its folder knew then.

    Names that were removed are gone at once, which is the worst.
    """

    def __init__(self, root):
        self.root = root
        self._synced = {}
        self._names = {root: None}
        self._pending = []
        self._calls = {name: getattr(os, name) for name in ("fsync", "replace", "unlink", "mkdir")}

    @contextmanager
    def watched(self):
        with ExitStack() as patches:
            for name in self._calls:
                patches.enter_context(mock.patch.object(os, name, getattr(self, f"_{name}")))
            yield

    def _fsync(self, descriptor):
        self._calls["fsync"](descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_dir():
            self._names |= {name: content for name, content in self._pending if name.parent == path}
            self._pending = [(name, content) for name, content in self._pending if name.parent != path]
        else:
            self._synced[os.fstat(descriptor).st_ino] = path.read_bytes()

    def _replace(self, source, target):
        self._pending.append((Path(target), self._synced.get(Path(source).stat().st_ino, b"never synced")))
        self._calls["replace"](source, target)

    def _unlink(self, path, **keywords):
        self._calls["unlink"](path, **keywords)
        self._names.pop(Path(path), None)

    def _mkdir(self, path, *arguments):
        self._calls["mkdir"](path, *arguments)
        self._pending.append((Path(path), None))

    def survivors(self, to):
        """Write what would be left to the folder `to`."""
        for name, content in sorted(self._names.items()):
            if all(parent in self._names for parent in name.parents if parent.is_relative_to(self.root)):
                place = to / name.relative_to(self.root)
                place.mkdir(exist_ok=True) if content is None else place.write_bytes(content)


@pytest.fixture
def disk(tmp_path):
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    (tmp_path / "disk").mkdir()
    return Disk(tmp_path / "disk")


def assert_survives(recorder, disk, to):
    """A power cut now takes nothing that this writer counts as durable."""
    with mock.patch.multiple(os, **disk._calls):
        to.mkdir()
        disk.survivors(to)
        run = Run(to / Path(str(recorder.folder)).relative_to(disk.root))
        assert len(run) >= recorder.durable
        assert_holds(run, range(len(run)))
        assert run.verify() == []
        assert run.status == ("complete" if recorder.closed else "interrupted")


def test_a_power_cut_takes_nothing_that_was_acknowledged(tmp_path, disk):
    images = iter(range(100))
    with disk.watched():
        path = disk.root / "runs" / "run"
        session(path, lambda recorder: assert_survives(recorder, disk, tmp_path / str(next(images))))
    assert next(images) == 18


def test_a_power_cut_after_a_crash(tmp_path, disk):
    """The dead writer had not yet synced the name of its last segment; whoever goes on counts its frames."""
    path = disk.root / "run"
    with disk.watched():
        recorder = begin(path)
        recorder.append(frame_at(0))
        recorder.flush()
        recorder.append(frame_at(1))
        with mock.patch.object(folder, "sync_folder", side_effect=Crash), pytest.raises(Crash):
            recorder.flush()
        end(recorder)
        recorder = Writer.resume(path)
        assert recorder.durable == 2
        assert_survives(recorder, disk, tmp_path / "image")
        recorder.close()


# Full disks


def description():
    return Description("numpy", "numpy", {}, {}, (), (Parameter("w", (1000,), "float64", True, "l"),), {}, {})


def train(recording, epochs):
    """A training loop that knows nothing of disks. Returns the epochs it did."""
    recording.begin(description)
    done = 0
    for epoch in range(recording.step, recording.step + epochs):
        recording.frame(epoch, epoch, lambda epoch=epoch: {"w": np.full(1000, float(epoch))}, {"loss": 1 / (1 + epoch)})
        recording.pass_by(epoch + 1, epoch + 1)
        done += 1
    recording.end(lambda: {"w": np.full(1000, float(recording.step))}, {})
    return done


def recording_at(path, **keywords):
    return Recording(path, probe=Probe.of(([[0.0]], [0]), "probe"), **keywords)


@pytest.mark.parametrize("allowed", [0, 1, 2, 3, 5, 8])
@pytest.mark.parametrize("operation", ["write", "fsync", "replace"])
def test_training_goes_on_when_the_disk_is_full(tmp_path, operation, allowed):
    recording = recording_at(tmp_path / "run")
    recording.begin(description)
    left = [allowed]
    place, operation = (folder, "_write") if operation == "write" else (os, operation)
    real = getattr(place, operation)

    def full(*arguments):
        left[0] -= 1
        if left[0] < 0:
            if operation == "_write":
                arguments[0].write(b"only a part of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    with (
        segments_of(3, 2**25),
        mock.patch.object(place, operation, full),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        assert train(recording, 20) == 20
        assert train(recording, 5) == 5
    assert [str(warning.message).split(":")[0] for warning in caught] == [
        f"recording to {tmp_path / 'run'} has stopped"
    ]
    durable = recording.durable_frames
    assert f"No space left on device. Training goes on. The first {durable} frames are safe" in str(caught[0].message)
    assert list((tmp_path / "run").rglob("*.unfinished")) == []
    run = Run(tmp_path / "run")
    assert (run.status, run.verify()) == ("interrupted", [])
    assert len(run) >= durable
    np.testing.assert_array_equal(run.weights("w")[:, 7], np.arange(len(run)))
    # The recording has let go of the run: with room it is continued, by this process too.
    again = recording_at(tmp_path / "run", exist="resume")
    again.begin(description)
    again.frame(100, 100.0, lambda: {"w": np.zeros(1000)}, {})
    again.close("complete")
    run.refresh()
    assert (run.status, run.steps[-1]) == ("complete", 100)


def test_without_room_for_merging_the_run_is_complete_all_the_same(tmp_path):
    path = tmp_path / "run"
    with segments_of(2, 2**25):
        recorder = begin(path)
        for step in range(8):
            recorder.append(frame_at(step))
        recorder.flush()
        write = folder._write

        def full(file, part):
            if not bytes(part).startswith(b"{"):  # there is room for a manifest
                raise OSError(errno.ENOSPC, "No space left on device")
            write(file, part)

        with mock.patch.object(folder, "_write", full):
            recorder.close()
    assert list(segment_paths(path)) == [0, 2, 4, 6]
    assert Run(path).status == "complete"
    assert_holds(Run(path), range(8))


def test_a_run_that_cannot_be_begun_leaves_the_folder_as_it_was(tmp_path):
    with mock.patch.object(folder, "_write", side_effect=OSError(errno.ENOSPC, "No space left on device")):
        recording = recording_at(tmp_path / "run")
        with pytest.raises(RunError, match=r"cannot record to .*No space left on device; choose a path that"):
            recording.begin(description)
    assert train(recording_at(tmp_path / "run"), 3) == 3
    assert len(Run(tmp_path / "run")) == 4


# Readers at any moment


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("reads", range(1, 5))
def test_reading_while_segments_are_merged(tmp_path, reads, moment):
    """The segments are merged just before or after the reader has read from the first, the second, ..."""
    path = tmp_path / "run"
    with segments_of(2, 2**25):
        recorder = begin(path)
        for step in range(8):
            recorder.append(frame_at(step))
        quiet(recorder)
        run = Run(path)
        recorder.append(frame_at(8))
        recorder.flush()
    left = [reads]
    read = folder._LocalFile.read_into

    def interrupted(*arguments):
        left[0] -= not recorder.closed
        if left[0] == 0 and moment == "before":
            recorder.close()
        found = read(*arguments)
        if left[0] == 0:
            recorder.close()
        return found

    with mock.patch.object(folder._LocalFile, "read_into", interrupted):
        assert_holds(run, range(8))
    assert recorder.closed
    assert list(segment_paths(path)) == [0]
    run.refresh()
    assert_holds(run, range(9))


def test_opening_while_segments_are_merged(tmp_path):
    path = tmp_path / "run"
    with segments_of(2, 2**25):
        recorder = begin(path)
        for step in range(8):
            recorder.append(frame_at(step))
        quiet(recorder)
    listed = files.segments

    def list_then_merge(folder, series):
        found = listed(folder, series)
        with mock.patch.object(files, "segments", listed):
            recorder.close()
        return found

    with mock.patch.object(files, "segments", list_then_merge):
        run = Run(path)
    assert_holds(run, range(8))


def test_verifying_while_segments_are_merged(tmp_path):
    path = tmp_path / "run"
    with segments_of(2, 2**25):
        recorder = begin(path)
        for step in range(8):
            recorder.append(frame_at(step))
    refresh = Run.refresh

    def refresh_then_merge(self):
        refresh(self)
        recorder.close()

    run = Run(path)
    with mock.patch.object(Run, "refresh", refresh_then_merge):
        assert run.verify() == []
    assert list(segment_paths(path)) == [0]


# Two writers


def test_a_second_writer_is_refused(tmp_path):
    path = tmp_path / "run"
    recorder = begin(path)
    with pytest.raises(RunError, match=r"is being recorded by process [0-9]+ on .* since .*; give this run a path"):
        Writer.resume(path)
    with pytest.raises(RunError, match="is being recorded by process"):
        begin(path, replace_existing=True)
    for step in range(3):
        recorder.append(frame_at(step))
    recorder.close()
    Writer.resume(path).close()
    assert_holds(Run(path), range(3))
