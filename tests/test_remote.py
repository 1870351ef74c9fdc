"""Runs in object stores: what holds for folders holds there too, and when connections die in the middle."""

import json
import logging
import os
import re
import socket
import subprocess
import sys
import textwrap
import threading
import time
import uuid
import warnings
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from typer.testing import CliRunner

from netlapse import catalog
from netlapse.cli import app
from netlapse.errors import DamagedRun, RunError
from netlapse.record import Description, Keep, Probe, Recording
from netlapse.store import (
    Parameter,
    Run,
    copy_run,
    files,
    folder_of,
    is_run,
    manifest,
    remote,
    remove_run,
    writer,
)
from netlapse.store.remote import RemoteFolder
from netlapse.store.thinning import thin
from tests.test_store import assert_holds as assert_frames
from tests.test_store import begin, frame_at

fsspec = pytest.importorskip("fsspec")
s3fs = pytest.importorskip("s3fs")
moto = pytest.importorskip("moto.server")

PORTS = [0]
SECRET = "hunter2/hunter2+hunter2"
PROBE = Probe.of(([[0.0, 1.0], [2.0, 3.0]], [0, 1]), "probe")


@pytest.fixture(scope="session")
def server():
    """The port of a server of the S3 protocol."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # Credentials of its own, so that it asks nobody.
    with mock.patch.dict(os.environ, AWS_ACCESS_KEY_ID="server", AWS_SECRET_ACCESS_KEY="server"):
        found = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        found.start()
        yield found.get_host_and_port()[1]
        found.stop()


@contextmanager
def speaking_to(port):
    """Everything s3:// goes to this port."""
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with mock.patch.dict(os.environ, environment):
        # Making and closing clients takes most of the time of a test: only where they speak to another port.
        if PORTS[-1] != port:
            s3fs.S3FileSystem.clear_instance_cache()
        PORTS.append(port)
        yield


@pytest.fixture
def s3(server):
    """The URL of a run to be in a new bucket."""
    with speaking_to(server):
        bucket = f"bucket-{uuid.uuid4().hex}"
        fsspec.filesystem("s3").mkdir(bucket)
        yield f"s3://{bucket}/runs/relu"


@pytest.fixture
def memory():
    return f"memory://{uuid.uuid4().hex}/relu"


