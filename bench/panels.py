"""Memory that each panel takes on a run of 300 frames of 1.2 million parameters: `python -m bench.panels`.

Peak of what NumPy and Python hold beyond the opened run, in a process of its own for each panel, while the panel is
drawn and moved, by itself and through a block of frames; the compiled evaluations of the framework are not seen.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

FRAMES = 300
# Panels that the CNN cannot show, and the network that can.
OTHERS = {
    "mlp": ("network", "unit", "unit_grid", "unit_life"),
    "regression": ("predictions", "residuals"),
    "sequences": ("token_losses", "attention"),
}


def record(path: Path, kind: str) -> None:
    """A network of 1.2 million parameters, recorded after each of 300 epochs of one step."""
    import keras
    import numpy as np
    from keras import layers

    from bench.digits import digits
    from netlapse.keras import Recorder

    inputs, targets = digits()
    keras.utils.set_random_seed(0)
    if kind == "sequences":
        inputs = np.random.default_rng(0).integers(0, 64, (500, 32))
        targets = np.roll(inputs, 1, axis=1)
        flow = start = keras.Input((32,))
        flow = layers.Embedding(64, 256)(flow)
        for _ in range(3):
            flow = flow + layers.MultiHeadAttention(4, 64)(flow, flow)
        flow = layers.Dense(64, activation="softmax")(layers.Dense(1024, activation="relu")(flow))
        model = keras.Model(start, flow)
    elif kind == "cnn":
        model = keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                layers.Conv2D(32, 3, activation="relu", name="conv_1"),
                layers.Conv2D(64, 3, activation="relu", name="conv_2"),
                layers.MaxPooling2D(name="pool"),
                layers.Flatten(name="flat"),
                layers.Dense(128, activation="relu", name="dense"),
                layers.Dense(10, activation="softmax", name="digit"),
            ]
        )
    else:
        inputs = inputs.reshape(len(inputs), -1)
        targets = np.eye(10)[targets] if kind == "regression" else targets
        hidden = [layers.Dense(1024, activation="relu"), layers.Dense(384, activation="relu")]
        output = layers.Dense(10, activation=None if kind == "regression" else "softmax")
        model = keras.Sequential([keras.Input((784,)), *hidden, output])
    loss = "mean_squared_error" if kind == "regression" else "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(1e-4), loss)
    recorder = Recorder(path, probe=(inputs[:500], targets[:500]))
    model.fit(inputs[:32], targets[:32], epochs=FRAMES - 1, batch_size=32, verbose=0, callbacks=[recorder])


def measure(path: str, name: str) -> None:
    """Print the peak in MB and the seconds of one panel."""
    import netlapse
    from netlapse.figures import Panels
    from netlapse.figures.scenes import panels_of

    replay = netlapse.open(path)
    replay.losses(0)  # opened, and the network built
    tracemalloc.start()
    start = time.perf_counter()
    scene = Panels(replay, panels_of(replay, [name]))
    # A jump, which takes a frame, and a way through the run, which takes a block of them.
    for frame in (len(replay.epochs) // 2, 0, 1, 2, 3):
        scene.show(float(replay.epochs[frame]))
    print(json.dumps({"peak": tracemalloc.get_traced_memory()[1] / 1e6, "seconds": time.perf_counter() - start}))


def main() -> None:
    """Print a Markdown table of all panels, or of those that are named."""
    from netlapse.figures.panels import BY_NAME

    kinds = {name: kind for kind, names in OTHERS.items() for name in names}
    with tempfile.TemporaryDirectory() as folder:
        print("| panel | of | peak | drawing and five epochs |\n| --- | --- | --- | --- |")
        for name in sys.argv[1:] or BY_NAME:
            kind = kinds.get(name, "cnn")
            path = Path(folder) / kind
            if not path.exists():
                record(path, kind)
            command = [sys.executable, "-m", "bench.panels", "--one", str(path), name]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            print(f"| `{name}` | {kind} | {found['peak']:.0f} MB | {found['seconds']:.0f} s |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(*sys.argv[2:])
    else:
        main()
