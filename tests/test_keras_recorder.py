"""Recording `fit`: every frame against what another callback saw, and the training as if nobody had looked."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import netlapse
from netlapse.datasets import parabolas
from netlapse.errors import BadProbe, RunError, Unsupported
from tests.conftest import small_model

keras = pytest.importorskip("keras")
layers = keras.layers
BACKEND = keras.backend.backend()
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="Keras on torch makes one step per execution")

from netlapse.keras import Recorder, capture  # noqa: E402

DATA = parabolas(50)  # batches of 8: seven an epoch, the last of two examples
BATCHES = 7


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    """The same networks are compiled again and again here: JAX looks them up instead."""
    if BACKEND == "jax":
        import jax

        jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("compiled")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def fit(model, *callbacks, data=DATA, epochs=3, **arguments):
    arguments = {"batch_size": 8, "verbose": 0, **arguments}
    return model.fit(*data, epochs=epochs, callbacks=list(callbacks), **arguments)


def random_model(optimizer=None):
    """A network whose training draws random numbers and moves weights that are not trained."""
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(4, activation="relu", name="hidden"),
            layers.BatchNormalization(name="normal"),
            layers.Dropout(0.4, name="drop"),
            layers.Dense(1, activation="sigmoid", name="output"),
        ]
    )
    model.compile(optimizer or keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
    return model


class Witness(keras.callbacks.Callback):
    """The weights and logs after every batch and epoch. Looking at `self.model` makes Keras write its state back."""

    def __init__(self):
        super().__init__()
        self.batches, self.epochs, self.logs, self.begin = [], [], [], None

    def _weights(self):
        return [w.copy() for w in self.model.get_weights()]

    def on_train_begin(self, logs=None):
        self.begin = self._weights()

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(self._weights())
        self.logs.append(dict(logs))

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self._weights())


def names(model):
    return ["/".join(variable.path.split("/")[-2:]) for variable in model.weights]


def assert_weights(replay, frame: int, model, wanted):
    for name, value in zip(names(model), wanted, strict=True):
        assert np.array_equal(replay.run.weights(name)[frame], value), (name, frame)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "run"


# What is kept


SCHEDULES = {
    "epoch": [0, 7, 14, 21],
    "2 epochs": [0, 14, 21],
    "5 epochs": [0, 21],
    "step": list(range(22)),
    "4 steps": [0, 4, 7, 8, 12, 14, 16, 20, 21],
    "7 steps": [0, 7, 14, 21],
    "100 steps": [0, 7, 14, 21],
}


@pytest.fixture(scope="module")
def unrecorded():
    """The weights and the history of the random model after a training that nobody recorded."""
    model = random_model()
    history = fit(model, validation_data=DATA).history
    return model.get_weights(), history


@pytest.mark.parametrize("every", SCHEDULES)
def test_recording_changes_nothing_and_keeps_what_is_due(every, unrecorded, path):
    model = random_model()
    recorder = Recorder(path, probe=DATA, every=every)
    history = fit(model, recorder, validation_data=DATA).history
    weights, wanted = unrecorded
    assert all(map(np.array_equal, model.get_weights(), weights))
    assert history == wanted
    replay = netlapse.open(path)
    steps = np.array(SCHEDULES[every])
    assert replay.steps.tolist() == steps.tolist()
    np.testing.assert_allclose(replay.epochs, steps / BATCHES, rtol=0, atol=1e-12)
    assert replay.epochs[steps % BATCHES == 0].tolist() == (steps[steps % BATCHES == 0] // BATCHES).tolist()
    assert (np.diff(replay.times) > 0).all()
    assert_weights(replay, -1, model, weights)
    ends = (steps % BATCHES == 0) & (steps > 0)
    for name, logged in history.items():
        found = replay.recorded(name)
        assert found[ends].tolist() == [logged[step // BATCHES - 1] for step in steps[ends]]
        within = np.isfinite(found[~ends])
        assert not within.any() if name.startswith("val_") else within[1:].all()


@pytest.mark.parametrize("order", ["recorder last", "recorder first", "alone"])
def test_frames_within_epochs_are_the_states_after_each_batch(order, path):
    recorder, witness = Recorder(path, probe=DATA, every="step"), Witness()
    # The witness is of the same training another time, so that it shows what a recorder sees if nobody else looks.
    fit(random_model(), witness, epochs=2)
    also = {"recorder last": [Witness(), recorder], "recorder first": [recorder, Witness()], "alone": [recorder]}
    model = random_model()
    fit(model, *also[order], epochs=2)
    replay = netlapse.open(path)
    assert len(replay.steps) == 2 * BATCHES + 1
    assert_weights(replay, 0, model, witness.begin)
    for step, (weights, logs) in enumerate(zip(witness.batches, witness.logs, strict=True), start=1):
        assert_weights(replay, step, model, weights)
        for name, value in logs.items():
            assert replay.run.scalar(name)[step] == value


OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "accumulated": lambda: keras.optimizers.SGD(0.1, gradient_accumulation_steps=3),
    "averaged": lambda: keras.optimizers.Adam(0.01, use_ema=True),
    "decayed": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1, clipnorm=1.0),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_optimizer(name, path):
    model, witness = random_model(OPTIMIZERS[name]()), Witness()
    fit(model, Recorder(path, probe=DATA, every="step"), witness, epochs=2)
    replay = netlapse.open(path)
    assert replay.steps.tolist() == list(range(15))  # batches, also where only every third moves the weights
    assert_weights(replay, 0, model, witness.begin)
    for step, weights in enumerate(witness.batches, start=1):
        assert_weights(replay, step, model, weights)
    moved = np.abs(np.diff(replay.weights("output/bias")[:, 0])) > 0
    assert moved.sum() == (4 if name == "accumulated" else 14)
    assert np.ptp(replay.recorded("learning_rate")) == 0


def test_steps_are_batches_whatever_the_model_makes_of_them(path):
    class TwoInOne(keras.Sequential):
        """Its optimiser is its own, and Keras' counts nothing."""

        def train_step(self, *arguments):
            return self.test_step(*arguments) if BACKEND == "torch" else self._still(*arguments)

        def _still(self, state, data):
            trainable, rest, optimizer, metrics = state
            logs, (trainable, rest, metrics) = self.test_step((trainable, rest, metrics), data)
            return logs, (trainable, rest, optimizer, metrics)

    model = TwoInOne([keras.Input((2,)), layers.Dense(1, activation="sigmoid")])
    model.compile(loss="binary_crossentropy")
    fit(model, Recorder(path, probe=DATA))
    assert netlapse.open(path).steps.tolist() == [0, 7, 14, 21]
    assert int(model.optimizer.iterations) == 0


