"""Leaving frames out of a run's past, evenly, so that it keeps to a byte budget."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from . import files, manifest
from .segment import look, write

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .folder import Folder
    from .manifest import Manifest
    from .segment import Segment

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)


def parse_size(size: int | str) -> int:
    """Bytes from a number of bytes or a text such as "2GB" or "512 MiB". Raises ValueError for anything else."""
    match = _SIZE.fullmatch(str(size).strip())
    found = 0
    if match:
        number, prefix, binary = match.groups()
        found = int(float(number) * (1024 if binary else 1000) ** " kmgt".index(prefix.lower() or " "))
    if found < 1:
        raise ValueError(f'{size!r} is no size; pass bytes, or a text such as "500 MB", "2GB" or "1.5 GiB"')
    return found


def size_of(folder: Folder) -> int:
    """Bytes of all files of a run."""
    return sum(identity[2] for name in files.FOLDERS for identity in folder.list(name).values())


def thin(folder: Folder, run: Manifest, every: int) -> Manifest:
    """Leave out all frames but the first, the last, and those whose number is a multiple of `every`.

    The caller holds the lock. Returns the manifest, which says so. Whenever this is interrupted, the run is sound:
    what is to go is named first, and each segment is replaced at once. A damaged segment stays as it is.
    """
    parts, _ = look(folder, files.FRAMES, run.id)
    # Of those that were kept before, no others can be kept now.
    every = math.lcm(every, run.thinned.every if run.thinned else 1)
    kept = [_kept(part, parts, every) for part in parts]
    if all(keep.all() for keep in kept):
        return run
    before = run.thinned.dropped if run.thinned else 0
    dropped = before + sum(int((~keep).sum()) for keep in kept)
    run = replace(run, thinned=manifest.Thinned(every, parts[-1].end, dropped))
    manifest.write(folder, run)
    for part, keep in zip(parts, kept, strict=True):
        if keep.all():
            continue
        if keep.any():
            arrays = {name: part.read(name)[keep] for name in part.names}
            write(folder, files.FRAMES, run.id, arrays, compressed=bool(run.storage.get("compressed")), new=False)
        if not keep[0]:
            folder.remove(part.name)
    return run


def interval_for(parts: list[Segment], share: float, every: int = 1) -> int:
    """The smallest power-of-two multiple of `every` that keeps at most this share of the frames, if any does."""
    total = sum(map(len, parts))
    while total > 2 and sum(int(_kept(part, parts, every).sum()) for part in parts) > max(2, share * total):
        every *= 2
    return every


def _kept(part: Segment, parts: list[Segment], every: int) -> NDArray[np.bool_]:
    ends = (parts[0].first, parts[-1].end - 1)
    return (part.numbers % every == 0) | np.isin(part.numbers, ends)
