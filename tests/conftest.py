"""Fixtures. Tests run on Keras' JAX backend unless KERAS_BACKEND says otherwise."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
if "PYTEST_XDIST_WORKER" in os.environ:
    # There is a process for each core: threads of torch that wait for one another take three times as long.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference"


def pytest_configure(config):
    """What XLA compiles is kept for other tests and processes, and for later runs: it is most of what JAX does here."""
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(config.cache.mkdir("jax"))
    # Without a limit there is no lock, and one may read what another has half written.
    os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] = str(500_000_000)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"


@pytest.fixture(autouse=True)
def ctrl_c():
    """Python's own handling of Ctrl-C, which a shell may have switched off for processes in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder with recordings of the original package; tests that need it skip where it is absent."""
    if not REFERENCE.is_dir():
        pytest.skip("reference recordings are not here")
    return REFERENCE


@pytest.fixture(scope="session")
def keras():
    return pytest.importorskip("keras")


def small_model(keras, activation: str = "tanh", *, hidden: str = "hidden", seed: int = 1):
    """A compiled 2-2-1 network whose initial weights are fixed."""
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(2, activation=activation, name=hidden),
            keras.layers.Dense(1, activation="sigmoid", name="output"),
        ]
    )
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(size=w.shape).astype("float32") for w in model.get_weights()])
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss="binary_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(scope="session")
def small_run(keras, tmp_path_factory) -> Path:
    """A run of six epochs of a 2-2-1 tanh network on 200 examples."""
    from netlapse.datasets import parabolas
    from netlapse.keras import Recorder

    inputs, targets = parabolas(200)
    path = tmp_path_factory.mktemp("runs") / "small"
    keras.utils.set_random_seed(7)
    model = small_model(keras)
    model.fit(inputs, targets, epochs=6, batch_size=10, verbose=0, callbacks=[Recorder(path, probe=(inputs, targets))])
    return path


@pytest.fixture(autouse=True)
def no_global_drawing_state():
    """No test may leave matplotlib's globals changed, or figures with pyplot."""
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    pyplot = sys.modules.get("matplotlib.pyplot")  # Keras imports it
    assert pyplot is None or not pyplot.get_fignums()


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api")
    from .browser import find

    path = find()
    if path is None:
        pytest.skip("there is no Chromium: python -m tests.browser installs it")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def open_file(browser):
    """Opens a page that is a file. What it throws, logs or asks a server for fails the test at its end."""
    contexts, said = [], []

    def open_it(path, fragment="", before=None, **options):
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        contexts.append(context)
        context.set_default_timeout(120_000)  # cores may be busy
        page = context.new_page()
        if before is not None:
            page.add_init_script(before)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
        page.goto(path.as_uri() + fragment)
        page.evaluate("window.netlapse.ready")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert said == []