@on_jax
@pytest.mark.parametrize(
    ("every", "steps"), [("step", [0, 4, 7, 11, 14]), ("3 steps", [0, 4, 7, 11, 14]), ("epoch", [0, 7, 14])]
)
def test_several_steps_in_one_execution(every, steps, path):
    model, witness = small_model(keras), Witness()
    model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy", steps_per_execution=4)
    fit(model, Recorder(path, probe=DATA, every=every), witness, epochs=2)
    replay = netlapse.open(path)
    assert replay.steps.tolist() == steps
    np.testing.assert_allclose(replay.epochs, np.array(steps) / BATCHES)
    seen = dict(zip([4, 7, 11, 14], witness.batches, strict=True))
    for frame, step in enumerate(steps[1:], start=1):
        assert_weights(replay, frame, model, seen[step])


@pytest.mark.filterwarnings("ignore:.*ran out of data", "ignore:.*shuffle=True")
def test_epochs_of_unknown_length(path):
    def batches(count):
        for start in range(count):
            yield DATA[0][start : start + 8], DATA[1][start : start + 8]

    model, recorder = small_model(keras), Recorder(path, probe=DATA, every="step")
    for count in (3, 5):
        model.fit(batches(count), epochs=1, verbose=0, callbacks=[recorder])
    replay = netlapse.open(path)
    assert replay.steps.tolist() == list(range(9))
    assert (np.diff(replay.epochs) > 0).all()
    assert replay.epochs[[0, 3, 8]].tolist() == [0, 1, 2]
    assert "batch_size" not in replay.hyperparameters


def test_a_data_set_of_python(path):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return DATA[0][index * 8 :][:8], DATA[1][index * 8 :][:8]

    fit_on = Batches()
    model, recorder = small_model(keras), Recorder(path, probe=DATA, every="2 steps")
    model.fit(fit_on, epochs=2, verbose=0, callbacks=[recorder])
    replay = netlapse.open(path)
    assert replay.steps.tolist() == [0, 2, 4, 6, 8]
    assert replay.epochs.tolist() == [0, 0.5, 1, 1.5, 2]


# Learning rates: those of the step that led to the frame


def rates(path):
    replay = netlapse.open(path)
    return replay.steps, replay.recorded("learning_rate")


