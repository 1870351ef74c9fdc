"""Projections of wide layers onto a plane, and how far they are to be trusted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from netlapse import measures
from netlapse.errors import Unsupported
from netlapse.measures import directions, projection


def cloud(seed=0, frames=4, examples=30, width=6, spread=(9, 5, 3, 2, 1.5, 1)):
    """Frames of points that vary clearly more along one direction than along the next, and drift."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(width, width)))[0]
    points = rng.normal(size=(frames, examples, width)) * np.resize(spread, width)
    return (points.cumsum(axis=0) @ turn + rng.normal(size=width)).astype("float32")


LABELS = np.arange(30) % 3
kernels = hnp.arrays(np.float64, st.tuples(st.integers(2, 9), st.just(2)), elements=st.floats(-5, 5))
clouds = hnp.arrays(
    np.float32,
    st.tuples(st.integers(2, 4), st.integers(1, 9), st.integers(2, 12)),
    elements=st.floats(-1e6, 1e6, width=32),
)


def every_projection(points):
    """One of each kind, whatever the points."""
    count = points.shape[-1]
    yield projection.pca(points)
    if points.shape[1] > 1:
        yield projection.class_means(points, np.arange(points.shape[1]) % 3)
    yield projection.units(count - 1, 0, count)
    yield projection.linear_layer(points.reshape(-1, count)[:2].T, "embedding")
    for position in (0, 0.5, 1, 2.75):
        yield projection.tour(points, position, seed=3)
    yield projection.drag(projection.pca(points), count - 1, 0.4, -0.7)


def assert_orthonormal(basis):
    assert basis.dtype == float
    np.testing.assert_allclose(basis.T @ basis, np.eye(2), rtol=0, atol=1e-12)


@given(clouds)
def test_every_basis_is_orthonormal_and_no_movement_is_drawn_longer_than_it_is(points):
    true = np.linalg.norm(np.diff(points.astype(float), axis=0), axis=2)
    for found in every_projection(points):
        assert_orthonormal(found.basis)
        drawn = np.linalg.norm(np.diff(found(points), axis=0), axis=2)
        # What is far from the origin is rounded by so much.
        assert (drawn <= true + 1e-13 * float(np.abs(points).max())).all()


@given(clouds, st.data())
def test_lifted_points_are_drawn_where_they_were_lifted_from(points, data):
    found = projection.pca(points)
    through = points[-1, 0].astype(float)
    places = data.draw(hnp.arrays(float, (3, 5, 2), elements=st.floats(-1e3, 1e3)))
    lifted = found.lift(places, through)
    assert lifted.shape == (3, 5, points.shape[2])
    np.testing.assert_allclose(found(lifted), places, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.lift(found(through), through), through)
    # They lie in the plane through that point: nothing of the way to it is lost.
    np.testing.assert_allclose(
        np.linalg.norm(lifted - through, axis=-1), np.linalg.norm(places - found(through), axis=-1), atol=1e-6
    )


@pytest.mark.parametrize("shape", [(4, 30, 6), (2, 5, 40), (4, 30, 2)], ids=["tall", "wide", "two units"])
def test_pca_is_that_of_singular_values(shape):
    points = cloud(1, *shape)
    rows = points.reshape(-1, shape[2]).astype(float)
    found = projection.pca(points)
    _, _, vectors = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    for column, vector in zip(found.basis.T, vectors, strict=False):
        np.testing.assert_allclose(column * np.sign(column @ vector), vector, atol=1e-7)
        assert column[np.abs(column).argmax()] > 0
    np.testing.assert_allclose(found.origin, rows.mean(axis=0))


def test_where_both_matrices_would_be_large_the_same_directions_are_found(monkeypatch):
    points = cloud(2, 3, 20, 40, spread=np.geomspace(9, 0.1, 40))
    expected = [projection.pca(points).basis, projection.class_means(points, np.arange(20) % 2).basis]
    monkeypatch.setattr(directions, "_SIDE", 8)
    monkeypatch.setattr(directions, "_VALUES", 100)
    found = [projection.pca(points).basis, projection.class_means(points, np.arange(20) % 2).basis]
    np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("make", [projection.pca, lambda x: projection.class_means(x, LABELS)])