@pytest.fixture(params=["memory", "s3"])
def url(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def eager():
    """Every frame is written as soon as it comes."""
    at_once = mock.patch.object(RemoteFolder, "segment_seconds", 0.0)
    with mock.patch.multiple(writer, SEGMENT_SECONDS=0.0, SEGMENT_FRAMES=1), at_once:
        yield


@pytest.fixture
def short_lease():
    """Writers are dead soon; stores tell time in seconds."""
    with mock.patch.multiple(remote, LEASE_SECONDS=1.5, RENEW_SECONDS=0.1, SETTLE_SECONDS=0.1):
        yield


def weights_at(step, size=3):
    return {"w": np.frombuffer(np.random.default_rng(step).bytes(4 * size), np.float32)}


def recording_at(path, **keywords):
    return Recording(path, probe=PROBE, **keywords)


def describe(size):
    parameters = (Parameter("w", (size,), "float32", True, "l"),)
    return lambda: Description("numpy", "numpy", {}, {"lr": 0.1}, (), parameters, {"net": "n"}, {"n": b"n"})


def train(recording, steps, size=3, each=lambda recording: None):
    recording.begin(describe(size))
    first = recording.step
    for step in range(first, first + steps + 1):
        recording.frame(step, step / 4, lambda step=step: weights_at(step, size), {"loss": 1 / (step + 1)})
        recording.pass_by(step, step / 4)
        each(recording)
    recording.end(lambda: weights_at(first + steps, size), {})


def assert_holds(path, steps, size=3, status="complete"):
    run = Run(path)
    assert (run.steps.tolist(), run.status) == (list(steps), status)
    wanted = np.stack([weights_at(step, size)["w"] for step in steps])
    assert run.weights("w").tobytes() == wanted.tobytes()
    np.testing.assert_array_equal(run.scalar("loss"), [1 / (step + 1) for step in steps])
    assert run.verify() == []
    return run


def objects(path):
    """All objects of a run by their names."""
    file_system, root = fsspec.url_to_fs(path, use_listings_cache=False)
    return {name.removeprefix(root): file_system.cat_file(name) for name in file_system.find(root)}


def wait_until(true):
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


# As in a folder


def test_round_trip(url):
    train(recording_at(url), 20)
    run = assert_holds(url, range(21))
    assert (run.name, str(run.folder)) == ("relu", url)
    assert {name.split("/")[1] for name in objects(url)} == {"run.json", "probe.safetensors", "model", "frames"}


def test_an_existing_run_is_refused_replaced_or_resumed(url):
    train(recording_at(url), 3)
    with pytest.raises(RunError, match=r"holds a run already; choose another path"):
        recording_at(url)
    train(recording_at(url, exist="resume"), 2)
    assert_holds(url, range(6))
    train(recording_at(url, exist="replace"), 1)
    assert_holds(url, range(2))


def test_a_place_that_holds_something_else_is_refused(url):
    folder = folder_of(url)
    folder.put("thesis.tex", b"precious")
    assert (folder.strangers(), folder.exists(), is_run(url)) == (["thesis.tex"], True, False)
    with pytest.raises(RunError, match=r"holds something else \(thesis.tex\)"):
        recording_at(url)
    with pytest.raises(RunError, match=r"is not a run: it has no run.json"):
        Run(url)
    assert folder_of(f"{url}/thesis.tex").strangers() == ["thesis.tex"]
    with pytest.raises(RunError, match=r"does not exist; record a run there first"):
        Run(url + "-other")


def test_a_folder_made_in_a_console_is_empty(s3):
    file_system, root = fsspec.url_to_fs(s3)
    file_system.pipe_file(root + "/", b"")
    train(recording_at(s3), 1)
    assert_holds(s3, range(2))


def test_segments_are_merged_on_closing(url, eager):
    def look(recording):
        recording._writer.flush()

    train(recording_at(url), 5, each=look)
    assert list(files.segments(folder_of(url), files.FRAMES)) == [0]
    assert_holds(url, range(6))


def test_two_writers(url):
    first = recording_at(url)
    first.begin(describe(3))
    words = rf"is being recorded by process {os.getpid()} on .* since .*; give this run a path of its own"
    for exist in ("replace", "resume"):
        with pytest.raises(RunError, match=words):
            recording_at(url, exist=exist).begin(describe(3))
    assert Run(url).status == "recording"
    first.close("interrupted")
    assert files.LOCK not in folder_of(url).list("")
    train(recording_at(url, exist="resume"), 1)


def test_a_growing_run_is_followed(url, eager):
    seen = []
    train(recording_at(url), 12, each=lambda recording: recording._writer.flush() or seen.append(len(Run(url))))
    assert seen == list(range(1, 14))

    # The same while frames come and are merged in another thread.
    run = Run(url)
    training = threading.Thread(target=train, args=(recording_at(url, exist="resume"), 7))
    training.start()
    lengths = []
    while training.is_alive() or run.status == "recording":
        run.refresh()
        lengths.append(len(run))
        assert run.steps.tolist() == list(range(lengths[-1]))
        assert run.weights("w", slice(-1, None)).tobytes() == weights_at(lengths[-1] - 1)["w"].tobytes()
    training.join()
    assert lengths == sorted(lengths)
    assert_holds(url, range(20))


def test_a_budget_is_kept(url, eager):
    train(recording_at(url, keep=Keep(budget=40_000)), 30, size=500)
    run = Run(url)
    assert sum(map(len, objects(url).values())) <= 40_000
    assert 0 < len(run) < 31
    assert run.steps[[0, -1]].tolist() == [0, 30]
    wanted = np.stack([weights_at(step, 500)["w"] for step in run.steps])
    assert run.weights("w").tobytes() == wanted.tobytes()
    assert run.verify() == []


def test_damage_is_found(url):
    train(recording_at(url), 3)
    folder = folder_of(url)
    [(name, identity)] = files.segments(folder, files.FRAMES).values()
    content = folder.get(name, 0, identity[2])
    folder.put(name, content[:-1] + bytes([content[-1] ^ 1]))
    assert len(Run(url).verify()) == 1
    folder.put(name, content[:-10])
    with pytest.warns(UserWarning, match=re.escape(f"{url}/{name} is truncated or altered")):
        assert len(Run(url)) == 0
    folder.put(name, b"")
    with pytest.warns(UserWarning, match=re.escape(f"{url}/{name} is truncated or altered")):
        assert len(Run(url)) == 0
    folder.put(files.MANIFEST, b"")
    with pytest.raises(DamagedRun, match="cannot be read as a run's manifest"):
        Run(url)


def test_a_file_that_ends_too_early(url):
    folder = folder_of(url)
    folder.put("x", b"1234")
    with folder.open("x") as file:
        assert file.read(3) == b"123"
        buffer = bytearray(2)
        file.read_into(2, memoryview(buffer))
        assert buffer == b"34"
        for low in (3, 4, 9):
            with pytest.raises(ValueError, match="ends too early"):
                file.read_into(low, memoryview(buffer))


def test_a_segment_that_is_replaced_while_one_looks_is_no_damage(url):
    """Between the listing and the reading its writer left frames out."""
    train(recording_at(url), 4)
    heads = RemoteFolder.heads

    def late(folder, names, size):
        with mock.patch.object(RemoteFolder, "heads", heads):
            thin(folder, manifest.read(folder), 2)
        return heads(folder, names, size)

    with mock.patch.object(RemoteFolder, "heads", late):
        run = Run(url)
    assert (run.steps.tolist(), run.damage) == ([0, 2, 4], {})


def test_weights_of_a_segment_that_was_replaced_are_those_of_another(url):
    train(recording_at(url), 4)
    run = Run(url)
    assert run.weights("w").shape == (5, 3)  # all blocks were found sound
    thin(folder_of(url), run.manifest, 2)
    assert run.weights("w", [0, 2, 4]).tobytes() == b"".join(weights_at(step)["w"].tobytes() for step in (0, 2, 4))


def test_no_listing_is_remembered(s3):
    """Another process writes."""
    folder = folder_of(s3)
    assert folder.list("frames") == {}
    other = s3fs.S3FileSystem(skip_instance_cache=True)
    for count in (1, 2):
        other.pipe_file(f"{folder._root}/frames/{count}", b"x")
        assert len(folder.list("frames")) == count
    other.pipe_file(f"{folder._root}/frames/1", b"xyz")
    assert folder.list("frames")["1"][2] == folder.identity("frames/1")[2] == 3


def test_opening_reads_many_segments_at_once(url, memory, eager):
    recording = recording_at(memory)
    recording.begin(describe(3))
    for step in range(150):
        recording.frame(step, step, lambda step=step: weights_at(step), {"loss": 1 / (step + 1)})
    recording._writer.flush()
    if url != memory:
        file_system, root = fsspec.url_to_fs(url)
        file_system.pipe({root + name: content for name, content in objects(memory).items()})
    with (
        mock.patch.object(RemoteFolder, "get", autospec=True, side_effect=RemoteFolder.get) as get,
        mock.patch.object(RemoteFolder, "heads", autospec=True, side_effect=RemoteFolder.heads) as heads,
        mock.patch.object(RemoteFolder, "identity", autospec=True, side_effect=RemoteFolder.identity) as identity,
    ):
        run = Run(url)
    assert len(run) == 150
    assert [len(call.args[1]) for call in heads.call_args_list] == [128, 22]
    assert {call.args[1] for call in get.call_args_list} == {files.MANIFEST}
    assert not identity.called
    recording.close("complete")


# One file, one writer


def test_a_file_that_is_there_is_not_overwritten(url):
    folder = folder_of(url)
    folder.place("frames/0", [b"a", memoryview(b"b")], new=True)
    folder.place("frames/0", [b"ab"], new=True)  # it may be ours: the answer of an earlier attempt got lost
    with pytest.raises(FileExistsError, match="frames/0 exists already"):
        folder.place("frames/0", [b"abc"], new=True)
    assert folder.get("frames/0", 0, 10) == b"ab"
    folder.place("frames/0", [b"c"])
    assert folder.get("frames/0", 0, 10) == b"c"


def test_of_many_who_make_a_file_one_succeeds(url):
    folder, start, made = folder_of(url), threading.Barrier(8), []

    def make(number):
        start.wait()
        with suppress(FileExistsError):
            folder.place("frames/0", [str(number).encode()], new=True)
            made.append(number)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [str(number).encode() for number in made] == [folder.get("frames/0", 0, 10)]


def abandon(recording):
    """The writer dies: nobody renews its lease any more."""
    lease = recording._writer._lock
    lease._released.set()
    lease._token = ""


def test_a_dead_writer_is_followed_by_another(memory, eager, short_lease):
    recording = recording_at(memory)
    recording.begin(describe(3))
    for step in range(3):
        recording.frame(step, step / 4, lambda step=step: weights_at(step), {"loss": 1 / (step + 1)})
    recording._writer.flush()
    assert Run(memory).status == "recording"
    abandon(recording)
    wait_until(lambda: Run(memory).status == "interrupted")
    wait_until(lambda: folder_of(memory).lock()._dead())
    train(recording_at(memory, exist="resume"), 2)
    assert_holds(memory, range(5))
    assert files.LOCK not in "".join(objects(memory))


def test_a_living_writer_keeps_its_lease(memory, short_lease):
    recording = recording_at(memory)
    recording.begin(describe(3))
    folder, began = folder_of(memory), datetime.now(UTC)
    wait_until(lambda: datetime.now(UTC) - began > timedelta(seconds=2))
    assert folder.written()
    assert not folder.lock().acquire(0.0)
    recording.close("complete")
    assert not folder.written()


def test_the_age_of_a_lease_is_told_by_the_clock_of_the_store(memory, short_lease):
    """Not by that of the machine which asks, and not by what the owner wrote."""
    folder = folder_of(memory)
    folder.put(files.LOCK, json.dumps({"owner": "me", "token": "t"}).encode())
    lease = folder.lock()
    with mock.patch.object(remote, "datetime", mock.Mock(now=lambda zone: datetime.now(zone) + timedelta(days=1))):
        assert not lease.acquire(0.0)
    assert lease.owner() == "me"
    assert folder.strangers() == []  # and nothing is left of the question


def test_of_two_who_take_over_one_has_it(memory, short_lease):
    folder_of(memory).put(files.LOCK, b"no lease of ours")
    leases = [folder_of(memory).lock() for _ in range(2)]
    with mock.patch.object(remote.Lease, "_dead", return_value=True):
        taken = {}
        threads = [
            threading.Thread(target=lambda lease=lease: taken.update({lease: lease.acquire(0.0)})) for lease in leases
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(taken.values()) == [False, True]
    for lease in leases:
        lease.release()
    assert objects(memory) == {}


def test_a_writer_whose_lease_was_taken_stops(memory, eager, short_lease):
    recording = recording_at(memory)
    recording.begin(describe(3))
    recording.frame(0, 0, lambda: weights_at(0), {"loss": 1.0})
    recording._writer.flush()
    other = json.dumps({"owner": "process 7 on another machine", "token": "another"}).encode()
    folder_of(memory).put(files.LOCK, other)
    wait_until(lambda: recording._writer._lock._lost_to)
    before = objects(memory)
    with pytest.warns(UserWarning, match=r"has stopped: .* is being recorded by process 7 on another machine"):
        train_on(recording, range(1, 5))
    assert objects(memory) == before  # not even the other's lease was touched
    assert Run(memory).steps.tolist() == [0]


def train_on(recording, steps):
    for step in steps:
        recording.frame(step, step, lambda step=step: weights_at(step), {"loss": 1 / (step + 1)})
        if recording._writer and not recording._failed:
            with suppress(OSError):
                recording._writer.flush()
    recording.end(lambda: weights_at(steps[-1]), {})


def test_a_writer_that_slept_asks_before_it_writes(memory, eager):
    """Its thread slept too: nobody has noticed that the lease was lost."""
    recording = recording_at(memory)
    recording.begin(describe(3))
    lease = recording._writer._lock
    folder_of(memory).put(files.LOCK, b"{}")
    lease._renewed -= remote.LEASE_SECONDS
    with pytest.raises(OSError, match="is being recorded by nobody any more"):
        lease._folder.place("frames/0", [b""])
    abandon(recording)


def test_a_process_that_is_killed_and_one_that_fails(s3, server, short_lease):
    """What waited is lost with the first, not with the second."""
    code = textwrap.dedent(f"""
        import os, sys
        sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        from tests.test_remote import *
        remote.LEASE_SECONDS, remote.RENEW_SECONDS, remote.SETTLE_SECONDS = 1.5, 0.1, 0.1
        recording = recording_at({s3!r}, exist="resume")
        recording.begin(describe(3))
        first = recording.step
        for step in range(first, first + 4):
            recording.frame(step, step / 4, lambda: weights_at(step), {{"loss": 1 / (step + 1)}})
        if sys.argv[1] == "kill":
            recording._writer.flush()
            os._exit(9)
        raise SystemExit("the training failed")
    """)
    # At the end of a process names of machines are looked up no more.
    environment = os.environ | {"AWS_ENDPOINT_URL": f"http://localhost:{server}"}

    def run(how):
        return subprocess.run([sys.executable, "-c", code, how], env=environment, capture_output=True, text=True)

    assert run("kill").returncode == 9
    assert Run(s3).steps.tolist() == [0, 1, 2, 3]
    wait_until(lambda: Run(s3).status == "interrupted")
    time.sleep(1)  # the store tells time in whole seconds
    assert run("fail").stderr == "the training failed\n"
    assert_holds(s3, range(7), status="interrupted")
    assert not folder_of(s3).written()


# Connections that die


class Proxy:
    """Passes bytes on to a server, and dies in the middle of requests that it was told of."""

    def __init__(self, port):
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pattern, self._times, self._reply = None, 0.0, b""
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, pattern, times, *, sent=np.inf, answered=np.inf, reply=b""):
        """Cut connections at requests of this pattern, after so many bytes of the request or of its answer.

        If there is to be a `reply`, the client gets that at the end.
        """
        self._reply = reply
        self._pattern, self._times, self._sent, self._answered = re.compile(pattern), times, sent, answered

    def close(self):
        self._listener.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                state = {"marked": False, "sent": 0, "answered": 0}
                for ends in ((client, server, "sent"), (server, client, "answered")):
                    threading.Thread(target=self._pass_on, args=(*ends, state), daemon=True).start()

    def _pass_on(self, source, target, way, state):
        with suppress(OSError):
            while chunk := source.recv(2**14):
                if way == "sent" and re.match(rb"(GET|PUT|HEAD|DELETE|POST) /", chunk):
                    state |= {"marked": bool(self._pattern and self._pattern.match(chunk)), "sent": 0, "answered": 0}
                if state["marked"] and not chunk.startswith(b"HTTP/1.1 100"):
                    state[way] += len(chunk)
                    if self._times > 0 and (state["sent"] > self._sent or state["answered"] > self._answered):
                        self._times -= 1
                        self.cuts += 1
                        (source if way == "sent" else target).sendall(self._reply)
                        break
                target.sendall(chunk)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


LARGE = 2**16  # bytes of a frame: four times that
FRAMES = rb"PUT .*/frames/"


@pytest.fixture
def proxied(server, s3):
    """A proxy, and a run behind it. Every attempt of the library counts, so that the tests need not wait for many."""
    proxy = Proxy(server)
    few = mock.patch.object(s3fs.S3FileSystem, "retries", 3)
    with speaking_to(proxy.port), mock.patch.dict(os.environ, AWS_MAX_ATTEMPTS="1"), few:
        yield proxy, s3
    proxy.close()


@pytest.mark.parametrize("status", ["500 Internal Server Error", "503 Slow Down"])
def test_a_store_that_is_busy_is_asked_again(proxied, status):
    proxy, url = proxied
    s3fs.S3FileSystem.clear_instance_cache()
    with mock.patch.dict(os.environ, AWS_MAX_ATTEMPTS="3"):
        reply = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        proxy.cut(rb"(GET|PUT) .*/x", 1, sent=0, reply=reply)
        folder_of(url).place("x", [b"1"], new=True)
        proxy.cut(rb"(GET|PUT) .*/x", 1, sent=0, reply=reply)
        assert folder_of(url).get("x", 0, 2) == b"1"
    assert proxy.cuts == 2


@pytest.mark.parametrize("times", [1, 2])
def test_an_upload_that_is_cut_is_tried_again(proxied, eager, times):
    proxy, url = proxied
    proxy.cut(FRAMES, times, sent=100_000)
    train(recording_at(url), 3, LARGE)
    assert proxy.cuts == times
    assert_holds(url, range(4), LARGE)


def test_an_upload_whose_answer_is_lost_is_no_conflict(proxied, eager):
    proxy, url = proxied
    proxy.cut(FRAMES, 1, answered=0)
    train(recording_at(url), 3, LARGE)
    assert proxy.cuts == 1
    assert_holds(url, range(4), LARGE)


def test_uploads_that_are_always_cut_stop_the_recording_but_not_the_training(proxied, eager):
    proxy, url = proxied
    recording = recording_at(url)
    done = []

    def after_three(recording):
        done.append(recording.step)
        if recording.step == 3:
            recording._writer.flush()
            proxy.cut(FRAMES, np.inf, sent=100_000)

    with pytest.warns(UserWarning, match="has stopped") as caught:
        train(recording, 10, LARGE, after_three)
    [warning] = [str(each.message) for each in caught]
    assert re.search(r"has stopped: .* cannot be reached: .* The first 4 frames are safe", warning)
    assert SECRET not in warning
    assert done == list(range(11))
    # Closing tries once more, and the library below keeps no count of an attempt on a connection that was used before.
    assert (recording.durable_frames, 6 <= proxy.cuts <= 12) == (4, True)
    assert [name for name in objects(url) if "frames" in name] == [f"/frames/{n:08d}.safetensors" for n in range(4)]
    file_system, root = fsspec.url_to_fs(url)
    assert not file_system.call_s3("list_multipart_uploads", Bucket=root.partition("/")[0]).get("Uploads")
    proxy.cut(FRAMES, 0)
    assert_holds(url, range(4), LARGE, status="recording" if folder_of(url).written() else "interrupted")
    train(recording_at(url, exist="resume"), 2, LARGE)
    assert_holds(url, range(6), LARGE)


def test_a_large_frame_that_is_cut_leaves_no_parts(proxied):
    """It is uploaded in parts."""
    proxy, url = proxied
    folder = folder_of(url)
    upload = folder._files.pipe_file
    folder._files.pipe_file = lambda path, content, mode: upload(path, content, chunksize=5 * 2**20, mode=mode)
    content = bytes(12 * 2**20)
    proxy.cut(rb"PUT .*partNumber=2", np.inf, sent=100_000)
    with pytest.raises(ConnectionError, match="cannot be reached"):
        folder.place("frames/0", [content], new=True)
    assert folder.list("frames") == {}
    bucket = folder._root.partition("/")[0]
    assert not folder._files.call_s3("list_multipart_uploads", Bucket=bucket).get("Uploads")
    proxy.cut(rb"PUT .*partNumber=2", 1, sent=100_000)
    folder.place("frames/0", [content], new=True)
    assert folder.get("frames/0", 0, 2**30) == content
    with pytest.raises(FileExistsError):
        folder.place("frames/0", [b"1" + content], new=True)


def test_a_download_that_is_cut_is_tried_again(proxied):
    proxy, url = proxied
    train(recording_at(url), 3, LARGE)
    proxy.cut(rb"GET .*/(frames/|run.json)", 2, answered=1000)
    assert_holds(url, range(4), LARGE)
    assert proxy.cuts == 2


def test_downloads_that_are_always_cut_are_no_damage(proxied, monkeypatch):
    proxy, url = proxied
    train(recording_at(url), 3, LARGE)
    run = Run(url)
    proxy.cut(rb"GET .*/frames/", np.inf, answered=1000)
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    for read in (lambda: run.weights("w"), lambda: Run(url), run.verify):
        with pytest.raises(ConnectionError, match=r"frames/00000000.safetensors cannot be reached: .*check the URL"):
            read()
    proxy.cut(rb"GET .*/probe", np.inf, answered=100)
    with pytest.raises(ConnectionError, match=r"probe.safetensors cannot be reached"):
        run.probe()
    proxy.cut(rb"GET .*/run.json", np.inf, answered=100)
    with pytest.raises(RunError, match=re.escape(f"{url} cannot be read: {url}/run.json cannot be reached")):
        Run(url)


def test_a_lease_survives_a_store_that_is_away_for_a_while(proxied, short_lease):
    proxy, url = proxied
    lease = folder_of(url).lock()
    assert lease.acquire(0.0)
    proxy.cut(rb".*run.lock", 20, sent=0)
    wait_until(lambda: proxy.cuts == 20)
    before = lease._renewed
    wait_until(lambda: lease._renewed > before)
    lease.confirm()
    lease.release()


# Errors and secrets


def test_what_the_store_refuses_is_an_os_error_that_helps(s3, memory):
    with pytest.raises(RunError, match=r"cannot record to s3://no-bucket/x: .* there is no such bucket; make it"):
        recording_at("s3://no-bucket/x").begin(describe(3))
    s3fs.S3FileSystem.clear_instance_cache()
    with mock.patch.dict(os.environ):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            del os.environ[name]
        os.environ["HOME"] = "/nowhere"
        with pytest.raises(PermissionError, match=r"is refused: .*credentials.*; give this process credentials"):
            recording_at(s3)
        with pytest.raises(RunError, match=r"cannot be read: .*credentials"):
            Run(s3)
    s3fs.S3FileSystem.clear_instance_cache()


class Answer(Exception):
    """As the libraries of stores raise them."""

    def __init__(self, status, text=""):
        super().__init__(text)
        self.status_code = status


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (Answer(401), PermissionError),
        (Answer(403), PermissionError),
        (OSError("Forbidden: x"), PermissionError),
        (Answer(404), FileNotFoundError),
        (Answer(412), FileExistsError),
        (Answer(503), ConnectionError),
        (TimeoutError(), ConnectionError),
        (RuntimeError("fork"), ConnectionError),
    ],
)
def test_whatever_a_library_says_is_an_os_error(memory, said, wanted):
    folder = folder_of(memory)
    with mock.patch.object(folder._files, "info", side_effect=said), pytest.raises(wanted, match=f"{memory}/x"):
        folder.identity("x")


