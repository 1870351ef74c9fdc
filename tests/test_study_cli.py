"""Studies from the command line: what a TOML file may say, what is written, and going on with what was stopped."""

from __future__ import annotations

import json
import os
import re
import shutil

import pytest
from typer.testing import CliRunner

import netlapse
from netlapse import cli
from netlapse.errors import StudyError

pytest.importorskip("keras")
if os.environ.get("KERAS_BACKEND") != "jax":
    pytest.skip("studies need Keras on JAX", allow_module_level=True)

from netlapse.study import article as article_module
from netlapse.study.study import Study
from netlapse.study.toml import DATA_SETS, SOURCE, resume, start, study_of

runner = CliRunner()

NETWORK = """
import keras
import numpy as np

def build(activation="tanh", learning_rate=0.5):
    layers = [keras.layers.Dense(2, activation), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential([keras.Input((2,)), *layers])
    model.compile(keras.optimizers.SGD(learning_rate), "binary_crossentropy", metrics=["accuracy"])
    return model

def line(width=1.0):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01 * width), "mse")
    return model

def points(noise=0.0):
    X = np.random.default_rng(0).normal(size=(32, 2)).astype("float32")
    return X, (X[:, 0] > noise).astype("float32")

def heights():
    X, _ = points()
    return X, X.sum(axis=1)
"""
PLAIN = """
build = "network.py:build"
data = "network.py:points"
seeds = 4
epochs = 3
batch_size = 8
mode = "fast"
[space]
activation = ["tanh", "relu"]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a builder and a study, that one is in."""
    (tmp_path / "network.py").write_text(NETWORK)
    (tmp_path / "plain.toml").write_text(PLAIN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    done = runner.invoke(cli.app, ["study", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    # The terminal that is played is narrow.
    return done.exit_code, " ".join(done.output.split())


def described(folder, text, **more):
    (folder / "given.toml").write_text(text)
    return study_of(folder / "given.toml", **more)


def test_a_file_is_trained_told_and_reported_and_goes_on(folder):
    code, out = run("plain.toml", "--jobs", 1)
    assert code == 0
    assert "2 settings of 4 seeds, fast, in" in out
    assert "8/8" in out
    assert "networks/s" in out
    assert "right within 3 epochs median first epoch diverged" in out
    assert re.search(r"tanh 4 \d+\.\d% \(\d+\.\d% to \d+\.\d%\)", out)
    assert "- With activation tanh, " in out
    assert "table.parquet" in out
    page = (folder / "plain" / "report.html").read_text()
    assert "<h1>Study plain</h1>" in page
    assert "With activation tanh, " in page

    # Stopped after the first piece; and neither the file nor where one is matters any more.
    kept = sorted((folder / "plain" / "pieces").iterdir())
    for path in kept[2:]:
        path.unlink()
    before = kept[0].stat().st_mtime_ns
    (folder / "plain.toml").unlink()
    code, again = run("resume", folder / "plain", "--report", folder / "new" / "again.html", "--by", "activation")
    assert code == 0
    assert "8/8" in again
    assert kept[0].stat().st_mtime_ns == before
    assert sorted((folder / "plain" / "pieces").iterdir()) == kept
    assert (folder / "new" / "again.html").exists()
    assert (
        again[again.index("right within") : again.index("wrote")] == out[out.index("right within") : out.index("wrote")]
    )


def test_the_article_is_built_in(folder, monkeypatch):
    monkeypatch.setattr(article_module, "ACTIVATIONS", ("relu",))
    monkeypatch.setattr(article_module.article, "__kwdefaults__", {"space": None, "epochs": 2, "batch_size": 500})
    code, out = run("article", "--seeds", 2, "--mode", "exact", "--out", "a")
    assert code == 0
    assert "1 setting of 2 seeds, exact, in a" in out
    assert "With activation relu, 0 % of 2 networks became right within 2 epochs" in out
    assert json.loads((folder / "a" / SOURCE).read_text()) == {
        "text": None,
        "file": None,
        "seeds": 2,
        "mode": "exact",
        "record": [],
    }
    assert repr(resume("a")) == "<Study 'a': 1 settings of 2 seeds, exact>"


def test_networks_chosen_by_rules_are_recorded_and_kept_in_mind(folder):
    (folder / "plain.toml").write_text(PLAIN + '[record]\nworst = 1\n"seed == 3" = 1\n')
    code, out = run("plain.toml", "--record", "seed == 2")
    assert code == 0
    listed = re.search(r"(\d) networks are runs: netlapse ls .*plain/runs one of them: netlapse show (\S+), and", out)
    runs = sorted(path.name for path in (folder / "plain" / "runs").iterdir())
    assert len(runs) == int(listed[1])
    assert {"00000002", "00000003", "00000006", "00000007"} <= set(runs)
    assert netlapse.open(listed[2]).hyperparameters["activation"] == "tanh"
    assert f"side by side: netlapse compare {folder}/plain/runs/" in out
    # What was asked for is still to be there after an interruption, and more can be asked for.
    shutil.rmtree(folder / "plain" / "runs" / "00000002")
    run("resume", "plain", "--record", "network == 0")
    assert sorted({"00000000", *runs}) == sorted(path.name for path in (folder / "plain" / "runs").iterdir())


def test_a_rule_without_sense_is_refused_before_anything_is_trained(folder):
    with pytest.raises(StudyError, match="'bets' is neither best, worst, median nor failed, nor a query"):
        run("plain.toml", "--record", "bets")
    assert not (folder / "plain").exists()


def test_targets_without_classes_are_trained_without_findings(folder):
    text = PLAIN.replace(":build", ":line").replace(":points", ":heights")
    (folder / "line.toml").write_text(text[: text.index("[space]")] + "[space]\nwidth = [1.0, 2.0]")
    code, out = run("line.toml", "--seeds", 1, "--mode", "exact")
    assert code == 0
    assert "there are no findings and no report" in out
    assert not (folder / "line" / "report.html").exists()


def test_what_a_file_says_is_the_study(folder):
    study = described(folder, PLAIN)
    assert (study.seeds, study.mode, study.paired) == (4, "fast", True)
    assert study.path == str(folder / "given")
    assert study.settings == [{"activation": "tanh"}, {"activation": "relu"}]
    text = PLAIN.replace('mode = "fast"', 'folder = "kept/here"\npaired = false')
    study = described(folder, text, seeds=2, mode="fast")
    assert (study.seeds, study.mode, study.paired) == (2, "fast", False)
    assert study.path == str(folder / "kept" / "here")
    assert described(folder, PLAIN, out="there").path == "there"


def test_ranges_are_sampled(folder):
    samples = '[samples]\ncount = 5\nmethod = "random"\nseed = 3\n'
    ranges = (
        "learning_rate = { low = 1e-3, high = 1.0, log = true }\nbatch_size = { low = 4, high = 8, whole = true }\n"
    )
    study = described(folder, PLAIN.replace('"fast"', '"exact"') + ranges + samples)
    assert len(study.settings) == 5
    assert all(1e-3 <= setting["learning_rate"] <= 1 for setting in study.settings)
    assert {setting["batch_size"] for setting in study.settings} <= {4, 5, 6, 7, 8}
    assert study.settings == described(folder, (folder / "given.toml").read_text(), out="b").settings


def test_data_sets_have_names_and_options_and_can_be_varied(folder):
    text = PLAIN.replace('"network.py:points"', '{ name = "parabolas", n = 40 }')
    study = described(folder, text.replace('activation = ["tanh", "relu"]', "noise = [0.0, 0.5]"))
    (clean, targets), (noisy, _) = (study._builder.data(setting) for setting in study.settings)
    assert clean.shape == (40, 2)
    assert targets.dtype == clean.dtype == "float32"
    assert abs(clean - noisy).max() > 0.1
    from netlapse import datasets

    assert all(callable(getattr(datasets, name)) for name in DATA_SETS)
    assert described(folder, PLAIN.replace("network.py:points", "xor"), out="c").settings


def test_a_module_is_imported_from_beside_the_file(folder, monkeypatch):
    monkeypatch.syspath_prepend("/nowhere")
    (folder / "nets_of_a_test.py").write_text("from network import build, points\n")
    text = PLAIN.replace("network.py:build", "nets_of_a_test:build").replace("network.py:points", "network:points")
    monkeypatch.chdir("/")
    assert len(described(folder, text).settings) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = 4", "sedes = 4", "has sedes, which is not known; it may have build, data, space, seeds,"),
        ('build = "network.py:build"', "", "lacks build; add it"),
        ('data = "network.py:points"', "", "lacks data; add it"),
        ("[space]", "[samples]\ncount = 1\n[other]", "has other, which is not known"),
        ('activation = ["tanh", "relu"]', "", r"\[space\] is empty; vary something"),
        ('["tanh", "relu"]', '"tanh"', "space.activation = 'tanh'; write a list or a range"),
        ('["tanh", "relu"]', "[]", "'activation' has the values"),
        ('activation = ["tanh", "relu"]', "width = [1]", "varies 'width', which neither the builder nor the data take"),
        ('["tanh", "relu"]', "{ low = 1 }", "lacks space.activation.high; add it"),
        ('["tanh", "relu"]', "{ low = 1, high = 2, lgo = true }", "has space.activation.lgo, which is not known"),
        ('["tanh", "relu"]', '{ low = "a", high = 2 }', "space.activation.low = 'a' is no number"),
        ('["tanh", "relu"]', "{ low = 1, high = 2, log = 1 }", "space.activation.log = 1; write true or false"),
        ('["tanh", "relu"]', "{ low = 2, high = 1 }", "space.activation: .*it needs low < high"),
        ('["tanh", "relu"]', "{ low = 1, high = 2 }", "activation of the space are ranges; say how many samples"),
        ("[space]", "[samples]\nmethod = 'sobol'\n[space]", "lacks samples.count"),
        ("[space]", "[samples]\ncount = 1.5\n[space]", "samples.count = 1.5 is no whole number"),
        ("[space]", "[samples]\ncount = 2\nmethod = 'grid'\n[space]", "there is no method 'grid'"),
        ("[space]", "[samples]\ncount = 2\nn = 3\n[space]", "has samples.n, which is not known"),
        ("seeds = 4", "seeds = true", "seeds = True is no whole number"),
        ("seeds = 4", "seeds = 0", "seeds=0, epochs=3, batch_size=8: each must be 1 or more"),
        ('"fast"', '"quick"', "there is no mode 'quick'"),
        ('"fast"', "1", 'mode = 1; write "exact" or "fast"'),
        ("seeds = 4", "paired = 1", "paired = 1; write true or false"),
        ("seeds = 4", "folder = 1", "folder = 1; write a path"),
        ("seeds = 4", "record = ['best']", r"record = \['best'\]; write a table, such as { best = 1 }"),
        ("seeds = 4", "record = { best = 1.5 }", "record.best = 1.5 is no whole number"),
        ("seeds = 4", "record = { best = 0 }", "record at least one"),
        ("seeds = 4", "record = { bets = 1 }", "'bets' is neither best, worst, median nor failed"),
        ("seeds = 4", "seeds = ", "given.toml is no TOML"),
        ("network.py:build", "network.py", "names no function; write"),
        ("network.py:build", "networks.py:build", "no file .*networks.py; paths are relative to the TOML file"),
        ("network.py:build", "network.py:bild", "has no function 'bild'; it has build, line, points, heights"),
        ("network.py:build", "no_such_module:build", "cannot be imported .ModuleNotFoundError"),
        ("network.py:build", "broken.py:build", r"broken.py, which cannot be imported \(ZeroDivisionError"),
        ('"network.py:build"', "3", "build = 3; write"),
        ('"network.py:points"', '"parabola"', "there is no data set 'parabola'; write .*: parabolas, ball"),
        ('"network.py:points"', "{ n = 3 }", "data = {'n': 3}; write"),
        ('"network.py:points"', "[1]", "write .*the name of a data set"),
        ('"network.py:points"', '{ name = "xor", noises = 1 }', "has data.noises, .* it may have data.n, data.noise,"),
    ],
)
def test_what_is_wrong_in_a_file_is_one_clear_error(folder, old, new, message):
    (folder / "broken.py").write_text("1 / 0")
    assert PLAIN.count(old) == 1
    with pytest.raises(StudyError, match=message) as caught:
        described(folder, PLAIN.replace(old, new))
    assert "given.toml" in str(caught.value)
    assert not (folder / "given").exists()


def test_files_that_cannot_be_read(folder):
    with pytest.raises(StudyError, match=r'no file nowhere.toml; .* "article", which is built in'):
        start("nowhere.toml")
    (folder / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StudyError, match=r"binary.toml cannot be read as a TOML file"):
        study_of("binary.toml")
    with pytest.raises(StudyError, match="cannot be read as a TOML file"):
        study_of(folder)


def test_what_cannot_be_resumed_says_so(folder):
    with pytest.raises(StudyError, match=r"no study in .*nowhere; start one: netlapse study FILE.toml"):
        resume("nowhere")
    described(folder, PLAIN, out="python")
    with pytest.raises(StudyError, match=r"python holds no source.json: its study was made in Python.*\.run\(\)"):
        resume("python")
    for text in ("{", "[]", '{"text": null}'):
        (folder / "python" / SOURCE).write_text(text)
        with pytest.raises(StudyError, match=r"source.json of python cannot be read .*; go on with"):
            resume("python")
    start("plain.toml", out="moved")
    (folder / "network.py").unlink()
    with pytest.raises(StudyError, match=r"no file .*network.py"):
        resume("moved")


def test_a_folder_of_another_study_is_refused(folder):
    start("plain.toml")
    with pytest.raises(StudyError, match="holds another study, which differs in seeds"):
        start("plain.toml", seeds=5)
    assert json.loads((folder / "plain" / SOURCE).read_text())["seeds"] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resume",), "netlapse study resume FOLDER"),
        (("resume", "a", "--seeds", 3), "a study is resumed as it was started"),
        (("plain.toml", "there"), "netlapse study plain.toml --out there"),
        (("plain.toml", "--mode", "quick"), "quick"),
        (("plain.toml", "--seeds", 0), "Invalid value for '--seeds'"),
    ],
)
def test_options_are_checked(folder, arguments, message, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out = run(*arguments)
    assert code == 2
    assert message in out


def test_who_stops_it_is_told_how_to_go_on(folder, monkeypatch):
    def stop(self, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Study, "run", stop)
    code, out = run("plain.toml", "-o", "half")
    assert code != 0
    assert "stopped; go on with: netlapse study resume half" in out


def test_what_is_compared_must_vary(folder):
    with pytest.raises(StudyError, match="does not vary 'learning_rate'; --by can be activation"):
        run("plain.toml", "--by", "learning_rate")


def test_another_backend_is_refused(folder, keras, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(StudyError, match="but Keras runs on torch; set KERAS_BACKEND=jax"):
        run("article")
