"""The widget in a real JupyterLab and a real marimo, and what nbconvert makes of the notebook."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from base64 import b64decode
from contextlib import contextmanager
from html.parser import HTMLParser

import pytest

sync_api = pytest.importorskip("playwright.sync_api")
for needed in ("anywidget", "jupyterlab", "marimo", "nbconvert", "sklearn"):
    pytest.importorskip(needed)

import nbformat  # noqa: E402
from sklearn.neural_network import MLPClassifier  # noqa: E402

import netlapse  # noqa: E402
from netlapse import notebook as notebooks  # noqa: E402
from netlapse.datasets import parabolas  # noqa: E402
from netlapse.sklearn import record  # noqa: E402

# Notebooks start slowly where cores are busy.
SECONDS = 120
VIEWER = "[data-lm-suppress-shortcuts][tabindex='-1']"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """80 epochs of a small network of scikit-learn, which a kernel has soon imported."""
    path = tmp_path_factory.mktemp("runs") / "small"
    with warnings.catch_warnings(action="ignore"):
        record(MLPClassifier((2,), "tanh", max_iter=80, n_iter_no_change=80, random_state=0), *parabolas(200), path)
    return path


@contextmanager
def serving(command, folder, address, **environment):
    """A server of notebooks; its address, by `address()`, once it answers."""
    environment = {**os.environ, "HOME": str(folder), **environment}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            until = time.monotonic() + SECONDS
            while True:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until, (folder / "log").read_text()
                try:
                    urllib.request.urlopen(address(), timeout=5).close()
                    break
                except urllib.error.HTTPError as error:  # it asks for its token
                    error.close()
                    break
                except (OSError, ValueError, StopIteration):
                    time.sleep(0.1)
            yield address()
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@contextmanager
def opened(browser):
    """A page whose errors, and requests to anywhere else, fail the test."""
    said = []
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(1000 * SECONDS)
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    own = ("http://localhost:", "http://127.0.0.1:", "file:", "blob:", "data:", "about:")
    page.on("request", lambda request: None if request.url.startswith(own) else said.append(request.url))
    yield page
    context.close()
    assert said == []


def wait_for_epoch(viewer, epoch):
    viewer.locator(".epoch", has_text=re.compile(f"^Epoch {epoch}$")).wait_for()


def play_a_little(viewer, page):
    """Space plays, and Space stops at a recorded frame. Returns its epoch."""
    before = viewer.locator(".epoch").text_content()
    page.keyboard.press(" ")
    page.wait_for_function(
        "([viewer, before]) => viewer.shadowRoot.querySelector('.epoch').textContent !== before",
        arg=[viewer.element_handle(), before],
    )
    page.keyboard.press(" ")
    viewer.get_by_role("button", name="Play", exact=True).wait_for()
    viewer.locator(".between.shown").wait_for(state="detached")
    return int(viewer.locator(".epoch").text_content().removeprefix("Epoch "))


def test_jupyterlab_and_what_nbconvert_makes_of_it(run, browser, tmp_path):
    cells = [
        f"import netlapse\nviewer = netlapse.show(netlapse.open({str(run)!r}), epoch=20)\nviewer",
        "viewer",
        "viewer.epoch = 60\nviewer.selected = [3, 7]",
        "print(viewer.epoch, viewer.selected, viewer.playing)",
    ]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    folder = tmp_path / "notebooks"
    folder.mkdir()
    nbformat.write(notebook, folder / "run.ipynb")
    settings = tmp_path / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(json.dumps({"fetchNews": "false"}))
    (settings / "themes.jupyterlab-settings").write_text(json.dumps({"theme": "JupyterLab Dark"}))
    token, runtime = secrets.token_hex(16), tmp_path / "runtime"
    command = ["jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser", f"--port={free_port()}"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    environment = {
        "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTER_DATA_DIR": str(tmp_path / "data"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }

    def address():
        # Another port than the one that was asked for, if that was taken meanwhile.
        return json.loads(next(runtime.glob("jpserver-*.json")).read_text())["url"]

    with serving(command, tmp_path, address, **environment) as server, opened(browser) as page:
        page.goto(f"{server}lab/tree/run.ipynb?token={token}")
        widget = "window.jupyterapp?.shell.currentWidget"
        page.wait_for_function(f"() => {widget}?.sessionContext?.session?.kernel?.status === 'idle'")

        def execute(number):
            page.evaluate(
                "(number) => { jupyterapp.shell.currentWidget.content.activeCellIndex = number;"
                " void jupyterapp.commands.execute('notebook:run-cell'); }",
                number,
            )

        for number in (0, 1):
            execute(number)
        one, two = (page.locator(VIEWER).nth(number) for number in (0, 1))
        for viewer in (one, two):
            wait_for_epoch(viewer, 20)
        assert one.get_attribute("data-theme") == "dark"
        execute(2)
        for viewer in (one, two):
            wait_for_epoch(viewer, 60)
        # Keys are the viewer's as long as it has the focus: in JupyterLab "b" makes a cell.
        one.locator(".top h1").click()
        for key in ("b", "a", "ArrowRight"):
            page.keyboard.press(key)
        for viewer in (one, two):
            wait_for_epoch(viewer, 61)
        assert page.locator(".jp-Notebook .jp-Cell").count() == len(cells)
        epoch = play_a_little(one, page)
        wait_for_epoch(two, epoch)
        # What the viewer says comes to Python after it is seen here, and the cell says what Python knows.
        printed = page.locator(".jp-OutputArea-output pre", has_text=f"{epoch}.0 [3, 7] False")
        until = time.monotonic() + SECONDS
        while printed.count() == 0:
            assert time.monotonic() < until, page.locator(".jp-OutputArea-output pre").all_text_contents()
            execute(3)
            page.wait_for_timeout(500)
        page.keyboard.press("Escape")
        # A viewer that is gone leaves the other as it is.
        execute(1)
        wait_for_epoch(two, epoch)
        page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")

    found = nbformat.read(folder / "run.ipynb", 4)
    picture = found.cells[0].outputs[0].data["image/png"]
    subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to", "html", str(folder / "run.ipynb")],
        check=True,
        capture_output=True,
        env={**os.environ, **environment},
    )
    images = Images((folder / "run.html").read_text()).found
    assert b64decode(picture) in images
    assert len(images) == 2


def test_a_notebook_that_is_executed_for_a_file_has_a_picture(run, tmp_path):
    """Nobody answers a widget there."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(f"import netlapse\nnetlapse.open({str(run)!r})")],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(notebook, tmp_path / "run.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "html", str(tmp_path / "run.ipynb")]
    environment = {"IPYTHONDIR": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")}
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})
    text = (tmp_path / "run.html").read_text()
    [picture] = Images(text).found
    assert picture.startswith(b"\x89PNG")
    assert '<script type="application/vnd.jupyter.widget-view+json">' not in text


