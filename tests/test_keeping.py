"""What a run keeps: thinned, compressed, rounded, in dense scalars and state; and runs handled as wholes."""

import shutil
import threading
import warnings
from dataclasses import replace
from unittest import mock

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file

from netlapse.errors import DamagedRun, RunError
from netlapse.record import Keep
from netlapse.store import (
    Frame,
    Run,
    Writer,
    copy_run,
    is_run,
    parse_size,
    prune_run,
    remove_run,
    size_of,
    writer,
)
from netlapse.store.compression import compress, decompress
from netlapse.store.folder import LocalFolder
from tests.test_record import recording_at, train, weights
from tests.test_store import (
    assert_holds,
    assert_same,
    begin,
    describe,
    flip,
    frame_at,
    quiet,
    reader_in_the_document,
    segment_paths,
    segments_of,
)

LARGE = {"w": ((1000,), "float64")}


def record(path, frames, per_segment=4, parameters=None, storage=None, **keywords):
    description = describe(parameters, storage=storage or {})
    probe = {"train/inputs": np.zeros((1, 2)), "train/targets": np.zeros(1)}
    with segments_of(per_segment):
        recorder = Writer.create(path, description, probe=probe, model={}, **keywords)
        for frame in frames:
            recorder.append(frame)
            yield recorder
        recorder.close()


def finish(*arguments, **keywords):
    for _ in record(*arguments, **keywords):
        pass
    return Run(arguments[0])


# Byte budgets


@pytest.mark.parametrize(
    ("text", "size"),
    [(1, 1), ("2GB", 2e9), ("500 MB", 5e8), ("1.5 GiB", 1.5 * 2**30), ("64kib", 2**16), ("10 B", 10), ("7", 7)],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", 0, "0", "2 XB", "1e9", "2 GBs"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="is no size; pass bytes, or a text such as"):
        parse_size(text)


@pytest.mark.parametrize("per_segment", [1, 3])
def test_a_budget_is_kept_at_every_moment(tmp_path, per_segment):
    budget, frames, sizes = 200_000, 200, []
    for recorder in record(
        tmp_path / "run", (frame_at(step, LARGE) for step in range(frames)), per_segment, LARGE, budget=budget
    ):
        quiet(recorder)
        sizes.append(size_of(recorder.folder))
        steps = Run(tmp_path / "run").steps
        # Never the first nor, of those that are durable, the last.
        assert not recorder.durable or (steps[0], steps[-1]) == (0, recorder.durable - 1)
    assert max(sizes) <= budget
    assert max(sizes) > 0.8 * budget
    run = Run(tmp_path / "run")
    assert_holds(run, run.steps, LARGE)
    assert run.verify() == []
    thinned = run.manifest.thinned
    assert len(run) + thinned.dropped == frames
    # Evenly: the past has one distance.
    past = run.steps[run.steps < thinned.below]
    assert set(np.diff(past[:-1]).tolist()) == {thinned.every}
    assert (thinned.every & (thinned.every - 1)) == 0


def test_a_run_with_a_budget_is_continued(tmp_path):
    path = tmp_path / "run"
    finish(path, (frame_at(step, LARGE) for step in range(40)), 2, LARGE, budget=150_000)
    with segments_of(2):
        recorder = Writer.resume(path, budget=150_000)
        for step in range(40, 80):
            recorder.append(frame_at(step, LARGE))
        recorder.close()
    run = Run(path)
    assert size_of(run.folder) <= 150_000
    assert (run.steps[0], run.steps[-1], run.verify()) == (0, 79, [])
    assert_holds(run, run.steps, LARGE)


def test_a_budget_that_holds_nothing_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"a budget of 9,000 bytes is too small for .*: give it [0-9,]+ or more"):
        finish(tmp_path / "run", [], parameters=LARGE, budget=9_000)


@pytest.mark.parametrize("break_off", range(6))
def test_thinning_that_breaks_off_leaves_a_sound_run(tmp_path, break_off):
    path = tmp_path / "run"
    finish(path, (frame_at(step) for step in range(20)))
    place, remove, left = LocalFolder.place, LocalFolder.remove, [break_off]

    def limited(function):
        def call(*arguments, **keywords):
            left[0] -= 1
            if left[0] < 0:
                raise OSError("died")
            return function(*arguments, **keywords)

        return call

    with (
        mock.patch.object(LocalFolder, "place", limited(place)),
        mock.patch.object(LocalFolder, "remove", limited(remove)),
        pytest.raises(OSError, match="died"),
    ):
        prune_run(path, every=16)
    run = Run(path)
    assert set(run.steps.tolist()) >= {0, 16, 19}
    assert_holds(run, run.steps)
    assert run.verify() == []
    again = prune_run(path, every=16)
    assert again.steps.tolist() == [0, 16, 19]
    assert again.verify() == []