@pytest.mark.parametrize(
    "url",
    [
        f"memory://me:{SECRET}@host/run",
        f"s3://{SECRET.partition('/')[0]}@bucket/run",
        f"s3://bucket/run?token={SECRET}",
        f"az://container@account.dfs.core.windows.net/run?sig={SECRET}",
    ],
)
def test_a_url_with_a_secret_is_refused_without_repeating_it(url):
    with pytest.raises(RunError, match=r"\*\*\*.* holds a user, a password or a query; leave credentials to") as caught:
        recording_at(url)
    assert "hunter2" not in str(caught.value)


def test_a_container_of_azure_is_no_secret():
    text = "abfss://container@account.dfs.core.windows.net/runs/relu"
    assert remote._redacted(text) == text


def test_no_secret_gets_out(s3, memory, eager):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        recording = recording_at(s3)
        train(recording, 3, each=lambda recording: recording._writer.flush())
        recording = recording_at(s3 + "2")
        recording.begin(describe(3))
        trouble = OSError(f"http://me:{SECRET}@host/x?X-Amz-Signature={SECRET} has failed")
        with mock.patch.object(recording.folder._files, "pipe_file", side_effect=trouble):
            train_on(recording, range(2))
    assert any("http://***host/x*** has failed" in str(each.message) for each in caught)
    said = [str(each.message).encode() for each in caught]
    held = [*objects(s3).values(), *objects(s3 + "2").values()]
    assert len(held) >= 5
    assert not [text for text in (*said, *held) if b"hunter2" in text]


