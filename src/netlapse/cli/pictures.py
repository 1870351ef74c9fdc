"""`netlapse plot | film | compare | page`: what is drawn of runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from .options import RunPath, RunPaths, Theme, ThemeOption
from .terminal import bars, wrote

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..replay import Replay

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
Size = Annotated[str | None, typer.Option(help="Width and height in pixels.", metavar="WxH")]
Dpi = Annotated[float, typer.Option(help="Pixels per inch; more makes the text larger.")]


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
    from ..figures import plot as draw

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
    _save(figure, out or Path(f"{_folder_name(path)}.png"))


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
    from ..figures import film as make

    replays = [_open(path) for path in paths]
    name = "-".join(map(_folder_name, paths))
    with bars() as progress:
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
    wrote(made)


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
    from ..figures import compare as draw

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
    _save(figure, out)


def page(
    paths: RunPaths,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; RUN.html by default.", metavar="FILE.html")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title; the runs' names by default.")] = None,
    frames: Annotated[int, typer.Option(help="Show at most so many frames of each run.", min=2)] = 400,
    examples: Annotated[int, typer.Option(help="Show at most so many examples.", min=1)] = 2000,
) -> None:
    """Write runs as one HTML file to look at and play with, anywhere and offline."""
    from ..view.page import page as make

    name = "-".join(map(_folder_name, paths))
    replays = [_open(path) for path in paths]
    wrote(make(replays, out or Path(f"{name}.html"), title=title, frames=frames, examples=examples))


def _folder_name(path: str) -> str:
    from ..store import folder_of

    return folder_of(path).name


def _open(path: str) -> Replay:
    from .. import open as open_run

    return open_run(path)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    wrote(path)


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
    parts = text.split(":")
    try:
        if len(parts) not in (2, 3):
            raise ValueError
        low, high = (float(part) if part else None for part in parts[:2])
        return slice(low, high, int(parts[2]) if len(parts) == 3 and parts[2] else None)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no range of epochs; write first:last or first:last:every") from None