def test_pruning(tmp_path):
    path = tmp_path / "run"
    before = finish(path, (frame_at(step) for step in range(21)))
    run = prune_run(path, every=5)
    assert run.steps.tolist() == [0, 5, 10, 15, 20]
    assert (run.manifest.thinned.every, run.manifest.thinned.dropped) == (5, 16)
    assert_holds(run, run.steps)
    assert run.verify() == []
    before.refresh()  # who follows the run sees what is left
    assert_holds(before, run.steps)
    with segments_of(4):
        recorder = Writer.resume(path)
        recorder.append(frame_at(21))
        recorder.close()
    assert_holds(Run(path), [0, 5, 10, 15, 20, 21])
    assert Run(path).verify() == []
    # Missing segments are still noticed where thinning does not explain them.
    segment_paths(path)[0].unlink()
    assert "frames 0 to" in Run(path).verify()[0]


def test_a_pruned_run_is_pruned_again(tmp_path):
    """Of every second frame, every third is every sixth; and what is left is merged."""
    path = tmp_path / "run"
    finish(path, (frame_at(step) for step in range(40)), 1)
    assert prune_run(path, every=2).steps.tolist() == [*range(0, 40, 2), 39]
    run = prune_run(path, every=3)
    assert run.steps.tolist() == [*range(0, 40, 6), 39]
    assert run.verify() == []
    assert len(segment_paths(path)) == 8
    Writer.resume(path).close()
    assert list(segment_paths(path)) == [0]
    assert_holds(Run(path), run.steps)
    assert Run(path).verify() == []


def test_pruning_to_a_budget(tmp_path):
    path = tmp_path / "run"
    finish(path, (frame_at(step, LARGE) for step in range(64)), 4, LARGE)
    run = prune_run(path, budget=200_000)
    assert 100_000 < size_of(run.folder) <= 200_000
    assert_holds(run, run.steps, LARGE)
    with pytest.raises(RunError, match=r"with its first and last frame only it exceeds 10,000"):
        prune_run(path, budget=10_000)
    for wrong in ({}, {"every": 2, "budget": 1}, {"every": 1}):
        with pytest.raises(ValueError, match="pass how many frames"):
            prune_run(path, **wrong)


# Fewer bits, and compression


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_in_fewer_bits(tmp_path, dtype):
    parameters = {"w": ((64,), "float32"), "n": ((), "int64")}
    values = np.random.default_rng(0).normal(size=64).astype(np.float32)
    frames = [Frame(step, step, step, {"w": values * step, "n": np.array(step)}, {}) for step in range(5)]
    run = finish(tmp_path / "run", frames, 2, parameters, {"dtype": dtype})
    stored = np.dtype(getattr(ml_dtypes, dtype, dtype))
    assert_same(run.weights("w"), np.stack([f.weights["w"] for f in frames]).astype(stored).astype(np.float32))
    assert_same(run.weights("n"), np.arange(5))
    assert run.verify() == []
    recorder = Writer.resume(tmp_path / "run")
    recorder.append(Frame(5, 5.0, 5.0, {"w": values, "n": np.array(5)}, {}))
    recorder.close()
    assert_same(Run(tmp_path / "run").weights("w")[5], values.astype(stored).astype(np.float32))


def test_bfloat16_weights_are_stored_as_they_are(tmp_path):
    values = np.arange(6, dtype=ml_dtypes.bfloat16).reshape(2, 3)
    run = finish(tmp_path / "run", [Frame(0, 0.0, 0.0, {"w": values}, {})], 1, {"w": ((2, 3), "bfloat16")})
    assert_same(run.weights("w"), values[None].astype(np.float32))
    header = (tmp_path / "run" / "frames" / "00000000.safetensors").read_bytes()
    assert b'"dtype":"BF16","shape":[1,2,3]' in header
    _, read_run = reader_in_the_document()
    assert_same(read_run(tmp_path / "run")[1]["weights/w"], values[None])


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.float16, np.int8, np.bool_, np.complex64, np.uint16]),
        hnp.array_shapes(min_dims=1, max_dims=4, max_side=5),
    )
)
@settings(deadline=None)
def test_compression_loses_nothing(array):
    repeated = np.repeat(array, 50, axis=0)
    packed = compress(repeated)
    assert packed is not None
    assert packed.nbytes < repeated.nbytes or repeated.nbytes < 100
    found = decompress(packed, repeated.dtype, repeated.shape)
    assert_same(found, repeated)


