"""A listing of runs as text: a table for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import math
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from .catalog import columns, differing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from .catalog import Row

_GAP = "  "
_WIDEST = 28
_COLOURS = {"damaged": "red", "recording": "green", "interrupted": "yellow"}


def as_json(rows: Sequence[Row], names: Sequence[str] | None) -> str:
    """A list of objects. Without `names`, each has what is known of its run; with them, null for what is not.

    What is no number (NaN, infinity) is null.
    """
    chosen = [{name: row.get(name) for name in names} for row in rows] if names else rows
    plain = [{name: _finite(value) for name, value in row.items()} for row in chosen]
    return json.dumps(plain, indent=1, allow_nan=False, ensure_ascii=False)


def as_csv(rows: Sequence[Row], names: Sequence[str] | None) -> str:
    """A line of names, then one per run. What is not known is empty; lists are JSON."""
    names = names or columns(rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = (row.get(name) for name in names)
        writer.writerow(json.dumps(value) if isinstance(value, list | dict) else value for value in values)
    return text.getvalue().rstrip("\n")


def print_table(rows: Sequence[Row], names: Sequence[str] | None, sort: str | None, console: Console) -> None:
    """Print a table: these columns, or those that tell the runs apart, as far as the console is wide."""
    # Not one of rich's, which takes seconds for thousands of rows.
    shown = list(names or _displayed(rows, sort))
    table: dict[str, list[str]] = {}
    left_out: list[str] = []
    room = console.width + len(_GAP)
    for name in names or _by_importance(shown, sort):
        widest = None if names else _WIDEST if name != "path" else max(console.width // 3, _WIDEST)
        cells = _cells(name, rows, widest) if names or len(name) + len(_GAP) <= room else []
        if names or (cells and cell_len(cells[0]) + len(_GAP) <= room):
            table[name] = cells
            room -= cell_len(cells[0]) + len(_GAP)
        else:
            left_out.append(name)
    shown = [name for name in shown if name in table]
    lines = [_GAP.join(cells).rstrip() for cells in zip(*(table[name] for name in shown), strict=True)]
    console.out(lines[0], style="bold", highlight=False)
    for colour, group in groupby(zip(rows, lines[1:], strict=True), lambda pair: _COLOURS.get(pair[0]["status"])):
        text = "\n".join(line for _, line in group)
        if colour:
            console.out(text, style=colour, highlight=False)
        else:  # thousands of lines that rich has nothing to do with
            console.file.write(f"{text}\n")
    for row in rows:
        problem = row.get("problem", "")
        if problem and not names:
            told = problem if row["path"] in problem else f"{row['path']}: {problem}"
            console.out(_text("problem", told), style="red", highlight=False)
    if left_out:
        note = f"No room for {', '.join(left_out)}; choose with --columns"
        console.out(_cropped(note, console.width), style="dim", highlight=False)


def _displayed(rows: Sequence[Row], sort: str | None) -> list[str]:
    """The columns of a table that nobody chose, from left to right."""
    logged = [name for name in columns(rows) if name.startswith("final.")]
    logged.sort(key=lambda name: name != "final.loss")
    asked = [sort.removeprefix("-")] if sort else []
    return list(dict.fromkeys(("path", "status", "frames", "last_epoch", *differing(rows), *asked, *logged, "created")))


def _by_importance(displayed: Sequence[str], sort: str | None) -> list[str]:
    first = ["path", "status", (sort or "").removeprefix("-"), "last_epoch", "final.loss"]
    last = [name for name in displayed if name in {"frames", "created"} or name.startswith("final.")]
    settings = [name for name in displayed if name not in {*first, *last}]
    return [name for name in dict.fromkeys((*first, *settings, *last)) if name in displayed]


def _cells(name: str, rows: Sequence[Row], widest: int | None) -> list[str]:
    """The heading and the values of a column, all of one width; numbers at the right."""
    values = [row.get(name) for row in rows]
    texts = [name, *(_text(name, value) for value in values)]
    width = max(map(_width, texts))
    if widest and width > widest:
        texts = [_cropped(text, max(widest, len(name)), at_end=name != "path") for text in texts]
        width = max(map(_width, texts))
    pad = str.rjust if all(isinstance(value, int | float | None) for value in values) else str.ljust
    return [pad(text, width + len(text) - _width(text)) for text in texts]


def _text(name: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str):
        text = value[:16].replace("T", " ") if name == "created" else value
        # A file's name can hold anything, what moves the cursor too.
        return text if text.isprintable() else repr(text)[1:-1]
    if isinstance(value, list | dict):
        return json.dumps(value)
    return "" if value is None else str(value)


def _width(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def _cropped(text: str, width: int, *, at_end: bool = True) -> str:
    if _width(text) <= width:
        return text
    while _width(text) >= width:
        text = text[:-1] if at_end else text[1:]
    return f"{text}…" if at_end else f"…{text}"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
