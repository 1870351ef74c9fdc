"""The command line: `netlapse demo | study | ls | show | plot | film | compare | verify | cp | rm | prune | import`."""

from __future__ import annotations

import sys
from datetime import timedelta
from enum import StrEnum
from math import isfinite, isnan
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from .errors import DamagedRun, NetlapseError, StudyError, printable

# Nothing else that takes long is imported before it is needed: `netlapse ls` starts in a tenth of a second.
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from matplotlib.figure import Figure
    from rich.progress import Progress

    from .replay import Replay
    from .store import Parameter
    from .study.study import Study

app = typer.Typer(
    help="See a neural network learn: record a training run, replay it as figures and films.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False)


class Theme(StrEnum):
    """Colours of the pictures."""

    light = "light"
    dark = "dark"


class Format(StrEnum):
    """Ways to write a list of runs."""

    table = "table"
    json = "json"
    csv = "csv"


class Mode(StrEnum):
    """Ways to train the networks of a study."""

    exact = "exact"
    fast = "fast"


# No Path: it would take a slash out of s3://bucket/run.
RunPath = Annotated[str, typer.Argument(help="Folder or URL of a recorded run.", metavar="RUN")]
RunPaths = Annotated[list[str], typer.Argument(help="Folders or URLs of recorded runs.", metavar="RUN...")]
Epoch = Annotated[float | None, typer.Option(help="Epoch to draw; the last by default.")]
Layer = Annotated[str | None, typer.Option(help="Layer whose feature space is drawn; the last hidden one by default.")]
Panels = Annotated[
    str | None, typer.Option(help="Panels to show, such as feature_space,weights,curves.", metavar="NAME,...")
]
Curves = Annotated[
    bool | None,
    typer.Option(
        "--curves/--no-curves", help="Accuracy and loss of several runs at the right; yes unless a row has them."
    ),
]
ThemeOption = Annotated[Theme, typer.Option(help="Colours.")]
Size = Annotated[str | None, typer.Option(help="Width and height in pixels.", metavar="WxH")]
Dpi = Annotated[float, typer.Option(help="Pixels per inch; more makes the text larger.")]


def main() -> None:
    """Run the command line; an error that netlapse raises on purpose is one line, not a traceback."""
    try:
        app()
    except (NetlapseError, ImportError, OSError, ValueError) as error:
        Console(stderr=True, highlight=False).print(
            Text.assemble(("error: ", "bold red"), _text(error)), soft_wrap=True
        )
        sys.exit(1)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where everything is written.")] = Path("demo"),
    theme: ThemeOption = Theme.light,
) -> None:
    """Train the article's networks, and write its pictures, films and milestones."""
    from rich.table import Table

    from .keras_backend import choose_backend

    if choose_backend("jax"):
        console.print("Keras backend: jax (KERAS_BACKEND is not set)")
    from . import demo as experiment
    from .figures import film

    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    replays: list[Replay] = []
    with _progress() as progress:
        for activation in experiment.ACTIVATIONS:
            task = progress.add_task(f"train {activation}", total=experiment.EPOCHS)
            run = folder / "runs" / activation
            replays.append(experiment.train(activation, run, progress=lambda task=task: progress.advance(task)))
            written.append(run)
        task = progress.add_task("pictures", total=11)
        for name, figure in experiment.pictures(replays, theme.value):
            written.append(_save(figure, folder / f"{name}.png"))
            progress.advance(task)
        for replay in replays:
            task = progress.add_task(f"film {replay.name}", total=None)
            written.append(
                film(
                    replay,
                    folder / f"{replay.name}.mp4",
                    domain=experiment.DOMAIN,
                    theme=theme.value,
                    progress=lambda done, total, task=task: progress.update(task, completed=done, total=total),
                )
            )
        task = progress.add_task("film tanh, small", total=None)
        written.append(
            film(
                replays[experiment.ACTIVATIONS.index("tanh")],
                folder / "tanh.gif",
                domain=experiment.DOMAIN,
                theme=theme.value,
                size=(960, 480),
                dpi=80,
                fps=10,
                epochs=slice(0, None, 3),
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
        )
    found = {replay.name: replay.milestones() for replay in replays}
    table = Table(*experiment.HEADINGS, title=r"Epochs at which cases are right: first time, for good \[the article's]")
    for activation, milestones in found.items():
        table.add_row(*(cell.replace("[", r"\[") for cell in experiment.milestone_row(activation, milestones)))
    console.print(table)
    relu, tanh = found["relu"].all.for_good, found["tanh"].all.for_good
    if relu and tanh:
        console.print(f"ReLU needs {relu / tanh:.0%} of tanh's epochs (the article: about 75%).")
    console.print(f"\nWrote to {folder.resolve()}:")
    for path in written:
        console.print(f"  {path.relative_to(folder)}{'/' if path.is_dir() else ''}")


@app.command()
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
    made = _study(what, folder, out, seeds, mode)
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
        _wrote(path)


def _study(what: str, folder: str | None, out: str | None, seeds: int | None, mode: Mode | None) -> Study:
    from .keras_backend import choose_backend

    if what == "resume" and folder is None:
        raise typer.BadParameter("resume which study? Write: netlapse study resume FOLDER")
    if what == "resume" and not (out is seeds is mode is None):
        raise typer.BadParameter("a study is resumed as it was started: without --out, --seeds and --mode")
    if what != "resume" and folder is not None:
        raise typer.BadParameter(f"only resume takes a folder; write: netlapse study {what} --out {folder}")
    if choose_backend("jax"):
        console.print("Keras backend: jax (KERAS_BACKEND is not set)")
    from .keras.backend import keras

    if (backend := keras.backend.backend()) != "jax":
        raise StudyError(
            f"studies are trained by JAX, but Keras runs on {backend}; set KERAS_BACKEND=jax (and, if it is not"
            ' installed: pip install "netlapse[study]")'
        )
    from .study import toml

    if what == "resume" and folder is not None:
        return toml.resume(folder)
    return toml.start(what, out=out, seeds=seeds, mode=mode.value if mode else None)


def _train(made: Study, jobs: int | None, ray: str | bool | None) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    text = TextColumn("{task.description}")
    columns = (SpinnerColumn(), text, BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"))
    settings = "1 setting" if len(made.settings) == 1 else f"{len(made.settings):,} settings"
    console.print(_text(f"{settings} of {made.seeds:,} seeds, {made.mode}, in {made.path}"), soft_wrap=True)
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
        console.print(_text(f"stopped; go on with: netlapse study resume {made.path}"), soft_wrap=True)
        raise


def _print_outcomes(table: pd.DataFrame, names: Sequence[str]) -> None:
    """When networks got all cases right, by setting, and what can be said of that."""
    from rich.table import Table

    from .study.findings import findings
    from .study.statistics import outcomes, share, split, survival

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
            shown.add_row(*map(_text, (setting, f"{right.n:,}", shares, middle, f"{right.diverged:,}")))
        console.print()
        console.print(shown)
        console.print()
        for finding in findings(table, name):
            console.print(_text(f"- {finding.text}"))
    console.print()


def _report(made: Study, path: Path | None, by: str | None) -> Path:
    if path is None:
        # A page is a file of this machine, wherever the study is.
        remote = "://" in made.path
        path = Path(f"{_folder_name(made.path)}-report.html") if remote else Path(made.path) / "report.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    return made.report(path, by=by)


@app.command(name="ls")
def list_runs(
    root: Annotated[str, typer.Argument(help="Folder or URL to look below.")] = ".",
    where: Annotated[
        str | None,
        typer.Option(help="Only runs for which this holds: \"activation == 'relu' and final.loss < 0.1\"."),
    ] = None,
    sort: Annotated[str | None, typer.Option(help="Column to sort by; -COLUMN for the greatest first.")] = None,
    columns: Annotated[str | None, typer.Option(help="Columns to show, such as path,seed,final.loss.")] = None,
    limit: Annotated[int | None, typer.Option(help="Show at most so many runs.", min=1)] = None,
    format: Annotated[Format, typer.Option(help="How to write the list.")] = Format.table,  # noqa: A002
) -> None:
    """List the runs below a folder: their settings, how far they came, what they reached."""
    from . import catalog, listing

    found = catalog.rows(root, where, sort)
    names = [name.strip() for name in columns.split(",")] if columns else None
    if names and found:
        catalog.check(names, catalog.columns(found))
    found = found[:limit]
    if format is Format.json:
        typer.echo(listing.as_json(found, names))  # not rich, which takes seconds for megabytes
    elif format is Format.csv:
        typer.echo(listing.as_csv(found, names))
    elif found:
        listing.print_table(found, names, sort, console)
    else:
        console.print(_text(f"There are no runs below {root}" + (" for which that holds." if where else ".")))


@app.command()
def show(path: RunPath) -> None:
    """Say what a run holds."""
    from rich.table import Table

    from .store import Run, size_of

    run = Run(path)
    manifest, epochs, times = run.manifest, run.epochs, run.times
    facts = Table(box=None, show_header=False)

    def fact(*cells: object) -> None:
        facts.add_row(*map(_text, cells))

    fact("run", f"{run.name} ({path})")
    fact("status", run.status)
    fact("recorded", f"{manifest.created}, schedule {manifest.schedule}, with netlapse {manifest.netlapse}")
    versions = ", ".join(f"{name} {number}" for name, number in manifest.versions.items())
    fact("framework", f"{manifest.framework} on {manifest.backend} ({versions})")
    if len(run):
        duration = "" if isnan(times[-1]) else f", {times[-1]:.1f} s"  # an imported run does not know
        fact("frames", f"{len(run)}, epochs {epochs[0]:g} to {epochs[-1]:g}{duration}")
    if run.superseded:
        fact("", f"{run.superseded} more of steps that were done again")
    if thinned := manifest.thinned:
        fact(
            "thinned",
            f"{thinned.dropped} frames were left out; one of {thinned.every} is kept of the first {thinned.below}",
        )
    stored = [manifest.storage.get("dtype") or "", "compressed" if manifest.storage.get("compressed") else ""]
    fact("size", ", ".join([f"{size_of(run.folder):,} bytes", *filter(None, stored)]))
    probe = manifest.probe
    fact("probe", f"{probe['examples']} of {probe['drawn_from']} examples")
    if "validation_examples" in probe:
        fact("validation", f"{probe['validation_examples']} of {probe['validation_drawn_from']} examples")
    if "reason" in manifest.model:
        fact("network", f"not in the run: {run.model_file('reason').decode(errors='replace')}")
    for name in run.scalars:
        fact(name, f"{run.scalar(name)[-1]:.6g} at the last frame")
    console.print(facts)
    layers = Table("layer", "type", "units", "activation", "parameters", title="Layers", title_justify="left", box=None)

    def shapes_of(parameters: Iterable[Parameter]) -> str:
        return ", ".join(f"{p.name} {list(p.shape)}{'' if p.trainable else ' (not trainable)'}" for p in parameters)

    own: dict[str, list[Parameter]] = {}
    for parameter in manifest.parameters:
        own.setdefault(parameter.layer, []).append(parameter)
    for layer in manifest.layers:
        shapes = shapes_of(own.pop(layer.name, ()))
        layers.add_row(*map(_text, (layer.name, layer.type, layer.units or "", layer.activation or "", shapes)))
    # Weights that belong to no one layer: of a layer that is applied several times, or of the network itself.
    for name, parameters in own.items():
        layers.add_row(_text(name), "", "", "", _text(shapes_of(parameters)))
    console.print(layers)
    settings = Table("hyper-parameter", "value", title="Hyper-parameters", title_justify="left", box=None)
    for key, value in manifest.hyperparameters.items():
        settings.add_row(_text(key), _text(value))
    console.print(settings)


@app.command()
def plot(
    path: RunPath,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Picture to write; RUN.png by default.")] = None,
    epoch: Epoch = None,
    panels: Panels = None,
    layer: Layer = None,
    theme: ThemeOption = Theme.light,
    size: Size = None,
    dpi: Dpi = 120,
) -> None:
    """Draw panels of a run at one epoch."""
    from .figures import plot as draw

    replay = _open(path)
    figure = draw(
        replay,
        epoch,
        panels=_panels(panels),
        layer=layer,
        theme=theme.value,
        size=_pixels(size),
        dpi=dpi,
    )
    # Named by the folder: the run's own name is what somebody wrote into it, and may lead anywhere.
    _wrote(_save(figure, out or Path(f"{_folder_name(path)}.png")))


@app.command()
def film(
    paths: RunPaths,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Film to write: .mp4, .gif or .webp; RUN.mp4 by default."),
    ] = None,
    epochs: Annotated[
        str | None, typer.Option(help="Epochs, first:last or first:last:every.", metavar="A:B[:C]")
    ] = None,
    fps: Annotated[float, typer.Option(help="Frames per second.")] = 15,
    between: Annotated[int, typer.Option(help="Interpolated frames between every two recorded ones.")] = 0,
    panels: Panels = None,
    layer: Layer = None,
    curves: Curves = None,
    theme: ThemeOption = Theme.light,
    size: Size = None,
    dpi: Dpi = 120,
) -> None:
    """Make the film of a run; of several runs side by side."""
    from .figures import film as make

    replays = [_open(path) for path in paths]
    name = "-".join(map(_folder_name, paths))
    with _progress() as progress:
        task = progress.add_task(escape(f"film {name}"), total=None)
        made = make(
            replays[0] if len(replays) == 1 else replays,
            out or Path(f"{name}.mp4"),
            panels=_panels(panels),
            layer=layer,
            curves=curves,
            epochs=_epoch_slice(epochs),
            fps=fps,
            size=_pixels(size),
            dpi=dpi,
            between=between,
            theme=theme.value,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    _wrote(made)


@app.command()
def compare(
    paths: RunPaths,
    out: Annotated[Path, typer.Option("--out", "-o", help="Picture to write.")] = Path("compare.png"),
    epoch: Epoch = None,
    panels: Panels = None,
    layer: Layer = None,
    curves: Curves = None,
    theme: ThemeOption = Theme.light,
    size: Size = None,
    dpi: Dpi = 120,
) -> None:
    """Draw several runs side by side, a panel in each row: by default feature spaces and decision boundaries."""
    from .figures import compare as draw

    figure = draw(
        [_open(path) for path in paths],
        epoch,
        panels=_panels(panels),
        layer=layer,
        curves=curves,
        theme=theme.value,
        size=_pixels(size),
        dpi=dpi,
    )
    _wrote(_save(figure, out))


@app.command()
def verify(paths: RunPaths) -> None:
    """Read every byte of runs against its checksum."""
    from .store import Run

    bad = 0
    for path in paths:
        run = Run(path)
        problems = run.verify()
        bad += bool(problems)
        found = (
            Text.assemble(("damaged", "red"), f", {run.whole_frames} of {len(run)} frames found are whole")
            if problems
            else Text(f"sound, {len(run)} frames")
        )
        console.print(Text.assemble(_text(f"{path}: "), found), soft_wrap=True)
        _list(problems)
    if bad:
        raise typer.Exit(1)


@app.command(name="import")
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
    from .deepreplay import import_deepreplay

    for run in import_deepreplay(recording, out, model):
        _wrote(run)


@app.command(name="cp")
def copy(
    source: Annotated[str, typer.Argument(help="Run to copy: a folder or a URL.", metavar="RUN")],
    target: Annotated[str, typer.Argument(help="Where to: a new folder or a URL.", metavar="TARGET")],
) -> None:
    """Copy a run, to another store too. A copy is checked byte by byte."""
    from .store import copy_run

    copied = copy_run(source, target)
    problems = copied.verify()
    console.print(_text(f"copied {len(copied)} frames to {copied.path}"), soft_wrap=True)
    _list(problems)
    if problems:
        raise typer.Exit(1)


@app.command(name="rm")
def remove(
    paths: RunPaths,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove runs for good, after asking."""
    from .store import Run, remove_run

    for path in paths:
        try:
            run = Run(path)
            what = f"{path}, {run.status}, {len(run)} frames"
        except DamagedRun:
            what = f"{path}, damaged"
        if yes or typer.confirm(f"Remove {what}?"):
            remove_run(path)
            console.print(_text(f"removed {path}"), soft_wrap=True)


@app.command()
def prune(
    path: RunPath,
    every: Annotated[int | None, typer.Option(help="Keep one frame of so many.", min=2)] = None,
    budget: Annotated[str | None, typer.Option(help='The most bytes to keep, such as "500MB".')] = None,
) -> None:
    """Leave out frames of a run, evenly and for good. The first and the last stay."""
    from .store import Run, prune_run

    before = len(Run(path))
    run = prune_run(path, every=every, budget=budget)
    console.print(_text(f"kept {len(run)} of {before} frames of {path}"), soft_wrap=True)


def _list(problems: Sequence[str]) -> None:
    for problem in problems:
        console.print(_text(f"  {problem}"), soft_wrap=True)


def _text(value: object) -> Text:
    """Text for the terminal that is only that: what a run says is no markup and no command."""
    return Text(printable(str(value)))


def _folder_name(path: str) -> str:
    from .store import folder_of

    return folder_of(path).name


def _open(path: str) -> Replay:
    from . import open as open_run

    return open_run(path)


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _wrote(path: Path | str) -> None:
    console.print(_text(f"wrote {path}"), soft_wrap=True)


def _progress() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console)


def _panels(names: str | None) -> list[str] | None:
    return [name.strip() for name in names.split(",")] if names else None


def _pixels(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise typer.BadParameter(f"{text!r} is no size; write width x height in pixels, such as 1440x720")
    return int(width), int(height)


def _epoch_slice(text: str | None) -> slice | None:
    if text is None:
        return None
    parts: Sequence[str] = text.split(":")
    try:
        if len(parts) not in (2, 3):
            raise ValueError
        low, high = (float(part) if part else None for part in parts[:2])
        return slice(low, high, int(parts[2]) if len(parts) == 3 and parts[2] else None)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no range of epochs; write first:last or first:last:every") from None
