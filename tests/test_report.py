"""Findings in words and the report of a study: true, complete, and safe to open."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from math import inf, isnan
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from netlapse.errors import UnknownName, Unsupported
from netlapse.report import report
from netlapse.study import effects, outcomes, shares, survival
from netlapse.study.boundaries import Boundaries
from netlapse.study.findings import findings, luck

EVIL = "</script></style><img src=x onerror=alert(1)>\"'&$_{"


def study(n=40, activations=("sigmoid", "tanh", "relu"), rates=(0.05,), diverged=2, seed=0):
    rng = np.random.default_rng(seed)
    parts = []
    for k, activation in enumerate(activations):
        for rate in rates:
            first = rng.gamma(3, 8 + 6 * k, n).round() + 1
            first[(rng.random(n) > 0.9) | (first > 150)] = np.nan
            status = np.full(n, "trained", object)
            status[: diverged if k == 0 else 0] = "diverged"
            final = np.where(status == "diverged", np.nan, rng.lognormal(-4, 1, n))
            parts.append(
                pd.DataFrame(
                    {
                        "activation": activation,
                        "learning_rate": rate,
                        "seed": range(n),
                        "pair": range(n),
                        "status": status,
                        "final_loss": final,
                        "final_accuracy": 1.0,
                        "first_right": first,
                        "right_for_good": first,
                        "epochs": 150,
                    }
                )
            )
    table = pd.concat(parts, ignore_index=True)
    table.insert(0, "network", range(len(table)))
    return table


def curves(table, epochs=12):
    falling = np.exp(-np.arange(epochs) * np.random.default_rng(1).gamma(4, 0.05, (len(table), 1))).astype("float32")
    falling[(table["status"] == "diverged").to_numpy(), 5:] = np.nan
    return {"loss": falling, "accuracy": 1 - falling / 2}


def boundaries(table):
    x = np.linspace(-1, 1, 15)
    logits = np.stack([x[None, :] - x[:, None]] * len(table))
    points = np.random.default_rng(2).uniform(-1, 1, (30, 2))
    return Boundaries(table["network"].to_numpy(), x, x, logits, points, (points[:, 0] > 0).astype(int))


class Page(HTMLParser):
    """All elements of a page with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self._open = [], "", []
        self.feed(text)
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "source"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += "" if self._open and self._open[-1] == "style" else data

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def page(tmp_path, table, **more):
    given = {"title": "Activations", **more}
    return Page(report(table, curves(table), tmp_path / "report.html", **given).read_text())


def test_findings_have_the_numbers_of_the_statistics():
    table = study()
    found = findings(table, "activation")
    kinds = [finding.kind for finding in found]
    assert kinds[:6] == ["share", "median"] * 3
    assert kinds[6:10] == ["difference of shares", "difference of epochs", "ratio of epochs", "pace"]
    assert len(found) == 6 + 3 * 4
    of = {name: outcomes.outcomes(table).of(rows) for name, rows in outcomes.split(table, "activation").items()}
    share = shares.share(of["sigmoid"])
    assert (found[0].number, found[0].low, found[0].high, found[0].n) == (share.value, share.low, share.high, 40)
    assert found[0].text == (
        f"With activation sigmoid, {100 * share.value:.0f} % of 40 networks became right within 150 epochs "
        f"({100 * share.low:.0f} to {100 * share.high:.0f} %); 2 diverged and count as never right."
    )
    effect = effects.difference_of_shares(of["sigmoid"], of["tanh"])
    assert effect.paired
    assert (found[6].number, found[6].low, found[6].high, found[6].n) == (effect.value, effect.low, effect.high, 40)
    assert "40 pairs" in found[6].text
    assert isnan(found[9].low)
    test = survival.pairwise_logrank(of)[0]
    assert found[9].number == test.adjusted
    assert "Holm's correction for 3 tests" in found[9].text


def test_the_interval_of_a_sentence_has_the_direction_of_its_words():
    table = study(n=400, diverged=150)
    [worse] = [f for f in findings(table, "activation") if f.kind == "difference of shares"][:1]
    assert worse.number < 0
    points = re.search(r", ([\d.]+) points fewer .* \(([\d.]+) to ([\d.]+) points", worse.text)
    assert points is not None
    value, low, high = map(float, points.groups())
    assert low < value < high
    assert value == pytest.approx(-100 * worse.number, abs=0.06)
    assert low == pytest.approx(-100 * worse.high, abs=0.06)


def test_findings_say_when_seeds_are_too_few():
    few = findings(study(n=8, diverged=0), "activation")
    assert any("too few to tell" in finding.text for finding in few)
    assert all(finding.tells != ("too few" in finding.text) for finding in few)
    alike = study(n=3000, activations=("a", "b"), diverged=0)
    alike["first_right"] = np.tile(alike["first_right"][:3000], 2)
    found = {finding.kind: finding for finding in findings(alike, "activation")}
    assert found["difference of shares"].text.endswith("no difference that matters, if there is any.")
    assert "as many networks become right within 150 epochs as with" in found["difference of shares"].text


