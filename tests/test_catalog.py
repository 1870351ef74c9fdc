"""Many runs: every row says what its run says, whatever the index holds; expressions choose runs and run no code."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

import netlapse
from netlapse import store
from netlapse.catalog import columns, differing, index, query, rows, walk
from netlapse.errors import BadQuery, RunError
from netlapse.listing import print_table
from netlapse.store import Frame, Layer, Manifest, Parameter, Run, Writer, files


def begin(path, /, **hyperparameters):
    """A run of a network of two weights with these hyper-parameters."""
    description = Manifest(
        id=path.name,
        name=path.name,
        created="2026-01-01T00:00:00+00:00",
        status="recording",
        netlapse="0.1.0",
        framework="numpy",
        backend="none",
        versions={},
        hyperparameters=hyperparameters,
        layers=(Layer("hidden", "Dense"),),
        parameters=(Parameter("w", (2,), "float32", True, "hidden"),),
        model={},
        probe={"examples": 1, "drawn_from": 1},
        schedule="epoch",
    )
    return Writer.create(path, description, probe={"train/inputs": np.zeros((1, 2))}, model={})


def frame(number, **scalars):
    return Frame(10 * number, float(number), 0.5 * number, {"w": np.zeros(2, np.float32)}, scalars)


def make(path, /, losses=(1.0, 0.5), **hyperparameters):
    writer = begin(path, **hyperparameters)
    for number, loss in enumerate(losses):
        writer.append(frame(number, loss=loss))
    writer.close()
    return path


def by_name(root, *arguments):
    return {row["name"]: row for row in rows(root, *arguments)}


def without_opening_runs():
    return mock.patch.object(store, "Run", side_effect=AssertionError("a run was opened"))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Three runs that differ in activation and seed; one of them diverged."""
    root = tmp_path_factory.mktemp("sweep")
    common = {"optimizer": "SGD", "optimizer.momentum": 0.9, "units": [2, 1]}
    make(root / "a", [1.0, 0.5, 0.25], activation="relu", seed=1, **common)
    make(root / "b", [1.0, 0.75], activation="tanh", seed=10, **common)
    make(root / "deep" / "c", [2.0, math.nan], activation="relu", **common)
    return root


# Rows.


def test_a_row_says_what_the_run_says(sweep):
    for row in rows(sweep):
        run = Run(row["path"])
        assert (row["name"], row["id"], row["status"]) == (run.name, run.manifest.id, run.status)
        assert (row["frames"], row["last_step"], row["seconds"]) == (len(run), run.steps[-1], run.times[-1])
        assert (row["first_epoch"], row["last_epoch"]) == (run.epochs[0], run.epochs[-1])
        assert row["bytes"] == sum(path.stat().st_size for path in Path(run.path).rglob("*") if path.is_file())
        assert row["parameters"] == 2
        assert {name: row[name] for name in run.manifest.hyperparameters} == run.manifest.hyperparameters
        loss = run.scalar("loss")
        np.testing.assert_equal(
            (row["final.loss"], row["min.loss"], row["max.loss"]), (loss[-1], np.nanmin(loss), np.nanmax(loss))
        )


def test_a_hyperparameter_named_as_a_column_goes_under_another_name(tmp_path):
    make(tmp_path / "a", **{"frames": "many", "final.loss": 7, "parameters": 2, "path": "x"})
    [row] = rows(tmp_path)
    assert (row["frames"], row["hyperparameters.frames"]) == (2, "many")
    assert (row["final.loss"], row["hyperparameters.final.loss"]) == (0.5, 7)
    assert (row["path"], row["hyperparameters.path"]) == (str(tmp_path / "a"), "x")
    assert "hyperparameters.parameters" not in row


def test_a_root_that_is_a_run_is_listed_and_left_as_it_is(tmp_path):
    run = make(tmp_path / "a")
    before = set(run.rglob("*"))
    assert [row["path"] for row in rows(run)] == [str(run)]
    assert set(run.rglob("*")) == before


