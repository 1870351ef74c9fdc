"""The runs below a root: the table of them, and those that are looked at, followed while they grow."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from .. import catalog
from ..catalog.query import matching
from ..errors import UnknownName
from .current import version
from .showing import Showing
from .thumbnail import thumbnail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..catalog import Row
    from ..replay import Replay
    from .thumbnail import Thumbnail

# Runs and comparisons that are kept open, the latest used.
_MOST_OPEN, _MOST_SHOWN = 24, 8
# Runs that can be compared.
_MOST_COMPARED = 6
# The table is made anew, and a run of this machine is looked at again, after so many seconds.
_TABLE_SECONDS, _LOOK_SECONDS = 1.0, 0.2


class Opened:
    """A run that is looked at. Whoever computes with it, or refreshes it, has its `turn` meanwhile."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        # Networks are not made for several threads; and whoever came first is served first.
        self.turn = anyio.Lock()
        # Object stores get their segments more rarely, and each look has its price.
        self._seconds = max(_LOOK_SECONDS, replay.run.folder.segment_seconds / 2)
        self._looked = time.monotonic()

    def look(self) -> None:
        """See what was recorded since, unless that was just done."""
        now = time.monotonic()
        if now - self._looked >= self._seconds:
            self._looked = now
            self.replay.refresh()

    @property
    def version(self) -> str:
        """A text that changes with every frame and every change of the status."""
        return version(self.replay)


class Library:
    """The runs below `root`, a folder or URL, by keys that say nothing of where they are.

    A key is known from the table only, so that no request can name a path. `open_run` opens a run for replay.
    """

    def __init__(self, root: str, open_run: Callable[[str], Replay]) -> None:
        self._root, self._open_run = root, open_run
        self._rows: list[Row] = []
        self._paths: dict[str, str] = {}
        self._listed = float("-inf")
        self._listing = anyio.Lock()
        self._opened: OrderedDict[str, Opened] = OrderedDict()
        self._showings: OrderedDict[tuple[str, ...], Showing] = OrderedDict()
        self._thumbnails: dict[str, tuple[str, Thumbnail]] = {}

    async def rows(self, where: str | None = None) -> list[Row]:
        """The table of all runs, or of those for which an expression holds.

        Raises BadQuery for what is no such expression.
        """
        async with self._listing:
            # Listing a bucket takes long and has its price.
            seconds = 15 * _TABLE_SECONDS if "://" in self._root else _TABLE_SECONDS
            if time.monotonic() - self._listed > seconds:
                self._rows = await to_thread.run_sync(catalog.rows, self._root)
                self._paths = {self.key(row): row["path"] for row in self._rows}
                self._listed = time.monotonic()
        if not where or not self._rows:
            return self._rows
        return await to_thread.run_sync(matching, self._rows, where, catalog.columns(self._rows))

    def key(self, row: Row) -> str:
        """The key of a run: the same whenever the root is looked at again."""
        path = row["path"].removeprefix(self._root if "://" in self._root else str(Path(self._root)))
        return hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()[:16]

    async def showing(self, keys: Sequence[str]) -> Showing:
        """What is shown of these runs together. Raises UnknownName for an unknown key, ValueError for too many."""
        if not 1 <= len(keys) <= _MOST_COMPARED or len(set(keys)) < len(keys):
            raise ValueError(f"choose 1 to {_MOST_COMPARED} different runs")
        found = self._showings.get(tuple(keys))
        if found is None:
            opened = [await self.opened(key) for key in keys]
            found = self._showings.setdefault(tuple(keys), Showing(opened))
        _keep(self._showings, tuple(keys), _MOST_SHOWN)
        return found

    async def opened(self, key: str) -> Opened:
        """A run by its key. Raises UnknownName if there is none, and what opening it raises."""
        found = self._opened.get(key)
        if found is None:
            if key not in self._paths:
                await self.rows()
            if key not in self._paths:
                raise UnknownName("there is no such run here; it may have been moved or removed")
            replay = await to_thread.run_sync(self._open_run, self._paths[key])
            found = self._opened.setdefault(key, Opened(replay))
        _keep(self._opened, key, _MOST_OPEN)
        return found

    async def thumbnail(self, key: str) -> Thumbnail:
        """A small picture of a run as it is now."""
        opened = await self.opened(key)
        async with opened.turn:
            await to_thread.run_sync(opened.look)
            version, found = self._thumbnails.get(key, ("", None))
            if found is None or version != opened.version:
                found = await to_thread.run_sync(thumbnail, opened.replay)
                self._thumbnails[key] = opened.version, found
        return found


def _keep(kept: OrderedDict[Any, Any], key: Any, most: int) -> None:
    """Make it the latest used; what is unused for longest goes."""
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
