"""How examples are learnt: numbers against a plain loop, planted label noise, pictures."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlapse
from netlapse import figures, measures
from netlapse.errors import MissingFrame, Unsupported
from netlapse.figures.learning_order import _barcode as barcode
from netlapse.figures.stage import DPI, new_figure
from netlapse.figures.theme import LIGHT
from tests.test_figures import assert_legible, axes

# The function of this name hides the module.
cards = sys.modules["netlapse.figures.hard_examples"]
FRAMES, EXAMPLES, CLASSES = 9, 40, 4
FIELDS = (
    *("labels", "rather", "first", "for_good", "forgotten"),
    *("margin", "confidence", "variability", "correctness", "loss", "lost"),
)


def logits_and_targets(seed=0, frames=FRAMES, examples=EXAMPLES, classes=CLASSES):
    """Logits that are right more and more often, and labels."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(classes, size=examples)
    logits = rng.normal(size=(frames, examples, classes)) * 2
    logits[:, np.arange(examples), targets] += np.linspace(-1, 4, frames)[:, None]
    return logits.astype(np.float32), targets


def dynamics(logits, targets, **options) -> measures.ExampleDynamics:
    return measures.example_dynamics([logits], epochs=np.arange(1.0, len(logits) + 1), targets=targets, **options)


def by_hand(logits, label, epochs):
    """The same numbers of one example, (frame, class), frame by frame and number by number."""
    right, p_label, p_all, margins, losses = [], [], [], [], []
    for row in np.where(np.isneginf(logits), -103.28, logits).tolist():
        if not all(map(math.isfinite, row)):
            right.append(False)
            continue
        p = [math.exp(z) / sum(map(math.exp, row)) for z in row]
        right.append(row.index(max(row)) == label)
        p_label.append(p[label])
        p_all.append(p)
        margins.append(row[label] - max(z for k, z in enumerate(row) if k != label))
        losses.append(-math.log(p[label]))
    first = next((epoch for epoch, good in zip(epochs, right, strict=True) if good), math.nan)
    for_good = next((epoch for k, epoch in enumerate(epochs) if all(right[k:])), math.nan)
    events = sum(good and not after for good, after in pairwise(right))
    count = len(margins)
    confidence = sum(p_label) / count if count else math.nan
    others = {k: sum(p[k] for p in p_all) for k in range(logits.shape[1]) if k != label}
    return {
        "labels": label,
        "rather": max(others, key=others.__getitem__),
        "first": first,
        "for_good": for_good,
        "forgotten": events if any(right) else math.inf,
        "margin": sum(margins) / count if count else math.nan,
        "confidence": confidence,
        "variability": math.sqrt(sum((p - confidence) ** 2 for p in p_label) / count) if count else math.nan,
        "correctness": sum(right) / len(right),
        "loss": sum(losses) / count if count else math.nan,
        "lost": len(right) - count,
    }


@given(st.integers(0, 1000), st.integers(1, 7), st.integers(2, 5), st.booleans())
@settings(max_examples=40, deadline=None)
def test_every_number_is_that_of_a_plain_loop(seed, frames, classes, diverging):
    logits, targets = logits_and_targets(seed, frames, 12, classes)
    if diverging:
        logits[np.random.default_rng(seed).random(logits.shape) < 0.2] = np.nan
        logits[:, 3, 0] = np.inf
        logits[:, 4, 0] = -np.inf
    found = dynamics(logits, targets)
    for example, label in enumerate(targets.tolist()):
        for name, value in by_hand(logits[:, example].astype(float), label, found.epochs).items():
            assert getattr(found, name)[example] == pytest.approx(value, abs=2e-7, nan_ok=True), name


def test_learnt_forgotten_and_never_learnt():
    right = np.array(
        [[0, 0, 1, 1, 1, 1], [1, 0, 1, 0, 1, 1], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 0]], bool
    )
    found = dynamics(np.where(right, 1.0, -1.0).T[:, :, None], np.ones(5))
    np.testing.assert_array_equal(found.right, right.T)
    np.testing.assert_array_equal(found.first, [3, 1, np.nan, 1, 2])
    np.testing.assert_array_equal(found.for_good, [3, 5, np.nan, 1, np.nan])
    np.testing.assert_array_equal(found.forgotten, [0, 2, np.inf, 0, 1])
    assert found.order().tolist() == [3, 0, 1, 4, 2]
    assert [found.why(k) for k in range(5)] == [
        "learnt at epoch 3",
        "learnt at epoch 5, forgotten 2 times",
        "never learnt",
        "learnt at epoch 1",
        "right from epoch 2, wrong in the end, forgotten once",
    ]