@pytest.mark.parametrize("accumulate", [None, 2])
@pytest.mark.parametrize("every", ["step", "epoch"])
def test_a_learning_rate_schedule(every, accumulate, path):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 3, 0.5, staircase=True)
    used = []

    class Spy(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            used.append(float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)))

    model = small_model(keras)
    optimizer = keras.optimizers.SGD(schedule, gradient_accumulation_steps=accumulate)
    model.compile(optimizer, "binary_crossentropy")
    recorder = Recorder(path, probe=DATA, every=every)
    fit(model, recorder, Spy(), epochs=1)
    model.compile(optimizer.from_config(optimizer.get_config()), "binary_crossentropy")  # its schedule begins anew
    fit(model, recorder, Spy(), epochs=1)
    steps, found = rates(path)
    assert len(set(used)) == 3
    assert found.tolist() == [used[max(step - 1, 0)] for step in steps]
    values = netlapse.open(path).hyperparameters
    assert values["learning_rate"] == "ExponentialDecay"
    assert values["learning_rate.initial_learning_rate"] == 0.5
    assert values["learning_rate.staircase"] is True


@pytest.mark.parametrize("order", [1, -1])
def test_a_learning_rate_that_callbacks_set(order, path):
    class Warm(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.optimizer.learning_rate = 0.25 * (batch + 1)

    model = small_model(keras)
    fit(model, *[Warm(), Recorder(path, probe=DATA, every="step")][::order], epochs=2)
    steps, found = rates(path)
    assert found[1:].tolist() == [0.25 * ((step - 1) % BATCHES + 1) for step in steps[1:]]
    assert found[0] == 0.5


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("every", ["epoch", "step"])
def test_learning_rates_that_keras_logs(every, order, path):
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=1, min_delta=1e9)
    model = small_model(keras)
    callbacks = [plateau, Recorder(path, probe=DATA, every=every)][::order]
    history = fit(model, *callbacks, epochs=4, validation_split=0.4).history
    replay = netlapse.open(path)
    assert len(set(history["learning_rate"])) == 3
    assert replay.recorded("learning_rate", [1, 2, 3, 4]).tolist() == history["learning_rate"]
    assert replay.recorded("learning_rate", 0) == 0.5
    if every == "step":  # within an epoch it is that of the epoch
        assert replay.recorded("learning_rate", slice(3.01, 3.99)).tolist() == history["learning_rate"][3:] * 3


def test_a_learning_rate_scheduler(path):
    model = small_model(keras)
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    history = fit(model, Recorder(path, probe=DATA), scheduler).history
    assert rates(path)[1][1:].tolist() == history["learning_rate"]


def test_a_learning_rate_that_is_a_function(path):
    model = small_model(keras)
    model.compile(keras.optimizers.SGD(lambda: 0.125), "binary_crossentropy")
    fit(model, Recorder(path, probe=DATA, every="step"), epochs=1)
    assert set(rates(path)[1].tolist()) == {0.125}


# Other arguments and callbacks


def test_weights_of_classes_and_examples(path, tmp_path):
    model = small_model(keras)
    fit(model, Recorder(path, probe=DATA), class_weight={0: 1.0, 1: 3.0})
    replay = netlapse.open(path)
    assert replay.hyperparameters["class_weight"] == {"0": 1.0, "1": 3.0}
    # The loss that Keras logs is weighted, that of the replay is that of the examples.
    assert replay.losses(3).mean() == pytest.approx(model.evaluate(*DATA, verbose=0)[0], abs=1e-5)
    witness = Witness()
    recorder = Recorder(tmp_path / "other", probe=DATA)
    fit(model, recorder, witness, sample_weight=np.linspace(0, 1, 50))
    assert_weights(netlapse.open(tmp_path / "other"), 3, model, witness.epochs[2])


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("every", ["epoch", "4 epochs"])
def test_the_last_frame_is_the_last_state_that_was_trained(every, order, path):
    stop = keras.callbacks.EarlyStopping(monitor="loss", mode="max", patience=2, restore_best_weights=True)
    model, witness = small_model(keras), Witness()
    callbacks = [stop, Recorder(path, probe=DATA, every=every)][::order]
    fit(model, *callbacks, witness, epochs=9)
    replay = netlapse.open(path)
    assert replay.epochs[-1] == 3
    assert_weights(replay, -1, model, witness.epochs[2])
    assert not np.array_equal(model.get_weights()[0], witness.epochs[2][0])  # Keras went back to the best
    assert replay.status == "complete"


