"""A run from a stranger: read correctly, or one clear error; nothing is executed, followed, filled or waited for.

Whoever makes a hostile run computes its checksums too: `forge` alters a file and makes them right again.
"""

from __future__ import annotations

import ast
import inspect
import io
import json
import os
import resource
import shutil
import signal
import socket
import sys
import tracemalloc
import warnings
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import netlapse
from netlapse import cli
from netlapse.errors import DamagedRun, NetlapseError, RunError, Unsupported
from netlapse.keras import trust
from netlapse.keras_backend import choose_backend
from netlapse.store import Frame, Layer, Manifest, Parameter, Run, Writer, compression, manifest, tensors

SEGMENT = "frames/00000000.safetensors"
WEIGHTS = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "flag": np.array([True])}
# What a run of a few kilobytes may take, and for how long.
MOST_BYTES, MOST_SECONDS = 24 * 2**20, 5


def description(**changes):
    entries = {
        "id": "5eed",
        "name": "relu",
        "created": "2026-01-01T00:00:00+00:00",
        "status": "recording",
        "netlapse": "0.1.0",
        "framework": "numpy",
        "backend": "numpy",
        "versions": {"numpy": "2.0"},
        "hyperparameters": {"learning_rate": 0.1, "units": [3, None]},
        "layers": (Layer("hidden", "Dense", 3, "relu"),),
        "parameters": tuple(Parameter(n, a.shape, str(a.dtype), True, "hidden") for n, a in WEIGHTS.items()),
        "model": {"architecture": "net.json"},
        "probe": {"examples": 4, "drawn_from": 9, "class_names": ["a", "b"]},
        "schedule": "epoch",
    }
    return Manifest(**entries | changes)


PROBE = {"train/inputs": np.zeros((4, 2), np.float32), "train/targets": np.arange(4) % 2}


def record(path, **changes):
    writer = Writer.create(path, description(**changes), probe=PROBE, model={"net.json": b"{}"})
    for step in range(20):
        writer.append(Frame(step, step / 4, step / 8, WEIGHTS, {"loss": 1.0}, {"slot": np.zeros(3)}))
        writer.log(step, step / 4, step / 8, {"loss": 2.0})
    writer.close("recording")
    return path


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    record(folder / "plain")
    record(folder / "packed", storage={"compressed": True})
    return folder


@pytest.fixture
def run(sound, tmp_path):
    return Path(shutil.copytree(sound / "plain", tmp_path / "run"))


# Making checksums right


def parsed(content):
    start = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:start]), content[start:]


def forge_tensors(file, change):
    """Let `change` alter the header of a file of tensors, its metadata unpacked; then make all checksums right."""
    header, data = parsed(file.read_bytes())
    nested = [key for key in ("xxh3_64", "compressed") if key in header["__metadata__"]]
    for key in nested:
        header["__metadata__"][key] = json.loads(header["__metadata__"][key])
    data = change(header, data) or data
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    if isinstance(metadata, dict):
        sums = metadata.get("xxh3_64")
        for name, entry in header.items():
            # Where a header makes no sense, no checksum does.
            with suppress(Exception):
                begin, end = entry["data_offsets"]
                array = np.frombuffer(data[begin:end], tensors.DTYPES[entry["dtype"]]).reshape(entry["shape"])
                sums[name] = tensors.checksums(name, array) if array.size else ""
        for key in nested:
            if key in metadata:
                metadata[key] = json.dumps(metadata[key])
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data)


def forge_manifest(path, change=lambda content: None):
    """Let `change` alter `run.json`; then make all checksums right."""
    content = json.loads((path / "run.json").read_bytes())
    if isinstance(content["checksums"], dict):
        for name in content["checksums"]:
            if (path / name).is_file():
                content["checksums"][name] = manifest.checksum((path / name).read_bytes())
    content = change(content) or content
    if isinstance(content, dict) and isinstance(content.get("xxh3_64"), str):
        content = {**content, "xxh3_64": "0" * 16}
        text = json.dumps(content, indent=1).encode()
        text = text.replace(b"0" * 16, manifest.checksum(text).encode(), 1)
    else:
        text = json.dumps(content).encode()
    (path / "run.json").write_bytes(text)


