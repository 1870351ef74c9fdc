"""Arguments and options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Theme(StrEnum):
    """Colours of the pictures."""

    light = "light"
    dark = "dark"


# No Path: it would take a slash out of s3://bucket/run.
RunPath = Annotated[str, typer.Argument(help="Folder or URL of a recorded run.", metavar="RUN")]
RunPaths = Annotated[list[str], typer.Argument(help="Folders or URLs of recorded runs.", metavar="RUN...")]
ThemeOption = Annotated[Theme, typer.Option(help="Colours.")]
