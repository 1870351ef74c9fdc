"""Where the runs of a root are. Whoever adds another kind of root adds a function like this one."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# As in `store.files`, which is not imported here: a listing out of the index needs neither that room nor NumPy.
MANIFEST = "run.json"
FRAMES = "frames"


def walk(root: str) -> Iterator[tuple[str, str]]:
    """The path of every run below `root`, relative to it ("" for the root itself), and its identity.

    The identity changes whenever a frame became durable, and whenever the manifest was written. Folders inside a run,
    hidden ones and those that cannot be read are passed over. A link to a run counts as one; a link to a folder of runs
    is not followed, for it may lead back.
    """
    folders = [""]
    while folders:
        folder = folders.pop()
        here = os.path.join(root, folder)
        if found := _identity(here):
            yield folder, found
            continue
        with suppress(OSError), os.scandir(here) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(os.path.join(folder, entry.name))
                elif entry.is_symlink() and (linked := _identity(entry.path)):
                    yield os.path.join(folder, entry.name), linked


def _identity(folder: str) -> str:
    """Inode, size and last change of a run's manifest and of its folder of frames; "" if it is no run."""
    try:
        manifest = os.stat(f"{folder}/{MANIFEST}")
    except OSError:
        return ""
    found = f"{manifest.st_ino} {manifest.st_size} {manifest.st_mtime_ns}"
    with suppress(OSError):
        found += f" {os.stat(f'{folder}/{FRAMES}').st_mtime_ns}"
    return found
