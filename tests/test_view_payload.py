"""What the viewer is given: its numbers are those of the measures, at any frames, for every kind of run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import netlapse
from netlapse import measures
from netlapse.datasets import spirals
from netlapse.errors import MissingFrame, UnknownName
from netlapse.view import planes
from netlapse.view.encode import arrays_in
from netlapse.view.payload import shown
from tests.conftest import small_model

# What a byte that stands for a value may be off by.
HALF_LEAD, HALF_SHARE = 1 / 254 + 1e-6, 0.5 / 255 + 1e-6


def read(content, array, *frames):
    """An array's values."""
    values = content.numbers(array["name"], *frames)
    assert values.dtype == array["dtype"]
    if not frames:
        assert list(values.shape) == array["shape"]
    assert len(array["axes"]) == values.ndim
    found = array["low"] + array["step"] * values.astype(float)
    if array["gaps"] and values.dtype != np.float32:
        found[values == np.iinfo(values.dtype).max] = np.nan
    return found


@pytest.fixture(scope="module")
def record(keras, tmp_path_factory):
    """Records a small network of dense layers, or of given layers, for two epochs."""
    from netlapse.keras import Recorder

    def made(data, layers, loss, **options):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input(np.shape(data[0])[1:]), *layers])
        model.compile("adam", loss)
        path = tmp_path_factory.mktemp("view") / "run"
        model.fit(*data, epochs=2, verbose=0, callbacks=[Recorder(path, probe=data, **options)])
        return netlapse.open(path)

    return made


@pytest.fixture(scope="module")
def dense(keras):
    return keras.layers.Dense


@pytest.fixture(scope="module")
def small(small_run):
    replay = netlapse.open(small_run)
    return replay, shown([replay])


@pytest.fixture(scope="module")
def wide(record, dense):
    """Three classes, a hidden layer of five units and one of two."""
    data = spirals(90, classes=3)
    layers = [dense(5, "tanh", name="wide"), dense(2, "tanh", name="narrow"), dense(3, "softmax", name="out")]
    return record(data, layers, "sparse_categorical_crossentropy", validation=data)


def test_typescript_is_that_of_the_schema():
    printed = subprocess.run(
        [sys.executable, "-m", "netlapse.view.schema"], capture_output=True, text=True, check=True
    ).stdout
    assert printed == (Path(__file__).parents[1] / "viewer" / "src" / "data" / "schema.ts").read_text()


def test_numbers_are_those_of_the_measures(small):
    replay, content = small
    [run] = content.payload["runs"]
    json.dumps(content.payload, allow_nan=False)
    np.testing.assert_allclose(read(content, run["epochs"]), replay.epochs)
    np.testing.assert_array_equal(read(content, run["steps"]), replay.steps)
    np.testing.assert_allclose(read(content, run["inputs"]), replay.inputs(), rtol=1e-6)
    np.testing.assert_array_equal(read(content, run["labels"]), replay.task().labels)
    assert run["task"] == {"kind": "classes", "names": ["negative", "positive"], "link": "sigmoid"}
    assert run["example_numbers"] == list(range(200))
    near = {"rtol": 1e-5, "atol": 1e-6}
    probabilities = replay.class_probabilities()
    np.testing.assert_allclose(read(content, run["probabilities"]), probabilities.probabilities, **near)
    np.testing.assert_array_equal(read(content, run["wrong"]), probabilities.wrong)
    np.testing.assert_allclose(read(content, run["losses"]), replay.losses(), **near)
    loss, accuracy = run["curves"]
    assert (loss["quantity"], accuracy["quantity"]) == ("binary cross-entropy", "accuracy")
    np.testing.assert_allclose(read(content, loss["values"]), replay.curves().loss, **near)
    np.testing.assert_allclose(read(content, accuracy["values"]), replay.curves().accuracy, **near)
    np.testing.assert_allclose(read(content, run["mlp"]["mean_loss"]), replay.curves().loss, **near)
    weights = [layer["kernel"] for layer in run["mlp"]["layers"]]
    np.testing.assert_array_equal(read(content, weights[0]), replay.weights("hidden/kernel").astype(np.float32))
    assert run["mlp"]["training"] == {
        "optimizer": "SGD",
        "learning_rate": 0.5,
        "momentum": 0.0,
        "batch_size": 10,
        "loss": "binary cross-entropy",
    }


