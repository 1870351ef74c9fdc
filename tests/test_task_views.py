"""Confusion, predictions and the losses of places: numbers first, then what is drawn of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import netlapse
from netlapse import figures, measures
from netlapse.errors import Unsupported
from netlapse.figures.confusion import ConfusionPanel, Numbers
from netlapse.figures.predictions import largest_residual, prediction_limits
from netlapse.figures.stage import new_figure
from netlapse.figures.theme import THEMES
from netlapse.measures import Classes, Labels, Quantities
from tests.test_figures import assert_legible

sklearn = pytest.importorskip("sklearn")
from sklearn.metrics import confusion_matrix, r2_score, root_mean_squared_error  # noqa: E402

RNG = np.random.default_rng(0)
EPOCHS = np.array([0.0, 1.0, 2.0])


def axes(size=(500, 460), theme="light"):
    figure = new_figure(size, 100, THEMES[theme], heading=False)
    return figure.add_subplot()


def pixels(figure):
    FigureCanvasAgg(figure)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba()).copy()


# Confusion


def confused(classes, examples=400, names=None, noise=1.5):
    labels = RNG.integers(0, classes, examples)
    logits = noise * RNG.normal(size=(3, examples, classes)).astype(np.float32)
    logits[:, np.arange(examples), labels] += [[0], [2], [4]]
    task = Classes(labels, names or tuple(map(str, range(classes))))
    return logits, labels, measures.confusion(logits, epochs=EPOCHS, task=task)


@pytest.mark.parametrize("classes", [2, 3, 10, 100])
def test_confusion_is_that_of_scikit_learn(classes):
    logits, labels, found = confused(classes)
    for frame in range(3):
        wanted = confusion_matrix(labels, logits[frame].argmax(1), labels=range(classes))
        np.testing.assert_array_equal(found.counts[frame], wanted)
    np.testing.assert_allclose(found.shares[0].sum(axis=1), (found.cases > 0).astype(float))
    assert found.cases.sum() == len(labels)
    assert not found.undecided.any()


def test_one_unit_confuses_two_classes():
    logits = np.array([[[-1.0], [2.0], [3.0], [-4.0]]])
    found = measures.confusion(logits, epochs=EPOCHS[:1], task=Classes(np.array([0, 0, 1, 1]), ("no", "yes")))
    assert found.counts[0].tolist() == [[1, 1], [1, 1]]


def test_what_is_no_number_is_predicted_as_nothing():
    logits, labels, _ = confused(3)
    logits[1, :7] = np.nan
    found = measures.confusion(logits, epochs=EPOCHS, task=Classes(labels, ("a", "b", "c")))
    assert found.undecided.tolist() == [0, 7, 0]
    assert found.counts.sum(axis=(1, 2)).tolist() == [400, 393, 400]


@settings(max_examples=50, deadline=None)
@given(arrays.arrays(int, (5, 5), elements=st.integers(0, 9)))
def test_most_confused_pairs_are_all_mistakes_the_most_first(counts):
    found = measures.Confusion(EPOCHS[:1], tuple("abcde"), counts.sum(axis=1), counts[None]).most_confused()
    assert all(true != wrong and counts[true, wrong] == count for true, wrong, count in found)
    assert sum(count for *_, count in found) == counts.sum() - np.trace(counts)
    assert [count for *_, count in found] == sorted((count for *_, count in found), reverse=True)


@pytest.mark.parametrize(
    "task",
    [Labels(np.ones((4, 2), bool), ("x", "y")), Quantities(np.ones((4, 2)), ("x", "y"))],
    ids=["labels", "numbers"],
)
def test_only_classes_can_be_confused(task):
    with pytest.raises(Unsupported, match="predicts x, y, not one class"):
        measures.confusion(np.zeros((1, 4, 2)), epochs=EPOCHS[:1], task=task)


def shown(measure, theme="light", size=(500, 460), **given):
    ax = axes(size, theme)
    panel = ConfusionPanel(ax, measure, theme=THEMES[theme], **given)
    panel.show(measure.at(2))
    return ax, panel


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_cells_hold_their_counts_in_colours_of_right_and_wrong(theme):
    _, _, measure = confused(4)
    ax, panel = shown(measure, theme)
    texts = {cell: text for numbers in panel._numbers for cell, text in numbers.texts.items()}
    counts = measure.counts[2]
    assert texts == {(i, j): str(counts[i, j]) for i, j in np.argwhere(counts).tolist()}
    image = panel._image.get_array()
    surface = np.array(panel._surface)
    # The more of its class, the further from the surface.
    distances = np.linalg.norm(image - surface, axis=-1)
    diagonal, others = np.eye(4, dtype=bool), ~np.eye(4, dtype=bool)
    for cells in (diagonal, others):
        np.testing.assert_array_equal(np.argsort(distances[cells]), np.argsort(measure.shares[2][cells]))
    np.testing.assert_allclose(image[counts == 0], np.broadcast_to(surface, image[counts == 0].shape))
    assert_legible(ax.figure)
    assert all(numbers.size() > 8 for numbers in panel._numbers if numbers.texts)


def test_shares_in_per_cent():
    _, _, measure = confused(3, examples=2000)
    _, panel = shown(measure, shares=True)
    texts = {cell: text for numbers in panel._numbers for cell, text in numbers.texts.items()}
    for (row, column), text in texts.items():
        share = 100 * measure.shares[2, row, column]
        assert text == "<1 %" if share < 1 else float(text.removesuffix(" %")) == pytest.approx(share, abs=0.5)


@pytest.mark.parametrize("classes", [2, 12, 13, 30, 100])
@pytest.mark.parametrize("words", [False, True], ids=["digits", "words"])
def test_names_of_few_and_of_many_classes(classes, words):
    names = tuple(f"category number {k}" if words else str(k) for k in range(classes))
    _, _, measure = confused(classes, names=names)
    ax, panel = shown(measure, size=(520, 500))
    assert assert_legible(ax.figure) >= 6
    assert bool(panel._numbers[0].texts) == (classes <= 12)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[0].endswith(f"({measure.cases[0]})")
    assert len(labels) >= min(classes, 8)


def test_the_corner_names_the_most_confused_and_what_is_no_number():
    counts = np.array([[[5, 3, 0], [0, 9, 7], [0, 0, 2]]])
    measure = measures.Confusion(EPOCHS[2:], ("cat", "dog", "eel"), np.array([8, 16, 4]), counts)
    ax, panel = shown(measure)
    whole = "2 not a number, dog → eel: 7, cat → dog: 3"
    for width, text in ((640, whole), (460, "2 not a number, dog → eel: 7"), (330, "2 not a number"), (270, "2 NaN")):
        narrow, note = shown(measure, size=(width, 300))
        pixels(narrow.figure)
        assert note._note.get_text() == text
        assert_legible(narrow.figure)
    diverged = measures.Confusion(EPOCHS[2:], measure.names, measure.cases, 0 * counts)
    panel.show(diverged)
    assert panel._note.get_text() == "28 not a number"
    pixels(ax.figure)


def test_numbers_that_do_not_fit_are_left_out():
    ax = axes((200, 200))
    ax.set(xlim=(-0.5, 11.5), ylim=(11.5, -0.5))
    numbers = Numbers(ax, "black")
    numbers.set_texts({(0, 0): "1"})
    before = pixels(ax.figure)
    assert numbers.size() >= 6
    numbers.set_texts({(0, 0): "1234567"})
    assert numbers.size() == 0
    assert (pixels(ax.figure) != before).any()


# Predictions


def predicted(noise=(2, 0.5, 0.1)):
    true = np.stack([RNG.normal(size=300), RNG.gamma(2, size=300)], axis=1)
    outputs = np.stack([true + spread * RNG.normal(size=true.shape) for spread in noise])
    return true, outputs


def test_scores_are_those_of_scikit_learn():
    true, outputs = predicted()
    measure = measures.predictions(outputs, epochs=EPOCHS, task=Quantities(true, ("a", "b")))
    for frame in range(3):
        for k in range(2):
            assert measure.r2[frame, k] == pytest.approx(r2_score(true[:, k], outputs[frame, :, k]))
            assert measure.rmse[frame, k] == pytest.approx(root_mean_squared_error(true[:, k], outputs[frame, :, k]))
    edges = np.linspace(-1, 1, 11)
    wanted, _ = np.histogram(outputs[1, :, 1] - true[:, 1], edges)
    np.testing.assert_array_equal(measure.histogram(edges, 1)[1], wanted)
    second = measures.predictions(outputs, epochs=EPOCHS, task=Quantities(true, ("a", "b")), quantities=[1])
    assert (second.names, second.total) == (("b",), 2)
    np.testing.assert_array_equal(second.predicted, outputs[..., 1:])


def test_scores_of_what_is_no_number_and_of_what_never_varies():
    true, outputs = predicted()
    outputs[2, 0, 0], outputs[2, 0, 1] = np.nan, np.inf
    measure = measures.predictions(outputs, epochs=EPOCHS, task=Quantities(true, ("a", "b")))
    with np.errstate(all="raise"):
        assert np.isnan(measure.r2[2, 0])
        assert measure.rmse[2, 1] == np.inf
    still = measures.predictions(outputs, epochs=EPOCHS, task=Quantities(np.ones_like(true), ("a", "b")))
    assert np.isnan(still.r2).all()


def test_only_quantities_are_predicted():
    with pytest.raises(Unsupported, match="ask for `class_probabilities` or `confusion`"):
        measures.predictions(np.zeros((1, 4, 2)), epochs=EPOCHS[:1], task=Classes(np.zeros(4, int), ("x", "y")))
    with pytest.raises(Unsupported, match=r"there are 1 quantities; quantities=\[1\]"):
        measures.predictions(
            np.zeros((1, 4, 1)), epochs=EPOCHS[:1], task=Quantities(np.zeros((4, 1)), ("x",)), quantities=[1]
        )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_predicted_against_true(theme):
    true, outputs = predicted()
    measure = measures.predictions(outputs[..., :1], epochs=EPOCHS, task=Quantities(true[:, :1], ("value",)))
    ax = axes(theme=theme)
    dots, note, *_ = figures.predictions(measure, ax, theme=theme)
    np.testing.assert_allclose(dots.positions, np.stack([true[:, 0], outputs[2, :, 0]], axis=1))
    assert note.get_text() == f"R² {measure.r2[2, 0]:.2f}, RMSE {measure.rmse[2, 0]:.3g}"
    assert_legible(ax.figure)
    other = axes(theme=theme)
    figures.predictions(measure, other, epoch=0, theme=theme)
    assert (other.get_xlim(), other.get_ylim()) == (ax.get_xlim(), ax.get_ylim())
    assert ax.lines[0].get_slope() == 1


def test_residuals_and_how_many_lie_beyond():
    true, outputs = predicted()
    outputs[2, :3, 0] = 100, -100, np.nan
    measure = measures.predictions(outputs, epochs=EPOCHS, task=Quantities(true, ("a", "b")))
    ax = axes()
    stairs, note, *_ = figures.residuals(measure, ax)
    largest = largest_residual(measure)
    assert stairs.get_data().values.sum() == 297
    assert note.get_text() == "3 beyond"
    assert ax.get_xlim() == (-largest, largest)
    assert largest <= 3 * true[:, 0].std()
    assert_legible(ax.figure)


def test_a_run_that_diverged_leaves_the_scale():
    true, outputs = predicted()
    sound = measures.predictions(outputs, epochs=EPOCHS, task=Quantities(true, ("a", "b")))
    outputs[1], outputs[2] = 1e30, np.nan
    measure = measures.predictions(outputs, epochs=EPOCHS, task=Quantities(true, ("a", "b")))
    for found, wanted in zip(prediction_limits(measure), prediction_limits(sound), strict=True):
        assert abs(found) < 3 * abs(wanted)
    for draw, text in ((figures.predictions, "not a number, 300 beyond"), (figures.residuals, "not a number")):
        ax = axes()
        artists = draw(measure, ax)
        assert artists[1].get_text() == text
        pixels(ax.figure)
    assert figures.residuals(measure, axes(), epoch=1)[1].get_text() == "300 beyond"


# Losses of places


def test_quantiles_of_what_counts():
    losses = RNG.gamma(1, size=(3, 40, 6)).astype(np.float32)
    losses[:, ::3, 2] = np.nan
    losses[:, 1:, 3] = np.nan
    losses[:, :, 4] = np.nan
    with np.errstate(all="raise"):
        found = measures.loss_by_place(losses, epochs=EPOCHS, chosen=[0, 39], loss="loss")
    counted = [0, 1, 2, 3, 5]
    part = losses[:, :, counted].astype(float)
    np.testing.assert_allclose(found.mean[:, counted], np.nanmean(part, axis=1), rtol=1e-6)
    for values, share in ((found.low, 0.1), (found.high, 0.9)):
        np.testing.assert_allclose(values[:, counted], np.nanquantile(part, share, axis=1), rtol=1e-5)
    assert np.isnan([found.mean[:, 4], found.low[:, 4], found.high[:, 4]]).all()
    np.testing.assert_array_equal(found.losses, losses[:, [0, 39]])


def test_places_lie_in_a_row():
    with pytest.raises(Unsupported, match="places lie in a row"):
        measures.loss_by_place(np.zeros((1, 4, 5, 5)), epochs=EPOCHS[:1], chosen=[0], loss="loss")
    with pytest.raises(Unsupported, match=r"there are 4 examples; examples=\[4\]"):
        measures.loss_by_place(np.zeros((1, 4, 5)), epochs=EPOCHS[:1], chosen=[4], loss="loss")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_losses_of_places_and_those_that_do_not_count(theme):
    losses = RNG.gamma(1, size=(3, 40, 30)).astype(np.float32)
    losses[:, :, 20:] = np.nan
    losses[:, :, 10] = np.nan
    measure = measures.loss_by_place(losses, epochs=EPOCHS, chosen=range(40), loss="cross-entropy")
    figure = new_figure((600, 560), 100, THEMES[theme], heading=False)
    artists = figures.token_losses(measure, figure.add_subplot(2, 1, 1), figure.add_subplot(2, 1, 2), theme=theme)
    image, note = artists[:2]
    assert note.get_text() == "440 not counted (grey)"
    np.testing.assert_array_equal(image.get_array().mask, np.isnan(losses[2]))
    assert image.cmap.get_bad()[:3] == pytest.approx(image.cmap.with_extremes(bad=THEMES[theme].line).get_bad()[:3])
    band, line = artists[-4], artists[-3]
    np.testing.assert_allclose(line.get_ydata(), measure.mean[2])
    outline = band.get_path().vertices
    # Two pieces: before and after the place that nothing is known of.
    assert (band.get_path().codes == 1).sum() == 2
    assert not ((outline[:, 0] > 9) & (outline[:, 0] < 11)).any()
    assert outline[:, 1].max() == pytest.approx(np.nanmax(measure.high[2]), rel=1e-6)
    assert_legible(figure)
    measure.losses[:], measure.mean[:], measure.low[:], measure.high[:] = (np.nan,) * 4
    figure = Figure()
    note = figures.token_losses(measure, figure.add_subplot(2, 1, 1), figure.add_subplot(2, 1, 2), theme=theme)[1]
    assert note.get_text() == "not a number"
    pixels(figure)


# Doors and panels, of runs


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    from netlapse.sklearn import record

    inputs, labels = load_digits(return_X_y=True)
    path = tmp_path_factory.mktemp("runs") / "digits"
    model = MLPClassifier(hidden_layer_sizes=(8,), random_state=0, tol=0.2, n_iter_no_change=2)
    record(model, inputs[:600] / 16, labels[:600], path, validation=(inputs[600:800] / 16, labels[600:800]))
    return netlapse.open(path), model


def test_confusion_of_a_run(digits):
    replay, model = digits
    last = replay.epochs[-1]
    for split in ("train", "validation"):
        found = replay.confusion(last, split=split)
        wanted = confusion_matrix(replay.targets(split), model.predict(replay.inputs(split)))
        np.testing.assert_array_equal(found.counts[0], wanted)
    whole = replay.confusion()
    assert whole.counts.shape == (len(replay.epochs), 10, 10)
    np.testing.assert_array_equal(whole.counts[-1], replay.confusion(last).counts[0])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_panels_of_confusion(digits, theme):
    figure = netlapse.plot(
        digits[0],
        panels=["confusion", netlapse.panels.Confusion(shares=True, split="validation")],
        theme=theme,
    )
    assert_legible(figure)
    again = netlapse.plot(
        digits[0],
        panels=["confusion", netlapse.panels.Confusion(shares=True, split="validation")],
        theme=theme,
    )
    np.testing.assert_array_equal(pixels(figure), pixels(again))


@pytest.mark.parametrize("quantities", [1, 2, 6])
def test_predictions_of_a_run(tmp_path, quantities):
    from sklearn.neural_network import MLPRegressor

    from netlapse.sklearn import record

    inputs = RNG.normal(size=(80, 6))
    targets = inputs[:, 0] if quantities == 1 else np.tanh(inputs[:, :quantities])
    model = MLPRegressor(hidden_layer_sizes=(8,), random_state=0, tol=0.5, n_iter_no_change=2)
    record(model, inputs, targets, tmp_path / "run")
    replay = netlapse.open(tmp_path / "run")
    found = replay.predictions(replay.epochs[-1])
    np.testing.assert_allclose(found.predicted[0].squeeze(), model.predict(replay.inputs()), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.true.squeeze(), targets)
    figure = netlapse.plot(replay, panels=["predictions", "residuals"], size=(1440, 900))
    assert len(figure.axes) == 2 * min(quantities, 4)
    assert_legible(figure)
    with pytest.raises(Unsupported, match="not one class"):
        replay.confusion()


def test_the_losses_of_tokens_of_a_run(keras, tmp_path):
    from netlapse.keras import capture

    inputs = RNG.integers(0, 5, (30, 7))
    model = keras.Sequential(
        [keras.Input((7,)), keras.layers.Embedding(5, 3), keras.layers.Dense(5, activation="softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    capture(model, tmp_path / "run", (inputs, np.roll(inputs, 1, axis=1)))
    replay = netlapse.open(tmp_path / "run")
    found = replay.loss_by_place(0)
    losses = replay.token_losses(0)
    np.testing.assert_allclose(found.losses[0], losses[found.chosen])
    np.testing.assert_allclose(found.mean[0], losses.mean(axis=0), rtol=1e-5)
    assert replay.loss_by_place(0, examples=[3]).losses.shape == (1, 1, 7)
    assert_legible(netlapse.plot(replay, panels=["token_losses"], size=(900, 700)))
    with pytest.raises(Unsupported, match="7 numbers for each example"):
        replay.confusion()


def test_a_loss_without_places_says_so(digits):
    with pytest.raises(Unsupported, match="one number for each example"):
        netlapse.plot(digits[0], panels=["token_losses"])
