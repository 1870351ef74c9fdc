"""Units: what they compute, when they live, their weights; the numbers first, then pictures."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

import netlapse
from netlapse import figures, measures, panels
from netlapse.datasets import moons
from netlapse.errors import UnknownName, Unsupported
from netlapse.figures.network import DenseLayer
from netlapse.figures.shapes import Ticker
from netlapse.figures.stage import DPI, new_figure
from netlapse.figures.theme import LIGHT, THEMES
from netlapse.figures.thumbnails import Thumbnails, signed
from netlapse.figures.unit import MapPanel
from netlapse.figures.unit_grid import WIDEST, EdgesPanel, UnitGridPanel, ranges_of
from netlapse.figures.unit_histogram import HistogramPanel
from netlapse.figures.unit_life import life_in_words, unit_in_words
from netlapse.figures.unit_weights import WeightsPanel
from netlapse.measures import projection as projections

from .test_figures import assert_legible, axes, picture, written

KERNELS = [(2, 5), (5, 5), (5, 1)]


@pytest.fixture(scope="module")
def data():
    return moons(120, noise=0.1)


@pytest.fixture(scope="module")
def weights():
    rng = np.random.default_rng(3)
    return [(rng.normal(size=shape), rng.normal(size=shape[1])) for shape in KERNELS]


@pytest.fixture(scope="module")
def keras_run(keras, data, weights, tmp_path_factory):
    """Three epochs of a 2-5-5-1 ReLU network."""
    from netlapse.keras import Recorder

    layers = [keras.layers.Dense(units, "relu", name=f"hidden_{k}") for k, units in ((1, 5), (2, 5))]
    model = keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(1, "sigmoid", name="output")])
    model.set_weights([array for pair in weights for array in pair])
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy")
    path = tmp_path_factory.mktemp("units") / "keras"
    model.fit(*data, epochs=3, verbose=0, callbacks=[Recorder(path, probe=data)])
    return netlapse.open(path)


@pytest.fixture(scope="module")
def torch_run(data, weights, tmp_path_factory):
    """The same network, activation functions in layers of their own, and the last frame diverged."""
    torch = pytest.importorskip("torch")
    import netlapse.torch

    nn = torch.nn
    network = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 1))
    linear = [module for module in network if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for module, (kernel, bias) in zip(linear, weights, strict=True):
            module.weight.copy_(torch.tensor(kernel.T))
            module.bias.copy_(torch.tensor(bias))
    path = tmp_path_factory.mktemp("units") / "torch"
    probe = torch.tensor(data.inputs), torch.tensor(data.targets).reshape(-1, 1)
    loss = nn.BCEWithLogitsLoss()
    with netlapse.torch.Recorder(path, network, probe=probe, loss=loss) as recorder:
        recorder.step()
        recorder.epoch()
        with torch.no_grad():
            linear[0].weight[0] = np.nan
        recorder.step()
        recorder.epoch()
    return netlapse.open(path)


@pytest.fixture(scope="module")
def wide_run(keras, tmp_path_factory):
    """Of 20 inputs, 64 units and 14 classes."""
    from netlapse.keras import capture

    rng = np.random.default_rng(0)
    layers = [keras.layers.Dense(64, "relu", name=f"hidden_{k}") for k in (1, 2)]
    model = keras.Sequential([keras.Input((20,)), *layers, keras.layers.Dense(14, "softmax", name="output")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    probe = rng.normal(size=(200, 20)).astype("float32"), np.arange(200) % 14
    path = tmp_path_factory.mktemp("units") / "wide"
    capture(model, path, probe)
    return netlapse.open(path)


def by_hand(layers, inputs):
    """Pre-activations of each layer of a ReLU network, in float64."""
    found, x = [], np.asarray(inputs, float)
    for layer in layers:
        found.append(x @ layer.kernel.astype(float) + layer.bias)
        x = np.maximum(found[-1], 0)
    return found


# Dense layers


def test_kernels_are_the_same_way_round_in_every_framework(keras_run, torch_run, weights):
    for replay in (keras_run, torch_run):
        layers = replay.dense_layers(0)
        for layer, (kernel, bias) in zip(layers, weights, strict=True):
            np.testing.assert_allclose(layer.kernel, kernel, rtol=1e-6)
            np.testing.assert_allclose(layer.bias, bias, rtol=1e-6)
        assert [layer.activation for layer in layers[:2]] == ["relu", "relu"]
    assert [layer.name for layer in torch_run.dense_layers()] == ["0", "3", "5"]


def test_the_last_epoch_unless_another_is_asked_for(keras_run):
    assert keras_run.dense_layers()[0].kernel is not None
    np.testing.assert_array_equal(keras_run.dense_layers()[1].kernel, keras_run.weights("hidden_2/kernel", 3))
    np.testing.assert_array_equal(keras_run.dense_layers(2)[1].kernel, keras_run.weights("hidden_2/kernel", 2))


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        (lambda k: [k.Conv1D(3, 2, name="conv"), k.Flatten(), k.Dense(1, name="output")], "conv"),
        (lambda k: [k.Dense(3, name="first"), k.BatchNormalization(name="norm"), k.Dense(1)], "norm"),
        (lambda k: [k.Dense(3, name="first"), k.Rescaling(2.0, name="twice"), k.Dense(1)], "twice"),
        (lambda k: [k.Dense(3, name="first"), k.GlobalMaxPooling1D(name="pool"), k.Dense(1)], "pool"),
    ],
)
def test_what_is_not_dense_is_named(keras, tmp_path, layers, named):
    from netlapse.keras import Recorder

    inputs = (
        np.random.default_rng(0).normal(size=(20, 4, 1) if named in ("conv", "pool") else (20, 4)).astype("float32")
    )
    model = keras.Sequential([keras.Input(inputs.shape[1:]), *layers(keras.layers)])
    model.compile("sgd", "mse")
    probe = inputs, np.zeros((20, 1), "float32")
    model.fit(*probe, epochs=1, verbose=0, callbacks=[Recorder(tmp_path / "run", probe=probe)])
    replay = netlapse.open(tmp_path / "run")
    with pytest.raises(Unsupported, match=f"'{'first' if named == 'pool' else named}'"):
        replay.dense_layers()


def test_a_sum_of_two_layers_is_no_chain(keras, tmp_path):
    from netlapse.keras import Recorder

    inputs = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    given = keras.Input((3,))
    inner = keras.layers.Dense(3, "tanh", name="inner")(given)
    summed = keras.layers.Add(name="sum")([given, inner])
    model = keras.Model(given, keras.layers.Dense(1, name="last")(summed))
    model.compile("sgd", "mse")
    probe = inputs, np.zeros((20, 1), "float32")
    model.fit(*probe, epochs=1, verbose=0, callbacks=[Recorder(tmp_path / "run", probe=probe)])
    replay = netlapse.open(tmp_path / "run")
    with pytest.raises(Unsupported, match="'sum'"):
        replay.network_weights()
    # Its units can be looked at all the same.
    np.testing.assert_allclose(replay.unit("inner", 1).activations, replay.activations("inner")[..., 1], atol=1e-6)
    with pytest.raises(Unsupported, match="'sum'"):
        replay.unit_weights("inner", 1)


def test_weights_by_edge(keras_run):
    found = keras_run.network_weights()
    assert found.units == ((0, 1), (0, 1, 2, 3, 4), (0, 1, 2, 3, 4), (0,))
    nodes = [(depth, unit) for depth, units in enumerate(found.units) for unit in units]
    for frame, epoch in enumerate(found.epochs):
        layers = keras_run.dense_layers(epoch)
        for weight, (source, target) in zip(found.weights[frame], found.edges, strict=True):
            (depth, i), (behind, j) = nodes[source], nodes[target]
            assert behind == depth + 1
            assert weight == layers[depth].kernel[i, j]
    assert found.weights.shape[1] == len(found.edges) == 10 + 25 + 5


def test_wide_layers_are_shortened():
    kernels = [np.arange(2 * 9 * 20.0).reshape(2, 9, 20)]
    units = [measures.shown_units(9), measures.shown_units(20)]
    assert units == [(0, 1, 2, 3, 8), (0, 1, 2, 3, 19)]
    found = measures.network_weights(kernels, units, epochs=np.arange(2.0))
    np.testing.assert_array_equal(found.weights[1].reshape(5, 5), kernels[0][1][np.ix_(*units)])


# One unit


def test_the_map_of_a_unit_is_what_a_model_of_the_layers_before_predicts(keras, keras_run):
    unit = keras_run.unit("hidden_2", 2)
    model = keras_run.model(2)
    part = keras.Model(model.inputs, model.get_layer("hidden_2").output)
    grid = np.stack(np.meshgrid(unit.x, unit.y), axis=-1)
    predicted = part.predict(grid.reshape(-1, 2), verbose=0)[:, 2].reshape(121, 121)
    frame = unit.epochs.tolist().index(2)
    np.testing.assert_allclose(unit.grid_activations[frame], predicted, atol=1e-5)
    np.testing.assert_allclose(unit.activations[frame], part.predict(keras_run.inputs(), verbose=0)[:, 2], atol=1e-5)
    z = by_hand(keras_run.dense_layers(2), grid.reshape(-1, 2))[1][:, 2].reshape(121, 121)
    np.testing.assert_allclose(unit.grid_pre_activations[frame], z, atol=1e-5)


def test_a_unit_by_either_of_its_layers(torch_run):
    by_linear, by_relu = torch_run.unit("3", 0, 0), torch_run.unit("4", 0, 0)
    np.testing.assert_array_equal(by_linear.activations, by_relu.activations)
    np.testing.assert_allclose(by_linear.activations, np.maximum(by_linear.pre_activations, 0))
    assert by_linear.pre_activations.min() < 0


def test_any_plane_of_inputs_will_do():
    """A plane in a space of three inputs, and a unit that adds them."""
    inputs = np.random.default_rng(0).normal(size=(30, 3))
    basis = np.array([[0.5**0.5, 0], [0.5**0.5, 0], [0, 1]])

    def values(examples):
        z = examples.sum(axis=1)[None]
        return z, np.tanh(z)

    unit = measures.unit(
        values,
        epochs=np.zeros(1),
        layer="sum",
        unit=1,
        activation="tanh",
        inputs=inputs,
        projection=projections.Projection("", ("", ""), np.zeros(3), basis),
        resolution=11,
    )
    x, y = np.meshgrid(unit.x, unit.y)
    np.testing.assert_allclose(unit.grid_pre_activations[0], 2**0.5 * x + y, atol=1e-5)
    assert unit.activations.shape == (1, 30)
    # What lies off this plane does not change the sum.
    assert unit.agreement == [1.0]


def test_weights_into_and_out_of_a_unit(keras_run, torch_run):
    for replay, layer, first, last in ((keras_run, "hidden_2", "hidden_1", "output"), (torch_run, "4", "0", "5")):
        found = replay.unit_weights(layer, 3, 0)
        layers = replay.dense_layers(0)
        np.testing.assert_array_equal(found.incoming[0], layers[1].kernel[:, 3])
        np.testing.assert_array_equal(found.outgoing[0], layers[2].kernel[3])
        assert found.bias[0] == layers[1].bias[3]
        assert (found.before, found.behind) == (first, last)
    ends = keras_run.unit_weights("output", 0)
    assert (ends.behind, ends.outgoing) == (None, None)
    assert keras_run.unit_weights("hidden_1", 0).before == "inputs"


def test_units_that_are_not_there(keras_run, torch_run):
    with pytest.raises(UnknownName, match="no layer 'hiden'"):
        keras_run.unit("hiden", 0)
    for unit in (5, -1):
        with pytest.raises(UnknownName, match=f"no unit {unit}; its units are counted from 0 to 4"):
            keras_run.unit("hidden_1", unit)
        with pytest.raises(UnknownName, match=f"no unit {unit}"):
            keras_run.unit_weights("hidden_1", unit)
    with pytest.raises(Unsupported, match=r"'2' of run .* has no weights of its own"):
        torch_run.unit_weights("2", 0)


# Life and death


def life(highest, activation="relu"):
    """Of two examples, one at `highest` and one below it, (frame, unit)."""
    z = np.stack([np.asarray(highest, float), np.asarray(highest, float) - 1], axis=1)
    return measures.unit_life(
        z, np.maximum(z, 0), epochs=np.arange(len(z)) * 10.0, layer="hidden", activation=activation
    )


def test_born_dead_dies_revives():
    nan = np.nan
    found = life(np.transpose([
        [1, 1, 1, 1, 1],  # lives
        [-1, -1, -1, -1, 0],  # born dead, never lives: 0 is dead
        [-1, -1, 2, 2, 2],  # born dead, revived
        [1, 1, 1, -1, -1],  # dies at epoch 30
        [1, -1, 1, 1, -2],  # dead, revived, dies at the end
        [1, 1, 1, nan, nan],  # diverges: neither
    ]))  # fmt: skip
    assert found.born_dead.tolist() == [False, True, True, False, False, False]
    np.testing.assert_array_equal(found.died, [nan, 0, nan, 30, 40, nan])
    assert found.revived.tolist() == [False, False, True, False, True, False]
    assert [found.dead_stretches(unit) for unit in range(6)] == [
        [], [(0, None)], [(0, 20)], [(30, None)], [(10, 20), (40, None)], [],
    ]  # fmt: skip
    assert np.isnan(found.active[-1, -1])
    assert found.saturated is None


def test_alive_equals_a_plain_loop():
    rng = np.random.default_rng(5)
    z = rng.normal(size=(12, 7, 9)) - 2 * rng.random((12, 1, 9))
    found = measures.unit_life(z, np.maximum(z, 0), epochs=np.arange(12.0), layer="", activation="relu")
    for unit in range(9):
        dead = [all(z[frame, example, unit] <= 0 for example in range(7)) for frame in range(12)]
        assert found.dead[:, unit].tolist() == dead
        until = 12
        while until and dead[until - 1]:
            until -= 1
        expected = until if until < 12 else np.nan
        np.testing.assert_equal(found.died[unit], expected)
        covered = np.zeros(12, bool)
        for start, stop in found.dead_stretches(unit):
            covered[int(start) : 12 if stop is None else int(stop)] = True
        assert covered.tolist() == dead
        assert found.revived[unit] == any(a and not b for a, b in pairwise(dead))
        np.testing.assert_allclose(found.active[:, unit], [np.mean(z[frame, :, unit] > 0) for frame in range(12)])
    assert found.dead.any()
    assert not found.dead.all()


@pytest.mark.parametrize("activation", ["leaky_relu", "gelu", "linear", None, "tanh"])
def test_only_relu_can_die(activation):
    found = life(np.full((3, 2), -1.0), activation)
    assert not found.can_die
    assert not found.dead.any()
    assert np.isnan(found.died).all()


@pytest.mark.parametrize(("name", "edge"), [("tanh", 2.1783), ("sigmoid", 4.3567)])
def test_saturation_is_a_slope_below_a_twentieth_of_the_steepest(name, edge):
    z = np.array([-edge - 0.01, -edge + 0.01, 0, edge - 0.01, edge + 0.01])[None, :, None]
    activation = np.tanh(z) if name == "tanh" else 1 / (1 + np.exp(-z))
    found = measures.unit_life(z, activation, epochs=np.zeros(1), layer="", activation=name)
    assert found.saturated[0, 0] == pytest.approx(0.4)


def test_life_of_a_run(keras_run, torch_run):
    found = keras_run.unit_life("hidden_2")
    for frame, epoch in enumerate(keras_run.epochs):
        z = by_hand(keras_run.dense_layers(epoch), keras_run.inputs())[1]
        np.testing.assert_allclose(found.highest[frame], z.max(axis=0), atol=1e-5)
        np.testing.assert_allclose(found.active[frame], (z > 0).mean(axis=0), atol=0.01)
    assert (found.activation, found.examples) == ("relu", 120)
    for layer in ("0", "1"):
        torch_life = torch_run.unit_life(layer)
        assert torch_life.activation == "relu"
        assert np.isnan(torch_life.active[-1]).tolist() == [True, *[False] * 4]


# All units


def test_maps_of_all_units(keras_run):
    found = keras_run.unit_maps()
    assert found.layers == ("inputs", "hidden_1", "hidden_2", "output")
    assert found.sizes == (2, 5, 5, 1)
    assert found.depths == [0] * 2 + [1] * 5 + [2] * 5 + [3]
    x, y = np.meshgrid(found.x, found.y)
    np.testing.assert_allclose(found.maps[1, 0], x, atol=1e-6)
    np.testing.assert_allclose(found.maps[1, 1], y, atol=1e-6)
    grid = np.stack([x, y], axis=-1).reshape(-1, 2)
    for frame, epoch in enumerate(found.epochs):
        for layer, nodes in (("hidden_1", slice(2, 7)), ("hidden_2", slice(7, 12)), ("output", slice(12, 13))):
            expected = keras_run.activations(layer, epoch, grid).T
            np.testing.assert_allclose(found.maps[frame, nodes].reshape(len(expected), -1), expected, atol=1e-5)


def test_without_a_plane_the_means_over_the_examples(keras, tmp_path):
    from netlapse.keras import Recorder

    inputs = np.random.default_rng(0).normal(size=(30, 3, 4)).astype("float32")
    model = keras.Sequential(
        [keras.Input((3, 4)), keras.layers.Flatten(), keras.layers.Dense(10, "tanh", name="h"), keras.layers.Dense(2)]
    )
    model.compile("sgd", "mse")
    probe = inputs, np.zeros((30, 2), "float32")
    model.fit(*probe, epochs=1, verbose=0, callbacks=[Recorder(tmp_path / "run", probe=probe)])
    replay = netlapse.open(tmp_path / "run")
    found = replay.unit_maps()
    assert found.maps.shape == (2, 5 + 5 + 2, 1, 1)
    assert found.sizes == (12, 10, 2)
    np.testing.assert_allclose(
        found.maps[1, :5, 0, 0], inputs.reshape(30, 12).mean(axis=0)[[0, 1, 2, 3, 11]], rtol=1e-5
    )
    expected = replay.activations("h", 1).mean(axis=0)[[0, 1, 2, 3, 9]]
    np.testing.assert_allclose(found.maps[1, 5:10, 0, 0], expected, atol=1e-6)
    unit = replay.unit("h", 0, 1, resolution=5)
    flat, plane = inputs.reshape(30, 12), replay.inputs_projection("pca")
    crossings = np.stack(np.meshgrid(unit.x, unit.y), axis=-1).reshape(-1, 2)

    def on_plane(places):
        points = plane.lift(places, flat.mean(axis=0)).reshape(-1, 3, 4).astype("float32")
        return replay.activations("h", 1, points)[:, 0]

    np.testing.assert_allclose(unit.grid_activations.ravel(), on_plane(crossings), atol=1e-5)
    np.testing.assert_allclose(unit.places, plane(flat), atol=1e-5)
    # Of tanh, activations have the sign of pre-activations.
    same = (on_plane(plane(flat)) > 0) == (replay.activations("h", 1)[:, 0] > 0)
    assert 0 < unit.agreement[0] == same.mean() < 1
    for options, words in (({"inputs": (3, 7)}, "inputs 3 and 7"), ({}, "PCA")):
        figure = netlapse.plot(replay, 1, panels=[panels.Unit("h", **options)])
        share = replay.unit("h", 0, 1, **options).agreement[0]
        said = [ticker.get_text() for ticker in figure.findobj(Ticker)]
        assert f"plane of 12 inputs: {words}" in said
        assert f"this epoch: line right for {share:.0%} of the examples" in said
    np.testing.assert_array_equal(replay.unit("h", 0, inputs=(3, 7)).places, flat[:, [3, 7]])


# Pictures


def colors_at(cmap, shares):
    return (255 * np.array(cmap(shares))).round()


def test_edges_are_coloured_by_sign_and_as_wide_as_their_weights(keras_run):
    weights, maps = keras_run.network_weights(), keras_run.unit_maps()
    ax = axes()
    grid = UnitGridPanel(ax, maps, theme=THEMES["light"])
    edges = EdgesPanel(ax, weights, grid.places, theme=THEMES["light"])
    assert edges.widest == np.abs(weights.weights).max()
    for epoch in (0.0, 3.0):
        shown = weights.at(epoch)
        edges.show(shown)
        values = shown.weights[0]
        np.testing.assert_allclose(
            edges.lines.get_linewidths(), np.maximum(0.25, WIDEST * abs(values) / edges.widest), rtol=1e-5
        )
        red, _, blue, _ = edges.lines.get_colors().T
        strong = abs(values) > 0.3 * edges.widest
        assert ((red > blue) == (values > 0))[strong].all()
    for line, (source, target) in zip(edges.lines.get_segments(), weights.edges, strict=True):
        np.testing.assert_allclose(line[[0, -1]], grid.places[[source, target]])


def test_nodes_are_painted_where_they_are_and_the_right_way_up(keras_run):
    maps = keras_run.unit_maps()
    ax = axes((8, 6))
    panel = UnitGridPanel(ax, maps, theme=THEMES["light"])
    panel.show(maps.at(2))
    image = picture(ax.figure)
    cmap = signed(THEMES["light"])
    ranges = np.array(ranges_of(maps))[maps.depths]
    height = image.shape[0]
    for node, (x, y) in enumerate(panel.places):
        column, row = ax.transAxes.transform((x, y))
        # A little above, below, left and right of the centre.
        values = maps.maps[2, node]
        for right, up in ((0, 0), (6, 6), (-6, 6), (6, -6), (-6, -6)):
            side = int(0.8 * min(0.7 / 4 * 800, (1 - (3 * 15 + 6) / 432 - 24 / 432) / 5 * 600))
            place = (np.array([up, right]) / side + 0.5) * 30
            (i, j), (di, dj) = place.astype(int), place % 1
            value = (1 - di) * ((1 - dj) * values[i, j] + dj * values[i, j + 1])
            value += di * ((1 - dj) * values[i + 1, j] + dj * values[i + 1, j + 1])
            low, high = ranges[node]
            expected = colors_at(cmap, np.clip((value - low) / (high - low), 0, 1))[:3]
            found = image[height - 1 - round(row + up), round(column + right)]
            assert abs(found - expected).max() < 40, (node, right, up)


def test_what_is_not_a_number_is_painted_as_wrong():
    ax = axes()
    nodes = Thumbnails(
        ax, np.array([[0.5, 0.5]]), pitch=(0.5, 0.5), ranges=np.array([[-1.0, 1.0]]), theme=THEMES["dark"]
    )
    nodes.set_maps(np.array([[[np.nan, np.nan], [1.0, -1.0]]]))
    pixels = nodes.pixels(20)[0, ..., :3]
    theme = signed(THEMES["dark"])
    assert abs(pixels[2, 10] - colors_at(theme, np.nan)[:3]).max() <= 1
    nodes.set_maps(np.array([[[0.0, 0.0], [1.0, -1.0]]]))
    pixels = nodes.pixels(20)[0, ..., :3].astype(int)
    # The first row is the lowest.
    assert abs(pixels[-1, 0] - colors_at(theme, 1.0)[:3]).max() <= 1
    assert abs(pixels[-1, -1] - colors_at(theme, 0.0)[:3]).max() <= 1
    assert abs(pixels[0, 5] - colors_at(theme, 0.5)[:3]).max() <= 1


def test_the_hinge_lies_where_the_pre_activation_is_0(keras_run):
    whole = keras_run.unit("hidden_1", 1)
    panel = MapPanel(axes(), whole, theme=THEMES["light"])
    drawn = 0
    for epoch in whole.epochs:
        panel.show(whole.at(epoch))
        layer = keras_run.dense_layers(epoch)[0]
        vertices = panel._hinge.get_path().vertices
        z = vertices @ layer.kernel[:, 1].astype(float) + layer.bias[1]
        np.testing.assert_allclose(z, 0, atol=1e-5)
        drawn += len(vertices)
        np.testing.assert_array_equal(panel._image.get_array(), whole.at(epoch).grid_activations[0])
    assert drawn > 100
    for dots, label in zip(panel._dots, (0, 1), strict=True):
        np.testing.assert_array_equal(dots.positions, keras_run.inputs()[keras_run.targets() == label])


def test_histograms_count_every_example(keras_run):
    whole = keras_run.unit("hidden_2", 0)
    panel = HistogramPanel(axes(), whole, theme=THEMES["dark"])
    panel.show(whole.at(1))
    for stairs, label in zip(panel._stairs, (0, 1), strict=True):
        values, edges, base = stairs.get_data()
        chosen = whole.activations[1][whole.task.labels == label]
        counts = np.histogram(np.clip(chosen, edges[0], edges[-1]), edges)[0]
        np.testing.assert_allclose(values - base, 0.92 * np.sqrt(counts / len(chosen)))
        assert counts.sum() == 60


def test_bars_are_the_largest_weights():
    rng = np.random.default_rng(0)
    incoming = rng.normal(size=(2, 100))
    weights = measures.UnitWeights(np.arange(2.0), "hidden", 3, "inputs", None, incoming, np.array([0.1, 0.2]), None)
    panel = WeightsPanel(axes((4, 4)), weights, theme=THEMES["light"])
    panel.show(weights.at(1))
    lengths = [segment[1][0] for segment in panel._bars.get_segments()]
    largest = np.argsort(-abs(incoming).max(axis=0))[:12]
    np.testing.assert_allclose(lengths, [*incoming[1, largest], 0.2])
    ax = panel._bars.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == [*(f"$x_{{{k + 1}}}$" for k in largest), "bias"]
    assert ax.get_xlabel() == "weight (88 smaller)"


def test_life_in_words():
    found = life(np.transpose([[1, 1, 1], [-1, -1, -1], [-1, 2, 2], [1, 1, -1], [-1, 1, -1]]))
    assert [unit_in_words(found, unit) for unit in range(5)] == [
        "",
        "born dead",
        "born dead, revived at 10",
        "died at epoch 20",
        "dead 2 times, died at epoch 20",
    ]
    assert life_in_words(found) == "3 of 5 units dead in the end"
    assert life_in_words(life([[1.0], [np.nan]])) == "weights have diverged"
    assert life_in_words(life([[1.0], [1.0]], "gelu")) == "gelu never dies"


def test_dead_stretches_are_crossed_out():
    found = life(np.transpose([[1, 1, 1], [1, -1, 1], [-1, 1, -1]]))
    ax = axes()
    figures.unit_life(found, ax)
    lines = [line for line in ax.lines if line.get_color() == THEMES["light"].wrong]
    [x], [y] = [line.get_xdata() for line in lines], [line.get_ydata() for line in lines]
    assert y.tolist() == [1, 1, 1, 2, 2, 2, 2, 2, 2]
    np.testing.assert_array_equal(x, [5, 15, np.nan, 0, 5, np.nan, 15, 20, np.nan])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_panels_are_legible(keras_run, torch_run, theme):
    for replay, layer, size in ((keras_run, "hidden_2", (1440, 1080)), (torch_run, "3", (1600, 1000))):
        figure = netlapse.plot(
            replay, panels=[panels.Unit(layer, 0), panels.UnitLife(layer), "network"], theme=theme, size=size
        )
        assert assert_legible(figure) > 30
        assert_legible(netlapse.plot(replay, panels=["unit_grid"], theme=theme, size=(900, 700)))


@pytest.mark.parametrize("size", [(1440, 720), (1000, 600)])
def test_narrow_panels_are_legible(keras_run, size):
    names = ["unit_grid", "network", "decision_boundary", "curves"]
    figure = netlapse.plot(keras_run, panels=names, size=size)
    assert assert_legible(figure) > 40
    for ax in figure.axes[:2]:
        legend, (left, right) = ax.get_legend().get_window_extent(), ax.bbox.intervalx
        assert left - 6 < legend.x0 < legend.x1 < right + 6


def written_on(ax):
    """All texts that are drawn on these Axes alone, with their boxes in pixels."""
    return written(SimpleNamespace(texts=[], axes=[ax], findobj=ax.findobj))


def titles(figure):
    return [ax.get_title("left") for ax in figure.axes if ax.get_title("left")]


@pytest.mark.parametrize("size", [(480, 360), (560, 420), (600, 600), (720, 540), (500, 900), (1440, 720)])
def test_a_unit_is_legible_in_an_area_of_any_size(keras_run, torch_run, wide_run, size):
    """And laid out at all: matplotlib's warning that there is no room for that is an error here."""
    for replay, unit in ((keras_run, panels.Unit("hidden_2")), (torch_run, panels.Unit("0")), (wide_run, "unit")):
        figure = netlapse.plot(replay, panels=[unit], size=size)
        assert assert_legible(figure) > 12
        assert titles(figure)[0].endswith("unit 0: relu")
        shown = len(titles(figure))
        assert shown == 4 if size == (1440, 720) else shown >= 1
        assert size != (480, 360) or shown == 1
        assert all(min(ax.bbox.size) > 40 for ax in figure.axes if ax.get_title("left"))