def test_planes_are_those_of_the_measures(small):
    replay, content = small
    [run] = content.payload["runs"]
    [space] = run["spaces"]
    limits = ((space["x"][0], space["x"][-1]), (space["y"][0], space["y"][-1]))
    wanted = replay.feature_space("hidden", limits=limits)
    for key, values in (("points", wanted.points), ("lines", wanted.lines)):
        np.testing.assert_allclose(read(content, space[key]), values, rtol=1e-5, atol=1e-5)
    lead = wanted.plane_logits[..., 0]
    np.testing.assert_allclose(read(content, space["regions"]), lead / (1 + abs(lead)), atol=HALF_LEAD)
    assert (space["origin"], space["basis"], space["kept"], space["agreement"]) == (None,) * 4
    # The grid's lines, put through the layer, are the warped ones.
    grid = read(content, space["grid"])
    hidden = replay.activations("hidden", inputs=grid.reshape(-1, 2).astype(np.float32))
    np.testing.assert_allclose(hidden.reshape(7, *grid.shape), wanted.lines, rtol=1e-5, atol=1e-5)
    boundary = run["boundary"]
    measured = replay.decision_boundary(resolution=planes.BOUNDARY)
    np.testing.assert_allclose(boundary["x"], measured.x, rtol=1e-6)
    np.testing.assert_allclose(read(content, boundary["points"])[0], measured.points, rtol=1e-6)
    lead = measured.plane_logits[..., 0]
    np.testing.assert_allclose(read(content, boundary["regions"]), lead / (1 + abs(lead)), atol=HALF_LEAD)
    # An edge stays where it is: 0 is one of the numbers.
    assert {-1.0, 0.0, 1.0} <= set(np.round(planes.LEAD.low + planes.LEAD.step * np.arange(255), 12))


def test_layers_and_units_are_those_of_the_measures(small):
    replay, content = small
    [run] = content.payload["runs"]
    assert [one["kind"] for one in run["distributions"]] == [
        *("weights", "gradients", "layer_gradients", "pre_activations", "activations")
    ]
    for one in run["distributions"]:
        wanted = replay.distributions(one["kind"], log=one["log"])
        assert one["layers"] == list(wanted.layers)
        scale = np.log10 if one["log"] else np.asarray
        np.testing.assert_allclose(read(content, one["edges"]), scale(wanted.edges), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(read(content, one["quantiles"]), scale(wanted.quantiles), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(read(content, one["densities"]), wanted.densities, atol=HALF_SHARE)
        np.testing.assert_allclose(read(content, one["zeros"]), wanted.zeros, rtol=1e-6)
    diagram = run["diagram"]
    assert [column["size"] for column in diagram["columns"]] == [2, 2, 1]
    np.testing.assert_allclose(read(content, diagram["weights"]), replay.network_weights().weights, rtol=1e-6)
    np.testing.assert_allclose(read(content, diagram["maps"]), replay.unit_maps().maps[:, 2:], rtol=1e-5, atol=1e-6)


def test_any_frames_are_those_of_all(small):
    _, content = small
    for array in arrays_in(content.payload):
        whole = content.numbers(array["name"])
        some = content.numbers(array["name"], 2, 5)
        if array["axes"][0] == "frame" and array["shape"][0] == 7:
            assert some.shape == (3, *whole.shape[1:])
            if whole.dtype == np.float32:
                # Compiled for another number of frames.
                np.testing.assert_allclose(some, whole[2:5], rtol=1e-4, atol=1e-5)
            else:
                assert np.abs(some.astype(int) - whole[2:5]).max() <= 1
    with pytest.raises(UnknownName, match="no array 'nothing'"):
        content.numbers("nothing")


@pytest.fixture(scope="module")
def several(small, wide):
    return shown([wide, small[0]], ahead=True)


def test_names_are_plain_and_arrays_named_once(several):
    names = [array["name"] for array in arrays_in(several.payload)]
    assert len(set(names)) == len(names)
    assert all(name.replace("/", "").replace("_", "").isalnum() and name.isascii() for name in names)


def test_wide_layers_have_a_projection_and_a_tour(wide, several):
    content, run = several, several.payload["runs"][0]
    assert [space["layer"] for space in run["spaces"]] == ["wide", "narrow"]
    [tour] = run["tours"]
    assert tour["layer"] == "wide"
    assert tour["scores"]["shape"] == [3, 90, 5]
    # All directions of the layer are there: distances are those of its activations.
    activations, scores = wide.activations("wide"), read(content, tour["scores"])
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(scores, axis=1), axis=-1),
        np.linalg.norm(np.diff(activations, axis=1), axis=-1),
        rtol=1e-3,
    )
    assert tour["kept"] == pytest.approx(1, abs=1e-4)
    points = read(content, run["spaces"][0]["points"])
    np.testing.assert_allclose(points, wide.projection("wide")(activations), atol=1e-4)
    assert read(content, run["spaces"][0]["kept"]).max() <= 1
    winners = set(np.unique(read(content, run["boundary"]["regions"])))
    assert winners <= {0, 1, 2}
    assert len(winners) > 1
    assert {curve["split"] for curve in run["curves"]} == {"train", "validation"}