def test_an_empty_root_stays_empty(tmp_path):
    assert rows(tmp_path, "nothing == 1", "nothing") == []
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RunError, match="nowhere is not a folder"):
        rows(tmp_path / "nowhere")


def test_where_runs_are_looked_for(tmp_path):
    run = make(tmp_path / "runs" / "deep" / "er" / "a")
    make(run / "frames" / "inside")
    make(tmp_path / "runs" / ".hidden" / "b")
    make(tmp_path / "elsewhere" / "c")
    (tmp_path / "runs" / "linked").symlink_to(tmp_path / "elsewhere" / "c")
    (tmp_path / "runs" / "up").symlink_to(tmp_path)
    assert [row["path"].removeprefix(f"{tmp_path}/runs/") for row in rows(tmp_path / "runs")] == ["deep/er/a", "linked"]
    assert (walk.MANIFEST, walk.FRAMES) == (files.MANIFEST, files.FRAMES)


# The index.


def test_what_has_not_changed_is_not_opened_again(tmp_path):
    for name in "abc":
        make(tmp_path / name, seed=1)
    first = rows(tmp_path)
    with without_opening_runs():
        assert rows(tmp_path) == first
    (tmp_path / index.NAME).unlink()
    assert rows(tmp_path) == first


def test_what_has_changed_is_seen(tmp_path):
    for name in ("kept", "resumed", "replaced", "gone", "moved"):
        make(tmp_path / name)
    rows(tmp_path)
    writer = Writer.resume(tmp_path / "resumed")
    writer.append(frame(2, loss=0.1))
    writer.close()
    shutil.rmtree(tmp_path / "replaced")
    make(tmp_path / "replaced", [3.0])
    shutil.rmtree(tmp_path / "gone")
    (tmp_path / "moved").rename(tmp_path / "there")
    make(tmp_path / "new")
    found = {row["path"].rpartition("/")[2]: (row["frames"], row["final.loss"]) for row in rows(tmp_path)}
    assert found == {"kept": (2, 0.5), "resumed": (3, 0.1), "replaced": (1, 3.0), "there": (2, 0.5), "new": (2, 0.5)}
    with sqlite3.connect(tmp_path / index.NAME) as database:
        assert {path for (path,) in database.execute("SELECT path FROM runs")} == found.keys()
    database.close()


def test_a_run_grows_while_it_is_listed(tmp_path):
    writer = begin(tmp_path / "live")
    manifest = (tmp_path / "live" / "run.json").read_bytes()
    for count in range(3):
        found = by_name(tmp_path)["live"]
        assert (found["status"], found["frames"]) == ("recording", count)
        assert found.get("final.loss") == (float(count - 1) if count else None)
        writer.append(frame(count, loss=float(count)))
        writer.flush()
    assert (tmp_path / "live" / "run.json").read_bytes() == manifest
    writer.close()
    assert (by_name(tmp_path)["live"]["status"], by_name(tmp_path)["live"]["frames"]) == ("complete", 3)


def test_a_dead_run_is_interrupted_and_may_go_on(tmp_path):
    code = "import sys, os; from pathlib import Path; from tests.test_catalog import begin, frame\n"
    code += "writer = begin(Path(sys.argv[1])); writer.append(frame(0, loss=1.0)); writer.flush(); os._exit(9)"
    subprocess.run([sys.executable, "-c", code, tmp_path / "dead"], check=False)
    first = by_name(tmp_path)["dead"]
    assert (first["status"], first["frames"]) == ("interrupted", 1)
    with without_opening_runs():
        assert by_name(tmp_path)["dead"] == first
    writer = Writer.resume(tmp_path / "dead")
    assert by_name(tmp_path)["dead"]["status"] == "recording"
    writer.close()
    assert by_name(tmp_path)["dead"]["status"] == "complete"


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("run.json", b"{", "cannot be read"),
        ("run.json", b"[" * 100_000, "recursion"),
        ("run.json", b'{"format": 2}', "upgrade"),
        ("run.json", b'{"format": 1, "layers": [], "parameters": []}', "lacks or misstates"),
        ("frames/00000000.safetensors", b"short", "truncated or altered"),
    ],
)
def test_a_damaged_run_is_listed_with_the_reason_until_it_is_mended(tmp_path, file, content, reason):
    for name in ("good", "bad"):
        make(tmp_path / name)
    sound = rows(tmp_path)
    path = tmp_path / "bad" / file
    before = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    found = by_name(tmp_path)
    assert found["bad"]["status"] == "damaged"
    assert reason in found["bad"]["problem"]
    assert found["good"] == sound[1]
    path.write_bytes(before)
    assert rows(tmp_path) == sound


