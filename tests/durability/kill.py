"""SIGKILL at random moments of a run's life."""

from __future__ import annotations

import re
import shutil
import threading
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from netlapse.errors import NetlapseError
from netlapse.store import is_run

from . import content
from .process import Child, Report

if TYPE_CHECKING:
    from pathlib import Path

MOMENTS = {
    "create": "while a run was begun",
    "replace": "while a run was replaced",
    "resume": "while a run was taken up again",
    "append": "between or in appends",
    "flush": "in a flush",
    "close": "while closing and merging",
    "closed": "after closing",
}


@dataclass
class Kills:
    """What became of the runs of all killed processes."""

    trials: int = 0
    runs: int = 0
    moments: Counter[str] = field(default_factory=Counter)
    without_run: int = 0
    half_written: int = 0
    acknowledged: int = 0
    lost: int = 0
    unacknowledged_lost: int = 0
    not_resumed: int = 0
    left_over: int = 0
    troubles: list[str] = field(default_factory=list)

    def rows(self) -> dict[str, object]:
        return {
            "processes killed": f"{self.trials}, in {self.runs} runs",
            **{f"- {text}": self.moments[act] for act, text in MOMENTS.items()},
            "- of these before there was a run, or when the replaced one was gone": self.without_run,
            "- of these with a file half written": self.half_written,
            "acknowledged frames compared bit by bit after the kills": f"{self.acknowledged:,}",
            "acknowledged frames lost or altered": self.lost,
            "runs that could not be continued": self.not_resumed,
            "files of killed writers that were still there when their run had been closed": self.left_over,
            "most frames appended, not yet acknowledged, and lost in one kill": self.unacknowledged_lost,
        }


def kill(trials: int, folder: Path, seed: int) -> Kills:
    """Kill so many writers. Several in a row write the same run; the last one is let live and closes it."""
    rng = np.random.default_rng(seed)
    found = Kills()
    path = folder / "run"
    warm = Child()  # the next one starts while the last one's run is looked at
    try:
        while found.trials < trials:
            found.runs += 1
            network = str(rng.choice([*content.NETWORKS], p=[0.4, 0.3, 0.15, 0.15]))
            life = _Life(path, found.runs, network, found, rng)
            for _ in range(min(int(rng.integers(1, 8)), trials - found.trials)):
                victim, warm = warm, Child()
                with victim:
                    life.kill(victim)
            survivor, warm = warm, Child()
            with survivor:
                life.finish(survivor)
    finally:
        with warm:
            pass
    return found


class _Life:
    """One run from its beginning to its end, with the kills between."""

    def __init__(self, path: Path, seed: int, network: str, found: Kills, rng: np.random.Generator) -> None:
        self.path, self.seed, self.network, self.found, self.rng = path, seed, network, found, rng
        self.frames = 0  # that must be there

    def kill(self, child: Child) -> None:
        found, rng = self.found, self.rng
        found.trials += 1
        begin = self._beginning()
        # The rarer moments as often as the others.
        often = 6 if begin != "resume" else 1
        target = str(rng.choice([begin] * often + ["append", "append", "flush", "close", "close"]))
        # From microseconds, as renaming takes, to the time that some segments take.
        timer = threading.Timer(10 ** rng.uniform(-4.5, -0.8), child.kill)
        last = Report(begin)
        child.order(self.path, self.seed, self.network, begin, rhythm=found.trials)
        for report in child.reports():
            if report.act == target and not timer.ident:
                timer.start()
            if report.act == "refused":
                self._trouble(report.text)
                found.not_resumed += 1
                shutil.rmtree(self.path)
                return
            self._began(last, report)
            last = report
        timer.cancel()
        if child.wait() != -9:
            self._trouble("the writer died by itself")
        found.moments[last.act] += 1
        found.half_written += bool(_left_over(self.path))
        if last.durable > last.appended:
            self._trouble("more was acknowledged than appended")
        self._look(begin, last)

    def finish(self, child: Child) -> None:
        """Let the last one close the run."""
        begin = self._beginning()
        child.order(self.path, self.seed, self.network, begin, trainings=1, frames=9, rhythm=self.found.trials)
        reports = list(child.reports())
        for last, report in pairwise(reports):
            self._began(last, report)
        if reports[-1].act != "closed":
            self._trouble(reports[-1].text or "the writer died by itself")
            self.found.not_resumed += 1
            shutil.rmtree(self.path)
            return
        child.wait()
        self._look(begin, reports[-1])
        if content.open_run(self.path).status != "complete":
            self._trouble("it was closed, and is not complete")
        self.found.left_over += len(_left_over(self.path))
        if self.rng.random() < 0.5:  # else the next run replaces this one
            shutil.rmtree(self.path)

    def _beginning(self) -> str:
        if not is_run(self.path):
            self.frames = 0
            shutil.rmtree(self.path, ignore_errors=True)  # what is left of a run that was killed when it was begun
            return "create"
        return "resume" if content.open_run(self.path).manifest.id == str(self.seed) else "replace"

    def _began(self, last: Report, report: Report) -> None:
        """Whoever goes on counts at least the frames that were seen."""
        if (last.act, report.act) == ("resume", "append") and report.appended < self.frames:
            self._trouble(f"{self.frames} frames were there; whoever continued it found {report.appended}")
        self.frames = max(self.frames, report.durable)

    def _look(self, begin: str, last: Report) -> None:
        """Compare all that is there with what was appended."""
        found = self.found
        if not is_run(self.path):
            found.without_run += 1
            found.lost += self.frames
            if begin == "resume" or last.act not in ("create", "replace"):
                self._trouble("the run is gone")
            return
        try:
            run = content.open_run(self.path)
            exact = content.exact(run)
            problems = run.verify()
        except (NetlapseError, OSError, UserWarning) as error:
            found.lost += self.frames
            self._trouble(str(error))
            return
        if begin == "replace" and last.act == "replace" and run.manifest.id != str(self.seed):
            if not exact.all() or problems:  # the old run, not yet touched
                self._trouble(f"the run to be replaced is neither whole nor gone: {problems}")
            return
        found.acknowledged += self.frames
        lost = self.frames - int(exact[: self.frames].sum())
        found.lost += lost
        found.unacknowledged_lost = max(found.unacknowledged_lost, last.appended - len(run))
        if lost or not exact.all() or problems or run.status == "recording" or run.manifest.id != str(self.seed):
            wrong = f"{(~exact).sum()} of {len(run)} frames are not what was appended"
            self._trouble(f"{lost} frames are lost; {wrong}; {run.status}; {problems}")
        self.frames = len(run)

    def _trouble(self, what: str) -> None:
        self.found.troubles.append(f"trial {self.found.trials}, run {self.seed} of {self.network}: {what}")


def _left_over(path: Path) -> list[Path]:
    """Files that are no part of a run."""
    parts = ("run.json", "run.lock", "probe.safetensors", "model/net.json")
    files = [file for file in path.rglob("*") if file.is_file() and str(file.relative_to(path)) not in parts]
    return [
        file for file in files if not (file.parent.name == "frames" and re.fullmatch(r"\d+\.safetensors", file.name))
    ]
