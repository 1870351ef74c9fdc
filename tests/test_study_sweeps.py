"""Recorded runs and Optuna's trials as a study has its networks: the same table, statistics and pages."""

import shutil
import warnings
from math import inf, nan

import numpy as np
import pytest

import netlapse
from netlapse.errors import BadQuery, StudyError, UnknownName, Unsupported
from netlapse.report import report
from netlapse.study.findings import findings
from netlapse.study.outcomes import outcomes
from netlapse.study.shares import share
from netlapse.study.sweeps import of_optuna, of_runs
from tests.conftest import small_model
from tests.test_catalog import begin, frame

RESULTS = ["seed", "pair", "status", "epochs", "final_loss", "final_accuracy", "first_right", "right_for_good"]


@pytest.fixture(scope="module")
def folder(keras, tmp_path_factory):
    """Runs of two activations and three seeds each, one of them shorter; and one that is damaged."""
    from netlapse.keras import Recorder

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(12, 2)).astype("float32")
    targets = (inputs[:, :1] > 0).astype("float32")
    root = tmp_path_factory.mktemp("sweep")
    for activation in ("relu", "tanh"):
        for seed in range(3):
            model = small_model(keras, activation, seed=seed)
            recorder = Recorder(
                root / f"{activation}-{seed}",
                probe=(inputs, targets),
                hyperparameters={"activation": activation, "seed": seed},
                every="2 epochs" if seed == 2 else "epoch",
            )
            epochs = 2 if (activation, seed) == ("tanh", 0) else 5
            model.fit(inputs, targets, epochs=epochs, batch_size=4, verbose=0, callbacks=[recorder])
    return root


def test_runs_as_networks(folder):
    table, curves = of_runs(folder)
    assert list(table) == ["network", "activation", *RESULTS]
    rows = netlapse.runs(folder)
    assert table["network"].tolist() == list(range(6))
    assert table["activation"].tolist() == ["relu"] * 3 + ["tanh"] * 3 == rows["activation"].tolist()
    assert table["seed"].tolist() == table["pair"].tolist() == [0, 1, 2] * 2
    assert table["epochs"].tolist() == [5, 5, 5, 2, 5, 5]
    assert set(table["status"]) == {"trained"}
    assert set(curves) == {"loss", "accuracy"}
    for number, path in enumerate(rows["path"]):
        replay = netlapse.open(path)
        found, milestones = replay.curves(), replay.milestones()
        assert table["final_loss"][number] == found.loss[-1]
        assert table["final_accuracy"][number] == found.accuracy[-1]
        expected = [nan if epoch is None else epoch for epoch in (milestones.all.first, milestones.all.for_good)]
        np.testing.assert_array_equal(table.loc[number, ["first_right", "right_for_good"]].to_numpy(float), expected)
        # Between frames what the frame before says, and nothing after the last.
        at = [max((k for k, epoch in enumerate(found.epochs) if epoch <= whole), default=0) for whole in range(6)]
        held = np.where(np.arange(6) <= found.epochs[-1], found.loss[at], nan)
        np.testing.assert_array_equal(curves["loss"][number], held)


def test_statistics_and_a_page_of_runs(folder, tmp_path):
    table, curves = of_runs(folder, event="loss < 0.6")
    below = curves["loss"] < 0.6
    first = np.where(below.any(axis=1), below.argmax(axis=1), nan)
    np.testing.assert_array_equal(table["first_right"], first)
    of = outcomes(table)
    assert of.known == 2
    assert share(of).n == 6
    said = findings(table, "activation")
    assert any("3 pairs" in finding.text for finding in said)
    page = report(table, curves, tmp_path / "report.html", title="A sweep").read_text()
    assert "activation: relu, tanh" in page


def test_an_event_of_runs(folder):
    table, curves = of_runs(folder, event="accuracy>=0.75")
    held = curves["accuracy"] >= 0.75
    for number in range(6):
        known = held[number, : table["epochs"][number] + 1]
        expected = float(known.argmax()) if known.any() else nan
        np.testing.assert_equal(float(table["first_right"][number]), expected)
        assert np.isnan(table["right_for_good"][number]) == (not known[-1])
        if known[-1]:
            assert known[int(table["right_for_good"][number]) :].all()
    with pytest.raises(UnknownName, match="no curve 'los'; it has loss, accuracy"):
        of_runs(folder, event="los < 1")
    for wrong in ("loss", "loss < much", "< 1", "loss = 1"):
        with pytest.raises(BadQuery, match=r"is not a curve, a relation and a number"):
            of_runs(folder, event=wrong)


def test_what_was_logged_needs_no_network(tmp_path):
    for name, losses, rate in (("a", (2.0, 1.0, 0.5), 0.1), ("b", (2.0, inf, nan), 10.0), ("c", (2.0, 1.5), 0.1)):
        writer = begin(tmp_path / name, rate=rate, model={"units": [2]}, status="fine")
        writer.append(frame(0))  # before training nothing is logged
        for number, loss in enumerate(losses, 1):
            writer.append(frame(number, loss=loss, rate=rate))
        writer.close()
    table, curves = of_runs(tmp_path, logged=True, event="loss <= 1")
    assert table["rate"].tolist() == [0.1, 10.0, 0.1]
    assert table["status"].tolist() == ["trained", "diverged", "trained"]
    assert table["seed"].tolist() == [0, 0, 1]
    assert table["pair"].tolist() == [0, 1, 2]
    assert table["epochs"].tolist() == [3, 3, 2]
    np.testing.assert_array_equal(table["first_right"], [2, nan, nan])
    np.testing.assert_array_equal(curves["loss"], [[nan, 2, 1, 0.5], [nan, 2, inf, nan], [nan, 2, 1.5, nan]])
    assert outcomes(table).counts() == (3, 1, 1)
    with pytest.raises(Unsupported, match=r"run 'a' cannot be replayed .*logged=True"):
        of_runs(tmp_path)


