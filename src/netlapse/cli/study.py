"""`netlapse study`: many networks at once."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from math import isfinite
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import StudyError
from .terminal import console, plain, say, wrote

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from ..study.study import Study


class Mode(StrEnum):
    """Ways to train the networks of a study."""

    exact = "exact"
    fast = "fast"


def study(
    what: Annotated[
        str,
        typer.Argument(
            help='The TOML file of a study; "article", which is built in; or "resume" and the folder of one that was'
            " stopped.",
            metavar="FILE.toml|article|resume",
        ),
    ],
    folder: Annotated[
        str | None, typer.Argument(help="Folder or URL of the study to resume.", metavar="FOLDER")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Folder or URL to keep it in; the file's own, or article-study, by default."),
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Networks of each setting.", min=1)] = None,
    mode: Annotated[
        Mode | None,
        typer.Option(help="exact: as fit trains each network. fast: many times as fast, within its rounding."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Cores to train on; all by default.", min=1)] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Train in processes of Ray, started on this machine.")] = False,
    ray_address: Annotated[
        str | None, typer.Option(help="Train on the Ray cluster at this address.", metavar="HOST:PORT")
    ] = None,
    record: Annotated[
        list[str] | None,
        typer.Option(
            help="Networks of each setting to make runs of: best, worst, median, failed, or a query such as"
            ' "first_right > 100". Can be given several times.',
            metavar="RULE",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Page to write, such as report.html; in the study's folder by default.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Hyper-parameter to compare by; each that varies by default.", metavar="NAME")
    ] = None,
) -> None:
    """Train many networks at once, over settings and seeds, and say what differs, with intervals and a report.

    What was stopped goes on with: netlapse study resume FOLDER. That runs the files that the study was made of.
    """
    made = _study(what, folder, out, seeds, mode, record or [])
    if by is not None and by not in made.varied:
        raise StudyError(f"the study does not vary {by!r}; --by can be {', '.join(made.varied)}")
    _train(made, jobs, ray_address or ray or None)
    table = made.table
    written = [f"{made.path}/table.parquet"]
    names = [by] if by else made.varied
    if "first_right" in table:
        _print_outcomes(table, names)
        written.append(str(_report(made, report, by)))
    else:
        console.print("Its targets are no classes, so no case is right or wrong: there are no findings and no report.")
    for path in written:
        wrote(path)
    _print_recorded(made)


def _study(
    what: str, folder: str | None, out: str | None, seeds: int | None, mode: Mode | None, record: Sequence[str]
) -> Study:
    from ..keras_backend import choose_backend

    if what == "resume" and folder is None:
        raise typer.BadParameter("resume which study? Write: netlapse study resume FOLDER")
    if what == "resume" and not (out is seeds is mode is None):
        raise typer.BadParameter("a study is resumed as it was started: without --out, --seeds and --mode")
    if what != "resume" and folder is not None:
        raise typer.BadParameter(f"only resume takes a folder; write: netlapse study {what} --out {folder}")
    if choose_backend("jax"):
        console.print("Keras backend: jax (KERAS_BACKEND is not set)")
    from ..keras.backend import keras

    if (backend := keras.backend.backend()) != "jax":
        raise StudyError(
            f"studies are trained by JAX, but Keras runs on {backend}; set KERAS_BACKEND=jax (and, if it is not"
            ' installed: pip install "netlapse[study]")'
        )
    from ..study import toml

    if what == "resume" and folder is not None:
        return toml.resume(folder, record=record)
    return toml.start(what, out=out, seeds=seeds, mode=mode.value if mode else None, record=record)


def _train(made: Study, jobs: int | None, ray: str | bool | None) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    text = TextColumn("{task.description}")
    columns = (SpinnerColumn(), text, BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"))
    settings = "1 setting" if len(made.settings) == 1 else f"{len(made.settings):,} settings"
    say(f"{settings} of {made.seeds:,} seeds, {made.mode}, in {made.path}")
    started, before = monotonic(), -1

    def pace(done: int, total: int) -> str:
        """How fast it goes, of what is trained in this run, with the time to compile."""
        nonlocal before
        before = done if before < 0 else before
        if done == before:
            return "compiling" if done < total else ""
        rate = (done - before) / (monotonic() - started)
        left = f", {timedelta(seconds=round((total - done) / rate))} left" if done < total else ""
        return f"{rate:,.3g} networks/s{left}"

    try:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("networks", total=None, pace="")
            made.run(
                jobs=jobs,
                ray=ray,
                progress=lambda done, total: progress.update(task, completed=done, total=total, pace=pace(done, total)),
            )
    except KeyboardInterrupt:
        say(f"stopped; go on with: netlapse study resume {made.path}")
        raise


def _print_outcomes(table: pd.DataFrame, names: Sequence[str]) -> None:
    """When networks became right, by setting, and what can be said of that."""
    from rich.table import Table

    from ..study.findings import findings
    from ..study.outcomes import outcomes, split
    from ..study.shares import share
    from ..study.survival import survival

    every = outcomes(table)
    for name in names:
        shown = Table(name.replace("_", " "), box=None, title_justify="left")
        for heading in ("n", f"right within {every.known:g} epochs", "median first epoch", "diverged"):
            shown.add_column(heading, justify="right")
        for setting, rows in split(table, name).items():
            of = every.of(rows)
            right, when = share(of, every.known), survival(of)
            shares = f"{right.value:.1%} ({right.low:.1%} to {right.high:.1%})"
            ends = f"{when.median_low:g} to {when.median_high:g}".replace("inf", "never")
            middle = f"{when.median:g} ({ends})" if isfinite(when.median) else "never"
            shown.add_row(*map(plain, (setting, f"{right.n:,}", shares, middle, f"{right.diverged:,}")))
        console.print()
        console.print(shown)
        console.print()
        for finding in findings(table, name):
            console.print(plain(f"- {finding.text}"))
    console.print()


def _print_recorded(made: Study) -> None:
    """Which networks are runs, and how they are looked at."""
    paths = list(made.recorded.values())
    if paths:
        what = "1 network is a run" if len(paths) == 1 else f"{len(paths):,} networks are runs"
        say(f"{what}: netlapse ls {made.path}/runs")
        say(f"one of them: netlapse show {paths[0]}, and plot or film in place of show")
    if len(paths) > 1:
        say(f"side by side: netlapse compare {paths[0]} {paths[1]}")


def _report(made: Study, path: Path | None, by: str | None) -> Path:
    if path is None:
        from ..store import folder_of

        # A page is a file of this machine, wherever the study is.
        remote = "://" in made.path
        path = Path(f"{folder_of(made.path).name}-report.html") if remote else Path(made.path) / "report.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    return made.report(path, by=by)
