"""Steps and epochs, counted for frameworks that do not count them: every number against one worked out from scratch."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlapse.record import Description, Keep, Loop, Probe, Recording
from netlapse.store import Parameter, Run

PROBE = Probe.of(([[0.0, 1.0], [2.0, 3.0]], [0, 1]), "probe")


class Training:
    """A loop whose weights are the number of the step."""

    def __init__(self, path, every="epoch", *, steps_per_epoch=None, scalars="frame", exist="error", **begin):
        recording = Recording(path, probe=PROBE, every=every, exist=exist, keep=Keep(scalars))
        self.loop = Loop(recording, steps_per_epoch=steps_per_epoch)
        self.begin(**begin)

    def begin(self, **begin):
        self.loop.begin(self.description, self.weights, **begin)

    def description(self):
        return Description("numpy", "numpy", {}, {}, (), (Parameter("w", (), "float32", True, "l"),), {}, {})

    def weights(self):
        return {"w": np.array(self.loop.steps, np.float32)}

    def step(self, late=None, settings=None, **scalars):
        self.loop.step(self.weights, scalars, settings)
        if late is not None:
            self.loop.log(late)

    def epoch(self, **scalars):
        self.loop.epoch(self.weights, scalars)

    def end(self):
        self.loop.end(self.weights)


def read(path):
    run = Run(path)
    np.testing.assert_array_equal(run.weights("w"), run.steps)  # each frame has the weights of its own step
    assert run.verify() == []
    return run


def test_fractions_of_an_epoch_come_from_the_one_before(tmp_path):
    training = Training(tmp_path / "run", "step")
    for _ in range(2):
        for _ in range(4):
            training.step()
        training.epoch()
    training.end()
    run = read(tmp_path / "run")
    assert run.steps.tolist() == list(range(9))
    # Of the first, whose length nobody knew, only the order means something.
    np.testing.assert_allclose(run.epochs, [0, 1 / 2, 2 / 3, 3 / 4, 1, 1.25, 1.5, 1.75, 2])
    assert run.status == "complete"


def test_an_epoch_of_known_length_ends_by_itself(tmp_path):
    training = Training(tmp_path / "run", "step", steps_per_epoch=4)
    for _ in range(6):
        training.step()
    training.end()
    np.testing.assert_allclose(read(tmp_path / "run").epochs, np.arange(7) / 4)


def test_an_epoch_may_be_longer_or_shorter_than_the_last(tmp_path):
    training = Training(tmp_path / "run", "step")
    for length in (2, 4, 1):
        for _ in range(length):
            training.step()
        training.epoch()
    training.end()
    run = read(tmp_path / "run")
    assert (np.diff(run.epochs) > 0).all()
    assert run.epochs[[2, 6, 7]].tolist() == [1, 2, 3]


@settings(max_examples=60, deadline=None)
@given(
    epochs=st.lists(st.lists(st.floats(-100, 100), min_size=1, max_size=6), min_size=1, max_size=5),
    late=st.booleans(),
    told=st.booleans(),
    asked=st.sampled_from(["step", "epoch", "2 epochs", "log", "3 steps"]),
    scalars=st.sampled_from(["frame", "step"]),
)
def test_scalars_are_means_since_the_epoch_began(tmp_path_factory, epochs, late, told, asked, scalars):
    path = tmp_path_factory.mktemp("runs") / "run"
    if told:
        epochs = [losses[:1] * len(epochs[0]) for losses in epochs]
    training = Training(path, asked, steps_per_epoch=len(epochs[0]) if told else None, scalars=scalars)
    loss, val_loss, rate = {0: math.nan}, {}, {0: math.nan}
    for number, losses in enumerate(epochs, start=1):
        for place, value in enumerate(losses, start=1):
            settings = {"learning_rate": float(len(loss))}
            training.step(late={"loss": value}, settings=settings) if late else training.step(
                loss=value, settings=settings
            )
            rate[len(loss)] = float(len(loss))
            loss[len(loss)] = float(np.mean(losses[:place]))
        training.epoch(val_loss=float(number))
        val_loss[len(loss) - 1] = float(number)
    training.end()
    run = read(path)

    def wanted(steps):
        return [[series.get(int(step), math.nan) for step in steps] for series in (loss, val_loss, rate)]

    for found, series in zip(("loss", "val_loss", "learning_rate"), wanted(run.steps), strict=True):
        if not np.isnan(series).all():
            np.testing.assert_allclose(run.scalar(found), series, err_msg=found)
    ends = np.cumsum([len(losses) for losses in epochs])
    np.testing.assert_array_equal(run.epochs[np.isin(run.steps, ends)], 1 + np.flatnonzero(np.isin(ends, run.steps)))
    if scalars == "step":
        history = run.history()
        assert history["step"].tolist() == list(range(ends[-1] + 1))
        for found, series in zip(("loss", "val_loss", "learning_rate"), wanted(history["step"]), strict=True):
            np.testing.assert_allclose(history[found], series, err_msg=found)


def test_what_is_logged_twice_between_steps_is_of_the_next(tmp_path):
    """As where gradients are accumulated: two batches a step, each logged after its backward pass."""
    training = Training(tmp_path / "run", "step", scalars="step")
    batches = iter(range(1, 9))
    for _ in range(2):
        for _ in range(2):
            training.loop.log({"loss": next(batches)})
            training.step()
            training.loop.log({"loss": next(batches)})
        training.epoch()
    training.end()
    run = read(tmp_path / "run")
    # Before the first step there is nothing to be said of the weights as they were.
    np.testing.assert_array_equal(run.scalar("loss"), [np.nan, 1.5, 2.5, 5.5, 6.5])


def test_every_step_an_epoch(tmp_path):
    training = Training(tmp_path / "run", steps_per_epoch=1)
    for step in range(3):
        training.step(late={"loss": step})
    training.end()
    run = read(tmp_path / "run")
    assert run.epochs.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(run.scalar("loss"), [np.nan, 0, 1, 2])


@pytest.mark.parametrize(("steps_per_epoch", "steps"), [(None, [0, 1, 2]), (5, [0, 5, 10])])
def test_epochs_in_which_nobody_counted(tmp_path, steps_per_epoch, steps):
    training = Training(tmp_path / "run", steps_per_epoch=steps_per_epoch)
    for epoch in (1, 2):
        training.epoch(loss=epoch)
    training.end()
    run = read(tmp_path / "run")
    assert (run.steps.tolist(), run.epochs.tolist()) == (steps, [0, 1, 2])
    np.testing.assert_array_equal(run.scalar("loss"), [np.nan, 1, 2])


def test_the_last_state_has_what_is_known_of_it(tmp_path):
    training = Training(tmp_path / "run", "5 epochs")
    for epoch in (1, 2):
        for step in (1, 2):
            training.step(late={"loss": 10 * epoch + step})
        training.epoch(val_loss=epoch)
    training.end()
    run = read(tmp_path / "run")
    assert run.steps.tolist() == [0, 4]
    assert (run.scalar("loss")[1], run.scalar("val_loss")[1]) == (21.5, 2)


def test_an_epoch_that_was_cut_short(tmp_path):
    training = Training(tmp_path / "run", "step", steps_per_epoch=4)
    for _ in range(6):
        training.step(late={"loss": 1})
    training.end()
    training.begin()  # another training of the same recording
    for _ in range(4):
        training.step(late={"loss": 3})
    training.end()
    run = read(tmp_path / "run")
    assert run.epochs.tolist() == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2.25, 2.5, 2.75, 3]
    np.testing.assert_array_equal(run.scalar("loss"), [np.nan, *[1] * 6, *[3] * 4])


@pytest.mark.parametrize(
    ("initial_epoch", "steps", "epochs"),
    [
        (None, [0, 4, 8, 12, 16, 20], [0, 1, 2, 3, 4, 5]),
        (3, [0, 4, 8, 12, 16, 20], [0, 1, 2, 3, 4, 5]),
        (1, [0, 4, 8, 12], [0, 1, 2, 3]),  # epoch 2 and 3 again
        (1.5, [0, 4, 6, 8, 12], [0, 1, 1.5, 2, 3]),
        (4.5, [0, 4, 8, 12, 14, 18], [0, 1, 2, 3, 5, 6]),  # what happened between was not seen: its steps neither
    ],
)
def test_a_run_is_resumed(tmp_path, initial_epoch, steps, epochs):
    training = Training(tmp_path / "run", steps_per_epoch=4)
    for _ in range(12):
        training.step(late={"loss": 1})
    training.end()
    again = Training(tmp_path / "run", steps_per_epoch=4, exist="resume", initial_epoch=initial_epoch)
    while again.loop.epochs < epochs[-1]:
        again.step(late={"loss": 2})
    again.end()
    run = read(tmp_path / "run")
    assert (run.steps.tolist(), run.epochs.tolist()) == (steps, epochs)
    assert run.scalar("loss")[-1] == 2


def test_a_new_run_may_begin_at_a_later_epoch(tmp_path):
    training = Training(tmp_path / "run", initial_epoch=10)
    training.step()
    training.epoch()
    training.end()
    assert read(tmp_path / "run").epochs.tolist() == [10, 11]


class Waits:
    """A number on a device: reading it makes the training wait, and adding it up there costs as well."""

    read = 0

    def __init__(self, value):
        self.value = value

    def __float__(self):
        Waits.read += 1
        return float(self.value)


def test_numbers_are_read_only_when_they_are_kept(tmp_path):
    training = Training(tmp_path / "run", "5 epochs")
    for _ in range(4):
        for step in range(10):
            training.step(late={"loss": Waits(step)})
        training.epoch(val_loss=Waits(3))
    assert Waits.read == 0
    training.end()
    # The ten of the epoch that is kept, and its own.
    assert Waits.read == 11
    assert read(tmp_path / "run").scalar("loss")[-1] == 4.5


def test_whether_epochs_mean_something(tmp_path):
    training = Training(tmp_path / "a", "log")
    assert training.loop.knows_epochs
    training.step()
    assert not training.loop.knows_epochs
    training.epoch()
    assert training.loop.knows_epochs
    training.end()
    known = Training(tmp_path / "b", "log", steps_per_epoch=5)
    known.step()
    assert known.loop.knows_epochs
    known.end()


def test_an_epoch_has_steps(tmp_path):
    with pytest.raises(ValueError, match="steps_per_epoch=0: pass the number of optimiser steps"):
        Training(tmp_path / "run", steps_per_epoch=0)


def test_a_loop_after_the_recording_stopped_goes_on(tmp_path):
    training = Training(tmp_path / "run", "step")
    training.step(late={"loss": 1})
    with warnings.catch_warnings(record=True, action="always") as caught:
        training.loop.recording._fail(OSError("disk full"))
    assert "disk full" in str(caught[0].message)
    for _ in range(3):
        training.step(late={"loss": 1})
    training.epoch()
    training.end()
    assert read(tmp_path / "run").steps.tolist() == [0, 1]
