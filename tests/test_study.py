"""Studies: each network is what `fit` would have made of it, and what is kept of it is right."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

if os.environ.get("KERAS_BACKEND", "jax") != "jax":
    pytest.skip("studies train on JAX", allow_module_level=True)

keras = pytest.importorskip("keras")
pytest.importorskip("pyarrow")

import netlapse  # noqa: E402
from netlapse.datasets import parabolas  # noqa: E402
from netlapse.errors import StudyError, UnknownName, Unsupported  # noqa: E402
from netlapse.study.pieces import GROUP, divide  # noqa: E402
from netlapse.study.rows import _milestones  # noqa: E402
from netlapse.study.train_last import orders  # noqa: E402

X, Y = (part[:160].astype("float32") for part in parabolas())
layers, optimizers = keras.layers, keras.optimizers


def build(activation="tanh", learning_rate=0.1, units=3):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(units, activation), layers.Dense(1, "sigmoid")])
    model.compile(optimizers.SGD(learning_rate), "binary_crossentropy", metrics=["accuracy"])
    return model


def study(tmp_path, space=None, **options):
    options = {"seeds": 4, "epochs": 3, "batch_size": 32, **options}
    return netlapse.Study(tmp_path / "study", build, (X, Y), space or {"activation": ["tanh", "relu"]}, **options)


def by_fit(model, trainable, others, order, batch_size):
    """Weights and logs of each epoch of `fit`, from these weights and in these orders."""
    for variables, values in ((model.trainable_variables, trainable), (model.non_trainable_variables, others)):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    weights, logs = [], []
    for rows in order:
        history = model.fit(X[rows], Y[rows], batch_size=batch_size, epochs=1, shuffle=False, verbose=0)
        weights.append([np.array(variable.value) for variable in model.trainable_variables])
        logs.append({name: values[0] for name, values in history.history.items()})
    return weights, logs


def network(optimizer, *more, regularizer=None, activation="tanh"):
    def make():
        hidden = layers.Dense(4, activation, kernel_regularizer=regularizer)
        model = keras.Sequential([keras.Input((2,)), hidden, *[each() for each in more], layers.Dense(1, "sigmoid")])
        model.compile(optimizer(), "binary_crossentropy", metrics=["accuracy"])
        return model

    return make


def convolutional():
    model = keras.Sequential(
        [
            keras.Input((2,)),
            layers.Reshape((2, 1)),
            layers.Conv1D(3, 2, activation="relu"),
            layers.Flatten(),
            layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile(optimizers.SGD(0.1), "binary_crossentropy", metrics=["accuracy"])
    return model


# Those that XLA computes to the bit as `fit` does; of the others the last bits differ.
TO_THE_BIT = {
    "SGD": network(lambda: optimizers.SGD(0.1)),
    "momentum": network(lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True), activation="relu"),
    "RMSprop": network(lambda: optimizers.RMSprop(0.01), regularizer="l2"),
    "BatchNorm": network(lambda: optimizers.SGD(0.1), layers.BatchNormalization),
    "a schedule": network(lambda: optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 5, 0.5))),
}
NEARLY = {
    "Adam": network(lambda: optimizers.Adam(0.01)),
    "Dropout": network(lambda: optimizers.Adam(0.01), lambda: layers.Dropout(0.3)),
    "a CNN": convolutional,
}


@pytest.mark.parametrize("name", [*TO_THE_BIT, *NEARLY])
@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_every_network_is_what_fit_makes_of_it(name, mode, tmp_path):
    make = {**TO_THE_BIT, **NEARLY}[name]
    found = netlapse.Study(tmp_path / "study", make, (X, Y), {}, seeds=3, epochs=3, batch_size=48, mode=mode)
    piece = found.pieces[0]
    program = found._program(piece)
    trained = program.train(piece.networks, every_epoch=True)
    assert program.mode == mode
    if mode == "exact":
        assert program.difference == 0 if name in TO_THE_BIT else program.difference < 1e-6
    for place, one in enumerate(piece.networks):
        start = ([values[place, 0] for values in part] for part in (trained.trainable, trained.others))
        [order] = orders([one.order], 3, len(X))
        weights, logs = by_fit(make(), *start, order.astype(int), 48)
        for epoch in range(3):
            for own, values in zip(weights[epoch], trained.trainable, strict=True):
                tolerance = 0 if mode == "exact" and name in TO_THE_BIT else 1e-6 if mode == "exact" else 2e-5
                np.testing.assert_allclose(values[place, epoch + 1], own, rtol=tolerance, atol=tolerance)
            for key, value in logs[epoch].items():
                assert trained.logged[key][place, epoch] == pytest.approx(value, abs=2e-5)


def test_what_is_measured_is_what_evaluate_says(tmp_path):
    found = study(tmp_path).run()
    table = found.table
    trained = found._program(found.pieces[0]).train(found.pieces[0].networks)
    for place, one in enumerate(found.pieces[0].networks):
        model = build(**found.settings[one.setting])
        for variable, values in zip(model.trainable_variables, trained.trainable, strict=True):
            variable.assign(values[place])
        loss, accuracy = model.evaluate(X, Y, verbose=0, batch_size=len(X))
        row = table[table.network == one.number].iloc[0]
        assert row.final_loss == pytest.approx(loss, rel=1e-5)
        assert row.final_accuracy == pytest.approx(accuracy)
        said = model.predict(X, verbose=0)[:, 0] > 0.5
        wrong = found.results.arrays("wrong")["wrong"][one.number, -1]
        assert wrong.tolist() == [int((said[label == Y] != label).sum()) for label in (0, 1)]
    assert found.curves("loss").shape == (8, 4)
    assert found.curves("logged/loss").shape == (8, 3)
    np.testing.assert_array_equal(found.curves("accuracy")[:, -1], table.final_accuracy.astype(np.float32))


def test_pairs_share_initial_weights_and_orders(tmp_path):
    space = {"activation": ["tanh", "relu"], "learning_rate": [0.1, 0.3]}
    found = study(tmp_path, space)
    starts = {}
    for piece in found.pieces:
        trained = found._program(piece).train(piece.networks, every_epoch=True)
        for place, one in enumerate(piece.networks):
            starts[one.setting, one.seed] = [values[place, 0] for values in trained.trainable], one.order
    for setting in range(1, 4):
        for seed in range(4):
            for own, first in zip(starts[setting, seed][0], starts[0, seed][0], strict=True):
                np.testing.assert_array_equal(own, first)
            assert starts[setting, seed][1] == starts[0, seed][1]
    assert not np.array_equal(starts[0, 0][0][0], starts[0, 1][0][0])
    # Learning rates differ in a number only: one program for each activation.
    assert {piece.program for piece in found.pieces} == {0, 1}
    alone = study(tmp_path / "alone", space, paired=False)
    seeds = [one.seed for piece in alone.pieces for one in piece.networks]
    assert len(set(seeds)) == len(seeds) == 16


@pytest.mark.parametrize("shared", [False, True])
def test_pieces_hold_every_network_once_and_whole_groups(shared):
    pieces = divide([0, 1, 0], range(40), size=64, paired=True, shared_orders=shared)
    numbers = [one.number for piece in pieces for one in piece.networks]
    assert sorted(numbers) == list(range(120))
    assert all(len(piece.networks) <= 64 for piece in pieces)
    assert all({one.setting for one in piece.networks} <= ({1} if piece.program else {0, 2}) for piece in pieces)
    groups = {(one.setting, one.seed // GROUP): piece.number for piece in pieces for one in piece.networks}
    assert all(groups[one.setting, one.seed // GROUP] == piece.number for piece in pieces for one in piece.networks)
    orders_of = {one.order for piece in pieces for one in piece.networks}
    assert orders_of == (set(range(3)) if shared else set(range(40)))


def test_milestones_of_rows():
    wrong = np.array([[3, 0, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [2, 0, 0, 0, 4]])
    first, for_good = _milestones(wrong)
    np.testing.assert_array_equal(first, [1, np.nan, 0, 1])
    np.testing.assert_array_equal(for_good, [3, np.nan, 0, np.nan])


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_a_network_is_trained_again_to_the_bit_and_is_a_run(mode, tmp_path):
    found = study(tmp_path, mode=mode).run()
    run = found.replay(5)
    replay = netlapse.open(run.path)
    assert replay.epochs.tolist() == [0, 1, 2, 3]
    assert replay.hyperparameters["activation"] == "relu"
    assert replay.hyperparameters["seed"] == 1
    for place, name in enumerate(replay.parameters):
        np.testing.assert_array_equal(replay.weights(name, 3), found.weights(place)[5])
    assert replay.curves().loss[-1] == pytest.approx(found.curves("loss")[5, -1], rel=1e-5)
    np.testing.assert_allclose(replay.recorded("loss")[1:], found.curves("logged/loss")[5], rtol=1e-6)
    with pytest.raises(UnknownName, match="no network 99; there are 8"):
        found.replay(99)


def test_networks_are_chosen_by_rules_and_queries(tmp_path):
    found = study(tmp_path, seeds=5).run()
    table = found.table
    for setting, rows in table.groupby("setting"):
        ranked = rows.sort_values("final_loss").network.tolist()
        assert found.choose("best")[setting] == ranked[0]
        assert found.choose("worst")[setting] == ranked[-1]
        assert found.choose("median")[setting] == ranked[2]
        assert found.choose("best", 2)[2 * setting : 2 * setting + 2] == ranked[:2]
    never = table[table.first_right.isna()].network.tolist()
    assert found.choose("failed", 99) == never
    assert found.choose("seed == 3 and activation == 'relu'") == [8]


def test_a_study_goes_on_where_it_was(tmp_path, monkeypatch):
    whole = study(tmp_path / "whole").run().table
    trained = []

    def dying(self, piece, train=netlapse.Study.train):
        if trained:
            raise KeyboardInterrupt
        trained.append(piece.number)
        train(self, piece)

    monkeypatch.setattr(netlapse.Study, "train", dying)
    with pytest.raises(KeyboardInterrupt):
        study(tmp_path).run(jobs=1)
    monkeypatch.undo()
    again = study(tmp_path)
    assert len(again.table) == 4
    told = []
    again.run(progress=lambda done, total: told.append((done, total)))
    assert told == [(4, 8), (8, 8)]
    assert again.table.equals(whole)
    assert (tmp_path / "study" / "table.parquet").exists()
    assert study(tmp_path).run().table.equals(whole)


def test_results_do_not_depend_on_how_many_are_trained(tmp_path):
    few, more = (study(tmp_path / str(seeds), seeds=seeds, mode="fast").run() for seeds in (3, 20))
    for place in range(4):
        np.testing.assert_array_equal(few.weights(place)[:3], more.weights(place)[:3])


def test_diverged_networks_are_counted(tmp_path):
    def regression(learning_rate=0.1):
        model = keras.Sequential([keras.Input((2,)), layers.Dense(3, "relu"), layers.Dense(1)])
        model.compile(optimizers.SGD(learning_rate), keras.losses.BinaryCrossentropy(from_logits=True))
        return model

    space = {"learning_rate": [0.1, 1e30]}
    found = netlapse.Study(tmp_path / "s", regression, (X, Y), space, seeds=4, epochs=3).run()
    assert found.table.groupby("learning_rate").status.unique().map(list).to_dict() == {
        0.1: ["trained"],
        1e30: ["diverged"],
    }
    assert found.table[found.table.status == "diverged"].first_right.isna().all()
    texts = " ".join(finding.text for finding in found.findings("learning_rate"))
    assert "4 diverged" in texts


def test_data_may_depend_on_a_setting(tmp_path):
    def data(noise):
        return X + noise * np.random.default_rng(0).normal(size=X.shape).astype("float32"), Y

    found = netlapse.Study(tmp_path / "s", build, data, {"noise": [0.0, 0.5]}, seeds=2, epochs=2).run()
    assert len(found.table) == 4
    assert found.table.groupby("noise").final_loss.mean().is_unique
    assert len({piece.program for piece in found.pieces}) == 2


def test_epochs_and_batch_sizes_may_be_varied(tmp_path):
    found = study(tmp_path, {"epochs": [1, 4], "batch_size": [16, 64]}, seeds=2).run()
    assert found.table.epochs.tolist() == [1, 1, 1, 1, 4, 4, 4, 4]
    curves = found.curves()
    assert np.isnan(curves[:4, 2:]).all()
    assert np.isfinite(curves[4:]).all()


def test_regression_has_losses_and_no_milestones(tmp_path):
    def regression(learning_rate=0.1):
        model = keras.Sequential([keras.Input((2,)), layers.Dense(3, "tanh"), layers.Dense(1)])
        model.compile(optimizers.SGD(learning_rate), "mse")
        return model

    found = netlapse.Study(tmp_path / "s", regression, (X, X[:, 0]), {}, seeds=2, epochs=2).run()
    assert "first_right" not in found.table
    assert np.isfinite(found.table.final_loss).all()
    with pytest.raises(Unsupported, match="two classes"):
        found.boundaries()


def test_models_that_cannot_be_trained_together_are_trained_by_fit(tmp_path):
    class Looking(keras.Model):
        def train_step(self, state, data):
            float(data[0][0, 0])  # a number that a compiled program does not know
            return super().train_step(state, data)

    def looking():
        inputs = keras.Input((2,))
        model = Looking(inputs, layers.Dense(1, "sigmoid")(inputs))
        model.compile(optimizers.SGD(0.1), "binary_crossentropy", metrics=["accuracy"], run_eagerly=True)
        return model

    found = netlapse.Study(tmp_path / "s", looking, (X, Y), {}, seeds=2, epochs=2)
    with pytest.warns(UserWarning, match=r"(?s)cannot be trained together .* one after another by fit"):
        found.run()
    assert set(found.table["mode"]) == {"one by one"}
    assert (found.curves()[:, -1] < found.curves()[:, 0]).all()
    # Threads share the one model that fit trains.
    program, networks = found._program(found.pieces[0]), found.pieces[0].networks
    with ThreadPoolExecutor(2) as pool:
        for place, trained in enumerate(pool.map(lambda one: program.train([one]), networks)):
            np.testing.assert_array_equal(trained.trainable[0][0], found.weights(0)[place])


def test_the_report_and_boundaries_are_those_of_the_study(tmp_path):
    found = study(tmp_path).run()
    planes = found.boundaries(setting=1, most=3, resolution=11)
    model = build("relu")
    for variable, place in zip(model.trainable_variables, range(4), strict=True):
        variable.assign(found.weights(place)[4])
    points = np.stack(np.meshgrid(planes.x, planes.y), axis=-1).reshape(-1, 2)
    said = model.predict(points, verbose=0).reshape(11, 11)
    np.testing.assert_allclose(1 / (1 + np.exp(-planes.logits[0])), said, atol=1e-5)
    assert planes.networks.tolist() == [4, 5, 6]
    path = found.report(tmp_path / "report.html", title="Two activations")
    text = path.read_text()
    assert "Two activations" in text
    assert "4 networks at a glance: activation tanh" in text


def ignoring(units=3, width=1):
    return build(units=units)


def uncompiled():
    return keras.Sequential([keras.Input((2,)), layers.Dense(1)])


@pytest.mark.parametrize(
    ("make", "space", "words"),
    [
        (
            build,
            {"momentum": [0.0, 0.9]},
            "'momentum', which neither .* take; they take activation, learning_rate, units",
        ),
        (ignoring, {"units": [2, 3], "width": [1, 2]}, "it ignores 'width'"),
        (uncompiled, {}, "must return a Keras model that is compiled"),
        (lambda units: build(units=units), {}, "units of the builder or the data have no default"),
        (build, {"epochs": [0.5]}, "epochs=0.5 of the space is no whole number"),
    ],
)
def test_a_space_that_does_not_fit_is_refused(make, space, words, tmp_path):
    with pytest.raises(StudyError, match=words):
        netlapse.Study(tmp_path / "s", make, (X, Y), space, seeds=1, epochs=1).pieces.clear()


def test_a_folder_of_another_study_is_refused(tmp_path):
    study(tmp_path)
    with pytest.raises(StudyError, match="another study, which differs in seeds"):
        study(tmp_path, seeds=5)
    with pytest.raises(StudyError, match="differs in the models or the data"):
        netlapse.Study(
            tmp_path / "study", build, (X + 1, Y), {"activation": ["tanh", "relu"]}, seeds=4, epochs=3, batch_size=32
        )
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("years of work")
    with pytest.raises(StudyError, match=r"thesis.txt but no study.json"):
        netlapse.Study(tmp_path / "other", build, (X, Y), {})
    (tmp_path / "study" / "study.json").write_text("{")
    with pytest.raises(StudyError, match="damaged"):
        study(tmp_path)


@pytest.mark.parametrize("options", [{"seeds": 0}, {"epochs": 0}, {"batch_size": 0}, {"mode": "faster"}])
def test_options_that_make_no_study_are_refused(options, tmp_path):
    with pytest.raises(StudyError, match=r"1 or more|no mode"):
        study(tmp_path, **options)
