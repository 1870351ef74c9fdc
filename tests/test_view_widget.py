"""The widget's Python half, without a notebook: its traits, its answers to the page, and what is displayed."""

from __future__ import annotations

import io
import json
import shutil
import sys
import warnings
from base64 import b64decode
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import netlapse
from netlapse import notebook
from netlapse.errors import MissingFrame, UnknownName, Unsupported
from netlapse.store import Frame, Run, Writer
from netlapse.view import page as pages
from netlapse.view.encode import arrays_in
from netlapse.view.payload import shown

pytest.importorskip("anywidget")
pytest.importorskip("sklearn")
from sklearn.neural_network import MLPClassifier

from netlapse.datasets import parabolas
from netlapse.sklearn import record

EPOCHS = 6
WIDGET = "application/vnd.jupyter.widget-view+json"
HOSTILE = "</script><img src=x onerror=alert(1)>\"'"


def trained(path, **options):
    """A run of six epochs of a 2-2-1 network: of scikit-learn, which is soon there."""
    X, y = parabolas(200)
    with warnings.catch_warnings(action="ignore"):
        record(MLPClassifier((2,), "tanh", max_iter=EPOCHS, random_state=0), X, y, path, **options)
    return path


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="module")
def replay(small_run):
    return netlapse.open(small_run)


class Page:
    """What a page would do: asks, puts answers together, and changes traits."""

    def __init__(self, viewer):
        self.viewer, self.sent, self.number = viewer, [], 0
        viewer.comm.publish_msg = lambda kind, data=None, metadata=None, buffers=None, **_: self.sent.append(
            (data or {}, buffers or [])
        )

    def changes(self, **state):
        self._gets({"method": "update", "state": state, "buffer_paths": []})

    def messages(self, **question):
        """The messages that answer a question, each its content and buffers."""
        self.number += 1
        self.sent.clear()
        self._gets({"method": "custom", "content": {"id": f"page.{self.number}", **question}})
        found = [(data["content"], buffers) for data, buffers in self.sent if data["method"] == "custom"]
        assert {content["id"] for content, _ in found} == {f"page.{self.number}"}
        return found

    def asks(self, **question):
        """The bytes of the answer."""
        found = self.messages(**question)
        assert [content.get("part") for content, _ in found] == list(range(found[0][0]["parts"])), found
        return b"".join(bytes(part) for _, [part] in found)

    def payload(self):
        return json.loads(self.asks(ask="payload"))

    def _gets(self, data):
        self.viewer._handle_msg({"content": {"data": data}, "buffers": []})


@pytest.fixture
def page(replay):
    viewer = netlapse.show(replay)
    yield Page(viewer)
    viewer.close()


# Traits


def test_the_epoch_is_the_nearest_that_was_recorded(page):
    viewer = page.viewer
    assert viewer.epoch == 0
    for wanted, then in [(4, 4.0), (2.4, 2.0), (np.float32(5), 5.0), (np.int64(6), 6.0), (0, 0.0)]:
        viewer.epoch = wanted
        assert (viewer.epoch, type(viewer.epoch)) == (then, float)
    for wanted in (-1, EPOCHS + 1, float("nan"), float("inf")):
        with pytest.raises(MissingFrame, match="it has 7 frames, epochs 0 to 6"):
            viewer.epoch = wanted
    for wanted in ("late", None, [1]):
        with pytest.raises(ValueError, match="epoch is a number from 0 to 6, not"):
            viewer.epoch = wanted
    assert viewer.epoch == 0


def test_a_layer_is_one_of_those_that_are_shown(page):
    assert page.viewer.layer is None
    page.viewer.layer = "hidden_1"
    with pytest.raises(UnknownName, match="no layer 'hiden' is shown here; there is hidden_1"):
        page.viewer.layer = "hiden"
    with pytest.raises(UnknownName, match="no layer 7"):
        page.viewer.layer = 7
    assert page.viewer.layer == "hidden_1"
    page.viewer.layer = None


