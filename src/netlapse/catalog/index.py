"""The index: the rows of all runs of a root in one SQLite file, so that the next listing opens no run.

It holds nothing that the runs do not say themselves. Whatever goes wrong with it (a folder that cannot be written to,
a file of somebody else's, damage, another process that holds it for long) makes a listing slower, never wrong.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import xxhash

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

NAME = ".netlapse.sqlite"
# Counts up whenever a row means something else than before: an index of another number is made anew.
VERSION = 1
_COLUMNS = "path TEXT PRIMARY KEY, identity TEXT, row TEXT, xxh3_64 TEXT"
_OTHERS_SECONDS = 5.0
_DAMAGED = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}


class Known(NamedTuple):
    """A run as it was: the identity of its files then, and its row."""

    identity: str
    row: dict[str, Any]


def read(root: Path) -> dict[str, Known]:
    """All that is known, by the run's path. An index that is damaged or none of ours is removed."""
    file = root / NAME
    if not file.is_file():
        return {}
    try:
        with closing(_open(file)) as database:
            if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return {}  # another process is about to fill it
            if database.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                raise ValueError
            found = database.execute("SELECT path, identity, row, xxh3_64 FROM runs").fetchall()
        if any(_checksum(*entry) != stated for *entry, stated in found):
            raise ValueError
        # One long text is read several times faster than thousands of short ones.
        rows = json.loads(f"[{','.join(row for _, _, row, _ in found)}]")
        return {path: Known(identity, row) for (path, identity, *_), row in zip(found, rows, strict=True)}
    except (sqlite3.Error, ValueError, TypeError, AttributeError) as error:
        _remove_if_damaged(file, error)
        return {}


def write(root: Path, changed: Mapping[str, Known], gone: Iterable[str]) -> None:
    """Put these in and take those out, if that is possible here."""
    entries = [(path, identity, json.dumps(row)) for path, (identity, row) in changed.items()]
    file = root / NAME
    try:
        with closing(_open(file)) as database, database:
            database.execute("BEGIN IMMEDIATE")  # all of it or nothing, and one process after the other
            database.execute(f"CREATE TABLE IF NOT EXISTS runs ({_COLUMNS})")
            database.execute(f"PRAGMA user_version = {VERSION}")
            checked = ((*entry, _checksum(*entry)) for entry in entries)
            database.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", checked)
            database.executemany("DELETE FROM runs WHERE path = ?", ((path,) for path in gone))
    except sqlite3.Error as error:
        _remove_if_damaged(file, error)
    except UnicodeError:
        pass  # SQLite takes UTF-8 only, and a folder may have any name: such a root goes without


def _checksum(path: str, identity: str, row: str) -> str:
    # SQLite notices damage of its own structure only.
    return xxhash.xxh3_64_hexdigest(f"{path}\n{identity}\n{row}".encode())


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, timeout=_OTHERS_SECONDS)


def _remove_if_damaged(file: Path, error: Exception) -> None:
    # The low byte is the kind of error, the rest says more about it. What Python cannot decode has no code.
    kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if kind in _DAMAGED:
        with suppress(OSError):
            file.unlink()
            # What a killed process left half-written belongs to the file that is gone.
            file.with_name(f"{NAME}-journal").unlink()
