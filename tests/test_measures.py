"""Measures against plain NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from netlapse import measures
from netlapse.errors import MissingFrame, Unsupported
from netlapse.measures import plane
from netlapse.measures.milestones import Milestone
from netlapse.measures.task import leads

EPOCHS = np.array([0.0, 1.0, 2.0, 4.0])
TARGETS = np.array([0, 0, 1, 1, 1])
TASK = measures.task_of(TARGETS, link="sigmoid", units=1)
LOGITS = np.array([[-1, 2, -3, 0, 1], [-1, -2, 3, -1, 1], [-1, -2, 3, 0.5, 1], [-9, -8, 7, 6, 50]], float)[..., None]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def cross_entropy(z, y):
    return np.logaddexp(0, z) - z * y


LOSSES = cross_entropy(LOGITS[..., 0], TARGETS)


def curves():
    return measures.curves(LOSSES, LOGITS, epochs=EPOCHS, task=TASK, loss="binary cross-entropy")


def test_probabilities_and_their_histogram():
    measure = measures.class_probabilities(LOGITS, epochs=EPOCHS, task=TASK)
    positive = sigmoid(LOGITS[..., 0])
    np.testing.assert_allclose(measure.probabilities, np.stack([1 - positive, positive], axis=-1), atol=1e-14)
    np.testing.assert_allclose(measure.own, np.where(TARGETS == 1, positive, 1 - positive), atol=1e-14)
    for label in (0, 1):
        right, wrong, edges = measure.histogram(label)
        for row, (values, mistaken) in enumerate(zip(measure.own, measure.wrong, strict=True)):
            for found, which in ((right, ~mistaken), (wrong, mistaken)):
                own = values[which & (label == TARGETS)]
                ends = [*edges[1:-1], np.inf]
                expected = [((own >= low) & (own < high)).sum() for low, high in zip(edges[:-1], ends, strict=True)]
                assert found[row].tolist() == expected


@given(
    hnp.arrays(np.float32, (3, 7, 4), elements=st.floats(-200, 200, width=32)), st.integers(1, 20), st.integers(1, 4)
)
def test_no_probability_is_lost_from_the_histogram(logits, half, units):
    labels = np.array([0, 1, 1, 0, 1, 0, 0])
    task = measures.task_of(labels, link="sigmoid" if units == 1 else "softmax", units=units)
    measure = measures.class_probabilities(logits[..., :units], epochs=np.arange(3.0), task=task)
    assert ((measure.probabilities >= 0) & (measure.probabilities <= 1)).all()
    np.testing.assert_allclose(measure.probabilities.sum(axis=-1), 1, rtol=1e-5)
    for label, cases in ((0, 4), (1, 3)):
        right, wrong, edges = measure.histogram(label, bins=2 * half)
        assert ((right + wrong).sum(axis=1) == cases).all()
        if len(task.names) == 2:
            # Each bin is wholly right or wholly wrong but for a tie at a half.
            assert right[:, edges[1:] <= 0.5 - 1e-12].sum() <= (measure.own == 0.5).sum()
            assert wrong[:, edges[:-1] > 0.5 + 1e-12].sum() == 0


def test_curves_count_what_is_wrong():
    found = curves()
    np.testing.assert_allclose(found.loss, LOSSES.mean(axis=1))
    assert found.names == ("negative", "positive")
    assert found.counts.tolist() == [2, 3]
    assert found.wrong[:, 0].tolist() == [1, 0, 0, 0]
    assert found.wrong[:, 1].tolist() == [2, 1, 0, 0]  # a logit of exactly 0 is predicted negative
    np.testing.assert_allclose(found.accuracy, [0.4, 0.8, 1, 1])


def test_milestones_first_and_for_good():
    found = measures.milestones(curves())
    assert found.classes == {"negative": Milestone(1, 1), "positive": Milestone(2, 2)}
    assert found.all == Milestone(2, 2)
    lapse = measures.curves(LOSSES[[0, 2, 0, 3]], LOGITS[[0, 2, 0, 3]], epochs=EPOCHS, task=TASK, loss="")
    assert measures.milestones(lapse).all == Milestone(1, 4)
    never = measures.curves(LOSSES[[0, 2, 0, 0]], LOGITS[[0, 2, 0, 0]], epochs=EPOCHS, task=TASK, loss="")
    assert measures.milestones(never).all == Milestone(1, None)
    assert measures.milestones(never).classes["negative"] == Milestone(1, None)
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
    assert found.at(3).counts.tolist() == [2, 3]
    with pytest.raises(MissingFrame, match="epoch 5 lies outside the epochs 0 to 4"):
        found.at(5)
    losses = measures.sample_losses(LOSSES, LOGITS, epochs=EPOCHS, task=TASK, loss="")
    assert losses.at(0.25).wrong.tolist() == losses.wrong[:1].tolist()


def test_blocks_join_to_the_whole():
    found = curves()
    parts = [
        measures.curves(LOSSES[s], LOGITS[s], epochs=EPOCHS[s], task=TASK, loss="binary cross-entropy")
        for s in (slice(0, 1), slice(1, 4))
    ]
    joined = measures.Curves.join(parts)
    np.testing.assert_array_equal(joined.loss, found.loss)
    np.testing.assert_array_equal(joined.epochs, EPOCHS)


def test_losses_are_right_or_wrong():
    measure = measures.sample_losses(LOSSES, LOGITS, epochs=EPOCHS, task=TASK, loss="binary cross-entropy")
    right, wrong = measure.histogram(np.array([0, 0.5, 1.0, 60.0]))
    assert (right + wrong).sum(axis=1).tolist() == [5, 5, 5, 5]
    assert wrong.sum(axis=1).tolist() == [3, 1, 0, 0]
    # Cross-entropy above ln 2 is wrong, below it right.
    assert (measure.wrong == (np.log(2) <= LOSSES)).all()


def hidden_layer(weights, inputs):
    def layer(batch):
        return np.tanh(np.einsum("ni,fiu->fnu", batch.reshape(len(batch), -1).astype(float), weights))

    def hidden(more):
        values = layer(inputs if more is None else np.concatenate([inputs, more]))
        return values, head(values), np.ones(len(weights))

    def head(points):
        if points.ndim == 2:
            points = np.broadcast_to(points, (len(weights), *points.shape))
        return points @ np.array([[2.0], [-1.0]]) + 0.3

    return hidden, head


def test_feature_space_of_a_known_layer():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(3, 2, 2))
    inputs = rng.uniform(-1, 1, (20, 2)).astype("f4")
    hidden, head = hidden_layer(weights, inputs)
    task = measures.task_of((inputs[:, 0] > 0).astype(float), link="sigmoid", units=1)
    plain = measures.projection.units(0, 1, 2)
    space = measures.feature_space(
        hidden,
        head,
        layer="h",
        epochs=np.arange(3.0),
        inputs=inputs,
        task=task,
        projection=plain,
        inputs_projection=plain,
        domain=((-1, 1), (-1, 1)),
    )
    np.testing.assert_allclose(space.points, np.tanh(np.einsum("ni,fiu->fnu", inputs.astype(float), weights)))
    # The regions: the rest of the network at the crossings of the grid.
    expected = 2 * space.x[None, :] - space.y[:, None] + 0.3
    np.testing.assert_allclose(space.plane_logits[1, ..., 0], expected, atol=1e-6)
    assert space.agreement is None
    # Grid lines: 11 verticals, then 11 horizontals of the domain, warped.
    assert space.lines is not None
    vertical = np.stack([np.full(81, -1 + 0.2 * 3), np.linspace(-1, 1, 81)], axis=-1)
    np.testing.assert_allclose(space.lines[2, 3], np.tanh(vertical @ weights[2]), atol=1e-6)
    horizontal = vertical[:, ::-1]
    np.testing.assert_allclose(space.lines[2, 11 + 3], np.tanh(horizontal @ weights[2]), atol=1e-6)
    # The image of the domain and its logits belong together.
    assert space.image is not None
    expected = 2 * space.image[..., 0] - space.image[..., 1] + 0.3
    np.testing.assert_allclose(space.image_logits[..., 0], expected, atol=1e-6)
    (left, right), (bottom, top) = space.limits
    assert left < space.lines[..., 0].min() < space.lines[..., 0].max() < right
    assert bottom < space.points[..., 1].min() < space.points[..., 1].max() < top


def test_feature_space_of_more_inputs_has_a_grid_on_their_plane():
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(2, 6, 2))
    inputs = rng.normal(size=(9, 3, 2)).astype("f4")
    hidden, head = hidden_layer(weights, inputs)
    plane_of_inputs = measures.projection.pca(inputs.reshape(9, 6))
    space = measures.feature_space(
        hidden,
        head,
        layer="h",
        epochs=np.arange(2.0),
        inputs=inputs,
        task=measures.task_of(np.arange(9) % 2, link="sigmoid", units=1),
        projection=measures.projection.units(0, 1, 2),
        inputs_projection=plane_of_inputs,
    )
    assert space.inputs_plane == "PCA of 6 inputs"
    assert space.lines is not None
    assert space.domain is not None
    places = plane.lattice(space.domain, 11, 41).reshape(-1, 2)
    expected = np.tanh(plane_of_inputs.lift(places, inputs.reshape(9, 6).mean(axis=0)) @ weights[1])
    np.testing.assert_allclose(space.lines[1].reshape(-1, 2), expected, atol=1e-5)
    assert space.image is None
    assert space.at(0.5).points.shape == (1, 9, 2)


def test_boundary_is_the_network_on_the_grid():
    inputs = np.random.default_rng(0).uniform(-1, 1, (10, 2))
    found = measures.decision_boundary(
        lambda x: (x[None, :, :1] * 3 - x[None, :, 1:]).astype("f4"),
        epochs=np.array([0.0]),
        inputs=inputs,
        task=measures.task_of(np.arange(10) % 2, link="sigmoid", units=1),
        projection=measures.projection.units(0, 1, 2),
        resolution=11,
    )
    np.testing.assert_allclose(found.plane_logits[0, ..., 0], 3 * found.x[None, :] - found.y[:, None], atol=1e-6)
    assert found.wrong.tolist() == [((3 * inputs[:, 0] - inputs[:, 1] > 0) != (np.arange(10) % 2)).tolist()]
    assert found.agreement is None


def test_boundary_on_a_plane_through_many_inputs():
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(40, 5))
    kernel = rng.normal(size=(5, 3))
    labels = np.arange(40) % 3
    flat = measures.projection.pca(inputs)
    found = measures.decision_boundary(
        lambda x: (x @ kernel)[None],
        epochs=np.array([0.0]),
        inputs=inputs,
        task=measures.task_of(labels, link="softmax", units=3),
        projection=flat,
        resolution=7,
    )
    mean = inputs.mean(axis=0)
    for row, column in ((0, 0), (3, 5), (6, 2)):
        point = mean + (np.array([found.x[column], found.y[row]]) - flat(mean)) @ flat.basis.T
        np.testing.assert_allclose(found.plane_logits[0, row, column], point @ kernel, atol=1e-5)
    on_plane = (mean + (flat(inputs) - flat(mean)) @ flat.basis.T) @ kernel
    same = on_plane.argmax(axis=1) == (inputs @ kernel).argmax(axis=1)
    np.testing.assert_allclose(found.agreement, same.mean())
    assert found.wrong.tolist() == [((inputs @ kernel).argmax(axis=1) != labels).tolist()]


@pytest.mark.parametrize(
    ("targets", "link", "units", "kind", "names"),
    [
        (TARGETS, "sigmoid", 1, measures.Classes, ("negative", "positive")),
        (TARGETS[:, None], "softmax", 2, measures.Classes, ("0", "1")),
        (TARGETS, "identity", 1, measures.Quantities, ("value",)),
        (np.array([0, 2, 1, 4, 1]), "softmax", 5, measures.Classes, ("0", "1", "2", "3", "4")),
        (np.array([0, 2, 1, 4, 1]), "identity", 5, measures.Classes, ("0", "1", "2", "3", "4")),
        (np.eye(5)[[0, 2, 1, 4, 1]], "softmax", 5, measures.Classes, ("0", "1", "2", "3", "4")),
        (np.eye(5)[[0, 2, 1, 4, 1]], "sigmoid", 5, measures.Classes, ("0", "1", "2", "3", "4")),
        (np.array([[0.1, 0.9], [0.7, 0.3]]), "softmax", 2, measures.Classes, ("0", "1")),
        (np.array([[0, 0, 1], [1, 0, 1]]), "sigmoid", 3, measures.Labels, ("0", "1", "2")),
        (np.array([[0.5, 7], [1, 0]]), "identity", 2, measures.Quantities, ("value 1", "value 2")),
    ],
)
def test_what_targets_ask_for(targets, link, units, kind, names):
    task = measures.task_of(targets, link=link, units=units)
    assert type(task) is kind
    assert task.names == names


@pytest.mark.parametrize(
    ("targets", "units", "message"),
    [
        (
            np.array([1, 2, 1]),
            1,
            "the values 1, 2 for one output unit with a probability; this view takes labels 0 and",
        ),
        (np.array([0, 3, 1]), 3, "the values 0, 1, 3 for 3 output units; this view takes labels from 0 to 2"),
        (np.eye(3), 5, "3 numbers for each example and the output 5 units"),
    ],
)
def test_targets_must_fit_the_output(targets, units, message):
    with pytest.raises(Unsupported, match=message):
        measures.task_of(targets, link="softmax", units=units)


def test_names_of_classes_are_taken_where_there_are_as_many():
    assert measures.task_of(TARGETS, link="sigmoid", units=1, names=["no", "yes"]).names == ("no", "yes")
    assert measures.task_of(TARGETS, link="softmax", units=3, names=["no", "yes"]).names == ("0", "1", "2")


@given(hnp.arrays(np.float64, (6, 5), elements=st.floats(-9, 9)))
def test_one_class_leads(scores):
    found = leads(scores)
    for row, lead in zip(scores, found, strict=True):
        for k in range(5):
            assert lead[k] == row[k] - np.delete(row, k).max()


def test_labels_are_wrong_one_by_one():
    present = np.array([[1, 0], [1, 1], [0, 0]])
    task = measures.task_of(present, link="sigmoid", units=2)
    logits = np.array([[[1, -1], [1, -1], [-1, np.nan]]])
    found = measures.curves(np.ones((1, 3)), logits, epochs=np.zeros(1), task=task, loss="")
    assert task.wrong(logits).tolist() == [[False, True, True]]
    assert found.wrong.tolist() == [[0, 2]]
    assert found.accuracy.tolist() == [1 - 2 / 6]
    one = task.one("1")
    assert one.labels.tolist() == [0, 1, 0]
    assert one.names == ("not 1", "1")
    with pytest.raises(Unsupported, match="no label '7'; there are 0, 1"):
        task.one("7")


def test_quantities_have_r2_and_nothing_wrong():
    wanted = np.array([[1.0, 0], [2, 0], [4, 3]])
    outputs = np.array([wanted, wanted + 1])
    task = measures.task_of(wanted, link="identity", units=2)
    found = measures.curves(np.ones((2, 3)), outputs, epochs=np.arange(2.0), task=task, loss="")
    np.testing.assert_allclose(found.score, [1, np.mean([1 - 3 / 14 * 3, 1 - 3 / 6])])
    assert measures.sample_losses(np.ones((2, 3)), outputs, epochs=np.arange(2.0), task=task, loss="").wrong is None
    with pytest.raises(Unsupported, match="predicts quantities; `score` is their R²"):
        _ = found.accuracy
    with pytest.raises(Unsupported, match="none is right or wrong"):
        measures.milestones(found)


def test_scores_that_are_no_probabilities_are_refused():
    task = measures.task_of(np.array([0, 1, 2]), link="identity", units=3)
    with pytest.raises(Unsupported, match="nothing makes probabilities of"):
        measures.class_probabilities(np.zeros((1, 3, 3)), epochs=np.zeros(1), task=task)


def test_nan_is_wrong_and_in_no_bin():
    logits = np.full((1, 5, 1), np.nan)
    found = measures.curves(logits[..., 0], logits, epochs=np.zeros(1), task=TASK, loss="")
    assert found.accuracy.tolist() == [0]
    probabilities = measures.class_probabilities(logits, epochs=np.zeros(1), task=TASK)
    assert sum(part.sum() for part in probabilities.histogram(1)[:2]) == 0


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
