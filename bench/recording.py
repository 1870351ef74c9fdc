"""What recording costs a training: python -m bench.recording [repeats]

The article's network, 150 epochs of 125 steps, `fit` on Keras/JAX. Every round trains once in each way, in turn, and
each is divided by the unrecorded training of its round: the machine's moods cancel out.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from .measure import machine, row

import keras  # isort: skip
from netlapse import demo
from netlapse.datasets import parabolas
from netlapse.keras import Recorder


class EmptyHook(keras.callbacks.Callback):
    """Does nothing at every step. Keras then runs its callbacks in no threads: small networks get faster."""

    def on_train_batch_end(self, batch, logs=None):
        pass


def main(repeats: int) -> None:
    inputs, targets = parabolas()
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        ways = {
            "unrecorded": lambda _: [],
            "empty step hook": lambda _: [EmptyHook()],
            "every epoch": lambda n: [Recorder(Path(folder) / f"epoch{n}", probe=(inputs, targets))],
            "every step": lambda n: [Recorder(Path(folder) / f"step{n}", probe=(inputs, targets), every="step")],
        }
        for number in range(repeats + 1):
            for name, callbacks in ways.items():
                model = demo.build("tanh")
                # What is compiled is compiled before the clock starts.
                model.fit(inputs, targets, batch_size=16, epochs=1, verbose=0)
                start = time.perf_counter()
                model.fit(inputs, targets, batch_size=16, epochs=150, verbose=0, callbacks=callbacks(number))
                if number:  # the first round warms the machine
                    seconds.setdefault(name, []).append(time.perf_counter() - start)
    print(machine())
    for name, values in seconds.items():
        print(row(name, values, "s"))
    for name, base in (
        ("every epoch", "unrecorded"),
        ("every step", "unrecorded"),
        ("every step", "empty step hook"),
    ):
        ratios = [a / b for a, b in zip(seconds[name], seconds[base], strict=True)]
        print(row(f"{name} / {base}", ratios, "times"))
    added = [(a - b) / 18_750 * 1e6 for a, b in zip(seconds["every step"], seconds["empty step hook"], strict=True)]
    print(row("added by recording one step", added, "us"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
