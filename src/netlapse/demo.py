"""The article's experiment, from training to films.

After "Hyper-parameters in Action! Part I - Activation Functions" (Daniel Voigt Godoy, 2018): the same data, network,
initial weights and training, once for each activation function of the hidden layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import figures
from . import open as open_run
from .datasets import parabolas
from .figures.stage import new_figure
from .figures.theme import THEMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from .figures import ThemeName
    from .measures import Milestones
    from .measures.milestones import Milestone
    from .replay import Replay

ACTIVATIONS = ("linear", "sigmoid", "tanh", "relu")
EPOCHS = 150
BATCH_SIZE = 16
LEARNING_RATE = 0.05
SEED = 42
# The square that the article's grid covers.
DOMAIN = ((-1.0, 1.0), (-1.0, 1.0))

# What seed 42 drew in the original recording (Keras 2.2.0 on TensorFlow); today's Keras draws other numbers from it.
INITIAL_WEIGHTS = {
    "hidden/kernel": np.array([[-0.22570734, -0.11073513], [-0.5436827, 0.01975952]], np.float32),
    "hidden/bias": np.zeros(2, np.float32),
    "output/kernel": np.array([[-0.01403875], [-0.00688761]], np.float32),
    "output/bias": np.zeros(1, np.float32),
}


@dataclass(frozen=True)
class Published:
    """What the article says of its own runs: epochs from which cases are right for good, and the plateau."""

    negative: int
    all: int
    plateau: tuple[int, int] | None


PUBLISHED = {
    "sigmoid": Published(65, 103, (40, 65)),
    "tanh": Published(55, 69, (10, 55)),
    "relu": Published(10, 52, None),
}


def build(activation: str) -> Any:
    """The article's network, compiled, with its initial weights."""
    from .keras.backend import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(2, activation=activation, kernel_initializer="glorot_normal", name="hidden"),
            layers.Dense(1, activation="sigmoid", kernel_initializer="random_normal", name="output"),
        ],
        name="article",
    )
    optimizer = keras.optimizers.SGD(LEARNING_RATE)
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    model.set_weights(list(INITIAL_WEIGHTS.values()))
    return model


def train(activation: str, run: Path, *, epochs: int = EPOCHS, progress: Callable[[], None] = lambda: None) -> Replay:
    """Train the network with this activation, recording it. `progress` is called after every epoch."""
    from .keras import Recorder
    from .keras.backend import keras

    inputs, targets = parabolas()
    model = build(activation)

    def tick(_epoch: int, _logs: Any) -> None:
        progress()

    recorder = Recorder(run, probe=(inputs, targets), exist="replace", hyperparameters={"seed": SEED})
    ticker = keras.callbacks.LambdaCallback(on_epoch_end=tick)
    keras.utils.set_random_seed(SEED)
    model.fit(inputs, targets, batch_size=BATCH_SIZE, epochs=epochs, verbose=0, callbacks=[recorder, ticker])
    return open_run(run)


def pictures(replays: Sequence[Replay], theme: ThemeName = "light") -> Iterator[tuple[str, Figure]]:
    """The article's pictures, each with its file name. `replays` are of ACTIVATIONS, in their order."""
    linear, sigmoid, tanh, relu = replays
    curved = [sigmoid, tanh, relu]
    inputs, targets = linear.inputs(), linear.targets()

    figure = _figure((760, 720), theme)
    figures.data_set(inputs, targets, figure.subplots(), theme=theme, title="Two classes, two curves")
    yield "01-data-set", figure
    yield "02-linear-boundary", _boundaries([linear], theme)
    yield "03-boundaries", _boundaries(curved, theme)
    figure = _figure((1280, 720), theme)
    figures.network_diagram(_dense_layers(tanh), figure.subplots(), theme=theme)
    yield "04-network", figure
    figure = _figure((760, 720), theme)
    space = tanh.feature_space("hidden", domain=DOMAIN)
    figures.feature_space(space, figure.subplots(), theme=theme, title="tanh: feature space")
    yield "05-feature-space", figure
    for number, name in enumerate(("sigmoid", "tanh", "relu"), start=6):
        yield f"{number:02d}-{name}", _activation(name, theme)
    yield (
        "09-spaces-and-boundaries",
        figures.compare(curved, domain=DOMAIN, curves=False, theme=theme, size=(1440, 960)),
    )
    yield "10-curves", figures.learning_curves(curved, theme=theme)
    yield "11-affine", figures.affine(_dense_layers(tanh)[0], inputs[:3], theme=theme)


def _figure(size: tuple[int, int], theme: ThemeName) -> Figure:
    return new_figure(size, figures.DPI, THEMES[theme], heading=False)


def _boundaries(replays: Sequence[Replay], theme: ThemeName) -> Figure:
    figure = _figure((760, 720) if len(replays) == 1 else (520 * len(replays), 560), theme)
    for column, replay in enumerate(replays, start=1):
        ax = figure.add_subplot(1, len(replays), column)
        boundary = replay.decision_boundary(domain=DOMAIN)
        accuracy = replay.curves(boundary.epochs[-1:].tolist()).accuracy[0]
        title = f"{replay.hyperparameters['activation']}: {100 * accuracy:.3g}% right"
        figures.decision_boundary(boundary, ax, theme=theme, title=title, legend=column == len(replays))
    return figure


def _activation(name: str, theme: ThemeName) -> Figure:
    from .keras import activation_function

    figure = _figure((960, 640), theme)
    figures.activation_function(activation_function(name), figure.subplots(), theme=theme)
    return figure


def _dense_layers(replay: Replay) -> list[figures.DenseLayer]:
    last = float(replay.epochs[-1])
    return [
        figures.DenseLayer(
            layer.name,
            str(layer.activation),
            replay.weights(f"{layer.name}/kernel", last),
            replay.weights(f"{layer.name}/bias", last),
        )
        for layer in replay.layers
    ]


HEADINGS = ("activation", "negative", "positive", "all", "loss plateau")


def milestone_row(activation: str, found: Milestones) -> tuple[str, ...]:
    """One row of the table under HEADINGS: what was measured, beside what the article says.

    Epochs read "first time, for good".
    """
    published = PUBLISHED.get(activation)
    negative, positive = found.classes.values()
    plateaus = ", ".join(f"{start:g}-{stop:g}" for start, stop in found.plateaus) or "none"
    if published is None:
        return activation, _epochs(negative), _epochs(positive), _epochs(found.all), plateaus
    plateau = "{}-{}".format(*published.plateau) if published.plateau else "none"
    return (
        activation,
        f"{_epochs(negative)}  [{published.negative}]",
        _epochs(positive),
        f"{_epochs(found.all)}  [{published.all}]",
        f"{plateaus}  [{plateau}]",
    )


def _epochs(milestone: Milestone) -> str:
    if milestone.first is None:
        return "never"
    return f"{milestone.first:g}, " + ("not for good" if milestone.for_good is None else f"{milestone.for_good:g}")