def test_hyperparameters_that_are_none_are_damage(tmp_path):
    manifest = make(tmp_path / "bad") / "run.json"
    content = json.loads(manifest.read_bytes())
    del content["xxh3_64"]
    manifest.write_text(json.dumps({**content, "hyperparameters": [1]}))
    assert by_name(tmp_path)["bad"]["status"] == "damaged"


def someone_elses(path):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE runs (holiday TEXT)")
    database.close()


def of_another_version(path):
    with sqlite3.connect(path) as database:
        database.execute("UPDATE runs SET row = '{}'")
        database.execute("PRAGMA user_version = 99")
    database.close()


def of_bytes(path):
    with sqlite3.connect(path) as database:
        database.execute("UPDATE runs SET row = x'ff00'")
    database.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("my notes"),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: (path.unlink(), someone_elses(path)),
        of_another_version,
        of_bytes,
    ],
    ids=["empty", "text", "truncated", "foreign", "version", "bytes"],
)
def test_an_index_that_is_none_is_made_anew(tmp_path, spoil):
    for number in range(20):
        make(tmp_path / f"{number}", seed=number)
    found = rows(tmp_path)
    spoil(tmp_path / index.NAME)
    assert rows(tmp_path) == found
    with without_opening_runs():
        assert rows(tmp_path) == found


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    root = tmp_path_factory.mktemp("indexed")
    for number in range(5):
        make(root / f"{number}", seed=number)
    return root, rows(root), (root / index.NAME).read_bytes()


