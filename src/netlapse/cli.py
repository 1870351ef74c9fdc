"""The command line: `netlapse demo | ls | show | plot | film | compare | verify`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from . import open as open_run
from .errors import NetlapseError, RunError
from .keras_backend import choose_backend
from .store import Run, is_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from .replay import Replay

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


RunPath = Annotated[Path, typer.Argument(help="Folder of a recorded run.", metavar="RUN")]
RunPaths = Annotated[list[Path], typer.Argument(help="Folders of recorded runs.", metavar="RUN...")]
Epoch = Annotated[float | None, typer.Option(help="Epoch to draw; the last by default.")]
Layer = Annotated[str | None, typer.Option(help="Two-unit layer whose feature space is drawn; the last by default.")]
ThemeOption = Annotated[Theme, typer.Option(help="Colours.")]
Size = Annotated[str | None, typer.Option(help="Width and height in pixels.", metavar="WxH")]
Dpi = Annotated[float, typer.Option(help="Pixels per inch; more makes the text larger.")]


def main() -> None:
    """Run the command line; an error that netlapse raises on purpose is one line, not a traceback."""
    try:
        app()
    except (NetlapseError, ImportError, ValueError) as error:
        Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {error}", markup=True, soft_wrap=True)
        sys.exit(1)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where everything is written.")] = Path("demo"),
    theme: ThemeOption = Theme.light,
) -> None:
    """Train the article's networks, and write its pictures, films and milestones."""
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


@app.command(name="ls")
def list_runs(folder: Annotated[Path, typer.Argument(help="Folder to look below.")] = Path()) -> None:
    """List the runs below a folder."""
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder; name one that holds runs")
    paths = [folder] if is_run(folder) else sorted(path.parent for path in folder.rglob("run.json"))
    if not paths:
        console.print(f"There are no runs below {folder}.")
        return
    table = Table("run", "status", "frames", "epochs", "framework", "created", "hyper-parameters", box=None)
    for path in paths:
        try:
            run = Run(path)
        except RunError as error:
            table.add_row(str(path), f"[red]damaged: {error}[/]")
            continue
        manifest, epochs = run.manifest, run.epochs
        settings = [f"{key} {manifest.hyperparameters[key]}" for key in _MAIN if manifest.hyperparameters.get(key)]
        span = f"{epochs[0]:g}-{epochs[-1]:g}" if len(epochs) else ""
        table.add_row(
            str(path),
            run.status,
            str(len(run)),
            span,
            manifest.framework,
            manifest.created[:16],
            ", ".join(settings),
        )
    console.print(table)


_MAIN = ("activation", "optimizer", "learning_rate", "batch_size", "seed")


@app.command()
def show(path: RunPath) -> None:
    """Say what a run holds."""
    run = Run(path)
    manifest, epochs, times = run.manifest, run.epochs, run.times
    facts = Table(box=None, show_header=False)
    facts.add_row("run", f"{run.name} ({path})")
    facts.add_row("status", run.status)
    facts.add_row("recorded", f"{manifest.created}, every {manifest.schedule}, with netlapse {manifest.netlapse}")
    versions = ", ".join(f"{name} {number}" for name, number in manifest.versions.items())
    facts.add_row("framework", f"{manifest.framework} on {manifest.backend} ({versions})")
    if len(run):
        facts.add_row("frames", f"{len(run)}, epochs {epochs[0]:g} to {epochs[-1]:g}, {times[-1]:.1f} s")
    probe = manifest.probe
    facts.add_row("probe", f"{probe['examples']} of {probe['drawn_from']} examples")
    if "validation_examples" in probe:
        facts.add_row("validation", f"{probe['validation_examples']} of {probe['validation_drawn_from']} examples")
    for name in run.scalars:
        facts.add_row(name, f"{run.scalar(name)[-1]:.6g} at the last frame")
    console.print(facts)
    layers = Table("layer", "type", "units", "activation", "parameters", title="Layers", title_justify="left", box=None)
    for layer in manifest.layers:
        own = [p for p in manifest.parameters if p.layer == layer.name]
        shapes = ", ".join(f"{p.name} {list(p.shape)}{'' if p.trainable else ' (not trainable)'}" for p in own)
        layers.add_row(
            layer.name, layer.type, str(layer.units or ""), layer.activation or "", shapes.replace("[", r"\[")
        )
    console.print(layers)
    settings = Table("hyper-parameter", "value", title="Hyper-parameters", title_justify="left", box=None)
    for key, value in manifest.hyperparameters.items():
        settings.add_row(key, str(value).replace("[", r"\["))
    console.print(settings)


@app.command()
def plot(
    path: RunPath,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Picture to write; RUN.png by default.")] = None,
    epoch: Epoch = None,
    layer: Layer = None,
    theme: ThemeOption = Theme.light,
    size: Size = None,
    dpi: Dpi = 120,
) -> None:
    """Draw the five panels of a run at one epoch."""
    from .figures import plot as draw

    replay = _open(path)
    figure = draw(replay, epoch, layer=layer, theme=theme.value, size=_pixels(size) or (1440, 720), dpi=dpi)
    _wrote(_save(figure, out or Path(f"{replay.name}.png")))


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
    layer: Layer = None,
    theme: ThemeOption = Theme.light,
    size: Size = None,
    dpi: Dpi = 120,
) -> None:
    """Make the film of a run; of several runs side by side."""
    from .figures import film as make

    replays = [_open(path) for path in paths]
    name = "-".join(replay.name for replay in replays)
    with _progress() as progress:
        task = progress.add_task(f"film {name}", total=None)
        made = make(
            replays[0] if len(replays) == 1 else replays,
            out or Path(f"{name}.mp4"),
            layer=layer,
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
    layer: Layer = None,
    theme: ThemeOption = Theme.light,
    size: Size = None,
    dpi: Dpi = 120,
) -> None:
    """Draw several runs side by side: feature spaces, decision boundaries, curves."""
    from .figures import compare as draw

    replays = [_open(path) for path in paths]
    _wrote(_save(draw(replays, epoch, layer=layer, theme=theme.value, size=_pixels(size), dpi=dpi), out))


@app.command()
def verify(paths: RunPaths) -> None:
    """Read every byte of runs against its checksum."""
    bad = 0
    for path in paths:
        problems = Run(path).verify()
        bad += bool(problems)
        console.print(f"{path}: " + ("[red]damaged[/]" if problems else "sound"), soft_wrap=True)
        for problem in problems:
            console.print(f"  {problem}", markup=False, soft_wrap=True)
    if bad:
        raise typer.Exit(1)


def _open(path: Path) -> Replay:
    return open_run(path)


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _wrote(path: Path) -> None:
    console.print(f"wrote {path}", markup=False, soft_wrap=True)


def _progress() -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console)


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