def test_best_weights_are_restored_after_the_last_epoch_too(path):
    stop = keras.callbacks.EarlyStopping(monitor="loss", mode="max", patience=99, restore_best_weights=True)
    model, witness = small_model(keras), Witness()
    fit(model, stop, Recorder(path, probe=DATA, every="4 epochs"), witness, epochs=3)
    replay = netlapse.open(path)
    assert replay.epochs.tolist() == [0, 3]
    assert_weights(replay, -1, model, witness.epochs[2])


@pytest.mark.parametrize("every", ["epoch", "step", "100 steps"])
def test_training_that_a_callback_stops_within_an_epoch(every, path):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 3

    model = small_model(keras)
    recorder = Recorder(path, probe=DATA, every=every)
    fit(model, recorder, Stop())
    fit(model, recorder, epochs=1)
    replay = netlapse.open(path)
    assert replay.epochs[-1] == 2
    assert replay.steps[-1] == 4 + BATCHES
    assert replay.steps[replay.epochs == 1].tolist() == [4]
    assert_weights(replay, -1, model, model.get_weights())


def test_checkpoints_and_predictions_beside_us(path, tmp_path):
    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch % 3 == 0:
                self.model.predict(DATA[0], verbose=0)

    model, witness = small_model(keras), Witness()
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}.weights.h5", save_weights_only=True, save_freq=BATCHES
    )
    fit(model, Look(), Recorder(path, probe=DATA, every="step"), checkpoint, witness)
    replay = netlapse.open(path)
    for step, weights in enumerate(witness.batches, start=1):
        assert_weights(replay, step, model, weights)
    for epoch in (1, 3):
        model.load_weights(tmp_path / f"{epoch}.weights.h5")
        assert_weights(replay, replay.epochs.tolist().index(epoch), model, model.get_weights())