def test_examples_are_selected_by_their_numbers(page):
    viewer = page.viewer
    assert viewer.selected == []
    for wanted, then in [([7, 3, 7], [3, 7]), (np.array([0, 199]), [0, 199]), ({5}, [5]), ((), [])]:
        viewer.selected = wanted
        assert viewer.selected == then
    for wanted in (3, ["a"], [1.5], None):
        with pytest.raises(ValueError, match=r"selected is a list of example numbers, such as \[0, 1\], not"):
            viewer.selected = wanted
    with pytest.raises(UnknownName, match="no example 200 here; 200 examples are shown, of numbers 0 to 199"):
        viewer.selected = [3, 200]
    assert viewer.selected == []


def test_numbers_are_those_of_the_data_that_the_probe_was_drawn_from(tmp_path):
    inputs, _ = parabolas(200)
    trained(tmp_path / "run", probe_size=20)
    viewer = netlapse.show(netlapse.open(tmp_path / "run"))
    numbers = Page(viewer).payload()["payload"]["runs"][0]["example_numbers"]
    assert max(numbers) > 20
    viewer.selected = numbers[5:8]
    np.testing.assert_array_equal(inputs[viewer.selected], netlapse.open(tmp_path / "run").inputs()[5:8])
    with pytest.raises(UnknownName, match="20 examples are shown"):
        viewer.selected = [next(number for number in range(200) if number not in numbers)]
    viewer.close()


def test_the_page_sets_traits_and_is_set_by_them(page):
    heard = []
    page.viewer.observe(lambda change: heard.append((change["name"], change["new"])), ["epoch", "selected", "playing"])
    page.changes(epoch=3, selected=[9, 2], playing=True)
    assert sorted(heard) == [("epoch", 3.0), ("playing", True), ("selected", [2, 9])]
    page.sent.clear()
    page.viewer.epoch = 5
    page.viewer.selected = [1]
    told = {name: value for data, _ in page.sent if data["method"] == "update" for name, value in data["state"].items()}
    assert told == {"epoch": 5.0, "selected": [1]}


def test_the_last_epoch_in_single_precision_is_the_last(small_run, tmp_path):
    shutil.copytree(small_run, tmp_path / "run")
    grow(tmp_path / "run", [6.1, 6.7])
    viewer = netlapse.show(netlapse.open(tmp_path / "run"))
    Page(viewer).changes(epoch=float(np.float32(6.7)))
    assert viewer.epoch == 6.7
    viewer.close()


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"epoch": 99}, MissingFrame, "epochs 0 to 6"),
        ({"layer": "x"}, UnknownName, "there is hidden_1"),
        ({"height": 20}, ValueError, "at least 200 pixels"),
    ],
)
@pytest.mark.parametrize("widget", [True, False])
def test_what_cannot_be_shown_is_said_at_once(widget, given, error, text, replay, monkeypatch):
    if not widget:
        monkeypatch.setattr(notebook, "find_spec", lambda _: None)
    with pytest.raises(error, match=text):
        netlapse.show(replay, **given)
    with pytest.raises(ValueError, match="there are no runs"):
        netlapse.show()


# What the page is told


def test_the_page_gets_what_was_recorded(page, replay):
    payload = page.payload()["payload"]
    whole = shown([replay], ahead=True)
    found, wanted = list(arrays_in(payload["runs"])), list(arrays_in(whole.payload["runs"]))
    assert [array["shape"] for array in found] == [array["shape"] for array in wanted]
    for array, same in zip(found, wanted, strict=True):
        values = np.frombuffer(page.asks(ask="frames", name=array["name"]), np.dtype(array["dtype"]))
        np.testing.assert_allclose(
            values.reshape(array["shape"]),
            whole.numbers(same["name"]),
            rtol=1e-4,
            atol=1e-5 if "f" in values.dtype.kind else 1,
        )
    losses = payload["runs"][0]["losses"]["name"]
    part = np.frombuffer(page.asks(ask="frames", name=losses, **{"from": 2, "to": 5}), np.float32)
    np.testing.assert_allclose(part.reshape(3, -1), replay.losses()[2:5], rtol=1e-4, atol=1e-6)
    assert page.asks(ask="frames", name=losses, **{"from": 3, "to": 3}) == b""


