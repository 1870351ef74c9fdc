"""How outputs are read: the link of the scores gives what the framework itself predicts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_softmax, logsumexp, softmax

import netlapse
from netlapse.errors import UnknownName, Unsupported
from netlapse.replay.link import link_of
from netlapse.replay.network import Head, Tap

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4)).astype(np.float32)
CLASSES = np.arange(12) % 3
ONE_HOT = np.eye(3, dtype=np.float32)[CLASSES]
LABELS = (RNG.random((12, 3)) > 0.5).astype(np.float32)
NEAR = {"rtol": 1e-5, "atol": 1e-5}
LINK = {"sigmoid": expit, "softmax": lambda z: softmax(z, axis=-1), "identity": lambda z: z}


def assert_reads(replay, link, predicted, output=None, log=False):
    """The scores of an output, put through its link, are what the framework makes of it."""
    head = replay._network.head(output or replay.output_names[0])
    assert (head.link, head.log) == (link, log)
    found = replay.logits(0, output=output)
    predicted = np.asarray(predicted)
    assert found.shape == (predicted.shape if predicted.ndim > 1 else (*predicted.shape, 1))
    np.testing.assert_allclose(LINK[link](found).reshape(predicted.shape), predicted, **NEAR)
    np.testing.assert_array_equal(replay.logits(output=output)[0], found)
    assert replay.logits(0, X[:3], output=output).shape == (3, *found.shape[1:])


# By what a loss does, in NumPy


def cross_entropy(z, y, weights=None, smoothing=0.0):
    log_p = log_softmax(z, axis=-1)
    wanted = np.eye(z.shape[-1])[y] if y.shape == z.shape[:-1] else y
    wanted = (1 - smoothing) * wanted + smoothing / z.shape[-1]
    return -(log_p * wanted * (1 if weights is None else weights)).sum(axis=-1)


def labels_only(z, y):
    assert y.shape == z.shape[:-1]
    return y


def hinge(z, y):
    right = np.take_along_axis(z, labels_only(z, y)[..., None], -1)
    return np.maximum(0, 1 - right + z).mean(axis=-1)


def focal(z, y, gamma=2):
    log_p = np.take_along_axis(log_softmax(z, axis=-1), labels_only(z, y)[..., None], -1)[..., 0]
    return -((1 - np.exp(log_p)) ** gamma) * log_p


def binary(z, y):
    assert y.shape == z.shape
    return np.logaddexp(0, z) - z * y


def right_class(values, y):
    return np.take_along_axis(values, labels_only(values, y)[..., None], -1)[..., 0]


LOSSES = {
    "cross-entropy": (cross_entropy, "softmax", False),
    "of one-hot targets": (lambda z, y: cross_entropy(z, np.broadcast_to(y, z.shape)), "softmax", False),
    "weighted": (lambda z, y: cross_entropy(z, labels_only(z, y), weights=np.arange(1, z.shape[-1] + 1)), "softmax", 0),
    "smoothed": (lambda z, y: cross_entropy(z, y, smoothing=0.1), "softmax", False),
    "focal": (focal, "softmax", False),
    "of log-probabilities": (lambda z, y: -right_class(z, y), "softmax", False),
    "of probabilities": (lambda p, y: -np.log(np.clip(right_class(p, y), 1e-7, 1 - 1e-7)), "softmax", True),
    "normalised": (lambda p, y: -np.log(right_class(p, y) / p.sum(axis=-1)), "softmax", True),
    "labels": (binary, "sigmoid", False),
    "of probabilities of labels": (lambda p, y: binary(np.log(p) - np.log1p(-p), y), "sigmoid", True),
    "weighted labels": (lambda z, y: y * 3 * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z), "sigmoid", False),
    "hinge": (hinge, "identity", False),
    "squares": (lambda z, y: (z - y) ** 2, "identity", False),
    "absolute": (lambda z, y: np.abs(z - y), "identity", False),
    "squares of a softmax": (lambda z, y: ((softmax(z, -1) - y) ** 2).sum(-1), "identity", False),
    "Poisson": (lambda z, y: np.broadcast_to(z - y * np.log(np.maximum(z, 1e-7)), z.shape), "identity", False),
    "one number for all": (lambda z, y: cross_entropy(z, y).mean(), "identity", False),
    "not a number": (lambda z, y: np.full(len(z), np.nan), "identity", False),
    "no loss": (None, "identity", False),
}


@pytest.mark.parametrize("shape", [(3,), (2,), (10,), (1000,), (4, 5), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("name", LOSSES)
def test_what_a_loss_takes_its_output_for(name, shape):
    loss, link, log = LOSSES[name]
    assert link_of(loss, shape) == (link, bool(log))


@pytest.mark.parametrize("shape", [(), (1,)], ids=str)
@pytest.mark.parametrize("name", ["labels", "of probabilities of labels", "weighted labels", "squares", "absolute"])
def test_one_unit(name, shape):
    loss, link, log = LOSSES[name]
    assert link_of(loss, shape) == (link, log)


def test_classes_that_are_not_on_the_last_axis():
    # As torch has them; the square leaves open which targets are meant.
    assert link_of(lambda z, y: cross_entropy(np.moveaxis(z, 1, -1), labels_only(z, y)), (4, 4)) == ("identity", False)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.floats(0.1, 30), st.floats(-5, 5), st.floats(0, 0.15))
def test_a_cross_entropy_of_any_scale(units, scale, constant, smoothing):
    def loss(z, y):
        return scale * cross_entropy(z, y, smoothing=smoothing) + constant

    assert link_of(loss, (units,)) == ("softmax", False)


# Keras


@pytest.fixture(scope="module")
def captured(keras, tmp_path_factory):
    from netlapse.keras import capture

    def make(outputs, loss, targets, **compiled):
        """A run of an untrained model, and its predictions. `outputs` makes them of a hidden layer."""
        keras.utils.set_random_seed(1)
        inputs = keras.Input((4,))
        model = keras.Model(inputs, outputs(keras.layers.Dense(5, activation="tanh", name="hidden")(inputs)))
        model.compile("sgd", loss, **compiled)
        path = tmp_path_factory.mktemp("runs") / "run"
        capture(model, path, (X, targets))
        return netlapse.open(path), model.predict(X, verbose=0)

    return make


def dense(units, activation=None, **given):
    import keras

    return keras.layers.Dense(units, activation=activation, **given)


KERAS = {
    "softmax": (lambda h: dense(3, "softmax")(h), "sparse_categorical_crossentropy", CLASSES, "softmax"),
    "log softmax": (lambda h: dense(3, "log_softmax")(h), None, CLASSES, "softmax"),
    "sigmoid": (lambda h: dense(1, "sigmoid")(h), "binary_crossentropy", LABELS[:, 0], "sigmoid"),
    "labels": (lambda h: dense(3, "sigmoid")(h), "binary_crossentropy", LABELS, "sigmoid"),
    "regression": (lambda h: dense(2)(h), "mse", LABELS[:, :2], "identity"),
    "Poisson": (lambda h: dense(2, "softplus")(h), "poisson", LABELS[:, :2], "identity"),
    "no loss": (lambda h: dense(2)(h), None, LABELS[:, :2], "identity"),
}


@pytest.mark.parametrize("name", KERAS)
def test_keras(captured, name):
    make, loss, targets, link = KERAS[name]
    replay, predicted = captured(make, loss, targets)
    if name == "log softmax":
        predicted = np.exp(predicted)
    assert_reads(replay, link, predicted)
    head = replay._network.head(replay.output_names[0])
    assert head.tap.moment == ("activation" if link == "identity" else "pre_activation")
    np.testing.assert_array_equal(replay.target(), targets)


@pytest.mark.parametrize("one_hot", [False, True])
def test_keras_losses_of_logits(keras, captured, one_hot):
    kind = keras.losses.CategoricalCrossentropy if one_hot else keras.losses.SparseCategoricalCrossentropy
    replay, predicted = captured(dense(3), kind(from_logits=True), ONE_HOT if one_hot else CLASSES)
    assert_reads(replay, "softmax", softmax(predicted, -1))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    replay, predicted = captured(dense(3), loss, LABELS)
    assert_reads(replay, "sigmoid", expit(predicted))
    assert replay._network.head(replay.output_names[0]).is_logit


def test_keras_probabilities_that_no_layer_makes(keras, captured):
    replay, predicted = captured(lambda h: keras.ops.softmax(dense(3)(h)), "categorical_crossentropy", ONE_HOT)
    assert_reads(replay, "softmax", predicted, log=True)
    replay, predicted = captured(lambda h: keras.ops.sigmoid(dense(3)(h)), "binary_crossentropy", LABELS)
    assert_reads(replay, "sigmoid", predicted, log=True)


def test_keras_sequences(keras, captured):
    def places(h):
        return keras.layers.TimeDistributed(dense(3, "softmax"))(keras.layers.Reshape((5, 1))(h))

    replay, predicted = captured(places, "sparse_categorical_crossentropy", np.tile(CLASSES[:, None], 5))
    assert_reads(replay, "softmax", predicted, log=True)
    # Over another axis than that of the classes.
    replay, predicted = captured(lambda h: keras.layers.Softmax(axis=1)(keras.layers.RepeatVector(2)(h)), None, CLASSES)
    assert_reads(replay, "identity", predicted)


def test_keras_outputs_are_asked_for_by_name(captured):
    def both(h):
        return {"z": dense(3, "softmax", name="kind")(h), "a": dense(1, name="price")(h)}

    targets = {"a": LABELS[:, 0], "z": CLASSES}
    losses = {"z": "sparse_categorical_crossentropy", "a": "mse"}
    replay, predicted = captured(both, losses, targets)
    assert set(replay.output_names) == {"kind", "price"}
    assert_reads(replay, "softmax", predicted["z"], "kind")
    assert_reads(replay, "identity", predicted["a"], "price")
    np.testing.assert_array_equal(replay.target("kind"), CLASSES)
    np.testing.assert_array_equal(replay.target("price"), LABELS[:, 0])
    first = replay.output_names[0]
    np.testing.assert_array_equal(replay.logits(0), replay.logits(0, output=first))
    for ask in (replay.target, lambda name: replay.logits(output=name)):
        with pytest.raises(UnknownName, match="no output 'kinds'; it has"):
            ask("kinds")


def test_an_output_without_targets(captured):
    replay, _ = captured(lambda h: [dense(1, name="a")(h), dense(1, name="b")(h)], [None, "mse"], LABELS[:, 0])
    np.testing.assert_array_equal(replay.target("b"), LABELS[:, 0])
    with pytest.raises(Unsupported, match="no targets of output 'a'"):
        replay.target("a")


# PyTorch


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    torch = pytest.importorskip("torch")
    from netlapse.torch import Recorder

    def make(model, loss, targets, own=False):
        """A run of the initial weights, and the outputs. With `own`, replayed by the user's module and loss."""
        path = tmp_path_factory.mktemp("runs") / "run"
        targets = [torch.as_tensor(one) for one in targets] if isinstance(targets, list) else torch.as_tensor(targets)
        with Recorder(path, model, probe=(torch.as_tensor(X), targets), loss=loss):
            pass
        with torch.no_grad():
            outputs = model.eval()(torch.as_tensor(X))
        return netlapse.open(path, **({"model": model, "loss": loss} if own else {})), outputs

    torch.manual_seed(0)
    return make