def test_a_unit_is_legible_beside_other_panels(keras_run, wide_run):
    three = ("feature_space", "curves", "confusion")
    eight = ("curves", "weights", "activations", "sample_losses") * 2
    for replay, others, size in (
        (keras_run, three[:2], (1440, 720)),
        (keras_run, three, (1440, 720)),
        (keras_run, eight, (1440, 720)),
        (wide_run, three, (1440, 720)),
    ):
        scene = figures.Panels(replay, [panels.Unit(), *figures.scenes.panels_of(replay, others)], size=size)
        scene.show(0)
        scene.figure.canvas.draw()
        unit = [ax for ax in scene.figure.axes if {*ax.get_children()} & {*scene.drawn[0].artists}]
        boxes = [(words, box) for ax in unit for words, box in written_on(ax)]
        assert len(boxes) > 8
        for number, (words, box) in enumerate(boxes):
            assert scene.figure.bbox.padded(1).contains(*box.min), words
            assert scene.figure.bbox.padded(1).contains(*box.max), words
            assert not any(box.padded(-1.5).overlaps(other) for _, other in boxes[number + 1 :]), words


def test_an_area_without_room_for_all_classes_names_some(wide_run):
    unit = wide_run.unit("hidden_1", 0)
    ax = axes((4, 2))
    panel = HistogramPanel(ax, unit, theme=LIGHT, room=(200, 70))
    assert len(panel._stairs) == 11
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "2", "4", "6", "8", "4 others"]


