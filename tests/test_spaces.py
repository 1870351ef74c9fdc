"""Feature spaces of layers of any width, and planes through many inputs, against the model itself."""

from __future__ import annotations

import numpy as np
import pytest

import netlapse
from netlapse import figures, measures, panels
from netlapse.datasets import spirals
from netlapse.errors import Unsupported
from netlapse.figures.film import frames
from netlapse.keras import Recorder
from tests.test_figures import assert_legible

NEAR = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module")
def trained(keras, tmp_path_factory):
    """A 2-16-16-3 network, its recording and its inputs."""
    X, y = spirals(120, classes=3)
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(16, "tanh", name=f"hidden_{k}") for k in (1, 2)]
    model = keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(3, "softmax", name="out")])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    path = tmp_path_factory.mktemp("spaces") / "run"
    recorder = Recorder(path, probe=(X[:90], y[:90]), validation=(X[90:], y[90:]))
    model.fit(X, y, epochs=4, verbose=0, callbacks=[recorder])
    return model, netlapse.open(path), np.asarray(X[:90], np.float32), y[:90]


def test_points_grid_and_regions_are_those_of_the_model(trained, keras):
    model, replay, X, y = trained
    projection = replay.projection("hidden_1")
    space = replay.feature_space("hidden_1", 4, projection=projection)
    hidden = keras.Model(model.inputs, model.get_layer("hidden_1").output)
    activations = hidden.predict(X, verbose=0)
    np.testing.assert_allclose(space.points[0], projection(activations), **NEAR)
    lattice = measures.plane.lattice(space.domain, 11, 81).reshape(-1, 2)
    np.testing.assert_allclose(space.lines[0].reshape(-1, 2), projection(hidden.predict(lattice, verbose=0)), **NEAR)
    kept = projection(activations).var(axis=0).sum() / activations.var(axis=0).sum()
    np.testing.assert_allclose(space.kept, [kept], rtol=1e-4)

    def rest(points):
        values = np.tanh(points @ replay.weights("hidden_2/kernel", 4) + replay.weights("hidden_2/bias", 4))
        return values @ replay.weights("out/kernel", 4) + replay.weights("out/bias", 4)

    mean = activations.mean(axis=0)
    x, y_axis = np.meshgrid(space.x, space.y)
    places = np.stack([x, y_axis], axis=-1).reshape(-1, 2)
    on_plane = mean + (places - projection(mean)) @ projection.basis.T
    np.testing.assert_allclose(space.plane_logits[0].reshape(-1, 3), rest(on_plane), rtol=1e-3, atol=1e-3)
    drawn = mean + (projection(activations) - projection(mean)) @ projection.basis.T
    same = rest(drawn).argmax(axis=1) == rest(activations).argmax(axis=1)
    np.testing.assert_allclose(space.agreement, [same.mean()])
    assert (space.wrong[0] == (model.predict(X, verbose=0).argmax(axis=1) != y)).all()


def test_one_projection_for_two_runs(trained):
    _, replay, *_ = trained
    shared = replay.projection("hidden_2", also=[replay])
    np.testing.assert_allclose(np.abs(shared.basis), np.abs(replay.projection("hidden_2").basis), atol=1e-9)


def test_other_projections(trained):
    _, replay, *_ = trained
    space = replay.feature_space("hidden_2", 4, projection=(3, 7))
    np.testing.assert_allclose(space.points[0], replay.activations("hidden_2", 4)[:, [3, 7]], **NEAR)
    assert replay.projection("hidden_2", "classes").method == "class means"
    tour = replay.grand_tour("hidden_2")
    assert replay.feature_space("hidden_2", 4, projection=tour(0.4)).projection.method == "grand tour"
    with pytest.raises(Unsupported, match="does not make two units"):
        replay.projection("hidden_1", "hidden_2")
    with pytest.raises(Unsupported, match="one of 16 dimensions, but"):
        replay.decision_boundary(inputs=tour(0))