def torch_cases():
    torch = pytest.importorskip("torch")
    nn = torch.nn

    def net(*last, units=3):
        return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, units), *last)

    class Squeezed(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net(units=1)

        def forward(self, x):
            return self.net(x).sigmoid().squeeze(-1)

    ones = LABELS[:, 0]
    return {
        "cross-entropy": (net(), nn.CrossEntropyLoss(), CLASSES, "softmax", lambda z: z.softmax(-1)),
        "smoothed": (net(), nn.CrossEntropyLoss(label_smoothing=0.1), CLASSES, "softmax", lambda z: z.softmax(-1)),
        "function": (net(), nn.functional.cross_entropy, CLASSES, "softmax", lambda z: z.softmax(-1)),
        "log-probabilities": (net(nn.LogSoftmax(-1)), nn.NLLLoss(), CLASSES, "softmax", lambda z: z.exp()),
        "probabilities": (net(nn.Softmax(-1)), nn.MSELoss(), ONE_HOT, "softmax", lambda p: p),
        "labels": (net(), nn.BCEWithLogitsLoss(), LABELS, "sigmoid", lambda z: z.sigmoid()),
        "weighted": (
            net(),
            nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 2.0, 3.0])),
            LABELS,
            "sigmoid",
            lambda z: z.sigmoid(),
        ),
        "sigmoid": (net(nn.Sigmoid()), nn.BCELoss(), LABELS, "sigmoid", lambda p: p),
        "squeezed": (Squeezed(), nn.BCELoss(), ones, "sigmoid", lambda p: p),
        "regression": (net(), nn.MSELoss(), LABELS, "identity", lambda z: z),
    }