@settings(deadline=None)
@given(st.data())
def test_damage_of_the_index_never_changes_what_is_listed(indexed, data):
    root, found, content = indexed
    spoiled = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        spoiled[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (root / index.NAME).write_bytes(spoiled[: data.draw(st.integers(len(content) // 2, len(content)))])
    assert rows(root) == found
    assert rows(root) == found


def test_a_folder_that_takes_no_index_is_listed(tmp_path):
    make(tmp_path / "runs" / "a")
    (tmp_path / "runs" / index.NAME).mkdir()  # no file can be opened there, whoever asks
    assert [row["name"] for row in rows(tmp_path / "runs")] == ["a"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_listed(tmp_path):
    make(tmp_path / "a")
    tmp_path.chmod(0o555)
    try:
        assert [row["name"] for row in rows(tmp_path)] == ["a"]
        assert not (tmp_path / index.NAME).exists()
    finally:
        tmp_path.chmod(0o755)


def test_a_busy_index_is_gone_without(tmp_path):
    make(tmp_path / "a")
    found = rows(tmp_path)
    database = sqlite3.connect(tmp_path / index.NAME)
    database.execute("BEGIN EXCLUSIVE")
    make(tmp_path / "b")
    with mock.patch.object(index, "_OTHERS_SECONDS", 0.01):
        assert [row["name"] for row in rows(tmp_path)] == ["a", "b"]
    database.close()
    (tmp_path / "b").rename(tmp_path / ".b")
    with without_opening_runs():
        assert rows(tmp_path) == found


def test_many_processes_list_at_once(tmp_path):
    for number in range(40):
        make(tmp_path / f"{number:02}", seed=number)
    code = "import sys, json; from netlapse.catalog import rows\n"
    code += "sys.stdin.readline(); [print(json.dumps(rows(sys.argv[1]))) for _ in range(3)]"
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(command, stdin=-1, stdout=-1, text=True) for _ in range(4)]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = [process.communicate()[0].splitlines() for process in processes]
    found = rows(tmp_path)
    assert len(found) == 40
    assert [json.loads(line) for output in outputs for line in output] == [found] * 12
    with without_opening_runs():
        assert rows(tmp_path) == found
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {index.NAME}


def test_a_listing_out_of_the_index_starts_light(sweep):
    rows(sweep)
    code = "import sys; from netlapse.cli import app; app(['ls', sys.argv[1]], standalone_mode=False)\n"
    code += "print('imported', {'numpy', 'netlapse.store', 'pandas', 'simpleeval', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code, sweep], capture_output=True, text=True, check=True)
    assert "imported set()" in done.stdout


# Expressions.


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("activation == 'relu' and final.loss < 0.3", "a"),
        ("activation == 'relu'", "ac"),
        ("not activation == 'relu'", "b"),
        ("seed > 0", "ab"),
        ("seed != 1", "b"),  # "c" has no seed: no comparison with it holds
        ("not seed == 1", "bc"),
        ("seed == 1 or activation == 'relu'", "ac"),
        ("seed", "ab"),
        ("1 < seed <= 10", "b"),
        ("seed in [1, 2]", "a"),
        ("'an' in activation", "b"),
        ("optimizer.momentum == 0.9 and optimizer == 'SGD'", "abc"),
        ('run["optimizer.momentum"] * 10 > 8', "abc"),
        ("units == (2, 1)", "abc"),
        ("units[0] == 2 and len(units) == 2", "abc"),
        ("max.loss - min.loss >= 0.75", "a"),
        ("final.loss != final.loss", "c"),
        ("frames == 2 and status == 'complete'", "bc"),
        ("abs(final.loss - 0.5) <= 0.25 and round(final.loss) == 0", "a"),
        ("min(seed, 5) == 5", "b"),
        ("-seed < -1", "b"),
        ("2 ** seed == 1024", "b"),
        ("seed < 5 or seed < 'x'", "a"),  # makes no sense for "b", whose second half is looked at
        ("(seed / (seed - 1)) > 1", "b"),  # 1 / 0 for "a"
        ("path == 'nowhere'", ""),
    ],
)
def test_where(sweep, expression, expected):
    assert "".join(row["name"] for row in rows(sweep, expression)) == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("activaton == 'relu'", "no run here has 'activaton'; did you mean activation"),
        ("loss < 1", "final.loss"),
        ("optimizer.momentun == 1", "did you mean optimizer.momentum"),
        ("zzz.qqq == 1", "there are path, name, id"),
        ("False and nothing", "no run here has 'nothing'"),
        ("", "cannot be understood"),
        ("seed = 1", "cannot be understood"),
        ("seed ==", "cannot be understood"),
        ("activation < 3", "makes no sense for any run here"),
        ("activation < 3 and seed == 1", "makes no sense for any run here"),
        ("__import__('os').system('true')", "calls something"),
        ("open('/etc/passwd')", "only abs, len, max, min, round"),
        ("activation.__class__", "no run here has 'activation.__class__'"),
        ("'a'.__class__", "Attribute"),
        ("activation.upper() == 'RELU'", "calls something"),
        ("abs.__self__", "no run here has 'abs.__self__'"),
        ("max([1], key=abs)", "by position"),
        ("max(*units)", "Starred"),
        ("[x for x in units]", "ListComp"),
        ("(lambda: 1)()", "calls something"),
        ("lambda: 1", "Lambda"),
        ("(seed := 3)", "NamedExpr"),
        ("f'{seed}'", "JoinedStr"),
        ("1 if seed else 2", "IfExp"),
        ("seed << 9999999", "LShift"),
        ("units[0:1]", "Slice"),
        ("{1: 2}", "Dict"),
        ("b'x' == 1", "holds b'x'"),
        ("... == 1", "holds Ellipsis"),
        ("-" * 1500 + "1", "nested too deeply"),
        ("(" * 900 + ")" * 900, "cannot be understood"),
        ("seed == 1" + " " * 5000 + "or 1", "characters long"),
        ("'x' * 9 == 1", "arithmetic is of numbers only"),
        ("'%99999999d' % 1 == 1", "arithmetic is of numbers only"),
        ("9 ** 9 ** 9 > 1", "makes no sense"),
        ("\0", "cannot be understood"),
    ],
)
def test_what_cannot_be_asked(sweep, expression, message):
    with pytest.raises(BadQuery) as caught:
        rows(sweep, expression)
    assert message in str(caught.value)


NUMBERS = {"a": 3, "b": -0.5, "c": 0, "d": 7}
atoms = st.one_of(st.sampled_from(sorted(NUMBERS)), st.integers(-9, 9).map(str), st.floats(-9, 9).map(repr))
numeric = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda part: f"(-{part})"),
        inner.map(lambda part: f"abs({part})"),
        st.tuples(inner, inner).map(lambda parts: f"max({', '.join(parts)})"),
    ),
    max_leaves=6,
)
comparison = st.one_of(
    st.tuples(numeric, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), numeric).map(" ".join),
    st.tuples(numeric, st.lists(numeric, max_size=3)).map(lambda parts: f"{parts[0]} in [{', '.join(parts[1])}]"),
)
truths = st.recursive(
    comparison,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda part: f"(not {part})"),
    ),
    max_leaves=6,
)


