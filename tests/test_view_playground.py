"""The playground: a network that is trained on in the page, as Keras trains it, and what one sees of that."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

sync_api = pytest.importorskip("playwright.sync_api")
keras = pytest.importorskip("keras")

import netlapse  # noqa: E402
from netlapse.datasets import parabolas  # noqa: E402
from netlapse.keras import Recorder  # noqa: E402

VIEWER = Path(__file__).resolve().parents[1] / "viewer"
AXE = VIEWER / "node_modules" / "axe-core" / "axe.min.js"
EPOCHS = 8

# Name, Keras' loss, the last layer's activation and units.
LOSSES = [
    ("binary cross-entropy", lambda: keras.losses.BinaryCrossentropy(), "sigmoid", 1),
    ("binary cross-entropy", lambda: keras.losses.BinaryCrossentropy(from_logits=True), "linear", 1),
    ("cross-entropy", lambda: keras.losses.SparseCategoricalCrossentropy(), "softmax", 3),
    ("cross-entropy", lambda: keras.losses.CategoricalCrossentropy(from_logits=True), "linear", 3),
    ("mean squared error", lambda: keras.losses.MeanSquaredError(), "linear", 2),
    ("mean squared error", lambda: keras.losses.MeanSquaredError(), "sigmoid", 1),
]
OPTIMISERS = [
    ({"kind": "SGD", "rate": 0.2}, lambda: keras.optimizers.SGD(0.2)),
    ({"kind": "SGD", "rate": 0.05, "momentum": 0.9}, lambda: keras.optimizers.SGD(0.05, momentum=0.9)),
    (
        {"kind": "SGD", "rate": 0.05, "momentum": 0.9, "nesterov": True},
        lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    ),
    ({"kind": "RMSprop", "rate": 0.01}, lambda: keras.optimizers.RMSprop(0.01)),
    ({"kind": "Adam", "rate": 0.02}, lambda: keras.optimizers.Adam(0.02)),
]
ACTIVATIONS = [
    *("tanh", "sigmoid", "relu", "elu", "selu", "gelu", "silu", "softplus", "softsign", "leaky_relu", "mish", "relu6"),
    *("hard_sigmoid", "exponential", "linear"),
]
STEPS = 40


def node() -> str:
    found = shutil.which("node")
    if found is None or not (VIEWER / "node_modules" / "esbuild").exists():
        pytest.skip("Node or esbuild is not there: npm ci in viewer/ installs it")
    return found


def in_the_page(jobs):
    """Weights after the jobs' batches, as the page's TypeScript trains."""
    done = subprocess.run(
        [node(), "--import", "./test/typescript.mjs", "test/train.ts"],
        cwd=VIEWER,
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [np.array(weights) for weights in json.loads(done.stdout)]


def flat(model):
    return np.concatenate([weights.ravel() for weights in model.get_weights()])


def trained(activation, loss, optimiser, seed):
    """A job for the page, and the weights to which Keras comes with it."""
    (name, loss_of, last, units), (settings, optimiser_of) = loss, optimiser
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(60, 2)).astype("float32")
    classes = rng.integers(0, max(units, 2), 60)
    if name == "mean squared error" and last == "linear":
        targets = wanted = rng.normal(size=(60, units)).astype("float32")
    elif units == 1:
        targets = wanted = classes[:, None].astype("float32")
    else:
        wanted = np.eye(units, dtype="float32")[classes]
        targets = classes if "Sparse" in type(loss_of()).__name__ else wanted
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(4, activation),
            keras.layers.Dense(3, activation, use_bias=False),
            keras.layers.Dense(units, last),
        ]
    )
    model.set_weights([rng.normal(scale=0.7, size=each.shape).astype("float32") for each in model.get_weights()])
    model.compile(optimiser_of(), loss_of())
    sizes = zip((2, 4, 3), (4, 3, units), (activation, activation, last), (True, False, True), strict=True)
    # The same batches for both, some examples more often than others.
    batches = rng.integers(0, 60, (STEPS, 7))
    job = {
        "layers": [{"width": w, "units": u, "activation": a, "bias": b} for w, u, a, b in sizes],
        "weights": flat(model).tolist(),
        "inputs": inputs.ravel().tolist(),
        "targets": wanted.ravel().tolist(),
        "loss": name,
        "optimiser": {"momentum": 0, "nesterov": False, **settings},
        "batchSize": 7,
        "epochs": 1,
        "batches": batches.tolist(),
    }
    for batch in batches:
        model.train_on_batch(inputs[batch], targets[batch])
    return job, flat(model)


def test_it_trains_as_keras_does():
    """Every activation, each with a loss and an optimiser, so that all of these come several times."""
    cases = [
        (activation, LOSSES[k % len(LOSSES)], OPTIMISERS[k % len(OPTIMISERS)])
        for k, activation in enumerate(ACTIVATIONS)
    ]
    made = [trained(*case, seed) for seed, case in enumerate(cases)]
    found = in_the_page([job for job, _ in made])
    for (activation, loss, (optimiser, _)), (job, expected), weights in zip(cases, made, found, strict=True):
        what = f"{activation}, {loss[0]} of {loss[2]}, {optimiser}"
        assert np.abs(expected - job["weights"]).max() > 0.05, what
        np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-5, err_msg=what)


def recorded(folder, name, layers, loss, X, y):
    """The page of a short run."""
    model = keras.Sequential([keras.Input((2,)), *layers])
    model.compile(keras.optimizers.SGD(0.05), loss)
    model.fit(X, y, epochs=EPOCHS, batch_size=16, verbose=0, callbacks=[Recorder(folder / name, probe=(X, y))])
    return netlapse.page(netlapse.open(folder / name), folder / f"{name}.html")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The article's network, and one of three classes with a wide layer."""
    keras.utils.set_random_seed(3)
    folder, dense = tmp_path_factory.mktemp("playground"), keras.layers.Dense
    X, y = (part[:200].astype("float32") for part in parabolas())
    two = [dense(2, "tanh", name="hidden"), dense(1, "sigmoid", name="output")]
    wide = [dense(6, "tanh", name="hidden"), dense(3, "softmax", name="output")]
    classes = (y.ravel() + (X[:, 0] > 0.3)).astype("int32")
    return {
        "tanh": recorded(folder, "tanh", two, "binary_crossentropy", X, y),
        "wide": recorded(folder, "wide", wide, "sparse_categorical_crossentropy", X, classes),
    }


