"""Where the files of a run are, and how one is put in place so that a reader sees all of it or none."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

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


@contextmanager
def placed(path: Path) -> Generator[Path]:
    """Write a file beside its place; when the block ends it is made durable and renamed into it."""
    beside = path.with_name(path.name + UNFINISHED)
    try:
        yield beside
        _sync(beside)
        beside.replace(path)
        _sync(path.parent)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def place(path: Path, content: bytes) -> None:
    """Put a small file in place whole and durably."""
    with placed(path) as beside:
        beside.write_bytes(content)


def _sync(path: Path) -> None:
    # Directories are synced too: without it a power cut may forget the rename.
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def writer_lock(run: Path) -> FileLock:
    """The lock that the one writer of a run holds; the kernel frees it when its process dies."""
    return FileLock(run / LOCK, thread_local=False)


def is_being_written(run: Path) -> bool:
    """Whether some process holds the run's writer lock now."""
    if not (run / LOCK).exists():
        return False
    lock = writer_lock(run)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # a read-only copy: nobody can be writing here
        return False
    lock.release()
    return False
