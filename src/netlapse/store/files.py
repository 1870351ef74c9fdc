"""Where the files of a run are, and how one is put in place so that a reader sees all of it or none."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

MANIFEST = "run.json"
LOCK = "run.lock"
PROBE = "probe.safetensors"
FRAMES = "frames"
MODEL = "model"
SEGMENT = ".safetensors"
UNFINISHED = ".unfinished"


def is_run(path: Path) -> bool:
    """Whether `path` is the folder of a run."""
    return (path / MANIFEST).is_file()


def segment_path(run: Path, first: int) -> Path:
    """The file of the segment whose first frame has the number `first`."""
    return run / FRAMES / f"{first:08d}{SEGMENT}"


def segment_paths(run: Path) -> dict[int, Path]:
    """The files of all segments by the number of their first frame, in order. Files of other names are none."""
    found = [path for path in (run / FRAMES).glob(f"*{SEGMENT}") if path.stem.isdecimal()]
    numbered = sorted((int(path.stem), path) for path in found)
    return {first: path for first, path in numbered if path == segment_path(run, first)}


def make_folder(path: Path) -> None:
    """Make a folder durably, and those above it that are missing."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


@contextmanager
def placed(path: Path) -> Generator[Path]:
    """Write a file beside its place; when the block ends it is made durable and renamed into it."""
    beside = path.with_name(path.name + UNFINISHED)
    try:
        yield beside
        _sync(beside, os.O_RDWR)
        beside.replace(path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def place(path: Path, content: bytes) -> None:
    """Put a small file in place whole and durably."""
    with placed(path) as beside:
        beside.write_bytes(content)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable: without it a power cut may forget a rename."""
    if os.name == "nt":
        return
    try:
        _sync(path, os.O_RDONLY)
    except OSError as error:
        # Where a system cannot do it, nothing better can be done.
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.EACCES):
            raise


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
