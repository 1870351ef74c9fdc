"""What smaller storage saves and costs: python -m bench.compression

A CNN of 0.5 million parameters on scikit-learn's digits is trained once per optimiser; the weights of twelve epochs and
of twelve consecutive steps are stored in each way.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from .measure import machine

import keras  # isort: skip
from sklearn.datasets import load_digits

from netlapse.keras import Recorder
from netlapse.store import Frame, Run, Writer, size_of

WAYS = {
    "as they are": {},
    "compressed": {"compressed": True},
    "bfloat16": {"dtype": "bfloat16"},
    "bfloat16, compressed": {"dtype": "bfloat16", "compressed": True},
}
FRAMES = 12


def train(optimizer: str, folder: Path) -> dict[str, Run]:
    """Runs of the last epochs, and of steps in the middle."""
    inputs, targets = load_digits(return_X_y=True)
    inputs = (inputs / 16).reshape(-1, 8, 8, 1).astype("float32")
    runs: dict[str, Run] = {}
    for every, schedule in {"epochs": {"epochs": range(9, 21)}, "steps": {"steps": range(280, 280 + FRAMES)}}.items():
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Conv2D(32, 3, activation="relu", padding="same"),
                keras.layers.Conv2D(64, 3, activation="relu", padding="same"),
                keras.layers.MaxPooling2D(),
                keras.layers.Flatten(),
                keras.layers.Dense(512, activation="relu"),
                keras.layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile(optimizer, "sparse_categorical_crossentropy")
        recorder = Recorder(folder / f"{optimizer}-{every}", probe=(inputs[:100], targets[:100]), every=schedule)
        model.fit(inputs, targets, batch_size=64, epochs=20, verbose=0, callbacks=[recorder])
        runs[every] = Run(folder / f"{optimizer}-{every}")
    return runs


def store(run: Run, path: Path, storage: dict[str, object]) -> tuple[int, float, float]:
    """Bytes of frames, seconds to write and to read them."""
    names = [parameter.name for parameter in run.manifest.parameters]
    chosen = np.flatnonzero(run.steps > 0)[-FRAMES - 1 : -1]
    weights = {name: run.weights(name, chosen) for name in names}
    begin = time.perf_counter()
    writer = Writer.create(path, replace(run.manifest, storage=storage), probe=run.probe(), model={})
    before = size_of(writer.folder)
    for row in range(len(chosen)):
        writer.append(Frame(row, row, row, {name: weights[name][row] for name in names}, {}))
    writer.close()
    written = time.perf_counter()
    stored = Run(path)
    for name in names:
        stored.weights(name)
    return size_of(writer.folder) - before, written - begin, time.perf_counter() - written


def main() -> None:
    print(machine())
    print("| stored | optimiser, every | bytes of a frame | times smaller | write | read |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for optimizer in ("adam", "sgd"):
            for every, run in train(optimizer, folder).items():
                whole = 0
                for number, (way, storage) in enumerate(WAYS.items()):
                    size, write, read = store(run, folder / f"{optimizer}{every}{number}", storage)
                    whole = whole or size
                    print(
                        f"| {way} | {optimizer}, {every} | {size / FRAMES / 1e6:.2f} MB | {whole / size:.2f} |"
                        f" {write:.2f} s | {read:.2f} s |"
                    )


if __name__ == "__main__":
    main()