@given(truths)
def test_expressions_mean_what_python_means(expression):
    expected = eval(expression, {}, NUMBERS)
    assert bool(query.matching([NUMBERS], expression, NUMBERS)) == bool(expected)


EVENTS: list[str] | None = None
DANGEROUS = {"exec", "import", "open", "os.system", "os.remove", "os.mkdir", "subprocess.Popen", "socket.connect"}


def watch(event, _):
    if EVENTS is not None and event in DANGEROUS:
        EVENTS.append(event)


sys.addaudithook(watch)
WORDS = """a b run abs max len open __import__ exec eval print os sys __class__ __subclasses__ lambda for in if else not
and or is None True import ( ) [ ] { } . , : = == < ** * + - / % << ' " 'x' 1 0 9e999 99999 1j \\ # @ :="""
words = st.sampled_from([*WORDS.split(), " ", "\n"])


@settings(deadline=None, max_examples=400)
@given(st.one_of(st.text(), st.lists(words, max_size=12).map(" ".join), st.lists(words, max_size=12).map("".join)))
@example("().__class__.__bases__[0].__subclasses__()")
@example("__import__('os').system('true')")
@example("exec('import os')")
@example("9 ** 9 ** 9 ** 9")
@example("round(9, -999999999)")
@example("max(max, abs)")
def test_no_expression_does_more_than_choose(expression):
    global EVENTS
    table = [{"a": 1, "b": "text", "c": [1, 2]}, {"a": 2.5}, {}]
    EVENTS = []
    try:
        assert all(row in table for row in query.matching(table, expression, ["a", "b", "c"]))
    except BadQuery:
        pass
    finally:
        happened, EVENTS = EVENTS, None
    assert happened == []


def test_the_watch_sees_what_it_is_for(tmp_path):
    global EVENTS
    EVENTS = []
    eval("__import__('json')")
    (tmp_path / "x").write_text("")
    happened, EVENTS = EVENTS, None
    assert {"exec", "open"} <= set(happened)


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("seed", "abc"),
        ("-seed", "bac"),
        ("final.loss", "abc"),
        ("-final.loss", "bac"),  # NaN is no value
        ("activation", "acb"),
        ("-name", "cba"),
        (None, "abc"),
    ],
)
def test_sort(sweep, sort, expected):
    assert "".join(row["name"] for row in rows(sweep, None, sort)) == expected


@given(st.lists(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()))))
def test_any_values_can_be_sorted(values):
    table = [{"x": value} for value in values]
    up, down = query.ordered(table, "x", ["x"]), query.ordered(table, "-x", ["x"])
    numbers = [row["x"] for row in up if isinstance(row["x"], int | float) and row["x"] == row["x"]]
    assert numbers == sorted(numbers)
    assert sorted(map(id, up)) == sorted(map(id, down)) == sorted(map(id, table))
    with pytest.raises(BadQuery, match="no run here has 'y'; did you mean"):
        query.ordered(table, "y", ["yy"])


