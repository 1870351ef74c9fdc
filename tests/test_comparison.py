"""Runs beside each other: what is in which row and column, which scales they share, what is said once."""

from __future__ import annotations

import numpy as np
import pytest

import netlapse
from netlapse import figures, panels
from netlapse.datasets import ball, parabolas, spirals
from netlapse.errors import MissingFrame, UnknownName, Unsupported
from netlapse.figures.shapes import Dots
from tests.conftest import small_model
from tests.test_figures import assert_legible, picture

LAYERS = ["weights", "gradients", "activations", "curves"]


@pytest.fixture(scope="module")
def runs(keras, tmp_path_factory):
    """Three runs of a 2-2-1 network that differ in their activation."""
    from netlapse.keras import Recorder

    inputs, targets = parabolas(100)
    folder = tmp_path_factory.mktemp("runs")
    for activation in ("sigmoid", "tanh", "relu"):
        keras.utils.set_random_seed(7)
        recorder = Recorder(folder / activation, probe=(inputs, targets))
        model = small_model(keras, activation)
        model.fit(inputs, targets, epochs=4, batch_size=10, verbose=0, callbacks=[recorder])
    return [netlapse.open(folder / activation) for activation in ("sigmoid", "tanh", "relu")]


@pytest.fixture(scope="module")
def other_runs(keras, tmp_path_factory):
    """By name: wide layers on two inputs and on ten, and a network of one input that predicts a quantity."""
    from netlapse.keras import Recorder

    def record(name, data, widths, out, link, loss, activation="tanh"):
        keras.utils.set_random_seed(1)
        hidden = [keras.layers.Dense(units, activation, name=f"hidden_{k}") for k, units in enumerate(widths, start=1)]
        shape = keras.Input(np.shape(data[0])[1:])
        model = keras.Sequential([shape, *hidden, keras.layers.Dense(out, link, name="output")])
        model.compile("adam", loss)
        path = tmp_path_factory.mktemp("runs") / name
        model.fit(*data, epochs=2, verbose=0, callbacks=[Recorder(path, probe=data)])
        return netlapse.open(path)

    arms, line = spirals(90, classes=3), np.linspace(-1, 1, 60, dtype="float32")[:, None]
    sparse = "sparse_categorical_crossentropy"
    return {
        "line": record("line", (line, line[:, 0] ** 2), [4], 1, "linear", "mse"),
        "ball": record("ball", ball(120, dimensions=10), [16, 32], 1, "sigmoid", "binary_crossentropy"),
        "tanh": record("tanh", arms, [16], 3, "softmax", sparse),
        "relu": record("relu", arms, [16], 3, "softmax", sparse, activation="relu"),
    }


@pytest.fixture(scope="module")
def arms(other_runs):
    return [other_runs["tanh"], other_runs["relu"]]


def limits(axes):
    return [(ax.get_xlim(), ax.get_ylim()) for ax in axes]


def titles(cells):
    return [[ax.get_title("left").strip() for ax in cell] for cell in cells]


def test_by_default_spaces_above_boundaries_and_curves_at_the_right(runs):
    scene = figures.Comparison(runs)
    scene.show(3)
    assert scene.size == (1720, 860)
    assert [title for row in scene.rows for cell in titles(row) for title in cell] == [
        *("activation: sigmoid", "activation: tanh", "activation: relu"),
        *("", "", ""),
    ]
    assert [[bool(ax.get_legend()) for cell in row for ax in cell] for row in scene.rows] == [
        [False, False, False],
        [True, False, False],
    ]
    assert [ax.get_title("left") for ax in scene.figure.axes[6:]] == ["Accuracy", "Mean loss"]
    for replay, (space, boundary) in zip(runs, scene.drawn, strict=True):
        negative, positive = space.parts[0].dots
        np.testing.assert_allclose(
            positive.positions, replay.feature_space("hidden", 3).points[0][replay.targets() == 1]
        )
        np.testing.assert_allclose(boundary.parts[0].dots[0].positions, replay.inputs()[replay.targets() == 0])
        assert len(negative.positions) == 50
    assert [line.get_ydata()[-1] for line, _ in scene._curves.lines] == pytest.approx(
        [replay.curves(3).score[0] for replay in runs]
    )


