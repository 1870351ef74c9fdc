"""Replays of Keras trainings against Keras itself and against NumPy in double precision."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import netlapse
from netlapse.datasets import parabolas
from netlapse.errors import BadProbe, MissingFrame, UnknownName, Unsupported
from netlapse.replay import values as values_module
from netlapse.replay.network import Tap
from tests.conftest import small_model

if TYPE_CHECKING:
    from collections.abc import Callable

keras = pytest.importorskip("keras")
layers = keras.layers
BACKEND = keras.backend.backend()

from netlapse.keras import Recorder, capture  # noqa: E402

EPOCHS = 3
NEAR = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    """The same networks are compiled again and again here: JAX looks them up instead."""
    if BACKEND == "jax":
        import jax

        jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("compiled")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


# What the networks should compute, in double precision.


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def relu(z):
    return np.maximum(z, 0)


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def dense(w, name, x):
    return x @ w[f"{name}/kernel"] + w[f"{name}/bias"]


def convolve(w, name, x):
    """A valid 2-D cross-correlation, channels last."""
    kernel = w[f"{name}/kernel"]
    height, width = kernel.shape[:2]
    rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
    patches = [x[:, i : i + rows, j : j + columns] @ kernel[i, j] for i in range(height) for j in range(width)]
    return sum(patches) + w[f"{name}/bias"]


def normalise(w, name, x):
    mean, variance = w[f"{name}/moving_mean"], w[f"{name}/moving_variance"]
    return w[f"{name}/gamma"] * (x - mean) / np.sqrt(variance + 1e-3) + w[f"{name}/beta"]


def binary_losses(z, y):
    z, y = z[:, 0], y.reshape(-1)
    return np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))


def sparse_losses(z, y):
    return -np.log(softmax(z)[np.arange(len(y)), y])


def squared_losses(z, y):
    return (z[:, 0] - y.reshape(-1)) ** 2


# The networks. `compute` gives pre-activation and activation of every layer.


@dataclass
class Case:
    build: Callable[[], Any]
    data: Callable[[], tuple[np.ndarray, np.ndarray]]
    compute: Callable[[dict, np.ndarray], dict]
    losses: Callable[[np.ndarray, np.ndarray], np.ndarray]
    loss: Callable[[], Any]
    metrics: tuple[str, ...]
    fit: dict


def points(count=96):
    return parabolas(count)


def digits(count=60):
    rng = np.random.default_rng(3)
    return rng.normal(size=(count, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, count)


def quantities(count=96):
    rng = np.random.default_rng(4)
    inputs = rng.normal(size=(count, 3)).astype(np.float32)
    return inputs, (inputs @ [1.0, -2.0, 0.5] + 0.1 * rng.normal(size=count)).astype(np.float32)


def build_skip():
    inputs = keras.Input((2,), name="two features")
    first = layers.Dense(6, name="Größe 1")(inputs)
    normal = layers.BatchNormalization(name="batch-norm")(first)
    bent = layers.ReLU(name="re_lu")(normal)
    dropped = layers.Dropout(0.3, name="weights")(bent)
    second = layers.Dense(6, name="2nd (of 3)", activation="tanh")(dropped)
    both = layers.Add(name="skip + on")([bent, second])
    squashed = layers.Activation("sigmoid", name="φ")(both)
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid", name="train_inputs")(squashed))
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy", metrics=["accuracy", "auc"])
    return model


def compute_skip(w, x):
    first = dense(w, "Größe 1", x)
    normal = normalise(w, "batch-norm", first)
    bent = relu(normal)
    z2 = dense(w, "2nd (of 3)", bent)
    both = bent + np.tanh(z2)
    z3 = dense(w, "train_inputs", sigmoid(both))
    return {
        "Größe 1": (first, first),
        "batch-norm": (normal, normal),
        "re_lu": (normal, bent),
        "weights": (bent, bent),
        "2nd (of 3)": (z2, np.tanh(z2)),
        "skip + on": (both, both),
        "φ": (both, sigmoid(both)),
        "train_inputs": (z3, sigmoid(z3)),
    }


def build_convolution(*, logits=False):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(3, 3, activation="relu", kernel_regularizer="l2" if logits else None, name="edges"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(10, activation=None if logits else "softmax", name="digit"),
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True) if logits else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def compute_convolution(w, x, *, logits=False):
    z = convolve(w, "edges", x)
    pooled = relu(z).reshape(len(x), 3, 2, 3, 2, 3).max(axis=(2, 4))
    flat = pooled.reshape(len(x), -1)
    out = dense(w, "digit", flat)
    return {
        "edges": (z, relu(z)),
        "pool": (pooled, pooled),
        "flat": (flat, flat),
        "digit": (out, out if logits else softmax(out)),
    }


def build_regression():
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, activation="elu", name="bent"), layers.Dense(1, name="price")]
    )
    model.compile(keras.optimizers.RMSprop(0.01), "mse", metrics=["mae"])
    return model


def compute_regression(w, x):
    z = dense(w, "bent", x)
    bent = np.where(z > 0, z, np.expm1(np.minimum(z, 0)))
    out = dense(w, "price", bent)
    return {"bent": (z, bent), "price": (out, out)}


def compute_small(w, x, activation=np.tanh):
    z = dense(w, "hidden", x)
    out = dense(w, "output", activation(z))
    return {"hidden": (z, activation(z)), "output": (out, sigmoid(out))}


CASES = {
    "2-2-1": Case(
        lambda: small_model(keras),
        points,
        compute_small,
        binary_losses,
        keras.losses.BinaryCrossentropy,
        ("accuracy",),
        {},
    ),
    "skip": Case(
        build_skip,
        points,
        compute_skip,
        binary_losses,
        keras.losses.BinaryCrossentropy,
        ("accuracy", "auc"),
        {"validation_split": 0.25},
    ),
    "convolution": Case(
        build_convolution,
        digits,
        compute_convolution,
        sparse_losses,
        keras.losses.SparseCategoricalCrossentropy,
        ("accuracy",),
        {},
    ),
    "logits, regularised": Case(
        lambda: build_convolution(logits=True),
        digits,
        lambda w, x: compute_convolution(w, x, logits=True),
        sparse_losses,
        lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        ("accuracy",),
        {},
    ),
    "regression": Case(
        build_regression, quantities, compute_regression, squared_losses, keras.losses.MeanSquaredError, ("mae",), {}
    ),
}


class Witness(keras.callbacks.Callback):
    """What Keras itself says at every epoch of the same `fit`."""

    def __init__(self, inputs, targets):
        super().__init__()
        self.data = (inputs, targets)
        self.weights, self.predictions, self.evaluations = [], [], []

    def look(self):
        inputs, targets = self.data
        self.weights.append([w.copy() for w in self.model.get_weights()])
        self.predictions.append(self.model.predict(inputs, verbose=0))
        self.evaluations.append(self.model.evaluate(inputs, targets, verbose=0, return_dict=True))

    def on_train_begin(self, logs=None):
        self.look()

    def on_epoch_end(self, epoch, logs=None):
        self.look()


@dataclass
class Recorded:
    case: Case
    model: Any
    witness: Witness
    replay: netlapse.Replay
    history: dict

    def weights(self, frame: int) -> dict:
        """The witness' weights of one frame, by name, in double precision."""
        paths = [variable.path for variable in self.model.weights]
        return {
            "/".join(path.split("/")[-2:]): w.astype(float)
            for path, w in zip(paths, self.witness.weights[frame], strict=True)
        }

    def computed(self, frame: int) -> dict:
        return self.case.compute(self.weights(frame), self.witness.data[0].astype(float))


