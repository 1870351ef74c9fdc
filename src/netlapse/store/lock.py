"""The lock that keeps a run in a folder of this machine to one writer."""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import filelock

if TYPE_CHECKING:
    from pathlib import Path

# Readers who ask at the same time are in each other's way for a moment.
_PATIENCE = 0.02
# Every frame asks whether it is this process that holds the lock: asking the system each time takes microseconds.
_process = os.getpid()


def _note_fork() -> None:
    global _process
    _process = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


class Lock(Protocol):
    """Held by the one writer of a run. A forked child does not inherit it."""

    @property
    def held(self) -> bool:
        """Whether this process holds it through this object."""
        ...

    def acquire(self, patience: float) -> bool:
        """Take the lock, trying again for this many seconds. Returns whether it is held now."""
        ...

    def release(self) -> None:
        """Give the lock back."""
        ...

    def owner(self) -> str:
        """Who holds it, in words."""
        ...


def myself() -> str:
    """This process in words, for whoever finds the run taken."""
    return f"process {os.getpid()} on {platform.node() or 'this machine'} since {time.strftime('%Y-%m-%d %H:%M:%S')}"


class FileLock:
    """A lock on a file. The kernel frees it when the writer's process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = filelock.FileLock(path, thread_local=False)
        self._process = _process
        self._taken = False

    @property
    def held(self) -> bool:
        """Whether this process holds it through this object."""
        return self._taken and self._process == _process

    def acquire(self, patience: float) -> bool:
        """Take the lock, trying again for this many seconds. Returns whether it is held now."""
        try:
            self._lock.acquire(timeout=patience, poll_interval=0.01)
        except filelock.Timeout:
            return False
        self._taken = True
        with suppress(OSError):  # a full disk has no room for the name, but the lock holds
            self._path.write_text(myself())
        return True

    def release(self) -> None:
        """Give the lock back. The file stays: removing it would let two processes hold locks of the same name."""
        if self.held:
            self._taken = False
            self._lock.release()

    def owner(self) -> str:
        """Who holds it, in words."""
        try:
            return self._path.read_text()[:200] or "another process"
        except (OSError, ValueError):
            return "another process"


def is_held(path: Path) -> bool:
    """Whether some process holds the lock of this file now."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        # The lock is freed with the descriptor. A reader of another user may ask too: it needs no right to write.
        end = time.monotonic() + _PATIENCE
        while not filelock.lock_descriptor(descriptor, blocking=False):
            if time.monotonic() > end:
                return True
            time.sleep(_PATIENCE / 4)
        return False
    except OSError:
        return False
    finally:
        os.close(descriptor)
