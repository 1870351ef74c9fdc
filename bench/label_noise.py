"""Planted label noise: how many of the wrong labels are found, and how many of those found are wrong.

`python -m bench.label_noise [seeds]`
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score

from bench.measure import machine

import keras  # isort: skip

import netlapse
from netlapse.keras import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

# Other seeds than those that the rule was chosen with.
FIRST_SEED = 1
SHARE = 0.05


def mlp(*widths: int) -> keras.Model:
    """A network of hidden layers of these widths."""
    hidden = [keras.layers.Dense(width, activation="relu") for width in widths]
    return keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(10, activation="softmax")])


def cnn() -> keras.Model:
    """Two convolutions and a linear layer."""
    convolutions = [keras.layers.Conv2D(filters, 3, activation="relu") for filters in (16, 32)]
    last = [keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    return keras.Sequential([keras.Input((64,)), keras.layers.Reshape((8, 8, 1)), *convolutions, *last])


NETWORKS: dict[str, tuple[Callable[[], keras.Model], int, float]] = {
    "MLP of 64 units, 30 epochs": (lambda: mlp(64), 30, SHARE),
    "CNN, 20 epochs": (cnn, 20, SHARE),
    "MLP of 2 x 256 units, 100 epochs, all labels learnt by heart": (lambda: mlp(256, 256), 100, SHARE),
    "MLP of 64 units, 30 epochs, 20 % of the labels changed": (lambda: mlp(64), 30, 0.2),
    "MLP of 64 units, 30 epochs, no label changed": (lambda: mlp(64), 30, 0.0),
}


def trial(make: Callable[[], keras.Model], epochs: int, share: float, seed: int, folder: Path) -> dict[str, float]:
    """Train on digits of which some have another label; how well these are found."""
    inputs, truth = load_digits(return_X_y=True)
    inputs, truth = (inputs / 16).astype(np.float32), truth.astype(int)
    rng = np.random.default_rng(seed)
    planted = np.isin(np.arange(len(truth)), rng.choice(len(truth), round(share * len(truth)), replace=False))
    labels = np.where(planted, (truth + rng.integers(1, 10, len(truth))) % 10, truth)
    keras.utils.set_random_seed(seed)
    model = make()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    recorder = Recorder(folder / "run", probe=(inputs, labels), exist="replace")
    model.fit(inputs, labels, epochs=epochs, batch_size=32, verbose=0, callbacks=[recorder])
    replay = netlapse.open(folder / "run")
    found = replay.example_dynamics()
    suspicious, planted = found.suspicious, planted[found.index]
    hits = int((suspicious & planted).sum())
    numbers = {"right in the end": found.right[-1].mean(), "suspicious": suspicious.sum()}
    if not planted.any():
        return numbers
    forgotten = np.minimum(found.forgotten, len(found.epochs))  # never learnt: more than any count
    rankings = {
        "mean loss": found.loss,
        "area under the margin": -found.margin,
        "mean confidence": -found.confidence,
        "correctness": -found.correctness,
        "forgetting events": forgotten,
        "final loss alone": replay.losses(float(replay.epochs[-1])),
    }
    return (
        numbers
        | {"precision": hits / max(suspicious.sum(), 1), "recall": hits / planted.sum()}
        | {"true class named": (found.rather == truth[found.index])[suspicious & planted].mean() if hits else np.nan}
        | {"precision among the 25 worst": planted[found.worst(25)].mean()}
        | {f"average precision, {name}": average_precision_score(planted, value) for name, value in rankings.items()}
    )


def main(seeds: int) -> None:
    """Print the median over the seeds, with the range."""
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        for name, (make, epochs, share) in NETWORKS.items():
            print(f"\n{name} ({seeds} seeds, {share:.0%} of 1,797 labels changed)")
            trials = [trial(make, epochs, share, FIRST_SEED + seed, Path(folder)) for seed in range(seeds)]
            for key in trials[0]:
                values = np.array([each[key] for each in trials])
                print(f"{key:<42} {np.median(values):8.3f} ({values.min():.3f} to {values.max():.3f})", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
