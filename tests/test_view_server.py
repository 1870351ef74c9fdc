"""The local server: what it gives is what was recorded, while a training goes on too, and to nobody else."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import netlapse
from netlapse.store import Frame, Run, Writer

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
from starlette.testclient import TestClient

from netlapse.view import library
from netlapse.view.encode import arrays_in
from netlapse.view.payload import shown
from netlapse.view.server import application

TOKEN = "right"
FRAMES = 7


@pytest.fixture(scope="module")
def root(small_run, tmp_path_factory):
    """Three runs, of which one trained for a shorter time, and a folder that is none."""
    root = tmp_path_factory.mktemp("root")
    for name in ("one", "group/two", "three"):
        shutil.copytree(small_run, root / name)
    (root / "notes").mkdir()
    (root / "notes" / "secret.txt").write_text("secret")
    return root


def client_of(root):
    app = application(str(root), netlapse.open, token=TOKEN, hosts=["testserver"])
    return TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}, raise_server_exceptions=True)


@pytest.fixture(scope="module")
def client(root):
    with client_of(root) as opened:
        yield opened


def keys_of(client):
    return {Path(row["path"]).name: row["key"] for row in client.get("/api/runs").json()["runs"]}


@pytest.fixture(scope="module")
def keys(client):
    return keys_of(client)


def array_of(client, keys, array, low=None, high=None):
    frames = "" if low is None else f"&from={low}&to={high}"
    answer = client.get(f"/api/arrays/{array['name']}?runs={','.join(keys)}{frames}")
    assert answer.status_code == 200, answer.text
    shape = array["shape"] if low is None else [high - low, *array["shape"][1:]]
    return np.frombuffer(answer.content, np.dtype(array["dtype"]).newbyteorder("<")).reshape(shape)


# What it gives


def test_the_table_is_that_of_all_runs(client, root):
    table = client.get("/api/runs").json()
    assert {row["path"] for row in table["runs"]} == {str(root / name) for name in ("one", "group/two", "three")}
    assert all(row["frames"] == FRAMES and row["activation"] == "tanh" for row in table["runs"])
    assert table["differing"] == []
    assert len({row["key"] for row in table["runs"]}) == 3


def test_the_table_is_chosen_from_by_an_expression(client):
    def count(where):
        return len(client.get("/api/runs", params={"where": where}).json()["runs"])

    assert count("activation == 'tanh'") == 3
    assert count("frames > 100") == 0
    wrong = client.get("/api/runs", params={"where": "nonsense > 1"})
    assert wrong.status_code == 422
    assert "no run here has 'nonsense'" in wrong.text
    assert client.get("/api/runs", params={"where": "__import__('os')"}).status_code == 422


def test_arrays_are_those_of_the_payload(client, keys, root):
    chosen = [keys["one"], keys["two"]]
    payload = client.get(f"/api/payload?runs={','.join(chosen)}").json()
    replays = [netlapse.open(root / name) for name in ("one", "group/two")]
    whole = shown(replays, ahead=True)
    found, wanted = list(arrays_in(payload["runs"])), list(arrays_in(whole.payload["runs"]))
    assert [array["shape"] for array in found] == [array["shape"] for array in wanted]
    for array, same in zip(found, wanted, strict=True):
        values = array_of(client, chosen, array)
        np.testing.assert_allclose(
            values, whole.numbers(same["name"]), rtol=1e-4, atol=1e-5 if "f" in values.dtype.kind else 1
        )
    losses = payload["runs"][1]["losses"]
    np.testing.assert_allclose(array_of(client, chosen, losses, 2, 5), replays[1].losses()[2:5], rtol=1e-4, atol=1e-6)
    assert array_of(client, chosen, losses, 3, 3).size == 0


def test_a_picture_has_the_last_frame_and_the_loss(client, keys, root):
    picture = client.get(f"/api/thumbnails/{keys['one']}").json()
    replay = netlapse.open(root / "one")
    np.testing.assert_allclose(picture["loss"], replay.recorded("loss")[~np.isnan(replay.recorded("loss"))])
    side = picture["regions"]["side"]
    regions = np.array(picture["regions"]["values"]).reshape(side, side)
    boundary = replay.decision_boundary([float(replay.epochs[-1])], resolution=side)
    logits = boundary.plane_logits[0, ..., 0]
    sure = np.abs(logits) > 0.05
    assert sure.any()
    np.testing.assert_array_equal((regions > 127)[sure], (logits > 0)[sure])
    assert all(0 <= x <= 1 and 0 <= y <= 1 and label in (0, 1) for x, y, label in picture["regions"]["points"])


def test_few_frames_are_read_to_open_a_long_run(small_run, tmp_path, monkeypatch):
    path = tmp_path / "long"
    shutil.copytree(small_run, path)
    frames = grown(path, 3000)
    with client_of(tmp_path) as client:
        read = []
        weights = Run.weights
        monkeypatch.setattr(
            Run,
            "weights",
            lambda run, name, rows=slice(None): (
                read.append((name, len(run._numbers[rows]))) or weights(run, name, rows)
            ),
        )
        key = keys_of(client)["long"]
        payload = client.get(f"/api/payload?runs={key}").json()
        [run] = payload["runs"]
        assert run["losses"]["shape"][0] == frames
        opened = max(sum(count for other, count in read if other == name) for name, _ in read)
        assert opened < 2000
        read.clear()
        array_of(client, [key], run["losses"], 2000, 2001)
        assert max(count for _, count in read) <= 16


# Runs that grow


def grown(path, count, close=True):
    """Appends frames to a run: copies of its last, at later steps. Returns how many it has then."""
    run = Run(path)
    weights = {parameter.name: run.weights(parameter.name, [-1])[0] for parameter in run.manifest.parameters}
    step, epoch, number = int(run.steps[-1]), float(run.epochs[-1]), len(run)
    writer = Writer.resume(path)
    for k in range(1, count + 1):
        writer.append(Frame(step + k, epoch + k, float(k), weights, {"loss": 0.5}))
    writer.flush()
    if close:
        writer.close()
    return number + count


def test_a_training_is_followed(small_run, tmp_path):
    """A writer appends; what is durable is there at the next look, and what was there stays as it was."""
    path = tmp_path / "growing"
    shutil.copytree(small_run, path)
    run = Run(path)
    weights = {parameter.name: run.weights(parameter.name, [-1])[0] for parameter in run.manifest.parameters}
    writer = Writer.resume(path)
    with client_of(tmp_path) as client:
        key = keys_of(client)["growing"]

        def payload():
            return client.get(f"/api/payload?runs={key}").json()

        def version():
            return client.get(f"/api/version?runs={key}").text

        first = payload()
        assert first["live"]
        assert first["runs"][0]["marks"] == []
        names = {array["name"] for array in arrays_in(first["runs"])}
        before = array_of(client, [key], first["runs"][0]["losses"])
        known = version()
        for number in range(1, 9):
            changed = {name: values * (1 + 0.1 * number) for name, values in weights.items()}
            writer.append(Frame(1000 + number, 6.0 + number, float(number), changed, {"loss": 0.5}))
            writer.flush()
            time.sleep(library._LOOK_SECONDS)
            assert version() != known
            known = version()
            [found] = payload()["runs"]
            assert found["losses"]["shape"][0] == found["epochs"]["shape"][0] == FRAMES + number
            assert array_of(client, [key], found["epochs"])[-1] == 6 + number
            added = array_of(client, [key], found["losses"], FRAMES + number - 1, FRAMES + number)
            replay = netlapse.open(path)
            np.testing.assert_allclose(added[0], replay.losses(6.0 + number), rtol=1e-4, atol=1e-6)
            if number == 1:
                # Nothing has to be fetched anew.
                assert {array["name"] for array in arrays_in([found])} == names
                np.testing.assert_array_equal(array_of(client, [key], found["losses"], 0, FRAMES), before)
        # By now the plane is that of the larger values too.
        assert not {array["name"] for array in arrays_in([found])} & names
        writer.close()
        time.sleep(library._LOOK_SECONDS)
        last = payload()
        assert not last["live"]
        assert last["runs"][0]["status"] == "complete"
        assert last["runs"][0]["losses"]["shape"][0] == FRAMES + 8


def test_asking_for_the_version_reads_no_array(client, keys, monkeypatch):
    client.get(f"/api/payload?runs={keys['three']}")
    monkeypatch.setattr(Run, "weights", lambda *_: pytest.fail("weights were read"))
    monkeypatch.setattr(Run, "scalar", lambda *_: pytest.fail("scalars were read"))
    time.sleep(library._LOOK_SECONDS)
    assert client.get(f"/api/version?runs={keys['three']}").text.startswith(f"complete {FRAMES} ")


def test_a_run_without_a_frame_is_waited_for(small_run, tmp_path):
    path = tmp_path / "early"
    shutil.copytree(small_run, path)
    for segment in (path / "frames").iterdir():
        segment.unlink()
    with client_of(tmp_path) as client:
        answer = client.get(f"/api/payload?runs={keys_of(client)['early']}")
    assert answer.status_code == 409
    assert "no frame yet" in answer.text


# Runs that are damaged


@pytest.mark.filterwarnings("ignore:.*its frames are left out")
def test_of_a_damaged_run_what_survives_is_shown(small_run, tmp_path):
    path = tmp_path / "damaged"
    shutil.copytree(small_run, path)
    writer = Writer.resume(path)
    run = Run(path)
    weights = {parameter.name: run.weights(parameter.name, [-1])[0] for parameter in run.manifest.parameters}
    writer.append(Frame(2000, 20.0, 1.0, {name: values + 0.1234 for name, values in weights.items()}, {"loss": 0.5}))
    writer.flush()
    segment = max((path / "frames").iterdir())
    content = bytearray(segment.read_bytes())
    needle = (weights["hidden/kernel"] + np.float32(0.1234)).astype("<f4").tobytes()
    place = content.index(needle)
    content[place] ^= 1
    segment.write_bytes(content)
    with client_of(tmp_path) as client:
        key = keys_of(client)["damaged"]
        [found] = client.get(f"/api/payload?runs={key}").json()["runs"]
        assert found["losses"]["shape"][0] == FRAMES
        assert any("left out" in text and "altered" in text for text in found["missing"])
        np.testing.assert_allclose(
            array_of(client, [key], found["losses"]), netlapse.open(small_run).losses(), rtol=1e-4, atol=1e-6
        )
    writer.close("interrupted")


@pytest.mark.filterwarnings("ignore:.*its frames are left out")
def test_a_run_of_which_nothing_survives_says_so(small_run, tmp_path):
    path = tmp_path / "lost"
    shutil.copytree(small_run, path)
    for segment in (path / "frames").iterdir():
        segment.write_bytes(segment.read_bytes()[:100])
    with client_of(tmp_path) as client:
        key = keys_of(client)["lost"]
        answer = client.get(f"/api/payload?runs={key}")
        assert answer.status_code == 422
        assert "truncated or altered" in answer.text
        (path / "run.json").write_text("{")
        assert client.get(f"/api/thumbnails/{key}").status_code in (200, 422)


# Who may ask what


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Bearer ", f"Basic {TOKEN}", TOKEN, "Bearer \xff"])
def test_nothing_is_given_without_the_token(authorization, client, keys):
    headers = {"Authorization": authorization.encode("latin-1")} if authorization else {}
    bare = TestClient(client.app, headers=headers)
    for path in (
        "runs",
        f"payload?runs={keys['one']}",
        f"version?runs={keys['one']}",
        "arrays/x?runs=y",
        "thumbnails/x",
        "x",
    ):
        assert bare.get(f"/api/{path}").status_code == 401
    # What has no data is for all.
    assert bare.get("/").status_code == 200
    assert bare.get("/viewer.js").status_code == 200


def test_the_page_has_no_data(client, keys):
    for path in ("/", "/viewer.js"):
        text = client.get(path).text
        assert TOKEN not in re.findall(r"token=(\w+)", text)
        assert not any(key in text for key in keys.values())


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("testserver", 200),
        ("testserver:8000", 200),
        ("TESTSERVER", 200),
        ("evil.example", 421),
        ("testserver.evil.example", 421),
        ("testserver@evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("10.0.0.1", 421),
        ("testserver:80:80", 421),
        ("", 421),
    ],
)
def test_the_host_has_to_be_known(host, status, client):
    assert client.get("/", headers={"Host": host}).status_code == status


def test_a_server_for_the_network_is_known_by_its_addresses(root):
    app = application(str(root), netlapse.open, token=TOKEN, hosts=["localhost", "0.0.0.0"])
    with TestClient(app) as client:
        for host, status in [("192.168.1.7:80", 200), ("[fe80::1]:80", 200), ("localhost", 200), ("evil.example", 421)]:
            assert client.get("/", headers={"Host": host}).status_code == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "NONSENSE"])
def test_there_is_nothing_but_to_get(method, client):
    for path in ("/", "/api/runs", "/viewer.js"):
        answer = client.request(method, path)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD"


def test_every_answer_keeps_others_out(client, keys):
    for path in (
        "/",
        "/viewer.js",
        "/api/runs",
        f"/api/payload?runs={keys['one']}",
        "/nothing",
        "/api/arrays/x?runs=y",
    ):
        headers = client.get(path, headers={"Origin": "https://evil.example"}).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert not any(name.startswith("access-control") for name in headers)


@pytest.mark.parametrize(
    "key",
    [
        "../notes",
        "notes",
        "..%2Fnotes%2Fsecret.txt",
        "one",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "....//",
        "one/../notes",
        "%00",
        "C:\\",
    ],
)
def test_no_key_is_a_path(key, client):
    for path in (
        f"/api/payload?runs={key}",
        f"/api/version?runs={key}",
        f"/api/arrays/{key}?runs={key}",
        f"/api/thumbnails/{key}",
        f"/{key}",
    ):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "secret" not in answer.text
        assert "root:" not in answer.text


def test_no_array_is_a_path(client, keys, root):
    client.get(f"/api/payload?runs={keys['one']}")
    for name in ("../../etc/passwd", "..%2f..%2fetc%2fpasswd", str(root / "notes" / "secret.txt"), "", "%00"):
        assert client.get(f"/api/arrays/{name}?runs={keys['one']}").status_code == 404


def test_at_most_six_runs_are_compared(client, keys):
    one = keys["one"]
    for runs in ("", ",", f"{one},{one}", ",".join(map(str, range(7)))):
        assert client.get("/api/payload", params={"runs": runs}).status_code == 400


_NUMBERS = st.one_of(
    st.integers(-3, FRAMES + 3).map(str),
    st.integers().map(str),
    st.sampled_from(["", "1.5", "0x1", "1e3", "nan", " 1", "+1", "\u0661", "1_0", "9" * 400]),
    st.text(max_size=20),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(low=st.none() | _NUMBERS, high=st.none() | _NUMBERS, data=st.data())
def test_any_range_is_answered_right_or_refused(low, high, data, client, keys):
    [run] = client.get(f"/api/payload?runs={keys['one']}").json()["runs"]
    array = data.draw(st.sampled_from([run["losses"], run["epochs"], run["boundary"]["regions"]]))
    given = {name: text for name, text in (("from", low), ("to", high)) if text is not None}
    answer = client.get(f"/api/arrays/{array['name']}", params={"runs": keys["one"], **given})
    numbers = [0 if low is None else low, FRAMES if high is None else high]
    plain = all(re.fullmatch("[0-9]{1,12}", str(number)) for number in numbers)
    if plain and int(numbers[0]) <= int(numbers[1]) <= FRAMES:
        assert answer.status_code == 200
        size = np.dtype(array["dtype"]).itemsize * int(np.prod(array["shape"][1:]))
        assert len(answer.content) == (int(numbers[1]) - int(numbers[0])) * size
    else:
        assert answer.status_code == 400


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.text(max_size=40),
    query=st.dictionaries(st.sampled_from(["runs", "from", "to", "where", "x"]), st.text(max_size=30), max_size=4),
    folder=st.sampled_from(["", "api/", "api/arrays/", "api/thumbnails/", "api/runs"]),
)
def test_nothing_that_is_asked_breaks_it(path, query, folder, client):
    from urllib.parse import quote

    answer = client.get(f"/{folder}{quote(path, safe='/')}", params=query)
    assert answer.status_code in (200, 400, 404, 422)


# A real server


@contextmanager
def serving(root):
    """Port and token of `netlapse view` in a process of its own, and that process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    command = [sys.executable, "-m", "netlapse", "view", str(root), "--no-browser", "--port", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    try:
        found = re.search(r"http://127\.0\.0\.1:(\d+)/#token=(\S+)", process.stdout.readline())
        assert found
        yield int(found[1]), found[2], process
    finally:
        process.kill()
        process.communicate()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_connections_are_answered_and_ctrl_c_ends_it(root):
    with serving(root) as (port, token, process):
        ask_a_thousand_times(port, token)
        connection = HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "Traceback" not in said
        connection.close()


def ask_a_thousand_times(port, token):
    request = f"GET /api/runs HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()

    async def ask(opened):
        reader, writer = opened
        writer.write(request)
        line = await reader.readline()
        writer.close()
        return line

    async def all_at_once():
        opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(1000)))
        # All are open, some silent, some with half a request, before the first is answered.
        for _, writer in opened[:50]:
            writer.write(b"GET /api/runs HTTP/1.1\r\nHos")
        answers = await asyncio.gather(*map(ask, opened[100:]))
        for _, writer in opened[:100]:
            writer.close()
        return answers

    answers = asyncio.run(asyncio.wait_for(all_at_once(), 60))
    assert set(answers) == {b"HTTP/1.1 200 OK\r\n"}
    assert len(answers) == 900