def forge(path, what, change):
    if what == "manifest":
        forge_manifest(path, change)
    else:
        forge_tensors(path / (SEGMENT if what == "segment" else "probe.safetensors"), change)
        forge_manifest(path)


# Looking at runs


class Hangs(BaseException):
    pass


@contextmanager
def guarded():
    """Fails if what is done within it executes something, connects, takes too much memory or too long."""
    done: list[str] = []
    WATCHED.append(done)

    def give_up(*_):
        raise Hangs

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(MOST_SECONDS)
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        WATCHED.remove(done)
    assert not done
    assert peak < MOST_BYTES


WATCHED: list[list[str]] = []
EXECUTES = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")


def audit(event, arguments):
    if WATCHED:
        is_secret = event == "open" and "secret" in str(arguments[0])
        if event in (*EXECUTES, "pickle.find_class", "webbrowser.open") or is_secret:
            WATCHED[-1].append(f"{event} {arguments}"[:200])


sys.addaudithook(audit)


def test_the_watch_sees(tmp_path):
    (tmp_path / "secret").write_text("x")
    with pytest.raises(AssertionError), guarded():
        (tmp_path / "secret").read_text()
    with pytest.raises(AssertionError), guarded():
        os.system("true")
    with pytest.raises(AssertionError), guarded():
        np.empty(MOST_BYTES)


def look_at(path):
    """Go through every door of a run. Only errors of netlapse may come out; they are returned."""
    errors: list[NetlapseError] = []

    def door(opened, *arguments):
        try:
            return opened(*arguments)
        except NetlapseError as error:
            errors.append(error)

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = door(Run, path)
        if found is not None:
            assert len(found.steps) == len(found.epochs) == len(found.times) == len(found)
            for parameter in found.manifest.parameters:
                values = door(found.weights, parameter.name)
                assert values is None or values.shape == (len(found), *parameter.shape)
            for name in found.scalars:
                values = door(found.scalar, name)
                assert values is None or values.shape == (len(found),)
            door(found.history)
            door(found.state) if len(found) else None
            door(found.probe)
            for kind in found.manifest.model:
                door(found.model_file, kind)
            door(found.verify)
            replay = netlapse.open(path)
            for ask in (replay.inputs, replay.outputs, replay.losses):
                door(ask)
            door(replay.model, 0)
            door(replay.activations, "none")
        shown = io.StringIO()
        with redirect_stdout(shown), suppress(typer.Exit):
            door(cli.list_runs, path)
            door(cli.show, path)
            door(cli.verify, [path])
    for text in (shown.getvalue(), *map(str, errors)):
        assert all(c.isprintable() or c == "\n" for c in text)
    return [*errors, *(warning.message for warning in said)]


def resume(path):
    """Continue a run as its owner would. Whether it could be."""
    try:
        writer = Writer.resume(path)
    except NetlapseError:
        return False
    try:
        writer.append(Frame(99, 99.0, 99.0, WEIGHTS, {"loss": 0.0}, {"slot": np.zeros(3)}))
    except NetlapseError:
        return False
    finally:
        # The system's own errors are told to whoever writes.
        with suppress(OSError):
            writer.close()
    return True


@pytest.mark.parametrize("kind", ["plain", "packed"])
def test_a_sound_run_passes_every_door(sound, tmp_path, kind):
    path = Path(shutil.copytree(sound / kind, tmp_path / "run"))
    forge(path, "segment", lambda header, data: None)
    with guarded():
        # It is no run of Keras, so that its network cannot be evaluated.
        assert {str(error).split(";")[0] for error in look_at(path)} == {
            "run 'relu' was recorded in 'numpy'",
            "run 'relu' has no layer 'none'",
        }
        assert resume(path)
    assert len(Run(path)) == 21


# Altered at random

DEEP = json.loads("[" * 40 + "]" * 40)
AWKWARD = st.one_of(
    st.sampled_from([None, True, False, -1, 0, 1, 2, 2**31, 2**53, 2**63 - 1, 2**63, 10**18, 10**400, 0.5, 1e308]),
    st.sampled_from([float("nan"), float("inf"), "", "..", "../../secret", "/etc/passwd", "a/b", "\0", "\ud800"]),
    st.sampled_from(["\x1b[2J", "[/red]", "[bold]", "\u202e", "x" * 3000, [], {}, [0], [0, 10**18], [-1], DEEP]),
    st.sampled_from(["F64", "BOOL", "BF16", "C64", "U8", "weights/w", "weights/v", "scalars/loss", "clock/frame"]),
)


