"""A process that was forked by the writer's is no writer, and does not keep the run when the writer is dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from netlapse.store import Writer

from . import content
from .process import ROOT

if not hasattr(os, "fork"):
    pytest.skip("no fork here", allow_module_level=True)

RECORDING = """
import os, signal, sys, warnings
from netlapse.record import Description, Probe, Recording
from netlapse.store import Run
from tests.durability import content

def record(step):
    frame = content.frame(5, step, "40 kB")
    recording.frame(step, frame.epoch, lambda: frame.weights, frame.scalars)

recording = Recording(sys.argv[1], probe=Probe.of(([[0.0]], [0]), "probe"))
recording.begin(lambda: Description("numpy", "numpy", {}, {}, (), content.parameters("40 kB"), {}, {}))
record(0)
record(1)
"""


def python(code, path, **keywords):
    command = [sys.executable, "-c", RECORDING + code, str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, **keywords)


def test_a_forked_child_writes_nothing(tmp_path):
    code = """
if os.fork() == 0:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        record(2)
        recording.close("complete")
    [warning] = caught
    assert "recording to" in str(warning.message), warning.message
    sys.exit(7)  # runs the exit handlers, as a worker does
assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
assert Run(sys.argv[1]).status == "recording"  # the end of the child has not freed it
record(2)
recording.close("complete")
"""
    process = python(code, tmp_path / "run")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    run = content.open_run(tmp_path / "run")
    assert (run.steps.tolist(), run.status, run.verify()) == ([0, 1, 2], "complete", [])
    for parameter in content.parameters("40 kB"):
        assert content.same(run.weights(parameter.name), content.weights(5, run.steps, parameter)).all()


def test_a_child_that_outlives_the_recorder_does_not_keep_the_run(tmp_path):
    code = """
if os.fork() == 0:
    print("child", flush=True)
    signal.pause()
os.wait()
"""
    process = python(code, tmp_path / "run", start_new_session=True)
    try:
        assert process.stdout.readline() == "child\n"
        assert content.open_run(tmp_path / "run").status == "recording"
        process.kill()
        process.wait()
        assert content.open_run(tmp_path / "run").status == "interrupted"
        Writer.resume(tmp_path / "run").close()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