def test_blocks_make_no_difference():
    logits, targets = logits_and_targets()
    whole = dynamics(logits, targets)
    blocks = (logits[start : start + 2] for start in range(0, FRAMES, 2))
    streamed = measures.example_dynamics(blocks, epochs=whole.epochs, targets=targets)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(streamed, name), getattr(whole, name))


def test_one_unit_is_two_classes():
    logits, targets = logits_and_targets(classes=2)
    difference = logits[..., 1:] - logits[..., :1]
    one = dynamics(difference, targets, class_names=("no", "yes"))
    two = dynamics(np.concatenate([np.zeros_like(difference), difference], axis=2), targets[:, None])
    for name in FIELDS:
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-6)
    assert one.class_names == ("no", "yes")
    assert two.class_names == ("0", "1")
    # A logit of exactly 0 says negative, as everywhere.
    np.testing.assert_array_equal(dynamics(np.zeros((1, 2, 1)), np.array([0, 1])).right, [[True, False]])


def test_targets_may_be_one_number_per_class():
    logits, targets = logits_and_targets()
    np.testing.assert_array_equal(dynamics(logits, np.eye(CLASSES)[targets]).margin, dynamics(logits, targets).margin)
    for unfit in (targets + 1, targets + 0.5, np.zeros((EXAMPLES, CLASSES + 1))):
        with pytest.raises(Unsupported, match="are not labels from 0 to 3"):
            dynamics(logits, unfit)
    with pytest.raises(Unsupported, match="one class per example"):
        dynamics(logits[..., None], targets)


def test_logits_of_any_size():
    # Probabilities that are 0 in single precision, and logits of which no exponential can be taken.
    assert dynamics(np.full((2, 1, 1), np.inf), np.zeros(1)).loss == pytest.approx(103.28)
    assert dynamics(np.full((2, 1, 1), -np.inf), np.zeros(1)).loss == 0
    found = dynamics(np.array([[[-5000.0, 300.0, 200.0]]]), np.array([2]))
    assert (found.margin[0], found.loss[0], found.confidence[0], found.lost[0]) == (-100, 100, np.exp(-100), 0)


def test_a_diverged_run_is_wrong_and_its_means_are_those_before():
    logits, targets = logits_and_targets()
    before = dynamics(logits[:6], targets)
    logits[6:] = np.nan
    logits[:, 0] = np.nan
    found = dynamics(logits, targets)
    assert not found.right[6:].any()
    assert found.lost.tolist() == [FRAMES] + [3] * (EXAMPLES - 1)
    for name in ("margin", "confidence", "variability", "loss"):
        np.testing.assert_array_equal(getattr(found, name)[1:], getattr(before, name)[1:])
        assert np.isnan(getattr(found, name)[0])
    assert found.worst(EXAMPLES)[-1] == 0
    assert not found.suspicious[0]
    assert found.why(0) == "logits are not a number"
    assert np.isnan(found.for_good).all()


def test_planted_labels_are_suspicious():
    rng = np.random.default_rng(1)
    truth = rng.integers(CLASSES, size=400)
    logits = rng.normal(size=(FRAMES, 400, CLASSES))
    logits[:, np.arange(400), truth] += np.linspace(0, 6, FRAMES)[:, None]
    planted = np.arange(20) * 20
    given_labels = truth.copy()
    given_labels[planted] = (truth[planted] + 1) % CLASSES
    found = dynamics(logits, given_labels, index=np.arange(400) + 1000)
    assert np.flatnonzero(found.suspicious).tolist() == planted.tolist()
    assert sorted(found.worst(20)) == planted.tolist()
    np.testing.assert_array_equal(found.rather[planted], truth[planted])
    # What was right from the beginning has one group of losses, with a tail.
    assert not dynamics(logits, truth).suspicious.any()
    table = found.table(found.worst(3))
    assert {len(column) for column in table.values()} == {3}
    assert all(table["suspicious"])
    assert (table["index"] >= 1000).all()
    assert table["why"][0].startswith(f"rather {table['rather'][0]}, never learnt")
    assert len(found.table()["label"]) == 400


