"""The columns of a listing."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from ..errors import BadQuery

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

# What is known of a run, by the names of columns. What a run has no value for is not in its row.
Row = dict[str, Any]

BUILT_IN = (
    *("path", "name", "id", "status", "frames", "first_epoch", "last_epoch", "last_step", "seconds"),
    *("framework", "backend", "created", "bytes", "parameters", "problem"),
)
# Before the names of what was logged: its value at the last frame, the least and the greatest of all frames.
SCALARS = ("final.", "min.", "max.")


def columns(rows: Iterable[Row]) -> list[str]:
    """All columns of these rows: the built-in ones, hyper-parameters, what was logged."""
    shapes = dict.fromkeys(map(tuple, rows))  # few: most runs have the same names
    found = dict.fromkeys((*BUILT_IN, *(name for shape in shapes for name in shape)))
    logged = [name for kind in SCALARS for name in found if name.startswith(kind)]
    return [name for name in found if not name.startswith(SCALARS)] + logged


def differing(rows: Sequence[Row]) -> list[str]:
    """The hyper-parameters that are not the same in all of these rows."""
    sound = [row for row in rows if row["status"] != "damaged"]
    settings = [name for name in columns(sound) if name not in BUILT_IN and not name.startswith(SCALARS)]
    lacking = object()
    values = {name: [row.get(name, lacking) for row in sound] for name in settings}
    return [name for name, of_runs in values.items() if of_runs.count(of_runs[0]) < len(of_runs)]


def check(names: Iterable[str], known: Collection[str]) -> None:
    """Raise BadQuery at the first name that no run has."""
    for name in names:
        if name not in known:
            near = [other for other in known if name and name in other]
            near += [other for other in difflib.get_close_matches(name, known, 5) if other not in near]
            hint = f"did you mean {', '.join(near[:6])}?" if near else f"there are {', '.join(known)}"
            raise BadQuery(f"no run here has {name!r}; {hint}")