# What is shown.


def shown(found, width=120, names=None, sort=None):
    console = Console(file=io.StringIO(), width=width)
    print_table(found, names, sort, console)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_a_table_fits_and_shows_what_tells_runs_apart(tmp_path, width):
    for number in range(4):
        path = tmp_path / f"深い-{number}-{'x' * 60}"
        make(
            path,
            activation="relu" if number % 2 else "tanh",
            seed=number,
            constant="always",
            text="t" * 99 + str(number),
        )
    found = rows(tmp_path)
    lines = shown(found, width)
    assert all(cell_len(line) <= width for line in lines[: 5 if width > 40 else 0])
    assert lines[0].split()[:2] == ["path", "status"]
    assert "constant" not in lines[0]
    assert differing(found) == ["activation", "seed", "text"]
    if width >= 120:
        assert {"activation", "seed", "final.loss", "frames", "last_epoch"} <= set(lines[0].split())
    assert all(line.startswith("…") and line.split()[1] == "complete" for line in lines[1:5])


def test_what_was_asked_for_is_shown_whatever_the_width(sweep):
    lines = shown(rows(sweep, None, "min.loss"), 80, sort="min.loss")
    assert "min.loss" in lines[0].split()
    lines = shown(rows(sweep), 20, names=["path", "optimizer.momentum", "created"])
    assert lines[0].split() == ["path", "optimizer.momentum", "created"]
    assert lines[1].split() == [str(sweep / "a"), "0.9", "2026-01-01", "00:00"]


def test_a_damaged_run_is_shown_with_its_reason(tmp_path):
    make(tmp_path / "a")
    (make(tmp_path / "b") / "run.json").write_text("{")
    lines = shown(rows(tmp_path), 200)
    assert "damaged" in lines[2]
    assert "cannot be read as a run's manifest" in lines[3]


def test_names_cannot_move_the_cursor(tmp_path):
    make(tmp_path / "a", evil="\x1b[2J")
    make(tmp_path / "b", evil="plain")
    assert "\x1b" not in "\n".join(shown(rows(tmp_path), 200))


def ls(*arguments):
    command = [sys.executable, "-m", "netlapse", "ls", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"})


def test_json_and_csv_are_what_was_found(sweep):
    found = rows(sweep)
    told = json.loads(ls(sweep, "--format", "json").stdout)
    assert told[:2] == found[:2]
    assert (told[2]["final.loss"], told[2]["units"]) == (None, [2, 1])
    [header, *lines] = csv.reader(io.StringIO(ls(sweep, "--format", "csv").stdout))
    assert header == columns(found)
    assert [dict(zip(header, line, strict=True))["seed"] for line in lines] == ["1", "10", ""]
    options = ("--columns", "seed,final.loss", "--sort", "-seed", "--limit", "1", "--format", "json")
    assert json.loads(ls(sweep, *options).stdout) == [{"seed": 10, "final.loss": 0.75}]
    assert json.loads(ls(sweep, "--where", "seed == 3", "--format", "json").stdout) == []


@pytest.mark.parametrize(
    "arguments",
    [("--where", "units == [2, 1"), ("--where", "seeds == [1]"), ("--sort", "seeds"), ("--columns", "seed,seeds")],
)
def test_a_mistake_is_one_line(sweep, arguments):
    done = ls(sweep, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert "cannot be understood" in done.stderr or "did you mean seed" in done.stderr


def test_runs_is_a_data_frame(sweep):
    pytest.importorskip("pandas")
    table = netlapse.runs(sweep, where="seed > 0", sort="-seed")
    assert list(table.columns) == columns(rows(sweep, "seed > 0"))
    assert table["name"].tolist() == ["b", "a"]
    assert table["final.loss"].tolist() == [0.75, 0.25]
    assert len(netlapse.runs(sweep, "seed == 3")) == 0


def test_runs_without_pandas_says_what_to_install(sweep):
    with mock.patch.dict(sys.modules, pandas=None), pytest.raises(ImportError, match=r"netlapse\[table\]"):
        netlapse.runs(sweep)