def test_two_recorders_see_the_same(path, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    model = small_model(keras)
    fit(model, Recorder(path, probe=DATA, every="step"), Recorder(tmp_path / "other", probe=DATA))
    every, epochs = netlapse.open(path), netlapse.open(tmp_path / "other")
    assert np.array_equal(every.weights("hidden/kernel", [0, 1, 2, 3]), epochs.weights("hidden/kernel"))
    assert signal.getsignal(signal.SIGINT) is before


def test_a_recorder_that_is_not_in_a_list(path, tmp_path):
    # Keras runs such callbacks beside the training: an epoch's end is safe, a batch's is not.
    model = small_model(keras)
    model.fit(*DATA, epochs=2, verbose=0, batch_size=8, callbacks=Recorder(path, probe=DATA))
    assert netlapse.open(path).steps.tolist() == [0, 7, 14]
    recorder = Recorder(tmp_path / "other", probe=DATA, every="2 steps")
    with pytest.raises(Unsupported, match=r"every 2 steps, pass a list: callbacks=\[recorder\]"):
        model.fit(*DATA, verbose=0, callbacks=recorder)
    assert not (tmp_path / "other" / "run.json").exists()


# Several trainings


@pytest.mark.parametrize("every", ["epoch", "3 steps"])
def test_several_fits_make_one_run(every, path):
    model, recorder, witness = small_model(keras), Recorder(path, probe=DATA, every=every), Witness()
    fit(model, recorder, witness, epochs=2)
    fit(model, recorder, witness, epochs=1)
    model.compile(keras.optimizers.Adam(0.125), "binary_crossentropy")
    fit(model, recorder, witness, epochs=1)
    assert netlapse.open(path).status == "complete"
    del recorder
    again = Recorder(path, probe=DATA, every=every, exist="resume")
    fit(model, again, witness, epochs=7, initial_epoch=6)  # Keras' own count, which we were not told of before
    replay = netlapse.open(path)
    assert (np.diff(replay.steps) > 0).all()
    assert (np.diff(replay.epochs) > 0).all()
    assert (np.diff(replay.times) > 0).all()
    ends = replay.epochs % 1 == 0
    assert replay.epochs[ends].tolist() == [0, 1, 2, 3, 4, 7]
    assert replay.steps[ends].tolist() == [0, 7, 14, 21, 28, 35]
    for frame, step in enumerate(replay.steps[1:], start=1):
        assert_weights(replay, frame, model, witness.batches[step - 1])
    assert replay.recorded("learning_rate", [3, 4]).tolist() == [0.5, 0.125]


def test_fit_can_begin_at_a_later_epoch(path):
    model, recorder = small_model(keras), Recorder(path, probe=DATA, every="2 epochs")
    fit(model, recorder, initial_epoch=3, epochs=6)
    fit(model, recorder, epochs=2)  # which Keras counts from 0 again
    replay = netlapse.open(path)
    assert replay.epochs.tolist() == [3, 4, 6, 8]
    assert replay.steps.tolist() == [0, 7, 21, 35]


def test_no_epochs_at_all(path):
    model = small_model(keras)
    fit(model, Recorder(path, probe=DATA), epochs=0)
    replay = netlapse.open(path)
    assert replay.epochs.tolist() == [0]
    assert_weights(replay, 0, model, model.get_weights())


def test_a_training_that_keras_takes_up_from_a_backup(path, tmp_path):
    class Crash(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise ZeroDivisionError

    def train(model, exist, *more):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
        fit(model, Recorder(path, probe=DATA, exist=exist), backup, *more, epochs=4)

    with pytest.raises(ZeroDivisionError):
        train(small_model(keras), "error", Crash())
    gc.collect()
    assert netlapse.open(path).epochs.tolist() == [0, 1, 2]
    train(small_model(keras), "resume")
    replay = netlapse.open(path)
    assert replay.epochs.tolist() == [0, 1, 2, 3, 4]
    assert replay.steps.tolist() == [0, 7, 14, 21, 28]


def test_another_network_cannot_continue_a_run(path):
    recorder = Recorder(path, probe=DATA)
    fit(small_model(keras), recorder)
    wider = keras.Sequential([keras.Input((2,)), layers.Dense(1, activation="sigmoid", name="output")])
    wider.compile("sgd", "binary_crossentropy")
    with pytest.warns(UserWarning, match="it cannot take output/kernel"):
        fit(wider, recorder)
    with pytest.raises(RunError, match="another network"):
        fit(wider, Recorder(path, probe=DATA, exist="resume"))
    assert len(netlapse.open(path).epochs) == 4


def test_existing_runs(path):
    fit(small_model(keras), Recorder(path, probe=DATA), epochs=1)
    with pytest.raises(RunError, match='exist="replace"'):
        Recorder(path, probe=DATA)
    fit(small_model(keras), Recorder(path, probe=DATA, exist="replace"), epochs=2)
    assert netlapse.open(path).epochs.tolist() == [0, 1, 2]


# Trainings that end badly


class Raise(keras.callbacks.Callback):
    """Raises an exception, or sends Ctrl-C to this process, at one batch or epoch end."""

    def __init__(self, what, *, batch=None, epoch=1):
        super().__init__()
        self.what, self.batch, self.epoch, self.now = what, batch, epoch, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.now, batch) == (self.epoch, self.batch):
            self.go()

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch and self.batch is None:
            self.go()

    def go(self):
        if self.what is signal.SIGINT:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)  # the interpreter handles it here
        else:
            raise self.what


@pytest.mark.parametrize("every", ["epoch", "step"])
@pytest.mark.parametrize("batch", [None, 3])
def test_ctrl_c_and_on_with_the_same_recorder(every, batch, path):
    before = signal.getsignal(signal.SIGINT)
    model, recorder, witness = small_model(keras), Recorder(path, probe=DATA, every=every), Witness()
    with pytest.raises(KeyboardInterrupt):
        fit(model, recorder, witness, Raise(signal.SIGINT, batch=batch))
    assert signal.getsignal(signal.SIGINT) is before
    replay = netlapse.open(path)
    assert replay.status == "interrupted"
    done = 14 if batch is None else 11
    assert replay.steps.tolist() == (list(range(done + 1)) if every == "step" else [0, 7, 14][: 2 + (batch is None)])
    fit(model, recorder, witness, epochs=1)
    replay = netlapse.open(path)
    assert replay.status == "complete"
    assert (np.diff(replay.steps) > 0).all()
    assert (np.diff(replay.epochs) > 0).all()
    assert (replay.steps[-1], replay.epochs[-1]) == (done + 7, 3)
    for frame, step in enumerate(replay.steps[1:], start=1):
        assert_weights(replay, frame, model, witness.batches[step - 1])
    if every == "epoch" and batch is not None:  # the state in which it was taken up again
        assert replay.steps.tolist() == [0, 7, 11, 18]
        assert replay.epochs.tolist() == [0, 1, 2, 3]


def test_ctrl_c_from_outside_the_training(path):
    model = small_model(keras)
    recorder = Recorder(path, probe=DATA, every="step")
    timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        fit(model, recorder, epochs=10**6)
    replay = netlapse.open(path)
    assert replay.status == "interrupted"
    assert replay.steps.tolist() == list(range(len(replay.steps)))
    assert replay.steps[-1] > 3
    replay.run.verify()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, SystemExit])
