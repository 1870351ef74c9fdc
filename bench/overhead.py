"""What recording costs, beside what else people watch a training with.

python -m bench.overhead [article|cnn|transformer|keras|lightning ...] [repeats]

Every round trains once in each way, in turn, and each is divided by the unrecorded training of its round: the
machine's moods cancel out. What they leave is shown by a second unrecorded training in each round. The order changes
from round to round; a short round that is not counted comes first and compiles and imports what there is.
"""

from __future__ import annotations

import functools
import gc
import importlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .measure import machine

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = {
    "article": "overhead_torch",
    "cnn": "overhead_torch",
    "transformer": "overhead_torch",
    "keras": "overhead_keras",
    "lightning": "overhead_lightning",
}


class Clock:
    """Seconds of one training by phase: all of it, and what its watcher took of it.

    A watcher opens, is called while the network is trained, and closes.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.processor: defaultdict[str, float] = defaultdict(float)

    def timed(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, its time counted to a phase."""
        # Asking for the processor's time is slow, and of a hook it would not say whose thread took it.
        processor = time.process_time if phase != "within" else float

        @functools.wraps(function)
        def call(*arguments: Any, **keywords: Any) -> Any:
            start, busy = time.perf_counter(), processor()
            try:
                return function(*arguments, **keywords)
            finally:
                self.seconds[phase] += time.perf_counter() - start
                self.processor[phase] += processor() - busy

        return call

    def watch(self, watcher: Any, base: type, opening: set[str], closing: set[str]) -> None:
        """Count what passes within the hooks that the watcher does not leave as its base class has them."""
        for name in dir(base):
            if name.startswith("_") or getattr(type(watcher), name) is getattr(base, name):
                continue
            phase = "opening" if name in opening else "closing" if name in closing else "within"
            if callable(function := getattr(watcher, name)):
                setattr(watcher, name, self.timed(phase, function))

    @property
    def training(self) -> float:
        """Seconds of the training, opening and closing left out."""
        return _between(self.seconds)

    @property
    def busy(self) -> float:
        """Seconds that processors spent on it, in all threads of this process."""
        return _between(self.processor)


def _between(seconds: dict[str, float]) -> float:
    return seconds["all"] - seconds["opening"] - seconds["closing"]


@dataclass(frozen=True)
class Way:
    """A way to train: how it watches, what it stores, and how long it takes to train into an empty folder.

    `inward` says that the watcher hooks into the network, where its time is not told from the network's.
    """

    name: str
    stores: str
    train: Callable[[Path, int], Clock]
    inward: bool = False


@dataclass(frozen=True)
class Workload:
    """One training, in several ways. The first is unrecorded."""

    title: str
    epochs: int
    ways: list[Way]


def measure(workload: Workload, repeats: int) -> str:
    """A table of the medians and ranges."""
    ways = workload.ways
    ways = [*ways, Way("nothing, once more", "", ways[0].train)]
    clocks: dict[str, list[Clock]] = {way.name: [] for way in ways}
    sizes: dict[str, int] = {}
    for number in range(repeats + 1):
        for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
            folder = Path(tempfile.mkdtemp())
            try:
                gc.collect()
                os.sync()  # nobody waits for what another left to be written
                clock = way.train(folder, workload.epochs if number else 1)
                sizes[way.name] = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            finally:
                shutil.rmtree(folder)
            if number:
                clocks[way.name].append(clock)
    unrecorded = [clock.training for clock in clocks[ways[0].name]]
    lines = [
        f"{workload.title}; unrecorded {_spread(unrecorded, '.2f')} s",
        "",
        "| | stores | training / unrecorded | processor time / unrecorded | within its hooks | open, close | written |",
        "|---|---|---|---|---|---|---|",
    ]
    for way in ways[1:]:
        pairs = list(zip(clocks[way.name], clocks[ways[0].name], strict=True))
        cells = [
            way.name,
            way.stores,
            _spread([clock.training / base.training for clock, base in pairs], ".3f"),
            _spread([clock.busy / base.busy for clock, base in pairs], ".3f"),
        ]
        within = [100 * clock.seconds["within"] / base.training for clock, base in pairs]
        opening, closing = (
            statistics.median(clock.seconds[phase] for clock, _ in pairs) for phase in ("opening", "closing")
        )
        cells.append("" if way.inward else f"{_spread(within, '.2f')} %")
        cells += [f"{opening:.2f} s, {closing:.2f} s", _bytes(sizes[way.name])] if way.stores else ["", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def _bytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def main(names: list[str], repeats: int) -> None:
    print(machine())
    for name in names:
        for workload in importlib.import_module(f".{MODULES[name]}", __package__).workloads(name):
            print(f"\n{measure(workload, repeats)}", flush=True)


if __name__ == "__main__":
    wanted = sys.argv[1:]
    count = int(wanted.pop()) if wanted and wanted[-1].isdigit() else 5
    main(wanted or list(MODULES), count)