def test_the_same_points_give_the_same_basis_in_any_order(make):
    points = cloud()
    found = make(points)
    assert make(points.copy()).basis.tobytes() == found.basis.tobytes()
    np.testing.assert_allclose(make(points[::-1]).basis, found.basis, atol=1e-12)
    order = np.random.default_rng(1).permutation(10)
    shuffled = points.reshape(4, 10, 3, 6)[:, order].reshape(points.shape)  # labels stay with their examples
    np.testing.assert_allclose(make(shuffled).basis, found.basis, atol=1e-12)


def test_equally_large_entries_leave_the_sign_to_the_first():
    line = np.outer([-1, 0, 1], [-1, 1, 1, -1.0])
    assert projection.pca(line).basis[:, 0].tolist() == [0.5, -0.5, -0.5, 0.5]
    by_rounding = np.array([[-0.5], [0.5 + 1e-15], [-0.5], [0.5]])
    assert directions.orthonormal(by_rounding, 1)[:, 0] == pytest.approx([0.5, -0.5, 0.5, -0.5])


@pytest.mark.parametrize("width", [3, 5, 50])
def test_what_does_not_vary_is_completed_by_axes_of_units(width):
    still = np.full((2, 4, width), 3.0)
    np.testing.assert_array_equal(projection.pca(still).basis, np.eye(width, 2))
    np.testing.assert_array_equal(projection.tour(still, 0).basis, np.eye(width, 2))
    along = still + np.arange(8.0).reshape(2, 4, 1) * np.eye(width)[1]
    np.testing.assert_allclose(projection.pca(along).basis, np.eye(width)[:, [1, 0]], atol=1e-15)
    # What is left of a line after its direction is taken out is rounding, and no direction.
    line = np.outer(np.arange(8.0) - 3.3, np.linspace(1, 2.7, width))
    np.testing.assert_allclose(projection.pca(line).basis, projection.pca(line[::-1]).basis, atol=1e-12)
    assert projection.pca(line).basis[0, 1] == np.abs(projection.pca(line).basis[:, 1]).max()


def test_what_is_not_finite_is_left_out():
    points = cloud()
    spoilt = np.concatenate([points, np.full_like(points[:1], np.nan)])
    spoilt[4, 0], spoilt[4, 1, 3] = 3e38, -np.inf
    found = projection.pca(spoilt[:, 2:])
    np.testing.assert_array_equal(found.basis, projection.pca(points[:, 2:]).basis)
    assert np.isnan(found(spoilt[4, 2:])).all()
    exact = np.concatenate([points, np.full_like(points[:1], 2)]).astype(float)
    exact[4, 0] *= 1e200
    np.testing.assert_array_equal(projection.pca(exact[:, :1]).basis, projection.pca(points[:, :1].astype(float)).basis)
    nothing = projection.pca(np.full((2, 3, 4), np.nan))
    np.testing.assert_array_equal(nothing.basis, np.eye(4, 2))
    np.testing.assert_array_equal(nothing.origin, np.zeros(4))


def test_three_class_means_lie_in_their_plane_undistorted():
    points = cloud()
    found = projection.class_means(points, LABELS)
    means = np.stack([points[:, label == LABELS].reshape(-1, 6).mean(axis=0, dtype=float) for label in range(3)])
    drawn = found(means)
    np.testing.assert_allclose(
        np.linalg.norm(drawn[:, None] - drawn, axis=2), np.linalg.norm(means[:, None] - means, axis=2)
    )
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=1e-12)
    assert found.axes == ("1st direction of the class means", "2nd direction of the class means")
    names = np.array(["b", "a", "c"])[LABELS]
    np.testing.assert_allclose(projection.class_means(points, np.tile(names, (4, 1))).basis, found.basis, atol=1e-12)


