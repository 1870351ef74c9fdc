"""Studies: each network is what `fit` would have made of it, and what is kept of it is right."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import numpy as np
import pytest

if os.environ.get("KERAS_BACKEND", "jax") != "jax":
    pytest.skip("studies train on JAX", allow_module_level=True)

keras = pytest.importorskip("keras")
pytest.importorskip("pyarrow")

import netlapse  # noqa: E402
from netlapse.datasets import parabolas  # noqa: E402
from netlapse.errors import BadQuery, StudyError, UnknownName, Unsupported  # noqa: E402
from netlapse.study.fast import Fast  # noqa: E402
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


def wide():
    # So large that in the fast mode, too, networks are trained in turn.
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(200, "tanh"), layers.Dense(100, "tanh"), layers.Dense(1, "sigmoid")]
    )
    model.compile(optimizers.SGD(0.1), "binary_crossentropy", metrics=["accuracy"])
    return model


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
    "wide layers": wide,
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
    assert (program._kind is Fast) == (mode == "fast" and name != "wide layers")
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


def with_adam(first=True):
    given = [
        {"beta_1": 0.5, "epsilon": 1e-2, "weight_decay": 0.2, "clipnorm": 0.05},
        {"beta_1": 0.9, "epsilon": 1e-7, "weight_decay": 0.01, "clipnorm": 0.3},
    ][first]
    rate, l2 = [(0.1, 0.02), (0.3, 0.001)][first]
    return network(
        lambda: optimizers.Adam(0.01, **given), lambda: layers.Dropout(rate), regularizer=keras.regularizers.L2(l2)
    )()


def with_momentum(first=True):
    return network(lambda: optimizers.SGD(0.05, momentum=[0.9, 0.5][first], nesterov=True))()


def with_rmsprop(first=True):
    rho, momentum = [(0.7, 0.8), (0.9, 0.5)][first]
    return network(lambda: optimizers.RMSprop(0.01, rho=rho, momentum=momentum))()


@pytest.mark.parametrize("make", [with_momentum, with_rmsprop, with_adam])
@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_settings_that_differ_in_numbers_share_a_program(make, mode, tmp_path):
    space = {"first": [True, False]}
    found = netlapse.Study(tmp_path / "study", make, (X, Y), space, seeds=1, epochs=2, batch_size=48, mode=mode)
    assert {piece.program for piece in found.pieces} == {0}
    networks = [one for piece in found.pieces for one in piece.networks]
    program = found._program(found.pieces[0])
    trained = program.train(networks, every_epoch=True)
    assert program.mode == mode
    for place, one in enumerate(networks):
        start = ([values[place, 0] for values in part] for part in (trained.trainable, trained.others))
        [order] = orders([one.order], 2, len(X))
        model = make(**found.settings[one.setting])
        weights, logs = by_fit(model, *start, order.astype(int), 48)
        tolerance = 0 if mode == "exact" and make is with_momentum else 1e-6 if mode == "exact" else 2e-5
        for own, values in zip(weights[1], trained.trainable, strict=True):
            np.testing.assert_allclose(values[place, 2], own, rtol=tolerance, atol=tolerance)
        # The regularisation is part of the loss, with the network's own number.
        assert trained.logged["loss"][place, 1] == pytest.approx(logs[1]["loss"], abs=2e-5)
        loss = model.evaluate(X, Y, batch_size=len(X), verbose=0)[0]
        assert trained.measured["loss"][place, 2] == pytest.approx(loss, abs=2e-5)


def test_numbers_that_code_may_ask_for_have_programs_of_their_own(tmp_path):
    def make(momentum, rate):
        return network(lambda: optimizers.SGD(0.05, momentum=momentum), lambda: layers.Dropout(rate))()

    space = {"momentum": [0.0, 0.5, 0.9], "rate": [0.0, 0.1, 0.2]}
    found = netlapse.Study(tmp_path / "study", make, (X, Y), space, seeds=1, epochs=1)
    programs = {one.setting: piece.program for piece in found.pieces for one in piece.networks}
    of = [programs[setting] for setting in range(9)]
    assert [of[0], of[1], of[3], of[4]] == sorted({*of})
    assert of[1] == of[2]
    assert of[3] == of[6]
    assert {of[4], of[5], of[7], of[8]} == {of[4]}


def test_classes_of_the_user_keep_their_numbers(tmp_path):
    class Own(optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient, variable, learning_rate if self.momentum > 0.7 else 0.1 * learning_rate)

    def make(momentum):
        return network(lambda: Own(0.05, momentum=momentum))()

    space = {"momentum": [0.5, 0.9]}
    found = netlapse.Study(tmp_path / "study", make, (X, Y), space, seeds=1, epochs=1)
    assert {piece.program for piece in found.pieces} == {0, 1}


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


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("programs", "seeds"), [([0, 1, 0], 40), ([0] * 100, 1), ([0, 1] * 30, 3)])
def test_pieces_hold_every_network_once_and_are_full(programs, seeds, shared, paired):
    # Every third setting has data of its own.
    data = [number % 3 == 0 for number in range(len(programs))]
    pieces = divide(programs, data, range(seeds), size=64, paired=paired, shared_orders=shared)
    networks = [one for piece in pieces for one in piece.networks]
    assert sorted(one.number for one in networks) == list(range(len(programs) * seeds))
    assert [piece.number for piece in pieces] == list(range(len(pieces)))
    for one in networks:
        place = one.number % seeds
        assert one.setting == one.number // seeds
        assert one.seed == (place if paired else one.number)
        assert one.order == (one.seed // GROUP if shared else one.seed)
    for program, of_data in set(zip(programs, data, strict=True)):
        own = [piece for piece in pieces if piece.program == program and data[piece.networks[0].setting] == of_data]
        assert {programs[one.setting] for piece in own for one in piece.networks} == {program}
        assert {data[one.setting] for piece in own for one in piece.networks} == {of_data}
        # Where orders are shared, a run of one order takes whole groups.
        runs = [[len(list(run)) for _, run in groupby(piece.networks, lambda one: one.order)] for piece in own]
        rooms = [sum(-(-run // GROUP) * GROUP for run in piece) if shared else sum(piece) for piece in runs]
        assert rooms[:-1] == [64] * len(rooms[:-1])
        assert rooms[-1] <= 64
        if shared:
            ordered = [one.order for piece in own for one in piece.networks]
            assert ordered == sorted(ordered)


def test_milestones_of_rows():
    wrong = np.array([[3, 0, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [2, 0, 0, 0, 4]])
    first, for_good = _milestones(wrong)
    np.testing.assert_array_equal(first, [1, np.nan, 0, 1])
    np.testing.assert_array_equal(for_good, [3, np.nan, 0, np.nan])


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_a_network_is_trained_again_to_the_bit_and_is_a_run(mode, tmp_path):
    # Of several settings in one piece.
    found = study(tmp_path, {"learning_rate": [0.1, 0.3]}, mode=mode).run()
    run = found.replay(5)
    replay = netlapse.open(run.path)
    assert replay.epochs.tolist() == [0, 1, 2, 3]
    assert replay.hyperparameters["learning_rate"] == 0.3
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
    # Of what is known of all networks, not of those of a setting.
    above = table[table.final_loss > table.final_loss.mean()].network.tolist()
    assert found.choose("final_loss > final_loss.mean()", 99) == above


def test_of_sampled_settings_some_are_chosen_of_all(tmp_path):
    space = {"learning_rate": netlapse.Range(0.01, 1.0, log=True)}
    found = study(tmp_path, space, samples=6, seeds=2)
    with pytest.raises(StudyError, match=r"no network of .* is trained; call run\(\) first"):
        found.choose("best")
    ranked = found.run().table.sort_values("final_loss").network.tolist()
    assert found.choose("best", 2) == ranked[:2]
    assert found.choose("worst") == ranked[-1:]


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


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_results_do_not_depend_on_how_many_are_trained(mode, tmp_path):
    rates = [0.1, 0.2, 0.3]
    few = study(tmp_path / "few", {"learning_rate": rates[:1]}, seeds=3, mode=mode).run()
    more = study(tmp_path / "more", {"learning_rate": rates}, seeds=20, mode=mode).run()
    for place in range(4):
        np.testing.assert_array_equal(few.weights(place), more.weights(place)[:3])
    np.testing.assert_array_equal(few.curves(), more.curves()[:3])


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
    # One program, which is given the data of each.
    assert {piece.program for piece in found.pieces} == {0}
    for row in found.table.itertuples():
        alone = netlapse.Study(tmp_path / f"{row.network}", build, data(row.noise), {}, seeds=2, epochs=2).run()
        assert alone.table.final_loss[row.seed] == row.final_loss


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
    assert text.count("The decision boundaries of 4 networks at the end of training") == 2


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
        (lambda mode="x": build(), {"mode": ["x", "y"]}, "varies 'mode', but the study's table has a column 'mode'"),
        (lambda seed: build(), {}, "take a seed that has no default, but networks of all seeds have one builder"),
        (lambda seed=1: build(), {"seed": [1, 2]}, "varies 'seed', .* call the parameter otherwise"),
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


def test_what_is_chosen_is_recorded_once(tmp_path, monkeypatch):
    plain = study(tmp_path, seeds=3).run().table
    told = []
    found = study(tmp_path, seeds=3, record={"best": 1, "seed == 2": 1})
    found.run(progress=lambda done, total: told.append((done, total)))
    best = [rows.sort_values("final_loss").network.iloc[0] for _, rows in plain.groupby("setting")]
    numbers = list(dict.fromkeys([*best, 2, 5]))
    assert list(found.recorded) == numbers
    assert told[0] == (6, 6)
    assert told[-1] == (6 + len(numbers), 6 + len(numbers))
    for number, path in found.recorded.items():
        run = netlapse.open(path)
        assert run.hyperparameters["seed"] == number % 3
        for place, name in enumerate(run.parameters):
            np.testing.assert_array_equal(run.weights(name, 3), found.weights(place)[number])
    # One that was stopped while it was written is written again, and no other.
    manifest = tmp_path / "study" / "runs" / "00000005" / "run.json"
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "study" / "runs").glob("*/run.json")}
    manifest.unlink()
    for path in manifest.parent.glob("*/*"):
        path.unlink()
    found.run()
    after = {path: path.stat().st_mtime_ns for path in before}
    assert {path for path in before if before[path] != after[path]} == {manifest}


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"bst": 1}, "'bst' is neither best, worst, median nor failed, nor a query .* its columns are network, .*unit"),
        ({"final_los > 1 and activaton == 'relu'": 1}, "activaton"),
        ({"units > 'three'": 1}, "nor a query that the table can answer"),
        ({"first_right >": 1}, "nor a query that the table can answer"),
        ({"units + 1": 1}, "'units \\+ 1' is nothing that holds or does not"),
        ({"units = 3": 1}, "'units = 3' is nothing that holds or does not"),
        ({"best": 0}, "record at least one network"),
    ],
)
def test_rules_without_sense_are_refused_before_anything_is_there(record, words, tmp_path):
    with pytest.raises((BadQuery, StudyError), match=words):
        study(tmp_path, {"units": [2, 3]}, record=record)
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("rule", ["first_right > 2 and final_accuracy < 1", "status == 'diverged'", "units in [2]"])
def test_rules_that_may_have_sense_are_not(rule, tmp_path):
    study(tmp_path, {"units": [2, 3]}, record={rule: 2})


@pytest.mark.parametrize("options", [{"seeds": 0}, {"epochs": 0}, {"batch_size": 0}, {"mode": "faster"}])
def test_options_that_make_no_study_are_refused(options, tmp_path):
    with pytest.raises(StudyError, match=r"1 or more|no mode"):
        study(tmp_path, **options)
