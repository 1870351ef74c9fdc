"""What a study keeps: pieces that are read once, one table in the end, and no trace of writers that were killed."""

from __future__ import annotations

import os
from unittest import mock

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("pyarrow")

from netlapse.errors import StudyError
from netlapse.store import folder as places
from netlapse.study import results as module
from netlapse.study.results import Results


def piece_of(numbers, epochs=3):
    """Rows and arrays of networks that tell their numbers."""
    numbers = np.array(numbers)
    return {"network": numbers.tolist(), "activation": ["tanh"] * len(numbers)}, {
        "network": numbers,
        "measured/loss": (numbers[:, None] + np.arange(epochs) / 10).astype(np.float32),
        "wrong": numbers[:, None, None] * np.ones((1, epochs, 2), np.int32),
    }


@pytest.fixture
def results(tmp_path):
    """Three pieces of a study, whose networks are in no order."""
    results = Results(tmp_path / "study")
    results.create({})
    for piece, numbers in enumerate([[5, 0, 3], [1, 4], [2, 6]]):
        results.write(piece, *piece_of(numbers, epochs=3 - piece))
    return results


@pytest.fixture
def read(monkeypatch):
    """The names of the files that are read."""
    names = []

    def reading(folder, name, read=module.read):
        content = read(folder, name)
        names.append(name)
        return content

    monkeypatch.setattr(module, "read", reading)
    return names


def test_arrays_are_in_the_order_of_the_table(results):
    assert results.table()["network"].tolist() == list(range(7))
    arrays = results.arrays("measured/loss", "wrong")
    assert arrays["measured/loss"].dtype == np.float32
    for number, epochs in enumerate([3, 2, 1, 3, 2, 3, 1]):
        expected = np.full(3, np.nan, np.float32)
        expected[:epochs] = number + np.arange(epochs) / 10
        np.testing.assert_allclose(arrays["measured/loss"][number], expected)
        assert arrays["wrong"][number].tolist() == [[number if epoch < epochs else -1] * 2 for epoch in range(3)]
    some = results.arrays("network", "wrong", pieces=[2, 0])
    assert some["network"].tolist() == [0, 2, 3, 5, 6]
    assert some["wrong"][:, 0, 0].tolist() == [0, 2, 3, 5, 6]
    with pytest.raises(StudyError, match=r"keeps no 'measured/acuracy'; it keeps measured/loss, wrong"):
        results.arrays("measured/acuracy")


def test_pieces_are_read_once_and_a_finished_table_as_one_file(results, read):
    results.table(pieces=4)
    results.write(3, *piece_of([7]))
    whole = results.table(pieces=4)
    assert sorted(read) == [f"pieces/{piece:08d}.parquet" for piece in range(4)]
    results.finish()
    read.clear()
    for _ in range(2):
        again = results.table(pieces=4)
        pd.testing.assert_frame_equal(again, whole, check_exact=True)
        again["activation"] = "spoilt"
    assert read == ["table.parquet"]
    other = Results(results.folder)
    pd.testing.assert_frame_equal(other.table(pieces=4), whole, check_exact=True)
    # One file is as good as all, but only of all.
    results.folder.remove("pieces/00000003.parquet")
    assert other.table(pieces=4)["network"].tolist() == list(range(7))
    read.clear()
    for _ in range(2):
        results.arrays("wrong")
        results.arrays("measured/loss")
    assert sorted(read) == [f"pieces/{piece:08d}.npz" for piece in range(3)]


def test_no_more_is_kept_in_memory_than_there_is_room_for(results, read, monkeypatch):
    sizes = [entry[2] for name, entry in results.folder.list("pieces").items() if name.endswith(".npz")]
    monkeypatch.setattr(module, "_KEPT", sum(sizes) - 1)
    first, second = results.arrays("wrong"), results.arrays("wrong")
    np.testing.assert_array_equal(first["wrong"], second["wrong"])
    assert len(read) == 4


def test_two_workers_place_the_same_piece(results):
    """The second begins and ends while the first is at its most delicate point."""
    rows, arrays = piece_of([7, 8])

    def meanwhile(descriptor, fsync=os.fsync):
        patched.stop()
        results.write(3, rows, arrays)
        fsync(descriptor)

    patched = mock.patch.object(places.os, "fsync", meanwhile)
    patched.start()
    results.write(3, rows, arrays)
    assert results.done == {0, 1, 2, 3}
    np.testing.assert_array_equal(results.arrays("network", pieces=[3])["network"], [7, 8])


def test_what_killed_writers_left_is_not_read_and_goes_in_the_end(results):
    class Killed(BaseException):
        """Nothing is tidied up after a kill."""

    def kill(*_):
        raise Killed

    for _ in range(2):
        with (
            mock.patch.object(places.Path, "replace", kill),
            mock.patch.object(places.Path, "unlink"),
            pytest.raises(Killed),
        ):
            results.write(3, *piece_of([7]))
    path = results.folder.path
    left = list(path.glob("pieces/*.unfinished"))
    assert len(left) == 2
    assert results.done == {0, 1, 2}
    assert len(results.table()) == 7
    results.finish()
    assert not list(path.rglob("*.unfinished"))
    assert len(list(path.glob("pieces/*"))) == 6
