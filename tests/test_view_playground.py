"""The playground: a network that is trained on in the page, as Keras trains it, and what one sees of that."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

sync_api = pytest.importorskip("playwright.sync_api")
keras = pytest.importorskip("keras")

import netlapse  # noqa: E402
from netlapse.datasets import parabolas  # noqa: E402
from netlapse.keras import Recorder  # noqa: E402

from . import browser as browsers  # noqa: E402

VIEWER = Path(__file__).resolve().parents[1] / "viewer"
AXE = VIEWER / "node_modules" / "axe-core" / "axe.min.js"
EPOCHS = 8

# Name, Keras' loss, the last layer's activation and units.
LOSSES = [
    ("binary cross-entropy", lambda: keras.losses.BinaryCrossentropy(), "sigmoid", 1),
    ("binary cross-entropy", lambda: keras.losses.BinaryCrossentropy(from_logits=True), "linear", 1),
    ("cross-entropy", lambda: keras.losses.SparseCategoricalCrossentropy(), "softmax", 3),
    ("cross-entropy", lambda: keras.losses.CategoricalCrossentropy(from_logits=True), "linear", 3),
    ("mean squared error", lambda: keras.losses.MeanSquaredError(), "linear", 2),
    ("mean squared error", lambda: keras.losses.MeanSquaredError(), "sigmoid", 1),
]
OPTIMISERS = [
    ({"kind": "SGD", "rate": 0.2}, lambda: keras.optimizers.SGD(0.2)),
    ({"kind": "SGD", "rate": 0.05, "momentum": 0.9}, lambda: keras.optimizers.SGD(0.05, momentum=0.9)),
    (
        {"kind": "SGD", "rate": 0.05, "momentum": 0.9, "nesterov": True},
        lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    ),
    ({"kind": "RMSprop", "rate": 0.01}, lambda: keras.optimizers.RMSprop(0.01)),
    ({"kind": "Adam", "rate": 0.02}, lambda: keras.optimizers.Adam(0.02)),
]
ACTIVATIONS = [
    *("tanh", "sigmoid", "relu", "elu", "selu", "gelu", "silu", "softplus", "softsign", "leaky_relu", "mish", "relu6"),
    *("hard_sigmoid", "exponential", "linear"),
]
STEPS = 40


def node() -> str:
    found = shutil.which("node")
    if found is None or not (VIEWER / "node_modules" / "esbuild").exists():
        pytest.skip("Node or esbuild is not there: npm ci in viewer/ installs it")
    return found


def in_the_page(jobs):
    """Weights after the jobs' batches, as the page's TypeScript trains."""
    done = subprocess.run(
        [node(), "--import", "./test/typescript.mjs", "test/train.ts"],
        cwd=VIEWER,
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [np.array(weights) for weights in json.loads(done.stdout)]


def flat(model):
    return np.concatenate([weights.ravel() for weights in model.get_weights()])


def trained(activation, loss, optimiser, seed):
    """A job for the page, and the weights to which Keras comes with it."""
    (name, loss_of, last, units), (settings, optimiser_of) = loss, optimiser
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(60, 2)).astype("float32")
    classes = rng.integers(0, max(units, 2), 60)
    if name == "mean squared error" and last == "linear":
        targets = wanted = rng.normal(size=(60, units)).astype("float32")
    elif units == 1:
        targets = wanted = classes[:, None].astype("float32")
    else:
        wanted = np.eye(units, dtype="float32")[classes]
        targets = classes if "Sparse" in type(loss_of()).__name__ else wanted
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(4, activation),
            keras.layers.Dense(3, activation, use_bias=False),
            keras.layers.Dense(units, last),
        ]
    )
    model.set_weights([rng.normal(scale=0.7, size=each.shape).astype("float32") for each in model.get_weights()])
    model.compile(optimiser_of(), loss_of())
    sizes = zip((2, 4, 3), (4, 3, units), (activation, activation, last), (True, False, True), strict=True)
    # The same batches for both, some examples more often than others.
    batches = rng.integers(0, 60, (STEPS, 7))
    job = {
        "layers": [{"width": w, "units": u, "activation": a, "bias": b} for w, u, a, b in sizes],
        "weights": flat(model).tolist(),
        "inputs": inputs.ravel().tolist(),
        "targets": wanted.ravel().tolist(),
        "loss": name,
        "optimiser": {"momentum": 0, "nesterov": False, **settings},
        "batchSize": 7,
        "epochs": 1,
        "batches": batches.tolist(),
    }
    for batch in batches:
        model.train_on_batch(inputs[batch], targets[batch])
    return job, flat(model)


def test_it_trains_as_keras_does():
    """Every activation, each with a loss and an optimiser, so that all of these come several times."""
    cases = [
        (activation, LOSSES[k % len(LOSSES)], OPTIMISERS[k % len(OPTIMISERS)])
        for k, activation in enumerate(ACTIVATIONS)
    ]
    made = [trained(*case, seed) for seed, case in enumerate(cases)]
    found = in_the_page([job for job, _ in made])
    for (activation, loss, (optimiser, _)), (job, expected), weights in zip(cases, made, found, strict=True):
        what = f"{activation}, {loss[0]} of {loss[2]}, {optimiser}"
        assert np.abs(expected - job["weights"]).max() > 0.05, what
        np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-5, err_msg=what)
