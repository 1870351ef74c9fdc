"""The article's experiment as a study: its network from many initial weights, with each activation function.

After "Hyper-parameters in Action! Part I - Activation Functions" (Daniel Voigt Godoy, 2018).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets import parabolas
from ..keras.backend import keras
from .study import Study

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .space import Space
    from .study import Mode

ACTIVATIONS = ("sigmoid", "tanh", "relu")
SEEDS = 1000
EPOCHS = 150
BATCH_SIZE = 16


def build(activation: str = "tanh", initializer: str = "glorot_normal", learning_rate: float = 0.05) -> Any:
    """The article's network, compiled. `activation` and `initializer` are of its hidden layer."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(2, activation=activation, kernel_initializer=initializer, name="hidden"),
            layers.Dense(
                1,
                activation="sigmoid",
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.05),
                name="output",
            ),
        ]
    )
    model.compile(keras.optimizers.SGD(learning_rate), loss="binary_crossentropy", metrics=["accuracy"])
    return model


def article(
    folder: str | Path,
    seeds: int = SEEDS,
    mode: Mode = "fast",
    *,
    space: Space | None = None,
    epochs: int = EPOCHS,
    batch_size: int = BATCH_SIZE,
    record: Mapping[str, int] | None = None,
) -> Study:
    """The study of the article's activation functions, or of another `space`, in a folder or below a URL.

    What can be varied: activation, initializer, learning_rate, epochs, batch_size. The data are the article's. `record`
    is as of a `Study`.
    """
    inputs, targets = parabolas()
    return Study(
        folder,
        build,
        (inputs.astype(np.float32), targets),
        {"activation": ACTIVATIONS} if space is None else space,
        seeds=seeds,
        epochs=epochs,
        batch_size=batch_size,
        mode=mode,
        record=record,
    )
