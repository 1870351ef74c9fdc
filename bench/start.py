"""What starting costs: python -m bench.start [repeats]

`import netlapse`, and opening a run of 10,000 frames and drawing one epoch of it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from .measure import fresh, machine, row

from netlapse import demo  # isort: skip
from netlapse.store import Frame, Writer

IMPORT = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
OPEN = """
import sys, time
import keras, netlapse, netlapse.figures, netlapse.keras
t = time.perf_counter()
replay = netlapse.open(sys.argv[1])
opened = time.perf_counter() - t
figure = netlapse.plot(replay, 5000)
figure.canvas.draw()
drawn = time.perf_counter() - t
netlapse.plot(replay, 5001).canvas.draw()
print(opened, drawn, time.perf_counter() - t - drawn)
"""


def long_run(path: Path, frames: int = 10_000) -> None:
    """The article's tanh run, its weights interpolated to many frames."""
    replay = demo.train("tanh", path.with_name("tanh"))
    positions = np.linspace(0, 150, frames)
    columns = {
        name: np.stack([np.interp(positions, replay.epochs, column) for column in values.reshape(151, -1).T], axis=-1)
        .reshape(frames, *values.shape[1:])
        .astype(np.float32)
        for name, values in ((name, replay.weights(name)) for name in replay.parameters)
    }
    files = {name: replay.run.model_file(kind) for kind, name in replay.run.manifest.model.items()}
    writer = Writer.create(path, replay.run.manifest, probe=replay.run.probe(), model=files)
    for number in range(frames):
        weights = {name: values[number] for name, values in columns.items()}
        writer.append(Frame(number, float(number), float(number), weights, {}))
    writer.close()


def main(repeats: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long"
        long_run(path)
        imports = [float(fresh(IMPORT.format("netlapse"))) for _ in range(repeats)]
        numpy = [float(fresh(IMPORT.format("numpy"))) for _ in range(repeats)]
        opened = [[float(part) for part in fresh(OPEN, path).split()] for _ in range(repeats)]
    print(machine())
    print(row("import netlapse", imports, "s"))
    print(row("import numpy, for comparison", numpy, "s"))
    print(row("open 10,000 frames", [times[0] for times in opened], "s"))
    print(row("open and draw one epoch, first time", [times[1] for times in opened], "s"))
    print(row("draw another epoch", [times[2] for times in opened], "s"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