def test_an_exception_in_a_callback(error, path):
    model, recorder = small_model(keras), Recorder(path, probe=DATA, every="step")
    with pytest.raises(error):
        fit(model, recorder, Raise(error("no more"), batch=2))
    # Nobody told the recorder, which may yet go on; all is there when it is gone.
    del recorder
    gc.collect()
    replay = netlapse.open(path)
    assert replay.status == "interrupted"
    assert replay.steps.tolist() == list(range(11))
    fit(model, Recorder(path, probe=DATA, every="step", exist="resume"), epochs=1)
    replay = netlapse.open(path)
    assert replay.steps.tolist() == list(range(18))
    np.testing.assert_allclose(replay.epochs, [*np.arange(11) / BATCHES, *(2 + np.arange(1, 8) / BATCHES)])


def test_after_an_exception_the_same_recorder_goes_on(path):
    model, recorder = small_model(keras), Recorder(path, probe=DATA)
    with pytest.raises(ZeroDivisionError):
        fit(model, recorder, Raise(ZeroDivisionError(), batch=2))
    fit(model, recorder, epochs=1)
    replay = netlapse.open(path)
    assert replay.steps.tolist() == [0, 7, 10, 17]
    assert replay.epochs.tolist() == [0, 1, 2, 3]
    assert replay.status == "complete"


KILLED = """
import sys, numpy as np
from netlapse.datasets import parabolas
from netlapse.keras import Recorder
from netlapse.keras.backend import keras
from tests.conftest import small_model

data = parabolas(50)
recorder = Recorder(sys.argv[1], probe=data, every="step")

class Tell(keras.callbacks.Callback):
    told = 0
    def on_train_batch_end(self, batch, logs=None):
        if recorder.recording.durable_frames > self.told:
            self.told = recorder.recording.durable_frames
            print(self.told, flush=True)

small_model(keras).fit(*data, batch_size=8, epochs=10**6, verbose=0, callbacks=[recorder, Tell()])
"""


def test_a_killed_process_leaves_every_frame_that_it_acknowledged(path):
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        acknowledged = [int(child.stdout.readline()) for _ in range(4)]
        assert netlapse.open(path).status == "recording"
    finally:
        child.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in child.stdout.read().splitlines()]
        child.wait()
        child.stdout.close()
    replay = netlapse.open(path)
    assert replay.status == "interrupted"
    assert len(replay.steps) >= acknowledged[-1] > acknowledged[0]
    assert replay.steps.tolist() == list(range(len(replay.steps)))
    assert replay.run.verify() == []
    assert np.isfinite(replay.losses(float(replay.epochs[-1]))).all()
    model = replay.model(float(replay.epochs[-1]))
    model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy")
    fit(model, Recorder(path, probe=DATA, every="step", exist="resume"), epochs=1)
    assert netlapse.open(path).steps.tolist() == list(range(len(replay.steps) + BATCHES))


# Models and probes that cannot be recorded