def test_of_several_classes_the_winner_and_its_lead_are_given(wide, small, several):
    run = several.payload["runs"][0]
    domain = measures.plane.shared_domain([wide.inputs(), small[0].inputs()])
    logits = wide.decision_boundary(domain=domain, resolution=planes.BOUNDARY).plane_logits
    _, second, first = np.moveaxis(np.sort(logits, axis=-1), -1, 0)
    boundary = run["boundary"]
    np.testing.assert_array_equal(read(several, boundary["regions"]), logits.argmax(axis=-1))
    lead, winner = first - second, logits.argmax(axis=-1)
    found = read(several, boundary["leads"])
    edges = 0
    for frame, row, column in np.ndindex(found.shape):
        beside = [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
        others = {winner[frame, a, b] for a, b in beside if 0 <= a < planes.BOUNDARY and 0 <= b < planes.BOUNDARY}
        alone = others == {winner[frame, row, column]}
        ahead = lead[frame, row, column]
        assert found[frame, row, column] == pytest.approx(1 if alone else ahead / (1 + ahead), abs=HALF_LEAD)
        edges += not alone
    assert 0 < edges < found.size / 4
    assert several.payload["runs"][1]["boundary"]["leads"] is None
    assert all(space["leads"]["shape"] == space["regions"]["shape"] for space in run["spaces"])


@pytest.mark.parametrize(("count", "dtype"), [(255, "uint8"), (256, "uint16"), (300, "uint16")])
def test_no_class_is_taken_for_a_gap(count, dtype):
    task = measures.Classes(np.arange(count), tuple(map(str, range(count))))
    logits = np.eye(count, dtype="float32")[None, None]
    logits[0, 0, 3] = np.nan
    winners = planes.regions(task, logits)[0, 0]
    assert winners.dtype == dtype
    assert winners[3] == np.iinfo(dtype).max
    assert np.delete(winners, 3).tolist() == [0, 1, 2, *range(4, count)]
    assert (np.delete(winners, 3) != np.iinfo(dtype).max).all()


def test_runs_that_are_compared_share_scales(keras, small, tmp_path):
    from netlapse.keras import Recorder

    replay, _ = small
    inputs, targets = replay.inputs(), replay.targets()
    model = small_model(keras, "relu", seed=5)
    path = tmp_path / "relu"
    model.fit(2 * inputs, targets, epochs=1, verbose=0, callbacks=[Recorder(path, probe=(2 * inputs, targets))])
    content = shown([replay, netlapse.open(path)], ahead=True)
    one, two = content.payload["runs"]
    assert "activation" in content.payload["differing"]
    assert not any("." in name for name in content.payload["differing"])
    own = []
    for run in (one, two):
        space = run["spaces"][0]
        there = np.concatenate([read(content, space[key]).reshape(-1, 2) for key in ("points", "lines")])
        margin = 0.05 * np.ptp(there, axis=0)
        ends = np.array([space["own_x"], space["own_y"]])
        np.testing.assert_allclose(ends.T, [there.min(axis=0) - margin, there.max(axis=0) + margin], rtol=1e-4)
        own.append(ends)
    assert own[0][0, 1] < own[1][0, 1] / 2  # tanh, beside ReLU
    space = one["spaces"][0]
    whole = [[space[axis][0], space[axis][-1]] for axis in "xy"]
    np.testing.assert_allclose(whole, np.stack([np.min(own, axis=0)[:, 0], np.max(own, axis=0)[:, 1]], axis=1))
    for first, second in ((one["spaces"][0], two["spaces"][0]), (one["boundary"], two["boundary"])):
        assert (first["x"], first["y"], first["projection"]) == (second["x"], second["y"], second["projection"])
    np.testing.assert_allclose(
        one["boundary"]["x"][-1], measures.plane.widen(measures.plane.domain(2 * inputs), 0.05)[0][1], rtol=1e-6
    )


def test_long_runs_and_many_examples_are_thinned_and_say_so(small):
    replay, whole = small
    content = shown([replay, replay], most_frames=4, most_examples=50)
    one, two = content.payload["runs"]
    assert {
        "4 of 7 frames are shown, evenly spaced",
        "50 of 200 examples are shown, evenly spaced; curves are of all",
    } == set(one["missing"])
    epochs = read(content, one["epochs"])
    assert epochs[[0, -1]].tolist() == [0, 6]
    assert one["example_numbers"] == two["example_numbers"]
    places, frames = one["example_numbers"], epochs.astype(int)
    [run] = whole.payload["runs"]
    for key in ("losses", "probabilities", "wrong"):
        wanted = read(whole, run[key])[frames][:, places]
        np.testing.assert_allclose(read(content, one[key]), wanted, rtol=1e-4, atol=1e-5)
    curve = read(whole, run["curves"][0]["values"])[frames]
    np.testing.assert_allclose(read(content, one["curves"][0]["values"]), curve, rtol=1e-5)
    assert len(read(content, one["inputs"])) == len(read(content, one["labels"])) == 50


def test_frames_of_milestones_are_kept(small):
    replay, _ = small
    marks = [{"kind": "milestone", "text": "", "start": 5.0, "stop": 5.0}]
    from netlapse.view.selection import _frames

    assert _frames(replay, marks, 3).tolist() == [0, 5, 6]


def test_a_network_of_quantities(record, dense):
    line = np.linspace(-1, 1, 40, dtype="float32")[:, None]
    replay = record((line, np.hstack([line**2, line])), [dense(4, "tanh"), dense(2)], "mse")
    content = shown([replay], ahead=True)
    [run] = content.payload["runs"]
    assert run["task"]["kind"] == "quantities"
    assert run["labels"] is run["probabilities"] is run["wrong"] is run["boundary"] is None
    np.testing.assert_allclose(read(content, run["predictions"]), replay.outputs(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(read(content, run["targets"]), replay.targets(), rtol=1e-6)
    assert [curve["quantity"] for curve in run["curves"]] == ["mean squared error", "R²"]
    assert run["diagram"]["maps"] is None
    read(content, run["spaces"][0]["regions"])


def test_it_says_what_acts_in_training_only(record, dense, keras):
    inputs = np.random.default_rng(0).normal(size=(20, 2)).astype("float32")
    noisy = [keras.layers.GaussianNoise(0.1), dense(3, "tanh"), keras.layers.Dropout(0.2), dense(1)]
    for layers, noise in ((noisy, ["Dropout", "GaussianNoise"]), ([dense(1)], [])):
        content = shown([record((inputs, inputs[:, :1]), layers, "mse")])
        assert content.payload["runs"][0]["mlp"]["noise"] == noise


def test_it_says_how_points_of_a_wide_layer_are_projected(record, dense):
    draw = np.random.default_rng(0)
    inputs, labels = draw.normal(size=(40, 2)).astype("float32"), draw.integers(0, 3, 40)
    replay = record((inputs, labels), [dense(5, "tanh"), dense(3, "softmax")], "sparse_categorical_crossentropy")
    content = shown([replay], ahead=True)
    space = content.payload["runs"][0]["spaces"][0]
    origin, basis = read(content, space["origin"]), read(content, space["basis"])
    assert (origin.shape, basis.shape) == ((5,), (5, 2))
    np.testing.assert_allclose(basis.T @ basis, np.eye(2), atol=1e-6)
    points = (replay.activations(space["layer"]) - origin) @ basis
    np.testing.assert_allclose(read(content, space["points"]), points, rtol=1e-4, atol=1e-5)


def test_a_network_of_labels(record, dense):
    inputs = np.random.default_rng(0).normal(size=(30, 2)).astype("float32")
    replay = record(
        (inputs, (inputs > 0).astype("float32")), [dense(2, "tanh"), dense(2, "sigmoid")], "binary_crossentropy"
    )
    content = shown([replay], ahead=True)
    [run] = content.payload["runs"]
    assert run["task"] == {"kind": "labels", "names": ["0", "1"], "link": "sigmoid"}
    np.testing.assert_allclose(
        read(content, run["probabilities"])[..., 1], replay.outputs()[..., 0], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(read(content, run["labels"]), inputs[:, 0] > 0)
    np.testing.assert_array_equal(read(content, run["wrong"]), ((replay.outputs() > 0.5) != (inputs > 0)).any(axis=2))


def test_a_network_of_images(record, keras, dense):
    draw = np.random.default_rng(0)
    images, labels = draw.random((20, 6, 6, 1)).astype("float32"), np.arange(20) % 3
    layers = [keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Flatten(), dense(3, "softmax")]
    content = shown([record((images, labels), layers, "sparse_categorical_crossentropy")], ahead=True)
    [run] = content.payload["runs"]
    assert run["inputs"] is run["diagram"] is run["mlp"] is None
    np.testing.assert_allclose(read(content, run["images"]), images, atol=HALF_SHARE)
    assert run["boundary"]["agreement"] is not None
    assert len(run["boundary"]["x"]) == 61
    for array in arrays_in(run):
        read(content, array)


def test_a_network_of_tokens(record, keras, dense):
    tokens = np.random.default_rng(0).integers(0, 9, (20, 5))
    layers = [keras.layers.Embedding(9, 4), dense(9, "softmax")]
    content = shown([record((tokens, tokens), layers, "sparse_categorical_crossentropy")], ahead=True)
    [run] = content.payload["runs"]
    assert run["boundary"] is run["wrong"] is run["probabilities"] is None
    assert any("no predictions" in text for text in run["missing"])
    assert np.isfinite(read(content, run["losses"])).all()


@pytest.fixture(scope="module")
def in_parts(keras, tmp_path_factory):
    """A run whose frames lie in two segments, as that of a recorder that was killed."""
    from netlapse.datasets import parabolas
    from netlapse.keras import Recorder

    folder = tmp_path_factory.mktemp("parts")
    data = parabolas(40)
    recorder = Recorder(folder / "whole", probe=data)

    def keep(epoch, logs):
        recorder.recording._writer.flush()
        if epoch == 3:
            shutil.copytree(folder / "whole", folder / "run")

    small_model(keras).fit(
        *data, epochs=4, verbose=0, callbacks=[recorder, keras.callbacks.LambdaCallback(on_epoch_end=keep)]
    )
    return folder / "run"


def damaged(in_parts, folder, change):
    copy = Path(shutil.copytree(in_parts, folder / "run"))
    segment = sorted((copy / "frames").glob("*.safetensors"))[1]
    segment.write_bytes(change(segment.read_bytes()))
    return copy, segment.name


def test_of_a_truncated_run_what_survives_is_shown(in_parts, tmp_path):
    path, name = damaged(in_parts, tmp_path, lambda content: content[:100])
    with pytest.warns(UserWarning, match="left out"):
        replay = netlapse.open(path)
    content = shown([replay], ahead=True)
    [run] = content.payload["runs"]
    assert run["epochs"]["shape"] == [len(replay.epochs)]
    assert any(name in text for text in run["missing"])


def test_of_an_altered_run_what_survives_is_shown(in_parts, tmp_path):
    path, name = damaged(in_parts, tmp_path, lambda content: content[:-1] + bytes([content[-1] ^ 1]))
    replay, whole = netlapse.open(path), netlapse.open(in_parts)
    content = shown([replay], ahead=True)
    [run] = content.payload["runs"]
    assert len(replay.epochs) == 5
    epochs = read(content, run["epochs"])
    assert 0 < len(epochs) < 5
    assert any(name in text for text in run["missing"])
    for array in arrays_in(run):
        read(content, array)
    np.testing.assert_allclose(read(content, run["losses"]), whole.losses(epochs.tolist()), rtol=1e-5)


def test_runs_without_frames(small, monkeypatch):
    with pytest.raises(ValueError, match="no runs to show"):
        shown([])
    empty = small[0].only(frames=np.arange(0))
    with pytest.raises(MissingFrame, match="no frame yet"):
        shown([empty])
