"""`netlapse import | cp | rm | prune`: runs that are made of old recordings, copied, removed, thinned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import DamagedRun
from .options import RunPath, RunPaths
from .terminal import say, wrote


def import_recording(
    recording: Annotated[Path, typer.Argument(help="HDF5 file that deepreplay wrote.", metavar="OLD.h5")],
    model: Annotated[
        Path | None, typer.Option(help="HDF5 file of its model; the one beside it, ..._model.h5, by default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the run; named after the recording by default.")
    ] = None,
) -> None:
    """Make a run of an old recording of deepreplay."""
    from ..deepreplay import import_deepreplay

    for run in import_deepreplay(recording, out, model):
        wrote(run)


def copy(
    source: Annotated[str, typer.Argument(help="Run to copy: a folder or a URL.", metavar="RUN")],
    target: Annotated[str, typer.Argument(help="Where to: a new folder or a URL.", metavar="TARGET")],
) -> None:
    """Copy a run, to another store too. A copy is checked byte by byte."""
    from ..store import copy_run

    copied = copy_run(source, target)
    problems = copied.verify()
    say(f"copied {len(copied)} frames to {copied.path}")
    for problem in problems:
        say(f"  {problem}")
    if problems:
        raise typer.Exit(1)


def remove(
    paths: RunPaths,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove runs for good, after asking."""
    from ..store import Run, remove_run

    for path in paths:
        try:
            run = Run(path)
            what = f"{path}, {run.status}, {len(run)} frames"
        except DamagedRun:
            what = f"{path}, damaged"
        if yes or typer.confirm(f"Remove {what}?"):
            remove_run(path)
            say(f"removed {path}")


def prune(
    path: RunPath,
    every: Annotated[int | None, typer.Option(help="Keep one frame of so many.", min=2)] = None,
    budget: Annotated[str | None, typer.Option(help='The most bytes to keep, such as "500MB".')] = None,
) -> None:
    """Leave out frames of a run, evenly and for good. The first and the last stay."""
    from ..store import Run, prune_run

    before = len(Run(path))
    run = prune_run(path, every=every, budget=budget)
    say(f"kept {len(run)} of {before} frames of {path}")