def test_the_browser_follows_a_training(small_run, browser, tmp_path):
    """The gallery, then the viewer, whose cursor stays at the last frame."""
    shutil.copytree(small_run, tmp_path / "growing")
    shutil.copytree(small_run, tmp_path / "ended")
    run = Run(tmp_path / "growing")
    weights = {parameter.name: run.weights(parameter.name, [-1])[0] for parameter in run.manifest.parameters}
    writer = Writer.resume(tmp_path / "growing")
    said = []
    with serving(tmp_path) as (port, token, _):
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"http://127.0.0.1:{port}/#token={token}")
        page.wait_for_selector(".card:nth-child(2)")
        assert token not in page.url
        page.get_by_label("Search runs").fill("recording")
        page.wait_for_function(
            "() => document.querySelector('#netlapse').shadowRoot.querySelectorAll('.card').length === 1"
        )
        page.get_by_label("Search runs").fill("frames < 3")
        page.get_by_text("0 of").or_(page.get_by_text("0 runs")).wait_for()
        page.get_by_label("Search runs").fill("")
        page.wait_for_selector(".card:nth-child(2)")
        for tick in page.locator(".tick input").all():
            tick.check()
        page.get_by_role("link", name="Compare 2 runs").click()
        page.wait_for_selector("#netlapse .grid")
        page.evaluate("() => window.netlapse.ready")
        assert page.evaluate("() => window.netlapse.state.t") == FRAMES - 1
        for number in range(1, 4):
            changed = {name: values * (1 + 0.1 * number) for name, values in weights.items()}
            writer.append(Frame(1000 + number, 6.0 + number, float(number), changed, {"loss": 0.5}))
            writer.flush()
            page.wait_for_function(f"() => window.netlapse.state.t === {FRAMES - 1 + number}")
        page.get_by_role("link", name="All runs").click()
        page.wait_for_selector(".card")
        page.close()
    writer.close()
    assert said == []


def test_many_ask_while_it_computes(client, keys):
    """Answers are those of the array asked for, whoever else asks at the same time."""
    chosen = [keys["one"], keys["three"]]
    payload = client.get(f"/api/payload?runs={','.join(chosen)}").json()
    arrays = [array for run in payload["runs"] for array in (run["losses"], run["probabilities"], run["epochs"])]
    wanted = [array_of(client, chosen, array) for array in arrays]
    problems = []

    def ask(number):
        array, values = arrays[number % len(arrays)], wanted[number % len(arrays)]
        low = number % FRAMES
        if not np.array_equal(array_of(client, chosen, array, low, FRAMES), values[low:]):
            problems.append(array["name"])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_a_port_that_is_taken_is_said():
    import socket

    from typer.testing import CliRunner

    from netlapse.cli import app

    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = CliRunner().invoke(app, ["view", ".", "--no-browser", "--port", str(taken.getsockname()[1])])
    assert isinstance(found.exception, OSError)
    assert "choose another" in str(found.exception)
