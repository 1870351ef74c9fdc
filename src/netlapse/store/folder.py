"""Where the files of a run are: a folder of this machine, or a place in an object store (remote.py)."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from ..errors import DamagedRun
from . import files
from .lock import FileLock, Lock, is_held

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from contextlib import AbstractContextManager
    from io import FileIO

    Buffer = bytes | memoryview

# What tells a file from another that took its place.
Identity = tuple[Any, ...]


class File(Protocol):
    """A file opened for reading."""

    @property
    def identity(self) -> Identity:
        """What the file was when what has been read was read."""
        ...

    def read(self, most: int) -> bytes:
        """Its first bytes, at most so many, as they were at one moment."""
        ...

    def read_into(self, low: int, buffer: memoryview) -> None:
        """Fill the buffer with the bytes from `low` on. Raises ValueError if the file ends before."""
        ...


class Folder(Protocol):
    """The files of one run by their names, relative to the run and with slashes. Errors are OSErrors.

    A file is placed whole and durably or not at all, and is not changed afterwards: another may take its name.
    """

    # At least so many seconds lie between two segments of few frames, where each file has its price.
    segment_seconds: float

    @property
    def name(self) -> str:
        """The last part of its path."""
        ...

    def make(self) -> None:
        """Make it durably, if it does not exist."""
        ...

    def exists(self) -> bool:
        """Whether there is anything."""
        ...

    def strangers(self) -> list[str]:
        """What is in it apart from a lock, or that it is a file."""
        ...

    def list(self, below: str) -> dict[str, Identity]:
        """The files directly in a subfolder; none if there is no such folder."""
        ...

    def open(self, name: str) -> AbstractContextManager[File]:
        """A context that gives a File. It, or reading the file, raises FileNotFoundError."""
        ...

    def heads(self, names: Sequence[str], size: int) -> dict[str, bytes]:
        """The first bytes of many files, where it saves time to read them all at once; of others nothing."""
        ...

    def place(self, name: str, parts: Sequence[Buffer], *, new: bool = False) -> None:
        """Put a file of these parts in place, whole and durably. FileExistsError if it is to be `new` and is not."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...

    def clear(self, *names: str) -> None:
        """Remove files and subfolders, in this order."""
        ...

    def discard(self) -> None:
        """Remove the lock, and the folder itself if nothing is left in it."""
        ...

    def settle(self) -> None:
        """Make durable what a writer that died has put in place."""
        ...

    def lock(self) -> Lock:
        """The lock of its one writer."""
        ...

    def written(self) -> bool:
        """Whether a living writer holds the lock."""
        ...


def folder_of(path: str | Path | Folder) -> Folder:
    """The folder under a path of this machine or a URL such as s3://bucket/runs/relu."""
    if isinstance(path, str | Path):
        scheme, separator, _ = str(path).partition("://")
        if separator and scheme == "file":
            return LocalFolder(Path(unquote(urlsplit(str(path)).path)))
        if separator:
            from .remote import RemoteFolder

            return RemoteFolder.of(str(path))
        return LocalFolder(Path(path))
    return path


def read(folder: Folder, name: str, limit: int | None = None) -> bytes:
    """A whole file. Raises ValueError if it has more bytes than `limit`, FileNotFoundError."""
    with folder.open(name) as file:
        content = file.read(_MOST if limit is None else limit + 1)
    if limit is not None and len(content) > limit:
        raise ValueError(f"it has more than {limit:,} bytes")
    return content


# More than any file has.
_MOST = 2**62


def is_run(path: str | Path | Folder) -> bool:
    """Whether the folder under this path holds a run."""
    folder = folder_of(path)
    try:
        with folder.open(files.MANIFEST) as file:
            file.read(1)
    except (OSError, DamagedRun):
        return False
    return True