@pytest.mark.parametrize("own", [False, True], ids=["stored", "own"])
@pytest.mark.parametrize(
    "name",
    [
        *("cross-entropy", "smoothed", "function", "log-probabilities", "probabilities"),
        *("labels", "weighted", "sigmoid", "squeezed", "regression"),
    ],
)
def test_torch(recorded, name, own):
    model, loss, targets, link, probabilities = torch_cases()[name]
    replay, outputs = recorded(model, loss, targets, own)
    assert_reads(replay, link, probabilities(outputs), log=name == "squeezed")
    np.testing.assert_array_equal(replay.target(), targets)


def test_torch_sequences(recorded):
    torch = pytest.importorskip("torch")
    nn = torch.nn
    model = nn.Sequential(nn.Linear(4, 6), nn.Unflatten(1, (2, 3)))
    replay, outputs = recorded(model, nn.CrossEntropyLoss(), np.stack([CLASSES, CLASSES], 1))
    assert_reads(replay, "softmax", outputs.softmax(-1))
    # torch's own order, the classes before the places, has no classes on the last axis.
    model = nn.Sequential(nn.Linear(4, 12), nn.Unflatten(1, (3, 4)))
    replay, outputs = recorded(model, nn.CrossEntropyLoss(), np.tile(CLASSES[:, None], 4))
    assert_reads(replay, "identity", outputs)


