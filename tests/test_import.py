"""Recordings in deepreplay's layout, written here with Keras 2's descriptions of models, become runs.

What they replay is compared with NumPy in double precision. The one recording that deepreplay itself made is in
test_deepreplay.py.
"""

from __future__ import annotations

import json
import marshal
import sys
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from itertools import chain
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

import netlapse
from netlapse.cli import app
from netlapse.errors import NetlapseError, RunError, Unsupported

h5py = pytest.importorskip("h5py")
keras = pytest.importorskip("keras")

NEAR = {"rtol": 1e-5, "atol": 1e-5}
EPOCHS, EXAMPLES, BATCH = 3, 40, 16


def layer(kind, name, **config):
    """A layer in the words of Keras 2.2."""
    return {"class_name": kind, "config": {"name": name, "trainable": True, **config}}


def dense(name, units, activation="linear", **config):
    glorot = {
        "class_name": "VarianceScaling",
        "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "normal", "seed": 42},
    }
    settings = {"units": units, "activation": activation, "use_bias": True, "dtype": "float32"}
    settings |= {"kernel_initializer": glorot, "bias_initializer": {"class_name": "Zeros", "config": {}}}
    return layer("Dense", name, **settings, kernel_regularizer=None, kernel_constraint=None, **config)


def batch_norm(name):
    ones, zeros = ({"class_name": kind, "config": {}} for kind in ("Ones", "Zeros"))
    statistics = {"moving_mean_initializer": zeros, "moving_variance_initializer": ones}
    settings = {"axis": -1, "momentum": 0.99, "epsilon": 0.001, "center": True, "scale": True}
    return layer("BatchNormalization", name, **settings, beta_initializer=zeros, gamma_initializer=ones, **statistics)


SMALL = [dense("hidden", 2, "tanh", batch_input_shape=[None, 2]), dense("output", 1, "sigmoid")]
SMALL_SHAPES = [[(2, 2), (2,)], [(2, 1), (1,)]]
SGD = {"class_name": "SGD", "config": {"lr": 0.05000000074505806, "momentum": 0.0, "decay": 0.0, "nesterov": False}}


def draw(shapes, epochs=EPOCHS, seed=0):
    """Weights by layer, with an axis of epochs; positive ones will do as variances too."""
    rng = np.random.default_rng(seed)
    return [[rng.uniform(0.1, 1, (epochs + 1, *shape)).astype("f") for shape in each] for each in shapes]