def test_the_table_is_a_data_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(dynamics(*logits_and_targets()).table())
    assert frame.shape == (EXAMPLES, 14)


def test_a_class_that_is_learnt_late_is_not_suspicious():
    targets = np.arange(120) % 3
    logits = np.random.default_rng(0).normal(size=(FRAMES, 120, 3))
    logits[:, np.arange(120), np.where(targets == 2, 1, targets)] += 6
    found = dynamics(logits, targets)
    assert (found.worst(40) % 3 == 2).all()
    assert not found.suspicious.any()
    targets[:4] = [1, 2, 0, 1]
    assert np.flatnonzero(dynamics(logits, targets).suspicious).tolist() == [0, 2, 3]


@given(st.integers(0, 1000), st.floats(0.5, 4))
@settings(max_examples=30, deadline=None)
def test_the_border_is_that_of_the_least_variance_within(seed, apart):
    rng = np.random.default_rng(seed)
    losses = np.concatenate([rng.exponential(0.1, 60), apart + rng.normal(0, 0.2, 8)]).clip(0)
    found = replace(dynamics(*logits_and_targets(examples=68)), loss=losses, labels=np.zeros(68, int))

    def within(border):
        low, high = losses[losses <= border], losses[losses > border]
        return (((low - low.mean()) ** 2).sum() + ((high - high.mean()) ** 2).sum()) / losses.size

    border = min(np.sort(losses)[:-1], key=within)
    ratio = losses[losses > border].mean() / losses[losses <= border].mean()
    separate = within(border) <= 0.3 * losses.var() and ratio >= 3
    np.testing.assert_array_equal(found.suspicious, losses > border if separate else np.zeros(68, bool))


@pytest.fixture(scope="module")
def replay(keras, tmp_path_factory):
    """A network of three classes, of whose 150 examples 60 are the probe, recorded within epochs as well."""
    from netlapse.keras import Recorder

    rng = np.random.default_rng(0)
    targets = rng.integers(3, size=150)
    inputs = (rng.normal(size=(150, 5)) + 1.5 * np.eye(3, 5)[targets]).astype("f4")
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    path = tmp_path_factory.mktemp("runs") / "three"
    recorder = Recorder(
        path, probe=(inputs, targets), validation=(inputs[:20], targets[:20]), probe_size=60, class_names=list("abc")
    )
    model.fit(inputs, targets, epochs=5, batch_size=10, verbose=0, callbacks=[recorder])
    found = netlapse.open(path)
    found.data = inputs, targets
    return found


def test_a_run_gives_the_numbers_of_its_outputs(replay, monkeypatch):
    found = replay.example_dynamics()
    assert found.epochs.tolist() == [1, 2, 3, 4, 5]
    outputs = replay.outputs([1, 2, 3, 4, 5])
    for example, label in enumerate(replay.targets().tolist()):
        expected = by_hand(outputs[:, example].astype(float), label, found.epochs)
        for name, value in expected.items():
            assert getattr(found, name)[example] == pytest.approx(value, abs=1e-5, nan_ok=True), name
    inputs, targets = replay.data
    np.testing.assert_array_equal(inputs[found.index], replay.inputs())
    np.testing.assert_array_equal(targets[found.index], found.labels)
    np.testing.assert_allclose(found.loss, replay.losses([1, 2, 3, 4, 5]).mean(axis=0), rtol=1e-5)
    assert found.class_names == ("a", "b", "c")
    assert len(replay.example_dynamics(split="validation").margin) == 20
    assert replay.example_dynamics(slice(2, 4)).epochs.tolist()[0] == 2
    assert replay.example_dynamics(3).right.shape == (1, 60)
    monkeypatch.setattr("netlapse.replay.values.BLOCK_BYTES", 1)
    np.testing.assert_allclose(replay.example_dynamics().margin, found.margin, rtol=1e-5)


def test_a_run_without_the_end_of_an_epoch(replay, monkeypatch):
    monkeypatch.setattr(type(replay), "epochs", np.array([0.0, 0.25, 0.5]))
    with pytest.raises(MissingFrame, match="no frame at the end of an epoch"):
        replay.example_dynamics()