@pytest.mark.parametrize("size", [(720, 540), (500, 800), (1440, 720)])
def test_a_grand_tour_fills_its_area_on_one_scale(trained, size):
    _, replay, *_ = trained
    scene = figures.Panels(replay, [panels.GrandTour(stops=2)], size=size)
    [ax] = scene.figure.axes
    tour = replay.grand_tour("hidden_2")
    shown = []
    for epoch in replay.epochs.tolist():
        scene.show(epoch)
        assert assert_legible(scene.figure) > 12
        width, height = ax.bbox.size
        (left, right), (bottom, top) = limits = ax.get_xlim(), ax.get_ylim()
        assert (right - left) / width == pytest.approx((top - bottom) / height)
        assert ax.bbox.width > scene.figure.bbox.width - 200
        assert ax.bbox.height > scene.figure.bbox.height - 260
        points = tour(2 * epoch / 4)(replay.activations("hidden_2", epoch))
        assert ((left, bottom) < points.min(axis=0)).all()
        assert ((right, top) > points.max(axis=0)).all()
        circle = ax.lines[0].get_xdata()
        assert left < circle.min() < circle.max() < right
        shown.append(limits)
    # The same at every epoch, however often they were drawn.
    assert len(set(shown)) == 1
    # In one direction there is no more than the margin around all that is drawn at any epoch.
    places = np.concatenate([tour(epoch / 2)(replay.activations("hidden_2", epoch)) for epoch in replay.epochs])
    needed = np.ptp(np.concatenate([places, np.stack(ax.lines[0].get_data(), axis=1)]), axis=0)
    assert (needed / (right - left, top - bottom)).max() == pytest.approx(1 / 1.08)


def test_a_film_of_the_grand_tour_shows_what_pictures_show(trained):
    _, replay, *_ = trained

    def scene():
        return figures.Panels(replay, [panels.GrandTour(stops=2)], size=(640, 400))

    for epoch, frame in zip([0, 4], (frame.copy() for frame in frames(scene(), [0, 4])), strict=True):
        whole = scene()
        whole.show(epoch)
        whole.figure.canvas.draw()
        difference = np.abs(np.asarray(whole.figure.canvas.buffer_rgba()).astype(int) - frame).max(axis=-1)
        assert (difference > 40).mean() < 0.002


def test_validation_examples_have_measures_of_their_own(trained):
    model, replay, *_ = trained
    X, y = replay.inputs("validation"), replay.targets("validation")
    assert replay.splits == ("train", "validation")
    outputs = model.predict(X, verbose=0)
    np.testing.assert_allclose(replay.class_probabilities(4, split="validation").probabilities[0], outputs, **NEAR)
    right = (outputs.argmax(axis=1) == y).mean()
    assert replay.curves(4, split="validation").accuracy[0] == pytest.approx(right)
    assert replay.feature_space("hidden_1", 4, split="validation").points.shape == (1, len(X), 2)


def test_planes_of_many_inputs_and_convolutions(keras, tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.random((30, 6, 6, 1)).astype("float32"), np.arange(30) % 2
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid", name="out"),
        ]
    )
    model.compile("sgd", "binary_crossentropy")
    netlapse.keras.capture(model, tmp_path / "run", (images, labels))
    replay = netlapse.open(tmp_path / "run")
    space = replay.feature_space("conv", 0)
    pooled = keras.Model(model.inputs, model.get_layer("conv").output).predict(images, verbose=0).mean(axis=(1, 2))
    np.testing.assert_allclose(space.points[0], space.projection(pooled), **NEAR)
    assert space.plane_logits is None
    through = replay.inputs_projection((0, 5, 9))
    corners = through.lift(through(images.reshape(30, -1)[[0, 5, 9]]), images.reshape(30, -1)[0])
    np.testing.assert_allclose(corners, images.reshape(30, -1)[[0, 5, 9]], atol=1e-6)
    found = replay.decision_boundary(0, inputs=through, resolution=5)
    mean = images.reshape(30, -1).mean(axis=0)
    point = through.lift(np.array([found.x[3], found.y[1]]), mean).reshape(1, 6, 6, 1).astype("float32")
    probability = 1 / (1 + np.exp(-found.plane_logits[0, 1, 3, 0]))
    np.testing.assert_allclose(probability, model.predict(point, verbose=0)[0, 0], **NEAR)
    with pytest.raises(Unsupported, match="span no plane"):
        replay.inputs_projection((3, 3))