@pytest.mark.parametrize(("frames", "width"), [(4, 6), (1, 50)], ids=["tall", "wide"])
def test_between_two_class_means_the_second_direction_is_that_of_what_is_left(frames, width):
    points, labels = cloud(0, frames, 30, width), np.arange(30) % 2
    points[..., 0] += 1000 * labels + 300 * np.sin(np.arange(30))
    found = projection.class_means(points, labels)
    rows, label = points.reshape(-1, width).astype(float), np.tile(labels, frames)
    way = rows[label == 1].mean(axis=0) - rows[label == 0].mean(axis=0)
    way /= np.linalg.norm(way)
    left = rows - rows.mean(axis=0)
    left -= np.outer(left @ way, way)
    expected = np.linalg.svd(left)[2][0]
    np.testing.assert_allclose(np.abs(found.basis.T @ np.column_stack([way, expected])), np.eye(2), atol=1e-9)
    assert found.axes == ("direction of the class means", "1st principal direction of what is left")


@pytest.mark.parametrize("shape", [(60, 8), (30, 50)], ids=["tall", "wide"])
def test_what_is_found_beside_a_direction_is_orthogonal_to_it(shape):
    rows = np.random.default_rng(0).normal(size=shape)
    rows[:, 0] = 300 * np.sin(np.arange(len(rows)))
    beside = np.eye(shape[1], 1)
    found = directions.leading(rows, rows.mean(axis=0), 2, beside)
    np.testing.assert_allclose(beside.T @ found, 0, atol=1e-12)
    expected = np.linalg.svd(rows[:, 1:] - rows[:, 1:].mean(axis=0))[2][:2]
    np.testing.assert_allclose(np.abs(expected @ found[1:]), np.eye(2), atol=1e-9)


def test_every_class_counts_alike():
    points = cloud(frames=1)
    more = np.concatenate([points] + [points[:, LABELS == 0]] * 5, axis=1)
    labels = np.concatenate([LABELS] + [LABELS[LABELS == 0]] * 5)
    expected = projection.class_means(points, LABELS)
    np.testing.assert_allclose(projection.class_means(more, labels).basis, expected.basis, atol=1e-6)


def test_two_units_are_drawn_as_they_are():
    points = cloud(width=2)
    np.testing.assert_array_equal(projection.units(0, 1, 2)(points), points)
    found = projection.units(5, 1, 6)
    np.testing.assert_array_equal(found(cloud()), cloud()[..., [5, 1]])
    assert (found.method, found.axes) == ("units 5 and 1", ("unit 5", "unit 1"))


@given(kernels)
def test_a_linear_layer_gives_the_orthonormal_basis_nearest_to_its_kernel(kernel):
    found = projection.linear_layer(kernel, "embedding").basis
    assert_orthonormal(found)
    distance = np.linalg.norm(found - kernel)
    for other in np.random.default_rng(0).normal(size=(20, *kernel.shape)):
        assert distance <= np.linalg.norm(np.linalg.qr(other)[0] - kernel) + 1e-9
    if len(kernel) and np.linalg.svd(kernel)[1][1] > 1e-3:
        # It spans the same plane: the layer's own picture is a linear map of this one.
        np.testing.assert_allclose(found @ (found.T @ kernel), kernel, atol=1e-9)


def test_a_kernel_of_one_direction_is_completed_by_a_unit():
    kernel = np.outer([0, 0, 1, 0], [3, 4])
    expected = [[0.8, -0.6], [0, 0], [0.6, 0.8], [0, 0]]
    np.testing.assert_allclose(projection.linear_layer(kernel, "embedding").basis, expected, atol=1e-15)


def test_a_tour_begins_at_the_pca_and_is_smooth():
    points = cloud()
    tour = projection.tour_of(points, seed=1)
    np.testing.assert_allclose(tour(0).basis, projection.pca(points).basis, atol=1e-14)
    positions = np.linspace(0, 3, 1501)
    bases = np.stack([tour(position).basis for position in positions])
    np.testing.assert_allclose(bases.transpose(0, 2, 1) @ bases, np.broadcast_to(np.eye(2), (1501, 2, 2)), atol=1e-12)
    speeds = np.diff(bases, axis=0) * 500
    # It moves on, and neither jumps nor kinks: the speed changes by no more than an acceleration allows.
    assert all(np.abs(bases[500 * k + 500] - bases[500 * k]).max() > 0.1 for k in range(3))
    assert np.abs(speeds).max() < 5
    assert np.abs(np.diff(speeds, axis=0)).max() < 20 / 500
    # Nothing is turned within the plane.
    assert np.abs(np.einsum("pui,puj->pij", bases[:-1], speeds)).max() < 1e-2