@pytest.fixture(scope="module", params=list(CASES))
def recorded(request, tmp_path_factory) -> Recorded:
    case = CASES[request.param]
    inputs, targets = case.data()
    keras.utils.set_random_seed(11)
    model = case.build()
    witness = Witness(inputs, targets)
    path = tmp_path_factory.mktemp("runs") / "run"
    recorder = Recorder(path, probe=(inputs, targets))
    history = model.fit(
        inputs, targets, epochs=EPOCHS, batch_size=16, verbose=0, callbacks=[recorder, witness], **case.fit
    )
    return Recorded(case, model, witness, netlapse.open(path), history.history)


def test_frames_are_before_training_and_after_each_epoch(recorded):
    replay, (inputs, _) = recorded.replay, recorded.witness.data
    examples = len(inputs) * (1 - recorded.case.fit.get("validation_split", 0))
    batches = -(-int(examples) // 16)
    assert replay.epochs.tolist() == list(range(EPOCHS + 1))
    assert replay.steps.tolist() == [batches * epoch for epoch in range(EPOCHS + 1)]
    assert (np.diff(replay.times) > 0).all()
    assert replay.status == "complete"


def test_weights_are_those_of_keras_to_the_bit(recorded):
    paths = ["/".join(variable.path.split("/")[-2:]) for variable in recorded.model.weights]
    assert set(recorded.replay.parameters) == set(paths)
    for place, name in enumerate(paths):
        found = recorded.replay.weights(name)
        wanted = np.stack([weights[place] for weights in recorded.witness.weights])
        assert found.dtype == wanted.dtype
        assert np.array_equal(found, wanted)
        assert not np.array_equal(found[0], found[-1])  # or this would show nothing


def test_outputs_are_what_keras_predicts(recorded):
    found = recorded.replay.outputs()
    np.testing.assert_allclose(found, np.stack(recorded.witness.predictions), **NEAR)
    for frame in range(EPOCHS + 1):
        (_, wanted) = list(recorded.computed(frame).values())[-1]
        np.testing.assert_allclose(found[frame], wanted, **NEAR)


def test_activations_of_every_layer_are_those_of_keras(recorded):
    model, replay = recorded.model, recorded.replay
    names = [layer.name for layer in replay.layers]
    every = keras.Model(model.inputs[0], [model.get_layer(name).output for name in names])
    final = model.get_weights()
    try:
        for frame, weights in enumerate(recorded.witness.weights):
            model.set_weights(weights)
            for name, wanted in zip(names, every.predict(recorded.witness.data[0], verbose=0), strict=True):
                np.testing.assert_allclose(replay.activations(name, frame), wanted, **NEAR, err_msg=name)
    finally:
        model.set_weights(final)


def test_activations_and_pre_activations_are_what_numpy_computes(recorded):
    for frame in range(EPOCHS + 1):
        computed = recorded.computed(frame)
        assert list(computed) == [layer.name for layer in recorded.replay.layers]
        for name, (before, after) in computed.items():
            np.testing.assert_allclose(recorded.replay.pre_activations(name, frame), before, **NEAR, err_msg=name)
            np.testing.assert_allclose(recorded.replay.activations(name, frame), after, **NEAR, err_msg=name)


def test_losses_are_what_numpy_computes_and_keras_evaluates(recorded):
    targets = recorded.witness.data[1]
    found = recorded.replay.losses()
    for frame in range(EPOCHS + 1):
        (before, _) = list(recorded.computed(frame).values())[-1]
        np.testing.assert_allclose(found[frame], recorded.case.losses(before, targets), **NEAR)
        # Keras evaluates the loss with regularisation, which belongs to no example.
        penalty = 0.01 * (recorded.weights(frame)["edges/kernel"] ** 2).sum() if recorded.model.losses else 0
        np.testing.assert_allclose(found[frame].mean() + penalty, recorded.witness.evaluations[frame]["loss"], **NEAR)


def test_metrics_are_what_keras_evaluates(recorded):
    for name in recorded.case.metrics:
        wanted = [evaluation[name] for evaluation in recorded.witness.evaluations]
        np.testing.assert_allclose(recorded.replay.metric(name), wanted, **NEAR)
        np.testing.assert_allclose(recorded.replay.metric(name, 1), wanted[1], **NEAR)


def test_what_keras_logged_is_recorded(recorded):
    assert set(recorded.history) | {"learning_rate"} == set(recorded.replay.run.scalars)
    for name, logged in recorded.history.items():
        found = recorded.replay.recorded(name)
        assert np.isnan(found[0])
        assert found[1:].tolist() == logged


def test_the_model_of_an_epoch_predicts_and_evaluates_as_then(recorded):
    inputs, targets = recorded.witness.data
    for epoch in (0, EPOCHS):
        model = recorded.replay.model(epoch)
        np.testing.assert_allclose(model.predict(inputs, verbose=0), recorded.witness.predictions[epoch], **NEAR)
        found = model.evaluate(inputs, targets, verbose=0, return_dict=True)
        assert found == pytest.approx(recorded.witness.evaluations[epoch], rel=1e-5, abs=1e-5)
    assert recorded.replay.outputs(EPOCHS) is not None  # and the replay is none the worse for it


@pytest.mark.parametrize("recorded", ["skip"], indirect=True)
def test_frames_at_once_are_as_frames_one_by_one(recorded):
    replay = recorded.replay
    last = replay.layers[-2].name
    for values in (replay.outputs, replay.losses, lambda epoch=None: replay.pre_activations(last, epoch)):
        one_by_one = np.stack([values(epoch) for epoch in replay.epochs])
        np.testing.assert_allclose(values(), one_by_one, rtol=1e-6, atol=1e-6)
    together = replay.gradients()
    for frame, epoch in enumerate(replay.epochs):
        for name, gradient in replay.gradients(epoch).items():
            np.testing.assert_allclose(gradient, together[name][frame], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("recorded", ["skip"], indirect=True)
def test_blocks_change_nothing(recorded, monkeypatch):
    replay, layer = recorded.replay, recorded.replay.layers[0].name
    metric = recorded.case.metrics[:1]

    def everything():
        values = [replay.outputs(), replay.losses(), replay.activations(layer), *map(replay.metric, metric)]
        return [*values, *replay.gradients().values()]

    whole = everything()
    for size in ("bytes", "examples"):
        with monkeypatch.context() as patch:
            if size == "bytes":
                patch.setattr(values_module, "BLOCK_BYTES", 4 * 7 * replay._values_per_example)
                assert replay._examples_at_once == 7
                assert replay._frames_at_once(10**6) == 1
            else:
                patch.setattr(values_module, "BLOCK_EXAMPLES", 17)
            for found, wanted in zip(everything(), whole, strict=True):
                np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def autodiff(model, loss, inputs, targets):
    """Gradients of the mean loss as the backend itself finds them, in the order of `trainable_variables`."""
    if BACKEND == "jax":
        import jax

        def mean_loss(trainable):
            rest = [variable.value for variable in model.non_trainable_variables]
            outputs, _ = model.stateless_call(trainable, rest, inputs, training=False)
            return loss(targets, outputs)

        return jax.jit(jax.grad(mean_loss))([variable.value for variable in model.trainable_variables])
    for variable in model.trainable_variables:
        variable.value.grad = None
    loss(targets, model(inputs, training=False)).backward()
    return [variable.value.grad.cpu().numpy() for variable in model.trainable_variables]


def test_gradients_are_those_of_the_backends_own_autodiff(recorded):
    inputs, targets = recorded.witness.data
    model = recorded.replay.model(2)
    found = recorded.replay.gradients(2)
    wanted = autodiff(model, recorded.case.loss(), inputs, targets)
    paths = ["/".join(variable.path.split("/")[-2:]) for variable in model.trainable_variables]
    assert set(found) == set(paths)
    for name, gradient in zip(paths, wanted, strict=True):
        np.testing.assert_allclose(found[name], gradient, rtol=1e-4, atol=1e-6, err_msg=name)
        assert np.abs(found[name]).max() > 0 or name.endswith("Größe 1/bias")


@pytest.mark.parametrize(("activation", "function"), [("sigmoid", sigmoid), ("tanh", np.tanh)])
def test_gradients_are_central_differences_of_numpy(activation, function, tmp_path):
    inputs, targets = parabolas(40)
    model = small_model(keras, activation)
    capture(model, tmp_path / "run", (inputs, targets))
    replay = netlapse.open(tmp_path / "run")
    weights = {name: replay.weights(name, 0).astype(float) for name in replay.parameters}

    def mean_loss():
        (z, _) = compute_small(weights, inputs.astype(float), function)["output"]
        return binary_losses(z, targets).mean()

    for name, found in replay.gradients(0).items():
        wanted = np.empty_like(weights[name])
        for place in np.ndindex(wanted.shape):
            kept = weights[name][place]
            ends = []
            for weights[name][place] in (kept + 1e-5, kept - 1e-5):
                ends.append(mean_loss())
            weights[name][place] = kept
            wanted[place] = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6, err_msg=name)


# Which frames


@pytest.fixture(scope="module")
def replay(small_run) -> netlapse.Replay:
    return netlapse.open(small_run)


def test_one_epoch_has_no_frame_axis(replay):
    whole = replay.outputs()
    assert whole.shape == (7, 200, 1)
    for epoch in (3, 3.0, np.float32(3), np.int64(3), np.array(3)):
        assert np.array_equal(replay.outputs(epoch), whole[3])
        assert replay.recorded("loss", epoch) == replay.recorded("loss")[3]
    assert replay.losses(3).shape == (200,)
    assert replay.gradients(3)["hidden/kernel"].shape == (2, 2)
    assert replay.weights("hidden/kernel", 3).shape == (2, 2)
    assert np.ndim(replay.metric("accuracy", 3)) == 0


@pytest.mark.parametrize(
    ("epochs", "frames"),
    [
        (None, range(7)),
        (slice(2, 4), (2, 3, 4)),
        (slice(None, 2), (0, 1, 2)),
        (slice(4.5, None), (5, 6)),
        (slice(0, 6, 3), (0, 3, 6)),
        ([3], (3,)),
        ([5, 1, 5, 0], (5, 1, 5, 0)),
        ((6, 6), (6, 6)),
        (np.array([4, 2]), (4, 2)),
    ],
)
def test_epochs_are_slices_with_both_ends_or_lists_in_their_order(replay, epochs, frames):
    frames = list(frames)
    for values in (replay.outputs, replay.losses, lambda epoch: replay.weights("hidden/bias", epoch)):
        np.testing.assert_allclose(values(epochs), values(None)[frames], rtol=1e-6, atol=1e-6)
    assert replay.recorded("learning_rate", epochs).shape == (len(frames),)
    found = replay.gradients(epochs)["hidden/bias"]
    np.testing.assert_allclose(found, replay.gradients()["hidden/bias"][frames], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("epochs", "message"),
    [
        (2.5, r"no frame at epoch 2\.5; nearest are 2 and 3 \(it has 7 frames, epochs 0 to 6\)"),
        (-1, r"nearest is 0 "),
        (40, r"nearest is 6 "),
        ([1, 7], r"no frame at epoch 7"),
        (slice(2.2, 2.8), r"no frame in epochs 2\.2 to 2\.8"),
        (slice(9, None), r"no frame in epochs 9 to inf"),
        ([], r"no epochs are asked for"),
    ],
)
def test_missing_frames_name_the_nearest(replay, epochs, message):
    for look in (replay.outputs, replay.losses, replay.curves, lambda epoch: replay.weights("hidden/bias", epoch)):
        with pytest.raises(MissingFrame, match=message):
            look(epochs)


def test_the_nearest_epoch(replay):
    assert replay.nearest(2.4) == 2
    assert replay.nearest(2.5) == 2
    assert replay.nearest(99) == 6


def test_unknown_names_list_those_there_are(replay):
    with pytest.raises(UnknownName, match=r"no layer 'hiden'; it has hidden, output"):
        replay.activations("hiden")
    with pytest.raises(UnknownName, match=r"no layer"):
        replay.pre_activations("hiden")
    with pytest.raises(UnknownName, match=r"hidden/kernel, hidden/bias"):
        replay.weights("kernel")
    with pytest.raises(UnknownName, match=r"accuracy, learning_rate, loss"):
        replay.recorded("f1")
    with pytest.raises(UnknownName, match=r"no metric 'f-one'"):
        replay.metric("f-one")


# Which examples


def test_any_inputs_can_be_looked_at(replay):
    model = replay.model(6)
    rng = np.random.default_rng(0)
    for inputs in (
        rng.normal(size=(9, 2)),
        rng.normal(size=(9, 2)).tolist(),
        rng.integers(-2, 3, (9, 2)),
        np.broadcast_to(np.float32([0.5, -0.5]), (9, 2)),
        rng.normal(size=(9, 2))[::-1],
        rng.integers(0, 2, (9, 2)).astype(bool),
        rng.normal(size=(2, 9)).astype(np.float16).T,
    ):
        wanted = model.predict(np.array(inputs, np.float32), verbose=0)
        np.testing.assert_allclose(replay.outputs(6, inputs), wanted, **NEAR)


def test_with_any_targets(replay):
    inputs, targets = np.random.default_rng(0).normal(size=(9, 2)), np.arange(9) % 2
    wanted = replay.model(6).evaluate(inputs, targets, verbose=0, return_dict=True)
    bias = replay.gradients(6, inputs, targets)["output/bias"]
    for shaped in (targets, targets[:, None], targets.astype(float), targets.astype(bool), targets.tolist()):
        assert replay.losses(6, inputs, shaped).mean() == pytest.approx(wanted["loss"], abs=1e-5)
        assert replay.metric("accuracy", 6, inputs, shaped) == pytest.approx(wanted["accuracy"])
        np.testing.assert_allclose(replay.gradients(6, inputs, shaped)["output/bias"], bias, **NEAR)


@pytest.mark.parametrize("inputs", [np.zeros((4, 3)), np.zeros(4), np.zeros((4, 2, 1)), 1.0, np.zeros((0, 2))])
def test_inputs_of_another_shape_are_refused(replay, inputs):
    for look in (replay.outputs, lambda epoch, inputs: replay.losses(epoch, inputs, np.zeros(4))):
        with pytest.raises(BadProbe, match=r"inputs"):
            look(0, inputs)


def test_targets_that_do_not_fit_are_refused(replay):
    inputs = np.zeros((4, 2))
    for look in (replay.losses, replay.gradients, lambda *given: replay.metric("accuracy", *given)):
        with pytest.raises(BadProbe, match="4 inputs but 3 targets"):
            look(0, inputs, np.zeros(3))
        with pytest.raises(BadProbe, match=r"targets have shape \(4, 2\)"):
            look(0, inputs, np.zeros((4, 2)))
        with pytest.raises(BadProbe, match="both inputs and targets"):
            look(0, inputs)


def test_the_validation_probe(tmp_path):
    inputs, targets = parabolas(60)
    model = small_model(keras)
    recorder = Recorder(tmp_path / "run", probe=(inputs[:40], targets[:40]), validation=(inputs[40:], targets[40:]))
    model.fit(inputs[:40], targets[:40], verbose=0, callbacks=[recorder])
    replay = netlapse.open(tmp_path / "run")
    assert np.array_equal(replay.inputs("validation"), inputs[40:])
    assert np.array_equal(replay.targets("validation"), targets[40:])
    found = replay.losses(1, replay.inputs("validation"), replay.targets("validation"))
    assert found.mean() == pytest.approx(model.evaluate(inputs[40:], targets[40:], verbose=0)[0], abs=1e-5)


def test_without_validation_probe_it_says_so(replay):
    with pytest.raises(BadProbe, match="validation="):
        replay.inputs("validation")


# What Keras cannot rebuild by itself


def halved_squares(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1) / 2


def record(model, path, data, **fit):
    model.fit(*data, verbose=0, callbacks=[Recorder(path, probe=data)], **fit)
    return netlapse.open(path)


def test_a_loss_of_the_users_own_needs_the_model(tmp_path):
    data = quantities(30)
    model = build_regression()
    model.compile("sgd", halved_squares, metrics=["mae"])
    replay = record(model, tmp_path / "run", data)
    assert replay.hyperparameters["loss"] == "halved_squares"
    # The architecture is Keras' own: only what needs the loss asks for it.
    np.testing.assert_allclose(replay.outputs(1), model.predict(data[0], verbose=0), **NEAR)
    for look in (replay.losses, replay.gradients):
        with pytest.raises(Unsupported, match=r"netlapse\.open\(path, model="):
            look()
    replay = netlapse.open(tmp_path / "run", model=model)
    wanted = squared_losses(model.predict(data[0], verbose=0), data[1]) / 2
    np.testing.assert_allclose(replay.losses(1), wanted, **NEAR)
    assert replay.model(1).evaluate(*data, verbose=0) == pytest.approx(wanted.mean(), rel=1e-4)


def test_a_metric_of_the_users_own_leaves_the_loss(tmp_path):
    data = quantities(30)
    model = build_regression()
    model.compile("sgd", "mse", metrics=[halved_squares])
    replay = record(model, tmp_path / "run", data)
    np.testing.assert_allclose(replay.losses(1), squared_losses(model.predict(data[0], verbose=0), data[1]), **NEAR)
    assert replay.recorded("halved_squares", 1) > 0


def test_a_loss_for_the_whole_batch_cannot_be_replayed(tmp_path):
    data = quantities(30)
    model = build_regression()
    model.compile("sgd", lambda y_true, y_pred: keras.ops.mean(keras.ops.square(y_true - y_pred[:, 0])))
    record(model, tmp_path / "run", data)
    with pytest.raises(Unsupported, match="one number for a whole batch"):
        netlapse.open(tmp_path / "run", model=model).losses()


class Scale(layers.Layer):
    """A layer that Keras does not know."""

    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, shape):
        self.factor = self.add_weight(
            name="factor", shape=(shape[-1],), initializer=keras.initializers.Constant(self.start)
        )

    def call(self, inputs):
        return inputs * self.factor


