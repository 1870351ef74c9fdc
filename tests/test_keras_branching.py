"""Keras trainings that go on from a frame, are recorded more densely, or take over from themselves."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import netlapse
from netlapse.errors import MissingFrame, RunError, Unsupported
from netlapse.keras import Recorder, restore
from tests.conftest import small_model
from tests.test_keras_recorder import BACKEND, DATA, Witness, fit, path, random_model

__all__ = ["path"]  # a fixture


def assert_equal(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


# Going on from a frame


@pytest.mark.parametrize("optimizer", [None, "sgd"])
@pytest.mark.parametrize("epoch", [0, 2, 3])
def test_training_goes_on_from_an_epoch_as_it_did(path, epoch, optimizer):
    """With Adam's moments, BatchNorm's statistics, Dropout's masks and the order of the batches."""
    model = random_model(optimizer)
    fit(model, Recorder(path, probe=DATA, state=True), epochs=5)
    again = random_model(optimizer)
    keras.utils.set_random_seed(77)
    fit(again, epochs=1)
    start = restore(again, path, epoch=epoch)
    assert (start.epoch, start.batches) == (epoch, 0)
    fit(again, initial_epoch=start.epoch, epochs=5)
    assert_equal(again.get_weights(), model.get_weights())


@pytest.mark.skipif(BACKEND != "jax", reason="within epochs on JAX only")
@pytest.mark.parametrize("step", [1, 10, 13])
def test_training_goes_on_from_within_an_epoch(path, step):
    model = random_model()
    fit(model, Recorder(path, probe=DATA, state=True, every="step"), epochs=3)
    again = random_model()
    start = restore(again, path, step=step)
    assert (start.epoch, start.batches) == divmod(step, 7)
    rest = start.rest_of_epoch(*DATA, batch_size=8)
    fit(again, data=rest, shuffle=False, initial_epoch=start.epoch, epochs=start.epoch + 1)
    fit(again, initial_epoch=start.epoch + 1, epochs=3)
    assert_equal(again.get_weights(), model.get_weights())


def test_a_branch_with_another_learning_rate(path):
    model = small_model(keras)
    fit(model, Recorder(path, probe=DATA, state=True))
    start = restore(model, path, epoch=1)
    assert_equal(model.get_weights(), netlapse.open(path).model(1).get_weights())
    model.optimizer.learning_rate = 0.0
    fit(model, initial_epoch=start.epoch)
    assert_equal(model.get_weights(), netlapse.open(path).model(1).get_weights())


def test_the_last_frame_is_meant_if_none_is_named(path):
    model = small_model(keras)
    fit(model, Recorder(path, probe=DATA, state=True))
    wanted = model.get_weights()
    fit(model)
    assert restore(model, path).epoch == 3
    assert_equal(model.get_weights(), wanted)


def test_what_cannot_be_restored(path, tmp_path):
    model = small_model(keras)
    fit(model, Recorder(path, probe=DATA))
    with pytest.raises(RunError, match="kept no state to go on from; record it with state=True"):
        restore(model, path)
    fit(model, Recorder(tmp_path / "state", probe=DATA, state=True))
    with pytest.raises(MissingFrame, match="no frame at epoch 9; the nearest is at 3"):
        restore(model, tmp_path / "state", epoch=9)
    with pytest.raises(MissingFrame, match="no frame at step 5; the nearest is at"):
        restore(model, tmp_path / "state", step=5)
    with pytest.raises(ValueError, match="not both"):
        restore(model, tmp_path / "state", epoch=1, step=7)
    with pytest.raises(RunError, match="is of another network or optimiser"):
        restore(random_model(), tmp_path / "state")
    other = small_model(keras)
    other.compile("adam", "binary_crossentropy")
    with pytest.raises(RunError, match="is of another network or optimiser"):
        restore(other, tmp_path / "state")
    if BACKEND != "jax":
        with pytest.raises(Unsupported, match="JAX backend only"):
            restore(model, tmp_path / "state").rest_of_epoch(*DATA, batch_size=8)


def test_recording_the_state_changes_nothing(path):
    seen = []
    for recorder in ([], [Recorder(path, probe=DATA, state=True, every="2 steps", scalars="step")]):
        model = random_model()
        fit(model, *recorder)
        seen.append(model.get_weights())
    assert_equal(*seen)


# Denser scalars


def test_scalars_of_every_step_are_what_keras_reports(path):
    witness = Witness()
    fit(random_model(), Recorder(path, probe=DATA, scalars="step"), witness)
    run = netlapse.open(path).run
    assert run.epochs.tolist() == [0, 1, 2, 3]
    history = run.history()
    assert history["step"].tolist() == list(range(22))
    np.testing.assert_allclose(history["epoch"], np.arange(22) / 7)
    # At the end of an epoch, what Keras reports of the epoch.
    wanted = [logs["loss"] for logs in witness.logs]
    np.testing.assert_allclose(history["loss"][7::7], run.scalar("loss")[1:])
    assert len(wanted) in (3, 21)
    assert np.isfinite(history["loss"][1:]).all()
    assert {"accuracy", "learning_rate", "loss"} <= history.keys()