def test_torch_outputs_have_the_loss_in_common(recorded):
    torch = pytest.importorskip("torch")
    nn, F = torch.nn, torch.nn.functional

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.kind, self.tags = nn.Linear(4, 3), nn.Linear(4, 2)

        def forward(self, x):
            return self.kind(x), self.tags(x)

    def loss(outputs, targets):
        labels = F.binary_cross_entropy_with_logits(outputs[1], targets[1], reduction="none").mean(1)
        return F.cross_entropy(outputs[0], targets[0], reduction="none") + labels

    replay, (kind, tags) = recorded(Both(), loss, [CLASSES, LABELS[:, :2]])
    first, second = replay.output_names
    assert_reads(replay, "softmax", kind.softmax(-1), first)
    assert_reads(replay, "sigmoid", tags.sigmoid(), second)
    np.testing.assert_array_equal(replay.target(first), CLASSES)
    np.testing.assert_array_equal(replay.target(second), LABELS[:, :2])


# JAX


@pytest.fixture(scope="module")
def jax_run(tmp_path_factory):
    pytest.importorskip("jax")
    import jax.numpy as jnp

    from netlapse.jax import Recorder

    params = {
        "a": {"kernel": jnp.asarray(RNG.normal(size=(4, 5)), jnp.float32)},
        "b": {"kernel": jnp.asarray(RNG.normal(size=(5, 3)), jnp.float32), "bias": jnp.asarray([0.1, 0.2, -0.3])},
    }

    def make(last, loss, targets, own=False):
        def apply(params, x):
            return last(jnp.tanh(x @ params["a"]["kernel"]) @ params["b"]["kernel"] + params["b"]["bias"])

        path = tmp_path_factory.mktemp("runs") / "run"
        with Recorder(path, apply, params, probe=(X, targets), loss=loss):
            pass
        return netlapse.open(path, **({"model": apply, "loss": loss} if own else {})), apply(params, X)

    return make