@pytest.fixture
def open_page(open_file, pages):
    return lambda name="tanh", **options: open_file(pages[name], "#epoch=3", **options)


def forks(page):
    return page.get_by_role("list", name="Forks").get_by_role("listitem")


def fork(page, **settings):
    """Fills in the dialog, which is open, and waits until all is trained."""
    for name, value in settings.items():
        page.get_by_label(name.replace("_", " "), exact=True).fill(value)
    page.get_by_role("button", name="Train on").click()
    forks(page).last.filter(has_text="trained").wait_for()


def captions(page, view):
    return page.locator(f"[data-view={view}] figcaption").all_text_contents()


def loss_at_the_end(page):
    """What the page says of the fork's learning curves at the last frame."""
    page.evaluate("window.netlapse.seek(1e9)")
    curves = page.locator("[data-view=curves] canvas").last
    curves.scroll_into_view_if_needed()
    sync_api.expect(curves).to_have_attribute("aria-label", re.compile(f"epoch {EPOCHS}:"), timeout=60_000)
    return curves.get_attribute("aria-label")


def test_a_fork_by_mouse_is_beside_its_origin(open_page):
    page = open_page()
    assert forks(page).count() == 0
    assert not page.get_by_role("combobox", name="In step by").is_visible()
    page.get_by_role("button", name="Fork here").click()
    dialog = page.get_by_role("dialog", name="Fork at epoch 3")
    assert dialog.get_by_label("Learning rate").input_value() == "0.05"
    assert dialog.get_by_label("Batch size").input_value() == "16"
    assert dialog.get_by_label("Optimiser").locator("option:checked").text_content() == "SGD"
    assert dialog.get_by_label("Epochs to train on").input_value() == str(EPOCHS - 3)
    assert "200 examples" in dialog.text_content()
    assert "starts anew" in dialog.text_content()
    page.get_by_label("Activation of the hidden layers").select_option("relu")
    fork(page, Learning_rate="0.5", Batch_size="8")
    assert not dialog.is_visible()
    title = "from epoch 3: learning rate 0.5, batch size 8, relu"
    for view in ("feature", "boundary", "losses", "curves", "diagram"):
        assert captions(page, view) == ["tanh", title]
    assert page.get_by_role("combobox", name="In step by").is_visible()
    # Who was at the fork's last frame has gone on with it.
    page.wait_for_function(f"() => window.netlapse.state.t === {EPOCHS}")
    assert loss_at_the_end(page).startswith(title)


def test_up_to_the_fork_it_shows_what_was_recorded(open_page):
    """Activations of a wide layer, projected, with each example's loss; and the weights."""
    page = open_page("wide")
    page.keyboard.press("f")
    fork(page, Learning_rate="0.5")
    for epoch, same in ((2, True), (EPOCHS, False)):
        page.evaluate(f"window.netlapse.seek({epoch})")
        for view in ("Feature space", "Network"):
            first, second = table(page, view)
            near = np.isclose(first, second, rtol=2e-3, atol=2e-3, equal_nan=True)  # names are none
            assert first.size > 100
            assert near.all() == same, (view, first[~near], second[~near])


