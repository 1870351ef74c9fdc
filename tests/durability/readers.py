"""A reader that looks at a run again and again while it is written, closed and continued."""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netlapse.errors import NetlapseError
from netlapse.store import is_run

from . import content
from .process import Child

if TYPE_CHECKING:
    from pathlib import Path

    from netlapse.store import Run

# Of one run.
TRAININGS = 30


@dataclass
class Readings:
    """What a reader saw."""

    runs: int = 0
    closings: int = 0
    looks: int = 0
    frames: int = 0
    torn: int = 0
    vanished: int = 0
    late: int = 0
    troubles: list[str] = field(default_factory=list)

    def rows(self) -> dict[str, object]:
        return {
            "looks at growing runs": f"{self.looks:,} ({self.runs} runs, closed and continued {self.closings} times)",
            "frames read and compared": f"{self.frames:,}",
            "- torn or altered": self.torn,
            "- seen once and gone later": self.vanished,
            "- acknowledged before a look and not seen by it": self.late,
        }


def watch(trainings: int, folder: Path, seed: int) -> Readings:
    """Read runs while they are recorded in so many short trainings."""
    found = Readings()
    for number in range(-(-trainings // TRAININGS)):
        path = folder / f"run{number}"
        found.runs += 1
        with Child() as child:
            _watch(path, child, seed + number, ("9 floats", "40 kB")[number % 2], min(trainings, TRAININGS), found)
        shutil.rmtree(path)
    return found


def _watch(path: Path, child: Child, seed: int, network: str, trainings: int, found: Readings) -> None:
    durable = [0]

    def listen() -> None:
        for report in child.reports():
            durable[0] = max(durable[0], report.durable)
            found.closings += report.act == "closed"

    child.order(path, seed, network, "create", trainings=trainings, frames=60, rhythm=seed)
    listener = threading.Thread(target=listen)
    listener.start()
    try:
        while listener.is_alive() and not is_run(path):
            pass
        followed, stale = content.open_run(path), content.open_run(path)
        growing = True
        while growing:  # once more after its end
            growing = listener.is_alive()
            acknowledged = durable[0]
            followed.refresh()
            for run in (followed, stale, stale := content.open_run(path)):
                _read(run, found)
            found.late += max(0, acknowledged - len(followed))
            found.vanished += max(0, len(followed) - len(stale))
            found.looks += 1
        if child.wait() or stale.status != "complete" or len(stale) != durable[0]:
            found.troubles.append(f"run {seed}: at its end it is {stale.status} with {len(stale)} frames")
    except (NetlapseError, OSError, UserWarning) as error:
        found.troubles.append(f"run {seed} after {durable[0]} frames: {error!r}")
    finally:
        listener.join(timeout=60)
    if found.torn or found.vanished or found.late:
        found.troubles.append(f"run {seed}: frames were torn, gone or late")


def _read(run: Run, found: Readings) -> None:
    before = len(run)
    exact = content.exact(run)
    found.frames += len(exact)
    found.torn += int((~exact).sum())
    found.vanished += before - len(run)