def test_a_missing_package_is_named():
    s3fs.S3FileSystem.clear_instance_cache()
    missing = ImportError("Install s3fs to access S3")
    with mock.patch("fsspec.url_to_fs", side_effect=missing), pytest.raises(ImportError, match=r"netlapse\[s3\]"):
        Run("s3://bucket/run")
    with mock.patch.dict(sys.modules, {"fsspec": None}), pytest.raises(ImportError, match=r"netlapse\[gs\]"):
        Run("gs://bucket/run")


def test_other_file_systems_are_read_but_not_recorded_to(tmp_path):
    train(recording_at(tmp_path / "run"), 3)
    assert_holds(f"local://{tmp_path}/run", range(4))
    with pytest.raises(RunError, match=r"files do not appear whole in local://.*; record to a folder, or to s3://"):
        recording_at(f"local://{tmp_path}/new").begin(describe(3))
    with pytest.raises(RunError, match="Protocol not known: nosuch"):
        Run("nosuch://x")


def test_the_command_line_takes_urls(url):
    train(recording_at(url), 3)
    for command, said in (["show", "epochs 0 to 0.75"], ["verify", f"{url}: sound"]):
        done = CliRunner().invoke(app, [command, url])
        assert (done.exit_code, said in done.output) == (0, True), done.output