@pytest.mark.parametrize("curves", [True, False])
def test_the_usual_panels_by_name_make_the_usual_picture(runs, curves):
    usual = netlapse.compare(runs, curves=curves)
    named = netlapse.compare(runs, panels=["feature_space", "decision_boundary"], curves=curves)
    np.testing.assert_array_equal(picture(usual), picture(named))


def test_each_panel_is_a_row_and_each_run_a_column(runs):
    scene = figures.Comparison(runs, panels=["sample_losses", panels.DecisionBoundary(), "weights"])
    scene.show(2)
    assert [len(row) for row in scene.rows] == [3, 3, 3]
    for replay, (losses, boundary, weights) in zip(runs, scene.drawn, strict=True):
        edges = losses.parts[0]._edges
        right, wrong = replay.sample_losses(2).histogram(edges)
        assert losses.parts[0]._wrong.get_data().values.tolist() == (right + wrong)[0].tolist()
        assert len(boundary.parts[0].dots) == 2
        medians = weights.parts[0]._medians.get_ydata()
        np.testing.assert_allclose(medians[::3], replay.distributions("weights", epoch=2).quantiles[0][:, 4])


def test_rows_have_titles_once_and_columns_in_a_line_of_their_own(runs):
    scene = figures.Comparison(runs, panels=["weights", "class_probabilities", "curves"])
    scene.show(4)
    assert titles(scene.rows[0]) == [["Weights"], [""], [""]]
    assert titles(scene.rows[1]) == [["Negative", "Positive"], ["", ""], ["", ""]]
    columns = [text for text in scene.figure.texts if text.get_text().startswith("activation: ")]
    scene.figure.canvas.draw()
    for text, [ax] in zip(columns, scene.rows[0], strict=True):
        box = text.get_window_extent()
        assert box.x0 == pytest.approx(ax.bbox.x0, abs=2)
        assert box.y0 > ax.bbox.y1 + 10
    # All Axes of a row are as high as each other, though only the first column has titles.
    for row in scene.rows:
        for alike in zip(*row, strict=True):
            assert np.ptp([ax.bbox.y0 for ax in alike]) == pytest.approx(0, abs=1)
            assert np.ptp([ax.bbox.height for ax in alike]) == pytest.approx(0, abs=1)


def test_names_of_layers_stay_where_a_panel_has_several_axes(runs):
    scene = figures.Comparison(runs, panels=[panels.Weights(style="bands")])
    assert titles(scene.rows[0])[1:] == [["", "hidden", "output"]] * 2
    assert titles(scene.rows[0])[0][0].startswith("Weights: median")


def test_of_equal_legends_one_is_left_and_of_others_all(runs, arms, other_runs):
    def legends(scene):
        return [[bool(ax.get_legend()) for cell in row for ax in cell] for row in scene.rows]

    scene = figures.Comparison(runs, panels=["sample_losses", "layer_statistics", "decision_boundary"])
    assert legends(scene) == [[True, False, False]] * 3
    scene = figures.Comparison([runs[0], arms[0]], panels=["feature_space", "decision_boundary"])
    assert legends(scene) == [[False, False], [True, True]]
    scene = figures.Comparison(2 * [other_runs["ball"]], panels=["grand_tour", "decision_boundary"])
    assert legends(scene) == [[False, False], [True, False]]


