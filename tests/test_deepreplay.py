"""A training recorded by the original package, deepreplay 0.1 on Keras 2.2: 20 epochs of the article's sigmoid network.

It becomes a run by `netlapse import`, whose replay must be what NumPy computes from the recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

import netlapse
from netlapse.datasets import parabolas

keras = pytest.importorskip("keras")

from netlapse.demo import INITIAL_WEIGHTS, build  # noqa: E402
from netlapse.keras import capture  # noqa: E402

NEAR = {"rtol": 1e-5, "atol": 1e-5}
BATCHES = 125  # an epoch: 2,000 examples, 16 at a time


@dataclass(frozen=True)
class Original:
    """The recording, and what NumPy computes from it in double precision. `weights` has a frame axis of 21."""

    inputs: np.ndarray
    targets: np.ndarray
    weights: dict[str, np.ndarray]
    loss: np.ndarray
    accuracy: np.ndarray
    learning_rate: np.ndarray

    def computed(self) -> SimpleNamespace:
        w = {name: values.astype(float) for name, values in self.weights.items()}
        before = self.inputs @ w["hidden/kernel"] + w["hidden/bias"][:, None]
        hidden = 1 / (1 + np.exp(-before))
        logits = hidden @ w["output/kernel"] + w["output/bias"][:, None]
        positive = self.targets == 1
        return SimpleNamespace(
            before=before,
            hidden=hidden,
            outputs=1 / (1 + np.exp(-logits)),
            losses=np.logaddexp(0, np.where(positive, -logits, logits))[..., 0],
            accuracy=((logits > 0) == positive).mean(axis=(1, 2)),
        )


@pytest.fixture(scope="module")
def original(reference) -> Original:
    h5py = pytest.importorskip("h5py")
    with h5py.File(reference / "deepreplay_part1.h5") as file:
        group = file["part1_activation_functions"]
        weights = {
            f"{layer}/{kind}": group[f"layer{number}/weights{place}"][:]
            for number, layer in enumerate(("hidden", "output"))
            for place, kind in enumerate(("kernel", "bias"))
        }
        return Original(
            group["inputs"][:], group["targets"][:], weights, group["loss"][:], group["acc"][:], group["lr"][:]
        )


@pytest.fixture(scope="module")
def replay(reference, original, tmp_path_factory) -> netlapse.Replay:
    [path] = netlapse.import_deepreplay(
        reference / "deepreplay_part1.h5", tmp_path_factory.mktemp("deepreplay") / "sigmoid"
    )
    return netlapse.open(path)


def test_it_is_the_articles_experiment(original):
    inputs, targets = parabolas()
    np.testing.assert_allclose(original.inputs, inputs, atol=1e-7)
    assert np.array_equal(original.targets[:, 0], targets.reshape(-1))
    for name, values in INITIAL_WEIGHTS.items():
        np.testing.assert_allclose(original.weights[name][0], values, rtol=1e-6, err_msg=name)
    assert original.learning_rate == pytest.approx(0.05)


def test_what_was_recorded_comes_back_to_the_bit(original, replay):
    assert replay.epochs.tolist() == list(range(21))
    assert replay.steps.tolist() == [epoch * BATCHES for epoch in range(21)]
    for name, values in original.weights.items():
        assert np.array_equal(replay.weights(name), values)
    assert np.array_equal(replay.inputs(), original.inputs)
    assert np.array_equal(replay.targets(), original.targets)
    assert np.array_equal(replay.recorded("loss")[1:], original.loss)
    assert np.array_equal(replay.recorded("accuracy")[1:], original.accuracy)
    assert np.array_equal(replay.recorded("learning_rate")[1:], original.learning_rate)
    settings = {"activation": "sigmoid", "optimizer": "SGD", "learning_rate": 0.05, "batch_size": 16, "epochs": 20}
    settings |= {"loss": "binary_crossentropy", "hidden.kernel_initializer.seed": 42}
    assert settings.items() <= replay.hyperparameters.items()
    assert replay.run.manifest.created == "2018-07-15T17:58:50+00:00"
    assert replay.run.verify() == []


def test_the_replay_is_what_numpy_computes_from_the_recording(original, replay):
    computed = original.computed()
    np.testing.assert_allclose(replay.pre_activations("hidden"), computed.before, **NEAR)
    np.testing.assert_allclose(replay.activations("hidden"), computed.hidden, **NEAR)
    np.testing.assert_allclose(replay.outputs(), computed.outputs, **NEAR)
    np.testing.assert_allclose(replay.losses(), computed.losses, **NEAR)
    assert np.array_equal(replay.metric("accuracy"), computed.accuracy.astype(np.float32))
    curves = replay.curves()
    np.testing.assert_allclose(curves.loss, computed.losses.mean(axis=1), **NEAR)
    np.testing.assert_allclose(curves.accuracy, computed.accuracy)
    np.testing.assert_allclose(replay.class_probabilities().probabilities[..., 1], computed.outputs[..., 0], **NEAR)
    np.testing.assert_allclose(replay.feature_space("hidden").points, computed.hidden, **NEAR)


def test_it_is_drawn(replay, tmp_path):
    netlapse.plot(replay, epoch=20).savefig(tmp_path / "sigmoid.png")
    netlapse.compare([replay, replay])


def test_what_deepreplay_logged_lies_between_the_replayed_epochs(original, replay):
    # It logged Keras' means over the batches of an epoch, while the weights moved: comparable, not equal.
    loss = replay.losses().mean(axis=1)
    assert (original.loss < loss[:-1]).all()
    assert (original.loss > loss[1:]).all()
    # Early on the boundary sweeps over the examples within an epoch, so that its accuracies say little of either end.
    accuracy = np.stack([replay.metric("accuracy")[:-1], replay.metric("accuracy")[1:]])[:, 7:]
    assert (original.accuracy[7:] > accuracy.min(axis=0) - 0.01).all()
    assert (original.accuracy[7:] < accuracy.max(axis=0) + 0.01).all()


def test_one_state_of_it_captured(original, replay, tmp_path):
    model = build("sigmoid")
    model.set_weights(
        [original.weights[name][20] for name in ("hidden/kernel", "hidden/bias", "output/kernel", "output/bias")]
    )
    capture(model, tmp_path / "last", (original.inputs, original.targets))
    last = netlapse.open(tmp_path / "last")
    np.testing.assert_allclose(last.outputs(0), replay.outputs(20), rtol=1e-6)
    loss, accuracy = model.evaluate(original.inputs, original.targets, verbose=0)
    assert replay.losses(20).mean() == pytest.approx(loss, abs=1e-5)
    assert replay.metric("accuracy", 20) == pytest.approx(accuracy)