@st.composite
def altered(draw, content):
    """The content with one to three of its entries exchanged, renamed, removed or doubled."""
    for _ in range(draw(st.integers(1, 3))):
        place = content
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and draw(st.integers(0, 4)):
                place = place[key]
                continue
            action = draw(st.sampled_from(["exchange", "exchange", "exchange", "remove", "rename"]))
            if action == "exchange":
                place[key] = draw(AWKWARD)
            elif action == "remove" or isinstance(place, list):
                del place[key]
            else:
                place[str(draw(AWKWARD))] = place.pop(key)
            break
    return content


@pytest.mark.parametrize("what", ["segment", "manifest", "probe"])
@pytest.mark.parametrize("kind", ["plain", "packed"])
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_altered_runs_are_read_or_refused(sound, tmp_path_factory, what, kind, data):
    path = tmp_path_factory.mktemp("altered") / "run"
    shutil.copytree(sound / kind, path)

    def change(*contents):
        data.draw(altered(contents[0]))

    forge(path, what, change)
    with guarded():
        look_at(path)
        resume(path)
    shutil.rmtree(path)


# Altered on purpose


def entry(name, **changes):
    def change(header, data):
        header[name] |= changes

    return change


def clock(name, values):
    def change(header, data):
        begin, end = header[f"clock/{name}"]["data_offsets"]
        return data[:begin] + np.resize(values, (end - begin) // 8).tobytes() + data[end:]

    return change


def in_metadata(**changes):
    return lambda header, data: header["__metadata__"].update(changes)


def empty_but_long(header, data):
    header["weights/none"] = {"dtype": "F32", "shape": [10**15, 0], "data_offsets": [len(data), len(data)]}


def stated(size):
    """A compressed array that says it is larger."""

    def change(header, data):
        header["__metadata__"]["compressed"]["state/slot"]["shape"] = [20, size]

    return change


SEGMENTS = {
    "a shape that its bytes do not bear out": entry("weights/w", shape=[20, 10**12]),
    "a shape beyond all numbers": entry("weights/w", shape=[2**40] * 3),
    "more axes than arrays have": entry("weights/w", shape=[1] * 10_000),
    "true for a length": entry("weights/flag", shape=[20, True]),
    "a negative offset": entry("weights/w", data_offsets=[-480, 0]),
    "a dtype that there is not": entry("weights/w", dtype="O"),
    "a dtype that is a list": entry("weights/w", dtype=["F32"]),
    "a clock of other numbers": entry("clock/epoch", dtype="I64"),
    "a clock of two dimensions": entry("clock/step", shape=[20, 1]),
    "scalars of other numbers": entry("scalars/loss", dtype="U64"),
    "frames in no order": clock("frame", np.arange(20)[::-1]),
    "frames twice": clock("frame", [0, 1, 1]),
    "frames whose differences wrap": clock("frame", [*range(18), 2**62, -(2**63)]),
    "frames beyond all numbers": clock("frame", np.append(np.arange(19), 2**63 - 1)),
    "negative steps": clock("step", [-1]),
    "steps beyond all numbers": clock("step", [2**63 - 1]),
    "epochs that are no number": clock("epoch", [np.nan]),
    "rows of no bytes beyond all numbers": empty_but_long,
    "another run's id": in_metadata(run="another"),
    "checksums that are a list": in_metadata(xxh3_64=[]),
}


@pytest.mark.parametrize("change", SEGMENTS.values(), ids=SEGMENTS)
def test_a_hostile_segment_is_left_out_by_name(run, change):
    forge(run, "segment", change)
    with guarded(), pytest.warns(UserWarning, match="00000000.safetensors is truncated or altered"):
        assert len(Run(run)) == 0
    with guarded():
        look_at(run)
        assert not resume(run)


@pytest.mark.parametrize("size", [2, 4, 2**15, 10**15])
def test_a_compressed_array_that_states_another_size_is_not_decompressed(sound, tmp_path, size):
    path = shutil.copytree(sound / "packed", tmp_path / "run")
    forge(path, "segment", stated(size))
    with guarded():
        assert any("compressed" in str(error) for error in look_at(path))


def test_what_is_not_stated_is_not_decompressed_either():
    packed = np.frombuffer(__import__("zstandard").ZstdCompressor().compress(bytes(2**28 + 4)), np.uint8)
    assert len(packed) < 2**15
    for count in (3, 2**26 + 1, 2**40):
        with guarded(), pytest.raises(ValueError, match="compressed bytes are not"):
            compression.decompress(packed, np.dtype("f4"), (count,))


def test_segments_that_contradict_each_other_are_left_out(run):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("netlapse.store.writer.MERGED_BYTES", 0)
        assert resume(run)
    path = run / "frames/00000020.safetensors"
    forge_tensors(path, entry("weights/w", shape=[1, 3, 2]))
    with pytest.warns(UserWarning, match="00000020.safetensors has other arrays"):
        assert len(Run(run)) == 20


MANIFESTS = {
    "a shape beyond all numbers": lambda c: c["parameters"][0].update(shape=[10**9, 10**9, 10**9]),
    "a shape of other frames": lambda c: c["parameters"][0].update(shape=[3, 2]),
    "true for a length": lambda c: c["parameters"][1].update(shape=[True]),
    "true for a number": lambda c: c["layers"][0].update(units=True),
    "one parameter twice": lambda c: c["parameters"].append(c["parameters"][0]),
    "too many layers": lambda c: c.update(layers=[0] * 100_001),
    "a layer that is a text": lambda c: c.update(layers=["hidden"]),
    "deep settings": lambda c: c["hyperparameters"].update(deep=json.loads("[" * 300 + "]" * 300)),
    "infinity": lambda c: c["hyperparameters"].update(rate=float("inf")),
    "a model file above": lambda c: c["model"].update(architecture="../../secret"),
    "an absolute model file": lambda c: c["model"].update(architecture="/etc/passwd"),
    "a checksum of a file outside": lambda c: c["checksums"].update({"../secret": "0" * 16}),
    "versions that are no text": lambda c: c["versions"].update(numpy=["2"]),
    "no examples": lambda c: c.update(probe={}),
    "class names that are numbers": lambda c: c["probe"].update(class_names=7),
    "thinned by nothing": lambda c: c.update(thinned={"every": 0, "below": 9, "dropped": 1}),
    "weights stored in lists": lambda c: c["storage"].update(dtype=["float32"]),
    "a checksum that is no text": lambda c: c.update(xxh3_64=["0"]),
    "a format that is a text": lambda c: c.update(format="1"),
    "a list": lambda c: [c],
}


@pytest.mark.parametrize("change", MANIFESTS.values(), ids=MANIFESTS)
def test_a_hostile_manifest_is_refused(run, change):
    forge_manifest(run, change)
    with guarded():
        with pytest.raises(DamagedRun, match=r"run\.json"):
            Run(run)
        look_at(run)
        resume(run)


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a":' * 100_000, b"\xff", b"", b"1" * 5000, b'"' + b"x" * 10**6])
@pytest.mark.parametrize("name", ["run.json", SEGMENT, "probe.safetensors"])
def test_files_of_nonsense_are_refused(run, name, text):
    content = text if name == "run.json" else len(text).to_bytes(8, "little") + text
    (run / name).write_bytes(content)
    if name != "run.json":
        forge_manifest(run)
    with guarded():
        assert any(Path(name).name in str(error) for error in look_at(run))


# Elsewhere


@pytest.fixture
def outside(tmp_path):
    """Files beside the run that nobody may read or change; afterwards it is checked that they are as they were."""

    def seen():
        return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.safetensors").write_bytes(b"secret")
    (folder / "frames").mkdir()
    (folder / "frames" / "secret").write_bytes(b"secret")
    before = seen()
    yield folder
    assert seen() == before


def link(path, outside):
    path.symlink_to(outside / "secret.safetensors")


def link_to_folder(path, outside):
    path.symlink_to(outside / "frames")


def dangling(path, outside):
    path.symlink_to(outside / "frames" / "new")


def pipe(path, outside):
    os.mkfifo(path)


def folder_instead(path, outside):
    path.mkdir()


def endpoint(path, outside):
    with socket.socket(socket.AF_UNIX) as server:
        # A path of a socket has at most 108 bytes.
        here = os.open(path.parent, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)


PLACES = ("run.json", "run.lock", "probe.safetensors", "model", "model/net.json", "frames", SEGMENT, "scalars")


@pytest.mark.skipif(sys.platform != "linux", reason="makes files of Linux")
@pytest.mark.parametrize("what", [link, link_to_folder, dangling, pipe, folder_instead, endpoint])
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_file_of_the_run_is_neither_followed_nor_waited_for(run, outside, place, what):
    if (run / place).is_dir():
        shutil.rmtree(run / place)
    else:
        (run / place).unlink(missing_ok=True)
    what(run / place, outside)
    with guarded():
        errors = look_at(run)
        is_harmless = what is folder_instead and place in ("model", "frames", "scalars", SEGMENT)
        assert is_harmless or any(place.split("/")[-1] in str(error) for error in errors)
        resume(run)
        with suppress(RunError):
            Writer.create(run, description(), probe={}, model={}, replace_existing=True).close()


@pytest.mark.parametrize("what", [link, dangling])
@pytest.mark.parametrize("place", ["run.json", "frames/00000020.safetensors"])
def test_a_writer_does_not_write_through_links(run, outside, place, what):
    what(run / f"{place}.unfinished", outside)
    assert not resume(run)
    Writer.create(run, description(), probe={}, model={}, replace_existing=True).close()
    assert Run(run).status == "complete"
    assert not (outside / "frames" / "new").exists()


def test_replacing_a_run_removes_links_not_what_they_lead_to(run, outside):
    (run / "frames" / "inner").symlink_to(outside)
    (run / "model" / "inner.json").symlink_to(outside / "secret.safetensors")
    Writer.create(run, description(), probe={}, model={}, replace_existing=True).close()
    assert not (run / "frames").exists()


def test_a_link_is_found_before_anything_is_removed(run, outside):
    shutil.rmtree(run / "scalars")
    (run / "scalars").symlink_to(outside)
    with pytest.raises(DamagedRun, match="symbolic link"):
        Writer.create(run, description(), probe={}, model={}, replace_existing=True)
    assert (run / "run.json").exists()
    assert (run / SEGMENT).exists()


@pytest.mark.parametrize("name", ["../outside/secret", "frames/../../outside/secret", "/etc/passwd"])
def test_no_name_leads_out_of_a_folder(run, outside, name):
    with pytest.raises(DamagedRun, match="outside of the run"), Run(run).folder.open(name):
        pass


def test_a_file_that_shrinks_while_it_is_read(run):
    opened = Run(run)
    original = os.preadv

    def shrinking(descriptor, buffers, low):
        os.truncate(run / SEGMENT, 100)
        return original(descriptor, buffers, low)

    with mock.patch.object(os, "preadv", shrinking), guarded(), pytest.raises(NetlapseError):
        opened.weights("w")
    with guarded():
        look_at(run)


# The terminal

NAUGHTY = ["[/red]", "[bold]x", "\x1b[2J", "\x1b]0;title\x07", "a\rb", "\u202egnp.exe", "\ud800", "\x9b31m", "[link=x]"]


@pytest.mark.parametrize("text", NAUGHTY)
def test_what_a_run_says_is_no_markup_and_no_command(run, text, capfd):
    def change(content):
        for key in ("name", "created", "netlapse", "framework", "backend", "schedule"):
            content[key] = text
        content["versions"] = content["hyperparameters"] = {text: text, "optimizer": text}
        content["layers"] = [{"name": text, "type": text, "units": None, "activation": text}]
        for parameter in content["parameters"]:
            parameter["layer"] = text
        content["probe"]["class_names"] = [text]

    forge_manifest(run, change)
    with guarded():
        look_at(run)
    for command in ("ls", "show", "verify"):
        result = CliRunner().invoke(cli.app, [command, str(run)])
        assert result.exit_code == 0, result.exception
        shown = "".join(result.output.split())
        assert command != "show" or "".join(ascii(text)[1:-1].replace("\\u202e", "").split())[:4] in shown.replace(
            "\\u202e", ""
        )
    with mock.patch.object(sys, "argv", ["netlapse", "plot", str(run)]), pytest.raises(SystemExit):
        cli.main()
    said = capfd.readouterr()
    assert said.err.startswith("error: ")
    assert all(c.isprintable() or c == "\n" for c in said.out + said.err)


def test_a_picture_is_named_by_the_folder_not_by_the_run(small_run, tmp_path, monkeypatch, outside):
    path = shutil.copytree(small_run, tmp_path / "run")
    forge_manifest(path, lambda content: content.update(name="../outside/planted"))
    monkeypatch.chdir(path.parent)
    result = CliRunner().invoke(cli.app, ["plot", "run"])
    assert result.exit_code == 0, result.exception
    assert (tmp_path / "run.png").exists()


# Networks


def architecture(path):
    return json.loads((path / "model" / "keras.json").read_bytes())


def forge_model(path, content, name="keras.json"):
    (path / "model" / name).write_text(content if isinstance(content, str) else json.dumps(content))
    forge_manifest(path)


@pytest.fixture
def keras_run(small_run, tmp_path):
    return Path(shutil.copytree(small_run, tmp_path / "run"))


@pytest.fixture
def hostile_module(tmp_path, monkeypatch):
    """A module that can be imported, and tells when it is."""
    (tmp_path / "hostile").mkdir()
    (tmp_path / "hostile" / "hostile_module.py").write_text("def run(*args, **kwargs): raise SystemExit\nx = run")
    monkeypatch.syspath_prepend(tmp_path / "hostile")
    yield "hostile_module"
    assert "hostile_module" not in sys.modules


def refused():
    return pytest.raises(Unsupported, match="cannot rebuild by itself")


def thing(module, name, config=None, **others):
    return {"module": module, "class_name": name, "config": config or {}, "registered_name": None, **others}


def layer(module, name, /, **config):
    return thing(module, name, {"name": "hidden", "trainable": True, "dtype": "float32", **config})


def function(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


LAMBDA = {"class_name": "__lambda__", "config": {"value": ["4wAA", None, None]}}
LAYERS = {
    "a lambda": layer("keras.layers", "Lambda", function=LAMBDA),
    "a lambda by another name": layer("keras.src.layers.core.lambda_layer", "Lambda", function=LAMBDA),
    "a lambda of the old format": {"class_name": "Lambda", "config": {"function": ["4wAA", None, None]}},
    "a command": thing("os", "system", {"command": "true"}),
    "a class of any module": thing("subprocess", "Popen", {"args": ["true"]}),
    "a module to be imported": thing("hostile_module", "run"),
    "a submodule to be imported": thing("hostile_module.inner", "run"),
    "a module of keras to be imported": thing("keras.hostile_module", "run"),
    "an activation that is a command": layer("keras.layers", "Dense", units=2, activation=function("os", "system")),
    "an activation that fetches": layer(
        "keras.layers", "Dense", units=2, activation=function("keras.utils", "get_file")
    ),
    "an activation that loads": layer(
        "keras.layers", "Dense", units=2, activation=function("keras.models", "load_model")
    ),
    "a saved model": layer("keras.layers", "TFSMLayer", filepath="secret"),
    "a module of torch": layer("keras.layers", "TorchModuleWrapper", module={"class_name": "__bytes__", "config": {}}),
    "a file of words": layer("keras.layers", "StringLookup", vocabulary="secret"),
    "an array of bytes": layer(
        "keras.layers", "Rescaling", scale=thing(None, "__numpy__", {"value": 0, "dtype": "V99"})
    ),
    "no layer": function("builtins", "relu"),
    "an object that makes files": thing("keras.callbacks", "CSVLogger", {"filename": "secret"}),
    "a util": thing("keras.utils", "Progbar", {"target": 1}),
    "no name": thing("keras.layers", None),
    "a list for a name": thing("keras.layers", ["Dense"]),
}


@pytest.mark.parametrize("hostile", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("unsafe", [False, True])
def test_a_network_that_would_run_code_is_refused(keras, keras_run, hostile_module, hostile, unsafe):
    content = architecture(keras_run)
    content["config"]["layers"][1] = hostile
    forge_model(keras_run, content)
    # Whatever the user allowed Keras for files of their own.
    with keras.src.saving.serialization_lib.SafeModeScope(safe_mode=not unsafe), quiet_guard(), refused():
        netlapse.open(keras_run).outputs()
    # Weights and curves need no network.
    assert netlapse.open(keras_run).weights("hidden/kernel").shape == (7, 2, 2)


@contextmanager
def quiet_guard():
    """As guarded, but for the memory, of which Keras takes some for itself."""
    done: list[str] = []
    WATCHED.append(done)
    try:
        yield
    finally:
        WATCHED.remove(done)
    assert not done


@pytest.mark.parametrize("hostile", LAYERS.values(), ids=LAYERS)
def test_such_a_network_does_not_reach_keras(keras_run, hostile):
    content = architecture(keras_run)
    trust.check(content)
    if hostile != LAYERS["no layer"]:
        content["config"]["layers"][1] = hostile
        with pytest.raises((ValueError, TypeError)):
            trust.check(content)


def test_models_in_models_are_rebuilt_as_long_as_they_end():
    assert len(trust.build(nested(3, 2), []).layers) == 2
    with pytest.raises(ValueError, match="applies more than"):
        trust.check(nested(40, 2))
    with pytest.raises(ValueError, match="nested too deeply"):
        trust.check(nested(300, 1))


def test_every_layer_of_keras_that_takes_code_or_files_is_refused(keras):
    telling = {"filepath", "path", "filename", "vocabulary", "function", "call_fn", "init_fn", "module", "fn"}
    found = []
    for name in dir(keras.layers):
        kind = getattr(keras.layers, name)
        if isinstance(kind, type) and telling & set(inspect.signature(kind.__init__).parameters):
            found.append(name)
            with pytest.raises(ValueError, match="may run code or read files"):
                trust.check(layer("keras.layers", name))
    assert {"Lambda", "TFSMLayer", "StringLookup"} <= set(found)


def test_what_a_model_was_compiled_with_runs_no_code_either(keras_run, hostile_module):
    for loss in (function("os", "system"), thing("hostile_module", "run"), {"class_name": "function"}, 7):
        forge_model(keras_run, {"loss": loss, "optimizer": thing("os", "system")}, "compile.json")
        with quiet_guard(), pytest.raises(Unsupported):
            netlapse.open(keras_run).losses()
        assert netlapse.open(keras_run).outputs(epoch=0).shape == (200, 1)
    for text in ("[" * 100_000, "[]", "7", "{"):
        forge_model(keras_run, text, "compile.json")
        assert netlapse.open(keras_run).outputs(epoch=0).shape == (200, 1)


def nested(depth, times):
    """Models in models, each applying the one within so often: a few kilobytes, times**depth layers."""
    inner = None
    for level in range(depth):
        first = thing("keras.layers", "InputLayer", {"batch_shape": [None, 2], "dtype": "float32", "name": "in"})
        calls = [
            {
                "args": [
                    thing("keras", "__keras_tensor__", {"shape": [None, 2], "dtype": "float32", "keras_history": h})
                ],
                "kwargs": {},
            }
            for h in [["in", 0, 0], *(["hidden", n, 0] for n in range(times - 1))]
        ]
        body = inner or layer("keras.layers", "Activation", activation="tanh")
        layers = [first | {"name": "in", "inbound_nodes": []}, body | {"name": "hidden", "inbound_nodes": calls}]
        ends = {"input_layers": [["in", 0, 0]], "output_layers": [["hidden", times - 1, 0]]}
        inner = thing("keras.src.models.functional", "Functional", {"name": f"n{level}", "layers": layers, **ends})
    return inner


def huge(units):
    def change(content):
        content["config"]["layers"][1]["config"]["units"] = units
        for entry in content["config"]["layers"]:
            entry.pop("build_config", None)

    return change


def root(value):
    return lambda content: value


NETWORKS = {
    "a layer that no memory holds": huge(10**9),
    "a layer of more than all numbers": huge(10**30),
    "a layer of less than nothing": huge(-1),
    "no model": root(layer("keras.layers", "Dense", units=2)),
    "a text": root("keras"),
    "a list": root([1]),
    "models in models": root(nested(300, 1)),
    "a layer applied without end": root(nested(40, 2)),
    "a deep list": root(json.loads("[" * 900 + "]" * 900)),
    "too large an input": lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None, 10**12]),
}


@pytest.mark.parametrize("change", NETWORKS.values(), ids=NETWORKS)
def test_a_network_that_is_not_the_run_s_takes_no_memory_and_no_time(keras_run, change):
    content = architecture(keras_run)
    forge_model(keras_run, change(content) or content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with quiet_guard(), refused():
        netlapse.open(keras_run).outputs()
    # In KiB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 2**10


@pytest.mark.parametrize("text", ["[" * 100_000, "", "{", "\udcff"])
def test_an_architecture_of_nonsense_is_refused(keras_run, text):
    (keras_run / "model" / "keras.json").write_bytes(text.encode(errors="surrogateescape"))
    forge_manifest(keras_run)
    with refused():
        netlapse.open(keras_run).outputs()


def test_what_was_refused_leaves_nothing_behind_in_keras(keras, keras_run):
    content = architecture(keras_run)
    huge(10**9)(content)
    with pytest.raises(ValueError, match="not those that the run states"):
        trust.build(content, [(2, 2)])
    # Keras makes variables that wait when a scope ends.
    with keras.StatelessScope():
        pass
    model = trust.build(architecture(keras_run), [(2, 2), (2,), (2, 1), (1,)])
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_a_layer_that_the_user_registered_is_rebuilt(keras):
    @keras.saving.register_keras_serializable("hostile")
    class Twice(keras.layers.Layer):
        def call(self, values):
            return values * 2

    config = json.loads(keras.Sequential([keras.Input((2,)), Twice()]).to_json())
    assert trust.build(config, []).predict(np.ones((1, 2)), verbose=0).tolist() == [[2.0, 2.0]]


@pytest.mark.parametrize("backend", ["hostile_module", "hostile_module.inner", "", "..", "os.path"])
def test_a_backend_that_a_run_names_is_not_imported(hostile_module, monkeypatch, backend):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert choose_backend(backend) is None
    assert "KERAS_BACKEND" not in os.environ


@pytest.mark.parametrize("alteration", ["other examples", "no targets", "complex", "other targets", "none"])
def test_a_probe_that_does_not_fit_the_network_is_refused(keras_run, alteration):
    arrays = {
        "other examples": {"train/inputs": np.zeros((4, 7)), "train/targets": np.zeros(4)},
        "no targets": {"train/inputs": np.zeros((4, 2))},
        "complex": {"train/inputs": np.zeros((4, 2), np.complex64), "train/targets": np.zeros(4)},
        "other targets": {"train/inputs": np.zeros((4, 2)), "train/targets": np.zeros(3)},
        "none": {"train/inputs": np.zeros((0, 2)), "train/targets": np.zeros(0)},
    }[alteration]
    (keras_run / "probe.safetensors").write_bytes(b"".join(map(bytes, tensors.encode(tensors.plain(arrays), {}))))
    forge_manifest(keras_run)
    with pytest.raises(NetlapseError):
        netlapse.open(keras_run).losses()


# The source


def dangers(tree):
    """What in a module could execute what it reads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            yield from (f"import {name}" for name in names if name.split(".")[0] in MODULES)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            allows = given.get("allow_pickle", "False") != "False" or given.get("shell", "False") != "False"
            unsafe = called.endswith("torch.load") and given.get("weights_only") != "True"
            if called in CALLS or allows or unsafe or called.split(".")[-1] in ("load_model", "func_load"):
                yield called


MODULES = ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml")
CALLS = ("eval", "exec", "compile", "__import__", "os.system", "os.popen")


def test_nothing_in_the_source_executes_what_it_reads():
    for path in Path(netlapse.__file__).parent.rglob("*.py"):
        assert not list(dangers(ast.parse(path.read_text()))), path


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from marshal import loads",
        "eval(text)",
        "np.load(path, allow_pickle=True)",
        "torch.load(path)",
        "subprocess.run(text, shell=True)",
        "import yaml",
        "keras.models.load_model(path)",
    ],
)
def test_the_search_of_the_source_finds(source):
    assert list(dangers(ast.parse(source)))
    assert not list(dangers(ast.parse(f"# {source}\ntext = {source!r}\nnp.load(path, allow_pickle=False)")))
