"""Ways of training many networks at once, by the size of their layers: `python -m bench.ways`.

32 networks learn 1,024 digits for two epochs in batches of 32, compiled before: as the last axis, by `vmap`, and one
after another in one program. Operations of a step are those by which the fast mode of a study chooses.
"""

from __future__ import annotations

import os
import statistics
import time
from typing import TYPE_CHECKING, Any

os.environ.setdefault("KERAS_BACKEND", "jax")

from bench.measure import machine

if TYPE_CHECKING:
    from collections.abc import Callable

NETWORKS, EPOCHS, BATCH, REPEATS = 32, 2, 32, 3


def dense(units: int) -> Any:
    """A compiled network of one hidden layer."""
    import keras

    return _compiled([keras.Input((64,)), keras.layers.Dense(units, "relu")])


def convolutional(channels: int) -> Any:
    """A compiled network of two convolutions."""
    import keras
    from keras import layers

    return _compiled(
        [
            keras.Input((64,)),
            layers.Reshape((8, 8, 1)),
            layers.Conv2D(channels, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(2 * channels, 3, activation="relu"),
            layers.Flatten(),
        ]
    )


def _compiled(layers: list[Any]) -> Any:
    import keras

    model = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def row(name: str, build: Callable[[], Any]) -> str:
    """A network's row of the table."""
    from sklearn.datasets import load_digits

    from netlapse.study.exact import Exact, InTurn
    from netlapse.study.fast import Fast
    from netlapse.study.initial import Initial
    from netlapse.study.pieces import GROUP
    from netlapse.study.right import read
    from netlapse.study.train_last import orders
    from netlapse.study.trainer import Given

    X, y = load_digits(return_X_y=True)
    model = build()
    reading, data = read(model, (X[:1024] / 16).astype("float32"), y[:1024])
    seeds = list(range(NETWORKS))
    trainable, others = Initial(model, build)(seeds)
    cells: list[str] = []
    for kind in (Fast, Exact, InTurn):
        own = seeds[::GROUP] if kind is Fast else seeds
        given = Given(trainable, others, {}, orders(own, EPOCHS, 1024))
        trainer = kind(model, reading, data, batch_size=BATCH)
        trainer(given, data)
        seconds: list[float] = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            trainer(given, data)
            seconds.append(time.perf_counter() - start)
        cells.append(f"{statistics.median(seconds):.3f} s")
        operations = trainer.operations(data)
    return f"| {name} | {operations:,.0f} | {' | '.join(cells)} |"


def main() -> None:
    """Print a Markdown table of medians."""
    print(machine())
    print("| network | operations of a step | last axis | `vmap` | in turn |")
    print("| --- | --- | --- | --- | --- |")
    for units in (8, 32, 64, 128, 256):
        print(row(f"{units} units", lambda units=units: dense(units)), flush=True)
    for channels in (4, 16):
        print(row(f"{channels} and {2 * channels} channels", lambda n=channels: convolutional(n)), flush=True)


if __name__ == "__main__":
    main()