def record(folder, weights, *, file="old.h5", group="part1", inputs=(2,), activations=("tanh", "sigmoid"), logged=None):
    """A group as deepreplay 0.1 writes it."""
    rng = np.random.default_rng(1)
    epochs = len(weights[-1][0]) - 1
    with h5py.File(folder / file, "a") as old:
        made = old.create_group(group)
        made.attrs.update(
            samples=EXAMPLES,
            batch_size=BATCH,
            n_batches=-(-EXAMPLES // BATCH),
            n_epochs=epochs,
            n_layers=len(weights),
            activation_functions=[np.bytes_(name) for name in activations],
        )
        made.create_dataset("inputs", data=rng.normal(size=(EXAMPLES, *inputs)), track_times=True)
        made.create_dataset("targets", data=rng.integers(2, size=(EXAMPLES, 1)).astype(float))
        series = {"loss": np.linspace(0.7, 0.5, epochs), "acc": np.linspace(0.4, 0.9, epochs), "lr": [0.05] * epochs}
        for name, values in (series | (logged or {})).items():
            made.create_dataset(name, data=np.array(values, "f"))
        for number, arrays in enumerate(weights):
            for place, array in enumerate(arrays):
                made.create_dataset(f"layer{number}/weights{place}", data=array)
            made.require_group(f"layer{number}")
    return folder / file


def save_model(
    folder, config, *, file="part1_model.h5", kind="Sequential", backend="tensorflow", optimizer=None, **training
):
    """What Keras 2.2 saves of a model, without the weights, which the recording has too."""
    settings = {"optimizer_config": optimizer or SGD, "loss": "binary_crossentropy", "metrics": ["acc"]}
    with h5py.File(folder / file, "w") as saved:
        saved.attrs["keras_version"], saved.attrs["backend"] = b"2.2.0", backend.encode()
        saved.attrs["model_config"] = json.dumps({"class_name": kind, "config": config}).encode()
        saved.attrs["training_config"] = json.dumps({**settings, "loss_weights": None, **training}).encode()
    return folder / file


def sequential(layers):
    """Sequential models as Keras 2.2.3 and later write them."""
    return {"name": "sequential_1", "layers": layers}


def imported(path, out):
    [run] = netlapse.import_deepreplay(path, out)
    return netlapse.open(run)


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def entropy(logits, targets):
    return np.logaddexp(0, np.where(targets == 1, -logits, logits))[..., 0]


def doubles(weights, epoch):
    return [[array[epoch].astype(float) for array in arrays] for arrays in weights]


def normalised(values, gamma, beta, mean, variance):
    return gamma * (values - mean) / np.sqrt(variance + 0.001) + beta


@pytest.fixture
def small(tmp_path):
    """A recording of the 2-2-1 network, with its model beside it."""
    weights = draw(SMALL_SHAPES)
    save_model(tmp_path, sequential(SMALL))
    return SimpleNamespace(path=record(tmp_path, weights), weights=weights)


def test_a_run_has_all_that_the_recording_has(small, tmp_path):
    before = datetime.now(UTC)
    replay = imported(small.path, tmp_path / "run")
    manifest = replay.run.manifest
    assert replay.run.status == "complete"
    assert replay.run.verify() == []
    assert replay.epochs.tolist() == [0, 1, 2, 3]
    assert replay.steps.tolist() == [0, 3, 6, 9]
    assert np.isnan(replay.times).all()
    names = ["hidden/kernel", "hidden/bias", "output/kernel", "output/bias"]
    assert [parameter.name for parameter in manifest.parameters] == names
    for name, array in zip(names, chain(*small.weights), strict=True):
        assert np.array_equal(replay.weights(name), array)
    with h5py.File(small.path) as old:
        group = old["part1"]
        assert np.array_equal(replay.inputs(), group["inputs"])
        assert np.array_equal(replay.targets(), group["targets"])
        for ours, theirs in {"loss": "loss", "accuracy": "acc", "learning_rate": "lr"}.items():
            assert np.array_equal(replay.recorded(ours)[1:], group[theirs])
            assert np.isnan(replay.recorded(ours)[0])
    expected = {"activation": "tanh", "optimizer": "SGD", "learning_rate": 0.05, "loss": "binary_crossentropy"}
    expected |= {"batch_size": BATCH, "epochs": EPOCHS, "hidden.kernel_initializer.seed": 42}
    assert expected.items() <= replay.hyperparameters.items()
    assert manifest.framework == "keras"
    assert manifest.backend == keras.backend.backend()
    assert manifest.versions["deepreplay"] == "on Keras 2.2.0 with tensorflow"
    # The moment at which HDF5 made the probe, in whole seconds.
    assert abs(datetime.fromisoformat(manifest.created) - before) < timedelta(seconds=60)
    netlapse.plot(replay, 2)


def test_times_that_hdf5_did_not_keep_are_those_of_the_import(small, tmp_path):
    with h5py.File(small.path, "r+") as old:
        inputs = old["part1/inputs"][()]
        del old["part1/inputs"]
        old["part1/inputs"] = inputs
    created = datetime.fromisoformat(imported(small.path, tmp_path / "run").run.manifest.created)
    assert abs(created - datetime.now(UTC)) < timedelta(seconds=60)


def test_the_seed_of_this_process_is_not_taken_for_that_of_the_training(small, tmp_path):
    keras.utils.set_random_seed(7)
    assert "seed" not in imported(small.path, tmp_path / "run").hyperparameters


@pytest.mark.parametrize("layers", [SMALL, sequential(SMALL)], ids=["Keras 2.2.0", "Keras 2.2.3"])
def test_dense_layers_replay_as_numpy_computes_them(layers, tmp_path):
    weights = draw(SMALL_SHAPES)
    save_model(tmp_path, layers)
    replay = imported(record(tmp_path, weights), tmp_path / "run")
    for epoch in range(EPOCHS + 1):
        (kernel, bias), (last, offset) = doubles(weights, epoch)
        hidden = np.tanh(replay.inputs() @ kernel + bias)
        logits = hidden @ last + offset
        np.testing.assert_allclose(replay.activations("hidden", epoch), hidden, **NEAR)
        np.testing.assert_allclose(replay.outputs(epoch), sigmoid(logits), **NEAR)
        np.testing.assert_allclose(replay.losses(epoch), entropy(logits, replay.targets()), **NEAR)


def test_convolutions_and_batch_normalisation(tmp_path):
    conv = {"filters": 4, "kernel_size": [3, 3], "strides": [1, 1], "padding": "valid", "use_bias": True}
    conv |= {"data_format": "channels_last", "dilation_rate": [1, 1], "activation": "relu"}
    layers = [
        layer("Conv2D", "conv", **conv, batch_input_shape=[None, 6, 6, 2], dtype="float32"),
        batch_norm("norm"),
        layer("LeakyReLU", "leaky", alpha=0.30000001192092896),
        layer("Flatten", "flatten", data_format="channels_last"),
        dense("hidden", 5, "elu"),
        layer("Dropout", "dropout", rate=0.5, noise_shape=None, seed=None),
        dense("output", 1, "sigmoid"),
    ]
    shapes = [[(3, 3, 2, 4), (4,)], [(4,)] * 4, [], [], [(64, 5), (5,)], [], [(5, 1), (1,)]]
    weights = draw(shapes)
    weights[4][0] -= 0.55
    weights[6][0] *= 0.1  # far from where Keras clips probabilities
    save_model(tmp_path, sequential(layers))
    activations = ("relu", "", "", "", "elu", "", "sigmoid")
    replay = imported(record(tmp_path, weights, inputs=(6, 6, 2), activations=activations), tmp_path / "run")
    norm = ("gamma", "beta", "moving_mean", "moving_variance")
    for name, array in zip(norm, weights[1], strict=True):
        assert np.array_equal(replay.weights(f"norm/{name}"), array)
    trainable = {parameter.name: parameter.trainable for parameter in replay.run.manifest.parameters}
    assert [trainable[f"norm/{name}"] for name in norm] == [True, True, False, False]
    windows = np.lib.stride_tricks.sliding_window_view(replay.inputs(), (3, 3), axis=(1, 2))
    for epoch in range(EPOCHS + 1):
        (kernel, bias), statistics, _, _, (dense_kernel, dense_bias), _, (last, offset) = doubles(weights, epoch)
        values = normalised(np.maximum(np.einsum("nxycij,ijcf->nxyf", windows, kernel) + bias, 0), *statistics)
        values = np.where(values > 0, values, 0.3 * values).reshape(EXAMPLES, -1) @ dense_kernel + dense_bias
        logits = np.where(values > 0, values, np.expm1(np.minimum(values, 0))) @ last + offset
        np.testing.assert_allclose(replay.outputs(epoch), sigmoid(logits), **NEAR)
        np.testing.assert_allclose(replay.losses(epoch), entropy(logits, replay.targets()), **NEAR)


def test_a_model_within_a_model_keeps_each_array_in_its_place(tmp_path):
    # All of one shape, and Keras 2 counts them layer by layer, so that nothing but the order tells them apart.
    inner = [batch_norm("first"), batch_norm("second")]
    inner[0]["config"]["batch_input_shape"] = [None, 2]
    weights = draw([[(2,)] * 8, [(2, 1), (1,)]])
    save_model(tmp_path, [{"class_name": "Sequential", "config": inner}, dense("output", 1, "sigmoid")])
    replay = imported(record(tmp_path, weights, activations=("", "sigmoid")), tmp_path / "run")
    for epoch in range(EPOCHS + 1):
        statistics, (last, offset) = doubles(weights, epoch)
        values = normalised(normalised(replay.inputs(), *statistics[:4]), *statistics[4:])
        np.testing.assert_allclose(replay.outputs(epoch), sigmoid(values @ last + offset), **NEAR)


def test_branches_keep_the_order_in_which_keras_2_counted_them(tmp_path):
    def joined(described, *sources):
        return {**described, "name": described["config"]["name"], "inbound_nodes": [[[s, 0, 0, {}] for s in sources]]}

    # "b" comes before "a", although the sum names "a" first.
    entrance = {"name": "in", "batch_input_shape": [None, 2], "dtype": "float32", "sparse": False}
    layers = [
        {"name": "in", "class_name": "InputLayer", "config": entrance, "inbound_nodes": []},
        joined(dense("b", 3, "tanh"), "in"),
        joined(dense("a", 3, "relu"), "in"),
        joined(layer("Add", "sum"), "a", "b"),
        joined(dense("output", 1, "sigmoid"), "sum"),
    ]
    config = {"name": "model_1", "layers": layers, "input_layers": [["in", 0, 0]], "output_layers": [["output", 0, 0]]}
    weights = draw([[], [(2, 3), (3,)], [(2, 3), (3,)], [], [(3, 1), (1,)]])
    save_model(tmp_path, config, kind="Model")
    activations = ("", "tanh", "relu", "", "sigmoid")
    replay = imported(record(tmp_path, weights, activations=activations), tmp_path / "run")
    for epoch in range(EPOCHS + 1):
        _, b, a, _, last = doubles(weights, epoch)
        X = replay.inputs()
        hidden = np.maximum(X @ a[0] + a[1], 0) + np.tanh(X @ b[0] + b[1])
        np.testing.assert_allclose(replay.outputs(epoch), sigmoid(hidden @ last[0] + last[1]), **NEAR)


def test_every_training_of_a_file_becomes_a_run(tmp_path):
    weights = {
        "tanh": draw(SMALL_SHAPES, seed=1),
        "relu": draw(SMALL_SHAPES, seed=2),
        "relu_init": draw(SMALL_SHAPES, 0),
    }
    for name, each in weights.items():
        activation = name.removesuffix("_init")
        path = record(tmp_path, each, group=name, activations=(activation, "sigmoid"))
        layers = [dense("hidden", 2, activation, batch_input_shape=[None, 2]), dense("output", 1, "sigmoid")]
        save_model(tmp_path, sequential(layers), file=f"{name}_model.h5")
    runs = netlapse.import_deepreplay(path, tmp_path / "runs")
    assert {run.name for run in runs} == set(weights)
    for name, each in weights.items():
        replay = netlapse.open(tmp_path / "runs" / name)
        assert replay.hyperparameters["activation"] == name.removesuffix("_init")
        assert np.array_equal(replay.weights("hidden/kernel"), each[0][0])
    # The last one was recorded without a training.
    assert netlapse.open(tmp_path / "runs" / "relu_init").epochs.tolist() == [0]


def test_all_trainings_of_a_file_are_checked_before_the_first_is_written(tmp_path):
    save_model(tmp_path, SMALL)
    record(tmp_path, draw(SMALL_SHAPES))
    path = record(tmp_path, draw(SMALL_SHAPES), group="part2")
    with pytest.raises(RunError, match=r"there is no part2_model\.h5"):
        netlapse.import_deepreplay(path, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_epochs_that_were_never_trained_are_left_out(tmp_path):
    weights, loss = draw(SMALL_SHAPES, 5), np.linspace(0.7, 0.5, 5)
    for array in chain(*weights):
        array[3:] = 0
    loss[2:] = 0
    save_model(tmp_path, SMALL)
    replay = imported(record(tmp_path, weights, logged={"loss": loss}), tmp_path / "run")
    assert replay.epochs.tolist() == [0, 1, 2]
    assert replay.hyperparameters["epochs"] == 5


def test_weights_that_are_zero_or_no_numbers_are_frames_all_the_same(tmp_path):
    weights = draw(SMALL_SHAPES)
    for array in chain(*weights):
        array[:2] = 0
        array[3] = np.nan
    save_model(tmp_path, SMALL)
    replay = imported(record(tmp_path, weights), tmp_path / "run")
    assert replay.epochs.tolist() == [0, 1, 2, 3]
    assert np.isnan(replay.weights("output/kernel", 3)).all()


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({"optimizer": {"class_name": "Adam", "config": {"lr": 0.01, "beta_1": 0.8, "decay": 0.0, "epsilon": 1e-7}}},
         {"optimizer": "Adam", "learning_rate": 0.01, "optimizer.beta_1": 0.8}),
        ({"optimizer": {"class_name": "SGD", "config": {"lr": 0.5, "decay": 0.25, "momentum": 0.5}}},
         {"learning_rate": "InverseTimeDecay", "learning_rate.decay_rate": 0.25, "optimizer.momentum": 0.5}),
        ({"optimizer": {"class_name": "Nadam", "config": {"lr": 0.5, "schedule_decay": 0.004}}},
         {"optimizer": "Nadam", "learning_rate": 0.5}),
        ({"optimizer": {"class_name": "RMSprop", "config": {"learning_rate": 0.5, "rho": 0.75}}},
         {"optimizer": "RMSprop", "learning_rate": 0.5, "optimizer.rho": 0.75}),
        ({"optimizer": {"class_name": "Mine", "config": {"lr": 0.5}}}, {"optimizer": "Mine", "learning_rate": 0.5}),
        ({"loss": ["mse"]}, {"loss": "mean_squared_error"}),
        ({"loss": {"output": "logcosh"}, "metrics": ["mae", "my_own"]}, {"loss": "log_cosh"}),
        ({"loss": {"class_name": "BinaryCrossentropy", "config": {"from_logits": True}}},
         {"loss": "binary_crossentropy"}),
        ({"loss": "my_own"}, {"loss": "my_own", "optimizer": "SGD"}),
    ],
)  # fmt: skip
def test_settings_of_the_training_in_todays_words(training, expected, tmp_path):
    save_model(tmp_path, SMALL, **training)
    replay = imported(record(tmp_path, draw(SMALL_SHAPES)), tmp_path / "run")
    assert expected.items() <= replay.hyperparameters.items()
    if replay.hyperparameters["loss"] == "my_own":
        with pytest.raises(Unsupported, match="without a loss that Keras can rebuild"):
            replay.losses()
    else:
        model = replay.model(1)
        loss = model.evaluate(replay.inputs(), replay.targets(), verbose=0, return_dict=True)["loss"]
        assert replay.losses(1).mean() == pytest.approx(loss, rel=1e-5)


