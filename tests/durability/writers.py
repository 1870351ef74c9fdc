"""Several processes that want to write one run."""

from __future__ import annotations

import shutil
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netlapse.errors import RunError
from netlapse.store import Writer

from . import content
from .process import Child

if TYPE_CHECKING:
    from pathlib import Path

WRITERS = 3
NETWORK = "9 floats"


@dataclass
class Contests:
    """Who got the run."""

    contests: int = 0
    winners: list[int] = field(default_factory=list)
    refused: int = 0
    named: int = 0
    taken_over: int = 0
    acknowledged: int = 0
    lost: int = 0
    troubles: list[str] = field(default_factory=list)

    def rows(self) -> dict[str, object]:
        return {
            "contests of three processes for one run": self.contests,
            "- with exactly one winner": self.winners.count(1),
            "- won after the writer before was killed, whose lock was left behind": self.taken_over,
            "later comers refused while the winner writes": self.refused,
            "- with a message that names its process and host": self.named,
            "acknowledged frames of killed winners compared": f"{self.acknowledged:,}",
            "acknowledged frames lost or altered": self.lost,
        }


def contest(contests: int, folder: Path, seed: int) -> Contests:
    """Let processes begin, replace or continue one run at the same time; kill the winner; again."""
    found = Contests()
    path = folder / "run"
    for number in range(contests):
        begin = ("create", "resume", "resume", "replace", "resume")[number % 5]
        if begin == "create":
            shutil.rmtree(path, ignore_errors=True)
        found.contests += 1
        children = [Child() for _ in range(WRITERS)]
        try:
            _contest(path, children, seed + number - number % 5 + (number % 5 > 2), begin, found)
        finally:
            for child in children:
                with child:
                    pass
    shutil.rmtree(path, ignore_errors=True)
    return found


def _contest(path: Path, children: list[Child], seed: int, begin: str, found: Contests) -> None:
    for child in children:
        child.ready()
    for child in children:
        child.order(path, seed, NETWORK, begin, frames=10**9, rhythm=found.contests)
    talks = [child.reports() for child in children]
    for talk in talks:
        assert next(talk).act == begin
    second = [next(talk) for talk in talks]
    winners = [index for index, report in enumerate(second) if report.act == "append"]
    found.winners.append(len(winners))
    if len(winners) != 1:
        found.troubles.append(f"contest {found.contests}: {[report.text or report.act for report in second]}")
        return
    [winner] = winners
    found.taken_over += begin == "resume"
    try:
        Writer.resume(path).close()
        found.troubles.append(f"contest {found.contests}: one more writer was let in")
    except RunError as error:
        found.refused += 1
        found.named += str(children[winner].pid) in str(error) and socket.gethostname() in str(error)
    acknowledged = second[winner].durable
    for report in talks[winner]:
        if acknowledged <= second[winner].durable < report.durable:
            children[winner].kill()
        acknowledged = max(acknowledged, report.durable)
    run = content.open_run(path)
    exact = content.exact(run)
    found.acknowledged += acknowledged
    lost = acknowledged - int(exact[:acknowledged].sum())
    found.lost += lost
    if lost or not exact.all() or run.verify() or run.status != "interrupted" or run.manifest.id != str(seed):
        found.troubles.append(f"contest {found.contests}: {len(run)} frames, {lost} lost, {run.status}, {run.verify()}")
