"""A disk that fills up in the middle of a training: python -m tests.durability.full_disk RUN SEED tmpfs|limit BYTES

The program trains through a Recording, as adapters do. At a step that the seed gives, its file system is left so many
bytes, or its files are limited to so many. Later it makes room and goes on with the run. It says what it found as JSON.
"""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from netlapse.record import Description, Probe, Recording
from netlapse.store import is_run

from . import content
from .process import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

# Networks, the frames of one training, and about how many bytes a frame is on disk.
TRAININGS = (("9 floats", 3000, 90), ("40 kB", 1000, 40_000), ("700 kB", 120, 700_000))


NOTHING = (-1, lambda: None)


def description(network: str) -> Description:
    return Description("numpy", "numpy", {}, {}, (), content.parameters(network), {"architecture": "n"}, {"n": b"{}"})


def train(recording: Recording, seed: int, network: str, frames: int, event: tuple[int, Callable[[], object]]) -> int:
    """A training that knows nothing of disks, with an event before a step of it. Returns the most frames that were ever
    called durable.
    """
    recording.begin(lambda: description(network))
    durable, first = recording.durable_frames, recording.step + (recording.durable_frames > 0)
    for step in range(first, first + frames):
        if step - first == event[0]:
            event[1]()
        frame = content.frame(seed, step, network)
        recording.frame(step, step / 4, lambda frame=frame: frame.weights, frame.scalars)
        durable = max(durable, recording.durable_frames)
        recording.pass_by(step, step / 4)
    frame = content.frame(seed, recording.step + 1, network)
    recording.step, recording.epoch = frame.step, frame.epoch
    recording.end(lambda: frame.weights, frame.scalars)
    return max(durable, recording.durable_frames)


def sound(path: Path, seed: int) -> tuple[int, int, list[str]]:
    """Frames there are, frames that are what they were, and what is damaged."""
    run = content.open_run(path)
    steps = np.arange(len(run))
    right = content.same(run.steps, steps)
    if len(run):
        right &= content.same(run.scalar("loss"), content.logged(steps)["loss"])
    for parameter in run.manifest.parameters:
        right &= content.same(run.weights(parameter.name), content.weights(seed, steps, parameter))
    return len(run), int(right.sum()), run.verify()


def main(path: Path, seed: int, how: str, size: int) -> dict[str, object]:
    """Fill the disk, train on, make room, go on."""
    network, frames, _ = TRAININGS[seed % 3]
    ballast = path.parent / "ballast"
    probe = Probe.of(([[0.0]], [0]), "probe")
    recording = Recording(path, probe=probe, every="step", exist="resume")

    def full() -> None:
        if how == "limit":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        else:
            # The recorder writes at the same time, and may have taken some of the room.
            with suppress(OSError):
                ballast.write_bytes(bytes(max(0, shutil.disk_usage(path).free - size)))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        durable = train(recording, seed, network, frames, (np.random.default_rng(seed).integers(frames // 2), full))
        train(recording, seed, network, 5, NOTHING)  # as a second `fit` does
    found, exact, damage = sound(path, seed)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    ballast.unlink(missing_ok=True)
    again = Recording(path, probe=probe, every="step", exist="resume")
    train(again, seed, network, 10, NOTHING)
    after, exact_after, damage_after = sound(path, seed)
    return {
        "network": network,
        "durable": durable,
        "lost": durable - min(durable, exact),
        "altered": found - exact + after - exact_after,
        "damage": damage + damage_after,
        "warnings": [str(each.message) for each in caught],
        "continued": after >= found + 10 and content.open_run(path).status == "complete",
        "is_run": is_run(path),
    }


@dataclass
class FullDisks:
    """What became of the runs on full disks."""

    trials: int = 0
    kinds: set[str] = field(default_factory=set)
    acknowledged: int = 0
    lost: int = 0
    warned_once: int = 0
    continued: int = 0
    troubles: list[str] = field(default_factory=list)

    def rows(self) -> dict[str, object]:
        return {
            "trainings whose disk filled up": f"{self.trials} ({' and '.join(sorted(self.kinds))})",
            "- that went on to their end with exactly one warning": self.warned_once,
            "- whose run was continued once there was room": self.continued,
            "acknowledged frames compared": f"{self.acknowledged:,}",
            "acknowledged frames lost or altered": self.lost,
        }


# A file system of one's own needs no rights where users may have name spaces.
TMPFS = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]


def can_mount(folder: Path) -> bool:
    try:
        return (
            subprocess.run([*TMPFS, f"mount -t tmpfs -o size=8m none '{folder}'"], capture_output=True).returncode == 0
        )
    except OSError:
        return False


def fill(trials: int, folder: Path, seed: int) -> FullDisks:
    """Fill a small file system, or where none can be mounted run into a limit on the size of files."""
    rng = np.random.default_rng(seed)
    found = FullDisks()
    mountable = can_mount(folder)
    for number in range(trials):
        how = "tmpfs" if mountable and number % 2 == 0 else "limit"
        found.kinds.add({"tmpfs": "a full tmpfs", "limit": "RLIMIT_FSIZE"}[how])
        place = folder / f"disk{number}"
        place.mkdir()
        _, frames, nbytes = TRAININGS[number % 3]
        # Room for a part of what the training has yet to write, or for less than one frame.
        size = int(nbytes * (rng.uniform(0, 0.4 * frames) if how == "tmpfs" else rng.uniform(0, 0.9)))
        program = [sys.executable, "-m", "tests.durability.full_disk", str(place / "run"), str(number), how, str(size)]
        if how == "tmpfs":
            program = [*TMPFS, f"mount -t tmpfs -o size=200m none '{place}' && exec \"$@\"", "sh", *program]
        done = subprocess.run(program, capture_output=True, text=True, cwd=ROOT, timeout=120)
        found.trials += 1
        if done.returncode != 0:
            found.troubles.append(f"disk {number}: {done.stderr}")
            continue
        said = json.loads(done.stdout)
        found.acknowledged += said["durable"]
        found.lost += said["lost"]
        once = len(said["warnings"]) == 1 and "Training goes on" in said["warnings"][0]
        found.warned_once += once
        found.continued += said["continued"]
        if not once or not said["continued"] or said["lost"] or said["altered"] or said["damage"]:
            found.troubles.append(f"disk {number} ({how}, {size} bytes): {said}")
    return found


if __name__ == "__main__":
    path, seed, how, size = sys.argv[1:]
    sys.stdout.write(json.dumps(main(Path(path), int(seed), how, int(size))))