def test_rows_of_lines_and_violins_share_their_scales(runs):
    bands, statistics = panels.PreActivations(style="bands"), panels.LayerStatistics(kind="activations")
    rows = [*LAYERS, bands, statistics]
    scene = figures.Comparison(runs, panels=rows)
    for row, name in zip(scene.rows, rows, strict=True):
        alone = [figures.Panels(run, figures.scenes.panels_of(run, [name])).figure.axes for run in runs]
        for shared, own in zip(zip(*row, strict=True), zip(*alone, strict=True), strict=True):
            [(x, y)] = set(limits(shared))
            assert y == pytest.approx((min(ax.get_ylim()[0] for ax in own), max(ax.get_ylim()[1] for ax in own)))
            assert x == own[0].get_xlim()


def test_ridges_share_the_scale_of_their_values(runs):
    scene = figures.Comparison(runs, panels=[panels.Activations(style="ridgeline")])
    for alike in zip(*scene.rows[0], strict=True):
        assert len({ax.get_xlim() for ax in alike}) == 1
    assert scene.rows[0][0][1].get_ylim()[0] > scene.rows[0][0][1].get_ylim()[1]


def test_a_row_of_statistics_is_logarithmic_if_one_has_to_be(runs):
    from netlapse.figures.comparison import _share

    figure = figures.Panels(runs[0], [panels.LayerStatistics(), panels.LayerStatistics()]).figure
    linear, log = figure.axes
    linear.set_ylim(0, 2.1)
    log.set_yscale("log")
    log.set_ylim(1e-4, 0.5)
    _share([[linear], [log]], "xy")
    assert linear.get_yscale() == log.get_yscale() == "log"
    assert linear.get_ylim() == log.get_ylim() == pytest.approx((1e-4, 2.1))


def test_what_ends_where_a_run_ends_keeps_its_scale(runs):
    scene = figures.Comparison(runs, panels=["feature_space", "sample_losses"])
    for row, name in zip(scene.rows, ["feature_space", "sample_losses"], strict=True):
        for cell, run in zip(row, runs, strict=True):
            option = {"domain": netlapse.measures.plane.domain(run.inputs())} if name == "feature_space" else {}
            alone = figures.Panels(run, figures.scenes.panels_of(run, [name], **option)).figure
            assert limits(cell) == limits(alone.axes)
    assert len({ax.get_xlim() for [ax] in scene.rows[1]}) == 3


def test_wide_layers_share_one_projection(arms):
    scene = figures.Comparison(arms, panels=["feature_space", panels.FeatureSpace()])
    scene.show(2)
    shared = arms[0].projection("hidden_1", also=arms[1:])
    for replay, (by_name, member) in zip(arms, scene.drawn, strict=True):
        for drawn, projection in ((by_name, shared), (member, replay.projection("hidden_1"))):
            expected = replay.feature_space("hidden_1", 2, projection=projection).points[0]
            found = np.concatenate([dots.positions for dots in drawn.parts[0].dots])
            np.testing.assert_allclose(found, expected[np.argsort(replay.targets(), kind="stable")], atol=1e-5)


def test_planes_share_the_domain_of_all_inputs_and_take_another(runs, arms, other_runs):
    both = [runs[0], arms[0]]
    scene = figures.Comparison(both, panels=["decision_boundary"])
    [(x, _)] = {limit for [ax] in scene.rows[0] for limit in limits([ax])}
    assert x[0] <= min(run.inputs()[:, 0].min() for run in both)
    domain = ((-3.0, 3.0), (-2.0, 2.0))
    scene = figures.Comparison(both, panels=["decision_boundary"], domain=domain)
    for [ax] in scene.rows[0]:
        np.testing.assert_allclose(limits([ax]), [1.1 * np.array(domain)])
    scene = figures.Comparison([other_runs["ball"], arms[0]], panels=["feature_space"], layer="hidden_1")
    assert all(ax.get_xlabel().startswith("hidden_1") for [ax] in scene.rows[0])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("arms", None),
        ("ball", None),
        ("arms", ["feature_space", "weights", "gradients"]),
        ("ball", ["class_probabilities", "curves"]),
        ("ball", ["decision_boundary"]),
    ],
)
def test_nothing_written_overlaps(arms, other_runs, theme, kind, rows):
    columns = [*arms, arms[0]] if kind == "arms" else 3 * [other_runs["ball"]]
    figure = netlapse.compare(columns, panels=rows, theme=theme)
    assert assert_legible(figure) > 30