def table(page, view):
    """The numbers of both runs, out of the view's tables."""
    page.get_by_role("button", name=f"Menu of {view}").click()
    page.get_by_role("button", name="Show as a table").click()
    panel = page.get_by_role("region", name=view, exact=True)
    panel.locator("table").nth(1).wait_for()
    texts = [
        panel.locator("table")
        .nth(run)
        .locator("tbody tr")
        .evaluate_all("(rows) => rows.map((row) => [...row.cells].map((cell) => Number(cell.textContent)))")
        for run in range(2)
    ]
    page.get_by_role("button", name=f"Menu of {view}").click()
    page.get_by_role("button", name="Hide the table").click()
    return [np.array(each, float) for each in texts]


def test_a_fork_by_keys_is_the_same_each_time_and_goes_when_removed(open_page):
    page = open_page()
    said = []
    for _ in range(2):
        page.evaluate("window.netlapse.seek(3)")
        page.keyboard.press("f")
        page.keyboard.type("0.3")
        page.keyboard.press("Enter")
        forks(page).last.filter(has_text="epochs trained").wait_for()
        said.append(loss_at_the_end(page).partition(". ")[2])
        remove = page.get_by_role("button", name="Remove from epoch 3: learning rate 0.3")
        remove.focus()
        page.keyboard.press("Enter")
        page.locator("[data-view=curves] figcaption").first.wait_for(state="detached")
        assert forks(page).count() == 0
    assert said[0] == said[1] != ""


def test_a_fork_begins_where_its_dialog_was_opened(open_page):
    page = open_page()
    page.keyboard.press("f")
    page.evaluate("window.netlapse.seek(5)")
    fork(page)
    assert "from epoch 3: as before" in forks(page).text_content()


def test_a_training_is_stopped(open_page):
    # In the place of the worker, one that never comes to an end.
    page = open_page(
        before="window.Worker = class { postMessage() { this.onmessage({data: {frames: [], done: false}}); }"
        " terminate() { window.terminated = true; } };"
    )
    page.keyboard.press("f")
    page.get_by_role("button", name="Train on").click()
    forks(page).filter(has_text=f"0 of {EPOCHS - 3} epochs").wait_for()
    page.get_by_role("button", name="Stop from epoch 3: as before").click()
    forks(page).filter(has_text="stopped after").wait_for()
    assert page.evaluate("window.terminated")
    assert not page.get_by_role("button", name="Stop").is_visible()


def test_a_training_that_fails_says_why(open_page):
    page = open_page(
        before="window.Worker = class { postMessage() { queueMicrotask(() => this.onerror("
        "{message: 'out of memory', preventDefault() {}})); } terminate() {} };"
    )
    page.keyboard.press("f")
    page.get_by_role("button", name="Train on").click()
    forks(page).filter(has_text="failed after").wait_for()
    assert page.get_by_text("The training failed: out of memory").is_visible()


def test_what_cannot_be_trained_is_said(open_page):
    page = open_page()
    page.keyboard.press("f")
    page.get_by_label("Learning rate").fill("0")
    page.get_by_role("button", name="Train on").click()
    assert "more than 0" in page.get_by_role("alert").text_content()
    page.get_by_label("Batch size").fill("201")
    page.get_by_label("Learning rate").fill("1")
    page.get_by_role("button", name="Train on").click()
    assert page.get_by_role("dialog").is_visible()  # the browser says that there are no more than 200
    page.keyboard.press("Escape")
    assert forks(page).count() == 0


def test_weights_that_diverge_end_it(open_page):
    page = open_page(
        before="window.Worker = class { postMessage() { queueMicrotask(() => this.onmessage("
        "{data: {frames: [new Float32Array(9).fill(NaN)], done: true}})); } terminate() {} };"
    )
    page.keyboard.press("f")
    page.get_by_role("button", name="Train on").click()
    forks(page).filter(has_text="diverged after 1 epoch:").wait_for()


def test_six_runs_are_the_most(open_page):
    page = open_page()
    for number in range(5):
        page.keyboard.press("f")
        fork(page, Epochs_to_train_on="1", Learning_rate=f"0.{number + 1}")
    button = page.get_by_role("button", name="Fork here")
    assert button.get_attribute("aria-disabled") == "true"
    page.keyboard.press("f")
    assert not page.get_by_role("dialog").is_visible()
    assert page.get_by_text("remove a fork first").is_visible()


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_barrier_and_it_fits(width, height, scheme, open_page):
    if not AXE.exists():
        pytest.skip("axe-core is not there: npm ci in viewer/ installs it")
    page = open_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.evaluate(AXE.read_text())
    page.keyboard.press("f")
    assert serious(page) == {}
    box = page.get_by_role("dialog").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    fork(page, Learning_rate="0.5")
    page.evaluate("window.netlapse.seek(4)")
    page.wait_for_function(
        "() => [...document.querySelector('#netlapse').shadowRoot.querySelectorAll('canvas')]"
        ".every((canvas) => canvas.hasAttribute('aria-label'))"
    )
    assert serious(page) == {}
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def serious(page):
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return {each["id"]: each["nodes"] for each in found if each["impact"] in ("serious", "critical")}
