"""Runs in object stores: s3://bucket/runs/relu, gs://, az://, memory://; to be read, whatever fsspec reaches."""

from __future__ import annotations

import importlib
import json
import os
import re
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from ..errors import RunError
from . import files
from .lock import myself

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from contextlib import AbstractContextManager

    from .folder import Buffer, Identity

# A writer that has not renewed its lease for so long is dead.
LEASE_SECONDS = 60.0
# Less than the 12 seconds for which s3fs keeps a connection open: at the end of a process, when a run that was left
# open is closed, Python makes no new one to a host by its name.
RENEW_SECONDS = 10.0
# A writer that takes over a dead one's lease waits so long to see whether another did the same.
SETTLE_SECONDS = 1.0

# The extra to install for each protocol whose objects appear whole or not at all.
_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "gcs": "gs",
    "az": "az",
    "abfs": "az",
    "abfss": "az",
    "memory": "remote",
}
# User and password, but not a container of Azure (container@account.dfs.core.windows.net), and queries of a URL.
_SECRET = re.compile(r"(?<=://)(?:\S*:\S*@|[^/\s]*@(?!\w+\.(?:blob|dfs)\.))|(?<=\S)\?\S+")
# File systems that are not asynchronous are not made for several threads.
_TURN = threading.Lock()


