"""The recorder without a framework: what is kept, when, and what becomes of it when training stops."""

import gc
import json
import re
import signal
import subprocess
import sys
import threading
import warnings
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netlapse.errors import BadProbe, RunError
from netlapse.record import Description, Probe, Recording, Schedule
from netlapse.store import Parameter, Run, Writer, manifest, writer
from netlapse.store.folder import LocalFolder

PROBE = Probe.of(([[0.0, 1.0], [2.0, 3.0]], [0, 1]), "probe")


def description(shape=(2,), dtype="float32"):
    return Description(
        "numpy", "numpy", {}, {"lr": 0.1}, (), (Parameter("w", shape, dtype, True, "l"),), {"net": "n"}, {"n": b"n"}
    )


def weights(step):
    return {"w": np.array([step, -step], np.float32)}


def recording_at(path, every="epoch", **keywords):
    return Recording(path, probe=PROBE, every=every, **keywords)


def train(recording, epochs, batches=1, interrupt=lambda step: None):
    """A training loop as an adapter sees it: each step gives a loss, each epoch a validation loss."""

    def now():
        return weights(step)

    recording.begin(description)
    step, epoch = recording.step, round(recording.epoch)
    recording.frame(step, epoch, now, {})
    for _ in range(epochs):
        for batch in range(batches):
            step += 1
            interrupt(step)
            within = epoch + (batch + 1) / batches
            if recording.schedule.due_step(step, within):
                recording.frame(step, within, now, {"loss": step})
            else:
                recording.pass_by(step, within)
        epoch += 1
        if recording.schedule.due_epoch(step, epoch):
            recording.frame(step, epoch, now, {"loss": step, "val_loss": 10 * step})
        else:
            recording.pass_by(step, epoch)
    recording.end(now, {"loss": step})


def assert_recorded(path, steps, epochs, status="complete"):
    run = Run(path)
    assert (run.steps.tolist(), run.epochs.tolist(), run.status) == (steps, epochs, status)
    np.testing.assert_array_equal(run.weights("w")[:, 1], -np.array(steps, np.float32))
    assert (np.diff(run.times) >= 0).all()
    assert run.verify() == []
    return run


@contextmanager
def nothing_due():
    """Segments are written on closing only."""
    with mock.patch.object(writer, "SEGMENT_SECONDS", np.inf):
        yield


# Schedules


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("epoch", Schedule(every_epochs=1)),
        ("epochs", Schedule(every_epochs=1)),
        ("1 epoch", Schedule(every_epochs=1)),
        (" 5 epochs ", Schedule(every_epochs=5)),
        ("step", Schedule(every_steps=1)),
        ("100 steps", Schedule(every_steps=100)),
        ("100 steps, 5 epochs", Schedule(every_steps=100, every_epochs=5)),
        ("log", Schedule(log=True, every_epochs=1)),
        ("log, 10 epochs", Schedule(log=True, every_epochs=10)),
        ("10 epochs, log", Schedule(log=True, every_epochs=10)),
    ],
)
def test_schedules_are_read(text, schedule):
    assert Schedule.parse(text) == schedule == Schedule.parse(str(schedule))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0 epochs",
        "-1 steps",
        "1.5 epochs",
        "batch",
        "epoch step",
        "5",
        5,
        None,
        "log,",
        [1, -1],
        [1.5],
        [True],
        {},
        {"frames": [1]},
    ],
)
def test_other_schedules_are_refused(tmp_path, text):
    with pytest.raises(ValueError, match=r'is no schedule; pass "epoch", "step", "5 epochs", "100 steps", "log"'):
        recording_at(tmp_path / "run", every=text)