# Schedules


@pytest.mark.parametrize(("examples", "steps"), [(999, [0, 999]), (1000, None)])
def test_long_epochs_are_looked_into_unasked(path, examples, steps):
    inputs, targets = np.zeros((examples, 2), np.float32), np.zeros(examples)
    model = small_model(keras)
    fit(model, Recorder(path, probe=DATA), data=(inputs, targets), batch_size=1, epochs=1)
    run = netlapse.open(path).run
    assert run.steps.tolist() == (steps or [0, *LOG, 1000])
    assert run.manifest.schedule == ("epoch" if steps else "log")


LOG = [1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 63, 79, 100, 126, 158, 200, 251, 316, 398, 501, 631, 794]


def test_moments_of_ones_own(path):
    fit(small_model(keras), Recorder(path, probe=DATA, every=lambda step, epoch: step % 7 == 3))
    assert netlapse.open(path).steps.tolist() == [0, 3, 10, 17, 21]


# Taking over from an earlier epoch


def test_a_training_from_an_earlier_checkpoint_takes_over(path, tmp_path):
    """The process that was killed had recorded further than its last checkpoint."""
    model, witness = random_model(), Witness()
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    fit(model, Recorder(path, probe=DATA, every="3 steps"), checkpoint, epochs=4)
    before = netlapse.open(path).run
    restored = keras.models.load_model(tmp_path / "2.keras")
    fit(restored, Recorder(path, probe=DATA, every="3 steps", exist="resume"), witness, initial_epoch=2, epochs=5)
    replay = netlapse.open(path)
    assert replay.steps.tolist() == [0, 3, 6, 7, 9, 12, 14, 15, 18, 21, 24, 27, 28, 30, 33, 35]
    assert replay.epochs[-1] == 5
    assert replay.run.superseded == int((before.steps >= 14).sum())
    assert (np.diff(replay.times) >= 0).all()
    names = list(replay.parameters)
    for step, weights in {14: witness.begin, 15: witness.batches[0], 35: witness.batches[-1]}.items():
        frame = replay.steps.tolist().index(step)
        for name, wanted in zip(names, weights, strict=True):
            np.testing.assert_array_equal(replay.run.weights(name, [frame])[0], wanted)
    assert replay.run.verify() == []


def test_without_an_epoch_a_resumed_training_follows_the_last_frame(path):
    model = small_model(keras)
    fit(model, Recorder(path, probe=DATA), epochs=2)
    fit(model, Recorder(path, probe=DATA, exist="resume"), epochs=2)
    replay = netlapse.open(path)
    assert (replay.epochs.tolist(), replay.run.superseded) == ([0, 1, 2, 3, 4], 0)


# Less space


def test_options_reach_the_run(path):
    model = random_model()
    fit(model, Recorder(path, probe=DATA, dtype="bfloat16", compressed=True, budget="1MB"))
    replay = netlapse.open(path)
    assert replay.run.manifest.storage == {"dtype": "bfloat16", "compressed": True}
    # Rounded, but still the network.
    np.testing.assert_allclose(replay.weights("hidden/kernel", 3), model.get_weights()[0], rtol=2**-8)
    np.testing.assert_allclose(replay.outputs(epoch=3).ravel(), model.predict(DATA[0], verbose=0).ravel(), atol=0.05)


def test_a_killed_training_is_whole_up_to_its_last_second(tmp_path):
    """From the outside: the process dies in the middle of `fit`, and another goes on."""
    code = """
import os, sys, threading, time
import keras
from netlapse.datasets import parabolas
from netlapse.keras import Recorder
from tests.conftest import small_model
model = small_model(keras)
threading.Timer(float(sys.argv[3]), os.kill, (os.getpid(), 9)).start()
recorder = Recorder(sys.argv[1], probe=parabolas(50), every="step", exist=sys.argv[2])
class Tell(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        print(recorder.recording.durable_frames, flush=True)
model.fit(*parabolas(50), batch_size=8, epochs=10**6, verbose=0, callbacks=[recorder, Tell()])
"""
    told, last = 0, 0
    for exist in ("error", "resume"):
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "run", exist, "6"], capture_output=True, text=True, cwd="."
        )
        assert done.returncode == -9, done.stderr
        told = int(done.stdout.split()[-1])
        run = netlapse.open(tmp_path / "run").run
        assert told > last
        assert len(run) + run.superseded >= told
        assert run.verify() == []
        assert (run.status, run.steps.tolist()) == ("interrupted", list(range(len(run))))
        last = len(run)
