"""A run on disk: what is read is what was written, bit by bit, or an error that names the file."""

import json
import os
import re
import shutil
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file, save_file

from netlapse.errors import DamagedRun, NetlapseError, RunError, UnknownName
from netlapse.store import (
    Frame,
    Layer,
    Manifest,
    Parameter,
    Run,
    Writer,
    files,
    folder_of,
    is_run,
    lock,
    manifest,
    tensors,
    writer,
)
from netlapse.store.folder import LocalFolder
from netlapse.store.segment import Segment

FORMAT = Path(__file__).parents[1] / "docs" / "run-format.md"
NETWORK = {"hidden/kernel": ((2, 3), "float32"), "hidden/bias": ((3,), "float32"), "seed": ((), "int64")}


def describe(parameters=None, **changes):
    found = Manifest(
        id="5eed",
        name="relu",
        created="2026-01-01T00:00:00+00:00",
        status="recording",
        netlapse="0.1.0",
        framework="numpy",
        backend="numpy",
        versions={"numpy": "2.0"},
        hyperparameters={"learning_rate": 0.1, "units": [3, None]},
        layers=(Layer("hidden", "Dense", 3, "relu"),),
        parameters=tuple(
            Parameter(name, shape, dtype, True, "hidden") for name, (shape, dtype) in (parameters or NETWORK).items()
        ),
        model={"architecture": "net.json"},
        probe={"examples": 4, "drawn_from": 9},
        schedule="epoch",
    )
    return replace(found, **changes)


def begin(path, parameters=None, **keywords):
    probe = {"train/inputs": np.arange(8, dtype=np.float32).reshape(4, 2), "train/targets": np.arange(4) % 2}
    return Writer.create(path, describe(parameters), probe=probe, model={"net.json": b'{"units": 3}'}, **keywords)


def weights_at(step, parameters=None):
    """Bits of all kinds, NaN, infinity and subnormals among them, from the step alone."""
    rng = np.random.default_rng(step)
    found = {}
    for name, (shape, dtype) in (parameters or NETWORK).items():
        dtype = np.dtype(dtype)
        count = int(np.prod(shape))
        bits = rng.integers(0, 2, count).astype(bool) if dtype.kind == "b" else rng.bytes(count * dtype.itemsize)
        found[name] = np.frombuffer(bits, dtype).reshape(shape)
    return found


def frame_at(step, parameters=None):
    scalars = {"loss": 1 / (step + 1)} | ({"val_loss": float(step)} if step % 3 == 0 else {})
    return Frame(step, step / 4, step / 8, weights_at(step, parameters), scalars)


def segment_paths(path):
    """The files of all segments by the number of their first frame."""
    return {first: path / name for first, (name, _) in files.segments(folder_of(path), "frames").items()}


def quiet(recorder):
    """Wait until everything that is due is written."""
    with recorder._changed:
        assert recorder._changed.wait_for(lambda: not recorder._sealed or recorder._failure, timeout=30)


def die(recorder):
    """As if the process were killed while it had nothing to write: what waits is lost."""
    with recorder._changed:
        quiet(recorder)
        for series in recorder._series.values():
            series.block = None
        recorder._stopping = True
        recorder._changed.notify_all()
    if recorder._thread:
        recorder._thread.join()
    recorder._lock.release()


def open_segment(path):
    folder = folder_of(path.parents[1])
    name = f"frames/{path.name}"
    return Segment(folder, name, folder.list("frames")[path.name], "5eed")


def assert_same(found, wanted):
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert found.tobytes() == wanted.tobytes()


def assert_holds(run, steps, parameters=None):
    """The run holds exactly the frames of these steps."""
    steps = np.array(steps, np.int64)
    assert_same(run.steps, steps)
    assert_same(run.epochs, steps / 4)
    assert_same(run.times, steps / 8)
    if len(steps):
        assert_same(run.scalar("loss"), 1 / (steps + 1))
        if "val_loss" in run.scalars:
            np.testing.assert_array_equal(run.scalar("val_loss"), np.where(steps % 3 == 0, steps, np.nan))
    frames = [weights_at(step, parameters) for step in steps.tolist()]
    for name, (shape, dtype) in (parameters or NETWORK).items():
        wanted = np.array([frame[name] for frame in frames], dtype).reshape(len(steps), *shape)
        assert_same(run.weights(name), wanted)