def test_a_model_that_fit_builds(path):
    model = keras.Sequential([layers.Dense(2, activation="tanh"), layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    assert not model.built
    fit(model, Recorder(path, probe=DATA), epochs=1)
    replay = netlapse.open(path)
    np.testing.assert_allclose(replay.outputs(1), model.predict(DATA[0], verbose=0), rtol=1e-5, atol=1e-5)


def test_a_model_that_cannot_be_traced(path):
    class Sub(keras.Model):
        def __init__(self):
            super().__init__()
            self.only = layers.Dense(1, activation="sigmoid")

        def build(self, shape):
            self.only.build(shape)

        def call(self, inputs):
            if float(np.asarray(keras.ops.convert_to_numpy(inputs)).sum()) > 1:
                raise AssertionError
            return self.only(inputs)

    model = Sub()
    with pytest.raises(Unsupported, match=r"begin it with keras.Input"):
        capture(model, path, DATA)
    model.build((None, 2))
    with pytest.raises(Unsupported, match=r"(?s)cannot be traced .*functional model"):
        capture(model, path, DATA)
    assert not path.exists()


def several_inputs():
    a, b = keras.Input((1,), name="a"), keras.Input((1,), name="b")
    model = keras.Model([a, b], layers.Dense(1)(layers.Concatenate()([a, b])))
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("every", ["epoch", "step"])
def test_a_probe_that_does_not_fit_is_refused_before_training(every, path):
    model = small_model(keras)
    before = model.get_weights()
    inputs, targets = DATA
    for probe, message in [
        (
            (np.zeros((50, 3)), targets),
            r"probe inputs have shape \(3,\) per example; model 'sequential.*' takes \(2,\)",
        ),
        ((inputs.reshape(50, 2, 1), targets), r"takes \(2,\)"),
        ((inputs, 2 * targets - 1), r"probe targets are -1, 1; binary cross-entropy needs labels 0 and 1"),
        ((inputs, targets + 1), "1, 2"),
    ]:
        with pytest.raises(BadProbe, match=message):
            fit(model, Recorder(path, probe=probe, every=every))
    with pytest.raises(BadProbe, match=r"validation inputs have shape \(1,\)"):
        fit(model, Recorder(path, probe=DATA, validation=(inputs[:, :1], targets), every=every))
    for probe, message in [((inputs * np.nan, targets), "NaN"), ((inputs, targets[:9]), "50 inputs but 9 targets")]:
        with pytest.raises(BadProbe, match=message):
            Recorder(path, probe=probe)
    assert all(map(np.array_equal, before, model.get_weights()))
    assert not path.exists()


# One state, without training


def test_capture_is_a_run_of_one_frame(path):
    model = small_model(keras)
    before = model.get_weights()
    capture(model, path, DATA, hyperparameters={"note": "initial"}, class_names=["low", "high"])
    replay = netlapse.open(path)
    assert (replay.epochs.tolist(), replay.steps.tolist(), replay.status) == ([0], [0], "complete")
    assert_weights(replay, 0, model, before)
    assert all(map(np.array_equal, before, model.get_weights()))
    np.testing.assert_allclose(replay.outputs(0), model.predict(DATA[0], verbose=0), rtol=1e-5, atol=1e-5)
    assert replay.hyperparameters["note"] == "initial"
    assert replay.hyperparameters["loss"] == "binary_crossentropy"
    assert replay.class_names == ("low", "high")
    assert replay.feature_space("hidden").points.shape == (1, 50, 2)
    with pytest.raises(RunError):
        capture(model, path, DATA)
    capture(model, path, DATA, exist="replace", probe_size=10)
    replay = netlapse.open(path)
    assert replay.inputs().shape == (10, 2)
    assert replay.targets().sum() == 5  # every class in its proportion


def test_a_model_that_is_not_compiled_has_no_losses(path):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, activation="sigmoid")])
    capture(model, path, DATA)
    replay = netlapse.open(path)
    np.testing.assert_allclose(replay.outputs(0), model.predict(DATA[0], verbose=0), rtol=1e-5, atol=1e-5)
    assert replay.class_probabilities().probabilities.shape == (1, 50, 2)
    assert "loss" not in replay.hyperparameters
    assert "optimizer" not in replay.hyperparameters
    for look in (replay.losses, replay.gradients, replay.sample_losses):
        with pytest.raises(Unsupported, match="without a loss"):
            look()


def test_what_cannot_be_captured(path):
    with pytest.raises(Unsupported, match=r"is not built.*model.build\(shape\)"):
        capture(keras.Sequential([layers.Dense(1)]), path, DATA)
    with pytest.raises(BadProbe, match=r"inputs are one array; model 'functional.*' takes 'a' \(1,\), 'b' \(1,\)"):
        capture(several_inputs(), path, DATA)
    model = small_model(keras)
    with pytest.raises(BadProbe, match="labels 0 and 1"):
        capture(model, path, (DATA[0], DATA[1] * 7))
    with pytest.raises(BadProbe, match=r"\(3,\) per example"):
        capture(model, path, (np.zeros((4, 3)), np.zeros(4)))
    with pytest.raises(BadProbe, match=r"first at \(2, 1\)"):
        capture(model, path, (np.where(np.arange(8).reshape(4, 2) == 5, np.nan, 0.0), np.zeros(4)))
    assert not path.exists()


def test_a_large_probe_is_sampled(path):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(5000, 2))
    targets = (rng.random(5000) < 0.1).astype(int)
    capture(small_model(keras), path, (inputs, targets))
    replay = netlapse.open(path)
    assert replay.inputs().shape == (2000, 2)
    assert replay.targets().mean() == pytest.approx(targets.mean(), abs=1e-3)
    index = replay.run.probe()["train/index"]
    assert np.array_equal(replay.inputs(), inputs[index])
    assert np.array_equal(replay.targets(), targets[index])