def test_one_network_and_none_right_are_said_as_such():
    alone = findings(study(n=1, diverged=0), "activation")
    assert "of 1 network became right" in alone[0].text
    assert not any(finding.tells for finding in alone if finding.kind.startswith("difference"))
    never = study(n=20, diverged=20)
    never["first_right"] = np.nan
    median = findings(never, "activation")[1]
    assert (median.number, median.kind) == (inf, "median")
    assert "fewer than half of 20 networks are ever right" in median.text


def test_many_settings_are_compared_with_one():
    table = study(n=20, activations=tuple("abcdef"), diverged=0)
    compared = [f.text for f in findings(table, "activation", reference="c") if f.kind == "difference of shares"]
    assert len(compared) == 5
    assert all("with activation c (" in text for text in compared)
    with pytest.raises(UnknownName, match="activation has no setting 'z'; it has a, b"):
        findings(table, "activation", reference="z")


def test_sentences_say_which_event_they_are_about():
    table = study(n=30)
    table["right_for_good"] += 10
    once, for_good = (findings(table, "activation", event=event) for event in ("first_right", "right_for_good"))
    assert not any("for good" in finding.text for finding in once)
    assert all("right for good" in finding.text for finding in for_good)
    assert for_good[1].number == once[1].number + 10
    assert "was right for good at" in luck(table, "activation", 35, event="right_for_good").text


def test_networks_of_one_pair_are_not_tested_as_if_independent():
    table = study(n=20, rates=(0.01, 0.1))
    kinds = {finding.kind for finding in findings(table, "activation")}
    assert "pace" not in kinds
    [difference] = [f for f in findings(table, "learning_rate") if f.kind == "difference of epochs"]
    assert difference.n == 20
    assert "20 pairs with 60 and 60 networks" in difference.text


def test_luck_is_a_finding():
    table = study(n=200, diverged=0)
    finding = luck(table, "activation", 242)
    times = table["first_right"].fillna(inf).to_numpy()[200:400]
    expected = ((times > times[42]).sum() + (times == times[42]).sum() / 2) / 200
    assert finding.number == expected
    assert finding.text.startswith("Network 242 (seed 42) of activation tanh ")
    assert finding.low < finding.number < finding.high
    with pytest.raises(UnknownName, match="no network 900; it has 600, from 0 to 599"):
        luck(table, "activation", 900)


def test_a_report_states_the_design_the_findings_and_every_setting(tmp_path):
    table = study(rates=(0.01, 0.1))
    found = page(tmp_path, table, boundaries=[boundaries(table)], design={"mode": "exact", "data": "parabolas"})
    text = found.text
    for words in (
        "activation: sigmoid, tanh, relu; learning rate: 0.01, 0.1",
        "240, of which",
        "4 diverged",
        "40 sets of networks, each of one seed",
        "exact",
        "parabolas",
        "By activation",
        "By learning rate",
        "Networks at a glance",
    ):
        assert words in text, words
    for by in ("activation", "learning_rate"):
        assert all(finding.text in text for finding in findings(table, by))
    images = found.all("img")
    # Survival, loss, accuracy and ridges of each; grid and parallel coordinates; boundaries.
    assert len(images) == 2 * 4 + 2 + 1 == len(found.all("figure")) == len(found.all("figcaption"))
    assert all(len(image["alt"]) > 40 for image in images)
    assert len(found.all("table")) == 2
    assert {"lang": "en"} in found.all("html")


def test_a_report_needs_nothing_else_and_runs_nothing(tmp_path):
    table = study()
    found = page(tmp_path, table, theme="auto", boundaries=[boundaries(table)])
    assert found.all("meta")[1] == {
        "http-equiv": "Content-Security-Policy",
        "content": "default-src 'none'; img-src data:; style-src 'unsafe-inline'",
    }
    assert not {"script", "link", "iframe", "object", "a", "form"} & {tag for tag, _ in found.elements}
    # Of each picture a light and a dark one, wide and narrow.
    assert len(found.all("source")) == 3 * len(found.all("img"))
    for picture in [image["src"] for image in found.all("img")] + [source["srcset"] for source in found.all("source")]:
        kind, data = picture.split(";base64,")
        assert kind in ("data:image/svg+xml", "data:image/png")
        if kind.endswith("xml"):
            svg = ET.fromstring(b64decode(data))
            links = [value for part in svg.iter() for name, value in part.attrib.items() if name.endswith("href")]
            assert all(link.startswith(("#", "data:")) for link in links)
            assert not any(part.tag.endswith(("script", "foreignObject")) for part in svg.iter())
    text = (tmp_path / "report.html").read_text()
    assert not re.findall(r"https?://|url\(|@import|\bon\w+=", re.sub(r"base64,[^\"]*", "", text))


