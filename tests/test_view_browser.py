"""The page in a real browser: every control by mouse and by keyboard, what it shows, and that it can be used by all."""

from __future__ import annotations

from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sync_api = pytest.importorskip("playwright.sync_api")
keras = pytest.importorskip("keras")

import netlapse  # noqa: E402
from netlapse.datasets import parabolas  # noqa: E402
from netlapse.keras import Recorder  # noqa: E402

EPOCHS = 30
AXE = Path(__file__).resolve().parents[1] / "viewer" / "node_modules" / "axe-core" / "axe.min.js"
HOSTILE = '</script><img src=x onerror="window.broken=1">'


@pytest.fixture(scope="module")
def replays(tmp_path_factory):
    """Two runs of the article's network, short, with a hostile name of a class, and one of a wider network."""
    X, y = (part[:200].astype("float32") for part in parabolas())
    made = []
    for activation, units in (("tanh", 2), ("relu", 2), ("relu", 4)):
        keras.utils.set_random_seed(3)
        path = tmp_path_factory.mktemp("runs") / activation
        model = keras.Sequential(
            [
                keras.Input((2,)),
                keras.layers.Dense(units, activation, name="hidden"),
                keras.layers.Dense(1, "sigmoid", name="output"),
            ]
        )
        model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy")
        recorder = Recorder(path, probe=(X, y), class_names=("below", HOSTILE))
        model.fit(X, y, epochs=EPOCHS if units == 2 else 2, batch_size=16, verbose=0, callbacks=[recorder])
        made.append(netlapse.open(path))
    return made


@pytest.fixture(scope="module")
def pages(replays, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    return {
        "one": netlapse.page(replays[0], folder / "one.html", title=HOSTILE),
        "two": netlapse.page(replays[:2], folder / "two.html"),
        "wide": netlapse.page(replays[2], folder / "wide.html"),
    }


@pytest.fixture
def open_page(open_file, pages):
    return lambda name="one", fragment="", **options: open_file(pages[name], fragment, **options)


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


@pytest.mark.parametrize("name", ["one", "two"])
def test_what_a_pause_shows_is_what_a_link_to_it_shows(name, open_page):
    """While it plays less is drawn than at rest, and parts are copied from the picture before."""
    page = open_page(name)
    page.keyboard.press(" ")
    page.wait_for_function("() => window.netlapse.state.t > 3.2")
    page.keyboard.press(" ")
    page.evaluate("window.netlapse.seek(window.netlapse.state.t)")
    played, linked = drawn(page), drawn(open_page(name, f"#epoch={epoch(page)}"))
    assert len(played) == len(linked) >= 4
    for one, other in zip(played, linked, strict=True):
        assert one.shape == other.shape
        assert one.std() > 10
        # Copied letters are rounded twice.
        assert abs(one - other).max() <= 4


def drawn(page):
    """The pictures on the screen, (row, column, channel)."""
    found = page.evaluate(
        """() => {
            const all = document.querySelector("#netlapse").shadowRoot.querySelectorAll("canvas");
            const seen = [...all].filter((e) => e.width > 0 && e.getBoundingClientRect().top < innerHeight - 80);
            return seen.map((e) => e.toDataURL().split(",")[1]);
        }"""
    )
    return [np.asarray(Image.open(BytesIO(b64decode(png))), float) for png in found]


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


def test_runs_have_the_same_axes_or_their_own(open_page):
    page = open_page("two")
    box = page.get_by_role("checkbox", name="Same axes")
    assert box.is_checked()
    canvas = page.locator("[data-view=feature] canvas").first
    before = canvas.screenshot()
    box.focus()
    page.keyboard.press(" ")
    assert state(page, "axes") == "own"
    assert not state(page, "playing")
    page.wait_for_function(
        "canvas => canvas.getAttribute('aria-label')?.includes('axes of its own')", arg=canvas.element_handle()
    )
    assert canvas.screenshot() != before
    assert not open_page("two", "#axes=own").get_by_role("checkbox", name="Same axes").is_checked()


def test_a_tour_is_turned_by_keys(open_page):
    page = open_page("wide")
    slider = page.get_by_role("slider", name="PC 3 across")
    page.get_by_role("combobox", name="Projection").select_option("tour")
    page.get_by_role("combobox", name="Component of the tour").select_option("PC 3")
    slider.focus()
    for _ in range(15):
        page.keyboard.press("ArrowRight")
    axes = np.array(state(page, "tour"))
    assert axes[0, 2] == pytest.approx(0.3, abs=1e-6)
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-6)
    assert float(slider.input_value()) == pytest.approx(0.3)
    assert epoch(page) == 0
    page.get_by_role("combobox", name="Projection").select_option("auto")
    assert not slider.is_visible()


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