@pytest.mark.parametrize(
    ("every", "steps"),
    [
        ("log", [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30, 32, 40, 50, 60, 63, 79, 90]),
        ("log, 3 epochs", [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 63, 79, 90]),
        ("40 steps", [0, 30, 40, 60, 80, 90]),
        ([2], [0, 60, 90]),
        ((1, 2), [0, 30, 60, 90]),
        ({"steps": [1, 7], "epochs": [2]}, [0, 1, 7, 60, 90]),
        ({"steps": range(5)}, [0, 1, 2, 3, 4, 90]),
        (lambda step, epoch: step == 11 or epoch == 1, [0, 11, 30, 90]),
    ],
    ids=lambda value: "a function" if callable(value) else str(value),
)
def test_moments_that_are_kept(tmp_path, every, steps):
    train(recording_at(tmp_path / "run", every=every), 3, batches=30)
    run = Run(tmp_path / "run")
    assert run.steps.tolist() == steps
    np.testing.assert_allclose(run.epochs, np.array(steps) / 30)
    assert run.manifest.schedule == str(Schedule.parse(every))


def test_long_epochs_are_looked_into_unasked():
    assert [str(Schedule.for_epochs_of(steps)) for steps in (None, 999, 1000)] == ["epoch", "epoch", "log"]
    assert [str(Schedule.for_loop_of(steps)) for steps in (None, 999, 1000)] == ["log", "epoch", "log"]


def test_lists_are_named_in_few_words():
    assert str(Schedule.parse({"steps": range(1000), "epochs": [3]})) == (
        "steps 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... (1000 in all), epochs 3"
    )
    assert str(Schedule.parse(lambda step, epoch: True)) == "a function"


def test_a_frame_per_epoch(tmp_path):
    train(recording_at(tmp_path / "run"), 3, batches=4)
    run = assert_recorded(tmp_path / "run", [0, 4, 8, 12], [0, 1, 2, 3])
    np.testing.assert_array_equal(run.scalar("val_loss"), [np.nan, 40, 80, 120])


def test_the_first_and_the_last_state_are_kept(tmp_path):
    train(recording_at(tmp_path / "run", every="3 epochs"), 5, batches=2)
    assert_recorded(tmp_path / "run", [0, 6, 10], [0, 3, 5])


def test_weights_are_copied_only_when_they_are_kept(tmp_path):
    taken = []
    recording = recording_at(tmp_path / "run", every="2 epochs")
    with mock.patch(f"{__name__}.weights", side_effect=lambda step: taken.append(step) or {"w": np.float32([step, 0])}):
        train(recording, 5)
    assert taken == [0, 2, 4, 5]


def test_steps_and_the_ends_of_epochs(tmp_path):
    train(recording_at(tmp_path / "run", every="2 steps"), 2, batches=3)
    run = assert_recorded(tmp_path / "run", [0, 2, 3, 4, 6], [0, 2 / 3, 1, 4 / 3, 2])
    # Where a step that is due ends an epoch, the two are one frame with the scalars of both.
    np.testing.assert_array_equal(run.scalar("loss"), [np.nan, 2, 3, 4, 6])
    np.testing.assert_array_equal(run.scalar("val_loss"), [np.nan, np.nan, 30, np.nan, 60])


def test_a_held_frame_is_let_go_at_the_next_step(tmp_path):
    """It waits for the end of its epoch only, not for the next frame, which may be far."""
    recording = recording_at(tmp_path / "run", every="100 steps")
    with mock.patch.object(writer, "SEGMENT_SECONDS", 0.0):
        recording.begin(description)
        recording.frame(0, 0.0, lambda: weights(0), {})
        assert durable_after_a_while(recording) == 0
        recording.pass_by(1, 0.1)
        assert durable_after_a_while(recording) == 1
        recording.frame(100, 1.0, lambda: weights(100), {"loss": 1})
        recording.pass_by(100, 1.0)
        assert durable_after_a_while(recording) == 1
        recording.frame(100, 1.0, lambda: weights(7), {"val_loss": 2})
        recording.pass_by(101, 1.1)
        assert durable_after_a_while(recording) == 2
    recording.close("complete")
    run = assert_recorded(tmp_path / "run", [0, 100], [0, 1])
    assert (run.scalar("loss")[1], run.scalar("val_loss")[1]) == (1, 2)


def durable_after_a_while(recording):
    """Frames that are durable when the thread has had time for what is due: ten of its waits."""
    wait_for(recording, lambda: False, timeout=0.2)
    return recording.durable_frames


