"""Trainings with Keras' `fit` on JAX: the article's network and a CNN."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from torch.utils.tensorboard import SummaryWriter

from .cnn import build as build_cnn
from .digits import digits
from .overhead import Clock, Way, Workload

import keras  # isort: skip
from netlapse import demo
from netlapse.datasets import parabolas
from netlapse.keras import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Data = tuple[Any, Any]


class EmptyHook(keras.callbacks.Callback):
    """Does nothing at every step. Keras then runs its callbacks in no threads: small networks get faster."""

    def on_train_batch_end(self, batch, logs=None):
        pass


class Histograms(keras.callbacks.Callback):
    """What `keras.callbacks.TensorBoard(histogram_freq=1)` writes, which needs TensorFlow whatever Keras runs on."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.writer = SummaryWriter(folder)

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            self.writer.add_scalar(f"epoch_{name}", value, epoch)
        for weight in self.model.weights:
            self.writer.add_histogram(weight.path, keras.ops.convert_to_numpy(weight), epoch)
        self.writer.flush()

    def on_train_end(self, logs=None):
        self.writer.close()


def train(build: Callable[[], Any], data: Data, batch: int, callbacks: Any, folder: Path, epochs: int) -> Clock:
    """Train once, watched."""
    clock = Clock()
    model = build()
    # What is compiled is compiled before the clock starts.
    model.fit(*data, batch_size=batch, epochs=1, verbose=0)

    def fit() -> None:
        watchers = clock.timed("opening", callbacks)(folder, data)
        for watcher in watchers:
            clock.watch(watcher, keras.callbacks.Callback, {"on_train_begin"}, {"on_train_end"})
        model.fit(*data, batch_size=batch, epochs=epochs, verbose=0, callbacks=watchers)

    clock.timed("all", fit)()
    return clock


# Callbacks, given where to write to and the data.
WAYS = [
    ("nothing", "", lambda *_: []),
    ("an empty step hook", "nothing", lambda *_: [EmptyHook()]),
    (
        "netlapse, every epoch",
        "all weights, loss, metrics",
        lambda folder, data: [Recorder(folder / "run", probe=data, every="epoch")],
    ),
    (
        "netlapse, every step",
        "all weights, loss, metrics",
        lambda folder, data: [Recorder(folder / "run", probe=data, every="step")],
    ),
    (
        "`ModelCheckpoint`, every epoch",
        "all weights, the optimiser's state, the network",
        lambda folder, _: [keras.callbacks.ModelCheckpoint(folder / "{epoch:04d}.keras")],
    ),
    (
        "histograms as of `TensorBoard(histogram_freq=1)`",
        "histograms of weights; loss, metrics",
        lambda folder, _: [Histograms(folder)],
    ),
]


def workloads(_: str) -> list[Workload]:
    """Both networks, in all ways."""
    return [
        Workload(
            f"{title}, {epochs} epochs of {-(-len(data[0]) // batch)} steps, Keras on JAX",
            epochs,
            [Way(name, stores, partial(train, build, data, batch, callbacks)) for name, stores, callbacks in WAYS],
        )
        for title, epochs, build, data, batch in (
            ("The article's network", 150, partial(demo.build, "tanh"), parabolas(), 16),
            ("A CNN of 1.2 million parameters", 4, build_cnn, digits(), 64),
        )
    ]