def test_ticks_of_narrow_bars_are_the_ends(keras_run):
    weights = keras_run.unit_weights("hidden_2", 0)
    largest = max(np.abs(column).max() for column in (weights.incoming, weights.outgoing, weights.bias))
    for width, shown in ((200, None), (90, 3), (50, 2), (20, 1)):
        ax = axes((4, 4))
        WeightsPanel(ax, weights, theme=LIGHT, room=(width, 200))
        assert shown is None or len(ax.get_xticks()) == shown
        assert shown is None or ax.get_xticks()[-1] == pytest.approx(largest, rel=0.05)


def test_many_groups_of_examples_share_no_row(keras_run):
    unit = keras_run.unit("hidden_1", 0)
    labels = np.arange(120) % 12
    many = replace(unit, task=measures.Classes(labels, tuple(f"class {k}" for k in range(12))))
    panel = HistogramPanel(axes(), many, theme=THEMES["light"])
    words = [label.get_text() for label in panel._stairs[0].axes.get_yticklabels()]
    assert words == [*(f"class {k}" for k in range(10)), "2 others"]
    assert [int(which.sum()) for which in panel._groups] == [10] * 10 + [20]
    one = HistogramPanel(axes(), replace(unit, task=None), theme=THEMES["light"])
    assert [int(which.sum()) for which in one._groups] == [120]
    assert [label.get_text() for label in one._stairs[0].axes.get_yticklabels()] == ["all"]


