"""What is acknowledged survives: killed processes, power cuts, full disks, a second writer, readers at any moment."""

import errno
import os
import signal
import subprocess
import sys
import threading
import warnings
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from netlapse.errors import RunError
from netlapse.record import Description, Probe, Recording
from netlapse.store import Frame, Parameter, Run, Writer, files, is_run, lock, tensors, writer
from tests.test_store import assert_holds, begin, frame_at, segments_of

# Killed processes

TRAINING = """
import sys

import numpy as np

from netlapse.record import Description, Probe, Recording
from netlapse.store import Parameter


def weights(step):
    return {"w": np.random.default_rng(step).normal(size=(40, 5)), "b": np.float32([step, np.nan])}


def description():
    parameters = (Parameter("w", (40, 5), "float64", True, "l"), Parameter("b", (2,), "float32", True, "l"))
    return Description("numpy", "numpy", {}, {}, (), parameters, {}, {})


def train(path, trainings, frames):
    for _ in range(trainings):
        recording = Recording(path, probe=Probe.of(([[0.0]], [0]), "probe"), exist="resume")
        recording.begin(description)
        for step in range(recording._recorded_step + 1, recording._recorded_step + 1 + frames):
            recording.frame(step, step / 10, lambda: weights(step), {"loss": step})
            print(recording.durable_frames, flush=True)
        recording.close("complete")
        print(recording.durable_frames, flush=True)
"""


def python(code, *arguments, **keywords):
    """A process that runs this code after the definitions above, and writes small segments."""
    small = "from netlapse.store import writer; writer.SEGMENT_FRAMES = 3\n"
    command = [sys.executable, "-c", TRAINING + small + code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **keywords)