class RemoteFolder:
    """A place in an object store. Credentials come from the environment, as the store's own tools find them.

    What fails for a moment is tried again, with growing pauses, by the file systems of fsspec. What fails for good is
    FileNotFoundError, FileExistsError or PermissionError, or else ConnectionError.
    """

    segment_seconds = 10.0  # each object has its price and is a round trip

    def __init__(self, url: str, file_system: Any, root: str) -> None:
        self._url, self._files, self._root = url, file_system, root.rstrip("/")
        self._turn = nullcontext() if file_system.async_impl else _TURN
        self.lease: Lease | None = None

    @classmethod
    def of(cls, url: str) -> RemoteFolder:
        """The folder under a URL. RunError if it is none or holds a secret, ImportError for want of packages."""
        plain = _redacted(url)
        if plain != url:
            raise RunError(
                f"{plain} holds a user, a password or a query; leave credentials to the environment, where the store's"
                " own tools look for them"
            )
        protocol = url.partition("://")[0]
        try:
            # No cached listings: a reader follows a growing run.
            found = importlib.import_module("fsspec").url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            extra = _EXTRAS.get(protocol, "remote")
            raise ImportError(
                f"{url} needs packages that are not installed: pip install 'netlapse[{extra}]'"
            ) from error
        except Exception as error:
            raise RunError(f"{url} cannot be opened: {_redacted(str(error))}") from None
        return cls(url.rstrip("/"), *found)

    def __str__(self) -> str:
        return self._url

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self._root.rpartition("/")[2]

    def make(self) -> None:
        """Object stores have no folders."""

    def exists(self) -> bool:
        """Whether there is anything."""
        return bool(self._entries(""))

    def strangers(self) -> list[str]:
        """What is in it apart from a lock, or that it is a file."""
        names = [entry["name"].rpartition("/")[2] for entry in self._entries("")]
        return sorted(name for name in names if not name.startswith(files.LOCK))

    def list(self, below: str) -> dict[str, Identity]:
        """The files directly in a subfolder; none if there is no such folder."""
        entries = [entry for entry in self._entries(below) if entry["type"] == "file"]
        return {entry["name"].rpartition("/")[2]: _identity(entry) for entry in entries}

    def open(self, name: str) -> AbstractContextManager[_RemoteFile]:
        """A context that gives a File. Whether it exists is seen when it is read."""
        return nullcontext(_RemoteFile(self, name))

    def heads(self, names: Sequence[str], size: int) -> dict[str, bytes]:
        """The first bytes of many files, read at once; without those that could not be read."""
        with self._asking(""):
            found = self._files.cat_ranges([self._path(name) for name in names], 0, size, on_error="return")
        return {name: head for name, head in zip(names, found, strict=True) if isinstance(head, bytes)}

    def get(self, name: str, low: int, high: int) -> bytes:
        """The bytes of a file from `low` to `high`, as far as there are any."""
        with self._asking(name):
            try:
                content: bytes = self._files.cat_file(self._path(name), start=low, end=high)
                return content
            except Exception as error:
                if _status(error) == _NO_SUCH_RANGE:
                    return b""
                raise

    def identity(self, name: str) -> Identity:
        """What tells the file that is there now from others of this name."""
        with self._asking(name):
            return _identity(self._files.info(self._path(name)))

    def modified(self, name: str) -> datetime:
        """When a file was put in place, by the clock of the store."""
        with self._asking(name):
            return self._files.modified(self._path(name))

    def place(self, name: str, parts: Sequence[Buffer], *, new: bool = False) -> None:
        """Put a file of these parts in place, whole and durably. OSError if the lease was lost to another writer."""
        if self.lease is not None:
            self.lease.confirm()
        self.put(name, b"".join(parts), new=new)

    def put(self, name: str, content: bytes, *, new: bool = False) -> None:
        """Place a file without a look at the lease."""
        if self._url.partition("://")[0] not in _EXTRAS:
            raise OSError(f"files do not appear whole in {self}; record to a folder, or to s3://, gs:// or az://")
        try:
            with self._asking(name):
                self._files.pipe_file(self._path(name), content, mode="create" if new else "overwrite")
        except FileNotFoundError:
            raise OSError(f"{self} cannot be written: there is no such bucket; make it, or correct the URL") from None
        except FileExistsError:
            # It may be ours: that the first attempt had succeeded got lost, and the next found it there.
            if self.get(name, 0, len(content) + 1) != content:
                raise

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError), self._asking(name):
            self._files.rm_file(self._path(name))

    def clear(self, *names: str) -> None:
        """Remove files and subfolders, in this order."""
        found = {entry["name"].rpartition("/")[2]: entry["type"] for entry in self._entries("")}
        for name in names:
            if found.get(name) == "file":
                self.remove(name)
            elif name in found:
                for entry in self.list(name):
                    self.remove(f"{name}/{entry}")

    def discard(self) -> None:
        """No folder is left behind in an object store."""

    def settle(self) -> None:
        """What an object store has confirmed is durable."""

    def lock(self) -> Lease:
        """The lock of its one writer."""
        return Lease(self)

    def written(self) -> bool:
        """Whether a living writer holds the lock. A clock that is wrong by more than half a minute may err here."""
        try:
            return (datetime.now(UTC) - self.modified(files.LOCK)).total_seconds() < LEASE_SECONDS
        except FileNotFoundError:
            return False

    def runs(self) -> list[str]:
        """The URLs of all runs below this place."""
        found: list[str] = []
        folders = [""]
        while folders:
            below = folders.pop()
            entries = {entry["name"].rstrip("/").rpartition("/")[2]: entry["type"] for entry in self._entries(below)}
            if entries.get(files.MANIFEST) == "file":
                found.append(f"{self}/{below}".rstrip("/"))
            else:
                folders += [f"{below}/{name}".lstrip("/") for name, kind in entries.items() if kind == "directory"]
        return found

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _entries(self, below: str) -> list[dict[str, Any]]:
        path = self._path(below)
        try:
            with self._asking(below):
                found: list[dict[str, Any]] = self._files.ls(path, detail=True)
        except FileNotFoundError:
            return []
        # Consoles put an empty object in the place of a folder.
        return [entry for entry in found if not (entry["name"].rstrip("/") == path and not entry["size"])]

    @contextmanager
    def _asking(self, name: str) -> Generator[None]:
        """Turn whatever the store or its library says into an OSError that holds no secret."""
        where = f"{self}/{name}".rstrip("/")
        try:
            with self._turn:
                yield
        except Exception as error:
            status, words = _status(error), _redacted(str(error) or type(error).__name__)
            if isinstance(error, FileNotFoundError) or status == _NOT_FOUND:
                raise FileNotFoundError(f"there is no {where}") from None
            if isinstance(error, FileExistsError) or status == _EXISTS:
                raise FileExistsError(f"{where} exists already") from None
            refused = isinstance(error, PermissionError) or status in _REFUSED
            if refused or words.startswith("Forbidden") or "Credential" in type(error).__name__:
                raise PermissionError(
                    f"{where} is refused: {words}; give this process credentials that may read and write there"
                ) from None
            raise ConnectionError(f"{where} cannot be reached: {words}; check the URL and the network") from None


_NOT_FOUND, _EXISTS, _NO_SUCH_RANGE = 404, 412, 416
_REFUSED = (401, 403)


def _status(error: BaseException) -> int | None:
    """The status of the store's answer, where each library has it."""
    for found in (error, error.__cause__):
        if isinstance(response := getattr(found, "response", None), dict):
            answer: dict[str, Any] = cast("Any", response).get("ResponseMetadata", {})
            return answer.get("HTTPStatusCode")
        for name in ("status_code", "code"):
            if isinstance(status := getattr(found, name, None), int):
                return status
    return None