def trap(tmp_path, kind):
    """A layer that leaves a file behind if anything in it is executed."""
    code = compile(f"open({str(tmp_path / 'sprung')!r}, 'w')", "trap", "eval")
    function = [b64encode(marshal.dumps(code)).decode(), None, None]
    config = {
        "Lambda": {"function": function, "function_type": "lambda", "module": "__main__", "arguments": {}},
        "new Lambda": {"function": {"class_name": "__lambda__", "config": {"code": function[0]}}},
        "TFSMLayer": {"filepath": str(tmp_path)},
        "TorchModuleWrapper": {"module": {"class_name": "__bytes__", "config": {"value": function[0]}}},
    }[kind]
    return layer(kind.removeprefix("new "), "trap", **config)


@pytest.mark.parametrize("kind", ["Lambda", "new Lambda", "TFSMLayer", "TorchModuleWrapper"])
@pytest.mark.parametrize("place", ["layer", "wrapped"])
def test_code_in_a_file_is_refused_and_never_run(kind, place, tmp_path):
    trapped = trap(tmp_path, kind)
    if place == "wrapped":
        trapped = layer("TimeDistributed", "wrapper", layer=trapped)
    save_model(tmp_path, sequential([SMALL[0], trapped, SMALL[1]]))
    path = record(tmp_path, draw([SMALL_SHAPES[0], [], SMALL_SHAPES[1]]), activations=("tanh", "", "sigmoid"))
    with pytest.raises(Unsupported, match=r"part1_model.h5 cannot be replayed: .*no code out of a file is run"):
        netlapse.import_deepreplay(path, tmp_path / "run")
    assert not (tmp_path / "sprung").exists()
    assert not (tmp_path / "run").exists()