def test_a_tour_is_a_function_of_its_seed_and_position():
    points = cloud()
    tour = projection.tour_of(points, seed=1)
    late, early = tour(3.3), tour(0.4)
    np.testing.assert_array_equal(late.basis, projection.tour(points, 3.3, seed=1).basis)
    np.testing.assert_array_equal(early.basis, tour(0.4).basis)
    assert np.abs(late.basis - projection.tour(points, 3.3, seed=2).basis).max() > 0.1
    for position in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="a tour begins at 0"):
            tour(position)


def test_a_tour_of_a_wide_layer_stays_where_there_is_something_to_see():
    points = cloud(4, 2, 40, 200, spread=np.geomspace(9, 0.01, 200))
    tour = projection.tour_of(points)
    leading = np.linalg.svd(points.reshape(-1, 200) - points.reshape(-1, 200).mean(axis=0))[2][:10]
    for position in (0, 1.5, 7):
        basis = tour(position).basis
        np.testing.assert_allclose(leading.T @ (leading @ basis), basis, atol=1e-4)


@given(clouds, st.floats(-2, 2), st.floats(-2, 2), st.data())
def test_a_dragged_axis_follows_as_far_as_it_can(points, dx, dy, data):
    start = projection.pca(points)
    unit = data.draw(st.integers(0, points.shape[2] - 1))
    found = projection.drag(start, unit, dx, dy)
    assert_orthonormal(found.basis)
    wanted = start.basis[unit] + (dx, dy)
    length = np.linalg.norm(wanted)
    if points.shape[2] > 2:
        np.testing.assert_allclose(found.basis[unit], wanted / max(1, length), atol=1e-12)
    elif length > 1e-9:
        np.testing.assert_allclose(found.basis[unit], wanted / length, atol=1e-9)
        np.testing.assert_allclose(np.linalg.det(found.basis), np.linalg.det(start.basis))
    np.testing.assert_array_equal(found.origin, start.origin)


def test_of_all_bases_with_the_axis_there_a_drag_takes_the_nearest():
    start = projection.pca(cloud())
    found = projection.drag(start, 2, 0.3, -0.2).basis
    np.testing.assert_allclose(projection.drag(start, 2, 0, 0).basis, start.basis, atol=1e-12)
    rest, moved = np.delete(found, 2, axis=0), found[2]
    rng = np.random.default_rng(0)
    for size in (1e-3, 0.1, 1):
        # Turning the other rows among each other keeps both the axis and the basis orthonormal.
        turn = np.linalg.qr(np.eye(5) + size * rng.normal(size=(5, 5)))[0]
        other = np.insert(turn @ rest, 2, moved, axis=0)
        assert_orthonormal(other)
        assert np.linalg.norm(other - start.basis) > np.linalg.norm(found - start.basis)
    assert projection.drag(projection.drag(start, 2, 0.1, 0), 1, 0, 0.1).method == "PCA, dragged"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: projection.pca(np.zeros((3, 1))), "no plane in a layer of 1 units"),
        (lambda: projection.class_means(np.zeros((3, 4)), np.zeros(3)), "needs two classes, but there are 1"),
        (lambda: projection.units(3, 3, 5), "units 3 and 3 span no plane"),
        (lambda: projection.units(0, 5, 5), "choose two of 0 to 4"),
        (lambda: projection.linear_layer(np.zeros((4, 3)), "head"), r"'head' has shape \(4, 3\)"),
        (lambda: projection.linear_layer(np.full((4, 2), np.nan), "head"), "not finite"),
    ],
)
def test_what_has_no_plane_says_so(make, message):
    with pytest.raises(Unsupported, match=message):
        make()


EPOCHS = np.arange(4.0)