def test_runs_that_are_left_out(folder, tmp_path):
    for name in ("relu-0", "relu-1"):
        shutil.copytree(folder / name, tmp_path / name)
    (tmp_path / "relu-1" / "run.json").write_text("{")
    with pytest.warns(UserWarning, match=r"1 of 2 runs below .* are left out: relu-1"):
        table, curves = of_runs(tmp_path)
    assert len(table) == len(curves["loss"]) == 1
    (tmp_path / "none").mkdir()
    with pytest.raises(StudyError, match="there are no runs below"):
        of_runs(tmp_path / "none")


@pytest.fixture(scope="module")
def optuna():
    found = pytest.importorskip("optuna")
    found.logging.set_verbosity(found.logging.ERROR)
    return found


def trials(optuna, direction="minimize"):
    """Each kind of trial there is."""
    study = optuna.create_study(direction=direction, sampler=optuna.samplers.RandomSampler(seed=0))
    for kind in ("good", "bad", "pruned", "failed", "nan", "inf", "good"):
        study.enqueue_trial({"kind": kind, "rate": 0.1})

    def objective(trial):
        kind = trial.suggest_categorical("kind", ["good", "bad", "pruned", "failed", "nan", "inf"])
        rate = trial.suggest_float("rate", 0.01, 1, log=True)
        if kind == "bad":
            trial.suggest_int("epochs", 5, 5)
        value = nan
        for step in range(1, 6):
            value = {"nan": nan, "inf": inf}.get(kind, rate / step)
            trial.report(value, step)
            if kind == "pruned" and step == 3:
                raise optuna.TrialPruned
            if kind == "failed" and step == 2:
                raise RuntimeError("out of memory")
        return value

    study.optimize(objective, n_trials=7, catch=(RuntimeError,))
    study.ask()  # it runs, and has not ended
    return study


def test_trials_as_networks(optuna, tmp_path):
    table, curves = of_optuna(trials(optuna), event="loss < 0.04")
    assert table["network"].tolist() == list(range(7))
    assert table["kind"].tolist() == ["good", "bad", "pruned", "failed", "nan", "inf", "good"]
    assert table["hyperparameters.epochs"].notna().tolist() == [False, True] + [False] * 5
    assert table["status"].tolist() == ["trained"] * 3 + ["diverged"] * 3 + ["trained"]
    assert table["epochs"].tolist() == [5, 5, 3, 2, 5, 5, 5]
    assert table["seed"].tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert table["pair"].tolist() == list(range(7))
    np.testing.assert_allclose(table["final_loss"][:3], [0.02, 0.02, 0.1 / 3])
    np.testing.assert_array_equal(table["first_right"][:4], [3, 3, 3, nan])
    np.testing.assert_array_equal(table["right_for_good"][:4], [3, 3, 3, nan])
    np.testing.assert_allclose(curves["loss"][2], [nan, 0.1, 0.05, 0.1 / 3, nan, nan])
    assert curves["loss"].shape == (7, 6)
    assert outcomes(table).counts() == (7, 4, 3)
    assert findings(table, "kind")
    page = report(table, curves, tmp_path / "report.html", title="Optuna", settings=["kind", "rate"]).read_text()
    assert "7, of which 4 became right and 3 diverged" in page
    # Without an event none is right: the pruned one is censored where it was pruned.
    never, _ = of_optuna(trials(optuna))
    assert outcomes(never).counts() == (7, 0, 3)
    assert outcomes(never).known == 3


def test_a_maximised_value_is_no_loss(optuna):
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    with warnings.catch_warnings(action="ignore"):  # it is experimental
        study.set_metric_names(["accuracy"])
    for seed in range(2):
        for units in (2, 4):
            study.enqueue_trial({"units": units, "seed": seed})
    study.optimize(
        lambda trial: trial.suggest_int("units", 2, 4) / 4 + trial.suggest_int("seed", 0, 9) / 100, n_trials=4
    )
    table, curves = of_optuna(study, event="accuracy > 0.9")
    assert curves == {}
    assert table["final_accuracy"].tolist() == [0.5, 1.0, 0.51, 1.01]
    assert table["final_loss"].tolist() == [-0.5, -1.0, -0.51, -1.01]
    assert table["seed"].tolist() == table["pair"].tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(table["first_right"], [nan, 1, nan, 1])
    assert any("2 pairs" in finding.text for finding in findings(table, "units"))


def test_what_is_no_study_of_trials(optuna):
    with pytest.raises(StudyError, match=r"no trial .* has ended"):
        of_optuna(optuna.create_study())
    several = optuna.create_study(directions=["minimize", "maximize"])
    several.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 2.0), n_trials=2)
    table, _ = of_optuna(several, objective=1)
    assert table["final_objective"].tolist() == [2.0, 2.0]
    with pytest.raises(UnknownName, match="no objective 2; it has 2"):
        of_optuna(several, objective=2)
    far = optuna.create_study()

    def objective(trial):
        trial.report(1.0, 10**6)
        return 1.0

    far.optimize(objective, n_trials=1)
    with pytest.raises(StudyError, match="reports up to step 1,000,000; report epochs"):
        of_optuna(far)