def _redacted(text: str) -> str:
    return _SECRET.sub("***", text)


def _identity(entry: dict[str, Any]) -> Identity:
    keys = ("ETag", "etag", "generation", "LastModified", "mtime", "modified", "created")
    tag = next((entry[key] for key in keys if entry.get(key)), None)
    # Some say it in seconds in a listing and as a time of one file.
    return entry["name"], tag.timestamp() if isinstance(tag, datetime) else tag, entry["size"]


class _RemoteFile:
    def __init__(self, folder: RemoteFolder, name: str) -> None:
        self._folder, self._name = folder, name

    @property
    def identity(self) -> Identity:
        # Asked after the content was read: files do not change back, so that it was read from this one.
        return self._folder.identity(self._name)

    def read(self, most: int) -> bytes:
        return self._folder.get(self._name, 0, most)

    def read_into(self, low: int, buffer: memoryview) -> None:
        content = self._folder.get(self._name, low, low + len(buffer)) if buffer else b""
        if len(content) != len(buffer):
            raise ValueError("the file ends too early")
        buffer[:] = content


class Lease:
    """A lock that its holder renews, for an object store frees nothing when a process ends."""

    def __init__(self, folder: RemoteFolder) -> None:
        self._folder = folder
        self._process = os.getpid()
        self._token = ""
        self._renewed = 0.0
        self._lost_to = ""
        self._turn = threading.Lock()
        self._released = threading.Event()

    @property
    def held(self) -> bool:
        """Whether this process holds it through this object; until it is released, even if it was lost meanwhile."""
        return bool(self._token) and self._process == os.getpid()

    def acquire(self, patience: float) -> bool:
        """Take the lock, trying again for this many seconds. Returns whether it is held now."""
        end = time.monotonic() + patience
        while not self._take(uuid4().hex):
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        threading.Thread(target=self._keep, name=f"netlapse lease of {self._folder}", daemon=True).start()
        return True

    def release(self) -> None:
        """Give the lock back. Where that fails it dies by itself."""
        if not self.held:
            return
        self._released.set()
        with self._turn:
            with suppress(OSError):
                if self._read().get("token") == self._token:
                    self._folder.remove(files.LOCK)
            self._token = ""

    def owner(self) -> str:
        """Who holds it, in words."""
        with suppress(OSError):
            return str(self._read().get("owner", "another process"))[:200]
        return "another process"

    def confirm(self) -> None:
        """Raise OSError if another writer has taken the lease."""
        with self._turn:
            # The thread did not come to renew it: the machine slept, or the store could not be reached.
            overdue = abs(time.time() - self._renewed) > LEASE_SECONDS / 2
            if self._token and (self._lost_to or overdue):
                self._renew()

    def _take(self, token: str) -> bool:
        try:
            self._put(token, new=True)
        except FileExistsError:
            if not self._dead():
                return False
            self._put(token, new=False)
            # Of several who do this at the same time, the last one has it.
            time.sleep(SETTLE_SECONDS)
            if self._read().get("token") != token:
                return False
        self._token = token
        self._folder.lease = self
        return True

    def _dead(self) -> bool:
        # By the store's clock alone, which is seen by putting something there.
        clock = f"{files.LOCK}.{uuid4().hex}"
        try:
            self._folder.put(clock, b"now")
            now = self._folder.modified(clock)
            return (now - self._folder.modified(files.LOCK)).total_seconds() > LEASE_SECONDS
        except FileNotFoundError:  # released since: try again
            return False
        finally:
            self._folder.remove(clock)

    def _keep(self) -> None:
        while not self._released.wait(RENEW_SECONDS):
            # What is wrong is said when a file is placed.
            with suppress(OSError), self._turn:
                if self._token:
                    self._renew()

    def _renew(self) -> None:
        if not self._lost_to:
            found = self._read()
            if found.get("token") == self._token:
                self._put(self._token, new=False)
                return
            self._lost_to = str(found.get("owner", "nobody any more"))[:200]
        raise OSError(
            f"{self._folder} could not be reached for more than {LEASE_SECONDS:g} seconds and is being recorded by"
            f" {self._lost_to}; record to another path"
        )

    def _put(self, token: str, new: bool) -> None:
        self._folder.put(files.LOCK, json.dumps({"owner": myself(), "token": token}).encode(), new=new)
        self._renewed = time.time()

    def _read(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._folder.get(files.LOCK, 0, 4096)))
        except (FileNotFoundError, ValueError, TypeError):
            return {}