# Hyper-parameters


def test_hyperparameters_are_read_from_model_optimizer_and_fit(path):
    keras.utils.set_random_seed(1234)
    model = keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(3, activation="relu", kernel_initializer=keras.initializers.HeNormal(seed=3), name="one"),
            layers.Dense(1, activation="sigmoid", name="two"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), keras.losses.BinaryCrossentropy())
    recorder = Recorder(path, probe=DATA, hyperparameters={"layers": "two", "why": np.float32(0.1), "at": np.arange(2)})
    model.fit(*DATA, epochs=2, verbose=0, callbacks=[recorder])
    values = netlapse.open(path).hyperparameters
    expected = {
        "activation": "relu",
        "initializer": "he_normal",
        "units": [3, 1],
        "parameters": 13,
        "dtype": "float32",
        "one.kernel_initializer": "he_normal",
        "one.kernel_initializer.seed": 3,
        "one.bias_initializer": "zeros",
        "two.kernel_initializer": "glorot_uniform",
        "optimizer": "SGD",
        "learning_rate": 0.05,
        "optimizer.momentum": 0.9,
        "loss": "binary_crossentropy",
        "batch_size": 32,
        "epochs": 2,
        "shuffle": True,
        "seed": 1234,
        # The user's own come last.
        "layers": "two",
        "why": 0.1,
        "at": [0, 1],
    }
    assert {name: values.get(name) for name in expected} == expected
    assert not {"class_weight", "steps_per_epoch", "validation_split"} & set(values)
    json.dumps(values, allow_nan=False)
    manifest = netlapse.open(path).run.manifest
    assert (manifest.framework, manifest.backend) == ("keras", BACKEND)
    assert manifest.versions["keras"] == keras.__version__
    assert set(manifest.versions) == {"python", "keras", BACKEND, "numpy"}
    assert [(layer.name, layer.type, layer.units, layer.activation) for layer in manifest.layers] == [
        ("one", "Dense", 3, "relu"),
        ("two", "Dense", 1, "sigmoid"),
    ]
    assert [(p.name, p.shape, p.dtype, p.trainable, p.layer) for p in manifest.parameters][:2] == [
        ("one/kernel", (2, 3), "float32", True, "one"),
        ("one/bias", (3,), "float32", True, "one"),
    ]


def test_hyperparameters_of_layers_in_parts_and_of_the_user(path):
    model = random_model()
    model.get_layer("hidden").trainable = False
    model.compile("adam", "binary_crossentropy")
    recorder = Recorder(path, probe=DATA, hyperparameters={"seed": 8, "batch_size": "four", "none": None})
    model.fit(*DATA, batch_size=4, shuffle=False, validation_split=0.5, verbose=0, callbacks=[recorder])
    replay = netlapse.open(path)
    values = replay.hyperparameters
    assert (values["seed"], values["batch_size"], values["shuffle"]) == (8, "four", False)
    assert values["validation_split"] == 0.5
    assert "none" not in values
    assert values["learning_rate"] == 0.001
    assert {p.name: p.trainable for p in replay.run.manifest.parameters} == {
        "hidden/kernel": False,
        "hidden/bias": False,
        "normal/gamma": True,
        "normal/beta": True,
        "normal/moving_mean": False,
        "normal/moving_variance": False,
        "output/kernel": True,
        "output/bias": True,
    }
    assert set(replay.gradients(0)) == {"normal/gamma", "normal/beta", "output/kernel", "output/bias"}


@pytest.mark.parametrize(
    ("parts", "activation"),
    [
        ([layers.Dense(3, activation="tanh"), layers.Dense(3, activation="tanh")], "tanh"),
        ([layers.Dense(3, activation="tanh"), layers.Dense(3, activation="relu")], ["tanh", "relu"]),
        ([layers.Dense(3), layers.BatchNormalization(), layers.ReLU()], "relu"),
        ([layers.Dense(3), layers.Activation("gelu")], "gelu"),
        ([layers.Dense(3, activation=layers.LeakyReLU(0.1))], "leaky_re_lu"),
        ([layers.Dense(3, activation=keras.activations.softplus)], "softplus"),
        ([layers.Dense(3)], "linear"),
        ([], None),
    ],
)
def test_the_hidden_activation(parts, activation, path):
    model = keras.Sequential([keras.Input((2,)), *parts, layers.Dense(1, activation="sigmoid")])
    capture(model, path, DATA)
    assert netlapse.open(path).hyperparameters.get("activation") == activation