def test_no_message_is_larger_than_servers_take(page, monkeypatch):
    from netlapse.view import widget

    assert widget._MOST_SENT <= 4 << 20
    [run] = page.payload()["payload"]["runs"]
    name = run["losses"]["name"]
    whole = page.asks(ask="frames", name=name)
    for most in (len(whole), len(whole) - 1, 1000):
        monkeypatch.setattr(widget, "_MOST_SENT", most)
        found = page.messages(ask="frames", name=name)
        assert max(len(part) for _, [part] in found) <= most
        assert len(found) == -(-len(whole) // most)
        assert b"".join(part for _, [part] in found) == whole


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ({"ask": "frames", "name": "nothing"}, "there is no such array; ask for the payload again"),
        ({"ask": "frames"}, "KeyError"),
        ({"ask": "frames", "name": "LOSSES", "from": 5, "to": 99}, "there are no frames 5 to 98"),
    ],
)
def test_every_question_is_answered(page, question, text):
    name = page.payload()["payload"]["runs"][0]["losses"]["name"]
    question = {key: name if value == "LOSSES" else value for key, value in question.items()}
    [(content, buffers)] = page.messages(**question)
    assert text in content["error"]
    assert not buffers


def grow(path, epochs, close=True):
    """Appends frames to a run: copies of its last."""
    run = Run(path)
    weights = {parameter.name: run.weights(parameter.name, [-1])[0] for parameter in run.manifest.parameters}
    writer = Writer.resume(path)
    for number, epoch in enumerate(epochs, start=1):
        writer.append(Frame(int(run.steps[-1]) + number, epoch, float(number), weights, {"loss": 0.5}))
    writer.flush()
    if close:
        writer.close()
    return writer


def test_a_training_is_followed(small_run, tmp_path):
    path = tmp_path / "growing"
    shutil.copytree(small_run, path)
    writer = grow(path, [7.0], close=False)
    replay = netlapse.open(path)
    viewer = netlapse.show(replay)
    assert viewer.epoch == 7
    page = Page(viewer)
    first = page.payload()
    assert first["payload"]["live"]
    assert page.asks(ask="version").decode() == first["version"]
    with pytest.raises(MissingFrame):
        viewer.epoch = 8
    weights = {
        parameter.name: replay.run.weights(parameter.name, [-1])[0] for parameter in replay.run.manifest.parameters
    }
    writer.append(Frame(int(replay.steps[-1]) + 1, 8.0, 1.0, weights, {"loss": 0.5}))
    writer.flush()
    assert page.asks(ask="version").decode() != first["version"]
    now = page.payload()
    [before], [run] = first["payload"]["runs"], now["payload"]["runs"]
    assert run["losses"]["name"] == before["losses"]["name"]
    assert run["losses"]["shape"][0] == before["losses"]["shape"][0] + 1 == 9
    assert viewer.epoch == 8
    added = np.frombuffer(page.asks(ask="frames", name=run["losses"]["name"], **{"from": 8, "to": 9}), np.float32)
    np.testing.assert_allclose(added, netlapse.open(path).losses(8.0), rtol=1e-4, atol=1e-6)
    # Whoever looks at a run does not change it under who computes with it.
    assert len(replay.epochs) == 8
    writer.close()
    assert page.asks(ask="version").decode() != now["version"]
    assert not page.payload()["payload"]["live"]
    viewer.close()


# What is displayed


def decoded(text):
    picture = Image.open(io.BytesIO(b64decode(text)))
    assert picture.format == "PNG"
    return np.asarray(picture.convert("RGB"), int)


