"""What all commands say, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from ..errors import printable

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import Progress

console = Console(highlight=False)


def plain(value: object) -> Text:
    """Text for the terminal that is only that: what a run says is no markup and no command."""
    return Text(printable(str(value)))


def say(text: str) -> None:
    """One line, which is not broken."""
    console.print(plain(text), soft_wrap=True)


def wrote(path: Path | str) -> None:
    """Say what was written."""
    say(f"wrote {path}")


def bars() -> Progress:
    """Bars of progress, to be entered."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console)
