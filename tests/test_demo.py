"""The article's experiment, trained for real."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from netlapse import demo
from netlapse.datasets import parabolas
from tests.test_figures import assert_legible


@pytest.fixture(scope="module")
def replays(keras, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return {activation: demo.train(activation, folder / activation) for activation in demo.ACTIVATIONS}


@pytest.fixture(scope="module")
def milestones(replays):
    return {activation: replay.milestones() for activation, replay in replays.items()}


def test_training_starts_from_the_published_weights(replays):
    for replay in replays.values():
        for name, values in demo.INITIAL_WEIGHTS.items():
            np.testing.assert_array_equal(replay.weights(name, 0), values)


def test_the_article_is_reproduced(milestones):
    sigmoid, tanh, relu = (milestones[name].all.for_good for name in ("sigmoid", "tanh", "relu"))
    assert relu < tanh < sigmoid
    assert 0.65 <= relu / tanh <= 0.85
    assert 95 <= sigmoid <= 110
    assert milestones["linear"].all.first is None


def test_plateaus_lie_where_the_article_saw_them(milestones):
    for activation, published in demo.PUBLISHED.items():
        found = milestones[activation].plateaus
        if published.plateau is None:
            assert found == ()
        else:
            [(start, stop)] = found
            low, high = published.plateau
            overlap = min(stop, high) - max(start, low)
            assert overlap > 0.4 * (high - low)


def test_milestones_against_float64(replays, milestones):
    """The same epochs from the recorded weights by plain NumPy in double precision."""
    inputs, targets = (array.astype(float) for array in parabolas())
    functions = {"sigmoid": lambda z: 1 / (1 + np.exp(-z)), "tanh": np.tanh, "relu": lambda z: np.maximum(z, 0)}
    for activation, function in functions.items():
        replay = replays[activation]
        kernel, bias, out, out_bias = (replay.weights(name).astype(float) for name in replay.parameters)
        hidden = function(np.einsum("ni,fiu->fnu", inputs, kernel) + bias[:, None])
        logits = (np.einsum("fnu,fuo->fno", hidden, out) + out_bias[:, None])[..., 0]
        right = ((logits > 0) == (targets == 1)).all(axis=1)
        assert milestones[activation].all.first == right.argmax()
        assert milestones[activation].all.for_good == len(right) - right[::-1].argmin()
        loss = (np.logaddexp(0, logits) - logits * targets).mean(axis=1)
        np.testing.assert_allclose(replay.curves().loss, loss, atol=1e-5)


def test_the_table_sets_measured_beside_published(milestones):
    row = demo.milestone_row("tanh", milestones["tanh"])
    assert len(row) == len(demo.HEADINGS)
    assert row[3].endswith("[69]")
    assert row[4].endswith("[10-55]")
    assert demo.milestone_row("linear", milestones["linear"])[3] == "never"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_picture_of_the_article_is_drawn(replays, theme):
    names = []
    for name, figure in demo.pictures(list(replays.values()), theme):
        if name[:2] not in ("04", "11"):  # their texts lie on edges on purpose; test_diagrams sees to them
            assert_legible(figure)
        figure.canvas.draw()
        pixels = np.asarray(figure.canvas.buffer_rgba())
        assert len(np.unique(pixels.reshape(-1, 4)[::7], axis=0)) > 20
        names.append(name)
    assert [int(name[:2]) for name in names] == list(range(1, 12))


def test_the_same_seed_gives_the_same_training(replays, tmp_path):
    again = demo.train("relu", tmp_path / "relu", epochs=3)
    for name, epoch in itertools.product(again.parameters, range(4)):
        np.testing.assert_array_equal(again.weights(name, epoch), replays["relu"].weights(name, epoch))