@pytest.mark.parametrize("own", [False, True], ids=["stored", "own"])
def test_jax(jax_run, own):
    optax, jax = pytest.importorskip("optax"), pytest.importorskip("jax")
    soft = optax.softmax_cross_entropy_with_integer_labels
    for last, loss, targets, link, probabilities in [
        (lambda z: z, soft, CLASSES, "softmax", lambda z: softmax(z, -1)),
        (lambda z: z, optax.softmax_cross_entropy, ONE_HOT, "softmax", lambda z: softmax(z, -1)),
        (lambda z: z, optax.sigmoid_binary_cross_entropy, LABELS, "sigmoid", expit),
        (lambda z: z, optax.squared_error, LABELS, "identity", lambda z: z),
        (jax.nn.softmax, lambda p, y: -(y * jax.numpy.log(p)).sum(-1), ONE_HOT, "softmax", lambda p: p),
        (jax.nn.log_softmax, lambda z, y: -(y * z).sum(-1), ONE_HOT, "softmax", np.exp),
        (jax.nn.sigmoid, optax.squared_error, LABELS, "sigmoid", lambda p: p),
    ]:
        replay, outputs = jax_run(last, loss, targets, own)
        assert_reads(replay, link, probabilities(outputs))
        np.testing.assert_array_equal(replay.target(), targets)
        # The scores can be had from a layer's activations as well.
        head, hidden = replay._network.head(replay.output_names[0]), replay.activations("a", 0)
        weights = {name: replay.weights(name) for name in replay.parameters}
        [found] = replay._network.forward(weights, hidden, [head.tap], "a")
        np.testing.assert_allclose(found[0], replay.logits(0), **NEAR)


def test_jax_outputs_by_name(jax_run):
    optax, jax = pytest.importorskip("optax"), pytest.importorskip("jax")

    def last(z):
        return {"kind": z, "sure": jax.nn.sigmoid(z[:, :1])}

    def loss(outputs, targets):
        kinds = optax.softmax_cross_entropy_with_integer_labels(outputs["kind"], targets["kind"])
        return kinds + (outputs["sure"][:, 0] - targets["sure"]) ** 2

    targets = {"kind": CLASSES, "sure": LABELS[:, 0]}
    replay, outputs = jax_run(last, loss, targets)
    first, second = replay.output_names
    assert_reads(replay, "softmax", softmax(outputs["kind"], -1), first)
    assert second == "sure"
    np.testing.assert_allclose(replay.logits(0, output="sure"), outputs["sure"], **NEAR)
    np.testing.assert_array_equal(replay.target("sure"), LABELS[:, 0])


# scikit-learn


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_sklearn(tmp_path):
    neural_network = pytest.importorskip("sklearn.neural_network")
    from netlapse.sklearn import record

    def run(kind, targets, name):
        fitted = record(kind(hidden_layer_sizes=(5,), max_iter=2, random_state=0), X, targets, tmp_path / name)
        return netlapse.open(tmp_path / name), fitted

    replay, fitted = run(neural_network.MLPClassifier, CLASSES, "classes")
    last = replay.epochs[-1]
    assert replay._network.head("output") == Head(Tap("output", "pre_activation"), "softmax")
    np.testing.assert_allclose(softmax(replay.logits(last), -1), fitted.predict_proba(X), **NEAR)
    np.testing.assert_array_equal(replay.target(), CLASSES)
    replay, fitted = run(neural_network.MLPClassifier, LABELS.astype(int), "labels")
    np.testing.assert_allclose(expit(replay.logits(last)), fitted.predict_proba(X), **NEAR)
    replay, fitted = run(neural_network.MLPRegressor, X[:, 0], "regression")
    assert replay._network.head("output") == Head(Tap("output"), "identity")
    np.testing.assert_allclose(replay.logits(last)[:, 0], fitted.predict(X), **NEAR)


def test_certain_probabilities_have_infinite_scores():
    from netlapse.replay.values import scores

    values = np.array([[[0.0, 1.0, 0.25]]])
    with np.errstate(all="raise"):
        found = scores(Head(Tap("y"), "sigmoid", log=True), values)
        np.testing.assert_allclose(found, [[[-np.inf, np.inf, -np.log(3)]]])
        np.testing.assert_allclose(
            logsumexp(scores(Head(Tap("y"), "softmax", log=True), values[..., 1:]), axis=-1), np.log(1.25)
        )
