"""Filters, feature maps and pooled features, against the frameworks' own; and their pictures."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text

import netlapse
from netlapse import figures, measures
from netlapse.errors import UnknownName, Unsupported
from netlapse.figures.mosaic import Mosaic, wrap
from netlapse.figures.theme import LIGHT, THEMES
from netlapse.replay.convolutions import by_unit
from netlapse.store import Layer, Parameter

DRAW = np.random.default_rng(0)
IMAGES = DRAW.random((40, 6, 6, 1)).astype("f4")
LABELS = DRAW.permutation(np.arange(40) % 4)


@pytest.fixture(scope="module")
def of_keras(keras, tmp_path_factory):
    """A run of a CNN in which all weights of the last frame are no numbers, and its model before that."""
    from netlapse.keras import Recorder

    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(5, 3, activation="tanh", name="conv"),
            layers.MaxPooling2D(name="pool"),
            layers.Conv2D(3, 2, activation="relu", name="conv2"),
            layers.Flatten(name="flat"),
            layers.Dense(4, activation="softmax", name="out"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.5), loss="sparse_categorical_crossentropy")
    path = tmp_path_factory.mktemp("runs") / "cnn"
    kept = []

    class Diverge(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:
                kept.append(keras.models.clone_model(model))
                kept[0].set_weights(model.get_weights())
                model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])

    callbacks = [Diverge(), Recorder(path, probe=(IMAGES, LABELS))]
    model.fit(IMAGES, LABELS, epochs=4, verbose=0, callbacks=callbacks)
    return netlapse.open(path), kept[0]


@pytest.fixture(scope="module")
def of_torch(tmp_path_factory):
    torch = pytest.importorskip("torch")
    import netlapse.torch

    nn = torch.nn
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.ConvTranspose2d(6, 2, 2), nn.Flatten(2), nn.Conv1d(2, 5, 7), nn.Flatten()
    )
    inputs, targets = torch.tensor(IMAGES).permute(0, 3, 1, 2), torch.tensor(LABELS)
    path = tmp_path_factory.mktemp("runs") / "torch"
    netlapse.torch.capture(model, path, (inputs, targets))
    return netlapse.open(path), model, inputs


def test_filters_are_the_models_weights(of_keras, of_torch):
    replay, model = of_keras
    kernel = model.get_layer("conv2").get_weights()[0]
    shown = replay.filters("conv2", 3)
    assert shown.total == (3, 5)
    for unit, channel in np.ndindex(3, 5):
        np.testing.assert_array_equal(shown.kernels[0, unit, channel], kernel[:, :, channel, unit])
    some = replay.filters("conv2", units=[2, 0], channels=[4])
    assert some.kernels.shape == (5, 2, 1, 2, 2)
    np.testing.assert_array_equal(some.kernels[3, 1, 0], kernel[:, :, 4, 0])

    replay, model, _ = of_torch
    np.testing.assert_array_equal(replay.filters("0", 0).kernels[0], model[0].weight.detach())
    np.testing.assert_array_equal(replay.filters("2", 0).kernels[0], model[2].weight.detach().transpose(0, 1))
    along = replay.filters("4", 0).kernels
    assert along.shape == (1, 5, 2, 1, 7)
    np.testing.assert_array_equal(along[0, :, :, 0], model[4].weight.detach())


@pytest.mark.parametrize(
    ("kind", "name", "shape"),
    [
        ("Conv1D", "kernel", (3, 4, 5)),
        ("Conv2DTranspose", "kernel", (3, 2, 5, 4)),
        ("DepthwiseConv2D", "kernel", (3, 2, 4, 2)),
        ("SeparableConv2D", "depthwise_kernel", (3, 2, 4, 1)),
    ],
)
def test_kernels_of_every_kind_are_ordered_by_unit(kind, name, shape):
    kernels = DRAW.random((2, *shape))
    found = by_unit(kernels, Layer("c", kind), Parameter(f"c/{name}", shape, "float32", True, "c"))
    for index in np.ndindex(*shape):
        *place, a, b = index
        unit, channel = {"Conv1D": (b, a), "Conv2DTranspose": (a, b)}.get(kind, (a * shape[-1] + b, 0))
        np.testing.assert_array_equal(found[(slice(None), unit, channel, *place)], kernels[(slice(None), *index)])
    units = {"Conv1D": 5, "Conv2DTranspose": 5, "DepthwiseConv2D": 8, "SeparableConv2D": 4}[kind]
    assert found.shape[1] == units


def test_feature_maps_are_what_the_framework_computes(of_keras, of_torch, keras):
    replay, model = of_keras
    shown = replay.feature_maps("conv", 3, examples=[7, 2], units=[4, 1])
    expected = keras.Model(model.inputs, model.get_layer("conv").output).predict(IMAGES[[7, 2]], verbose=0)
    np.testing.assert_allclose(shown.maps[0], np.moveaxis(expected, -1, 1)[:, [4, 1]], atol=1e-6)
    np.testing.assert_allclose(shown.images, IMAGES[[7, 2], :, :, 0])
    assert (shown.total, shown.units.tolist()) == (5, [4, 1])
    assert replay.feature_maps("pool", 0).maps.shape[2:] == (5, 2, 2)

    replay, model, inputs = of_torch
    seen = []
    hook = model[1].register_forward_hook(lambda *passed: seen.append(passed[2].detach()))
    model(inputs[:3])
    hook.remove()
    # The module without parameters too.
    np.testing.assert_allclose(replay.feature_maps("1", 0, examples=[0, 1, 2]).maps[0], seen[0], atol=1e-6)
    along = replay.feature_maps("4", 0, examples=[0])
    assert along.maps.shape == (1, 1, 5, 1, model(inputs[:1]).numel() // 5)
    np.testing.assert_allclose(along.maps[0].ravel(), model(inputs[:1]).detach().ravel(), atol=1e-6)


def test_one_example_of_each_class_is_shown():
    labels = np.array([2, 2, 0, 1, 0, 3])
    assert measures.first_of_each(labels, 3).tolist() == [2, 3, 0]
    assert measures.first_of_each(labels[:, None].astype("f4"), 9).tolist() == [2, 3, 0, 5]
    assert measures.first_of_each(np.eye(4)[labels], 9).tolist() == [2, 3, 0, 5]
    for without in (labels + 0.5, DRAW.random((6, 2)), np.zeros((6, 4, 4))):
        assert measures.first_of_each(without, 2).tolist() == [0, 1]


def test_pooled_features_are_means_over_places(of_keras, of_torch):
    replay, _ = of_keras
    values = replay.activations("conv", 2)[None]
    pooled = measures.pooled(values)
    assert pooled.shape == (1, 40, 5)
    np.testing.assert_allclose(pooled, values.mean((2, 3)), rtol=1e-6)
    replay, _, _ = of_torch
    values = replay.activations("0")
    first = replay.channels_first("0", values.shape[2:])
    np.testing.assert_allclose(measures.pooled(values, channels_first=first), values.mean((3, 4)), rtol=1e-5)
    flat = DRAW.random((2, 3, 4))
    np.testing.assert_array_equal(measures.pooled(flat), flat)


def test_units_are_found_on_the_axis_where_they_are(of_keras, of_torch):
    replay, _ = of_keras
    assert not replay.channels_first("conv", (4, 4, 5))
    assert replay.channels_first("conv", (5, 4, 4))  # Keras with data_format="channels_first"
    replay, _, _ = of_torch
    assert replay.channels_first("0", (6, 4, 4))
    assert replay.channels_first("1", (6, 4, 4))
    assert not replay.channels_first("attention", (6, 4, 4, 2))


def test_sequences_and_flat_inputs_are_pictures_too():
    steps = DRAW.random((3, 7, 2))
    found = measures.pictures(steps, None, along_sequence=True, channels_first=False)
    np.testing.assert_allclose(found, steps.swapaxes(1, 2), rtol=1e-6)
    assert measures.pictures(steps[..., 0], None, along_sequence=True, channels_first=True).shape == (3, 1, 7)
    flat = DRAW.random((3, 36))
    assert measures.pictures(flat, None, along_sequence=False, channels_first=False) is None
    assert measures.pictures(flat, (6, 6), along_sequence=False, channels_first=False).shape == (3, 6, 6)
    with pytest.raises(Unsupported, match="image_shape of 36 values"):
        measures.pictures(flat, (5, 6), along_sequence=False, channels_first=False)


def test_errors_say_what_there_is(of_keras, small_run):
    replay, _ = of_keras
    with pytest.raises(UnknownName, match="no convolution 'pool'; its convolutions are conv, conv2"):
        replay.filters("pool")
    with pytest.raises(UnknownName, match="no unit 5; choose some of 0 to 4"):
        replay.filters("conv", units=[0, 5])
    with pytest.raises(UnknownName, match="no example 40"):
        replay.feature_maps("conv", examples=[40])
    with pytest.raises(Unsupported, match=r"layer 'out' has values of shape \(4,\)"):
        replay.feature_maps("out")
    for panel in ("filters", "feature_maps"):
        with pytest.raises(Unsupported, match="no convolutional layer; its layers are hidden"):
            netlapse.plot(netlapse.open(small_run), panels=[panel])


def axes(size=(6, 6), theme=LIGHT):
    figure = Figure(figsize=size, dpi=100, layout="constrained", facecolor=theme.surface)
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def assert_legible(figure):
    """Nothing written overlaps anything else written, or is cut off."""
    figure.canvas.draw()
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    shown = [(text.get_text(), text.get_window_extent()) for text in texts]
    for k, (words, box) in enumerate(shown):
        assert figure.bbox.padded(1).contains(*box.min), words
        assert figure.bbox.padded(1).contains(*box.max), words
        for others, other in shown[k + 1 :]:
            assert not box.padded(-1.5).overlaps(other), (words, others)
    return len(shown)


def filters_of(units, channels, tile, *, total=None):
    kernels = DRAW.normal(size=(2, units, channels, *tile)).astype("f4")
    numbers = np.arange(units), np.arange(channels)
    return measures.Filters(np.arange(2.0), "conv", total or (units, channels), *numbers, kernels)


def test_a_mosaic_has_every_value_in_its_place():
    mosaic = Mosaic(axes(), (2, 3), (3, 4), limits=(0, 1), colors="viridis", unit="weight", theme=LIGHT, title="")
    tiles = DRAW.random((2, 3, 3, 4)).astype("f4")
    tiles[1, 2] = np.nan
    mosaic.show(tiles, tiles[:1])
    image = np.asarray(mosaic.image.get_array())
    for row, column, y, x in np.ndindex(*tiles.shape):
        left, right, bottom, top = mosaic.extent(row, column)
        place = top + (y + 0.5) * (bottom - top) / 3, left + (x + 0.5) * (right - left) / 4
        np.testing.assert_array_equal(image[tuple(round(p) for p in place)], tiles[row, column, y, x])
    assert not mosaic._note.get_visible()
    mosaic.show(tiles, tiles)
    assert mosaic._note.get_visible()


@pytest.mark.parametrize("count", [1, 2, 7, 12, 64])
def test_wrapped_tiles_all_have_a_place(count):
    rows, columns = wrap(count)
    assert (rows - 1) * columns < count <= rows * columns


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("units", "channels", "tile", "total"),
    [
        (12, 1, (3, 3), None),
        (7, 3, (5, 5), None),
        (16, 8, (3, 3), (64, 32)),
        (1, 1, (1, 9), None),
        (64, 1, (3, 3), None),
    ],
)
def test_filters_of_any_number_can_be_read(units, channels, tile, total, theme):
    measure = filters_of(units, channels, tile, total=total)
    ax = axes(theme=THEMES[theme])
    figures.filters(measure, ax, epoch=1, theme=theme)
    assert assert_legible(ax.figure) > 3
    words = ax.get_xlabel() + ax.get_ylabel()
    assert ("(16 of 64)" in words and "(8 of 32)" in words) if total else " of " not in words
    assert ax.images[0].norm.vmin == -ax.images[0].norm.vmax == pytest.approx(-np.abs(measure.kernels).max())


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_panels_draw_a_run_on_one_scale_and_say_where_it_diverged(of_keras, theme):
    replay, _ = of_keras
    scales = []
    for epoch in (0, 3, 4):
        figure = netlapse.plot(replay, epoch, panels=["filters", "feature_maps"], theme=theme)
        assert to_rgba(figure.get_facecolor()) == to_rgba(THEMES[theme].surface)
        assert assert_legible(figure) > 20
        notes = [text for ax in figure.axes for text in ax.texts if "diverged" in text.get_text()]
        assert [note.get_visible() for note in notes] == [epoch == 4] * 2
        scales.append([ax.images[0].norm.vmax for ax in figure.axes])
    assert scales[0] == scales[1] == scales[2]
    kernels = replay.weights("conv/kernel")[:4]
    assert scales[0][0] == pytest.approx(np.abs(kernels).max())
    chosen = measures.first_of_each(LABELS, 6)
    assert scales[0][1] == pytest.approx(replay.activations("conv", slice(0, 3))[:, chosen].max())


def test_a_film_of_large_maps_is_made_a_few_frames_at_a_time(of_keras, monkeypatch):
    replay, _ = of_keras
    monkeypatch.setattr("netlapse.figures.blocks.BLOCK_BYTES", 2 * replay.filters("conv", 0).frame_bytes)
    asked = []
    compute = replay.filters
    monkeypatch.setattr(replay, "filters", lambda *args, **more: asked.append(args) or compute(*args, **more))
    scene = figures.Panels(replay, [figures.panels.Filters()])
    for epoch in (0, 1, 2, 3, 1.5):
        scene.show(epoch)
    assert max(len(epochs) for _, epochs in asked) == 3
    mixed = replay.filters("conv", [1, 2]).kernels.mean(axis=0)
    image = scene.drawn[0].parts[0].mosaic.image.get_array()
    assert image[0, 0] == pytest.approx(mixed[0, 0, 0, 0])
