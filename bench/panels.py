"""Memory that each panel takes on a run of 300 frames of a network of 1.2 million parameters: `python -m bench.panels`.

Peak of what NumPy and Python hold beyond the opened run, in a process of its own for each panel, while the panel is
drawn and moved through the whole run; the compiled evaluations of the framework are not seen.
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


def record(path: Path) -> None:
    """A CNN on digits, recorded after each of 300 short epochs."""
    import keras

    from bench.digits import digits
    from netlapse.keras import Recorder

    inputs, targets = digits()
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(32, 3, activation="relu", name="conv_1"),
            keras.layers.Conv2D(64, 3, activation="relu", name="conv_2"),
            keras.layers.MaxPooling2D(name="pool"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(128, activation="relu", name="dense"),
            keras.layers.Dense(10, activation="softmax", name="digit"),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy")
    recorder = Recorder(path, probe=(inputs[:500], targets[:500]))
    model.fit(inputs[:32], targets[:32], epochs=FRAMES - 1, batch_size=32, verbose=0, callbacks=[recorder])


def measure(path: str, name: str) -> None:
    """Print the peak in MB and the seconds of one panel."""
    import netlapse
    from netlapse.errors import Unsupported
    from netlapse.figures import Panels
    from netlapse.figures.scenes import panels_of

    replay = netlapse.open(path)
    replay.losses(0)  # opened, and the network built
    tracemalloc.start()
    start = time.perf_counter()
    try:
        scene = Panels(replay, panels_of(replay, [name]))
        for epoch in replay.epochs[:: len(replay.epochs) // 10].tolist():
            scene.show(epoch)
    except Unsupported as error:
        print(json.dumps({"unsupported": str(error)}))
        return
    print(json.dumps({"peak": tracemalloc.get_traced_memory()[1] / 1e6, "seconds": time.perf_counter() - start}))


def main() -> None:
    """Print a Markdown table of all panels."""
    from netlapse.figures.panels import BY_NAME

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        record(path)
        print("| panel | peak | drawing and ten epochs |\n| --- | --- | --- |")
        for name in sys.argv[1:] or BY_NAME:
            command = [sys.executable, "-m", "bench.panels", "--one", str(path), name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            lines = done.stdout.splitlines()
            found = json.loads(lines[-1]) if done.returncode == 0 and lines else {"unsupported": done.stderr[-300:]}
            cells = (
                (found["unsupported"][:120], "")
                if "unsupported" in found
                else (f"{found['peak']:.0f} MB", f"{found['seconds']:.0f} s")
            )
            print(f"| {name} | {cells[0]} | {cells[1]} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(*sys.argv[2:])
    else:
        main()
