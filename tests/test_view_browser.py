"""The page in a real browser: every control by mouse and by keyboard, what it shows, and that it can be used by all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

sync_api = pytest.importorskip("playwright.sync_api")
keras = pytest.importorskip("keras")

import netlapse  # noqa: E402
from netlapse.datasets import parabolas  # noqa: E402
from netlapse.keras import Recorder  # noqa: E402

from . import browser as browsers  # noqa: E402

EPOCHS = 30
AXE = Path(__file__).resolve().parents[1] / "viewer" / "node_modules" / "axe-core" / "axe.min.js"
HOSTILE = '</script><img src=x onerror="window.broken=1">'


@pytest.fixture(scope="module")
def replays(tmp_path_factory):
    """Two runs of the article's network, short, one with a hostile name of a layer and of a class."""
    X, y = (part[:200].astype("float32") for part in parabolas())
    made = []
    for activation, name in (("tanh", "hidden"), ("relu", "hidden")):
        keras.utils.set_random_seed(3)
        path = tmp_path_factory.mktemp("runs") / activation
        model = keras.Sequential(
            [
                keras.Input((2,)),
                keras.layers.Dense(2, activation, name=name),
                keras.layers.Dense(1, "sigmoid", name="output"),
            ]
        )
        model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy")
        recorder = Recorder(path, probe=(X, y), class_names=("below", HOSTILE))
        model.fit(X, y, epochs=EPOCHS, batch_size=16, verbose=0, callbacks=[recorder])
        made.append(netlapse.open(path))
    return made


@pytest.fixture(scope="module")
def pages(replays, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    return {
        "one": netlapse.page(replays[0], folder / "one.html", title=HOSTILE),
        "two": netlapse.page(replays, folder / "two.html"),
    }


@pytest.fixture(scope="module")
def browser():
    path = browsers.find()
    if path is None:
        pytest.skip("there is no Chromium: python -m tests.browser installs it")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser, pages):
    """Opens a page; everything that it says to the console, or throws, fails the test in the end."""
    contexts, said = [], []

    def open_it(name="one", fragment="", **options):
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        contexts.append(context)
        context.set_default_timeout(120_000)  # cores may be busy
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
        page.goto(pages[name].as_uri() + fragment)
        page.evaluate("window.netlapse.ready")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert said == []


def epoch(page):
    return page.evaluate("window.netlapse.state.t")


def state(page, name):
    return page.evaluate(f"window.netlapse.state.{name}")


def test_keys_move_through_time(open_page):
    page = open_page()
    assert epoch(page) == 0
    for key, then in [
        ("ArrowRight", 1),
        (".", 2),
        ("ArrowLeft", 1),
        (",", 0),
        ("PageDown", 10),
        ("End", EPOCHS),
        ("PageUp", EPOCHS - 10),
        ("Home", 0),
    ]:
        page.keyboard.press(key)
        assert epoch(page) == then, key
    page.keyboard.press(">")
    assert state(page, "speed") == 2
    page.keyboard.press("<")
    assert state(page, "speed") == 1
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog").is_visible()


def test_space_plays_and_stops_on_a_recorded_frame(open_page):
    page = open_page()
    page.keyboard.press(" ")
    assert state(page, "playing")
    page.wait_for_function("() => window.netlapse.state.t > 1.2")
    page.keyboard.press(" ")
    assert not state(page, "playing")
    assert float(epoch(page)).is_integer()


def test_buttons_do_what_they_say(open_page):
    page = open_page()
    page.get_by_role("button", name="One frame on").click()
    assert epoch(page) == 1
    page.get_by_role("button", name="One frame back").click()
    assert epoch(page) == 0
    page.get_by_role("button", name="Play", exact=True).click()
    page.get_by_role("button", name="Pause").click()
    assert not state(page, "playing")
    loop = state(page, "loop")
    page.get_by_role("button", name="Loop").click()
    assert state(page, "loop") != loop
    theme = state(page, "theme")
    page.get_by_role("button", name="Light or dark").click()
    assert state(page, "theme") != theme
    page.get_by_role("combobox", name="Speed").select_option("4")
    assert state(page, "speed") == 4
    page.get_by_role("combobox", name="Distribution of").select_option("activations")
    assert state(page, "distribution") == "activations"


def test_the_timeline_says_the_epoch_and_marks_jump(open_page, replays):
    page = open_page()
    time = page.get_by_role("slider", name="Time")
    time.focus()
    page.keyboard.press("End")
    page.wait_for_function("() => window.netlapse.state.t > 5")
    page.wait_for_timeout(100)
    assert time.get_attribute("aria-valuetext") == f"epoch {EPOCHS}"
    found = replays[0].milestones()
    epochs = {each.for_good for each in (found.all, *found.classes.values())} - {None}
    assert epochs
    page.locator(".mark.milestone").first.click()
    assert epoch(page) in epochs


def test_a_link_leads_to_an_epoch(open_page):
    assert epoch(open_page(fragment="#epoch=12")) == 12
    page = open_page(fragment="#epoch=99999&layer=nonsense&constructor=1")
    assert 0 <= epoch(page) <= EPOCHS


def test_a_brush_selects_what_is_in_it_in_all_views(open_page, replays):
    page = open_page()
    page.keyboard.press("End")
    canvas = page.locator("canvas").nth(1)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 5, box["y"] + box["height"] - 5, steps=4)
    page.mouse.up()
    assert page.evaluate("window.netlapse.state.selected.size") == 200
    page.keyboard.press("Escape")
    assert page.evaluate("window.netlapse.state.selected.size") == 0


def test_labels_have_the_numbers_of_now(open_page, replays):
    page = open_page()
    page.evaluate(f"window.netlapse.seek({EPOCHS})")
    page.wait_for_timeout(600)
    said = [each.get_attribute("aria-label") for each in page.locator("canvas").all()]
    wrong = int(np.asarray(replays[0].sample_losses().wrong[-1]).sum())
    assert any(f"{wrong} of 200" in text for text in said if text), said


def test_runs_go_in_lockstep(open_page):
    page = open_page("two")
    page.keyboard.press("PageDown")
    assert epoch(page) == 10
    assert page.locator("figcaption", has_text="relu").count() > 0
    page.get_by_role("combobox", name="In step by").select_option("loss")
    assert state(page, "sync") == "loss"


def test_names_are_text(open_page):
    page = open_page()
    assert page.title() == HOSTILE
    assert page.evaluate("window.broken") is None
    assert page.locator("h1").text_content() == HOSTILE
    assert page.locator("img").count() == 0


@pytest.mark.parametrize("name", ["one", "two"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_follows_the_scheme(name, scheme, open_page):
    page = open_page(name, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert state(page, "theme") == scheme


def test_reduced_motion_has_no_frames_between(open_page):
    page = open_page(reduced_motion="reduce")
    page.keyboard.press(" ")
    for _ in range(10):
        assert float(epoch(page)).is_integer()
        page.wait_for_timeout(30)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_barrier(scheme, open_page):
    if not AXE.exists():
        pytest.skip("axe-core is not there: npm ci in viewer/ installs it")
    page = open_page("two", color_scheme=scheme)
    # Labels are written once the picture rests.
    page.wait_for_function(
        "() => [...document.querySelector('#netlapse').shadowRoot.querySelectorAll('canvas')]"
        ".every((canvas) => canvas.hasAttribute('aria-label'))"
    )
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    serious = {each["id"]: each["nodes"] for each in found if each["impact"] in ("serious", "critical")}
    assert serious == {}
