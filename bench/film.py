"""Frames per second and memory of the article's film, end to end: python -m bench.film [repeats]

Five panels, 1440 x 720, 151 epochs of the tanh network, mp4, from an opened run to the finished file.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from .measure import fresh, machine, row

import netlapse  # isort: skip
from netlapse import demo
from netlapse.figures import Panels
from netlapse.figures.film import frames
from netlapse.figures.scenes import panels_of

# The first film of a process also waits for what is compiled once; the others do as soon as a network is known.
COLD = """
import sys, time, netlapse
import netlapse.figures
from netlapse import demo
replay = netlapse.open(sys.argv[1])
replay.outputs(0)
start = time.perf_counter()
netlapse.film(replay, sys.argv[2], domain=demo.DOMAIN)
print(151 / (time.perf_counter() - start))
"""
PEAK = """
import pathlib, sys, netlapse
from netlapse import demo
netlapse.film(netlapse.open(sys.argv[1]), sys.argv[2], domain=demo.DOMAIN)
# Not ru_maxrss, which begins with the memory of the process that started this one.
status = pathlib.Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


def main(repeats: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        replay = demo.train("tanh", Path(folder) / "tanh")
        out = Path(folder) / "tanh.mp4"
        netlapse.film(replay, out, domain=demo.DOMAIN, epochs=[0, 1])  # warms the machine
        whole: list[float] = []
        drawing: list[float] = []
        naive: list[float] = []
        for _ in range(repeats):
            start = time.perf_counter()
            netlapse.film(replay, out, domain=demo.DOMAIN)
            whole.append(151 / (time.perf_counter() - start))
            scene = Panels(replay, panels_of(replay, None, domain=demo.DOMAIN))
            start = time.perf_counter()
            count = sum(1 for _ in frames(scene, replay.epochs.tolist()))
            drawing.append(count / (time.perf_counter() - start))
            scene = Panels(replay, panels_of(replay, None, domain=demo.DOMAIN))
            start = time.perf_counter()
            for epoch in (10, 50, 90, 130):  # as FuncAnimation does: everything anew for every frame
                scene.show(epoch)
                scene.figure.canvas.draw()
            naive.append(4 / (time.perf_counter() - start))
        cold = [float(fresh(COLD, replay.run.path, out)) for _ in range(repeats)]
        peaks = [float(fresh(PEAK, replay.run.path, out)) for _ in range(3)]
    print(machine())
    print(row("film, end to end", whole, "frames/s"))
    print(row("film, end to end, first of its process", cold, "frames/s"))
    print(row("drawing alone", drawing, "frames/s"))
    print(row("every frame drawn anew, not encoded", naive, "frames/s"))
    print(row("end to end / drawn anew", [a / b for a, b in zip(whole, naive, strict=True)], "times"))
    print(row("peak memory of the whole command", peaks, "MiB"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