def test_the_page_in_a_frame_plays_and_has_no_origin(run, browser, tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "find_spec", lambda _: None)
    framed = netlapse.show(netlapse.open(run), epoch=33)
    (tmp_path / "notebook.html").write_text(f"<!DOCTYPE html><body>{framed._repr_html_()}", encoding="utf-8")
    address = (tmp_path / "notebook.html").as_uri()
    with opened(browser) as page:
        page.goto(address)
        frame = page.frames[1]
        wait_for_epoch(frame, 33)
        frame.get_by_role("button", name="One frame on").click()
        wait_for_epoch(frame, 34)
        assert frame.evaluate("() => self.origin") == "null"
        with page.expect_download() as saved:
            frame.get_by_role("button", name="Menu of Feature space").click()
            frame.get_by_role("button", name="Save picture (PNG)").click()
        assert saved.value.suggested_filename == "small-feature-epoch-34.png"


class Images(HTMLParser):
    """The PNGs that a page contains."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        source = dict(attrs).get("src") or ""
        if tag == "img" and source.startswith("data:image/png;base64,"):
            self.found.append(b64decode(source.split(",", 1)[1]))


MARIMO = """
import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    import netlapse

    viewer = mo.ui.anywidget(netlapse.show(netlapse.open({run!r}), epoch=20))
    viewer
    return mo, viewer


@app.cell
def _(mo, viewer):
    mo.md(f"Now {{viewer.epoch}}")
    return


@app.cell
def _(mo):
    button = mo.ui.run_button(label="To 60")
    button
    return (button,)


@app.cell
def _(button, viewer):
    if button.value:
        viewer.epoch = 60
    return
"""


def test_marimo(run, browser, tmp_path):
    (tmp_path / "run.py").write_text(MARIMO.format(run=str(run)))
    token, port = secrets.token_hex(16), free_port()
    command = ["marimo", "run", "run.py", "--headless", "--port", str(port), "--token", "--token-password", token]
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "MARIMO_SKIP_UPDATE_CHECK": "1"}
    address = f"http://127.0.0.1:{port}/"
    with serving(command, tmp_path, lambda: address, **environment), opened(browser) as page:
        page.goto(f"{address}?access_token={token}")
        viewer = page.locator(VIEWER)
        wait_for_epoch(viewer, 20)
        assert viewer.get_attribute("data-theme") == "light"
        viewer.locator(".top h1").click()
        page.keyboard.press("ArrowRight")
        wait_for_epoch(viewer, 21)
        page.get_by_text("Now 21.0").wait_for()
        page.get_by_role("button", name="To 60").click()
        wait_for_epoch(viewer, 60)
        viewer.locator(".top h1").click()
        epoch = play_a_little(viewer, page)
        page.get_by_text(f"Now {epoch}.0").wait_for()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]
