"""What storing a training costs, beside its rivals: python -m bench.store [repeats] [--workloads A B C] [--stores ...]

Nothing is trained: seeded weights drift from frame to frame, in new arrays each time, as JAX hands them over. Every
store is written and read in processes of its own, in turn, and read with all its files in the page cache.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from .measure import fresh, machine
from .rivals import BLOCK_BYTES, STORES

GPT2_BLOCK = {
    "ln_1/scale": (768,),
    "ln_1/bias": (768,),
    "attn_c_attn/kernel": (768, 2304),
    "attn_c_attn/bias": (2304,),
    "attn_c_proj/kernel": (768, 768),
    "attn_c_proj/bias": (768,),
    "ln_2/scale": (768,),
    "ln_2/bias": (768,),
    "mlp_c_fc/kernel": (768, 3072),
    "mlp_c_fc/bias": (3072,),
    "mlp_c_proj/kernel": (3072, 768),
    "mlp_c_proj/bias": (768,),
}


@dataclass(frozen=True)
class Workload:
    """A training to be stored. `parameter` is the one that is read at all frames.

    `samples` says how many frames the stores are given that would take too long with all; what depends on the number
    of frames is then scaled up and marked with a tilde.
    """

    title: str
    frames: int
    shapes: dict[str, tuple[int, ...]]
    parameter: str
    repeats: int = 1_000
    samples: dict[str, int] = field(default_factory=dict)

    def start(self, name: str) -> np.ndarray:
        """A parameter at frame 0."""
        seed = list(self.shapes).index(name)
        return np.random.default_rng(seed).standard_normal(self.shapes[name], np.float32)

    @cached_property
    def _starts(self) -> dict[str, np.ndarray]:
        return {name: self.start(name) for name in self.shapes}

    def weights(self, number: int) -> dict[str, np.ndarray]:
        """All parameters at a frame, in new arrays."""
        return {name: start * drift(number) for name, start in self._starts.items()}

    def scalars(self, number: int) -> dict[str, float]:
        """What is logged at a frame."""
        return {"loss": math.exp(-number / self.frames), "accuracy": number / self.frames}

    @property
    def nbytes(self) -> int:
        """Bytes of one frame's weights."""
        return 4 * sum(math.prod(shape) for shape in self.shapes.values())


def drift(number: int) -> np.float32:
    """The factor by which a frame's weights differ from those of frame 0."""
    return np.float32(1 + 1e-4 * number)


WORKLOADS = {
    "A": Workload(
        title="18,750 frames of 9 floats (the article's network, every step)",
        frames=18_750,
        shapes={"hidden/kernel": (2, 2), "hidden/bias": (2,), "output/kernel": (2, 1), "output/bias": (1,)},
        parameter="hidden/kernel",
        samples={"Orbax": 150, ".keras": 150},
    ),
    "B": Workload(
        title="150 frames of 1.2 million parameters in 8 arrays (a small CNN, every epoch)",
        frames=150,
        shapes={
            "conv1/kernel": (3, 3, 1, 32),
            "conv1/bias": (32,),
            "conv2/kernel": (3, 3, 32, 64),
            "conv2/bias": (64,),
            "dense/kernel": (9216, 128),
            "dense/bias": (128,),
            "output/kernel": (128, 10),
            "output/bias": (10,),
        },
        parameter="conv2/kernel",
    ),
    "C": Workload(
        title="20 frames of 124 million parameters in 148 arrays (GPT-2 small)",
        frames=20,
        shapes={
            "wte/embeddings": (50257, 768),
            "wpe/embeddings": (1024, 768),
            **{f"h{block}_{name}": shape for block in range(12) for name, shape in GPT2_BLOCK.items()},
            "ln_f/scale": (768,),
            "ln_f/bias": (768,),
        },
        parameter="h5_mlp_c_fc/kernel",
        repeats=1,
    ),
}


@dataclass(frozen=True)
class Row:
    """One line of the tables: what was measured, its unit, whether it grows with the frames, and is part of writing."""

    title: str
    unit: str
    grows: bool
    writing: bool


ROWS = {
    "append": Row("append, median of all frames", "s", False, True),
    "longest": Row("append, longest", "s", False, True),
    "blocked": Row("all appends: the training thread waits", "s", True, True),
    "durable": Row("added until all is durable", "s", True, True),
    "memory": Row("peak memory of writing", "B", False, True),
    "files": Row("files", "", True, True),
    "bytes": Row("bytes on disk", "B", True, True),
    "open": Row("open", "s", True, False),
    "frame": Row("read one frame", "s", False, False),
    "parameter": Row("read one parameter at all frames", "s", True, False),
    "everything": Row("read everything", "s", True, False),
}


def job(letter: str, store: str) -> tuple[Workload, int]:
    """A workload as this store is given it, and its number of frames when it is given to the others."""
    workload = WORKLOADS[letter]
    return replace(workload, frames=workload.samples.get(store, workload.frames)), workload.frames


def touch_memory() -> None:
    """Use and free a gigabyte, in another process: what a virtual machine left alone, its host has to find again."""
    fresh(f"import numpy; numpy.ones({4 * BLOCK_BYTES}, numpy.uint8)")