def test_boundaries_of_several_settings_stand_beside_each_other(tmp_path):
    table = study(n=50)
    of = boundaries(table)
    each = [
        replace(of, networks=of.networks[start : start + 50], logits=of.logits[start : start + 50])
        for start in (0, 50, 100)
    ]
    path = report(table, {}, tmp_path / "report.html", title="Five of them", boundaries=[*each, *each[:2]])
    found = Page(path.read_text())
    shown = [image for image in found.all("img") if image["alt"].startswith("The decision boundaries of 36 networks")]
    # Of more than four, the first.
    assert len(shown) == 4
    assert [found.text.count(f"Activation {name}") for name in ("sigmoid", "tanh", "relu")] == [2, 1, 1]
    right = table["right_for_good"].notna() & (table["status"] == "trained")
    assert f": {right[50:86].sum()} right, {36 - right[50:86].sum()} wrong, 0 diverged" in shown[1]["alt"]


def test_a_narrow_screen_has_pictures_of_its_own(tmp_path):
    found = page(tmp_path, study(n=5))
    sources = found.all("source")
    assert len(sources) == len(found.all("img"))
    assert {(source["media"], source["width"]) for source in sources} == {("(max-width: 40rem)", "480")}
    assert {image["width"] for image in found.all("img")} == {"960"}


def test_curves_are_drawn_with_what_diverged_as_worst(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        "netlapse.report.studies.loss_bands", lambda of, ax, **more: drawn.setdefault(more["quantity"], (of, more))
    )
    table = study(n=5)
    loss = curves(table)["loss"]
    of = {"accuracy": np.full_like(loss, 0.5), "val_mse": loss, "loss": loss, "logged": loss[:, 1:]}
    report(table, of, tmp_path / "report.html", title="")
    assert list(drawn) == ["loss", "accuracy", "val mse", "logged"]
    assert [more["higher_is_better"] for _, more in drawn.values()] == [False, True, False, True]
    values, more = drawn["accuracy"]
    # Its loss is no number from epoch 5 on, and what is then right is chance.
    assert np.isnan(values["sigmoid"][:2, 5:]).all()
    assert (values["sigmoid"][2:] == 0.5).all()
    assert more["diverged"]["sigmoid"].tolist() == [True, True, False, False, False]


def test_results_are_no_settings_and_an_event_can_be_named(tmp_path):
    table = study(n=5).assign(
        setting=0, mode="fast", lowest_loss=0.1, first_right_negative=3.0, final_R2=np.arange(15.0), momentum=0.9
    )
    found = page(tmp_path, table, design={"right": "loss < 0.1"}).text
    assert "Variedactivation: sigmoid, tanh, relu" in found
    assert "The same for alllearning rate 0.05; momentum 0.9" in found
    assert "Rightloss < 0.1" in found
    assert "no case is wrong" not in found


def test_names_are_shown_and_never_obeyed(tmp_path):
    table = study(activations=(EVIL, "\x1b[31mtanh")).rename(columns={"activation": EVIL})
    found = page(tmp_path, table, title=EVIL + "\ud800", design={EVIL: EVIL})
    assert found.text.count(EVIL) > 5
    assert "\x1b" not in found.text
    allowed = {"src", "alt", "width", "height"}
    assert all(set(image) == allowed and image["src"].startswith("data:") for image in found.all("img"))
    assert not any(name.startswith("on") for _, attrs in found.elements for name in attrs)
    assert "script" not in {tag for tag, _ in found.elements}


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
def test_a_report_has_the_colours_asked_for(tmp_path, theme):
    table = study(n=5, diverged=0)
    text = report(table, {}, tmp_path / "report.html", title="Five", theme=theme).read_text()
    assert ("prefers-color-scheme" in text) == (theme == "auto")
    assert f"color-scheme: {'light dark' if theme == 'auto' else theme};" in text


def test_the_smallest_of_studies_has_a_report(tmp_path):
    alone = study(n=1, activations=("tanh",), diverged=0)
    assert "By activation" in page(tmp_path, alone).text
    lost = study(n=3, diverged=3)
    assert "3 diverged" in page(tmp_path, lost, by="activation").text


def test_what_cannot_be_reported_is_one_clear_error(tmp_path):
    table, path = study(n=5), tmp_path / "report.html"
    with pytest.raises(Unsupported, match="the curves 'loss' are of 3 networks and the table of 15"):
        report(table, {"loss": np.zeros((3, 4))}, path, title="")
    with pytest.raises(UnknownName, match="no column momentum; it has network"):
        report(table, {}, path, title="", settings=["momentum"])
    with pytest.raises(UnknownName, match="no column momentum; it has network"):
        report(table, {}, path, title="", by="momentum")
    with pytest.raises(Unsupported, match="no hyper-parameter"):
        report(table, {}, path, title="", settings=[])
    strangers = study(n=5)
    strangers["network"] += 1000
    with pytest.raises(UnknownName, match="the study's table has not"):
        report(table, {}, path, title="", boundaries=[boundaries(strangers)])
    assert not path.exists()
