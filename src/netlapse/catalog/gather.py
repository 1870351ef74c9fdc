"""A row per run: out of the index where the run is as it was, else out of the run itself."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RunError
from . import index
from .columns import BUILT_IN, SCALARS, columns
from .index import Known
from .walk import walk

if TYPE_CHECKING:
    from ..store import Run
    from .columns import Row


def rows(root: str | Path, where: str | None = None, sort: str | None = None) -> list[Row]:
    """One row per run below `root`, or of `root` itself: what is known of the run by name (see `netlapse.runs`).

    What a run has no value for is not in its row. Rows are sorted by path, or by the column `sort`; with "-" before
    its name, from the greatest down; runs without a value come last.

    `root` may be a URL such as s3://bucket/runs; there is no index there.

    Raises RunError if `root` is no folder, BadQuery if `where` or `sort` cannot be understood or names what no run has.
    """
    if "://" in str(root):
        from ..store import remote_runs

        with warnings.catch_warnings(action="ignore"):
            read = ((url, _read(url)) for url in sorted(remote_runs(str(root))))
            found = [{**row, "path": url} for url, row in read if row is not None]
    else:
        found = _below(Path(root))
    if not found or (where is None and sort is None):
        return found
    from .query import matching, ordered  # with simpleeval: most listings ask nothing

    known = columns(found)
    if where is not None:
        found = matching(found, where, known)
    return found if sort is None else ordered(found, sort, known)


def _below(root: Path) -> list[Row]:
    if not root.is_dir():
        raise RunError(f"{root} is not a folder; name one that holds runs")
    prefix = str(root / "_").removesuffix("_")
    return [{**row, "path": prefix + path if path else str(root)} for path, row in sorted(_known(root).items())]


def _known(root: Path) -> dict[str, Row]:
    """The row of every run by its path below the root; the index is brought up to date."""
    known = index.read(root)
    found: dict[str, Row] = {}
    changed: dict[str, Known] = {}
    with warnings.catch_warnings(action="ignore"):  # of damaged segments: the row says so
        # The identity is older than what is read then: a change meanwhile is noticed the next time.
        for path, identity in walk(str(root)):
            before = known.get(path)
            if before and before.identity == identity:
                found[path] = before.row
            elif row := _read(root / path):
                found[path] = row
                # A run that is recorded can die and one that is damaged be mended without a change of identity.
                if row["status"] not in {"recording", "damaged"}:
                    changed[path] = Known(identity, row)
    gone = known.keys() - found.keys()
    # A run that is listed by itself is no place for an index.
    if (changed or gone) and "" not in found:
        index.write(root, changed, gone)
    return found


def _read(path: str | Path) -> Row | None:
    """The row of the run in this folder; None if it has just gone."""
    from ..store import Run, folder_of, is_run  # here, as NumPy below: a listing out of the index starts without them

    row: Row = {"path": ""}  # the first column, which changes with the place that is looked from
    try:
        run = Run(path)
        _describe(run, row)
        problem = "; ".join(run.damage.values())
    except Exception as error:  # Whatever is wrong with one run, the others are listed.
        if not is_run(path):
            return None
        problem = str(error) or type(error).__name__
    if problem:
        row |= {"name": row.get("name", folder_of(path).name), "status": "damaged", "problem": problem}
    return row


def _describe(run: Run, row: Row) -> None:
    """Fill in what the run says of itself, so that what came before a damage is kept."""
    import numpy as np

    from ..store import size_of

    manifest = run.manifest
    row |= {"name": run.name, "id": manifest.id, "status": run.status, "frames": len(run)}
    if len(run):
        row |= {"first_epoch": float(run.epochs[0]), "last_epoch": float(run.epochs[-1])}
        row |= {"last_step": int(run.steps[-1]), "seconds": float(run.times[-1])}
    row |= {"framework": manifest.framework, "backend": manifest.backend, "created": manifest.created}
    row["bytes"] = size_of(run.folder)
    row["parameters"] = manifest.parameter_count
    for name, value in manifest.hyperparameters.items():
        taken = name in BUILT_IN or name.startswith(SCALARS)
        if not taken:
            row[name] = value
        elif row.get(name) != value:  # Keras' own count of parameters says the same as ours
            row[f"hyperparameters.{name}"] = value
    for name in run.scalars:
        values = run.scalar(name)
        # NaN, which stands for "not logged", is passed over by fmin and fmax.
        least, greatest = np.fmin.reduce(values), np.fmax.reduce(values)
        row |= {f"final.{name}": float(values[-1]), f"min.{name}": float(least), f"max.{name}": float(greatest)}
