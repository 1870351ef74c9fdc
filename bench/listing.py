"""What listing many runs costs: python -m bench.listing [runs] [repeats]

A sweep over the article's network: runs with all its settings, three of them varied, of 20 frames each. Whole processes
of `netlapse ls`, their start included; the first listing reads every run, later ones find them in the index.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import replace
from pathlib import Path

from .measure import machine, row

from netlapse import demo  # isort: skip
from netlapse.catalog.index import NAME
from netlapse.store import Frame, Run, Writer


def sweep(root: Path, count: int) -> None:
    """Runs by the store's own writer. Nothing has to outlive a power cut here, so that nothing is synced."""
    os.fsync = lambda _: None
    template = Run(demo.train("tanh", root.with_name("template")).run.path)
    weights = {parameter.name: template.weights(parameter.name) for parameter in template.manifest.parameters}
    scalars = {name: template.scalar(name) for name in template.scalars}
    files = {name: template.model_file(role) for role, name in template.manifest.model.items()}
    probe = {name: values[:20] for name, values in template.probe().items()}
    for number in range(count):
        varied = {"activation": ("tanh", "relu", "sigmoid")[number % 3], "learning_rate": 0.01 * (1 + number % 7)}
        varied |= {"seed": number}
        settings = template.manifest.hyperparameters | varied
        description = replace(template.manifest, id=uuid.uuid4().hex, name=f"run{number:05}", status="recording")
        path = root / f"sweep{number // 1000}" / description.name
        with_settings = replace(description, hyperparameters=settings)
        writer = Writer.create(path, with_settings, probe=probe, model=files)
        for epoch in range(20):
            logged = {name: float(values[epoch]) * (1 + number / count) for name, values in scalars.items()}
            now = {name: values[epoch] for name, values in weights.items()}
            writer.append(Frame(125 * epoch, float(epoch), 0.1 * epoch, now, logged))
        writer.close()


def listing(root: Path, *options: str) -> float:
    """Seconds of one whole process."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "netlapse", "ls", str(root), *options]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main(count: int, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "runs"
        sweep(root, count)
        first: list[float] = []
        for _ in range(repeats):
            (root / NAME).unlink(missing_ok=True)
            first.append(listing(root))
        later = [listing(root) for _ in range(3 * repeats)]
        asked = ("--where", "activation == 'relu' and final.loss < 0.5", "--sort", "final.loss")
        filtered = [listing(root, *asked) for _ in range(3 * repeats)]
        as_json = [listing(root, "--format", "json") for _ in range(3 * repeats)]
        empty = [listing(root / "sweep0" / "run00000" / "model") for _ in range(3 * repeats)]
        size = (root / NAME).stat().st_size
    print(f"{machine()}; {count} runs, an index of {size / 2**20:.1f} MiB")
    print(row("first listing", first, "s"))
    print(row("later listings", later, "s"))
    print(row("later, filtered and sorted", filtered, "s"))
    print(row("later, as JSON", as_json, "s"))
    print(row("a folder without runs: the start alone", empty, "s"))


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    main(*(numbers + [5_000, 5][len(numbers) :]))
