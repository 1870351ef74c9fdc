"""What is kept of a study: one row for each network in Parquet, and arrays beside it, piece by piece."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import StudyError
from ..store import folder_of
from ..store.files import UNFINISHED
from ..store.folder import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from ..store.folder import Folder

MANIFEST = "study.json"
FORMAT = 1
_PIECES, _TABLE = "pieces", "table.parquet"
# Of arrays, so many bytes are read once only: those of a million small networks.
_KEPT = 2**30


class Results:
    """The folder of a study, on this machine or in an object store.

    A piece is what is trained in one go. Its arrays are placed first and its rows last, each whole or not at all: a
    piece is done if its rows are there, whoever was killed in between. It never changes then, so that what was read of
    it is kept.
    """

    def __init__(self, path: str | Path) -> None:
        self.folder: Folder = folder_of(path)
        self._rows: dict[int, pd.DataFrame] = {}
        self._arrays: dict[int, bytes] = {}
        self._kept = 0
        self._table: pd.DataFrame | None = None

    @property
    def manifest(self) -> dict[str, Any] | None:
        """What the study is; None where there is none. Raises StudyError for what is damaged or newer."""
        if not self.folder.exists():
            return None
        try:
            text = read(self.folder, MANIFEST)
        except FileNotFoundError:
            strangers = self.folder.strangers()
            if strangers:
                raise StudyError(
                    f"{self.folder} holds {', '.join(strangers[:3])} but no {MANIFEST}; choose another folder for the"
                    " study"
                ) from None
            return None
        try:
            found = json.loads(text)
            number = found["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise StudyError(f"{MANIFEST} of {self.folder} cannot be read ({error}); it is damaged") from error
        if number != FORMAT:
            raise StudyError(f"{self.folder} is written in format {number}; this netlapse reads {FORMAT}")
        return found

    def create(self, manifest: Mapping[str, Any]) -> None:
        """Make the folder of a new study."""
        self.folder.make()
        self.folder.place(MANIFEST, [json.dumps({"format": FORMAT, **manifest}, indent=1).encode()])

    @property
    def done(self) -> set[int]:
        """The numbers of the pieces that are there."""
        names = [name.removesuffix(".parquet") for name in self.folder.list(_PIECES) if name.endswith(".parquet")]
        return {int(name) for name in names if name.isdecimal()}

    def write(self, piece: int, rows: Mapping[str, Sequence[Any]], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep a piece: the columns of its rows, and arrays with the networks first."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        self.folder.place(f"{_PIECES}/{piece:08d}.npz", [buffer.getvalue()])
        self.folder.place(f"{_PIECES}/{piece:08d}.parquet", [_parquet(_frame(rows))])

    def table(self, pieces: int | None = None) -> pd.DataFrame:
        """All networks that are there, in the order of their numbers. `pieces` is how many there are of the study."""
        done = self.done
        if len(done) == pieces and self._finished is not None:
            return self._finished.copy()
        pandas = _pandas()
        for piece in done - self._rows.keys():
            self._rows[piece] = pandas.read_parquet(io.BytesIO(read(self.folder, f"{_PIECES}/{piece:08d}.parquet")))
        if not done:
            return pandas.DataFrame({"network": np.zeros(0, np.int64)})
        parts = [self._rows[piece] for piece in sorted(done)]
        return pandas.concat(parts, ignore_index=True).sort_values("network", ignore_index=True)

    @property
    def _finished(self) -> pd.DataFrame | None:
        """The table as `finish` has written it, if it has."""
        if self._table is None:
            with suppress(FileNotFoundError):
                self._table = _pandas().read_parquet(io.BytesIO(read(self.folder, _TABLE)))
        return self._table

    def arrays(self, *names: str, pieces: Iterable[int] | None = None) -> dict[str, NDArray[Any]]:
        """Arrays of all networks that are there, or of those of some pieces, in the order of their numbers.

        Of networks that were trained for fewer epochs than others, the rest is NaN, of whole numbers -1.
        """
        numbers: list[NDArray[np.int64]] = []
        parts: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
        for piece in sorted(self.done if pieces is None else pieces):
            with np.load(io.BytesIO(self._arrays_of(piece)), allow_pickle=False) as found:
                numbers.append(found["network"])
                for name in names:
                    if name not in found:
                        known = ", ".join(sorted(set(found) - {"network"}))
                        raise StudyError(f"the study {self.folder.name!r} keeps no {name!r}; it keeps {known}")
                    parts[name].append(found[name])
        if not numbers:
            return {name: np.zeros((0, 0), np.float32) for name in names}
        # The place of each network: its rank among all.
        places = np.split(np.concatenate(numbers).argsort().argsort(), np.cumsum([len(some) for some in numbers])[:-1])
        return {name: _joined(parts.pop(name), places) for name in names}

    def _arrays_of(self, piece: int) -> bytes:
        if piece in self._arrays:
            return self._arrays[piece]
        found = read(self.folder, f"{_PIECES}/{piece:08d}.npz")
        if self._kept + len(found) <= _KEPT:
            self._arrays[piece] = found
            self._kept += len(found)
        return found

    def finish(self) -> None:
        """Put the table of all networks beside the pieces, and remove what killed writers left."""
        if _TABLE not in self.folder.list(""):
            self.folder.place(_TABLE, [_parquet(self.table())])
            self._rows.clear()
        for below in ("", _PIECES):
            for name in self.folder.list(below):
                if name.endswith(UNFINISHED):
                    self.folder.remove(f"{below}/{name}".lstrip("/"))


def _joined(parts: Sequence[NDArray[Any]], places: Sequence[NDArray[np.int64]]) -> NDArray[Any]:
    """Arrays of some networks each as one, with each network in its place."""
    shape = np.max([part.shape[1:] for part in parts], axis=0, initial=0) if parts[0].ndim > 1 else ()
    fill: Any = np.nan if parts[0].dtype.kind == "f" else -1
    found = np.full((sum(map(len, parts)), *shape), fill, np.result_type(*parts))
    for part, where in zip(parts, places, strict=True):
        found[(where, *(slice(size) for size in part.shape[1:]))] = part
    return found


def _frame(rows: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    return _pandas().DataFrame({name: list(values) for name, values in rows.items()})


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _pandas() -> Any:
    try:
        _ = import_module("pyarrow")  # it reads and writes Parquet for pandas
        return import_module("pandas")
    except ImportError as error:
        raise StudyError(
            f'studies are kept with pandas and pyarrow: pip install "netlapse[study]" ({error})'
        ) from error