def test_a_function_of_keras_in_the_place_of_a_layer_is_not_called(tmp_path):
    save_model(tmp_path, sequential([SMALL[0], {"class_name": "deserialize", "config": {"config": SMALL[1]}}]))
    with pytest.raises(Unsupported, match="no code out of a file is run"):
        netlapse.import_deepreplay(record(tmp_path, draw(SMALL_SHAPES)), tmp_path / "run")


def test_settings_of_the_training_name_no_code_either(tmp_path):
    loss = {"class_name": "Popen", "module": "subprocess", "config": {"args": ["touch", str(tmp_path / "sprung")]}}
    save_model(tmp_path, SMALL, loss=loss)
    with pytest.raises(Unsupported, match="no code out of a file is run"):
        netlapse.import_deepreplay(record(tmp_path, draw(SMALL_SHAPES)), tmp_path / "run")
    assert not (tmp_path / "sprung").exists()


def conv1d(tmp_path):
    layers = [layer("Conv1D", "conv", filters=1, kernel_size=[2], activation="sigmoid", batch_input_shape=[None, 2, 1])]
    save_model(tmp_path, sequential(layers), backend="theano")
    return record(tmp_path, draw([[(2, 1, 1), (1,)]]), inputs=(2, 1), activations=("sigmoid",))


