"""A training in a process of its own: python -m tests.durability.child

It says "ready", takes its orders as one line of JSON, and trains. Each line it says is one unbuffered write, so that
what has been read from it had happened, whatever became of the process: what it does now, the frames it has appended
and the frames that the writer calls durable.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from netlapse.errors import RunError
from netlapse.store import Writer

from . import content

# Frames of one training at most, unless the orders say otherwise.
FRAMES = {"9 floats": 400, "40 kB": 60, "700 kB": 15, "4 MB": 6}


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def train(
    path: Path,
    seed: int,
    network: str,
    begin: str,
    trainings: int = 10**9,
    frames: int | None = None,
    rhythm: int = 0,
) -> None:
    """Begin ("create", "replace" or "resume") and close a run; go on with it, until all trainings are done.

    `frames` is the most that one training has, `rhythm` the seed of how many it has, its pauses and its flushes.
    """
    rng = np.random.default_rng(rhythm)
    pause = rng.choice([0, 0, 0.0002, 0.001])
    for number in range(trainings):
        act = begin if number == 0 else "resume"
        say(act)
        writer = (
            Writer.resume(path) if act == "resume" else content.create(path, seed, network, replace=act == "replace")
        )
        step = writer.durable
        say("append", step, writer.durable)
        for _ in range(rng.integers(1, (frames or FRAMES[network]) + 1)):
            writer.append(content.frame(seed, step, network))
            step += 1
            say("append", step, writer.durable)
            if rng.random() < 0.1:
                say("flush", step, writer.durable)
                writer.flush()
                say("append", step, writer.durable)
            if pause:
                time.sleep(pause)
        say("close", step, writer.durable)
        writer.close()
        say("closed", step, writer.durable)


if __name__ == "__main__":
    say("ready")
    orders = json.loads(sys.stdin.readline() or "null")
    try:
        if orders:
            train(**{**orders, "path": Path(orders["path"])})
    except RunError as error:
        say("refused", error)
