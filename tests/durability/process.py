"""The parent's end of child.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

ROOT = Path(__file__).resolve().parents[2]


class Report(NamedTuple):
    """What the child said: what it does now, and how many frames it has appended and knows to be durable by then."""

    act: str
    appended: int = 0
    durable: int = 0
    text: str = ""


class Child:
    """A process that has started and waits for its orders, so that what it does can be timed from the order on."""

    def __init__(self, under: Sequence[str] = ()) -> None:
        command = [*under, sys.executable, "-m", "tests.durability.child"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self._ready = False

    @property
    def pid(self) -> int:
        return self._process.pid

    def ready(self) -> None:
        """Wait until it has imported what it needs."""
        if not self._ready and self._process.stdout.readline() != "ready\n":
            raise RuntimeError("the child did not start; its own words are above")
        self._ready = True

    def order(self, path: Path, seed: int, network: str, begin: str, **more: int) -> None:
        """Let it train: see `train` in child.py."""
        self.ready()
        orders = {"path": str(path), "seed": seed, "network": network, "begin": begin, **more}
        self._process.stdin.write(json.dumps(orders) + "\n")
        self._process.stdin.flush()

    def reports(self) -> Iterator[Report]:
        """What it says, until it ends."""
        for line in self._process.stdout:
            if not line.endswith("\n"):  # cut short by the kill: it has not been said
                return
            act, *rest = line.split()
            yield Report("refused", text=line) if act == "refused" else Report(act, *map(int, rest))

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> int:
        """Its exit status: -9 if it was killed."""
        return self._process.wait(timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()
