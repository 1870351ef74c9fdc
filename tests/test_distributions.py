"""Distributions by layer against plain NumPy, and how they are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import netlapse
from netlapse import figures, measures
from netlapse.errors import UnknownName, Unsupported
from netlapse.figures.distributions import ViolinsPanel
from netlapse.figures.theme import LIGHT
from netlapse.measures.distributions import LEVELS

from .test_figures import assert_legible, axes, picture

KINDS = ("weights", "gradients", "layer_gradients", "pre_activations", "activations")


def convolutional(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, activation="relu", name="convolution"),
            layers.BatchNormalization(name="normalised"),
            layers.Flatten(name="flat"),
            layers.Dense(8, name="dense"),
            layers.Activation("tanh", name="tanh"),
            layers.Dense(3, activation="softmax", name="output"),
        ]
    )


@pytest.fixture(scope="module")
def replay(keras, tmp_path_factory):
    """A run of four epochs of a small network with a convolution, on noise."""
    from netlapse.keras import Recorder

    keras.utils.set_random_seed(3)
    generator = np.random.default_rng(0)
    inputs, targets = generator.normal(size=(40, 6, 6, 1)).astype("f4"), generator.integers(0, 3, 40)
    model = convolutional(keras)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    path = tmp_path_factory.mktemp("runs") / "convolution"
    recorder = Recorder(path, probe=(inputs, targets), validation=(inputs[:10], targets[:10]))
    model.fit(inputs, targets, epochs=4, batch_size=10, verbose=0, callbacks=[recorder])
    return netlapse.open(path)


def plainly(replay, kind, layer, epoch, split="train"):
    """All values of a layer at an epoch, one array at a time."""
    pair = replay.inputs(split), replay.targets(split)
    if kind == "weights":
        return replay.weights(f"{layer}/kernel", epoch).ravel()
    if kind == "gradients":
        return replay.gradients(epoch, *pair)[f"{layer}/kernel"].ravel()
    if kind == "layer_gradients":
        return replay.layer_gradients(layer, epoch, *pair).ravel()
    return getattr(replay, kind)(layer, epoch, pair[0]).ravel()


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_number_is_that_of_plain_numpy(replay, kind, log):
    measure = replay.distributions(kind, log=log, split="validation")
    assert measure.kind == kind
    assert measure.epochs.tolist() == replay.epochs.tolist()
    dense = ["convolution", "dense", "output"]
    assert list(measure.layers) == (["convolution", "dense", "tanh", "output"] if kind == "activations" else dense)
    for frame, epoch in enumerate(replay.epochs):
        for number, layer in enumerate(measure.layers):
            values = plainly(replay, kind, layer, float(epoch), "validation").astype(float)
            assert measure.sizes[number] == len(values)
            assert measure.not_finite[frame, number] == 0
            np.testing.assert_allclose(measure.means[frame, number], values.mean(), atol=1e-7)
            np.testing.assert_allclose(measure.deviations[frame, number], values.std(), rtol=1e-4)
            np.testing.assert_allclose(measure.norms[frame, number], np.linalg.norm(values), rtol=1e-4)
            np.testing.assert_allclose(measure.rms[frame, number], np.sqrt((values**2).mean()), rtol=1e-4)
            assert measure.zeros[frame, number] == pytest.approx((values == 0).mean(), abs=1e-12)
            present = np.abs(values[values != 0]) if log else values
            expected = np.quantile(present, LEVELS)
            np.testing.assert_allclose(measure.quantiles[frame, number], expected, rtol=1e-3, atol=1e-7)
            # The framework's last bits differ from batch to batch: a value at an edge may change its bin.
            counts, _ = np.histogram(present[present != 0], measure.edges[number])
            found = measure.shares[frame, number] * len(values)
            assert np.abs(np.cumsum(found - counts)).max() < 1.5
            outside = len(values) - (values == 0).sum() - counts.sum()
            assert measure.outside[frame, number] * len(values) == pytest.approx(outside, abs=1.5)
            assert outside <= (0.1 if log else 0.02) * len(values)


NUMBERS = hnp.arrays(np.float32, (3, 25), elements=st.floats(-1e6, 1e6, width=32))


def measured(values, *, log=False, **options):
    """A measure of one layer whose values (frame, value) are these."""
    epochs = np.arange(float(len(values)))
    return measures.distributions(
        lambda chosen: [values[np.array(chosen, int)]],
        kind="weights",
        layers=["one"],
        epochs=epochs,
        run_epochs=epochs,
        log=log,
        **options,
    )


@given(NUMBERS, st.booleans())
def test_no_value_is_lost(values, log):
    measure = measured(values, log=log)
    np.testing.assert_allclose(measure.shares.sum(axis=2) + measure.zeros + measure.outside, 1)
    for frame, row in enumerate(values):
        present = row[row != 0]
        present = np.abs(present) if log else present
        if len(present):
            counts = np.histogram(present, measure.edges[0])[0]
            np.testing.assert_allclose(measure.shares[frame, 0] * 25, counts, atol=1e-9)
        of = present if log else row
        if len(of):
            np.testing.assert_allclose(
                measure.quantiles[frame, 0], np.quantile(of.astype(float), LEVELS), rtol=1e-6, atol=1e-12
            )
    densities = measure.densities
    assert ((densities >= 0) & (densities <= 1)).all()
    assert (densities.max(axis=2) == (measure.shares.sum(axis=2) > 0)).all()


@given(NUMBERS, st.integers(1, 4))
def test_blocks_give_what_the_whole_gives(values, at_once):
    whole, parts = measured(values, frames_at_once=3), measured(values, frames_at_once=at_once)
    for name in ("edges", "shares", "quantiles", "deviations"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


def test_one_epoch_has_the_edges_of_the_whole_run(replay):
    whole, one = replay.distributions("activations"), replay.distributions("activations", epoch=2)
    np.testing.assert_array_equal(whole.edges, one.edges)
    np.testing.assert_allclose(whole.at(2).shares, one.shares, atol=0.01)
    np.testing.assert_allclose(whole.at(2).quantiles, one.quantiles, atol=1e-6)


def test_edges_can_be_those_of_another_part_of_the_run(replay):
    """A run that grows keeps the bins that it was first shown with."""
    few = replay.only(frames=np.arange(2))
    first = few.distributions("activations")
    own = replay.distributions("activations")
    found = replay.distributions("activations", edges=first.edges)
    assert not np.allclose(first.edges, own.edges)
    np.testing.assert_array_equal(found.edges, first.edges)
    np.testing.assert_array_equal(found.densities[:2], first.densities)
    np.testing.assert_array_equal(found.quantiles, own.quantiles)


def test_what_is_not_finite_is_counted_and_left_out():
    values = np.array([[1, 2, np.nan, np.inf], [1, 3, 3, -np.inf], [np.nan] * 4], np.float32)
    for log in (False, True):
        measure = measured(values, log=log)
        assert measure.not_finite[:, 0].tolist() == [2, 1, 4]
        np.testing.assert_allclose(measure.means[:, 0], [1.5, 7 / 3, np.nan])
        np.testing.assert_allclose(measure.norms[:, 0], [np.sqrt(5), np.sqrt(19), np.nan])
        assert measure.quantiles[0, 0, [0, -1]].tolist() == [1, 2]
        assert np.isnan(measure.quantiles[2]).all()
        np.testing.assert_allclose(measure.shares.sum(axis=2)[:, 0], [1, 1, 0])
        assert np.isnan(measure.outside[2, 0])
        assert (measure.densities[2] == 0).all()


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("value", [0.0, -3.5, 1e-30])
def test_a_layer_whose_values_are_all_the_same(value, log):
    measure = measured(np.full((2, 5), value, np.float32), log=log)
    assert (measure.deviations == 0).all()
    assert (measure.zeros == (value == 0)).all()
    assert (measure.shares.max(axis=2) == (value != 0)).all()
    assert (measure.outside == 0).all()


def test_far_outliers_do_not_flatten_the_rest():
    values = np.random.default_rng(0).normal(size=(1, 10_000)).astype("f4")
    values[0, 0] = 1e6
    measure = measured(values)
    assert measure.edges[0, -1] < 20
    assert measure.outside[0, 0] == pytest.approx(1e-4)
    assert measure.quantiles[0, 0, -1] == 1e6


def test_kernels_biases_and_all(replay):
    def sizes(parameters):
        measure = replay.distributions("weights", epoch=0, parameters=parameters)
        return dict(zip(measure.layers, measure.sizes.tolist(), strict=True))

    assert sizes("kernels") == {"convolution": 36, "dense": 512, "output": 24}
    assert sizes("biases") == {"convolution": 4, "normalised": 8, "dense": 8, "output": 3}
    assert sizes("all") == {"convolution": 40, "normalised": 8, "dense": 520, "output": 27}


def test_layers_are_chosen_by_name(replay):
    assert replay.distributions("weights", ["output", "dense"], 0).layers == ("output", "dense")
    assert replay.distributions("activations", ["flat"], 0).layers == ("flat",)
    with pytest.raises(UnknownName, match="no layer 'nope'"):
        replay.distributions("gradients", ["nope"])
    with pytest.raises(Unsupported, match=r"weights of flat .*choose layers of convolution, dense, output"):
        replay.distributions("weights", ["flat"])
    with pytest.raises(Unsupported, match="at all"):
        replay.distributions("weights", [])
    with pytest.raises(ValueError, match="distributions of 'colours'; there are weights, gradients"):
        replay.distributions("colours")


def test_of_very_many_values_every_so_many_examples_are_looked_at(replay, monkeypatch):
    monkeypatch.setattr("netlapse.replay.by_layer.MOST_VALUES", 14 * replay._values_per_example)
    measure = replay.distributions("activations", epoch=0)
    assert measure.examples == (14, 40)
    rows = np.linspace(0, 39, 14).round().astype(int)
    np.testing.assert_allclose(
        measure.means[0, 1], replay.activations("dense", 0)[rows].mean(dtype=float), rtol=1e-4, atol=1e-6
    )
    assert replay.distributions("gradients", epoch=0).examples == (40, 40)
    assert replay.distributions("weights", epoch=0).examples is None


def layered(layers, *, frames=5, log=False, kind="weights", broken=()):
    """A measure of several layers, the later ones wider, over some frames; some layers end as NaN."""
    generator = np.random.default_rng(1)
    values = [generator.normal(size=(frames, 200)) * (1 + k) * 1.3 ** np.arange(frames)[:, None] for k in range(layers)]
    for array in values:
        array[:, :40] = 0
    for layer in broken:
        values[layer][-1] = np.nan
    epochs = np.arange(float(frames))
    return measures.distributions(
        lambda chosen: [array[np.array(chosen, int)] for array in values],
        kind=kind,
        layers=[f"layer_{k}" for k in range(layers)],
        epochs=epochs,
        run_epochs=epochs,
        log=log,
    )


@pytest.mark.parametrize("log", [False, True])
def test_violins_show_the_numbers_of_the_measure(log):
    measure = layered(3, log=log, broken=[2])
    panel = ViolinsPanel(axes(), measure, theme=LIGHT)
    panel.show(measure.at(3))
    paths = panel._violins.get_path().to_polygons()
    assert len(paths) == 3
    for number, path in enumerate(paths):
        low, high = measure.quantiles[3, number, [0, -1]]
        width = np.diff(measure.edges[number]).max()
        assert path[:, 0].min() == pytest.approx(number - 0.42)
        assert path[:, 0].max() == pytest.approx(number + 0.42)
        assert path[:, 1].max() == pytest.approx(high, abs=2 * width)
        assert path[:, 1].min() == pytest.approx(max(low, measure.edges[number, 0]), abs=2 * width)
        # Symmetric about its place.
        for height in np.unique(path[:, 1]):
            across = path[path[:, 1] == height, 0]
            assert across.min() + across.max() == pytest.approx(2 * number)
    spread = np.asarray(panel._spread.get_ydata()).reshape(3, 3)[:, :2]
    np.testing.assert_allclose(spread, measure.quantiles[3][:, [LEVELS.index(0.05), LEVELS.index(0.95)]])
    medians = np.asarray(panel._medians.get_ydata()).reshape(3, 3)[:, 0]
    np.testing.assert_allclose(medians, measure.quantiles[3][:, LEVELS.index(0.5)])
    wide = np.diff(np.asarray(panel._zeros.get_xdata()).reshape(3, 3)[:, :2])
    np.testing.assert_allclose(wide, 0 if log else 0.84 * 0.2)
    stds, zeros = ([ticker.get_text() for ticker in row] for row in panel._rows)
    np.testing.assert_allclose([float(text) for text in stds], measure.deviations[3], rtol=0.05)
    assert zeros == ["20 %"] * 3
    assert panel._corner.get_text() == ""
    panel.show(measure.at(4))
    assert panel._corner.get_text() == "200 not finite"
    assert panel._broken.get_xdata().tolist() == [2]
    assert len(list(panel._violins.get_path().to_polygons())) == 2
    assert panel._rows[0][2].get_text() == panel._rows[1][2].get_text() == "\N{EN DASH}"


def test_bands_are_the_quantiles_and_the_cursor_the_epoch():
    measure, ax = layered(2), axes()
    cursor, *_ = figures.distribution_bands(measure, ax, layer="layer_1", epoch=2)
    assert list(cursor.get_xdata()) == [2, 2]
    for fill, share in zip(ax.collections, (0.98, 0.9, 0.5), strict=True):
        low, high = (LEVELS.index(level) for level in (round((1 - share) / 2, 3), round((1 + share) / 2, 3)))
        corners = fill.get_paths()[0].vertices
        for frame, epoch in enumerate(measure.epochs):
            found = corners[corners[:, 0] == epoch][:, 1]
            expected = measure.quantiles[frame, 1, [low, high]]
            np.testing.assert_allclose([found.min(), found.max()], expected)
    [median] = [line for line in ax.lines if line is not cursor]
    np.testing.assert_allclose(median.get_ydata(), measure.quantiles[:, 1, LEVELS.index(0.5)])


def test_ridges_stand_at_their_epochs():
    measure, ax = layered(2, frames=60), axes()
    now, *_ = figures.distribution_ridges(measure, ax, layer="layer_0", epoch=30)
    ridges = ax.collections[0].get_paths()
    assert len(ridges) == 25
    assert [path.vertices[:, 1].max() for path in ridges] == pytest.approx(list(range(25)))
    # The line of the epoch shown lies where the ridge of a neighbouring epoch would, as high as every ridge.
    heights = np.asarray(now.get_ydata())
    assert np.nanmin(heights) == pytest.approx(30 / 59 * 24 - 2.5, abs=0.3)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


@pytest.mark.parametrize("statistic", ["deviation", "zeros", "norm", "rms"])
def test_statistics_by_layer(statistic):
    measure, ax = layered(3, broken=[1]), axes()
    figures.layer_statistics(measure, ax, statistic=statistic)
    expected = {"deviation": measure.deviations, "zeros": measure.zeros, "norm": measure.norms, "rms": measure.rms}
    for layer, line in enumerate(ax.collections[0].get_segments()):
        known = np.isfinite(expected[statistic][:, layer])
        np.testing.assert_allclose(line[: known.sum(), 1], expected[statistic][known, layer])
    with pytest.raises(ValueError, match="no statistic 'mode'; there are deviation, zeros"):
        figures.layer_statistics(measure, ax, statistic="mode")


def panel_scene(replay, theme="light", size=(1600, 900)):
    of = netlapse.panels
    shown = [
        of.Weights(),
        of.Gradients(layers=["convolution", "output"]),
        of.LayerGradients(log=False),
        of.Activations(log=True),
        of.PreActivations(style="ridgeline"),
        of.Weights(style="bands", split="validation"),
        of.LayerStatistics(kind="gradients", statistic="norm"),
    ]
    return figures.Panels(replay, shown, theme=theme, size=size)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_written_overlaps(replay, theme):
    scene = panel_scene(replay, theme)
    scene.show(2)
    assert assert_legible(scene.figure) > 60


def test_films_show_what_pictures_show(replay):
    scene, still = panel_scene(replay), panel_scene(replay)
    *_, filmed = figures.frames(scene, [0.0, 1.0, 2.5])
    still.show(2.5)
    np.testing.assert_array_equal(filmed[..., :3], picture(still.figure))


def test_panels_by_name(replay):
    names = ["weights", "gradients", "layer_gradients", "pre_activations", "activations", "layer_statistics"]
    assert_legible(netlapse.plot(replay, 1, panels=names, size=(1600, 900)))
    with pytest.raises(ValueError, match="no style 'pie'; there are violins, bands and ridgeline"):
        netlapse.plot(replay, panels=[netlapse.panels.Weights(style="pie")])


@pytest.mark.parametrize("layers", [1, 5, 12, 30, 100])
@pytest.mark.parametrize("width", [3.5, 8])
def test_any_number_of_layers_can_be_read(layers, width):
    figure = Figure(figsize=(width, 3.5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    figures.distributions(layered(layers, broken=[0]), figure.subplots())
    assert_legible(figure)
    figure = Figure(figsize=(width, 3.5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    figures.layer_statistics(layered(layers), figure.subplots())
    assert_legible(figure)


def test_of_many_layers_nine_are_drawn_through_time(monkeypatch, replay):
    monkeypatch.setattr(replay, "distributions", lambda *_, **__: layered(30))
    figure = netlapse.plot(replay, panels=[netlapse.panels.Weights(style="bands")])
    titles = [ax.get_title("left") for ax in figure.axes]
    assert titles[0].endswith("9 of 30 layers")
    assert len(titles) == 10
    assert titles[1] == "layer_0"
    assert titles[-1] == "layer_29"
    assert_legible(figure)


def test_a_diverged_run_is_drawn_and_says_so(monkeypatch, replay):
    weights = replay.run.weights

    def diverged(name, numbers):
        values = weights(name, numbers).copy()
        values[np.asarray(numbers) == 4] = np.nan
        return values

    monkeypatch.setattr(replay.run, "weights", diverged)
    for kind in KINDS:
        measure = replay.distributions(kind)
        assert (measure.not_finite[-1] == measure.sizes).all()
        assert not measure.not_finite[:-1].any()
    scene = panel_scene(replay)
    for epoch in (3, 3.5, 4):
        scene.show(epoch)
        scene.figure.canvas.draw()
    assert scene.drawn[0].parts[0]._corner.get_text() == "572 not finite"
    for panel in scene.drawn[4:]:
        ax = panel.parts[0].artists[0].axes
        [marks] = [line for line in ax.lines if line.get_marker() == "X"]
        assert 4 in (*marks.get_xdata(), *marks.get_ydata())
        assert "NaN" in ax.get_xlabel() + ax.get_ylabel()
    assert_legible(scene.figure)


def test_a_run_of_one_frame_before_training(keras, tmp_path):
    from netlapse.keras import capture

    model = convolutional(keras)
    model.compile(loss="sparse_categorical_crossentropy")
    capture(model, tmp_path / "untrained", (np.ones((4, 6, 6, 1), "f4"), np.array([0, 1, 2, 1])))
    scene = panel_scene(netlapse.open(tmp_path / "untrained"))
    scene.show(0)
    assert_legible(scene.figure)
