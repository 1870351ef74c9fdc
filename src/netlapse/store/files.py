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
# Where the files of a run are.
FOLDERS = ("", MODEL, FRAMES, SCALARS)
# All of a run but its lock, in the order in which it goes. The manifest is first, as it comes last: a folder is a run
# only while all the rest is there.
EVERYTHING = (MANIFEST, PROBE, FRAMES, SCALARS, MODEL)


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