def wait_for(recording, what, timeout=30):
    with recording._writer._changed:
        return recording._writer._changed.wait_for(what, timeout)


def test_frames_that_wait_are_written_though_nothing_happens(tmp_path):
    recording = recording_at(tmp_path / "run")
    with mock.patch.object(writer, "SEGMENT_SECONDS", 1.5):
        recording.begin(description)
        recording.frame(0, 0.0, lambda: weights(0), {})
        assert durable_after_a_while(recording) == 1  # after a pause: at once
        recording.frame(1, 1.0, lambda: weights(1), {})
        assert durable_after_a_while(recording) == 1  # within a second
        assert wait_for(recording, lambda: recording.durable_frames == 2)
    recording.close("complete")


def test_many_frames_or_large_ones_are_written_soon(tmp_path):
    recording = recording_at(tmp_path / "run")
    recording.begin(lambda: description((1000,), "float64"))
    with (
        nothing_due(),
        mock.patch.object(writer, "SEGMENT_FRAMES", 4),
        mock.patch.object(writer, "SEGMENT_BYTES", 24_000),
    ):
        counts = []
        for step in range(7):
            recording.frame(step, step, lambda: {"w": np.zeros(1000)}, {})
            wait_for(recording, lambda: not recording._writer._sealed)
            counts.append(recording.durable_frames)
    assert counts == [0, 0, 3, 3, 3, 6, 6]
    recording.close("complete")


def test_scalars_are_numbers(tmp_path):
    recording = recording_at(tmp_path / "run")
    recording.begin(description)
    recording.frame(0, 0.0, lambda: weights(0), {"loss": np.float32(0.5), "right": np.array(3), "ok": True})
    recording.close("complete")
    run = Run(tmp_path / "run")
    assert [run.scalar(name)[0] for name in ("loss", "right", "ok")] == [0.5, 3, 1]


def test_what_the_manifest_says(tmp_path):
    validation = Probe.of((np.zeros((3, 2)), [0, 1, 1]), "validation")
    recording = recording_at(tmp_path / "relu", "5 epochs", validation=validation, class_names=("cat", "dog"))
    train(recording, 1)
    run = Run(tmp_path / "relu")
    assert (run.name, run.manifest.schedule, run.manifest.framework) == ("relu", "5 epochs", "numpy")
    assert run.manifest.probe == {
        "examples": 2,
        "drawn_from": 2,
        "validation_examples": 3,
        "validation_drawn_from": 3,
        "class_names": ["cat", "dog"],
    }
    assert set(run.manifest.checksums) == {"probe.safetensors", "model/n"}
    probe = run.probe()
    np.testing.assert_array_equal(probe["train/inputs"], PROBE.inputs)
    np.testing.assert_array_equal(probe["validation/targets"], [0, 1, 1])
    assert len(run.manifest.id) == 32


# Several trainings


