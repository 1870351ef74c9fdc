"""`netlapse view`: runs in the browser, those that still grow too."""

from __future__ import annotations

from typing import Annotated

import typer

from .terminal import say


def view(
    root: Annotated[str, typer.Argument(help="Folder or URL to look below, or a run.")] = ".",
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for the whole network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at; 0 for a free one.", min=0, max=65535)] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser.")] = True,
) -> None:
    """Look at runs in the browser: all below a folder, compared, live while they train."""
    from .. import open as open_run

    try:
        from ..view.server import serve
    except ImportError as error:
        raise ImportError(f"netlapse view needs {error.name}; install it with: pip install 'netlapse[view]'") from error
    serve(root, open_run, host=host, port=port, browser=browser, say=say)