def test_what_does_not_compress_is_left(tmp_path):
    noise = np.frombuffer(np.random.default_rng(0).bytes(4000), np.uint32).reshape(1, -1)
    assert compress(noise) is None
    assert compress(np.zeros((0, 3))) is None


def test_a_compressed_run(tmp_path):
    """Smaller, the same to the bit, still after merging and for the reader in the document."""
    rng = np.random.default_rng(0)
    start, change = rng.normal(size=(2, 10_000)).astype(np.float32)
    frames = [
        Frame(step, step / 4, step / 8, {"w": start + np.float32(step * 1e-4) * change}, {"loss": 1.0})
        for step in range(16)
    ]
    wanted = np.stack([frame.weights["w"] for frame in frames])
    sizes = {}
    for compressed in (False, True):
        path = tmp_path / str(compressed)
        with mock.patch.object(writer, "SMALL_BYTES", 2**30):
            finish(path, frames, 4, {"w": ((10_000,), "float32")}, {"compressed": compressed})
            with mock.patch.object(writer, "MERGED_BYTES", 2**30):
                Writer.resume(path).close()
        assert list(segment_paths(path)) == [0]
        run = Run(path)
        assert_same(run.weights("w"), wanted)
        assert_same(run.weights("w", [7]), wanted[7:8])
        assert run.verify() == []
        sizes[compressed] = size_of(run.folder)
        _, read_run = reader_in_the_document()
        assert_same(read_run(path)[1]["weights/w"], wanted)
    assert sizes[True] < 0.6 * sizes[False]
    content = load_file(tmp_path / "True" / "frames" / "00000000.safetensors")
    assert content["weights/w"].dtype == np.uint8


def test_altered_compressed_weights_are_noticed(tmp_path):
    frames = [Frame(step, step, step, {"w": np.zeros(10_000, np.float32)}, {}) for step in range(4)]
    run = finish(tmp_path / "run", frames, 4, {"w": ((10_000,), "float32")}, {"compressed": True})
    flip(segment_paths(tmp_path / "run")[0], -1)
    run.refresh()
    with pytest.raises(DamagedRun, match=r"00000000.safetensors is truncated or altered: the checksum of 'weights/w'"):
        run.weights("w")


# Steps that were done twice


def test_of_steps_that_were_done_twice_the_later_count(tmp_path):
    path = tmp_path / "run"
    finish(path, (frame_at(step) for step in (0, 1, 2, 3, 4)), 2)
    recorder = Writer.resume(path)
    for step in (2, 3):
        recorder.append(replace(frame_at(step), scalars={"loss": -1.0}, time=10.0))
    recorder.close()
    run = Run(path)
    assert (run.steps.tolist(), run.superseded, len(run)) == ([0, 1, 2, 3], 3, 4)
    assert run.scalar("loss").tolist() == [1, 1 / 2, -1, -1]
    np.testing.assert_array_equal(run.weights("seed"), [frame_at(step).weights["seed"] for step in range(4)])
    assert run.times.tolist() == [0, 1 / 8, 10, 10]
    assert run.verify() == []
    _, read_run = reader_in_the_document()
    assert read_run(path)[1]["clock/step"].tolist() == [0, 1, 2, 3]
    recorder = Writer.resume(path)
    recorder.append(frame_at(0))
    recorder.close()
    assert Run(path).steps.tolist() == [0]