class Opaque(Scale):
    """A layer that cannot describe itself either."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function


def build_scaled(scale):
    inputs = keras.Input((2,))
    outputs = layers.Dense(1, activation="sigmoid")(scale(layers.Dense(3, activation="tanh")(inputs)))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy")
    return model


def test_a_layer_of_the_users_own_needs_the_model(tmp_path):
    data = parabolas(30)
    model = build_scaled(Scale(2.0))
    replay = record(model, tmp_path / "run", data)
    assert replay.weights(f"{replay.layers[1].name}/factor").shape[1:] == (3,)
    with pytest.raises(Unsupported, match=r"cannot rebuild by itself .*Scale.*netlapse\.open\(path, model="):
        replay.outputs()
    before = [w.copy() for w in model.get_weights()]
    # Another model by the same code has other names for its layers, and its weights do not matter.
    for mine in (model, build_scaled(Scale(5.0))):
        replay = netlapse.open(tmp_path / "run", model=mine)
        np.testing.assert_allclose(replay.outputs(1), model.predict(data[0], verbose=0), **NEAR)
        np.testing.assert_allclose(replay.losses(1).mean(), model.evaluate(*data, verbose=0), **NEAR)
        hidden, scaled = (replay.activations(layer.name, 1) for layer in replay.layers[:2])
        factor = replay.weights(f"{replay.layers[1].name}/factor", 1)
        np.testing.assert_allclose(scaled, hidden * factor, **NEAR)
        np.testing.assert_allclose(replay.model(1).predict(data[0], verbose=0), replay.outputs(1), **NEAR)
    assert all(map(np.array_equal, before, model.get_weights()))
    assert model.predict(data[0], verbose=0).shape == (30, 1)  # the user's model still works


def test_a_layer_without_config_is_recorded_all_the_same(tmp_path):
    data = parabolas(30)
    model = build_scaled(Opaque(np.sin))
    replay = record(model, tmp_path / "run", data)
    assert replay.weights(replay.parameters[0]).shape == (2, 2, 3)
    with pytest.raises(Unsupported, match=r"get_config.*model=your_model"):
        replay.outputs()
    with pytest.raises(Unsupported, match="get_config"):
        netlapse.open(tmp_path / "run", model=model).outputs()


def test_lambdas_of_a_run_are_not_run_but_those_of_your_model_are(tmp_path):
    data = parabolas(30)
    model = build_scaled(layers.Lambda(lambda values: values * 3, output_shape=(3,)))
    replay = record(model, tmp_path / "run", data)
    with pytest.raises(Unsupported, match="pass it"):
        replay.outputs()
    replay = netlapse.open(tmp_path / "run", model=model)
    np.testing.assert_allclose(replay.outputs(1), model.predict(data[0], verbose=0), **NEAR)


def test_another_model_is_refused(replay, small_run):
    with pytest.raises(Unsupported, match=r"another model: its weights are hidden/kernel \(2, 2\)"):
        netlapse.open(small_run, model=build_regression()).outputs()
    with pytest.raises(Unsupported, match="is not built"):
        netlapse.open(small_run, model=keras.Sequential([layers.Dense(1)])).outputs()


# Unusual networks


def run_of(model, path, data):
    capture(model, path, data)
    return netlapse.open(path)


def test_layers_that_are_applied_twice(tmp_path):
    inputs = keras.Input((2,))
    shared = layers.Dense(2, activation="tanh", name="shared")
    outputs = layers.Dense(1, activation="sigmoid", name="output")(shared(shared(inputs)))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "binary_crossentropy")
    data = parabolas(20)
    replay = run_of(model, tmp_path / "run", data)
    np.testing.assert_allclose(replay.outputs(0), model.predict(data[0], verbose=0), **NEAR)
    assert replay.gradients(0)["shared/kernel"].shape == (2, 2)
    assert [layer.name for layer in replay.layers] == ["shared@1", "shared@2", "output"]
    assert replay.feature_space("shared@1", 0).points.shape == replay.feature_space("shared@2", 0).points.shape
    with pytest.raises(UnknownName, match="it has shared@1, shared@2, output"):
        replay.activations("shared", 0)


def test_models_within_models(tmp_path):
    inner = keras.Sequential([keras.Input((2,)), layers.Dense(3, activation="relu", name="dense")], name="inner")
    inputs = keras.Input((2,))
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid", name="dense")(inner(inputs)))
    model.compile("sgd", "binary_crossentropy")
    data = parabolas(20)
    replay = run_of(model, tmp_path / "run", data)
    assert set(replay.parameters) == {"inner/dense/kernel", "inner/dense/bias", "dense/kernel", "dense/bias"}
    np.testing.assert_allclose(replay.outputs(0), model.predict(data[0], verbose=0), **NEAR)
    np.testing.assert_allclose(replay.activations("inner", 0), inner.predict(data[0], verbose=0), **NEAR)


def test_recurrent_networks(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(9, 4, name="embed"),
            layers.LSTM(3, name="memory"),
            layers.Dense(4, activation="softmax", name="next"),
        ]
    )
    model.compile("sgd", "crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    data = rng.integers(0, 9, (12, 5)), np.eye(4, dtype="float32")[rng.integers(0, 4, 12)]
    replay = run_of(model, tmp_path / "run", data)
    np.testing.assert_allclose(replay.outputs(0), model.predict(data[0], verbose=0), **NEAR)
    loss, accuracy = model.evaluate(*data, verbose=0)
    assert replay.losses(0).mean() == pytest.approx(loss, abs=1e-5)
    assert replay.metric("accuracy", 0) == pytest.approx(accuracy)
    assert replay.activations("memory", 0).shape == (12, 3)
    longer = rng.integers(0, 9, (3, 8))
    np.testing.assert_allclose(replay.outputs(0, longer), model.predict(longer, verbose=0), **NEAR)


def test_the_rest_of_the_network_from_a_layer_on(recorded):
    network, replay = recorded.replay._network, recorded.replay
    weights = {name: replay.weights(name) for name in replay.parameters}
    every = [layer.name for layer in replay.layers]
    for start in every:
        if start in ("weights", "2nd (of 3)"):
            with pytest.raises(Unsupported, match="go round"):
                network.forward(weights, replay.activations(start, 1), [Tap(every[-1])], start)
            continue
        values = replay.activations(start, 1)
        [found] = network.forward(weights, values, [Tap(every[-1])], start)
        np.testing.assert_allclose(found[1], replay.outputs(1), **NEAR)
        # What is given decides, not the run's inputs.
        [other] = network.forward(weights, values[::-1], [Tap(every[-1])], start)
        np.testing.assert_allclose(other[1], replay.outputs(1)[::-1], **NEAR)


def test_many_ways_through_a_network_take_no_time(tmp_path):
    inputs = keras.Input((2,))
    values = layers.Dense(2, name="first")(inputs)
    for _ in range(40):  # a trillion paths
        values = values + layers.Dense(2, activation="tanh")(values)
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(values))
    model.compile("sgd", "binary_crossentropy")
    replay = run_of(model, tmp_path / "run", parabolas(20))
    replay._network._require_bottleneck("first")
    assert replay._network.head(*replay.output_names).link == "sigmoid"


def test_an_operation_at_the_end(tmp_path):
    inputs = keras.Input((2,))
    model = keras.Model(inputs, layers.Dense(2, name="a")(inputs) * 2.0)
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    data = rng.normal(size=(8, 2)).astype("float32"), rng.normal(size=(8, 2)).astype("float32")
    replay = run_of(model, tmp_path / "run", data)
    np.testing.assert_allclose(replay.outputs(0), model.predict(data[0], verbose=0), **NEAR)
    assert replay.losses(0).mean() == pytest.approx(model.evaluate(*data, verbose=0), rel=1e-5)


@pytest.mark.parametrize("loss", ["mse", ["mse"], keras.losses.MeanSquaredError(), keras.losses.mean_squared_error])
def test_a_loss_can_be_given_in_many_ways(loss, tmp_path):
    model = build_regression()
    data = quantities(20)
    model.compile("sgd", loss)
    replay = run_of(model, tmp_path / "run", data)
    assert replay.losses(0).mean() == pytest.approx(model.evaluate(*data, verbose=0, return_dict=True)["loss"])
    assert replay.hyperparameters["loss"] == "mean_squared_error"


def test_logits_of_two_classes(tmp_path):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2, activation="tanh"), layers.Dense(1)])
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    data = parabolas(20)
    replay = run_of(model, tmp_path / "run", data)
    logits = model.predict(data[0], verbose=0)
    np.testing.assert_allclose(replay.losses(0), binary_losses(logits, data[1]), **NEAR)
    np.testing.assert_allclose(replay.class_probabilities().probabilities[..., 1], sigmoid(logits.T), **NEAR)
    assert replay.curves().accuracy == pytest.approx(((logits[:, 0] > 0) == data[1]).mean())


@pytest.mark.parametrize("labels", ["one-hot", "sparse", "column"])
def test_accuracy_and_crossentropy_are_what_keras_takes_them_for(labels, tmp_path):
    model = build_convolution()
    model.compile("sgd", "crossentropy", metrics=["accuracy"])
    inputs, targets = digits(30)
    targets = {"one-hot": np.eye(10)[targets], "sparse": targets, "column": targets[:, None]}[labels]
    replay = run_of(model, tmp_path / "run", (inputs, targets))
    loss, accuracy = model.evaluate(inputs, targets, verbose=0)
    assert replay.losses(0).mean() == pytest.approx(loss, rel=1e-5)
    assert replay.metric("accuracy", 0) == pytest.approx(accuracy)


# Precision


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "mixed_float16"])
def test_half_precision(policy, tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = small_model(keras)
    finally:
        keras.config.set_dtype_policy(before)
    data = parabolas(64)
    witness = Witness(*data)
    model.fit(
        *data, batch_size=16, verbose=0, callbacks=[Recorder(tmp_path / "run", probe=data, every="step"), witness]
    )
    replay = netlapse.open(tmp_path / "run")
    assert replay.hyperparameters["dtype"] == policy
    assert replay.hyperparameters["optimizer"] == "SGD"
    assert replay.hyperparameters["learning_rate"] == 0.5
    assert replay.recorded("learning_rate").tolist() == [0.5] * 5
    stored = {"float16": np.float16}.get(policy, np.float32)
    for place, name in enumerate(replay.parameters):
        found = replay.weights(name, [0, 1])
        assert found.dtype == stored
        assert np.array_equal(found, np.stack([np.asarray(w[place], stored) for w in witness.weights]))
    outputs = replay.outputs([0, 1])
    assert outputs.dtype == np.float32
    # Both round to 8 or 11 bits, and not at the same places.
    close = {"atol": 0.02} if policy == "bfloat16" else {"atol": 0.003}
    np.testing.assert_allclose(outputs, np.stack(witness.predictions).astype(np.float32), **close)
    losses = replay.losses([0, 1])
    wanted = [evaluation["loss"] for evaluation in witness.evaluations]
    np.testing.assert_allclose(losses.mean(axis=1), wanted, atol=0.02)
    # Losses are computed in single precision from outputs that are not.
    right = np.where(data[1] == 1, outputs[..., 0], 1 - outputs[..., 0].astype(float))
    np.testing.assert_allclose(losses, -np.log(right), rtol=1e-4)
    assert all(np.isfinite(gradient).all() for gradient in replay.gradients([0, 1]).values())
    assert replay.curves().accuracy.shape == (5,)


# Trainings that go wrong


def test_weights_that_are_no_numbers_any_more(tmp_path):
    model = build_regression()
    data = quantities(64)
    model.compile(keras.optimizers.SGD(1e18), "mse")
    replay = record(model, tmp_path / "run", data, epochs=4)
    names = [variable.path.split("/", 1)[-1] for variable in model.weights]
    for name, wanted in zip(names, model.get_weights(), strict=True):
        assert np.array_equal(replay.weights(name, 4), wanted, equal_nan=True)
    assert np.isnan(replay.weights("price/kernel", 4)).all()
    assert np.isfinite(replay.outputs(0)).all()
    assert np.isnan(replay.outputs(4)).all()
    assert np.isnan(replay.losses(4)).all()
    assert np.isnan(replay.gradients(4)["price/kernel"]).all()
    assert np.isnan(replay.recorded("loss", 4))


def diverge(broken: str, path) -> netlapse.Replay:
    model = small_model(keras, "relu")
    data = parabolas(50)

    class Break(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:  # torch does not train on with such weights
                values = [np.full_like(w, float(broken) if broken != "mixed" else np.inf) for w in model.get_weights()]
                if broken == "mixed":
                    values[0][0] = -np.inf
                    values[2][0] = np.nan
                model.set_weights(values)

    recorder = Recorder(path, probe=data)
    model.fit(*data, epochs=3, verbose=0, callbacks=[Break(), recorder])
    return netlapse.open(path)


@pytest.mark.parametrize("broken", ["nan", "inf", "1e30", "mixed"])
def test_measures_live_with_them(broken, tmp_path):
    replay = diverge(broken, tmp_path / "run")
    assert replay.feature_space("hidden").points.shape == (4, 50, 2)
    assert replay.decision_boundary().wrong.shape == (4, 50)
    probabilities = replay.class_probabilities()
    right, wrong, _ = probabilities.histogram(1)
    assert (right + wrong)[0].sum() == 25
    losses = replay.sample_losses()
    assert losses.wrong.shape == (4, 50)
    curves = replay.curves()
    assert ((curves.accuracy >= 0) & (curves.accuracy <= 1)).all()
    assert replay.milestones().all.for_good is None
    if broken == "nan":
        assert np.isnan(replay.outputs(3)).all()
        assert losses.wrong[3].all()
        assert (right + wrong)[3].sum() == 0
        assert np.isnan(curves.loss[3])


# The framework


def run_python(code: str, tmp_path, **environment: str):
    clean = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code],
        capture_output=True,
        text=True,
        env={**clean, "KERAS_HOME": str(tmp_path / "keras"), **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_weights_and_curves_need_no_framework(small_run, tmp_path):
    found = run_python(
        f"""
