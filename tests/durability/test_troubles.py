"""The short form of the harness. DURABILITY=10 in the environment makes ten times as much trouble."""

from __future__ import annotations

import os
import sys

import pytest

from . import content
from .__main__ import SEED
from .flips import flip
from .full_disk import fill
from .kill import kill
from .power import can_trace, cut
from .readers import watch
from .writers import contest

SHARE = float(os.environ.get("DURABILITY", "1"))

if sys.platform != "linux":
    pytest.skip("kills, limits and forks as Linux knows them", allow_module_level=True)


def much(count: int) -> int:
    return round(count * SHARE)


def test_a_killed_writer_loses_nothing_that_was_acknowledged(tmp_path):
    found = kill(much(8), tmp_path, SEED)
    assert found.troubles == []
    assert (found.lost, found.not_resumed) == (0, 0)
    assert found.acknowledged > 0


@pytest.mark.skipif(not can_trace(), reason="strace is not here, or may not be used")
def test_a_power_cut_takes_nothing_that_was_acknowledged(tmp_path):
    found = cut(much(1), tmp_path, SEED)
    assert found.troubles == []
    assert (found.lost, found.not_resumed) == (0, 0)
    assert found.acknowledged > 0


def test_a_full_disk_stops_the_recording_and_not_the_training(tmp_path):
    found = fill(much(3), tmp_path, SEED)
    assert found.troubles == []
    assert found.lost == 0
    assert found.warned_once == found.continued == found.trials


def test_an_altered_byte_is_found_and_named_and_spoils_nothing_else(tmp_path):
    found = flip(much(24), tmp_path, SEED)
    assert found.troubles == []
    assert found.found == found.by_command == found.files.total()
    assert set(found.files) == {"net.json", "probe.safetensors", "run.json", "segments"}


def test_one_of_several_writers_gets_the_run(tmp_path):
    found = contest(much(2), tmp_path, SEED)
    assert found.troubles == []
    assert set(found.winners) == {1}
    assert found.refused == found.contests
    assert found.taken_over > 0
    assert found.lost == 0


def test_a_refused_writer_is_told_who_has_the_run(tmp_path):
    found = contest(1, tmp_path, SEED)
    assert found.named == found.refused == 1


def test_a_reader_sees_every_frame_whole_and_for_good(tmp_path):
    found = watch(much(10), tmp_path, SEED)
    assert found.troubles == []
    assert (found.torn, found.vanished, found.late) == (0, 0, 0)
    assert found.looks > 0


def test_the_harness_notices_what_it_looks_for(tmp_path):
    """Frames that are lost, or not those of their step."""
    writer = content.create(tmp_path / "run", 1, "9 floats")
    for step in (0, 1, 3):
        writer.append(content.frame(1, step, "9 floats"))
    writer.append(content.frame(2, 4, "9 floats"))
    writer.close()
    assert content.exact(content.open_run(tmp_path / "run")).tolist() == [True, True, False, False]