def output(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def assert_trained(run):
    """Its frames are those of the training above, from the first on, none left out."""
    names = {}
    exec(TRAINING, names)
    np.testing.assert_array_equal(run.steps, np.arange(len(run)))
    wanted = [names["weights"](step) for step in range(len(run))]
    for name in ("w", "b"):
        assert run.weights(name).tobytes() == np.array([weights[name] for weights in wanted]).tobytes()
    np.testing.assert_array_equal(run.scalar("loss"), run.steps)


def test_a_killed_training_keeps_what_was_acknowledged_and_goes_on(tmp_path):
    path, rng = tmp_path / "run", np.random.default_rng(0)
    acknowledged, statuses = 0, set()
    for _ in range(10):
        process = python("train(sys.argv[1], 1000, 13)", path)
        for _ in range(rng.integers(1, 80)):
            line = process.stdout.readline()
        process.kill()
        rest, _ = process.communicate()
        # The last line may have been cut short by the kill.
        acknowledged = max(acknowledged, *(int(number) for number in [line, *rest.split("\n")[:-1]]))
        run = Run(path)
        statuses.add(run.status)
        assert len(run) >= acknowledged
        assert_trained(run)
        assert run.verify() == []
    assert "interrupted" in statuses
    assert "recording" not in statuses
    assert output(python("train(sys.argv[1], 1, 5)", path)).split()[-1] == str(len(run) + 5)
    run.refresh()
    assert run.status == "complete"
    assert_trained(run)
    assert list(path.rglob("*.unfinished")) == []


class Crash(BaseException):
    """The end of the process: nothing is tidied up after it."""


@contextmanager
def crash_after(operations):
    """Let this many operations on files pass; the next breaks off and none follows. Yields the number still to go."""
    left = [operations]

    def limited(function):
        def call(*arguments, **keywords):
            if left[0] <= 0:
                if function is tensors_write:
                    tensors_write(*arguments, **keywords)
                    os.truncate(arguments[0], 100)
                raise Crash
            left[0] -= 1
            return function(*arguments, **keywords)

        return call

    tensors_write = tensors.write
    with ExitStack() as patches:
        for place, name in [(os, "fsync"), (os, "replace"), (os, "unlink"), (os, "mkdir"), (tensors, "write")]:
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
                acknowledge(recorder)
            recorder.close()
            acknowledge(recorder)


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
            recorder._lock.release()
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
        ends = [part.end for part in Run(path)._segments]
        assert list(files.segment_paths(path)) == [0, *ends[:-1]]
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
        run = Run(to / recorder.path.relative_to(disk.root))
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
        with mock.patch.object(files, "sync_folder", side_effect=Crash), pytest.raises(Crash):
            recorder.append(frame_at(0))
        recorder._lock.release()
        recorder = Writer.resume(path)
        assert recorder.durable == 1
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
    place = tensors if operation == "write" else os
    real = getattr(place, operation)

    def full(*arguments):
        left[0] -= 1
        if left[0] < 0:
            if operation == "write":
                Path(arguments[0]).write_bytes(b"only a part of it")
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


def test_a_disk_that_is_really_full(tmp_path):
    """A limit on the size of files, so that the kernel breaks off a write."""
    code = """
import resource, warnings
writer.SEGMENT_FRAMES = 30
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
with warnings.catch_warnings(record=True) as caught:
    train(sys.argv[1], 1, 100)
[warning] = caught
print(warning.message)
"""
    *counts, message = output(python(code, tmp_path / "run")).splitlines()
    assert len(counts) == 101  # the training went on to its end
    assert set(counts) == {"1"}
    assert "File too large" in message
    assert "Training goes on. The first 1 frames are safe" in message
    run = Run(tmp_path / "run")
    assert_trained(run)
    assert (len(run), run.status, list(run.path.rglob("*.unfinished"))) == (1, "interrupted", [])


def test_without_room_for_merging_the_run_is_complete_all_the_same(tmp_path):
    path = tmp_path / "run"
    with segments_of(2, 2**25):
        recorder = begin(path)
        for step in range(8):
            recorder.append(frame_at(step))
        recorder.flush()
        with mock.patch.object(tensors, "write", side_effect=OSError(errno.ENOSPC, "No space left on device")):
            recorder.close()
    assert list(files.segment_paths(path)) == [0, 2, 4, 6]
    assert Run(path).status == "complete"
    assert_holds(Run(path), range(8))


def test_a_run_that_cannot_be_begun_leaves_the_folder_as_it_was(tmp_path):
    with mock.patch.object(tensors, "write", side_effect=OSError(errno.ENOSPC, "No space left on device")):
        recording = recording_at(tmp_path / "run")
        with pytest.raises(RunError, match=r"cannot record to .*No space left on device; choose a path on a disk"):
            recording.begin(description)
    assert train(recording_at(tmp_path / "run"), 3) == 3
    assert len(Run(tmp_path / "run")) == 4


# Readers at any moment


def test_a_reader_never_sees_torn_or_missing_frames(tmp_path):
    """Two threads take turns in every place: one records, merges and goes on, the other looks and reads."""
    path = tmp_path / "run"
    state = {"durable": 0, "done": False}
    found = []

    def assert_right(run):
        wanted = np.arange(len(run))
        for values in (run.steps, run.scalar("loss"), *run.weights("w").T):
            np.testing.assert_array_equal(values, wanted)

    def read():
        stale = Run(path)
        run = Run(path)
        try:
            while not state["done"]:
                durable = state["durable"]
                run.refresh()
                assert len(run) >= durable
                assert_right(run)
                assert_right(stale)
                stale = Run(path)
                found.append(len(run))
        except BaseException as error:
            found.append(error)
            state["done"] = True

    def record(recorder):
        step = recorder.durable
        recorder.append(Frame(step, step, step, {"w": np.full(3, float(step))}, {"loss": step}))
        state["durable"] = recorder.durable

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    reader = threading.Thread(target=read)
    with mock.patch.object(os, "fsync"), segments_of(1, 4_000), mock.patch.object(writer, "SMALL_BYTES", 0):
        recorder = begin(path, {"w": ((3,), "float64")})
        record(recorder)
        reader.start()
        try:
            trainings = 0
            while not state["done"] and (trainings < 60 or (len(found) < 50 and trainings < 1000)):
                for _ in range(1 + trainings % 4):
                    record(recorder)
                recorder.close()
                recorder = Writer.resume(path)
                trainings += 1
        finally:
            state["done"] = True
            reader.join()
            sys.setswitchinterval(interval)
            recorder.close()
    assert all(isinstance(number, int) for number in found), found[-1]
    assert found == sorted(found)
    assert len(found) >= 50
    assert_right(Run(path))


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("reads", range(1, 5))
def test_reading_while_segments_are_merged(tmp_path, reads, moment):
    """The segments are merged just before or after the reader has read from the first, the second, ..."""
    path = tmp_path / "run"
    with segments_of(2, 2**25):
        recorder = begin(path)
        for step in range(8):
            recorder.append(frame_at(step))
        run = Run(path)
        recorder.append(frame_at(8))
        recorder.flush()
    left = [reads]
    read = tensors.read

    def interrupted(*arguments):
        left[0] -= not recorder.closed
        if left[0] == 0 and moment == "before":
            recorder.close()
        found = read(*arguments)
        if left[0] == 0:
            recorder.close()
        return found

    with mock.patch.object(tensors, "read", interrupted):
        assert_holds(run, range(8))
    assert recorder.closed
    assert list(files.segment_paths(path)) == [0]
    run.refresh()
    assert_holds(run, range(9))


def test_opening_while_segments_are_merged(tmp_path):
    path = tmp_path / "run"
    with segments_of(2, 2**25):
        recorder = begin(path)
        for step in range(8):
            recorder.append(frame_at(step))
    listed = files.segment_paths

    def list_then_merge(folder):
        found = listed(folder)
        with mock.patch.object(files, "segment_paths", listed):
            recorder.close()
        return found

    with mock.patch.object(files, "segment_paths", list_then_merge):
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
    assert list(files.segment_paths(path)) == [0]


# Two writers


def test_a_second_writer_is_refused(tmp_path):
    path = tmp_path / "run"
    recorder = begin(path)
    with pytest.raises(RunError, match="is being recorded by another recorder or process; give this run a path"):
        Writer.resume(path)
    with pytest.raises(RunError, match="is being recorded by another"):
        begin(path, replace_existing=True)
    for step in range(3):
        recorder.append(frame_at(step))
    recorder.close()
    Writer.resume(path).close()
    assert_holds(Run(path), range(3))


def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path):
    path = tmp_path / "run"
    process = python("train(sys.argv[1], 10**6, 10**6)", path)
    for _ in range(4):
        process.stdout.readline()
    assert Run(path).status == "recording"
    for _ in range(50):  # readers do not take each other for the writer, nor hinder it
        assert lock.is_held(path / "run.lock")
    with pytest.raises(RunError, match="is being recorded by another recorder or process"):
        Writer.resume(path)
    process.kill()
    process.communicate()
    assert Run(path).status == "interrupted"
    Writer.resume(path).close()
    assert_trained(Run(path))


