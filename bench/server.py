"""`netlapse view`: how soon runs are seen, short and long ones, and frames of one that grows: `python -m bench.server`.

The article's network of 151 frames, the same gone on to 10,000, and once more while a frame is added every second.
The server runs in a process of its own, the browser is headless Chromium. A run that the server has shown before is
opened again in a new tab.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

os.environ.setdefault("KERAS_BACKEND", "jax")

from tests.browser import find

from bench.measure import machine
from bench.viewer import record

LONG, ADDED = 10_000, 20


def grow(path: Path, frames: int) -> None:
    """Go on with a run until it has so many frames, of weights that wander."""
    import numpy as np

    from netlapse.store import Frame, Run, Writer

    run = Run(path)
    weights = {parameter.name: run.weights(parameter.name, [-1])[0] for parameter in run.manifest.parameters}
    first, step, rng = len(run), int(run.steps[-1]), np.random.default_rng(0)
    with closing(Writer.resume(path)) as writer:
        for number in range(first, frames):
            weights = {
                name: values + 0.003 * rng.normal(size=values.shape).astype("float32")
                for name, values in weights.items()
            }
            writer.append(Frame(step + number - first + 1, float(number), float(number), weights, {"loss": 0.1}))


def first_picture(page: Any, address: str) -> float:
    """Seconds from asking for a page until all that is on the screen is drawn."""
    start = time.perf_counter()
    page.goto(address)
    page.evaluate("() => window.netlapse.ready")
    return time.perf_counter() - start


def opened_again(browser: Any, address: str) -> float:
    """The same in a new tab."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    seconds = first_picture(page, address)
    page.close()
    return seconds


def added(page: Any, path: Path) -> list[float]:
    """Seconds from a frame that is durable until the page, which is at the last one, shows it."""
    from netlapse.store import Frame, Run, Writer

    run = Run(path)
    weights = {parameter.name: run.weights(parameter.name, [-1])[0] for parameter in run.manifest.parameters}
    frames, step = len(run), int(run.steps[-1])
    found: list[float] = []
    with closing(Writer.resume(path)) as writer:
        # From now on it is a training that goes on.
        page.reload()
        page.evaluate("() => window.netlapse.ready")
        for number in range(ADDED):
            at = frames + number
            writer.append(Frame(step + number + 1, float(at), float(at), weights, {"loss": 0.1}))
            writer.flush()
            start = time.perf_counter()
            page.wait_for_function(f"() => window.netlapse.state.t === {at}")
            found.append(time.perf_counter() - start)
            # At another moment between two looks of the page.
            time.sleep(0.5 + 0.07 * (number % 7))
    return found


def main() -> None:
    """Print a Markdown table."""
    from playwright.sync_api import sync_playwright

    print(machine())
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        root = Path(name) / "runs"
        root.mkdir()
        record(root, "tanh", 2_000)
        short = root / "tanh-2000"
        shutil.copytree(short, root / "long")
        shutil.copytree(short, root / "growing")
        grow(root / "long", LONG)
        command = [sys.executable, "-m", "netlapse", "view", str(root), "--no-browser"]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        browser = playwright.chromium.launch(executable_path=find(), args=["--no-sandbox", "--disable-gpu"])
        print("| run | first picture | again |")
        print("| --- | --- | --- |")
        for run, what in ((Path(short), "151 frames"), (root / "long", f"{LONG:,} frames"), (root / "growing", "")):
            # A new server each time: what one run has compiled would serve the next.
            server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
            assert server.stdout is not None
            found = re.search(r"(http://\S+/)#token=(\S+)", server.stdout.readline())
            assert found is not None
            address, token = found.groups()
            asked = Request(f"{address}api/runs", headers={"Authorization": f"Bearer {token}"})
            with urlopen(asked) as answer:
                [key] = [row["key"] for row in json.load(answer)["runs"] if row["path"] == str(run)]
            link = f"{address}?runs={key}#token={token}"
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(120_000)
            seconds = first_picture(page, link)
            if what:
                page.close()
                again = statistics.median(opened_again(browser, link) for _ in range(3))
                print(f"| {what} | {seconds:.1f} s | {again:.1f} s |", flush=True)
            else:
                waited = added(page, run)
                seen = f"{statistics.median(waited):.2f} s, at most {max(waited):.2f} s"
                print(f"\na frame that is added is seen after {seen}")
            server.kill()
            server.communicate()
        browser.close()


if __name__ == "__main__":
    main()