@contextmanager
def segments_of(frames, merged_bytes=0):
    """Segments of this many frames, which closing leaves as they are."""
    with (
        mock.patch.object(writer, "SEGMENT_FRAMES", frames),
        mock.patch.object(writer, "SEGMENT_SECONDS", np.inf),  # never
        mock.patch.object(writer, "MERGED_BYTES", merged_bytes),
    ):
        yield


@pytest.fixture
def recorded(tmp_path):
    """A complete run of ten frames in segments of four, four and two."""
    path = tmp_path / "run"
    with segments_of(4):
        recorder = begin(path)
        for step in range(10):
            recorder.append(frame_at(step))
        recorder.close()
    assert list(segment_paths(path)) == [0, 4, 8]
    return path


# What is written is read


def test_a_run_holds_what_was_recorded(recorded):
    run = Run(recorded)
    assert_holds(run, range(10))
    assert (run.name, run.status, run.scalars, len(run)) == ("relu", "complete", ["loss", "val_loss"], 10)
    assert run.manifest == replace(describe(), status="complete", checksums=run.manifest.checksums)
    assert_same(run.probe()["train/targets"], np.arange(4) % 2)
    assert run.model_file("architecture") == b'{"units": 3}'
    assert run.verify() == []


def test_the_safetensors_library_reads_the_files(recorded):
    found = load_file(recorded / "frames" / "00000004.safetensors")
    assert_same(found["weights/hidden/kernel"], np.array([weights_at(step)["hidden/kernel"] for step in range(4, 8)]))
    assert_same(found["clock/step"], np.arange(4, 8))
    assert_same(load_file(recorded / "probe.safetensors")["train/targets"], np.arange(4) % 2)


SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
DTYPES = st.sampled_from(sorted(tensors.NAMES.keys() - {"bfloat16"}))  # which is read as float32
NETWORKS = st.dictionaries(
    st.sampled_from(["a", "layer/kernel", "b/c/d", "batch normalisation/é", "z"]),
    st.tuples(SHAPES, DTYPES),
    min_size=1,
    max_size=4,
)
ACTIONS = st.lists(
    st.one_of(st.integers(1, 9), st.sampled_from(["flush", "close and resume", "die and resume", "look"])), max_size=12
)


@given(NETWORKS, ACTIONS, st.integers(1, 5), st.sampled_from([0, 20_000, 2**25]))
@settings(max_examples=80, deadline=None)
def test_round_trip(parameters, actions, per_segment, merged_bytes):
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(os, "fsync"),
        segments_of(per_segment, merged_bytes),
    ):
        path = Path(folder) / "run"
        recorder = begin(path, parameters)
        run = Run(path)
        assert_holds(run, [], parameters)
        given_frames = durable = 0
        for action in actions:
            if action == "flush":
                recorder.flush()
            elif action == "close and resume":
                recorder.close()
                recorder = Writer.resume(path)
            elif action == "die and resume":
                die(recorder)
                given_frames = recorder.durable
                recorder = Writer.resume(path)
            elif action == "look":
                quiet(recorder)
                assert_holds(run, range(len(run)), parameters)
                run.refresh()
                assert len(run) == recorder.durable
            else:
                for _ in range(action):
                    recorder.append(frame_at(given_frames, parameters))
                    given_frames += 1
            assert recorder.durable >= durable
            durable = recorder.durable
        recorder.close()
        assert_holds(run, range(len(run)), parameters)
        assert_holds(Run(path), range(given_frames), parameters)
        assert Run(path).verify() == []