@given(st.lists(st.integers(0, 12), max_size=15))
@settings(max_examples=40, deadline=None)
def test_later_steps_count_in_any_order(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("runs") / "run"
    with mock.patch("os.fsync"):
        run = finish(path, [replace(frame_at(step), time=float(n)) for n, step in enumerate(steps)], 3)
    kept = [n for n, step in enumerate(steps) if all(step < later for later in steps[n + 1 :])]
    assert run.times.tolist() == kept
    assert run.steps.tolist() == [steps[n] for n in kept]


def test_a_training_that_goes_back_takes_over(tmp_path):
    path = tmp_path / "run"
    train(recording_at(path), 5, batches=4)
    recording = recording_at(path, exist="resume")
    recording.begin(lambda: recording_description())
    recording.rewind(3)
    assert (recording.step, recording.epoch) == (12, 3)
    recording.frame(12, 3, lambda: weights(12), {"loss": 7})
    recording.frame(16, 4, lambda: weights(16), {"loss": 8})
    recording.close("complete")
    run = Run(path)
    assert run.epochs.tolist() == [0, 1, 2, 3, 4]
    assert run.scalar("loss")[3:].tolist() == [7, 8]
    assert run.superseded == 3
    assert (np.diff(run.times) >= 0).all()


def test_what_was_logged_of_the_moment_gone_back_to_still_holds(tmp_path):
    path = tmp_path / "run"
    train(recording_at(path), 5, batches=4)
    before = Run(path).scalar("loss")
    recording = recording_at(path, exist="resume")
    recording.begin(lambda: recording_description())
    recording.rewind(3)
    recording.frame(12, 3, lambda: weights(12), {"learning_rate": 0.1})
    recording.frame(16, 4, lambda: weights(16), {})
    recording.close("complete")
    run = Run(path)
    np.testing.assert_array_equal(run.scalar("loss"), [*before[:4], np.nan])
    np.testing.assert_array_equal(run.scalar("learning_rate")[3:], [0.1, np.nan])


def recording_description():
    from tests.test_record import description

    return description()


# Scalars between frames, and state


def test_scalars_of_every_step(tmp_path):
    recording = recording_at(tmp_path / "run", every="4 steps", keep=Keep(scalars="step"))
    recording.begin(recording_description)
    recording.frame(0, 0.0, lambda: weights(0), {})
    for step in range(1, 11):
        if step % 4:
            recording.pass_by(step, step / 5, {"loss": 1 / step})
        else:
            recording.frame(step, step / 5, lambda step=step: weights(step), {"loss": 1 / step, "val_loss": step})
    recording.close("complete")
    run = Run(tmp_path / "run")
    assert run.steps.tolist() == [0, 4, 8]
    history = run.history()
    assert set(history) == {"step", "epoch", "time", "loss", "val_loss"}
    assert history["step"].tolist() == list(range(11))
    np.testing.assert_allclose(history["epoch"], np.arange(11) / 5)
    np.testing.assert_array_equal(history["loss"], [np.nan, *(1 / step for step in range(1, 11))])
    np.testing.assert_array_equal(history["val_loss"], [4 if s == 4 else 8 if s == 8 else np.nan for s in range(11)])
    assert run.verify() == []


def test_a_run_without_dense_scalars_has_a_history_too(tmp_path):
    run = finish(tmp_path / "run", (frame_at(step) for step in range(5)))
    history = run.history()
    assert history["step"].tolist() == list(range(5))
    assert_same(history["loss"], run.scalar("loss"))
    assert_same(history["val_loss"], run.scalar("val_loss"))


def test_damaged_dense_scalars_are_found(tmp_path):
    test_scalars_of_every_step(tmp_path)
    [path] = (tmp_path / "run" / "scalars").iterdir()
    flip(path, -1)
    [problem] = Run(tmp_path / "run").verify()
    assert str(path) in problem
    assert len(Run(tmp_path / "run")) == 3


def test_state_is_kept_if_asked_for(tmp_path):
    for state in (True, False):
        recording = recording_at(tmp_path / str(state), keep=Keep(state=state))
        recording.begin(recording_description)
        for step in range(3):
            recording.frame(
                step, step, lambda step=step: weights(step), {}, lambda step=step: {"adam/m": np.full(2, step)}
            )
        recording.close("complete")
    assert Run(tmp_path / "False").state() == {}
    run = Run(tmp_path / "True")
    assert run.state_names == ["adam/m"]
    assert run.state(1)["adam/m"].tolist() == [1, 1]
    assert run.state()["adam/m"].tolist() == [2, 2]
    with pytest.raises(IndexError, match="there is no frame 3"):
        run.state(3)


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ({"scalars": "epoch"}, 'pass "frame" or "step"'),
        ({"dtype": "int8"}, 'pass "float16" or "bfloat16"'),
        ({"budget": "much"}, "is no size"),
        ({"dtype": "float16", "state": True}, "leave dtype out"),
    ],
)
def test_what_cannot_be_kept(keep, message):
    with pytest.raises(ValueError, match=message):
        Keep(**keep)


# A disk that is too slow


class SlowDisk:
    """Holds back every segment until it is let go."""

    def __init__(self):
        self.go = threading.Event()
        self._place = LocalFolder.place

    def place(self, folder, name, parts, **keywords):
        if name.startswith("frames"):
            assert self.go.wait(30)
        self._place(folder, name, parts, **keywords)

    def installed(self):
        return mock.patch.object(LocalFolder, "place", lambda *a, **k: self.place(*a, **k))


