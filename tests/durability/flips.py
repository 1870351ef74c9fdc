"""Bytes flipped in the files of a complete run."""

from __future__ import annotations

import shutil
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load_file
from typer.testing import CliRunner

from netlapse.cli import app
from netlapse.errors import DamagedRun, NetlapseError
from netlapse.store import Run, Writer

from . import content

if TYPE_CHECKING:
    from pathlib import Path

NETWORK = "40 kB"


@dataclass
class Flips:
    """What was noticed of altered bytes, and what could be read all the same."""

    files: Counter[str] = field(default_factory=Counter)
    found: int = 0
    by_command: int = 0
    frames_elsewhere: int = 0
    troubles: list[str] = field(default_factory=list)

    def rows(self) -> dict[str, object]:
        kinds = ", ".join(f"{count} in {kind}" for kind, count in sorted(self.files.items()))
        return {
            "bytes altered": f"{self.files.total()} ({kinds})",
            "- found by `Run.verify` with the file's name": self.found,
            "- found by `netlapse verify` with the file's name": self.by_command,
            "frames in undamaged files compared bit by bit meanwhile": f"{self.frames_elsewhere:,}",
        }


def record(path: Path, seed: int) -> Run:
    """A complete run of several trainings, the later ones so much shorter that their files are kept apart."""
    content.create(path, seed, NETWORK).close()
    for frames in (180, 70, 5):
        writer = Writer.resume(path)
        for step in range(writer.durable, writer.durable + frames):
            writer.append(content.frame(seed, step, NETWORK))
        writer.close()
    return content.open_run(path)


def flip(trials: int, folder: Path, seed: int) -> Flips:
    """Alter one byte of one file, look, and put it right again; so many times."""
    rng = np.random.default_rng(seed)
    flips = Flips()
    path = folder / "run"
    frames = len(record(path, seed))
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.name != "run.lock")
    for number in range(trials):
        file = files[number % len(files)]
        good = file.read_bytes()
        # As often in the first bytes, where a header is, as in the megabytes after them.
        place = int(len(good) ** rng.random()) - 1
        bad = bytearray(good)
        bad[place] ^= int(rng.integers(1, 256))
        file.write_bytes(bad)
        flips.files[file.name if file.parent.name != "frames" else "segments"] += 1
        try:
            _look(path, file, frames, seed, flips)
        except AssertionError as error:
            flips.troubles.append(f"byte {place} of {file.name}, {good[place]} altered to {bad[place]}: {error}")
        file.write_bytes(good)
    run = content.open_run(path)
    if run.verify() or not content.exact(run).all():
        flips.troubles.append("the run that was put right again is not as before")
    shutil.rmtree(path)
    return flips


def _look(path: Path, file: Path, frames: int, seed: int, flips: Flips) -> None:
    command = CliRunner().invoke(app, ["verify", str(path)])
    said = command.output if command.exception is None or isinstance(command.exception, SystemExit) else ""
    said += str(command.exception)
    named = command.exit_code != 0 and file.name in said
    flips.by_command += named
    segments = sorted((path / "frames").glob("*.safetensors"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            run = Run(path)
        except NetlapseError as error:
            assert file.name in str(error), f"what is said does not name it: {error}"
            assert file.name == "run.json", f"the run is refused: {error}"
            flips.found += 1
            assert named, f"netlapse verify says {said}"
            for segment in segments:  # the frames can be read by anybody who reads safetensors
                flips.frames_elsewhere += _by_the_library(segment, seed)
            return
        flips.found += any(file.name in problem for problem in run.verify())
        assert any(file.name in problem for problem in run.verify()), f"verify says {run.verify()}"
    assert len(run.verify()) == 1, f"verify says {run.verify()}"
    assert named, f"netlapse verify says {said}"
    firsts = [int(segment.stem) for segment in segments] + [frames]
    here = range(firsts[segments.index(file)], firsts[segments.index(file) + 1]) if file in segments else range(0)
    gone = len(here) if run.damage else 0
    assert len(run) == frames - gone, f"{frames - len(run)} frames are missing"
    assert not caught or (gone and file.name in str(caught[0].message)), "something else is warned of"
    assert np.array_equal(run.steps, [step for step in range(frames) if not gone or step not in here])
    flips.frames_elsewhere += _elsewhere(run, here, file, seed)
    _the_rest(run, file, seed)


def _by_the_library(segment: Path, seed: int) -> int:
    arrays = load_file(segment)
    steps = arrays["clock/step"]
    for parameter in content.parameters(NETWORK):
        wanted = content.weights(seed, steps, parameter)
        assert content.same(arrays[f"weights/{parameter.name}"], wanted).all(), f"{segment.name} is not as it was"
    return len(steps)


def _elsewhere(run: Run, here: range, file: Path, seed: int) -> int:
    """All of other segments is what it was; of this one all but one array, if it can be read at all."""
    outside = np.flatnonzero(~np.isin(run.steps, here))
    inside = np.flatnonzero(np.isin(run.steps, here))
    refused = 0
    for parameter in run.manifest.parameters:
        wanted = content.weights(seed, run.steps[outside], parameter)
        assert content.same(run.weights(parameter.name, outside), wanted).all(), f"{parameter.name} elsewhere differs"
        try:
            wanted = content.weights(seed, run.steps[inside], parameter)
            assert content.same(run.weights(parameter.name, inside), wanted).all(), (
                f"{parameter.name} differs, unnoticed"
            )
        except DamagedRun as error:
            refused += 1
            assert file.name in str(error), f"the error does not name it: {error}"
    for name, wanted in content.logged(run.steps).items():
        try:
            assert content.same(run.scalar(name), wanted).all(), f"{name} differs, unnoticed"
        except DamagedRun as error:
            refused += 1
            assert file.name in str(error), f"the error does not name it: {error}"
    assert refused <= (len(inside) > 0), f"{refused} arrays cannot be read"
    return len(outside)


def _the_rest(run: Run, file: Path, seed: int) -> None:
    for name, read in (("probe.safetensors", run.probe), ("net.json", lambda: run.model_file("architecture"))):
        try:
            found = read()
        except DamagedRun as error:
            assert file.name == name, f"{name} cannot be read"
            assert name in str(error), f"the error does not name it: {error}"
            continue
        assert file.name != name, f"{name} is read as if it were sound"
        if isinstance(found, bytes):
            assert found == content.MODEL
        else:
            assert all(content.same(found[key], value).all() for key, value in content.probe(seed).items())