@given(st.data(), st.integers(1, 12), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_frames_are_chosen_as_numpy_does(data, count, per_segment):
    chosen = data.draw(
        st.one_of(
            st.slices(count),
            st.lists(st.integers(-count, count - 1), max_size=8),
            hnp.arrays(np.intp, st.integers(0, 8), elements=st.integers(-count, count - 1)),
            hnp.arrays(bool, count),
        )
    )
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(os, "fsync"), segments_of(per_segment):
        recorder = begin(Path(folder) / "run")
        for step in range(count):
            recorder.append(frame_at(step))
        recorder.close()
        run = Run(Path(folder) / "run")
        for name in [*NETWORK, *NETWORK]:  # checked on the first reading, in parts afterwards
            assert_same(run.weights(name, chosen), np.array([weights_at(s)[name] for s in range(count)])[chosen])


def test_a_run_without_frames(tmp_path):
    begin(tmp_path / "run").close()
    run = Run(tmp_path / "run")
    assert len(run) == 0
    assert run.steps.shape == run.epochs.shape == run.times.shape == (0,)
    assert (run.weights("hidden/kernel").shape, run.weights("seed").dtype) == ((0, 2, 3), np.int64)
    with pytest.raises(UnknownName, match="logged no 'loss'; it logged nothing"):
        run.scalar("loss")
    assert run.verify() == []


def test_unknown_names_are_answered_with_the_known(recorded):
    run = Run(recorded)
    with pytest.raises(UnknownName, match="no parameter 'kernel'; it has hidden/kernel, hidden/bias, seed"):
        run.weights("kernel")
    with pytest.raises(UnknownName, match="logged no 'accuracy'; it logged loss, val_loss"):
        run.scalar("accuracy")


def test_arrays_in_any_memory_order_are_stored(tmp_path):
    recorder = begin(tmp_path / "run", {"w": ((3, 2), "float32")})
    weights = np.arange(6, dtype=">f4").reshape(2, 3).T
    recorder.append(Frame(0, 0.0, 0.0, {"w": weights}, {}))
    recorder.close()
    run = Run(tmp_path / "run")
    np.testing.assert_array_equal(run.weights("w")[0], weights)
    assert run.verify() == []


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("another shape", np.zeros((2, 2), np.float32)),
        ("another dtype", np.zeros((3, 2), np.float64)),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, name, weights):
    recorder = begin(tmp_path / "run", {"w": ((3, 2), "float32")})
    recorder.append(Frame(0, 0.0, 0.0, {"w": np.zeros((3, 2), np.float32)}, {}))
    for odd in ({"w": weights}, {}, {"w": np.zeros((3, 2), np.float32), "v": weights}):
        with pytest.raises(RunError, match=r"holds w float32 \(3, 2\); it cannot take"):
            recorder.append(Frame(1, 1.0, 1.0, odd, {}))
    recorder.close()
    assert len(Run(tmp_path / "run")) == 1


def test_a_dtype_that_the_format_lacks_is_refused(tmp_path):
    recorder = begin(tmp_path / "run", {"w": ((2,), "complex128")})
    with pytest.raises(RunError, match="cannot take w complex128"):
        recorder.append(Frame(0, 0.0, 0.0, {"w": np.zeros(2, complex)}, {}))
    recorder.close()


# Merging


def test_closing_merges_small_segments(tmp_path):
    path = tmp_path / "run"
    with segments_of(2, 2**25):
        recorder = begin(path)
        for step in range(21):
            recorder.append(frame_at(step))
        quiet(recorder)
        before = Run(path)
        assert len(segment_paths(path)) == 10
        recorder.close()
    assert list(segment_paths(path)) == [0]
    assert_holds(Run(path), range(21))
    # Opened before, read after: the same frames from another file.
    assert_holds(before, range(20))


def test_merged_segments_stay_below_a_size(tmp_path):
    path = tmp_path / "run"
    with segments_of(2, 9_000):
        recorder = begin(path)
        for step in range(40):
            recorder.append(frame_at(step))
        recorder.close()
    sizes = [file.stat().st_size for file in segment_paths(path).values()]
    assert 1 < len(sizes) < 20
    assert max(sizes) <= 9_000
    assert_holds(Run(path), range(40))