def test_predictions_are_the_probabilities_of_the_outputs(replay):
    found = replay.class_probabilities([0, 5], examples=[7, 3])
    outputs = replay.outputs([0, 5])[:, [7, 3]].astype(float)
    np.testing.assert_allclose(
        found.probabilities, np.exp(outputs) / np.exp(outputs).sum(axis=2, keepdims=True), rtol=1e-5
    )
    np.testing.assert_array_equal(found.labels, replay.targets()[[7, 3]])
    between = replay.class_probabilities([4, 5]).at(4.5)
    np.testing.assert_allclose(between.probabilities.sum(axis=2), 1, rtol=1e-5)


def test_a_regression_has_no_classes(keras, tmp_path):
    from netlapse.keras import capture

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    capture(model, tmp_path / "line", (np.zeros((4, 2)), np.arange(4.0)))
    with pytest.raises(Unsupported, match="predicts value, not classes"):
        netlapse.open(tmp_path / "line").example_dynamics()


def test_the_map_shows_every_example_and_rings_the_suspicious(replay):
    found = replay.example_dynamics()
    ax = axes()
    dots, rings = figures.cartography(found, ax)
    places = np.asarray(dots.get_offsets())
    order = np.argsort(-found.correctness, kind="stable")
    np.testing.assert_array_equal(places, np.stack([found.variability, found.confidence], axis=1)[order])
    np.testing.assert_array_equal(dots.get_array(), found.correctness[order])
    assert len(rings.get_offsets()) == found.suspicious.sum()
    # The half circle is where the probabilities are 0 and 1 only: nothing lies beyond.
    assert (places[:, 0] ** 2 <= places[:, 1] * (1 - places[:, 1]) + 1e-6).all()


def test_the_barcode_shows_who_was_wrong_when():
    logits, targets = logits_and_targets(examples=30)
    logits[:, 4, :] = 0
    logits[:, 4, targets[4]] = 1  # always right: no row
    found = dynamics(logits, targets)
    above, below = axes().figure.subplots(2)
    artists = figures.learning_order(found, [above, below], epoch=4)
    rows = [k for k in found.order() if not found.right[:, k].all()]
    assert 4 not in rows
    np.testing.assert_array_equal(below.images[0].get_array(), found.right[:, rows].T)
    line, _, count = artists[:3]
    assert line.get_xdata() == [4, 4]
    assert count.get_text() == f"{found.right[3].mean():.1%} right"
    for k, curve in enumerate(above.lines[:CLASSES]):
        own = found.for_good[found.labels == k]
        np.testing.assert_allclose(curve.get_ydata(), [(own <= epoch).mean() for epoch in found.epochs])


@pytest.mark.parametrize("size", [(480, 360), (720, 540), (1440, 720)])
@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (list("abcde"), 5),
        (["apple", "banana", "a long class name", "another long class name", "elephant", "fig"], 6),
        ([f"class {k}" for k in range(9)], 2),
    ],
)
def test_classes_are_named_above_the_curves(names, shown, size):
    found = dynamics(*logits_and_targets(frames=20, examples=400, classes=len(names)))
    figure = new_figure(size, DPI, LIGHT)
    grid = figure.add_gridspec(1, 1)[0].subgridspec(2, 1, height_ratios=(2, 3))
    above, below = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    figures.learning_order(replace(found, class_names=tuple(names)), [above, below])
    assert assert_legible(figure) > 10
    assert above.get_title("left") in ("Order of learning: share learnt for good", "Share learnt for good")
    legend = above.get_legend()
    assert [text.get_text()[0] for text in legend.get_texts()] == [name[0] for name in names][:shown]
    box = legend.get_window_extent()
    assert not box.overlaps(above.bbox)
    # Above it, and within it from side to side.
    assert box.y0 > above.bbox.y1
    assert above.bbox.x0 - 8 < box.x0 < box.x1 < above.bbox.x1 + 8


def test_the_barcode_of_uneven_and_of_many_epochs():
    right = np.array([[False, True, True, False]])
    uneven = measures.example_dynamics(
        [np.where(right, 1.0, -1.0).T[:, :, None]], epochs=np.array([1.0, 2, 4, 8]), targets=np.ones(1)
    )
    image = barcode(uneven, np.array([0]))
    edges = [0.5, 1.5, 3, 6, 10]  # half way between the frames, and as far beyond the first and the last
    np.testing.assert_allclose(image.sum(), (edges[3] - edges[1]) / (edges[4] - edges[0]) * image.size, atol=2)
    logits, targets = logits_and_targets(frames=3, examples=1000)
    many = dynamics(logits, targets)
    rows = barcode(many, many.order())
    assert len(rows) == 300
    assert rows.mean(axis=0) == pytest.approx(many.right.mean(axis=1), abs=0.01)


