"""Measures against plain NumPy in float64."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from netlapse import measures
from netlapse.errors import MissingFrame, Unsupported
from netlapse.measures import binary, plane
from netlapse.measures.milestones import Milestone

EPOCHS = np.array([0.0, 1.0, 2.0, 4.0])
TARGETS = np.array([0, 0, 1, 1, 1])
LOGITS = np.array([[-1, 2, -3, 0, 1], [-1, -2, 3, -1, 1], [-1, -2, 3, 0.5, 1], [-9, -8, 7, 6, 50]], float)[..., None]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def cross_entropy(z, y):
    return np.logaddexp(0, z) - z * y


LOSSES = cross_entropy(LOGITS[..., 0], TARGETS)


def curves():
    return measures.curves(LOSSES, LOGITS, epochs=EPOCHS, targets=TARGETS, loss="binary cross-entropy")


def test_probabilities_and_their_histogram():
    measure = measures.class_probabilities(LOGITS, epochs=EPOCHS, targets=TARGETS)
    np.testing.assert_allclose(measure.probabilities, sigmoid(LOGITS[..., 0]), rtol=1e-14)
    for positive in (False, True):
        counts, edges = measure.histogram(positive=positive)
        for row, values in zip(counts, measure.probabilities[:, positive == (TARGETS == 1)], strict=True):
            expected = [((values > low) & (values <= high)).sum() for low, high in pairwise(edges)]
            assert row.tolist() == expected


@given(hnp.arrays(np.float32, (3, 7), elements=st.floats(-200, 200, width=32)), st.integers(1, 20))
def test_no_probability_is_lost_from_the_histogram(logits, half):
    targets = np.array([0, 1, 1, 0, 1, 0, 0])
    measure = measures.class_probabilities(logits, epochs=np.arange(3.0), targets=targets)
    assert ((measure.probabilities >= 0) & (measure.probabilities <= 1)).all()
    for positive, cases in ((False, 4), (True, 3)):
        counts, edges = measure.histogram(positive=positive, bins=2 * half)
        assert (counts.sum(axis=1) == cases).all()
        says_positive = counts[:, edges[:-1] >= 0.5 - 1e-12].sum(axis=1)
        own = measure.probabilities[:, (targets == 1) == positive]
        assert says_positive.tolist() == (own > 0.5).sum(axis=1).tolist()


def test_curves_count_what_is_wrong():
    found = curves()
    np.testing.assert_allclose(found.loss, LOSSES.mean(axis=1))
    assert found.wrong_negatives.tolist() == [1, 0, 0, 0]
    assert found.wrong_positives.tolist() == [2, 1, 0, 0]  # a logit of exactly 0 is predicted negative
    np.testing.assert_allclose(found.accuracy, [0.4, 0.8, 1, 1])


def test_milestones_first_and_for_good():
    found = measures.milestones(curves())
    assert found.negative == Milestone(1, 1)
    assert found.positive == Milestone(2, 2)
    assert found.all == Milestone(2, 2)
    lapse = measures.curves(LOSSES[[0, 2, 0, 3]], LOGITS[[0, 2, 0, 3]], epochs=EPOCHS, targets=TARGETS, loss="")
    assert measures.milestones(lapse).all == Milestone(1, 4)
    never = measures.curves(LOSSES[[0, 2, 0, 0]], LOGITS[[0, 2, 0, 0]], epochs=EPOCHS, targets=TARGETS, loss="")
    assert measures.milestones(never).all == Milestone(1, None)
    assert measures.milestones(never).negative == Milestone(1, None)
    assert measures.milestones(never.at(0)).all == Milestone(None, None)


def test_a_plateau_is_found_where_it_was_put():
    epochs = np.arange(151.0)
    pace = np.where((epochs >= 40) & (epochs < 80), 1e-4, 0.04)
    loss = np.exp(-np.concatenate([[0], np.cumsum(pace)[:-1]]))
    [(start, stop)] = measures.plateaus(loss, epochs)
    assert abs(start - 40) <= 4
    assert abs(stop - 80) <= 4


@pytest.mark.parametrize(
    "loss",
    [np.exp(-0.02 * np.arange(151.0)), np.linspace(0.5, 0.7, 151), np.full(151, np.nan), np.zeros(151), np.ones(3)],
    ids=["steady", "rising", "nan", "zero", "short"],
)
def test_no_plateau_where_there_is_none(loss):
    assert measures.plateaus(loss, np.arange(float(len(loss)))) == ()


def test_at_takes_a_frame_and_interpolates_between_two():
    found = curves()
    assert found.at(1).loss.tolist() == [found.loss[1]]
    assert found.at(3).loss[0] == pytest.approx((found.loss[2] + found.loss[3]) / 2)
    assert found.is_recorded(4)
    assert not found.is_recorded(3)
    assert found.at(3).negatives == 2
    with pytest.raises(MissingFrame, match="epoch 5 lies outside the epochs 0 to 4"):
        found.at(5)
    losses = measures.sample_losses(LOSSES, LOGITS, epochs=EPOCHS, targets=TARGETS, loss="")
    assert losses.at(0.25).wrong.tolist() == losses.wrong[:1].tolist()


def test_blocks_join_to_the_whole():
    found = curves()
    parts = [
        measures.curves(LOSSES[s], LOGITS[s], epochs=EPOCHS[s], targets=TARGETS, loss="binary cross-entropy")
        for s in (slice(0, 1), slice(1, 4))
    ]
    joined = measures.Curves.join(parts)
    np.testing.assert_array_equal(joined.loss, found.loss)
    np.testing.assert_array_equal(joined.epochs, EPOCHS)


def test_losses_are_right_or_wrong():
    measure = measures.sample_losses(LOSSES, LOGITS, epochs=EPOCHS, targets=TARGETS, loss="binary cross-entropy")
    right, wrong = measure.histogram(np.array([0, 0.5, 1.0, 60.0]))
    assert (right + wrong).sum(axis=1).tolist() == [5, 5, 5, 5]
    assert wrong.sum(axis=1).tolist() == [3, 1, 0, 0]
    # Cross-entropy above ln 2 is wrong, below it right.
    assert (measure.wrong == (np.log(2) <= LOSSES)).all()


def hidden_layer(weights):
    def hidden(inputs):
        z = np.einsum("ni,fiu->fnu", inputs.astype(float), weights)
        return np.tanh(z), head(np.tanh(z))

    def head(points):
        if points.ndim == 2:
            points = np.broadcast_to(points, (len(weights), *points.shape))
        return points @ np.array([[2.0], [-1.0]]) + 0.3

    return hidden, head


def test_feature_space_of_a_known_layer():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(3, 2, 2))
    hidden, head = hidden_layer(weights)
    inputs = rng.uniform(-1, 1, (20, 2)).astype("f4")
    targets = (inputs[:, 0] > 0).astype(float)
    space = measures.feature_space(
        hidden, head, layer="h", epochs=np.arange(3.0), inputs=inputs, targets=targets, domain=((-1, 1), (-1, 1))
    )
    np.testing.assert_allclose(space.points, np.tanh(np.einsum("ni,fiu->fnu", inputs.astype(float), weights)))
    # The regions: the rest of the network at the crossings of the grid.
    expected = 2 * space.x[None, :] - space.y[:, None] + 0.3
    np.testing.assert_allclose(space.plane_logits[1], expected, atol=1e-6)
    # Grid lines: 11 verticals, then 11 horizontals of the domain, warped.
    assert space.lines is not None
    vertical = np.stack([np.full(81, -1 + 0.2 * 3), np.linspace(-1, 1, 81)], axis=-1)
    np.testing.assert_allclose(space.lines[2, 3], np.tanh(vertical @ weights[2]), atol=1e-6)
    horizontal = vertical[:, ::-1]
    np.testing.assert_allclose(space.lines[2, 11 + 3], np.tanh(horizontal @ weights[2]), atol=1e-6)
    # The image of the domain and its logits belong together.
    assert space.image is not None
    np.testing.assert_allclose(space.image_logits, 2 * space.image[..., 0] - space.image[..., 1] + 0.3, atol=1e-6)
    (left, right), (bottom, top) = space.limits
    assert left < space.lines[..., 0].min() < space.lines[..., 0].max() < right
    assert bottom < space.points[..., 1].min() < space.points[..., 1].max() < top


def test_feature_space_of_more_inputs_has_no_grid():
    weights = np.random.default_rng(1).normal(size=(2, 5, 2))
    hidden, head = hidden_layer(weights)
    inputs = np.random.default_rng(2).normal(size=(9, 5)).astype("f4")
    space = measures.feature_space(
        hidden, head, layer="h", epochs=np.arange(2.0), inputs=inputs, targets=np.arange(9) % 2
    )
    assert space.lines is None
    assert space.image is None
    assert space.at(0.5).points.shape == (1, 9, 2)


def test_boundary_is_the_network_on_the_grid():
    inputs = np.random.default_rng(0).uniform(-1, 1, (10, 2))
    found = measures.decision_boundary(
        lambda x: (x[None, :, :1] * 3 - x[None, :, 1:]).astype("f4"),
        epochs=np.array([0.0]),
        inputs=inputs,
        targets=np.arange(10) % 2,
        resolution=11,
    )
    np.testing.assert_allclose(found.grid_logits[0], 3 * found.x[None, :] - found.y[:, None], atol=1e-6)
    np.testing.assert_allclose(found.logits[0], 3 * inputs[:, 0] - inputs[:, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.array([1, 2, 1]), "labels 1, 2; this view shows binary classification with labels 0 and 1"),
        (np.array([-1.0, 1.0, 1.0]), "labels -1, 1"),
        (np.eye(3), r"shape \(3, 3\)"),
        (np.array([0.2, 0.5, 1.0]), "labels 0.2, 0.5, 1"),
    ],
)
def test_labels_must_be_0_or_1(targets, message):
    with pytest.raises(Unsupported, match=message):
        binary.labels(targets)


def test_more_output_units_are_refused():
    with pytest.raises(Unsupported, match="one output unit"):
        measures.class_probabilities(np.zeros((1, 5, 3)), epochs=np.zeros(1), targets=TARGETS)


def test_other_widths_and_inputs_are_refused():
    def hidden(inputs):
        return np.zeros((1, len(inputs), 3)), np.zeros((1, len(inputs), 1))

    with pytest.raises(Unsupported, match="layers of two units"):
        measures.feature_space(
            hidden, hidden, layer="wide", epochs=np.zeros(1), inputs=np.zeros((5, 2)), targets=TARGETS
        )
    with pytest.raises(Unsupported, match="drawn for two inputs"):
        measures.decision_boundary(hidden, epochs=np.zeros(1), inputs=np.zeros((5, 3)), targets=TARGETS)


def test_nan_is_wrong_and_in_no_bin():
    logits = np.full((1, 5, 1), np.nan)
    found = measures.curves(logits[..., 0], logits, epochs=np.zeros(1), targets=TARGETS, loss="")
    assert found.accuracy.tolist() == [0]
    probabilities = measures.class_probabilities(logits, epochs=np.zeros(1), targets=TARGETS)
    assert probabilities.histogram(positive=True)[0].sum() == 0


def test_the_domain_is_a_square_around_alike_features():
    assert plane.domain(np.array([[-1, 0.0], [1, 0.5], [0.3, -0.5]])) == ((-1, 1), (-1, 1))
    assert plane.domain(np.array([[0, 0.0], [100, 1]])) == ((0, 100), (0, 1))


def test_limits_pass_over_what_is_not_finite_and_never_vanish():
    (left, right), _ = plane.limits(np.array([[0, 0], [np.nan, 5], [np.inf, 1], [2.0, 1]]))
    assert (left, right) == pytest.approx((-0.1, 2.1))
    (left, right), (bottom, top) = plane.limits(np.zeros((4, 2)))
    assert left < 0 < right
    assert bottom < 0 < top
    assert plane.limits(np.full((3, 2), np.nan)) == ((-1, 1), (-1, 1))
