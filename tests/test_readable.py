"""What is written on pictures: it fits, says what is shown, and lies where no data are."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import netlapse
from netlapse import measures, panels
from netlapse.figures import scenes, spaces
from netlapse.figures.groups import Groups
from netlapse.figures.histograms import LossPanel
from netlapse.figures.panel import root_scale
from netlapse.figures.stage import new_figure
from netlapse.figures.theme import LIGHT
from netlapse.measures import Classes, Quantities
from tests.test_figures import assert_legible, axes

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def two_outputs(keras, tmp_path_factory):
    """Of ten inputs a kind, one of three, and a price; with validation examples."""
    from netlapse.keras import Recorder

    path = tmp_path_factory.mktemp("runs") / "two_outputs"
    inputs = keras.Input((10,))
    trunk = keras.layers.Dense(8, "relu", name="trunk")(inputs)
    kind = keras.layers.Dense(3, "softmax", name="kind")(trunk)
    price = keras.layers.Dense(1, name="price")(trunk)
    model = keras.Model(inputs, {"kind": kind, "price": price})
    model.compile("adam", {"kind": "sparse_categorical_crossentropy", "price": "mse"})
    X = RNG.normal(size=(90, 10)).astype("float32")
    y = {"kind": X[:, :3].argmax(axis=1), "price": X[:, 3]}
    train, rest = slice(60), slice(60, None)
    probe, validation = ((X[part], {name: values[part] for name, values in y.items()}) for part in (train, rest))
    recorder = Recorder(path, probe=probe, validation=validation)
    model.fit(*probe, epochs=2, verbose=0, callbacks=[recorder])
    return netlapse.open(path)


def titles(figure):
    return [title for title in (ax.get_title("left") for ax in figure.axes) if title]


@given(st.integers(1, 10**7))
def test_ticks_of_a_root_scale_leave_room_for_their_numbers(cases):
    ax = axes()
    root_scale(ax, cases)
    heights = np.sqrt(ax.get_yticks() / cases)
    assert heights[0] == 0
    assert heights[-1] == 1
    assert (np.diff(heights) > 0.149).all()
    assert cases < 4 or len(heights) > 2


@given(
    st.floats(-1e6, 1e6).filter(lambda low: low == 0 or abs(low) > 1e-6),
    st.floats(1e-6, 1e6),
)
def test_ranges_are_named_by_their_ends(low, width):
    values = low + np.linspace(0, width, 100)[:, None]
    names = Groups(Quantities(values, ("price",)), LIGHT).names
    ends = [tuple(map(float, name.split(" to "))) for name in names]
    assert all(stop == start for (_, stop), (start, _) in pairwise(ends))
    assert not any(f" {name}".count(" -0 ") or name.startswith("-0 ") for name in names)
    assert ends[0][0] == pytest.approx(low, abs=width / 8, rel=0.01)


def test_ranges_around_zero_are_round():
    groups = Groups(Quantities(np.linspace(-1, 1 - 1e-6, 50)[:, None], ("price",)), LIGHT)
    assert groups.names[3:5] == ("-0.25 to 0.00", "0.00 to 0.25")
    assert groups.quantity == "price"


def test_the_grey_group_lies_beneath_those_with_a_colour():
    labels = RNG.integers(0, 40, 300)
    groups = Groups(Classes(labels, tuple(map(str, range(40)))), LIGHT)
    *colored, grey = groups.dots(axes())
    assert len(colored) == len(LIGHT.classes)
    assert grey.get_label() == "30 others"
    assert all(grey.get_zorder() < dots.get_zorder() for dots in colored)
    few = Groups(Classes(labels % 3, ("a", "b", "c")), LIGHT).dots(axes())
    assert len({dots.get_zorder() for dots in few}) == 1


@pytest.mark.parametrize(
    ("losses", "place"),
    [
        (RNG.exponential(1, 500), "upper right"),
        (np.repeat([0.0, 16.0], 250), "upper center"),  # a network that is sure and wrong of half of the examples
        (np.concatenate([np.full(450, 0.69), np.linspace(0, 1.4, 50)]), "upper right"),  # before training
    ],
)
def test_the_legend_of_losses_keeps_clear_of_high_bars(losses, place):
    measure = measures.SampleLosses(np.zeros(1), "cross-entropy", losses[None], losses[None] > 5)
    figure = new_figure((400, 300), 100, LIGHT, heading=False)
    ax = figure.add_subplot()
    panel = LossPanel(ax, measure, theme=LIGHT)
    panel.show(measure)
    figure.canvas.draw()
    assert ax.get_legend()._loc == ax.get_legend().codes[place]
    box = ax.get_legend().get_window_extent().transformed(ax.transData.inverted())
    counts, edges = np.histogram(losses, np.linspace(0, ax.get_xlim()[1], 41))
    under = (edges[1:] > box.x0) & (edges[:-1] < box.x1)
    assert counts[under].max(initial=0) < box.y0


def test_labels_that_are_too_long_end_before_what_is_beside_them():
    figure = new_figure((600, 300), 100, LIGHT, heading=False)
    left, right = figure.subplots(1, 2)
    left.set(xlabel="sparse categorical cross-entropy + mean squared error", ylabel="short")
    right.set(xlabel="mean absolute percentage error + Kullback-Leibler divergence", ylabel="$mathematics$")
    assert_legible(figure)
    assert left.get_xlabel().startswith("sparse categorical")
    assert left.get_xlabel().endswith("\N{HORIZONTAL ELLIPSIS}")
    assert left.get_ylabel() == "short"
    assert right.get_ylabel() == "$mathematics$"


def test_titles_say_which_output_and_which_examples(two_outputs):
    kind = ("feature_space", "class_probabilities", "confusion")
    figure = netlapse.plot(two_outputs, panels=kind, size=(1800, 700))
    assert titles(figure) == ["Feature space, kind", "P(own class), kind", "Confusion, kind"]
    assert_legible(figure)
    price = [panels.Predictions(output="price", split="validation"), panels.Residuals(output="price")]
    assert titles(netlapse.plot(two_outputs, panels=price)) == ["Predictions, price, validation", "Residuals, price"]


@pytest.mark.parametrize(
    "panel", [panels.SampleLosses, panels.Activations, panels.Gradients, panels.LayerStatistics, panels.PreActivations]
)
def test_titles_say_when_the_examples_are_those_of_validation(two_outputs, panel):
    (train,), (validation,) = (
        titles(netlapse.plot(two_outputs, panels=[panel(split=split)])) for split in ("train", "validation")
    )
    assert validation == f"{train}, validation"


def test_layers_of_outputs_are_not_hidden(two_outputs):
    assert spaces.feature_layer(two_outputs) == "trunk"


@pytest.mark.parametrize("quantities", [1, 3])
def test_what_is_shown_of_a_regression_unless_asked(quantities, keras, tmp_path):
    from netlapse.keras import capture

    inputs = RNG.normal(size=(50, 4))
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(6, "tanh", name="hidden"), keras.layers.Dense(quantities)]
    )
    model.compile("sgd", "mse")
    capture(model, tmp_path / "run", (inputs, inputs[:, :quantities]))
    replay = netlapse.open(tmp_path / "run")
    shown = [type(panel) for panel in scenes.panels_of(replay, None)]
    several = [panels.FeatureSpace, panels.Predictions, panels.Curves, panels.SampleLosses]
    assert shown == (several if quantities > 1 else [*several[:2], panels.Residuals, *several[2:]])
    figure = netlapse.plot(replay)
    names = [text.get_text() for ax in figure.axes if ax.get_legend() for text in [ax.get_legend().get_title()]]
    assert ("value 1" in names) == (quantities > 1)


def test_curves_of_training_and_validation_are_named(two_outputs):
    figure = netlapse.plot(two_outputs, panels=["curves"], size=(600, 500))
    [legend] = [ax.get_legend() for ax in figure.axes if ax.get_legend()]
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation"]
    # What is under the pointer of the legend is told by the colour of its axis.
    assert {ax.get_ylabel() for ax in figure.axes} == {"accuracy", "mean loss"}
    assert_legible(figure)