def test_cards_show_the_worst_and_what_the_network_says_now(replay):
    scene = figures.Panels(replay, [figures.panels.HardExamples(n=6)])
    found = replay.example_dynamics()
    worst = found.worst(6)
    words = [text.get_text() for text in scene.figure.axes[0].texts]
    assert [word for word in words if word.startswith("#")] == [
        f"#{found.index[k]}  loss {found.loss[k]:.2g}" for k in worst
    ]
    assert [word for word in words if word.startswith("given")] == [f"given {'abc'[found.labels[k]]}" for k in worst]
    for epoch in (0, 5):
        scene.show(epoch)
        outputs = replay.outputs(epoch)[worst].astype(float)
        p = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
        assert [ticker.get_text() for ticker in scene.drawn[0].parts[0].artists] == [
            f"says {'abc'[row.argmax()]} {row.max():.0%}" for row in p
        ]
    inputs = replay.inputs()
    unusual = np.abs((inputs[worst[0]] - inputs.mean(axis=0)) / inputs.std(axis=0)).argmax()
    assert any(word.startswith(f"feature {unusual} ") for word in words)


def test_as_many_cards_as_can_be_read(replay):
    assert cards.grid(25, (840, 360)) == (5, 5)
    for count in (1, 2, 7, 25, 100):
        rows, columns = cards.grid(count, (1000, 400))
        assert rows * columns >= count > (rows - 1) * columns
    assert cards.most((10, 10)) == 1
    for size in ((1440, 720), (700, 400)):
        figure = netlapse.plot(replay, panels=["hard_examples"], size=size)
        shown = len(figure.axes[0].child_axes)
        assert figure.axes[0].get_title("left") == f"The {shown} hardest of 60 examples, by mean loss"
        assert (shown == 25) is (size[0] == 1440)
        assert_legible(figure)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "names", [["cartography", "learning_order"], ["hard_examples"], ["hard_examples", "cartography"]]
)
def test_nothing_written_overlaps(replay, theme, names):
    assert assert_legible(netlapse.plot(replay, panels=names, theme=theme)) > 20


def test_images_need_a_shape_that_fits(replay):
    with pytest.raises(Unsupported, match="cannot be images of shape"):
        netlapse.plot(replay, panels=[figures.panels.HardExamples(shape=(8, 8))])
    figure = netlapse.plot(replay, panels=[figures.panels.HardExamples(n=4, shape=(1, 5))])
    images = [image for ax in figure.axes for child in ax.child_axes for image in child.images]
    worst = replay.example_dynamics().worst(4)
    expected = measures.as_images(replay.inputs(), (1, 5))
    for image, place in zip(images, worst, strict=True):
        np.testing.assert_array_equal(image.get_array(), expected[place])


def test_a_diverged_run_is_drawn_and_says_so(keras, tmp_path):
    from netlapse.keras import Recorder
    from tests.conftest import small_model

    inputs = np.random.default_rng(0).normal(size=(40, 2)).astype("f4")
    model = small_model(keras)

    class Diverge(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == after:
                model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])

    for after in (1, 0):
        recorder = Recorder(tmp_path / str(after), probe=(inputs, inputs[:, 0] > 0))
        model.fit(inputs, inputs[:, 0] > 0, epochs=3, verbose=0, callbacks=[Diverge(), recorder])
        replay = netlapse.open(tmp_path / str(after))
        assert (replay.example_dynamics().lost == 3 - after).all()
        scene = figures.Panels(
            replay, figures.scenes.panels_of(replay, ["hard_examples", "cartography", "learning_order"])
        )
        scene.show(3)
        assert {ticker.get_text() for ticker in scene.drawn[0].parts[0].artists} == {"not a number"}
        notes = [text.get_text() for text in scene.figure.axes[1].get_legend().get_texts()]
        suspicious = replay.example_dynamics().suspicious.sum()
        assert notes == [f"suspicious label ({suspicious})"] + ["40 not a number"] * (after == 0)
        assert scene.drawn[2].artists[2].get_text() == "0.0% right"
        assert_legible(scene.figure)