def test_many_short_trainings_do_not_rewrite_the_run_each_time(tmp_path):
    """Each frame is copied about log2(trainings) times, and few files remain."""
    path, written = tmp_path / "run", []
    place = LocalFolder.place
    parameters = {"w": ((256,), "float64")}

    def counted(self, name, parts, **keywords):
        place(self, name, parts, **keywords)
        if name.startswith("frames"):
            written.append(sum(map(len, parts)))

    with mock.patch.object(os, "fsync"), mock.patch.object(writer, "SMALL_BYTES", 0):
        begin(path, parameters).close()
        with mock.patch.object(LocalFolder, "place", counted):
            for step in range(128):
                recorder = Writer.resume(path)
                recorder.append(frame_at(step, parameters))
                recorder.close()
    assert len(segment_paths(path)) <= 8
    assert sum(written) < 10 * 128 * written[0]
    assert_holds(Run(path), range(128), parameters)


def test_segments_are_not_merged_across_missing_frames(recorded):
    (recorded / "frames" / "00000004.safetensors").unlink()
    Writer.resume(recorded).close()
    assert list(segment_paths(recorded)) == [0, 8]
    run = Run(recorded)
    assert_holds(run, [0, 1, 2, 3, 8, 9])
    assert run.verify() == [f"{recorded / 'frames'} lacks a segment: frames 4 to 7 are missing"]


def leave_parts(path):
    """As a writer leaves a run that dies after the whole is in place and before its parts are removed."""
    parts = {file: file.read_bytes() for first, file in segment_paths(path).items() if first}
    Writer.resume(path).close()
    assert list(segment_paths(path)) == [0]
    for file, content in parts.items():
        file.write_bytes(content)


def test_parts_beside_their_whole_are_passed_over_and_removed_when_the_run_goes_on(recorded):
    leave_parts(recorded)
    assert_holds(Run(recorded), range(10))
    assert Run(recorded).verify() == []
    recorder = Writer.resume(recorded)
    assert list(segment_paths(recorded)) == [0]
    recorder.append(frame_at(10))
    recorder.close()
    assert_holds(Run(recorded), range(11))


def test_parts_are_kept_if_their_whole_is_altered(recorded):
    leave_parts(recorded)
    flip(recorded / "frames" / "00000000.safetensors", -1)
    with pytest.raises(DamagedRun, match=r"00000000.safetensors is truncated or altered: the checksum of"):
        Writer.resume(recorded)
    assert list(segment_paths(recorded)) == [0, 4, 8]


def test_merging_leaves_a_damaged_part_alone(recorded):
    flip(recorded / "frames" / "00000004.safetensors", -1)
    recorder = Writer.resume(recorded)
    recorder.append(frame_at(10))
    recorder.close()
    run = Run(recorded)
    assert (run.status, len(run)) == ("complete", 11)
    with pytest.raises(DamagedRun, match=r"00000004.safetensors is truncated or altered"):
        [run.weights(name) for name in NETWORK]
    assert [problem.split()[0] for problem in run.verify()] == [str(recorded / "frames" / "00000004.safetensors")]


# What is damaged


def flip(path, place, bit=0):
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def test_every_byte_counts(recorded):
    """Of a segment and of the manifest."""
    rng = np.random.default_rng(2)
    segment = recorded / "frames" / "00000004.safetensors"
    content = segment.read_bytes()
    for place in range(len(content)):
        flip(segment, place, int(rng.integers(8)))
        with pytest.raises(DamagedRun, match=r"00000004.safetensors is truncated or altered"):
            open_segment(segment).verify()
        segment.write_bytes(content)
    path = recorded / "run.json"
    content, key = path.read_bytes(), len('{\n "xxh3_64"')
    for place in range(len(content)):
        flip(path, place, int(rng.integers(8)))
        try:
            manifest.read(folder_of(recorded))
        except RunError:
            pass
        else:  # the name of the checksum itself, without which all the rest is as it was
            assert place < key
            assert not manifest.has_checksum(folder_of(recorded))
        path.write_bytes(content)


def test_flipped_bits_are_found(recorded):
    """In any file: refused, or named in a warning, or an error on reading; what is read nevertheless is right."""
    rng = np.random.default_rng(1)
    paths = sorted(path for path in recorded.rglob("*") if path.is_file() and path.name != "run.lock")
    assert len(paths) == 6
    for path in paths:
        content = path.read_bytes()
        for place in rng.integers(0, len(content), 100).tolist():
            flip(path, place, int(rng.integers(8)))
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                assert_found(recorded, path, caught)
            path.write_bytes(content)
    assert Run(recorded).verify() == []


