"""scikit-learn: recorded as `fit` trains, replayed as scikit-learn computes."""

from __future__ import annotations

import json
import signal
import warnings
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

import netlapse
from netlapse.errors import BadProbe, DamagedRun, RunError, UnknownName, Unsupported

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from netlapse.replay.network import Tap
from netlapse.sklearn import record

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
BINARY = (X[:, 0] > 0.2).astype(int)
CLASSES = np.digitize(X[:, 1], [-0.5, 0.5])
LABELS = np.array(["cat", "dog", "emu"])[CLASSES]
SEVERAL = (X > 0).astype(int)
QUANTITY = X[:, 0] - X[:, 1] ** 2
QUANTITIES = np.stack([QUANTITY, X[:, 2]], axis=1)
SMALL = {"hidden_layer_sizes": (4, 5), "random_state": 3, "max_iter": 7, "batch_size": 16}

CASES = {
    "binary": (MLPClassifier(**SMALL, activation="tanh", solver="sgd", learning_rate_init=0.1), BINARY),
    "classes": (MLPClassifier(**SMALL, activation="relu", alpha=0.1), LABELS),
    "several labels": (MLPClassifier(**SMALL, activation="logistic"), SEVERAL),
    "quantity": (MLPRegressor(**SMALL, activation="identity"), QUANTITY),
    "quantities": (MLPRegressor(**SMALL, activation="tanh"), QUANTITIES),
    "counts": (MLPRegressor(**SMALL, loss="poisson"), np.exp(QUANTITIES)),
}
each_case = pytest.mark.parametrize("case", CASES)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Replay and fitted estimator of a case, recorded once."""
    made = {}

    def recorded(case):
        if case not in made:
            estimator, y = CASES[case]
            path = tmp_path_factory.mktemp("runs") / "run"
            with warnings.catch_warnings(action="ignore"):
                fitted = record(clone(estimator), X, y, path)
            made[case] = netlapse.open(path), fitted
        return made[case]

    return recorded


def outcome(estimator):
    arrays = [*estimator.coefs_, *estimator.intercepts_, estimator.loss_curve_, estimator.validation_scores_ or []]
    return [np.asarray(array).tobytes() for array in arrays], estimator.n_iter_, estimator.t_


@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "sgd"},
        {"solver": "adam"},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 2, "max_iter": 40},
        {"solver": "sgd", "learning_rate": "invscaling", "nesterovs_momentum": False},
        {"tol": 10.0, "n_iter_no_change": 3},
        {"early_stopping": True, "max_iter": 30, "n_iter_no_change": 2},
        {"shuffle": False, "batch_size": "auto"},
        {"batch_size": 7, "hidden_layer_sizes": ()},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_training_is_that_of_fit_to_the_bit(kind, settings, tmp_path):
    estimator = kind(**{**SMALL, **settings})
    y = CLASSES if kind is MLPClassifier else QUANTITY
    plain = clone(estimator).fit(X, y)
    with_every_step = record(clone(estimator), X, y, tmp_path / "steps", every="step")
    assert record(estimator, X, y, tmp_path / "epochs") is estimator
    assert outcome(estimator) == outcome(with_every_step) == outcome(plain)
    assert vars(estimator).keys() == vars(plain).keys()
    deepcopy(estimator).fit(X, y)


def test_a_generator_is_left_as_fit_leaves_it(tmp_path):
    states = [np.random.RandomState(5), np.random.RandomState(5)]
    fitted = MLPClassifier(**{**SMALL, "random_state": states[0]}).fit(X, BINARY)
    same = record(MLPClassifier(**{**SMALL, "random_state": states[1]}), X, BINARY, tmp_path / "run")
    assert outcome(fitted) == outcome(same)
    assert states[0].uniform() == states[1].uniform()
    assert "seed" not in netlapse.open(tmp_path / "run").hyperparameters
    assert (netlapse.open(tmp_path / "run").model(3).random_state) is None


def test_frames_are_the_epochs(recorded):
    replay, fitted = recorded("binary")
    assert replay.run.status == "complete"
    np.testing.assert_array_equal(replay.epochs, np.arange(8))
    np.testing.assert_array_equal(replay.steps, 4 * np.arange(8))
    np.testing.assert_allclose(replay.recorded("loss", slice(1, None)), fitted.loss_curve_, rtol=1e-12)
    assert np.isnan(replay.recorded("loss", 0))
    assert (replay.recorded("learning_rate") == 0.1).all()
    assert replay.parameters == tuple(
        f"{layer}/{what}" for layer in ("hidden_1", "hidden_2", "output") for what in ("coefs", "intercepts")
    )
    estimator = CASES["binary"][0]
    for epoch in range(1, 8):
        shorter = clone(estimator).set_params(max_iter=epoch).fit(X, BINARY)
        for layer, coefs, intercepts in zip(
            ("hidden_1", "hidden_2", "output"), shorter.coefs_, shorter.intercepts_, strict=True
        ):
            np.testing.assert_array_equal(replay.weights(f"{layer}/coefs", epoch), coefs)
            np.testing.assert_array_equal(replay.weights(f"{layer}/intercepts", epoch), intercepts)
    # Before training: what `fit` begins with.
    bound = np.sqrt(6 / (3 + 4))
    np.testing.assert_array_equal(
        replay.weights("hidden_1/coefs", 0), np.random.RandomState(3).uniform(-bound, bound, (3, 4))
    )


def test_steps_are_batches(tmp_path):
    estimator = MLPClassifier(**{**SMALL, "max_iter": 2, "solver": "sgd", "shuffle": False, "momentum": 0, "alpha": 0})
    record(estimator, X, BINARY, tmp_path / "run", every="step", scalars="step")
    replay = netlapse.open(tmp_path / "run")
    np.testing.assert_array_equal(replay.steps, np.arange(9))
    np.testing.assert_allclose(replay.epochs, np.arange(9) / 4)
    for step in range(8):
        batch = slice(16 * (step % 4), 16 * (step % 4) + 16)
        gradient = replay.gradients(replay.epochs[step], X[batch], BINARY[batch])
        for name in replay.parameters:
            before, after = replay.run.weights(name, np.array([step, step + 1]))
            np.testing.assert_allclose(after, before - 0.001 * gradient[name], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("kind", "y", "name"), [(MLPClassifier, LABELS, "val_accuracy"), (MLPRegressor, QUANTITY, "val_r2")]
)
def test_scores_of_early_stopping_are_logged(kind, y, name, tmp_path):
    fitted = record(kind(**SMALL, early_stopping=True), X, y, tmp_path / "run", every="3 epochs")
    replay = netlapse.open(tmp_path / "run")
    np.testing.assert_array_equal(replay.epochs, [0, 3, 6, 7])
    np.testing.assert_array_equal(replay.recorded(name)[1:], np.array(fitted.validation_scores_)[[2, 5, 6]])


def test_the_last_frame_is_the_last_state_not_the_best(tmp_path):
    stopping = MLPClassifier(**{**SMALL, "max_iter": 30}, early_stopping=True, n_iter_no_change=2)
    fitted = record(clone(stopping), X, LABELS, tmp_path / "run", every="5 epochs")
    epochs, best = fitted.n_iter_, int(np.argmax(fitted.validation_scores_)) + 1
    assert best < epochs < 30
    last = clone(stopping)
    after_epochs = []
    own = last._update_no_improvement_count
    last._update_no_improvement_count = lambda *args: (own(*args), after_epochs.append(deepcopy(last.coefs_)))
    last.fit(X, LABELS)
    replay = netlapse.open(tmp_path / "run")
    np.testing.assert_array_equal(replay.weights("output/coefs", epochs), after_epochs[-1][-1])
    np.testing.assert_array_equal(fitted.coefs_[-1], after_epochs[best - 1][-1])


def predicted(estimator, case):
    if isinstance(estimator, MLPRegressor):
        return estimator.predict(X).reshape(len(X), -1)
    probabilities = estimator.predict_proba(X)
    return probabilities[:, 1:] if case == "binary" else probabilities


@each_case
def test_outputs_are_those_of_predict(case, recorded):
    replay, fitted = recorded(case)
    outputs = replay.outputs()
    np.testing.assert_allclose(outputs[-1], predicted(fitted, case), rtol=1e-10)
    for epoch in (0, 3):
        model = replay.model(epoch)
        np.testing.assert_allclose(outputs[epoch], predicted(model, case), rtol=1e-10)
        assert model.get_params() == fitted.get_params()
        np.testing.assert_array_equal(deepcopy(model).predict(X), model.predict(X))
    np.testing.assert_array_equal(replay.model(7).predict(X), fitted.predict(X))
    assert replay.model(7).score(X, CASES[case][1]) == fitted.score(X, CASES[case][1])


@each_case
def test_activations_are_those_of_the_forward_pass(case, recorded):
    replay, fitted = recorded(case)
    layers = [layer.name for layer in replay.layers]
    for layer, expected in zip(layers, fitted._forward_pass([X, None, None, None])[1:], strict=True):
        np.testing.assert_allclose(replay.activations(layer, 7), expected, rtol=1e-10)
        z = (X if layer == layers[0] else replay.activations(layers[layers.index(layer) - 1], 7)) @ replay.weights(
            f"{layer}/coefs", 7
        ) + replay.weights(f"{layer}/intercepts", 7)
        np.testing.assert_allclose(replay.pre_activations(layer, 7), z, rtol=1e-10)


@each_case
def test_losses_are_those_of_sklearn(case, recorded):
    replay, fitted = recorded(case)
    y = CASES[case][1]
    losses = replay.losses(7)
    for row in range(0, len(X), 11):
        one, target = X[row : row + 1], y[row : row + 1]
        if case in ("binary", "classes"):
            expected = log_loss(target, fitted.predict_proba(one), labels=fitted.classes_)
        elif case == "several labels":
            p = fitted.predict_proba(one)[0]
            expected = sum(log_loss([t], [[1 - q, q]], labels=[0, 1]) for t, q in zip(target[0], p, strict=True))
        elif case == "counts":
            p = fitted.predict(one)
            expected = (target * np.log(target / p) - target + p).sum()
        else:
            expected = 0.5 * ((fitted.predict(one) - target) ** 2).mean()
        np.testing.assert_allclose(losses[row], expected, rtol=1e-6)


@each_case
def test_gradients_are_those_of_sklearn_and_of_differences(case, recorded):
    replay, _ = recorded(case)
    y = CASES[case][1]
    gradients = replay.gradients(2)
    model = replay.model(2).set_params(alpha=0.0)
    wanted = model._validate_input(X, y, True, False)[1] if isinstance(model, MLPClassifier) else y
    empty = [np.empty_like(array) for array in model.coefs_], [np.empty_like(array) for array in model.intercepts_]
    loss, coefs, intercepts = model._backprop(
        X, wanted.reshape(len(X), -1), None, [X, None, None, None], [None, None, None], *empty
    )
    np.testing.assert_allclose(replay.losses(2).mean(), loss, rtol=1e-6)
    share = 2 if case == "quantities" else 1  # scikit-learn's own step is that of the sum over outputs
    for place, layer in enumerate(("hidden_1", "hidden_2", "output")):
        np.testing.assert_allclose(gradients[f"{layer}/coefs"] * share, coefs[place], rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(gradients[f"{layer}/intercepts"] * share, intercepts[place], rtol=1e-9, atol=1e-14)
    network, targets = replay._network, replay.targets()
    weights = {name: replay.run.weights(name, np.array([2])) for name in replay.parameters}
    for name in replay.parameters:
        means = []
        for step in (1e-6, -1e-6):
            moved = {**weights, name: weights[name].copy()}
            moved[name].flat[1 % moved[name].size] += step
            means.append(network.losses(moved, X, targets).mean())
        difference = (means[0] - means[1]) / 2e-6
        np.testing.assert_allclose(gradients[name].flat[1 % gradients[name].size], difference, rtol=1e-4, atol=1e-8)


def test_metrics(recorded):
    for case in ("binary", "classes", "several labels"):
        replay, fitted = recorded(case)
        expected = accuracy_score(CASES[case][1], fitted.predict(X))
        np.testing.assert_allclose(replay.metric("accuracy", 7), expected)
    for case in ("quantity", "quantities"):
        replay, fitted = recorded(case)
        np.testing.assert_allclose(replay.metric("r2", 7), r2_score(CASES[case][1], fitted.predict(X)))
    with pytest.raises(UnknownName, match="whose metric is 'r2', not 'accuracy'"):
        replay.metric("accuracy")


def test_labels_are_encoded_and_name_the_classes(recorded, tmp_path):
    replay, fitted = recorded("classes")
    assert replay.class_names == ("cat", "dog", "emu")
    np.testing.assert_array_equal(replay.targets(), CLASSES)
    np.testing.assert_array_equal(replay.model(7).classes_, fitted.classes_)
    assert recorded("binary")[0].class_names == ("negative", "positive")
    record(MLPClassifier(**SMALL), X, 2 * BINARY - 1, tmp_path / "signs", validation=(X[:9], 2 * BINARY[:9] - 1))
    replay = netlapse.open(tmp_path / "signs")
    assert replay.class_names == ("-1", "1")
    np.testing.assert_array_equal(replay.targets("validation"), BINARY[:9])
    with pytest.raises(BadProbe, match='"fox", which is no class'):
        record(MLPClassifier(), X, LABELS, tmp_path / "fox", probe=(X[:1], ["fox"]))
    with pytest.raises(BadProbe, match=r"shape \(2,\) per example; X has \(3,\)"):
        record(MLPClassifier(), X, LABELS, tmp_path / "fox", probe=(X[:, :2], LABELS))
    with pytest.raises(BadProbe, match="labels other than 0 to 2"):
        recorded("classes")[0].losses(inputs=X, targets=CLASSES + 1)


def test_the_binary_measures(recorded):
    replay, fitted = recorded("binary")
    np.testing.assert_allclose(replay.class_probabilities(7).probabilities[0], fitted.predict_proba(X), rtol=1e-6)
    curves = replay.curves()
    np.testing.assert_allclose(curves.accuracy, replay.metric("accuracy"))
    assert replay.sample_losses().loss == "binary cross-entropy"


def test_the_plane_of_a_hidden_layer(tmp_path):
    inputs = X[:, :2]
    record(MLPClassifier((2,), "tanh", random_state=0, max_iter=3), inputs, BINARY, tmp_path / "run")
    replay = netlapse.open(tmp_path / "run")
    space, points = replay.feature_space("hidden_1"), replay.activations("hidden_1")
    np.testing.assert_allclose(space.points, points, atol=1e-6)
    head = replay._network.forward(
        {name: replay.weights(name) for name in replay.parameters},
        points[2],
        [*map(Tap, ["output", "hidden_1"])],
        start="hidden_1",
    )
    np.testing.assert_allclose(head[0][2], replay.outputs(2))
    np.testing.assert_array_equal(head[1][0], points[2])
    netlapse.plot(replay, epoch=2)


def test_single_precision_stays_single(tmp_path):
    fitted = record(MLPClassifier(**SMALL), X.astype(np.float32), BINARY, tmp_path / "run")
    replay = netlapse.open(tmp_path / "run")
    assert replay.weights("output/coefs").dtype == np.float32 == replay.outputs().dtype
    assert replay.hyperparameters["dtype"] == "float32"
    np.testing.assert_allclose(replay.outputs(7)[:, 0], fitted.predict_proba(X.astype(np.float32))[:, 1], rtol=1e-5)


def test_hyperparameters_have_the_names_of_all_frameworks(recorded):
    found = recorded("binary")[0].hyperparameters
    expected = {
        "activation": "tanh", "units": [4, 5, 1], "layers": 3, "parameters": 47, "dtype": "float64", "optimizer": "SGD",
        "learning_rate": 0.1, "optimizer.momentum": 0.9, "optimizer.nesterov": True, "alpha": 0.0001,
        "loss": "binary_crossentropy", "batch_size": 16, "epochs": 7, "seed": 3, "shuffle": True,
    }  # fmt: skip
    assert expected.items() <= found.items()
    assert [layer.activation for layer in recorded("several labels")[0].layers] == ["sigmoid", "sigmoid", "sigmoid"]


def test_a_model_of_an_epoch_can_be_trained_on(recorded):
    replay, fitted = recorded("classes")
    model = replay.model(3)
    before = model.score(X, LABELS)
    for _ in range(100):
        model.partial_fit(X, LABELS)
    assert model.score(X, LABELS) > before
    np.testing.assert_array_equal(replay.model(7).coefs_[0], fitted.coefs_[0])


def test_training_goes_on_with_warm_start(tmp_path):
    estimator = MLPClassifier(**{**SMALL, "max_iter": 2}, warm_start=True)
    record(estimator, X, LABELS, tmp_path / "run")
    record(estimator, X, LABELS, tmp_path / "run", exist="resume")
    replay = netlapse.open(tmp_path / "run")
    np.testing.assert_array_equal(replay.epochs, np.arange(5))
    np.testing.assert_array_equal(replay.weights("output/coefs", 4), estimator.coefs_[-1])
    twice = MLPClassifier(**{**SMALL, "max_iter": 2}, warm_start=True).fit(X, LABELS).fit(X, LABELS)
    np.testing.assert_array_equal(twice.coefs_[0], estimator.coefs_[0])


@pytest.mark.parametrize(
    ("estimator", "inputs", "says"),
    [
        (MLPClassifier(solver="lbfgs"), X, 'has no epochs.*solver="adam" or "sgd"'),
        (LogisticRegression(), X, "LogisticRegression is no network; pass an MLPClassifier or an MLPRegressor"),
        (make_pipeline(StandardScaler(), MLPClassifier()), X, "transform them first"),
        (MLPClassifier(), __import__("scipy.sparse").sparse.csr_matrix(X), r"pass X\.toarray\(\)"),
    ],
)
def test_what_cannot_be_recorded(estimator, inputs, says, tmp_path):
    with pytest.raises(Unsupported, match=says):
        record(estimator, inputs, BINARY, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_settings_are_refused_as_fit_refuses_them(tmp_path):
    for settings, says in (({"batch_size": 0}, "batch_size"), ({"early_stopping": True}, "test_size|resulting train")):
        with pytest.raises(ValueError, match=says):
            record(MLPClassifier(**settings), X[:1], BINARY[:1], tmp_path / "run", exist="replace")


def test_a_training_that_fails_is_interrupted(tmp_path):
    estimator = MLPRegressor(**{**SMALL, "max_iter": 60, "tol": 0}, solver="sgd", learning_rate_init=1e9)
    with pytest.raises(ValueError, match="non-finite"), np.errstate(all="ignore"):
        record(estimator, X, QUANTITY, tmp_path / "run")
    replay = netlapse.open(tmp_path / "run")
    assert replay.status == "interrupted"
    assert not np.isfinite(replay.losses()[-1]).any()
    assert not np.isfinite(replay.metric("r2")[-1])
    assert not any(name in vars(estimator) for name in ("_backprop", "_fit_stochastic"))
    with pytest.raises(RunError, match="exist"):
        record(MLPRegressor(), X, QUANTITY, tmp_path / "run")


def test_ctrl_c_leaves_an_interrupted_run(tmp_path):
    def press(step, epoch):
        if step == 6:
            signal.raise_signal(signal.SIGINT)
        return True

    with pytest.warns(UserWarning, match="Training interrupted by user"):
        record(MLPClassifier(**SMALL), X, BINARY, tmp_path / "run", every=press)
    replay = netlapse.open(tmp_path / "run")
    assert replay.status == "interrupted"
    np.testing.assert_array_equal(replay.steps, np.arange(6))


def test_lists_and_tables_are_examples_too(tmp_path):
    record(MLPClassifier(**SMALL), list(X), LABELS.tolist(), tmp_path / "lists")
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=["a", "b", "c"])
    record(MLPClassifier(**SMALL), table, pandas.Series(LABELS, dtype=object), tmp_path / "table")
    for name in ("lists", "table"):
        replay = netlapse.open(tmp_path / name)
        np.testing.assert_array_equal(replay.inputs(), X)
        np.testing.assert_array_equal(replay.targets(), CLASSES)


@pytest.mark.parametrize(
    "forged",
    [
        {"kind": "Pipeline"},
        {"kind": []},
        {"units": [3, 4, 5, 10**12]},
        {"units": 3},
        {"units": []},
        {"out_activation": "__import__"},
        {"out_activation": "identity"},
        {"classes": ["cat", "dog"]},
        {"classes": ["cat", "cat", "dog"]},
        {"classes": [{}, {}, {}]},
        {"classes": None},
        {"params": {"activation": "softmax"}},
        {"params": {"hidden_layer_sizes": [4, 10**12]}},
        {"params": {"hidden_layer_sizes": None}},
        {"params": {"bogus": 1}},
        {"params": []},
        {"more": 1},
    ],
    ids=str,
)
def test_a_strangers_file_is_checked(forged, recorded):
    from netlapse.sklearn.network import network_of_run

    run = recorded("classes")[0].run
    content = json.loads(run.model_file("architecture"))
    assert network_of_run(run.manifest, lambda role: json.dumps(content).encode()).outputs == ("output",)
    params = {**content["params"], **forged["params"]} if isinstance(forged.get("params"), dict) else None
    content |= {**forged, "params": params} if params else forged
    with pytest.raises(DamagedRun, match=r"sklearn\.json of run"):
        network_of_run(run.manifest, lambda role: json.dumps(content).encode())
    with pytest.raises(DamagedRun, match=r"sklearn\.json of run"):
        network_of_run(run.manifest, lambda role: b"[" * 100_000)
    strange = replace(run.manifest, parameters=tuple(replace(p, dtype="O") for p in run.manifest.parameters))
    with pytest.raises(DamagedRun, match="its precision"):
        network_of_run(strange, run.model_file)


def test_a_run_brings_its_own_network(recorded):
    with pytest.raises(Unsupported, match="leave out model="):
        netlapse.open(recorded("binary")[0].run.folder, model=MLPClassifier()).outputs()
    with pytest.raises(Unsupported, match="one number for each example"):
        recorded("binary")[0].token_losses()