def test_a_notebook_gets_the_widget_and_a_picture(page):
    page.viewer.epoch = 6
    data, _ = page.viewer._repr_mimebundle_()
    assert data[WIDGET]["model_id"] == page.viewer.model_id
    last = decoded(data["image/png"])
    assert last.shape == (720, 1440, 3)
    # That of the figures, of the epoch that is shown; and the page has it until it has more.
    figure = netlapse.plot(netlapse.open(page.viewer._replays[0].run.path), epoch=6)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    assert np.abs(last - np.asarray(Image.open(buffer).convert("RGB"), int)).mean() < 0.5
    assert b64decode(data["image/png"]) == page.viewer._picture
    page.viewer.epoch = 1
    assert (decoded(page.viewer._repr_mimebundle_()[0]["image/png"]) != last).any()


def test_a_replay_displays_itself(replay):
    data, _ = replay._repr_mimebundle_(include=None, exclude=None)
    assert data["text/plain"] == repr(replay)
    assert {WIDGET, "image/png"} <= set(data)
    viewer = replay._display_()  # as marimo asks
    assert type(viewer).__name__ == "Viewer"


def test_a_terminal_gets_the_name_only(replay, monkeypatch):
    shell = SimpleNamespace(display_formatter=SimpleNamespace(active_types=["text/plain"]))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert replay._repr_mimebundle_() == ({"text/plain": repr(replay)}, {})


def test_a_run_without_a_frame_says_so(small_run, tmp_path):
    shutil.copytree(small_run, tmp_path / "early")
    for segment in (tmp_path / "early" / "frames").iterdir():
        segment.unlink()
    replay = netlapse.open(tmp_path / "early")
    [(kind, text)] = replay._repr_mimebundle_()[0].items()
    assert kind == "text/plain"
    assert "has no frame yet" in text
    with pytest.raises(MissingFrame, match="has no frame yet"):
        netlapse.show(replay)


def test_several_runs_are_one_viewer(replay, small_run):
    viewer = netlapse.show(replay, netlapse.open(small_run), epoch=2)
    assert [run["name"] for run in Page(viewer).payload()["payload"]["runs"]] == [replay.name] * 2
    assert decoded(viewer._repr_mimebundle_()[0]["image/png"]).ndim == 3
    viewer.close()


class Frames(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_without_anywidget_it_is_the_page_in_a_frame(replay, monkeypatch):
    monkeypatch.setattr(notebook, "find_spec", lambda _: None)
    framed = netlapse.show(replay, epoch=4.2, layer="hidden_1", height=500)
    data, _ = framed._repr_mimebundle_()
    assert set(data) == {"text/plain", "text/html", "image/png"}
    decoded(data["image/png"])
    [(tag, attributes)] = Frames(data["text/html"]).found
    assert tag == "iframe"
    assert set(attributes["sandbox"].split()) == {"allow-scripts", "allow-downloads"}
    assert "500px" in attributes["style"]
    content = shown([replay], ahead=True)
    assert attributes["srcdoc"] == pages.html(content, "epoch=4.0&layer=hidden_1")
    moments = [found["data-moment"] for tag, found in Frames(attributes["srcdoc"]).found if tag == "html"]
    assert moments == ["epoch=4.0&layer=hidden_1"]
    assert set(replay._repr_mimebundle_()[0]) == {"text/plain", "text/html", "image/png"}


def test_hostile_names_leave_no_markup_in_the_notebook(small_run, tmp_path, monkeypatch):
    monkeypatch.setattr(notebook, "find_spec", lambda _: None)
    shutil.copytree(small_run, tmp_path / "run")
    manifest = tmp_path / "run" / "run.json"
    entries = json.loads(manifest.read_text())
    entries["name"] = HOSTILE
    del entries["xxh3_64"]
    manifest.write_text(json.dumps(entries))
    text = netlapse.show(netlapse.open(tmp_path / "run"))._repr_html_()
    [(tag, attributes)] = Frames(text).found
    assert (tag, attributes["title"]) == ("iframe", HOSTILE)


def test_the_widget_is_there_or_its_lack_is_said(monkeypatch, tmp_path, replay):
    assert "export" in pages.built("widget.js")
    monkeypatch.setattr(pages.resources, "files", lambda _: tmp_path)
    with pytest.raises(Unsupported, match=r"widget\.js, is not in this copy"):
        netlapse.show(replay)