def assert_found(recorded, path, caught):
    def right(read, wanted):
        try:
            found = read()
        except (DamagedRun, UnknownName) as error:
            return str(path) in str(error) or not steps
        return wanted is None or (found.dtype == wanted.dtype and found.tobytes() == wanted.tobytes())

    try:
        run = Run(recorded)
    except RunError as error:
        refused = str(error)
        assert "run.json" in refused or "run format" in refused
        assert path.name == "run.json"
        return
    assert any(str(path) in problem for problem in run.verify())
    steps = run.steps.tolist()
    assert steps == list(range(10)) or str(path) in str(caught[0].message)
    assert right(lambda: run.scalar("loss"), np.array([1 / (step + 1) for step in steps]))
    assert right(run.probe, None)
    assert right(lambda: run.model_file("architecture"), None)
    for name in NETWORK:
        assert right(lambda name=name: run.weights(name), np.array([weights_at(step)[name] for step in steps]))


@pytest.mark.parametrize("length", [0, 7, 100, -1])
def test_a_truncated_segment_is_named_and_the_rest_stays_readable(recorded, length):
    path = recorded / "frames" / "00000004.safetensors"
    os.truncate(path, length if length >= 0 else path.stat().st_size + length)
    with pytest.warns(UserWarning, match=r"00000004.safetensors is truncated or altered: .*; its frames are left out"):
        run = Run(recorded)
    assert_holds(run, [0, 1, 2, 3, 8, 9])
    assert list(run.damage) == [f"frames/{path.name}"]
    assert len(run.verify()) == 1
    run.refresh()  # warns no second time
    with pytest.raises(RunError, match=r"cannot be continued: .*00000004.safetensors"):
        Writer.resume(recorded)
    path.unlink()
    Writer.resume(recorded).close()


def test_a_file_that_is_damaged_while_the_run_is_open(recorded):
    run = Run(recorded)
    path = recorded / "frames" / "00000004.safetensors"
    content = path.read_bytes()
    # In place, as `cp` does: a mapped file would kill the process here.
    os.truncate(path, 200)
    with pytest.raises(DamagedRun, match="has lost frames since it was opened; open it again"):
        run.weights("hidden/kernel")
    with pytest.warns(UserWarning, match="00000004"):
        run.refresh()
    path.write_bytes(content)
    run.refresh()
    assert run.damage == {}
    assert_holds(run, range(10))


def test_a_missing_file_is_named(recorded):
    (recorded / "probe.safetensors").unlink()
    (recorded / "model" / "net.json").unlink()
    run = Run(recorded)
    with pytest.raises(DamagedRun, match=r"probe.safetensors cannot be read: .*restore it from a copy"):
        run.probe()
    with pytest.raises(DamagedRun, match=r"net.json cannot be read"):
        run.model_file("architecture")
    assert_holds(run, range(10))
    assert len(run.verify()) == 2


def test_a_segment_of_another_run_is_refused(recorded, tmp_path):
    other = begin(tmp_path / "other")
    other.manifest = replace(other.manifest, id="other")
    for step in range(4):
        other.append(frame_at(step + 100))
    other.close()
    shutil.copy(tmp_path / "other" / "frames" / "00000000.safetensors", recorded / "frames")
    with pytest.warns(UserWarning, match="belongs to the run with the id 'other'"):
        run = Run(recorded)
    assert_holds(run, range(4, 10))