class LocalFolder:
    """A folder of this machine. What is in it is never followed out of it: a symbolic link there is refused."""

    segment_seconds = 0.0

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.resolve().name

    def make(self) -> None:
        """Make it durably, if it does not exist."""
        _make(self.path)

    def exists(self) -> bool:
        """Whether there is anything."""
        return self.path.exists()

    def strangers(self) -> list[str]:
        """What is in it apart from a lock, or that it is a file."""
        if not self.path.exists():
            return []
        if not self.path.is_dir():
            return [self.path.name]
        return sorted({entry.name for entry in self.path.iterdir()} - {files.LOCK})

    def list(self, below: str) -> dict[str, Identity]:
        """The files directly in a subfolder; none if there is no such folder."""
        try:
            with os.scandir(self._path(below)) as entries:
                # Links and pipes too, so that they are named when they are to be read.
                found = {entry.name: entry for entry in entries if not entry.is_dir(follow_symlinks=False)}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise DamagedRun(f"{self}/{below} cannot be listed: {error.strerror}; put a copy in its place") from error
        listed: dict[str, Identity] = {}
        for name, entry in found.items():
            with suppress(FileNotFoundError):
                listed[name] = _identity(entry.stat(follow_symlinks=False))
        return listed

    @contextmanager
    def open(self, name: str) -> Generator[_LocalFile]:
        """A context that gives a File. Raises FileNotFoundError."""
        descriptor = os.open(self._path(name), os.O_RDONLY | _FLAGS)
        try:
            _require_file(os.fstat(descriptor), f"{self}/{name}")
            yield _LocalFile(descriptor)
        finally:
            os.close(descriptor)

    def heads(self, names: Sequence[str], size: int) -> dict[str, bytes]:
        """None: files of this machine are read one by one."""
        return {}

    def place(self, name: str, parts: Sequence[Buffer], *, new: bool = False) -> None:
        """Put a file of these parts in place, whole and durably. In a run only the holder of the lock places files."""
        path = self._path(name)
        if not self.path.is_dir():
            # Not made again: somebody has moved or removed the run.
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))
        _make(path.parent)
        # A name of its own: two workers of a study may place the same piece. And what is there already is not written
        # into: in a stranger's run it may be a link out of it.
        beside = path.with_name(f"{path.name}.{uuid4().hex}{files.UNFINISHED}")
        try:
            with beside.open("xb", buffering=0) as file:
                for part in parts:
                    _write(file, part)
                os.fsync(file.fileno())
            beside.replace(path)
            sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        self._path(name).unlink(missing_ok=True)

    def clear(self, *names: str) -> None:
        """Remove files and subfolders, in this order, with what killed writers left of the files."""
        # All are looked at before the first is removed.
        for path in [self._path(name) for name in names]:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
                for left in path.parent.glob(f"{path.name}.*{files.UNFINISHED}"):
                    left.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the lock, and the folder itself if nothing is left in it."""
        self._path(files.LOCK).unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()

    def settle(self) -> None:
        """Make durable what a writer that died has put in place."""
        for below in (files.FRAMES, files.SCALARS, ""):
            if (folder := self._path(below)).is_dir():
                sync_folder(folder)

    def lock(self) -> Lock:
        """The lock of its one writer."""
        return FileLock(self._lock_path())

    def written(self) -> bool:
        """Whether a living writer holds the lock."""
        return is_held(self._lock_path())

    def _lock_path(self) -> Path:
        path = self._path(files.LOCK)
        with suppress(FileNotFoundError):
            _require_file(path.lstat(), str(path))
        return path

    def _path(self, name: str) -> Path:
        # Texts, not paths: this is most of what opening a small run does.
        path = str(self.path)
        for part in name.split("/") if name else ():
            if part in ("", ".", "..") or os.sep in part or (os.altsep and os.altsep in part):
                raise DamagedRun(f"{name!r} is outside of the run {self}")
            path = f"{path}{os.sep}{part}"
            if os.path.islink(path):  # noqa: PTH114
                raise DamagedRun(f"{path} is a symbolic link; a run holds its files itself: put a copy in its place")
        return Path(path)


def _write(file: FileIO, part: Buffer) -> None:
    rest = memoryview(part)
    while rest:
        rest = rest[file.write(rest) :]


# To open a pipe waits for whoever writes into it, unless it is told not to.
_FLAGS: int = getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)


def _require_file(status: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise DamagedRun(f"{path} is no plain file; put a copy in its place")


class _LocalFile:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.identity = _identity(os.fstat(descriptor))

    def read(self, most: int) -> bytes:
        content = bytearray(min(most, self.identity[2]))
        self.read_into(0, memoryview(content))
        return bytes(content)

    def read_into(self, low: int, buffer: memoryview) -> None:
        # Read in calls, not mapped into memory: a mapped file that is cut short kills the process that reads it.
        while buffer:
            count = _read_at(self._descriptor, buffer[:_CALL], low)
            if count == 0:
                raise ValueError("the file ends too early")
            buffer, low = buffer[count:], low + count


# No system reads more than 2 GiB in one call.
_CALL = 2**30


def _read_at(descriptor: int, buffer: memoryview, low: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [buffer], low)
    os.lseek(descriptor, low, os.SEEK_SET)
    content = os.read(descriptor, len(buffer))
    buffer[: len(content)] = content
    return len(content)


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _make(path: Path) -> None:
    if not path.is_dir():
        _make(path.parent)
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable: without it a power cut may forget a rename."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        # Where a system cannot do it, nothing better can be done.
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.EACCES):
            raise