def test_curves_unless_there_is_a_row_of_them(runs):
    def scene(**options):
        return figures.Comparison(runs[:2], **options)

    assert scene(panels=["weights"])._curves is not None
    assert scene(panels=["weights", panels.Curves()])._curves is None
    assert scene(panels=["weights", "curves"], curves=True)._curves is not None
    assert scene(curves=False)._curves is None


@pytest.mark.parametrize(
    ("rows", "columns", "curves", "size"),
    [
        (["weights"], 3, True, (5 * 430, 490)),
        (["weights"], 1, False, (430, 490)),
        (["weights", "gradients"], 6, False, (6 * 430, 860)),
        (["weights", "gradients", "activations"], 2, True, (3 * 430, 1230)),
        (["weights", "gradients", "activations", "class_probabilities"], 2, False, (2 * 430, 1700)),
        (["network"], 2, False, (2 * 860, 490)),
    ],
)
def test_sizes_grow_with_rows_and_columns(runs, rows, columns, curves, size):
    scene = figures.Comparison((2 * runs)[:columns], panels=rows, curves=curves)
    assert scene.size == tuple((scene.figure.get_size_inches() * figures.DPI).round()) == size
    assert figures.Comparison(runs[:1], panels=rows, size=(800, 501)).size == (800, 501)


def test_wide_layers_get_room_for_their_small_print(arms):
    assert figures.Comparison(arms).size == (1290, 960)


def test_legends_of_curves_keep_clear_of_them(runs):
    scene = figures.Comparison(runs)
    scene.figure.canvas.draw()
    for ax in scene.figure.axes[6:]:
        box = ax.get_legend().get_window_extent()
        assert not any(line.get_transform().transform_path(line.get_path()).intersects_bbox(box) for line in ax.lines)
    many = figures.Comparison(2 * runs)
    score, loss = many.figure.axes[12:]
    many.figure.canvas.draw()
    assert score.get_legend() is None
    assert loss.get_legend().get_window_extent().x0 > loss.bbox.x1


def test_what_cannot_be_shown_names_the_run(runs, other_runs):
    line = other_runs["line"]
    with pytest.raises(Unsupported, match=r"^run 'line': the network predicts"):
        netlapse.compare([runs[0], line], panels=["confusion"])
    with pytest.raises(Unsupported, match=r"^run 'line' has several inputs, a single number"):
        netlapse.compare([runs[0], line], panels=["decision_boundary"])
    with pytest.raises(UnknownName, match="run 'sigmoid' has no layer 'hidden_1'"):
        netlapse.compare([other_runs["tanh"], runs[0]], layer="hidden_1")
    with pytest.raises(ValueError, match="there is no panel 'weigths'"):
        netlapse.compare(runs, panels=["weigths"])
    with pytest.raises(ValueError, match="panels is empty"):
        netlapse.compare(runs, panels=[])
    with pytest.raises(ValueError, match="none of these panels takes layer="):
        netlapse.compare(runs, panels=["weights"], layer="hidden")
    with pytest.raises(MissingFrame, match=r"no frame at epoch 2\.5"):
        netlapse.compare(runs, 2.5, panels=["weights"])


def test_runs_of_different_tasks_stand_beside_each_other(runs, other_runs):
    both = [other_runs["line"], runs[0]]
    scene = figures.Comparison(both, panels=["weights", "curves"])
    scene.show(1)
    assert [cell[0].get_ylabel() for cell in scene.rows[1]] == ["R²", "accuracy"]
    assert any(isinstance(artist, Dots) for artist in figures.Comparison(both, panels=["feature_space"]).artists)