def write(letter: str, name: str, path: str) -> str:
    """Write a workload. Returns, as JSON, seconds and bytes by the keys of ROWS."""
    workload, _ = job(letter, name)
    store = STORES[name](Path(path), workload)
    workload.weights(0)  # so that what is drawn once is drawn before the clock starts
    start = time.perf_counter()
    for number in range(workload.frames):
        workload.weights(number)
    alone = time.perf_counter() - start
    os.sync()
    touch_memory()
    appends: list[float] = []
    start = time.perf_counter()
    store.begin()
    for number in range(workload.frames):
        weights = workload.weights(number)
        before = time.perf_counter()
        weights = store.adopt(weights)
        adopted = time.perf_counter()
        alone += adopted - before
        store.append(number, weights, workload.scalars(number))
        appends.append(time.perf_counter() - adopted)
    store.close()
    if not store.durable:
        os.sync()
    whole = time.perf_counter() - start
    # Not ru_maxrss, which begins with the memory of the process that started this one.
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
    files = [Path(path), *Path(path).rglob("*")]
    return json.dumps(
        {
            "append": statistics.median(appends),
            "longest": max(appends),
            "blocked": sum(appends),
            "durable": whole - alone,
            "memory": peak,
            "files": sum(file.is_file() for file in files),
            "bytes": sum(file.stat().st_blocks * 512 for file in files),
        }
    )


def read(letter: str, name: str, path: str) -> str:
    """Read a workload, opened anew for each way to read. Returns, as JSON, seconds by the keys of ROWS."""
    workload, _ = job(letter, name)
    store = STORES[name](Path(path), workload)
    for file in (Path(path), *Path(path).rglob("*")):
        if file.is_file():
            with file.open("rb") as content:
                while content.read(2**20):
                    pass
    seconds: dict[str, float] = {}

    def timed(key: str, action):
        touch_memory()
        start = time.perf_counter()
        found = action()
        seconds[key] = time.perf_counter() - start
        return found

    middle = workload.frames // 2
    if timed("open", store.open) != workload.frames:
        raise ValueError(f"{name} has lost frames of {letter}")
    for key, array in timed("frame", lambda: store.frame(middle)).items():
        np.testing.assert_array_equal(array, workload.start(key) * drift(middle))
    store.open()
    values = timed("parameter", lambda: store.parameter(workload.parameter))
    start = workload.start(workload.parameter)
    for number in range(0, workload.frames, max(1, workload.frames // 100)):
        np.testing.assert_array_equal(values[number], start * drift(number))
    del values
    store.open()

    def through():
        for _ in store.everything():
            pass

    timed("everything", through)
    return json.dumps(seconds)


def measure(letter: str, name: str) -> dict[str, float]:
    """One store, written, read and removed."""
    workload, frames = job(letter, name)
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "training"
        for part in ("write", "read"):
            code = f"import sys; from bench.store import {part}; print({part}(*sys.argv[1:]))"
            found |= json.loads(fresh(code, letter, name, path).splitlines()[-1])
    scale = frames / workload.frames
    return {key: value * scale if ROWS[key].grows else value for key, value in found.items()}


def amount(value: float, unit: str) -> str:
    """A number for people, with three digits."""
    steps = {"s": (("s", 1), ("ms", 1e-3), ("us", 1e-6)), "B": (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))}
    for prefixed, size in steps.get(unit, ()):
        if value >= size or prefixed in ("us", "kB"):
            return f"{value / size:.3g} {prefixed}" if value < 1000 * size else f"{value / size:,.0f} {prefixed}"
    return f"{value:,.0f}"


def table(letter: str, rounds: list[dict[str, dict[str, float]]]) -> str:
    """The medians of a workload, and netlapse's share of the best rival's, of all and of those that are durable."""
    workload, names = WORKLOADS[letter], list(rounds[0])
    heads = [name + (" ~" if name in workload.samples else "") for name in names]
    lines = [
        f"{letter}: {workload.title}; {len(rounds)} round{'s' * (len(rounds) > 1)}",
        "",
        f"| | {' | '.join(heads)} | netlapse / fastest rival | / fastest durable rival |",
        "|---" * (len(names) + 3) + "|",
    ]

    def against(key: str, rivals: list[str]) -> str:
        if "netlapse" not in names or not rivals:
            return ""
        best = min(rivals, key=lambda name: statistics.median(found[name][key] for found in rounds))
        ratios = [found["netlapse"][key] / min(found[name][key] for name in rivals) for found in rounds]
        return f"{statistics.median(ratios):.2g} ({best})"

    rivals = [name for name in names if name != "netlapse"]
    for key, row in ROWS.items():
        cells = []
        for name in names:
            value = statistics.median(found[name][key] for found in rounds)
            cells.append("~" * (row.grows and name in workload.samples) + amount(value, row.unit))
        durable = against(key, [name for name in rivals if STORES[name].durable]) if row.writing else ""
        lines.append(f"| {row.title} | {' | '.join(cells)} | {against(key, rivals)} | {durable} |")
    lines += [
        f"\n~ {name}: scaled up from {frames} frames" for name, frames in workload.samples.items() if name in names
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.store", description=__doc__)
    parser.add_argument("repeats", nargs="?", type=int, default=3)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--stores", nargs="+", choices=STORES, default=list(STORES))
    options = parser.parse_args()
    print(machine())
    for letter in options.workloads:
        repeats = min(options.repeats, WORKLOADS[letter].repeats)
        rounds = []
        for number in range(repeats):
            # Each round in another order: who comes first finds another machine than who comes last.
            turn = number % len(options.stores)
            found = {name: measure(letter, name) for name in options.stores[turn:] + options.stores[:turn]}
            rounds.append({name: found[name] for name in options.stores})
        print(f"\n{table(letter, rounds)}", flush=True)


if __name__ == "__main__":
    main()