import json, sys, netlapse
replay = netlapse.open({str(small_run)!r})
replay.weights("hidden/kernel"), replay.recorded("loss"), replay.inputs(), replay.hyperparameters, repr(replay)
print(json.dumps([m for m in ("torch", "keras", "jax", "tensorflow", "matplotlib.pyplot") if m in sys.modules]))
""",
        tmp_path,
    )
    assert found == []


OPENED = """
import json, netlapse
replay = netlapse.open({run!r})
found = {look}
import keras
print(json.dumps([keras.backend.backend(), found]))
"""


def test_the_users_backend_is_respected(small_run, replay, tmp_path):
    other = {"jax": "torch", "torch": "jax"}[BACKEND]
    pytest.importorskip(other)
    look = "[replay.outputs(6)[:5].tolist(), type(replay.model(6).optimizer).__module__, len(replay.model(6).metrics)]"
    code = OPENED.format(run=str(small_run), look=look)
    backend, (outputs, optimizer, metrics) = run_python(code, tmp_path, KERAS_BACKEND=other)
    assert backend == other
    # One backend replays what another recorded, with an optimiser of its own.
    np.testing.assert_allclose(outputs, replay.outputs(6)[:5], **NEAR)
    assert BACKEND not in optimizer.split(".")
    assert metrics == len(replay.model(6).metrics) == 2


def test_else_a_run_chooses_its_own_backend(small_run, tmp_path):
    backend, _ = run_python(OPENED.format(run=str(small_run), look="len(replay.model(6).layers)"), tmp_path)
    assert backend == BACKEND


@pytest.mark.parametrize(
    ("configured", "expected"), [("torch", None), ("jax", None), ("tensorflow", "jax"), (None, "jax")]
)
def test_a_configured_backend_is_a_choice_if_it_is_installed(configured, expected, tmp_path):
    for package in ("jax", "torch"):
        pytest.importorskip(package)
    (tmp_path / "keras").mkdir()
    if configured:
        (tmp_path / "keras" / "keras.json").write_text(json.dumps({"backend": configured}))
    code = """
import json, os
from importlib.util import find_spec
from netlapse.keras_backend import choose_backend
print(json.dumps([choose_backend("jax"), os.environ.get("KERAS_BACKEND"), find_spec("tensorflow") is None]))
"""
    chosen, backend, without_tensorflow = run_python(code, tmp_path)
    assert chosen == backend
    if without_tensorflow:
        assert chosen == expected


def test_runs_of_other_frameworks_are_refused_by_name(small_run, tmp_path):
    import shutil

    shutil.copytree(small_run, tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    manifest.pop("xxh3_64", None)  # it is meant to be edited
    (tmp_path / "run" / "run.json").write_text(json.dumps(manifest | {"framework": "abacus"}))
    with pytest.raises(Unsupported, match="'abacus'; this netlapse replays keras"):
        netlapse.open(tmp_path / "run").outputs()