def test_a_segment_under_a_wrong_name_is_refused(recorded):
    (recorded / "frames" / "00000008.safetensors").rename(recorded / "frames" / "00000010.safetensors")
    with pytest.warns(
        UserWarning, match=r"00000010.safetensors is truncated or altered: its frames contradict its name"
    ):
        run = Run(recorded)
    assert_holds(run, range(8))
    (recorded / "frames" / "00000000.safetensors").rename(recorded / "frames" / "00000001.safetensors")
    with pytest.warns(UserWarning, match=r"00000001.safetensors"):
        run.refresh()
    assert_holds(run, range(4, 8))
    assert len(run.verify()) == 3


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b'"text"',
        b'{"a": 1}',
        b'{"a": {"dtype": "F32", "shape": [-1, -1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "__metadata__": 5}',
        b'{"a": {"dtype":"U8", "shape": [4], "data_offsets": [0, 4]}, "__metadata__": {"run": "5eed", "xxh3_64": "1"}}',
    ],
)
def test_a_file_that_only_looks_like_a_segment(recorded, header):
    path = recorded / "frames" / "00000004.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.warns(UserWarning, match=r"00000004.safetensors is truncated or altered"):
        assert_holds(Run(recorded), [0, 1, 2, 3, 8, 9])


def test_other_files_are_no_segments(recorded):
    for name in ("notes.safetensors", "4.safetensors", "00000010.safetensors.unfinished", "00000012.npz"):
        (recorded / "frames" / name).write_bytes(b"?")
    assert_holds(Run(recorded), range(10))


def test_segments_are_in_order_however_many_there_are(tmp_path):
    numbers = [99_999_999, 100_000_000, 20_000_000]
    (tmp_path / "frames").mkdir()
    for number in numbers:
        (tmp_path / files.segment_name("frames", number)).touch()
    assert list(segment_paths(tmp_path)) == sorted(numbers)


# The manifest


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
@settings(max_examples=50, deadline=None)
def test_manifests_survive_the_round_trip(value):
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(os, "fsync"):
        wanted = describe(hyperparameters={"it": value})
        manifest.write(folder_of(folder), wanted)
        assert manifest.read(folder_of(folder)) == wanted


def rewrite(path, **changes):
    """Edit a manifest as people do: without regard to its checksum."""
    content = json.loads((path / "run.json").read_bytes()) | changes
    (path / "run.json").write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def test_a_newer_format_is_refused(recorded):
    rewrite(recorded, xxh3_64=None, format=2, netlapse="3.1", layers="all different")
    for attempt in (Run, Writer.resume):
        with pytest.raises(
            RunError, match=r"run format 2 by netlapse 3.1; this netlapse reads formats up to 1: upgrade"
        ):
            attempt(recorded)


def test_entries_of_a_later_version_of_the_format_are_passed_over(recorded):
    layers = [{**asdict(layer), "groups": 4} for layer in describe().layers]
    rewrite(recorded, xxh3_64=None, tags=["new"], layers=layers)
    assert_holds(Run(recorded), range(10))
    assert Run(recorded).manifest.layers == describe().layers


def test_an_edited_manifest_is_refused_until_its_checksum_is_removed(recorded):
    rewrite(recorded, name="edited")
    with pytest.raises(
        DamagedRun, match=r'run.json is altered: .* if you meant to edit it, remove its "xxh3_64" entry'
    ):
        Run(recorded)
    rewrite(recorded, xxh3_64=None)
    run = Run(recorded)
    assert run.name == "edited"
    assert run.verify() == [f"{recorded / 'run.json'} has no checksum: nobody can tell whether it was altered"]


@pytest.mark.parametrize("entry", ["id", "layers", "parameters", "probe", "format"])
def test_a_missing_entry_is_named(recorded, entry):
    rewrite(recorded, xxh3_64=None, **{entry: None})
    with pytest.raises(DamagedRun, match=rf"run.json .*{entry}"):
        Run(recorded)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"5", b"\xff\xfe", b'{"format": "new"}'])
def test_what_is_no_manifest_is_refused(recorded, content):
    (recorded / "run.json").write_bytes(content)
    with pytest.raises(DamagedRun, match=r"run.json cannot be read as a run's manifest"):
        Run(recorded)


