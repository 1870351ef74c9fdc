"""What recording costs a network of 1.2 million parameters: python -m bench.cnn [repeats]

Keras' own example for small pictures (two convolutions, two dense layers: 1,199,882 parameters) on scikit-learn's
digits, enlarged from 8 x 8 to 28 x 28; batches of 64, 4 epochs of 29 steps, `fit` on Keras/JAX. Every round trains once
in each way, in turn, and each is divided by the unrecorded training of its round: the machine's moods cancel out.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from .digits import digits
from .measure import machine, row

import keras  # isort: skip
from netlapse.keras import Recorder

EPOCHS = 4


class Timed(Recorder):
    """Counts the time for which training waits for it, opening and closing included."""

    seconds = 0.0

    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        if name not in HOOKS:
            return found

        def timed(*arguments, **keywords):
            start = time.perf_counter()
            found(*arguments, **keywords)
            Timed.seconds += time.perf_counter() - start

        return timed


HOOKS = {"on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_epoch_end", "on_train_end"}


def build() -> keras.Model:
    """A compiled model with seeded weights."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.05), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main(repeats: int) -> None:
    inputs, targets = digits()
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:

        def recorder(every: str, number: int) -> Recorder:
            return Timed(Path(folder) / f"{every} {number}", probe=(inputs, targets), every=every)

        ways = {
            "unrecorded": lambda _: [],
            "every epoch": lambda number: [recorder("epoch", number)],
        }
        inside: list[float] = []
        for number in range(repeats):
            for name, callbacks in ways.items():
                model = build()
                # What is compiled is compiled before the clock starts.
                model.fit(inputs, targets, batch_size=64, epochs=1, verbose=0)
                start = time.perf_counter()
                model.fit(inputs, targets, batch_size=64, epochs=EPOCHS, verbose=0, callbacks=callbacks(number))
                seconds.setdefault(name, []).append(time.perf_counter() - start)
            inside.append(Timed.seconds / seconds["unrecorded"][-1] * 100)
            Timed.seconds = 0.0
    print(machine())
    print(f"{model.count_params():,} parameters, {EPOCHS * -(-len(inputs) // 64)} steps")
    for name, values in seconds.items():
        print(row(name, values, "s"))
    ratios = [a / b for a, b in zip(seconds["every epoch"], seconds["unrecorded"], strict=True)]
    print(row("every epoch / unrecorded", ratios, "times"))
    print(row("training waits for the recorder", inside, "% of it"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