def damaged(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    return path


def without(path, entry):
    with h5py.File(path, "r+") as old:
        del old[entry]
    return path


def small_with(tmp_path, *layers, shapes=SMALL_SHAPES, **settings):
    save_model(tmp_path, sequential(layers or SMALL))
    return record(tmp_path, draw(shapes), **settings)


WRONG = {
    "not there": (lambda t: t / "no.h5", RunError, "no.h5 is not there"),
    "cut short": (lambda t: damaged(small_with(t), 3000), RunError, r"old.h5 cannot be read .*truncated"),
    "other format": (lambda t: damaged(small_with(t), 0), RunError, "old.h5 cannot be read"),
    "incomplete": (lambda t: without(small_with(t), "part1/layer1/weights0"), RunError, "cannot be read .*weights0"),
    "the model itself": (
        lambda t: small_with(t) and t / "part1_model.h5", RunError, "holds no recording of deepreplay",
    ),
    "no model": (
        lambda t: record(t, draw(SMALL_SHAPES)), RunError,
        "there is no part1_model.h5 or old_model.h5 beside .*--model",
    ),
    "model cut short": (
        lambda t: damaged(save_model(t, SMALL), 500) and record(t, draw(SMALL_SHAPES)),
        RunError, "part1_model.h5 cannot be read as a model",
    ),
    "model of other shapes": (
        lambda t: small_with(t, shapes=[[(2, 3), (3,)], [(3, 1), (1,)]]),
        RunError, r"part1_model.h5 is not the model of recording 'part1'.*\(2, 2\).* but .*\(2, 3\)",
    ),
    "model of other layers": (
        lambda t: small_with(t, SMALL[0], dense("middle", 2), SMALL[1]), RunError, "is not the model of recording",
    ),
    "model of another activation": (
        lambda t: small_with(t, activations=("relu", "sigmoid")), RunError, "is not the model of .* tanh.* relu",
    ),
    "custom layer": (
        lambda t: small_with(t, SMALL[0], layer("MyDense", "mine")), Unsupported, "cannot be replayed: .*MyDense",
    ),
    "another hard_sigmoid": (
        lambda t: small_with(t, SMALL[0], dense("output", 1, "hard_sigmoid")), Unsupported,
        "'output' uses hard_sigmoid",
    ),
    "turned kernels": (conv1d, Unsupported, "Theano"),
    "no input shape": (lambda t: small_with(t, dense("a", 2), dense("b", 1)), Unsupported, "not built"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_one_clear_error(case, tmp_path):
    make, kind, message = WRONG[case]
    path = make(tmp_path)
    with pytest.raises(kind, match=message) as caught:
        netlapse.import_deepreplay(path, tmp_path / "run")
    assert isinstance(caught.value, NetlapseError)
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_there_is_left_alone(small, tmp_path):
    [run] = netlapse.import_deepreplay(small.path, tmp_path / "run")
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    with pytest.raises(RunError, match="holds a run already; name another folder"):
        netlapse.import_deepreplay(small.path, run)
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before


def test_from_the_shell(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "part1_model.h5").rename("old_model.h5")
    run = CliRunner().invoke
    assert "wrote old" in run(app, ["import", "old.h5"]).output
    (tmp_path / "old_model.h5").rename("elsewhere.h5")
    assert "wrote new" in run(app, ["import", "old.h5", "--model", "elsewhere.h5", "-o", "new"]).output
    shown = " ".join(run(app, ["show", "new"]).output.split())
    assert "4, epochs 0 to 3" in shown
    assert "nan" not in shown
    assert "deepreplay on Keras 2.2.0 with tensorflow" in shown


def test_without_h5py_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.delitem(sys.modules, "netlapse.deepreplay", raising=False)
    with pytest.raises(ImportError, match=r"netlapse\[import\]"):
        _ = netlapse.import_deepreplay