def test_paths_that_are_no_runs(tmp_path):
    assert not is_run(tmp_path)
    with pytest.raises(RunError, match="does not exist; record a run there first"):
        Run(tmp_path / "absent")
    with pytest.raises(RunError, match=r"is not a run: it has no run.json"):
        Run(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is not a run"):
        Run(tmp_path / "file")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


# Where a run may be begun


def test_nothing_is_overwritten_unasked(recorded, tmp_path):
    with pytest.raises(RunError, match='holds a run already; choose another path, or pass exist="replace"'):
        begin(recorded)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match=r"holds something else \(file\)"):
        begin(tmp_path / "file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    for keywords in ({}, {"replace_existing": True}):
        with pytest.raises(RunError, match=r"holds something else \(thesis.tex\)"):
            begin(tmp_path / "full", **keywords)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.tex"]
    assert_holds(Run(recorded), range(10))


def test_only_runs_are_replaced(tmp_path):
    """`run.json` is a common name, and so are `frames` and `model`."""
    folder = tmp_path / "film"
    (folder / "frames").mkdir(parents=True)
    (folder / "run.json").write_text('{"camera": 1}')
    (folder / "frames" / "1.png").write_text("mine")
    with pytest.raises(RunError, match="is not replaced, for it may be no run of netlapse"):
        begin(folder, replace_existing=True)
    assert (folder / "frames" / "1.png").read_text() == "mine"


def test_a_run_is_replaced(recorded):
    seen = Run(recorded)
    recorder = begin(recorded, {"w": ((2,), "float32")}, replace_existing=True)
    recorder.manifest = replace(recorder.manifest, id="new")
    manifest.write(folder_of(recorded), recorder.manifest)
    seen.refresh()
    assert len(seen) == 0
    recorder.append(frame_at(3, {"w": ((2,), "float32")}))
    recorder.close()
    assert_holds(Run(recorded), [3], {"w": ((2,), "float32")})


def test_two_runs_are_not_begun_in_one_place(tmp_path):
    """The second waits for the lock of a run that is short enough to be complete by then."""
    path = tmp_path / "run"
    acquire = lock.FileLock.acquire

    def late(self, patience):
        with mock.patch.object(lock.FileLock, "acquire", acquire):
            first = begin(path)
            first.append(frame_at(0))
            first.close()
        return acquire(self, patience)

    with mock.patch.object(lock.FileLock, "acquire", late), pytest.raises(RunError, match="holds a run already"):
        begin(path)
    assert_holds(Run(path), [0])
    Writer.resume(path).close()


def test_parents_are_made(tmp_path):
    begin(tmp_path / "a" / "b" / "run").close()
    assert is_run(tmp_path / "a" / "b" / "run")


# Status and copies


def test_status(tmp_path):
    path = tmp_path / "run"
    recorder = begin(path)
    recorder.append(frame_at(0))
    recorder.flush()
    run = Run(path)
    assert run.status == "recording"
    copy = shutil.copytree(path, tmp_path / "copy")
    assert Run(copy).status == "interrupted"
    recorder.close()
    assert run.status == "recording"  # as it was seen
    run.refresh()
    assert run.status == "complete"
    with pytest.raises(RunError, match="is closed"):
        recorder.append(frame_at(1))
    recorder = Writer.resume(path)
    assert Run(path).status == "recording"
    recorder._lock.release()
    assert Run(path).status == "interrupted"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_that_is_seen_as_complete_is_seen_whole(tmp_path, moment):
    """Whoever follows a run stops when it is complete: its last frames must have been seen by then."""
    path = tmp_path / "run"
    recorder = begin(path)
    recorder.append(frame_at(0))
    run = Run(path)
    quiet(recorder)
    recorder.append(frame_at(1))
    read = manifest.read

    def close_meanwhile(folder):
        if moment == "before":
            recorder.close()
        found = read(folder)
        recorder.close()
        return found

    with mock.patch.object(manifest, "read", close_meanwhile):
        run.refresh()
    assert (run.status, len(run)) == ("complete", 2)


def test_a_copy_is_a_run_of_its_own(recorded, tmp_path):
    copy = shutil.copytree(recorded, tmp_path / "elsewhere" / "copy")
    recorder = Writer.resume(copy)
    recorder.append(frame_at(10))
    recorder.close()
    assert_holds(Run(copy), range(11))
    assert_holds(Run(recorded), range(10))
    assert Run(copy).name == "relu"


def test_a_run_that_cannot_be_written_opens(recorded):
    everything = [recorded, *recorded.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        run = Run(recorded)
        assert_holds(run, range(10))
        assert (run.status, run.verify()) == ("complete", [])
    finally:
        for path in everything:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_asking_for_the_status_changes_nothing(recorded):
    (recorded / "run.lock").unlink()
    rewrite(recorded, xxh3_64=None, status="recording")
    with mock.patch.object(os, "open", side_effect=os.open) as opened:
        assert Run(recorded).status == "interrupted"
    assert all(call.args[1] & (os.O_CREAT | os.O_WRONLY | os.O_RDWR) == 0 for call in opened.call_args_list)
    assert not (recorded / "run.lock").exists()


# The document


def reader_in_the_document():
    [code] = re.findall(r"```python\n(.*?)```", FORMAT.read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    exec(compile(code, str(FORMAT), "exec"), names)
    return code, names["read_run"]


def test_the_reader_in_the_document_reads_runs(recorded):
    code, read_run = reader_in_the_document()
    assert "netlapse" not in code
    for prepare in (lambda: None, lambda: leave_parts(recorded)):
        prepare()
        content, frames = read_run(recorded)
        assert content["name"] == "relu"
        run = Run(recorded)
        assert_same(frames["clock/step"], run.steps)
        assert_same(frames["clock/epoch"], run.epochs)
        assert_same(frames["clock/time"], run.times)
        assert_same(frames["scalars/loss"], run.scalar("loss"))
        np.testing.assert_array_equal(frames["scalars/val_loss"], run.scalar("val_loss"))
        for name in NETWORK:
            assert_same(frames[f"weights/{name}"], run.weights(name))
        assert len(frames) == 6 + len(NETWORK)


def test_the_reader_in_the_document_notices_damage(recorded):
    _, read_run = reader_in_the_document()
    flip(recorded / "frames" / "00000004.safetensors", -1)
    with pytest.raises(ValueError, match="altered"):
        read_run(recorded)


def test_the_checksum_worked_out_in_the_document():
    text = FORMAT.read_text(encoding="utf-8")
    [hashed, digest] = re.findall(r"^    ([0-9a-f ]+)$", text, re.MULTILINE)
    hashed = bytes.fromhex(hashed)
    assert hashed.startswith(b"clock/step int64 [3] 0\n")
    assert xxhash.xxh3_64_hexdigest(hashed) == digest
    assert tensors.checksums("clock/step", np.array([0, 10, 20])) == digest


def test_the_document_names_what_there_is(recorded):
    text = FORMAT.read_text(encoding="utf-8")
    for kind in (Manifest, Layer, Parameter):
        for entry in fields(kind):
            assert f"`{entry.name}`" in text, entry.name
    for path in recorded.rglob("*"):
        if path.is_file() and path.parent.name != "model":
            assert path.name in text or path.parent.name == "frames"
    for limit in (
        "SEGMENT_FRAMES",
        "SEGMENT_BYTES",
        "SEGMENT_SECONDS",
        "QUEUE_BYTES",
        "MERGED_BYTES",
        "SMALL_BYTES",
        "LARGE_BYTES",
    ):
        value = getattr(writer, limit)
        shown = f"{value // 2**20} MiB" if limit.endswith("BYTES") else f"{value:g}"
        assert re.search(rf"`{limit}` \({shown}[ )]", text), limit
    assert all(code in text for code in tensors.DTYPES)


def test_files_that_the_safetensors_library_writes_can_be_read(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.int16).reshape(2, 3), "b": np.zeros((0, 2)), "c": np.ones(3, bool)}
    save_file(arrays, tmp_path / "x", metadata={"k": "v"})
    content = (tmp_path / "x").read_bytes()
    places, metadata, _ = tensors.read_header(tensors.Content(content), len(content))
    for name, array in arrays.items():
        assert (places[name].dtype, places[name].shape) == (array.dtype, array.shape)
        assert_same(tensors.decode(content)[name], array)
    assert metadata == {"k": "v"}


def test_errors_are_ours():
    assert issubclass(DamagedRun, RunError)
    assert issubclass(RunError, NetlapseError)
