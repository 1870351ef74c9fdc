"""The command line, `netlapse COMMAND ...`: which commands there are. Each is a function in one of the files beside.

Nothing that takes long is imported before it is needed: `netlapse ls` starts in a tenth of a second.
"""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.text import Text

from ..errors import NetlapseError
from .demo import demo
from .keeping import copy, import_recording, prune, remove
from .looking import list_runs, show, verify
from .pictures import compare, film, page, plot
from .study import study
from .terminal import plain
from .view import view

app = typer.Typer(
    help="See a neural network learn: record a training run, replay it as figures, films and pages.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(study)
app.command(name="ls")(list_runs)
app.command()(show)
app.command()(plot)
app.command()(film)
app.command()(compare)
app.command()(page)
app.command()(view)
app.command()(verify)
app.command(name="import")(import_recording)
app.command(name="cp")(copy)
app.command(name="rm")(remove)
app.command()(prune)


def main() -> None:
    """Run the command line; an error that netlapse raises on purpose is one line, not a traceback."""
    try:
        app()
    except (NetlapseError, ImportError, OSError, ValueError) as error:
        Console(stderr=True, highlight=False).print(
            Text.assemble(("error: ", "bold red"), plain(error)), soft_wrap=True
        )
        sys.exit(1)
