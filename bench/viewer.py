"""The page in a browser: sizes, the first picture, and what a frame takes: `python -m bench.viewer [REPEATS]`.

Runs of the article's network, 150 epochs, are shown by headless Chromium without a GPU: one with 2,000 examples, three
side by side, and one with 100,000 examples. While a page plays, the browser's own counters say how long its main thread
works for each frame (scripts, layout and the orders to draw; drawing itself is done in threads of their own). In turn
with the pages, a canvas of 600 x 600 pixels on which nothing but 2,000 discs are drawn, as paths, says how fast the
machine is just then.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

from tests.browser import find

from bench.measure import machine

SECONDS = 4


def record(folder: Path, activation: str, examples: int) -> Any:
    """A run of the article's network, looked at with so many examples."""
    import keras

    import netlapse
    from netlapse.datasets import parabolas
    from netlapse.keras import Recorder
    from netlapse.study.article import build

    X, y = parabolas()
    probe = parabolas(examples)
    keras.utils.set_random_seed(42)
    path = folder / f"{activation}-{examples}"
    recorder = Recorder(path, probe=probe, probe_size=examples)
    build(activation).fit(X, y, epochs=150, batch_size=16, verbose=0, callbacks=[recorder])
    return netlapse.open(path)


def first_picture(browser: Any, path: Path) -> float:
    """Milliseconds from asking for the page until all that is on the screen is drawn."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    start = time.perf_counter()
    page.goto(path.as_uri())
    page.evaluate("window.netlapse.ready")
    seconds = time.perf_counter() - start
    page.close()
    return 1000 * seconds


DISCS = """<!DOCTYPE html><canvas width="600" height="600"></canvas><script>
const context = document.querySelector("canvas").getContext("2d");
const places = Array.from({ length: 4000 }, (_, k) => 300 + 290 * Math.sin(k * k));
let turn = 0;
function draw() {
  turn++;
  context.clearRect(0, 0, 600, 600);
  for (const part of [0, 1]) {
    context.fillStyle = ["#0072B2", "#E69F00"][part];
    context.beginPath();
    for (let k = 2 * part; k < 4000; k += 4) {
      const x = places[k] + 3 * Math.sin(turn / 9);
      context.moveTo(x + 3, places[k + 1]);
      context.arc(x, places[k + 1], 3, 0, 2 * Math.PI);
    }
    context.fill();
  }
  requestAnimationFrame(draw);
}
draw();
</script>"""


class Counted:
    """A page with a count of the frames that are drawn, and the browser's own counters."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.counters = page.context.new_cdp_session(page)
        self.counters.send("Performance.enable")
        page.evaluate("() => { window.drawn = 0; const tick = () => { drawn++; requestAnimationFrame(tick) }; tick() }")

    def spent(self) -> float:
        """Seconds that the main thread has worked."""
        found = self.counters.send("Performance.getMetrics")["metrics"]
        return next(each["value"] for each in found if each["name"] == "TaskDuration")

    def frames(self) -> tuple[float, float]:
        """Milliseconds of the main thread for each frame that is drawn now, and frames a second."""
        before, drawn, start = self.spent(), self.page.evaluate("drawn"), time.perf_counter()
        self.page.wait_for_timeout(1000 * SECONDS)
        count, seconds = self.page.evaluate("drawn") - drawn, time.perf_counter() - start
        return 1000 * (self.spent() - before) / count, count / seconds


def discs(browser: Any) -> float:
    page = browser.new_page()
    page.set_content(DISCS)
    took, _ = Counted(page).frames()
    page.close()
    return took


def frames(browser: Any, path: Path) -> tuple[float, float]:
    """What a frame of a page takes while it plays: milliseconds of the main thread, and frames a second."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(path.as_uri())
    page.evaluate("window.netlapse.ready")
    counted = Counted(page)
    page.keyboard.press(" ")
    page.wait_for_timeout(12_000)  # once through, so that what is computed once is there
    # From the beginning, as the last frame rests.
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    page.wait_for_timeout(500)
    found = counted.frames()
    page.close()
    return found


def main(repeats: int) -> None:
    """Print a Markdown table of medians."""
    from playwright.sync_api import sync_playwright

    import netlapse

    print(machine())
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        runs = [record(folder, activation, 2_000) for activation in ("sigmoid", "tanh", "relu")]
        many = record(folder, "tanh", 100_000)
        pages = {
            "one run, 2,000 examples": netlapse.page(runs[1], folder / "one.html"),
            "three runs, 2,000 examples": netlapse.page(runs, folder / "three.html"),
            "one run, 100,000 examples, 50 frames": netlapse.page(
                many, folder / "many.html", examples=100_000, frames=50
            ),
        }
        browser = playwright.chromium.launch(executable_path=find(), args=["--no-sandbox", "--disable-gpu"])
        print("| page | size | first picture | main thread for a frame | discs | frames/s |")
        print("| --- | --- | --- | --- | --- | --- |")
        for what, path in pages.items():
            first = statistics.median(first_picture(browser, path) for _ in range(repeats))
            each = [(*frames(browser, path), discs(browser)) for _ in range(repeats)]
            took, rate, reference = map(statistics.median, zip(*each, strict=True))
            size = path.stat().st_size / 1e6
            row = f"{size:.2f} MB | {first:.0f} ms | {took:.1f} ms | {reference:.1f} ms | {rate:.0f}"
            print(f"| {what} | {row} |", flush=True)
        browser.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