def test_a_diverged_run_says_so(torch_run):
    figure = netlapse.plot(torch_run, panels=["network", panels.Unit("0", 0), panels.UnitLife("0")], size=(1440, 1000))
    said = [text for ax in figure.axes for text in ax.texts if text.get_text().startswith("not a number")]
    assert [text.get_visible() for text in said] == [True, True, True]
    figure = netlapse.plot(torch_run, 1, panels=["network", panels.Unit("0", 0)])
    said = [text for ax in figure.axes for text in ax.texts if text.get_text().startswith("not a number")]
    assert [text.get_visible() for text in said] == [False] * 3


def test_too_many_layers():
    names = ("inputs", *(str(depth) for depth in range(31)))
    count = len(names)
    maps = measures.UnitMaps(
        np.zeros(1), names, (None,) * count, (1,) * count, ((0,),) * count, None, None, np.zeros((1, count, 1, 1))
    )
    with pytest.raises(Unsupported, match="has 31 layers; units are drawn of networks of up to 30"):
        figures.unit_grid(maps, axes())


def test_thirty_layers_are_legible():
    sizes = (2, *[10] * 29, 1)
    names = ("inputs", *(f"hidden_{depth}" for depth in range(1, 30)), "output")
    units = tuple(measures.shown_units(size) for size in sizes)
    count = sum(map(len, units))
    maps = measures.UnitMaps(
        np.zeros(1), names, (None, *["tanh"] * 29, "sigmoid"), sizes, units, None, None, np.ones((1, count, 1, 1))
    )
    ax = new_figure((1440, 720), DPI, LIGHT).add_subplot()
    figures.unit_grid(maps, ax)
    assert assert_legible(ax.figure) > 60
    words = [text.get_text() for text in ax.texts]
    # A column is too narrow to say how many units are left out, but not that there are some.
    assert words.count("⋮") == 29
    assert [word for word in words if word.isdecimal()] == [str(depth) for depth in range(1, 31)]


def test_a_diagram_of_more_layers_than_there_is_room_for():
    def layers(count):
        return [DenseLayer(f"hidden_{depth}", "tanh", np.ones((3, 3)), np.zeros(3)) for depth in range(count)]

    for count in (4, 9):
        ax = axes((12, 6))
        figures.network_diagram(layers(count), ax)
        assert_legible(ax.figure)
    with pytest.raises(
        Unsupported, match=r"of 30 layers with these names needs Axes .. inches wide, and these have 12"
    ):
        figures.network_diagram(layers(30), axes((12, 6)))
