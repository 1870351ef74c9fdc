"""The lock that keeps a run to one writer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from pathlib import Path

# Readers who ask at the same time are in each other's way for a moment.
_PATIENCE = 0.02


class Lock:
    """Held by the one writer of a run. The kernel frees it when the writer's process ends, however it ends.

    A forked child does not inherit it: there it is not held.
    """

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path, thread_local=False)
        self._process = os.getpid()

    @property
    def held(self) -> bool:
        """Whether this process holds it through this object."""
        return self._process == os.getpid() and self._lock.is_locked

    def acquire(self, patience: float) -> bool:
        """Take the lock, trying again for this many seconds. Returns whether it is held now."""
        try:
            self._lock.acquire(timeout=patience, poll_interval=0.01)
        except Timeout:
            return False
        return True

    def release(self) -> None:
        """Give the lock back. The file stays: removing it would let two processes hold locks of the same name."""
        if self.held:
            self._lock.release()


def is_held(path: Path) -> bool:
    """Whether some process holds the lock of this file now. A run that cannot be written to is held by nobody."""
    if not path.exists():
        return False
    lock = Lock(path)
    try:
        free = lock.acquire(_PATIENCE)
    except OSError:
        return False
    lock.release()
    return not free