FORK = """
import os, signal
from netlapse.store import lock
recording = Recording(sys.argv[1], probe=Probe.of(([[0.0]], [0]), "probe"))
recording.begin(description)
recording.frame(0, 0.0, lambda: weights(0), {"loss": 0})
recording.frame(1, 1.0, lambda: weights(1), {"loss": 1})
"""


def test_a_forked_child_writes_nothing(tmp_path):
    code = """
import warnings
if os.fork() == 0:
    with warnings.catch_warnings(record=True) as caught:
        recording.frame(2, 2.0, lambda: weights(9), {"loss": 9})
        recording.close("complete")
    [warning] = caught
    assert "is being recorded by another recorder or process" in str(warning.message), warning.message
    sys.exit(7)  # runs the exit handlers, as a worker does
assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
assert lock.is_held(recording.path / "run.lock")  # the end of the child has not freed it
recording.frame(2, 2.0, lambda: weights(2), {"loss": 2})
recording.close("complete")
"""
    output(python(FORK + code, tmp_path / "run"))
    run = Run(tmp_path / "run")
    assert (len(run), run.status) == (3, "complete")
    assert_trained(run)


def test_a_child_that_outlives_the_recorder_does_not_keep_the_lock(tmp_path):
    code = """
if os.fork() == 0:
    print("child", flush=True)
    signal.pause()
os.wait()
"""
    process = python(FORK + code, tmp_path / "run", start_new_session=True)
    try:
        assert process.stdout.readline() == "child\n"
        assert lock.is_held(tmp_path / "run" / "run.lock")
        process.kill()
        process.wait()
        assert Run(tmp_path / "run").status == "interrupted"
        Writer.resume(tmp_path / "run").close()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