def test_what_waits_for_the_disk_is_bounded_and_nothing_is_dropped(tmp_path):
    disk, given_frames = SlowDisk(), []
    with segments_of(2), mock.patch.object(writer, "QUEUE_BYTES", 64_000), disk.installed():
        recorder = begin(tmp_path / "run", LARGE)

        def training():
            for step in range(20):
                recorder.append(frame_at(step, LARGE))
                given_frames.append(step)

        thread = threading.Thread(target=training)
        thread.start()
        # Eight frames of 8,000 bytes: the ninth waits.
        thread.join(0.5)
        assert thread.is_alive()
        assert len(given_frames) == 8
        assert recorder._queued_bytes <= 64_000
        disk.go.set()
        thread.join(30)
        recorder.close()
    assert recorder.waited > 0.2
    assert_holds(Run(tmp_path / "run"), range(20), LARGE)


def test_one_frame_may_be_larger_than_the_queue(tmp_path):
    with mock.patch.object(writer, "QUEUE_BYTES", 100):
        assert_holds(finish(tmp_path / "run", (frame_at(s, LARGE) for s in range(5)), 1, LARGE), range(5), LARGE)


def test_the_user_hears_of_a_disk_that_was_too_slow(tmp_path):
    recording = recording_at(tmp_path / "run")
    recording.begin(recording_description)
    recording.frame(0, 0.0, lambda: weights(0), {})
    recording._writer.waited = 2.5
    assert recording.waited == 2.5
    with pytest.warns(UserWarning, match=r"could not keep up: the training waited 2.5 s for it. Every frame is kept"):
        recording.close("complete")


def test_frames_are_copied_when_they_are_given(tmp_path):
    values = np.zeros(1000)
    with segments_of(4):
        recorder = begin(tmp_path / "run", LARGE)
        for step in range(6):
            values[:] = step
            recorder.append(Frame(step, step, step, {"w": values}, {}))
        values[:] = -1
        recorder.close()
    np.testing.assert_array_equal(Run(tmp_path / "run").weights("w")[:, 0], range(6))


# Whole runs


@pytest.fixture
def run(tmp_path):
    return finish(tmp_path / "run", (frame_at(step) for step in range(10)))


def test_a_run_is_copied(run, tmp_path):
    copied = copy_run(run.path, tmp_path / "deep" / "copy")
    assert_holds(copied, range(10))
    assert copied.verify() == []
    assert (copied.manifest, copied.status) == (run.manifest, "complete")
    with pytest.raises(RunError, match="holds a run already"):
        copy_run(run.path, tmp_path / "deep" / "copy")
    with pytest.raises(RunError, match="is not a run"):
        copy_run(tmp_path, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_run_that_grows_is_copied_as_far_as_it_is_durable(tmp_path):
    with segments_of(4, 2**25):
        recorder = begin(tmp_path / "run")
        for step in range(10):
            recorder.append(frame_at(step))
        quiet(recorder)
        copied = copy_run(tmp_path / "run", tmp_path / "copy")
        assert (len(copied), copied.status) == (8, "interrupted")
        place = LocalFolder.place

        def merge_meanwhile(self, name, parts, **keywords):
            if str(self) == str(tmp_path / "late") and name.startswith("frames"):
                with mock.patch.object(LocalFolder, "place", place):
                    recorder.close()
            place(self, name, parts, **keywords)

        with mock.patch.object(LocalFolder, "place", merge_meanwhile):
            late = copy_run(tmp_path / "run", tmp_path / "late")
    assert_holds(late, range(len(late)))
    assert len(late) >= 8
    assert late.verify() == []


def test_a_damaged_run_is_copied_as_it_is(run, tmp_path):
    flip(segment_paths(tmp_path / "run")[4], -1)
    copied = copy_run(run.path, tmp_path / "copy")
    assert "00000004.safetensors" in copied.verify()[0]
    assert copied.whole_frames == 6


def test_a_run_is_removed(run, tmp_path):
    (tmp_path / "run" / "notes.txt").write_text("mine")
    remove_run(run.path)
    assert not is_run(run.path)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]
    with pytest.raises(RunError, match="is not a run"):
        remove_run(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(RunError, match="does not exist"):
        remove_run(tmp_path / "run")


@pytest.mark.parametrize("act", [remove_run, lambda path: prune_run(path, every=2)])
def test_a_run_that_is_being_recorded_is_left_alone(tmp_path, act):
    recorder = begin(tmp_path / "run")
    recorder.append(frame_at(0))
    with pytest.raises(RunError, match="is being recorded by process"):
        act(tmp_path / "run")
    recorder.close()
    assert_holds(Run(tmp_path / "run"), [0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        act(tmp_path / "run")
