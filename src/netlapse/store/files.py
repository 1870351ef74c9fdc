"""The names of the files of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .folder import Folder, Identity

MANIFEST = "run.json"
LOCK = "run.lock"
PROBE = "probe.safetensors"
MODEL = "model"
# Two series of segments: frames, and scalars that are logged more often than there are frames.
FRAMES = "frames"
SCALARS = "scalars"
SEGMENT = ".safetensors"
UNFINISHED = ".unfinished"


def segment_name(series: str, first: int) -> str:
    """The file of the segment whose first frame has the number `first`."""
    return f"{series}/{first:08d}{SEGMENT}"


def segments(folder: Folder, series: str) -> dict[int, tuple[str, Identity]]:
    """The files of all segments by the number of their first frame, in order. Files of other names are none."""
    found: dict[int, tuple[str, Identity]] = {}
    for entry, identity in folder.list(series).items():
        number = entry.removesuffix(SEGMENT)
        if number != entry and number.isascii() and number.isdecimal() and len(number) < 19:
            name = segment_name(series, int(number))
            if name == f"{series}/{entry}":
                found[int(number)] = name, identity
    return dict(sorted(found.items()))
