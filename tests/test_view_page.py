"""The page: what its elements decode to, that no name becomes markup, and that its policy lets nothing else run."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from base64 import b64decode, b64encode
from copy import deepcopy
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from typer.testing import CliRunner

import netlapse
from netlapse.cli import app
from netlapse.errors import Unsupported
from netlapse.view import page as pages
from netlapse.view.encode import arrays_in, encoded, rounded
from netlapse.view.payload import Shown, shown
from tests.conftest import small_model

ROOT = Path(__file__).resolve().parents[1]
VIEWER = "document.title;"
HOSTILE = "</script><img src=x onerror=alert(1)>\u2028<!--"


class Elements(HTMLParser):
    """Every element of a page with its attributes and text, as a browser reads it."""

    def __init__(self, text):
        super().__init__()
        self.found, self.inside = [], False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs), []))
        self.inside = True

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.found[-1][2].append(data)

    def of(self, tag):
        return [(attributes, "".join(text)) for name, attributes, text in self.found if name == tag]


def decode(array, text):
    """The inverse of `encoded`."""
    dtype = np.dtype(array["dtype"]).newbyteorder("<")
    content = np.frombuffer(gzip.decompress(b64decode(text)), np.uint8)
    values = content.reshape(dtype.itemsize, -1).T.copy().view(dtype).reshape(array["shape"])
    if array["dtype"] == "uint16" and array["axes"][0] == "frame":
        values = np.cumsum(values, axis=0, dtype=np.uint16)
    return values


def dequantised(array, stored):
    found = array["low"] + array["step"] * stored.astype(float)
    if array["gaps"] and stored.dtype != np.float32:
        found[stored == np.iinfo(stored.dtype).max] = np.nan
    return found


@pytest.fixture(scope="module")
def replay(small_run):
    return netlapse.open(small_run)


@pytest.fixture(autouse=True)
def viewer(monkeypatch):
    """What the page does is tested with the viewer."""
    monkeypatch.setattr(pages, "built_viewer", lambda: VIEWER)


@pytest.fixture(scope="module")
def content(replay):
    return shown([replay], ahead=True)


@pytest.fixture(scope="module")
def elements(content):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "built_viewer", lambda: VIEWER)
        return Elements(pages.html(content))


def payload_of(elements):
    [payload] = [json.loads(text) for attributes, text in elements.of("script") if attributes.get("id") == "payload"]
    return payload


def array_like(values, **changes):
    axes = ["frame", *"abc"[: values.ndim - 1]]
    known = {"name": "0/points", "dtype": values.dtype.name, "shape": list(values.shape), "axes": axes}
    return {**known, "low": 0.0, "step": 1.0, "gaps": False, **changes}


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["float32", "uint8", "uint16", "int32"]).flatmap(
        lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6))
    )
)
def test_arrays_are_decoded_as_they_were(values):
    array = array_like(values)
    np.testing.assert_array_equal(decode(array, encoded(array, values)), values)


@pytest.mark.parametrize("far", [0, 1e3], ids=["even", "one far out"])
def test_large_arrays_are_rounded_by_half_a_step(far):
    values = np.random.default_rng(0).normal(size=(5, 4000, 2)).astype(np.float32)
    values[2, 7, 0] += far
    values[1, :9] = [[np.nan, np.inf]]
    array, stored = rounded(array_like(values), values)
    assert (array["dtype"], array["gaps"]) == ("uint16", True)
    found, finite = dequantised(array, decode(array, encoded(array, stored))), np.isfinite(values)
    np.testing.assert_allclose(found[finite], values[finite], atol=array["step"] / 2 * 1.001)
    assert np.isnan(found[~finite]).all()
    spread = np.quantile(values[finite], 0.99) - np.quantile(values[finite], 0.01)
    assert array["step"] < max(spread / 4000, far / 60_000)


def test_losses_keep_their_digits_however_small():
    losses = 10 ** np.random.default_rng(0).uniform(-8, 3, (10, 4000)).astype(np.float32)
    losses[0, 0], losses[0, 1] = np.nan, np.inf
    array, stored = rounded(array_like(losses, name="0/examples/losses"), losses)
    found = decode(array, encoded(array, stored))
    np.testing.assert_allclose(found, losses, rtol=2**-9)
    assert len(encoded(array, stored)) < len(encoded(array, losses)) / 1.5


def test_a_page_holds_what_its_payload_names_or_computes_it(content, elements):
    written = {
        attributes["data-array"]: text for attributes, text in elements.of("script") if "data-array" in attributes
    }
    payload = payload_of(elements)
    computed = payload["runs"][0]["mlp"]["computes"]
    named = {array["name"]: array for array in arrays_in(payload)}
    assert written.keys() | set(computed) == named.keys()
    assert not written.keys() & set(computed)
    before = {array["name"]: array for array in arrays_in(content.payload)}
    for name, text in written.items():
        wanted = dequantised(before[name], content.numbers(name))
        found = dequantised(named[name], decode(named[name], text))
        np.testing.assert_allclose(
            found, wanted, atol=named[name]["step"] / 2 if named[name]["dtype"] == "uint16" else 0
        )


def test_what_a_page_computes_is_all_that_is_large(content, elements):
    [run] = payload_of(elements)["runs"]
    [space] = run["spaces"]
    large = [run["probabilities"], run["losses"], space["points"], space["lines"], space["regions"]]
    large += [run["boundary"]["regions"], run["diagram"]["maps"]]
    assert set(run["mlp"]["computes"]) == {array["name"] for array in large}


def test_what_disagrees_with_the_record_is_not_computed(content):
    """As of a network whose activation function has another constant in another framework."""
    altered = Shown(deepcopy(content.payload), content.numbers)
    altered.payload["runs"][0]["mlp"]["layers"][0]["activation"] = "softsign"
    elements = Elements(pages.html(altered))
    [run] = payload_of(elements)["runs"]
    # The rest of the network is what it was.
    assert run["mlp"]["computes"] == [run["spaces"][0]["regions"]["name"]]


def test_quantities_are_computed_too(keras, tmp_path):
    from netlapse.keras import Recorder

    inputs = np.random.default_rng(0).normal(size=(50, 2)).astype("float32")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "relu"), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    data = inputs, np.stack([inputs.sum(axis=1), inputs[:, 0]], axis=1)
    model.fit(*data, epochs=1, verbose=0, callbacks=[Recorder(tmp_path / "run", probe=data)])
    [run] = payload_of(Elements(pages.html(shown([netlapse.open(tmp_path / "run")], ahead=True))))["runs"]
    assert {run["predictions"]["name"], run["losses"]["name"], run["boundary"]["regions"]["name"]} <= set(
        run["mlp"]["computes"]
    )


def test_nothing_but_the_viewer_may_run(elements):
    [policy] = [a["content"] for a, _ in elements.of("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    scripts = [text for attributes, text in elements.of("script") if "type" not in attributes]
    [script] = scripts
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert directives == {
        **dict.fromkeys(("default-src", "base-uri", "form-action"), "'none'"),
        **dict.fromkeys(("media-src", "worker-src"), "blob:"),
        "img-src": "data: blob:",
        "script-src": f"'sha256-{digest}'",
    }


def test_the_same_runs_give_the_same_bytes(replay, small_run, tmp_path):
    first = netlapse.page(replay, tmp_path / "a.html")
    second = netlapse.page([netlapse.open(small_run)], tmp_path / "folder" / "b.html")
    assert first.read_bytes() == second.read_bytes()


def test_hostile_names_leave_no_markup(keras, tmp_path):
    from netlapse.datasets import parabolas
    from netlapse.keras import Recorder

    data = parabolas(30)
    layer = "<img src=x onerror=alert(1)><!--"  # no layer may have a slash in its name
    model = small_model(keras, hidden=layer)
    recorder = Recorder(
        tmp_path / "run", probe=data, class_names=[HOSTILE, "\ud800&quot;"], hyperparameters={HOSTILE: HOSTILE}
    )
    model.fit(*data, epochs=1, verbose=0, callbacks=[recorder])
    manifest = tmp_path / "run" / "run.json"
    entries = json.loads(manifest.read_text())
    entries["name"] = HOSTILE
    del entries["xxh3_64"]
    manifest.write_text(json.dumps(entries))
    made = netlapse.page(netlapse.open(tmp_path / "run"), tmp_path / "page.html", title=HOSTILE + '"').read_bytes()
    text = made.decode("ascii")
    assert "<img" not in text
    assert text.lower().count("<!--") == 0
    assert text.count("<script") == text.count("</script>")
    elements = Elements(text)
    assert {tag for tag, *_ in elements.found} == {"html", "head", "meta", "title", "body", "script"}
    [run] = payload_of(elements)["runs"]
    assert (run["name"], run["task"]["names"][0], run["spaces"][0]["layer"]) == (HOSTILE, HOSTILE, layer)
    assert run["hyperparameters"][HOSTILE] == HOSTILE
    assert elements.of("title")[0][1] == HOSTILE + '"'


def test_the_viewer_is_there_or_its_lack_is_said(monkeypatch, tmp_path):
    monkeypatch.undo()
    assert "</script" not in pages.built_viewer()
    monkeypatch.setattr(pages.resources, "files", lambda _: tmp_path)
    with pytest.raises(Unsupported, match=r"page\.js, is not in this copy"):
        pages.built_viewer()
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "page.js").write_text("a = '</SCRIPT>'")
    with pytest.raises(Unsupported, match="end its own script"):
        pages.built_viewer()


def test_the_command(small_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(small_run, tmp_path / "a")
    done = CliRunner().invoke(app, ["page", "a", "a", "--title", "Two", "--frames", "4"])
    assert done.output == "wrote a-a.html\n"
    elements = Elements((tmp_path / "a-a.html").read_text())
    assert elements.of("title")[0][1] == "Two"
    assert [run["epochs"]["shape"] for run in payload_of(elements)["runs"]] == [[4], [4]]
    assert re.search(r"4 of 7 frames", json.dumps(payload_of(elements)["runs"][0]["missing"]))


def test_the_built_viewer_is_that_of_the_sources():
    """Without Node: by the hash that the build writes."""
    folder = ROOT / "viewer"
    own = ("build.mjs", "package.json", "package-lock.json", "tsconfig.json")
    paths = [*(path for path in (folder / "src").rglob("*") if path.is_file()), *(folder / name for name in own)]
    found = sha256()
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in paths):
        found.update(f"{name}\0{path.read_text()}\0".encode())
    built = json.loads((ROOT / "src/netlapse/view/static/manifest.json").read_text())
    assert built["sources"] == found.hexdigest(), "run `npm ci && npm run build` in viewer/"