def test_runs_below_a_url_are_listed(url):
    """In folders of any depth, damaged ones too; what lies in a run is none."""
    for place in ("a", "sweep/b", "sweep/deep/c"):
        recorder = begin(f"{url}/{place}")
        recorder.append(frame_at(0))
        recorder.close()
    folder_of(f"{url}/sweep/b").place("run.json", [b"{"])
    found = {row["path"]: row["status"] for row in catalog.rows(url)}
    assert found == {f"{url}/a": "complete", f"{url}/sweep/b": "damaged", f"{url}/sweep/deep/c": "complete"}
    assert [row["path"] for row in catalog.rows(url, where="final.loss == 1.0")] == [f"{url}/a", f"{url}/sweep/deep/c"]
    assert [row["path"] for row in catalog.rows(f"{url}/a")] == [f"{url}/a"]
    shown = CliRunner().invoke(app, ["ls", url, "--format", "csv", "--columns", "path"])
    assert shown.output.split() == ["path", f"{url}/a", f"{url}/sweep/b", f"{url}/sweep/deep/c"]


def test_a_run_is_copied_between_stores(url, tmp_path):
    recorder = begin(tmp_path / "run")
    for step in range(5):
        recorder.append(frame_at(step))
    recorder.close()
    up = copy_run(tmp_path / "run", f"{url}/copy")
    down = copy_run(f"{url}/copy", tmp_path / "back")
    for copy in (up, down):
        assert_frames(copy, range(5))
        assert (copy.verify(), copy.status) == ([], "complete")
    remove_run(f"{url}/copy")
    assert not is_run(f"{url}/copy")
    assert catalog.rows(url) == []


def test_runs_of_a_store_are_viewed(url, small_run):
    server = pytest.importorskip("netlapse.view.server")
    from starlette.testclient import TestClient

    import netlapse

    for name in ("one", "two"):
        copy_run(small_run, f"{url}/{name}")

    def answers(root):
        app = server.application(root, netlapse.open, token="t", hosts=["testserver"])
        with TestClient(app, headers={"Authorization": "Bearer t"}) as client:
            runs = client.get("/api/runs").json()["runs"]
            keys = ",".join(sorted(row["key"] for row in runs))
            shown = client.get(f"/api/payload?runs={keys}").json()["runs"]
            losses = [client.get(f"/api/arrays/{run['losses']['name']}?runs={keys}").content for run in shown]
            return {row["path"] for row in runs}, losses

    paths, losses = answers(url)
    assert paths == {f"{url}/one", f"{url}/two"}
    [own] = answers(str(small_run))[1]
    assert losses == [own, own]
