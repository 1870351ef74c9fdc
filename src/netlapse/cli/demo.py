"""`netlapse demo`: the article's experiment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Theme, ThemeOption
from .terminal import bars, console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..replay import Replay


def demo(
    folder: Annotated[Path, typer.Argument(help="Where everything is written.")] = Path("demo"),
    theme: ThemeOption = Theme.light,
) -> None:
    """Train the article's networks, and write its pictures, films, a page to play with, and milestones."""
    from ..keras_backend import choose_backend

    if choose_backend("jax"):
        console.print("Keras backend: jax (KERAS_BACKEND is not set)")
    from .. import demo as experiment
    from ..figures import film
    from ..view.page import page

    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    replays: list[Replay] = []
    with bars() as progress:
        for activation in experiment.ACTIVATIONS:
            task = progress.add_task(f"train {activation}", total=experiment.EPOCHS)
            run = folder / "runs" / activation
            replays.append(experiment.train(activation, run, progress=lambda task=task: progress.advance(task)))
            written.append(run)
        task = progress.add_task("pictures", total=11)
        for name, figure in experiment.pictures(replays, theme.value):
            figure.savefig(folder / f"{name}.png")
            written.append(folder / f"{name}.png")
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
        task = progress.add_task("page", total=1)
        curved = [replay for replay in replays if replay.name != "linear"]
        written.append(page(curved, folder / "activations.html", title="Three activation functions"))
        progress.advance(task)
    _print_milestones(replays)
    console.print(f"\nWrote to {folder.resolve()}:")
    for path in written:
        console.print(f"  {path.relative_to(folder)}{'/' if path.is_dir() else ''}")


def _print_milestones(replays: Sequence[Replay]) -> None:
    """When cases were right in each run, beside the article's epochs."""
    from rich.table import Table

    from .. import demo as experiment

    found = {replay.name: replay.milestones() for replay in replays}
    table = Table(*experiment.HEADINGS, title=r"Epochs at which cases are right: first time, for good \[the article's]")
    for activation, milestones in found.items():
        table.add_row(*(cell.replace("[", r"\[") for cell in experiment.milestone_row(activation, milestones)))
    console.print(table)
    relu, tanh = found["relu"].all.for_good, found["tanh"].all.for_good
    if relu and tanh:
        console.print(f"ReLU needs {relu / tanh:.0%} of tanh's epochs (the article: about 75%).")
