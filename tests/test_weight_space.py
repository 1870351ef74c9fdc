"""Weight space: planes, trajectories, loss surfaces and straight lines, against the full matrices and the framework."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlapse
from netlapse import measures
from netlapse.errors import MissingFrame, Unsupported
from netlapse.measures import weight_space
from netlapse.replay.weight_space import plane_frames

EPOCHS, HIDDEN = 6, 5


def build(keras, *, hidden=HIDDEN, norm=True, seed=0):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(hidden, activation="tanh")]
    layers += [keras.layers.BatchNormalization()] if norm else []
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(4, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.05), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def examples(count, seed):
    inputs = np.random.default_rng(seed).normal(size=(count, 3)).astype("f4")
    return inputs, (inputs[:, 0] > 0) + 2 * (inputs[:, 1] > 0)


def record(keras, path, **options):
    from netlapse.keras import Recorder

    model = build(keras, **options)
    callback = Recorder(path, probe=examples(60, 0), validation=examples(20, 1))
    model.fit(*examples(60, 0), epochs=EPOCHS, batch_size=16, verbose=0, callbacks=[callback])
    return netlapse.open(path)


def still(keras, path, **options):
    """A run of one frame."""
    from netlapse.keras import capture

    capture(build(keras, **options), path, examples(10, 0))
    return netlapse.open(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def replay(keras, folder):
    return record(keras, folder / "first")


@pytest.fixture(scope="module")
def second(keras, folder):
    return record(keras, folder / "second", seed=1)


@pytest.fixture(scope="module")
def plane(replay):
    return replay.weight_plane()


def matrix(replay):
    """All trainable weights of all frames in float64, (frame, weight)."""
    names = [parameter.name for parameter in replay.run.manifest.parameters if parameter.trainable]
    return np.concatenate([replay.weights(name).reshape(len(replay.epochs), -1) for name in names], axis=1).astype(
        float
    )


def flat(directions):
    return np.concatenate([array.reshape(len(array), -1) for array in directions.values()], axis=1).astype(float)


def test_the_plane_is_that_of_the_full_matrix(replay, plane):
    whole = matrix(replay)
    moves = whole - whole[-1]
    left, sizes, right = np.linalg.svd(moves, full_matrices=False)
    found = flat(plane.directions)
    np.testing.assert_allclose(found @ found.T, np.eye(2), atol=1e-6)
    np.testing.assert_allclose(np.abs((found * right[:2]).sum(axis=1)), 1, atol=1e-6)
    np.testing.assert_allclose(plane.shares, sizes[:2] ** 2 / (sizes**2).sum(), rtol=1e-6)
    assert plane.kept == pytest.approx(sum(plane.shares))
    np.testing.assert_allclose(np.abs(plane.points), np.abs(left[:, :2] * sizes[:2]), atol=1e-5)
    # Which way is up does not depend on the solver: the furthest moment lies at the left and above.
    assert (
        plane.points[np.abs(plane.points[:, 0]).argmax(), 0] < 0 < plane.points[np.abs(plane.points[:, 1]).argmax(), 1]
    )
    trainable = {parameter.name for parameter in replay.run.manifest.parameters if parameter.trainable}
    assert set(plane.directions) == trainable < set(plane.centre)


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 9), st.integers(1, 4), st.integers(0, 2**31))
def test_any_weights_give_the_plane_of_their_matrix(moments, width, seed):
    rng = np.random.default_rng(seed)
    weights = {
        "a": rng.normal(size=(moments, 3, width)).astype("f4"),
        "b": 9 * rng.normal(size=(moments, 4)).astype("f4"),
    }
    centre = {name: array[-1] for name, array in weights.items()}
    found = measures.principal_plane(
        lambda name, rows: weights[name][rows], moments, centre, trainable=["a", "b"], epoch=1.0
    )
    whole = np.concatenate([array.reshape(moments, -1) for array in weights.values()], axis=1).astype(float)
    sizes = np.linalg.svd(whole - whole[-1], compute_uv=False)
    np.testing.assert_allclose(found.shares, sizes[:2] ** 2 / (sizes**2).sum(), rtol=1e-5)
    moves = measures.trajectory(lambda name, rows: weights[name][rows], found, epochs=np.arange(float(moments)))
    # Nothing is drawn further apart than it is.
    drawn = np.linalg.norm(moves.coordinates[:, None] - moves.coordinates, axis=-1)
    true = np.linalg.norm(whole[:, None] - whole, axis=-1)
    assert (drawn <= true * (1 + 1e-5) + 1e-5).all()


def test_the_trajectory_says_how_far_the_weights_lie_from_the_plane(replay, plane):
    moves = replay.trajectory(plane=plane, split="validation")
    whole, basis = matrix(replay), flat(plane.directions)
    np.testing.assert_allclose(moves.coordinates, (whole - whole[-1]) @ basis.T, atol=1e-5)
    np.testing.assert_allclose(moves.moved, np.linalg.norm(whole - whole[-1], axis=1), atol=1e-6)
    rest = (whole - whole[-1]) - moves.coordinates @ basis
    np.testing.assert_allclose(moves.distance, np.linalg.norm(rest, axis=1), atol=1e-5)
    assert moves.kept == pytest.approx(plane.kept)
    own = [replay.losses(epoch, *examples(20, 1)).mean() for epoch in replay.epochs]
    np.testing.assert_allclose(moves.loss, own, rtol=1e-6)
    np.testing.assert_allclose(replay.trajectory(3, plane=plane).coordinates, moves.coordinates[3:4])
    assert replay.trajectory(slice(1, 2)).loss is None
    assert np.isnan(replay.trajectory(EPOCHS, plane=plane).kept)


def test_several_runs_share_one_plane(replay, second):
    pooled = replay.weight_plane(others=[second])
    whole = np.concatenate([matrix(replay), matrix(second)])
    sizes = np.linalg.svd(whole - matrix(replay)[-1], compute_uv=False)
    np.testing.assert_allclose(pooled.shares, sizes[:2] ** 2 / (sizes**2).sum(), rtol=1e-6)
    moves = [one.trajectory(plane=pooled) for one in (replay, second)]
    np.testing.assert_allclose(np.concatenate([each.coordinates for each in moves]), pooled.points, atol=1e-9)
    # The line between both ends is as long as it is drawn and hidden.
    between = np.linalg.norm(matrix(replay)[-1] - matrix(second)[-1])
    assert np.hypot(np.linalg.norm(moves[1].coordinates[-1]), moves[1].distance[-1]) == pytest.approx(between)


def test_random_directions_are_as_long_as_the_filters(replay, plane):
    random = replay.weight_plane(kind="random", seed=3)
    for name, both in random.directions.items():
        kernel = replay.weights(name, EPOCHS)
        if kernel.ndim == 1:
            assert not both.any()
            continue
        for direction in both:
            for unit in range(kernel.shape[-1]):
                assert np.linalg.norm(direction[:, unit]) == pytest.approx(np.linalg.norm(kernel[:, unit]), rel=1e-5)
    again, others = (replay.weight_plane(kind="random", seed=seed) for seed in (3, 4))
    np.testing.assert_array_equal(flat(again.directions), flat(random.directions))
    assert not np.allclose(flat(others.directions), flat(random.directions))
    assert random.kept < plane.kept
    basis, whole = flat(random.directions), matrix(replay)
    nearest = np.linalg.lstsq(basis.T, (whole - whole[-1]).T, rcond=None)[0].T
    np.testing.assert_allclose(random.points, nearest, atol=1e-6)


def test_filters_of_torch_lie_in_rows():
    kernel = np.arange(1.0, 25).reshape(2, 3, 2, 2)
    for axis, place in ((0, 0), (-1, 3)):
        norms = weight_space.filter_norms(kernel, axis)
        expected = [np.linalg.norm(np.take(kernel, number, place)) for number in range(kernel.shape[place])]
        np.testing.assert_allclose(norms.ravel(), expected)
    centre = {"0.weight": kernel, "0.bias": np.ones((2, 2))}
    found = measures.random_plane(
        lambda name, rows: centre[name][None], 1, centre, trainable=list(centre), epoch=0.0, seed=0, filter_axis=0
    )
    np.testing.assert_allclose(
        weight_space.filter_norms(found.directions["0.weight"][1], 0), weight_space.filter_norms(kernel, 0), rtol=1e-6
    )
    assert not found.directions["0.bias"].any()


@pytest.mark.parametrize("kind", ["pca", "random"])
def test_the_surface_is_the_loss_of_models_with_these_weights(replay, kind):
    told = []
    surface = replay.loss_surface(
        replay.weight_plane(kind=kind), split="validation", resolution=7, progress=lambda *done: told.append(done)
    )
    assert surface.losses.shape == (7, 7)
    assert told[-1] == (49, 49)
    model = replay.model(EPOCHS)
    trainable = [parameter.trainable for parameter in replay.run.manifest.parameters]
    variables = [v for v, moves in zip(model.variables, trainable, strict=False) if moves]
    end, basis = matrix(replay)[-1], flat(surface.plane.directions)
    for row, column in ((0, 0), (3, 3), (6, 2), (2, 6)):
        values = end + surface.x[column] * basis[0] + surface.y[row] * basis[1]
        for variable in variables:
            size = int(np.prod(variable.shape))
            variable.assign(values[:size].reshape(variable.shape))
            values = values[size:]
        loss, _ = model.evaluate(*examples(20, 1), verbose=0)
        assert surface.losses[row, column] == pytest.approx(loss, rel=1e-5)


def test_the_surface_holds_the_trajectory(replay, plane):
    surface = replay.loss_surface(plane, resolution=9)
    moves = replay.trajectory(plane=plane)
    assert np.isfinite(surface.under(moves.coordinates)).all()
    crossings = np.stack(np.meshgrid(surface.x, surface.y), axis=-1).reshape(-1, 2)
    np.testing.assert_allclose(surface.under(crossings), surface.losses.ravel(), rtol=1e-12)
    middle = surface.under(np.array([[(surface.x[0] + surface.x[1]) / 2, (surface.y[2] + surface.y[3]) / 2]]))
    assert middle[0] == pytest.approx(surface.losses[2:4, :2].mean())
    assert np.isnan(surface.under(np.array([[surface.x[-1] + 1e-6, 0]])))
    assert surface.x[-1] - surface.x[0] == pytest.approx(surface.y[-1] - surface.y[0])
    chosen = replay.loss_surface(plane, resolution=2, limits=((0, 1), (0, 2)))
    assert (chosen.x.tolist(), chosen.y.tolist()) == ([0, 1], [0, 2])
    assert chosen.losses[0, 0] == pytest.approx(replay.losses(EPOCHS).mean(), rel=1e-6)


def test_progress_is_told_block_by_block(replay, plane):
    told, sizes = [], []

    def mean_losses(weights):
        sizes.extend({len(array) for array in weights.values()})
        return np.zeros(len(next(iter(weights.values()))))

    measures.loss_surface(
        mean_losses, plane, loss="", split="train", resolution=5, points_at_once=10, progress=lambda *d: told.append(d)
    )
    assert told == [(10, 25), (20, 25), (25, 25)]
    assert sizes == [10, 10, 5]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_ends_of_the_line_are_the_frames_themselves(replay, split):
    line = replay.interpolation(1, 5, split=split)
    inputs, targets = replay.inputs(split), replay.targets(split)
    assert line.alphas[0] < 0 < 1 < line.alphas[-1]
    assert ((line.alphas >= 0) & (line.alphas <= 1)).sum() == 31
    for alpha, epoch in ((0, 1), (1, 5)):
        place = line.alphas.tolist().index(alpha)
        assert line.losses[place] == pytest.approx(replay.losses(epoch, inputs, targets).mean(), rel=1e-6)
        right = (replay.outputs(epoch, inputs).argmax(axis=-1) == targets).mean()
        assert line.accuracies[place] == pytest.approx(right)
    assert line.ends == ("epoch 1", "epoch 5")


def test_the_line_between_two_runs(replay, second):
    line = replay.interpolation(EPOCHS, EPOCHS, second)
    model = replay.model(EPOCHS)
    names = [one.name for one in replay.run.manifest.parameters]
    others = [one.name for one in second.run.manifest.parameters]
    assert names != others  # Keras goes on counting its layers
    place = 18
    mixed = {
        name: (1 - line.alphas[place]) * replay.weights(name, EPOCHS)
        + line.alphas[place] * second.weights(other, EPOCHS)
        for name, other in zip(names, others, strict=True)
    }
    for variable, value in zip(model.variables, mixed.values(), strict=False):
        variable.assign(value)
    loss, accuracy = model.evaluate(replay.inputs(), replay.targets(), verbose=0)
    assert line.losses[place] == pytest.approx(loss, rel=1e-5)
    assert line.accuracies[place] == pytest.approx(accuracy)
    assert line.losses[-4] == pytest.approx(second.losses(EPOCHS).mean(), rel=1e-6)
    assert line.ends == ("first, epoch 6", "second, epoch 6")


def test_statistics_stay_those_of_the_end_beyond_it():
    first, second = (
        {"w": np.float32([value]), "variance": np.float32([value]), "seed": np.uint32([7])} for value in (1, 3)
    )
    seen = {}

    def evaluate(weights):
        seen.update(weights)
        return np.zeros(len(weights["w"])), None

    options = {"loss": "", "split": "train", "ends": ("", "")}
    measures.interpolation(evaluate, first, second, alphas=np.array([-1, 0.5, 2]), trainable={"w"}, **options)
    assert seen["w"].ravel().tolist() == [-1, 1, 2, 3, 5]
    assert seen["variance"].ravel().tolist() == [1, 1, 2, 3, 3]
    assert seen["seed"].ravel().tolist() == [7] * 5


def line(losses, accuracies=None, alphas=(-0.5, 0, 0.25, 0.5, 1)):
    return measures.Interpolation(np.array(alphas), np.array(losses, float), accuracies, "loss", "train", ("a", "b"))


def test_the_height_of_the_barrier():
    hill = line([9, 1, 2, 4, 3], np.array([0, 0.9, 0.5, 0.6, 0.7]))
    assert hill.barrier == pytest.approx(4 - (1 + 3) / 2)
    assert hill.barrier_at == 0.5
    assert hill.error_barrier == pytest.approx(0.5 - (0.1 + 0.3) / 2)
    assert line([9, 3, 2, 2, 1]).barrier == 0
    assert line([9, 3, 2, 2, 1]).error_barrier is None
    assert line([np.nan, 3, 2, np.nan, 1]).barrier == np.inf
    assert line([np.nan, 3, 2, 2, 1]).barrier == 0


def test_runs_of_other_architectures_are_refused(keras, replay, tmp_path):
    wide, plain = (
        still(keras, tmp_path / name, **options)
        for name, options in (("wide", {"hidden": 7}), ("plain", {"norm": False}))
    )
    with pytest.raises(Unsupported, match=r"kernel \(3, 5\) where run 'wide' has .*kernel \(3, 7\)"):
        replay.interpolation(0, 0, wide)
    with pytest.raises(Unsupported, match="8 and 4 parameters"):
        replay.weight_plane(others=[plain])
    with pytest.raises(Unsupported, match="this plane is not of the weights of run"):
        wide.trajectory(plane=replay.weight_plane())
    with pytest.raises(Unsupported, match="this plane is not of the weights of run"):
        wide.loss_surface(replay.weight_plane())
    with pytest.raises(MissingFrame):
        replay.interpolation(0, 99)


def test_what_has_no_plane_says_so(replay, keras, tmp_path):
    with pytest.raises(Unsupported, match="lie on a line"):
        replay.weight_plane([0, 6])
    with pytest.raises(Unsupported, match="are the same; record a run that has trained"):
        replay.weight_plane(3)
    alone = still(keras, tmp_path / "alone")
    with pytest.raises(Unsupported, match="are the same"):
        alone.loss_surface()
    around = alone.loss_surface(alone.weight_plane(kind="random"), resolution=3)
    assert around.losses[1, 1] == pytest.approx(alone.losses(0).mean(), rel=1e-6)
    assert around.x.tolist() == pytest.approx([-1.4, 0, 1.4])


def test_frames_that_are_no_numbers_count_for_nothing():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(6, 2, 3)).astype("f4")
    centre, broken = {"a": weights[3]}, weights.copy()
    broken[4], broken[5, 0, 0] = np.inf, np.nan
    epochs = np.arange(6.0)
    options = {"trainable": ["a"], "epoch": 3.0}
    whole = measures.principal_plane(lambda _, rows: weights[:4][rows], 4, centre, **options)
    found = measures.principal_plane(lambda _, rows: broken[rows], 6, centre, **options)
    np.testing.assert_allclose(found.directions["a"], whole.directions["a"], atol=1e-6)
    assert found.kept == pytest.approx(whole.kept)
    moves = measures.trajectory(lambda _, rows: broken[rows], found, epochs=epochs)
    np.testing.assert_allclose(moves.coordinates[:4], whole.points, atol=1e-6)
    assert np.isnan(moves.coordinates[4:]).all()
    assert np.isnan(moves.distance[4:]).all()


def test_a_long_run_of_a_large_network_needs_little_memory():
    """24 frames of 1.2 million weights: 115 MB."""
    shapes = {"a/kernel": (1000, 1000), "b/kernel": (1000, 200), "b/bias": (200,)}
    pattern = {name: (np.arange(np.prod(shape), dtype="f4") % 97).reshape(shape) for name, shape in shapes.items()}
    widest = 0

    def read(name, rows):
        nonlocal widest
        widest = max(widest, rows.stop - rows.start)
        steps = np.arange(rows.start, rows.stop, dtype="f4").reshape(-1, *[1] * len(shapes[name]))
        found = pattern[name] * np.cos(steps / 9)
        found += steps
        return found

    centre = {name: read(name, slice(23, 24))[0] for name in shapes}
    tracemalloc.start()
    try:
        plane = measures.principal_plane(read, 24, centre, trainable=list(shapes), epoch=0.0)
        measures.trajectory(read, plane, epochs=np.arange(24.0))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50 * 2**20
    assert widest == 24  # of the small ones all frames come at once
    assert plane.kept == pytest.approx(1)


def test_blocks_change_nothing(replay, plane, monkeypatch):
    monkeypatch.setattr(weight_space, "BLOCK_BYTES", 100)
    monkeypatch.setattr(weight_space, "_PIECE", 7)
    small = replay.weight_plane()
    np.testing.assert_allclose(flat(small.directions), flat(plane.directions), atol=1e-6)
    moves = [one.trajectory(plane=small).coordinates for one in (replay,)]
    np.testing.assert_allclose(moves[0], plane.points, atol=1e-6)


def test_a_plane_is_made_for_no_more_frames_than_it_can_pair(replay, plane, monkeypatch):
    assert [plane_frames(weights) for weights in (10, 400_000, 1_200_000)] == [512, 335, 128]
    monkeypatch.setattr("netlapse.replay.weight_space.plane_frames", lambda _: 4)
    few = replay.weight_plane()
    assert len(few.points) == 4
    moves = replay.trajectory(plane=few)
    np.testing.assert_allclose(moves.coordinates[[0, 2, 4, 6]], few.points, atol=1e-6)
    assert all(one < two for one, two in pairwise(moves.epochs))