def test_honesty_against_plain_numpy():
    points = cloud()
    found = projection.pca(points[:2])
    honest = measures.honesty([points[:1], points[1:]], found, epochs=EPOCHS)
    exact = points.astype(float)
    places = found(exact)

    def variance(values):
        return np.square(values - values.mean(axis=0)).sum()

    for number in range(4):
        assert honest.kept[number] == pytest.approx(variance(places[number]) / variance(exact[number]))
        centred = exact[number] - exact[number].mean(axis=0)
        complement = np.linalg.svd(found.basis)[0][:, 2:]
        distance = np.median(np.linalg.norm(centred @ complement, axis=1))
        assert honest.distance[number] == pytest.approx(distance)
        assert honest.distance_share[number] == pytest.approx(distance / np.sqrt(variance(exact[number]) / 30))
    overall = variance(places.reshape(-1, 2)) / variance(exact.reshape(-1, 6))
    assert honest.kept_overall == pytest.approx(overall)
    true, drawn = (np.linalg.norm(np.diff(values, axis=0), axis=2).ravel() for values in (exact, places))
    assert honest.movement == pytest.approx(np.corrcoef(true, drawn)[0, 1])
    assert honest.longer == 0
    between = honest.at(0.5)
    assert between.kept[0] == pytest.approx(honest.kept[:2].mean())
    assert between.movement == honest.movement


def test_honesty_sees_a_picture_that_exaggerates():
    points = cloud()
    fair = projection.pca(points)
    stretched = projection.Projection("stretched", fair.axes, fair.origin, 3 * fair.basis)
    true, drawn = (np.linalg.norm(np.diff(x.astype(float), axis=0), axis=2) for x in (points, stretched(points)))
    honest = measures.honesty([points], stretched, epochs=EPOCHS)
    assert 0 < honest.longer == pytest.approx((drawn > true).mean())


def test_honesty_of_two_units_as_they_are_is_complete():
    points = cloud(width=2)
    honest = measures.honesty([points], projection.units(0, 1, 2), epochs=EPOCHS)
    np.testing.assert_allclose([*honest.kept, honest.kept_overall, honest.movement], 1)
    np.testing.assert_array_equal(honest.distance, 0)


def test_honesty_does_not_depend_on_how_the_frames_are_cut(monkeypatch):
    points = cloud()
    found = projection.pca(points)
    whole = measures.honesty([points], found, epochs=EPOCHS)

    def in_one_buffer():
        buffer = np.empty_like(points[:1])
        for frame in points:
            buffer[0] = frame
            yield buffer

    monkeypatch.setattr(directions, "_VALUES", 20)
    parts = measures.honesty(in_one_buffer(), found, epochs=EPOCHS)
    for name in ("kept", "distance", "distance_share", "kept_overall", "movement", "longer"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-12, atol=0)


def test_honesty_leaves_out_what_is_not_finite_and_says_nothing_about_what_stands_still():
    points = cloud()
    found = projection.pca(points)
    spoilt = points.copy()
    spoilt[1, :5] = np.nan
    spoilt[3] = np.inf
    honest = measures.honesty([spoilt], found, epochs=EPOCHS)
    expected = measures.honesty([points[:3, 5:]], found, epochs=EPOCHS[:3])
    np.testing.assert_allclose(honest.kept[1], expected.kept[1])
    assert np.isnan([honest.kept[3], honest.distance[3], honest.distance_share[3]]).all()
    exact = spoilt.astype(float)
    with np.errstate(invalid="ignore"):
        pairs = [np.linalg.norm(np.diff(x, axis=0), axis=2).ravel() for x in (exact, found(exact))]
    both = np.isfinite(pairs[0])
    assert honest.movement == pytest.approx(np.corrcoef(pairs[0][both], pairs[1][both])[0, 1])
    still = measures.honesty([np.ones((4, 5, 3))], projection.units(0, 1, 3), epochs=EPOCHS)
    assert np.isnan([*still.kept, *still.distance_share, still.kept_overall, still.movement]).all()
    assert still.longer == 0
    assert still.distance.tolist() == [0, 0, 0, 0]
