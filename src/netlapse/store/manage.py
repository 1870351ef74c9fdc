"""Whole runs: copied between stores, removed, thinned by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import RunError
from . import files, manifest
from .folder import folder_of, is_run, read
from .run import Run
from .segment import look
from .thinning import interval_for, parse_size, size_of, thin
from .writer import Writer

if TYPE_CHECKING:
    from pathlib import Path

    from .folder import Folder

# A source that is recorded merges its files when it is closed, and perhaps thins them now and then.
_TRIES = 5


def copy_run(source: str | Path | Folder, target: str | Path | Folder) -> Run:
    """Copy a run to another path or store, checked. A run that is being recorded is copied as far as it is durable.

    Damaged files are copied as they are. Raises RunError if the source is no run or something is in the target's place.
    """
    here, there = folder_of(source), folder_of(target)
    Writer.refuse_existing(there)
    run = manifest.read(here)
    there.make()
    lock = Writer.take_lock(there)
    try:
        for _ in range(_TRIES):
            try:
                content = _copy_files(here, there)
            except FileNotFoundError:  # merged since: begin again with what is there now
                there.clear(files.FRAMES, files.SCALARS)
            else:
                break
        else:
            raise RunError(f"{here} changes faster than it can be copied; copy it once it is complete")
        there.place(files.MANIFEST, [content])
    except BaseException:
        there.clear(*files.EVERYTHING)
        raise
    finally:
        lock.release()
    copied = Run(there)
    if copied.manifest.id != run.id:
        raise RunError(f"{here} was replaced while it was copied; remove {there} and copy it again")
    return copied


def _copy_files(here: Folder, there: Folder) -> bytes:
    """Copy all files but the manifest, and return that as it was before."""
    content = manifest.content_of(here)
    for below in (files.MODEL, files.FRAMES, files.SCALARS):
        for name in here.list(below):
            if not name.endswith(files.UNFINISHED):
                there.place(f"{below}/{name}", [read(here, f"{below}/{name}")])
    there.place(files.PROBE, [read(here, files.PROBE)])
    return content


def remove_run(path: str | Path | Folder) -> None:
    """Remove a run. Files that are not the run's own stay. Raises RunError if it is no run or is being recorded."""
    folder = folder_of(path)
    if not is_run(folder):
        manifest.read(folder)  # says what is wrong
    lock = Writer.take_lock(folder)
    try:
        folder.clear(*files.EVERYTHING)
    finally:
        lock.release()
    folder.discard()


def prune_run(path: str | Path | Folder, *, every: int | None = None, budget: int | str | None = None) -> Run:
    """Leave frames of a run out for good: all but the first, the last and each `every`-th, or to keep to a budget.

    Raises RunError if the run is being recorded or the budget cannot be kept, ValueError for neither or both.
    """
    if (every is None) == (budget is None) or (every is not None and every < 2):
        raise ValueError("pass how many frames to keep one of (2 or more), or a budget in bytes")
    folder = folder_of(path)
    manifest.read(folder)
    lock = Writer.take_lock(folder)
    try:
        run = manifest.read(folder)
        parts, _ = look(folder, files.FRAMES, run.id)
        if every is None:
            size, most = size_of(folder), parse_size(budget or 0)
            frames = sum(part.size for part in parts)
            share = (most - (size - frames)) / frames if frames else 1.0
            every = interval_for(parts, share, run.thinned.every if run.thinned else 1)
            if size > most and sum(map(len, parts)) * share < 2:
                raise RunError(f"{folder} has {size:,} bytes; with its first and last frame only it exceeds {most:,}")
        thin(folder, run, every)
    finally:
        lock.release()
    return Run(folder)