def test_several_trainings_make_one_run(tmp_path):
    recording = recording_at(tmp_path / "run")
    for _ in range(3):
        train(recording, 2, batches=5)
    assert_recorded(tmp_path / "run", [0, 5, 10, 15, 20, 25, 30], [0, 1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize("every", ["epoch", "2 steps"])
def test_a_new_recorder_goes_on_where_the_last_one_stopped(tmp_path, every):
    first = recording_at(tmp_path / "run", every)
    first._began -= 1000
    train(first, 2, batches=2)
    recording = recording_at(tmp_path / "run", every, exist="resume")
    train(recording, 1, batches=2)
    run = assert_recorded(tmp_path / "run", [0, 2, 4, 6], [0, 1, 2, 3])
    assert 1000 < run.times[-1] < 1100
    assert recording.durable_frames == 4


def test_resuming_where_there_is_no_run_begins_one(tmp_path):
    train(recording_at(tmp_path / "run", exist="resume"), 1)
    assert_recorded(tmp_path / "run", [0, 1], [0, 1])


def test_a_recorder_refuses_what_exists_before_anything_is_trained(tmp_path):
    train(recording_at(tmp_path / "run"), 1)
    with pytest.raises(RunError, match="holds a run already"):
        recording_at(tmp_path / "run")
    with pytest.raises(ValueError, match='pass "error", "replace" or "resume"'):
        recording_at(tmp_path / "run", exist="overwrite")
    old = Run(tmp_path / "run").manifest.id
    train(recording_at(tmp_path / "run", exist="replace"), 2)
    assert_recorded(tmp_path / "run", [0, 1, 2], [0, 1, 2])
    assert Run(tmp_path / "run").manifest.id != old


@pytest.mark.parametrize("other", [((3,), "float32"), ((2,), "float64")])
def test_a_run_of_another_network_is_not_resumed(tmp_path, other):
    train(recording_at(tmp_path / "run"), 1)
    recording = recording_at(tmp_path / "run", exist="resume")
    with pytest.raises(RunError, match=r"run 'run' is of another network: its parameters are w float32 \(2,\), not"):
        recording.begin(lambda: description(*other))
    assert_recorded(tmp_path / "run", [0, 1], [0, 1])


def test_a_network_that_changes_stops_the_recording_not_the_training(tmp_path):
    recording = recording_at(tmp_path / "run")
    recording.begin(description)
    recording.frame(0, 0.0, lambda: weights(0), {})
    recording._writer.flush()
    with pytest.warns(
        UserWarning, match=r"has stopped: .* cannot take w float32 \(3,\).* Training goes on. The first 1 "
    ):
        recording.frame(1, 1.0, lambda: {"w": np.zeros(3, np.float32)}, {})
    recording.frame(2, 2.0, lambda: weights(2), {})
    recording.end(lambda: weights(2), {})
    assert_recorded(tmp_path / "run", [0], [0], "interrupted")


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot record to .*choose a path that can be written, or make room"):
        recording_at(tmp_path / "file" / "run").begin(description)


def test_a_disk_that_fails_between_trainings_does_not_stop_the_next(tmp_path):
    recording = recording_at(tmp_path / "run")
    train(recording, 1)
    with (
        mock.patch.object(LocalFolder, "place", side_effect=OSError("Read-only file system")),
        pytest.warns(UserWarning, match=r"has stopped: Read-only file system. Training goes on. The first 2 frames"),
    ):
        train(recording, 3)
    assert_recorded(tmp_path / "run", [0, 1], [0, 1])


def test_a_run_that_vanishes_does_not_stop_the_training(tmp_path):
    recording = recording_at(tmp_path / "run")
    recording.begin(description)
    recording.frame(0, 0.0, lambda: weights(0), {})
    recording._writer.flush()
    (tmp_path / "run").rename(tmp_path / "moved")
    recording.frame(1, 1.0, lambda: weights(1), {})
    assert wait_for(recording, lambda: recording._writer._failure)
    with pytest.warns(UserWarning, match=r"has stopped: .*No such file.* The first 1 frames"):
        recording.pass_by(2, 1.5)
    recording.frame(2, 2.0, lambda: weights(2), {})
    recording.end(lambda: weights(2), {})
    assert_recorded(tmp_path / "moved", [0], [0], "interrupted")


def test_an_error_in_the_adapter_is_not_swallowed(tmp_path):
    recording = recording_at(tmp_path / "run")
    recording.begin(description)
    recording.frame(0, 0.0, lambda: weights(0), {})
    with pytest.raises(KeyError, match="no weights"):
        recording.frame(1, 1.0, lambda: {}["no weights"], {})
    recording.frame(1, 1.0, lambda: weights(1), {})
    recording.close("complete")
    assert_recorded(tmp_path / "run", [0, 1], [0, 1])


# Ctrl-C


def press(wanted):
    """Ctrl-C at this step."""
    return lambda step: signal.raise_signal(signal.SIGINT) if step == wanted else None


@pytest.mark.parametrize("every", ["epoch", "step"])
def test_ctrl_c_marks_the_run_and_stops_the_training(tmp_path, every):
    handler = signal.getsignal(signal.SIGINT)
    recording = recording_at(tmp_path / "run", every)
    with nothing_due(), pytest.raises(KeyboardInterrupt):
        train(recording, 5, interrupt=press(3))
    assert signal.getsignal(signal.SIGINT) is handler
    assert_recorded(tmp_path / "run", [0, 1, 2], [0, 1, 2], "interrupted")
    # As in a notebook: the same recorder is used again.
    train(recording, 2)
    assert_recorded(tmp_path / "run", [0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_handler_of_the_users_own_is_called_and_put_back(tmp_path):
    statuses = []

    def own(number, frame):
        statuses.append(Run(tmp_path / "run").status)

    signal.signal(signal.SIGINT, own)
    train(
        recording_at(tmp_path / "run"), 5, interrupt=lambda step: step in (2, 4) and signal.raise_signal(signal.SIGINT)
    )
    assert signal.getsignal(signal.SIGINT) is own
    assert statuses == ["interrupted", "interrupted"]
    # It did not stop the training, so the recording went on too.
    assert_recorded(tmp_path / "run", [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5])


def test_a_handler_that_somebody_set_meanwhile_stays(tmp_path):
    def own(number, frame):
        raise AssertionError

    recording = recording_at(tmp_path / "run")
    recording.begin(description)
    signal.signal(signal.SIGINT, own)
    recording.end(lambda: weights(0), {})
    assert signal.getsignal(signal.SIGINT) is own


def test_a_training_that_breaks_off_and_begins_anew_leaves_no_handler(tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    recording = recording_at(tmp_path / "run")
    recording.begin(description)
    recording.frame(0, 0.0, lambda: weights(0), {})
    train(recording, 2)  # no `end` before: an exception in the training loop
    assert signal.getsignal(signal.SIGINT) is handler
    assert_recorded(tmp_path / "run", [0, 1, 2], [0, 1, 2])


def test_a_frame_is_taken_before_ctrl_c_is_obeyed(tmp_path):
    recording = recording_at(tmp_path / "run")
    recording.begin(description)

    def interrupted():
        signal.raise_signal(signal.SIGINT)
        return weights(0)

    with pytest.raises(KeyboardInterrupt):
        recording.frame(0, 0.0, interrupted, {})
    assert recording.durable_frames == 1
    assert_recorded(tmp_path / "run", [0], [0], "interrupted")


def test_ctrl_c_while_the_run_is_closed(tmp_path):
    recording = recording_at(tmp_path / "run")
    recording.begin(description)
    recording.frame(0, 0.0, lambda: weights(0), {})
    write = manifest.write

    def interrupted(*arguments):
        signal.raise_signal(signal.SIGINT)
        write(*arguments)

    handler = signal.getsignal(signal.SIGINT)
    with mock.patch.object(manifest, "write", interrupted), pytest.raises(KeyboardInterrupt):
        recording.end(lambda: weights(0), {})
    assert signal.getsignal(signal.SIGINT) is not handler
    assert_recorded(tmp_path / "run", [0], [0])


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    """While the first one closes the run: what is durable stays so, and the run is free."""
    recording = recording_at(tmp_path / "run")
    recording.begin(description)
    recording.frame(0, 0.0, lambda: weights(0), {})

    waited = []

    def interrupted(*_):
        signal.raise_signal(signal.SIGINT)
        waited.append(True)

    with mock.patch.object(manifest, "write", interrupted), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert not waited
    assert recording._writer.closed
    assert_recorded(tmp_path / "run", [0], [0], "interrupted")


def test_recording_in_a_thread_leaves_signals_alone(tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=lambda: train(recording_at(tmp_path / "run"), 3))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is handler
    assert_recorded(tmp_path / "run", [0, 1, 2, 3], [0, 1, 2, 3])


# Recorders that are left alone


@pytest.mark.parametrize("every", ["epoch", "step"])
def test_an_abandoned_recorder_writes_what_waits(tmp_path, every):
    handler = signal.getsignal(signal.SIGINT)
    recording = recording_at(tmp_path / "run", every)
    with nothing_due():
        recording.begin(description)
        for step in range(4):
            recording.frame(step, step, lambda step=step: weights(step), {})
        assert Run(tmp_path / "run").status == "recording"
        del recording
        gc.collect()
    assert_recorded(tmp_path / "run", [0, 1, 2, 3], [0, 1, 2, 3], "interrupted")
    assert signal.getsignal(signal.SIGINT) is handler
    Writer.resume(tmp_path / "run").close()


def test_an_abandoned_recorder_is_silent_about_a_full_disk(tmp_path):
    recording = recording_at(tmp_path / "run")
    recording.begin(description)
    recording.frame(0, 0.0, lambda: weights(0), {})
    recording._writer.flush()
    recording.frame(1, 1.0, lambda: weights(1), {})
    with mock.patch.object(LocalFolder, "place", side_effect=OSError("full")), warnings.catch_warnings():
        warnings.simplefilter("error")
        del recording
        gc.collect()
    assert_recorded(tmp_path / "run", [0], [0], "interrupted")


def test_trainings_without_end_leave_nothing_behind(tmp_path):
    """A recorder that is used again and again keeps one writer alive, not all of them."""
    recording = recording_at(tmp_path / "run")
    for _ in range(5):
        train(recording, 1)
    gc.collect()
    # Not isinstance, which asks every lazy proxy of other packages for its class.
    assert sum(type(thing) is Writer and str(thing.folder) == str(tmp_path / "run") for thing in gc.get_objects()) == 1


@pytest.mark.parametrize("ending", ["", "sys.exit(3)", "raise SystemError('of the training')"])
def test_the_end_of_the_process_closes_the_run(tmp_path, ending):
    code = f"""
import sys
import numpy as np
from netlapse.record import Description, Probe, Recording
from netlapse.store import Parameter, writer
writer.SEGMENT_SECONDS = float("inf")
recording = Recording(sys.argv[1], probe=Probe.of(([[0.0]], [0]), "probe"), every="step")
parameters = (Parameter("w", (2,), "float32", True, "l"),)
recording.begin(lambda: Description("n", "n", {{}}, {{}}, (), parameters, {{}}, {{}}))
for step in range(4):
    recording.frame(step, step, lambda: {{"w": np.float32([step, -step])}}, {{}})
{ending}
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "run"], capture_output=True, text=True, check=False)
    assert re.sub(r".*SystemError: of the training\n", "", done.stderr, flags=re.DOTALL) == ""
    assert_recorded(tmp_path / "run", [0, 1, 2, 3], [0, 1, 2, 3], "interrupted")


# The probe


@given(
    st.lists(st.integers(1, 400), min_size=2, max_size=12),
    st.integers(1, 300),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=200, deadline=None)
def test_every_class_keeps_its_share(counts, size, one_hot, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    assume(size < len(labels))
    targets = np.eye(len(counts))[labels] if one_hot else labels
    inputs = np.arange(len(labels))[:, None] * np.ones((1, 2))
    probe = Probe.of((inputs, targets), "probe", size)
    assert (len(probe.index), probe.total) == (size, len(labels))
    assert (np.diff(probe.index) > 0).all()
    np.testing.assert_array_equal(probe.inputs, inputs[probe.index])
    np.testing.assert_array_equal(probe.targets, targets[probe.index])
    again = Probe.of((inputs, targets), "probe", size)
    np.testing.assert_array_equal(again.index, probe.index)
    if len(counts) <= size // 2:
        exact = np.array(counts) * size / len(labels)
        kept = np.bincount(labels[probe.index], minlength=len(counts))
        assert (np.abs(kept - exact) < 1).all()
        # The largest remainders are rounded up.
        remainders, up = exact % 1, kept > np.floor(exact)
        assert remainders[up & (exact >= 1)].min(initial=1) >= remainders[~up & (exact >= 1)].max(initial=0) - 1e-9
        # Rare classes come first: a class is missing only where the rest that can be shared out does not suffice.
        if (np.count_nonzero(exact < 1)) <= size - np.floor(exact).sum():
            assert kept.all()


def test_a_large_class_does_not_pay_for_many_small_ones():
    """Rounding each share by itself would take 43 examples from the large class here."""
    labels = np.repeat(np.arange(100), [54_000, *[61] * 99])
    kept = np.bincount(labels[Probe.of((labels[:, None], labels), "probe", 2000).index])
    exact = np.bincount(labels) * 2000 / len(labels)
    assert np.abs(kept - exact).max() < 1


def test_quantities_are_sampled_evenly():
    targets = np.linspace(-1, 1, 10_000)[:, None]
    probe = Probe.of((targets, targets), "probe", 1000)
    assert len(probe.index) == 1000
    assert abs(np.mean(probe.targets)) < 0.05
    assert abs(np.mean(probe.index < 2500) - 0.25) < 0.05


def test_few_examples_are_all_kept_in_their_order():
    probe = Probe.of(([[1], [2], [3]], [1, 0, 1]), "probe", 3)
    assert (probe.index.tolist(), probe.targets.tolist(), probe.total) == ([0, 1, 2], [1, 0, 1], 3)


def test_the_probe_does_not_change_with_the_users_data():
    inputs = np.zeros((3, 2))
    probe = Probe.of((inputs, [0, 1, 0]), "probe")
    inputs[:] = 7
    assert not probe.inputs.any()


def test_lists_of_numpys_numbers_are_one_array():
    probe = Probe.of((np.zeros((2, 3)), [np.int64(1), np.int64(0)]), "probe")
    assert probe.targets.tolist() == [1, 0]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", ">f8"])
def test_probes_of_all_numbers_are_stored(tmp_path, dtype):
    inputs = np.arange(12).reshape(3, 2, 2).astype(dtype)
    recording = Recording(tmp_path / "run", probe=Probe.of((inputs, [0, 1, 1]), "probe"))
    recording.begin(description)
    recording.close("complete")
    found = Run(tmp_path / "run").probe()["train/inputs"]
    np.testing.assert_array_equal(found, inputs)
    assert found.dtype == np.dtype(dtype).newbyteorder("=")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([[1.0], [0]], r"must be a pair \(inputs, targets\); found list"),
        (np.zeros((2, 2)), "must be a pair .*found ndarray"),
        (([[1.0]], [0], [1.0]), "must be a pair .*found a tuple of 3"),
        (([[1.0], [2.0]], [0]), "has 2 inputs but 1 targets; pass one target per example"),
        (([], []), "is empty; pass at least one example"),
        ((np.zeros((3, 0)), [0, 1, 0]), "is empty"),
        ((1.0, [0]), "inputs are a single number"),
        (([np.zeros((2, 1)), np.zeros((3, 1))], [0, 1]), "inputs have different numbers of examples"),
        (({"a": np.zeros((2, 1)), "b": [["x"], ["y"]]}, [0, 1]), "inputs 'b' have dtype"),
        (({"a": np.zeros((2, 0))}, [0, 1]), "is empty"),
        (([[1.0], [2.0, 3.0]], [0, 1]), "inputs do not form one array"),
        (([["a"]], [0]), "inputs have dtype <U1; pass numbers"),
        (([[None]], [0]), "inputs have dtype object"),
        (([[1j]], [0]), "inputs have dtype complex128"),
        pytest.param(
            (np.zeros((1, 1), np.longdouble), [0]),
            "inputs have dtype .*; pass numbers of at most 64 bits",
            marks=pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="no longer than a double here"),
        ),
        (([[0.0, 1.0], [2.0, np.nan]], [0, 1]), r"inputs hold NaN or infinity, first at \(1, 1\); remove or impute"),
        (([[0.0], [1.0]], [0.0, np.inf]), r"targets hold NaN or infinity, first at \(1,\)"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(data, message):
    with pytest.raises(BadProbe, match=f"my probe {message}"):
        Probe.of(data, "my probe")


def test_a_probe_of_nothing_is_refused():
    with pytest.raises(BadProbe, match="pass a probe_size of at least 1"):
        Probe.of(([[1.0]], [0]), "probe", 0)


def test_manifests_are_plain_json(tmp_path):
    recording = recording_at(tmp_path / "run")
    with pytest.raises(ValueError, match="not JSON compliant"):
        recording.begin(lambda: Description("n", "n", {}, {"lr": float("nan")}, (), (), {}, {}))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.lock"]
    train(recording, 1)
    json.loads((tmp_path / "run" / "run.json").read_bytes(), parse_constant=pytest.fail)