@pytest.fixture
def finger(open_page):
    """A page on a telephone's screen, its decision boundary, and a function that moves fingers from place to place."""
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True)
    page.keyboard.press("End")
    canvas = page.locator("[data-view=boundary] canvas")
    canvas.evaluate("canvas => canvas.scrollIntoView({block: 'center'})")
    session = page.context.new_cdp_session(page)

    def send(kind, *places):
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    return page, canvas.bounding_box(), send


def selected(page):
    return page.evaluate("window.netlapse.state.selected.size")


def test_a_tap_says_what_is_there_and_the_next_selects_it(finger):
    page, box, _ = finger
    assert page.evaluate("matchMedia('(any-pointer: coarse)').matches")
    x = box["x"] + box["width"] / 2
    for y in range(int(box["y"]) + 40, int(box["y"] + box["height"]) - 60, 4):
        page.mouse.move(x, y)
        if state(page, "hovered") is not None:
            break
    page.mouse.move(1, 1)
    assert state(page, "hovered") is None
    tooltip = page.locator("[role=tooltip]")
    # The focus that goes from one view to another takes nothing with it.
    page.locator("[data-view=losses] canvas").evaluate("canvas => canvas.focus({preventScroll: true})")
    page.evaluate(
        "void (window.tapped = new Promise((done) => addEventListener('click', () => done(1), {once: true})))"
    )
    page.touchscreen.tap(x, y)
    page.evaluate("window.tapped")
    place = state(page, "hovered")
    assert place is not None
    assert tooltip.is_visible()
    assert selected(page) == 0
    page.touchscreen.tap(x, y)
    assert page.evaluate("[...window.netlapse.state.selected]") == [place]
    page.touchscreen.tap(box["x"] + 5, box["y"] + 5)
    page.wait_for_function("() => window.netlapse.state.selected.size === 0")
    assert not tooltip.is_visible()


def test_a_finger_scrolls_until_it_is_to_select_and_two_always_do(finger):
    page, box, send = finger
    left, right = box["x"] + 5, box["x"] + box["width"] - 5
    top, bottom = box["y"] + 5, box["y"] + box["height"] - 5

    def drag(*starts, by):
        send("touchStart", *starts)
        for share in (number / 10 for number in range(1, 11)):
            send("touchMove", *((x + share * by[0], y + share * by[1]) for x, y in starts))

    before = page.evaluate("scrollY")
    drag((right, bottom), by=(0, top - bottom))
    page.wait_for_function("before => scrollY > before + 50", arg=before)
    send("touchEnd")
    assert selected(page) == 0

    page.locator("[data-view=boundary]").get_by_role("button", name="Drag selects").tap()
    canvas = page.locator("[data-view=boundary] canvas")
    canvas.evaluate("canvas => canvas.scrollIntoView({block: 'center'})")
    before = page.evaluate("scrollY")
    drag((left, top), by=(right - left, bottom - top))
    send("touchEnd")
    assert selected(page) == 200
    assert page.evaluate("scrollY") == before
    # Another finger takes back what the first has begun.
    drag((left, top), by=(10, 10))
    page.wait_for_function("() => window.netlapse.state.selected.size < 200")
    send("touchStart", (left + 10, top + 10), (right, bottom))
    page.wait_for_function("() => window.netlapse.state.selected.size === 200")
    send("touchEnd")
    middle = (top + bottom) / 2
    drag((left + 60, middle), (right - 60, middle), by=(0, -150))
    page.wait_for_function("before => scrollY > before + 30", arg=before)
    send("touchEnd")
    assert selected(page) == 200


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
