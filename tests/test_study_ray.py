"""Studies on Ray: what is killed is trained by others, and nothing is trained twice or otherwise."""

import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest

from netlapse.errors import StudyError
from netlapse.study import ray as on_ray
from netlapse.study.results import Results
from netlapse.study.study import Study

pytest.importorskip("pyarrow")
keras = pytest.importorskip("keras")

X = np.random.default_rng(0).normal(size=(24, 2)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")


def has_ray():
    try:
        import_module("ray")
    except ImportError:
        return False
    return True


needs_ray = pytest.mark.skipif(not has_ray(), reason="Ray is not installed")


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


def builder(place, action="build"):
    """A function that makes models; in a worker process it notes who it is, and waits to be killed, or raises."""
    driver = os.getpid()

    def build(activation="tanh", units=2):
        if os.getpid() != driver:
            with Path(place, str(os.getpid())).open("a") as file:
                file.write(os.environ.get("NPROC", "") + os.environ.get("KERAS_BACKEND", "") + "\n")
            if action == "raise":
                raise ValueError(f"no model of {activation}")
            if action == "wait" and activation == "relu":
                with suppress(FileExistsError):
                    with Path(place, "victim").open("x") as file:
                        file.write(str(os.getpid()))
                    time.sleep(300)
        model = keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(units, activation), keras.layers.Dense(1, "sigmoid")]
        )
        model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy", metrics=["accuracy"])
        return model

    return build


def study(path, build, **options):
    # Two pieces of each structure: of 96 networks, and of the rest.
    space = {"activation": ["tanh", "relu"]}
    return Study(path, build, (X, Y), space, **{"seeds": 100, "epochs": 2, "batch_size": 8, **options})


def files_of(path):
    return {file.name: file.stat().st_mtime_ns for file in Path(path, "pieces").glob("*.parquet")}


@needs_ray
def test_a_killed_worker_changes_nothing(tmp_path):
    ray = import_module("ray")
    place = tmp_path / "workers"
    place.mkdir()
    alone = study(tmp_path / "alone", builder(place)).run()
    assert len(alone.pieces) == 4
    many = study(tmp_path / "many", builder(place, "wait"))
    done = []

    def progress(count, total):
        done.append(count)
        # Once anything is done, the worker that waits in the middle of its piece is killed.
        if count and not (place / "killed").exists():
            wait_for(lambda: (place / "victim").exists() and (place / "victim").read_text())
            os.kill(int((place / "victim").read_text()), signal.SIGKILL)
            (place / "killed").touch()

    assert many.run(ray=True, jobs=2, progress=progress) is many
    assert not ray.is_initialized()
    victim = (place / "victim").read_text()
    assert not alive(victim)
    assert done[0] == 0
    assert done[-1] == 200
    assert done == sorted(set(done))

    pd.testing.assert_frame_equal(many.table, alone.table, check_exact=True)
    for name in ("loss", "accuracy", "logged/loss"):
        np.testing.assert_array_equal(many.curves(name), alone.curves(name))
    for k in range(4):
        np.testing.assert_array_equal(many.weights(k), alone.weights(k))
    assert (tmp_path / "many" / "table.parquet").exists()

    workers = [file for file in place.iterdir() if file.name.isdecimal()]
    assert len(workers) >= 2
    assert victim in [file.name for file in workers]
    assert all(set(file.read_text().split()) == {"1jax"} for file in workers)

    # What is there is not trained again: Ray is not even started.
    before = files_of(many.path)
    many.run(ray=True)
    assert files_of(many.path) == before


@needs_ray
def test_after_a_killed_driver_the_rest_is_trained(tmp_path):
    place = tmp_path / "workers"
    place.mkdir()
    code = """
        import sys
        from tests.test_study_ray import builder, study
        study(sys.argv[1], builder(sys.argv[2], "wait")).run(ray=True, jobs=2)
    """
    path = tmp_path / "study"
    driver = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(path), str(place)],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        cwd=Path(__file__).parents[1],
    )
    try:
        # One worker waits in the middle of its piece for good: the study cannot be finished.
        wait_for(lambda: files_of(path) and (place / "victim").exists() and (place / "victim").read_text())
    finally:
        driver.kill()
        driver.wait()
    workers = [int(file.name) for file in place.iterdir() if file.name.isdecimal()]
    wait_for(lambda: not any(map(alive, workers)))
    before = files_of(path)
    assert 0 < len(before) < 4

    again = study(path, builder(place))
    counts = []
    again.run(ray=True, jobs=2, progress=lambda done, total: counts.append(done))
    assert counts[0] == sum(len(piece.networks) for piece in again.pieces if f"{piece.number:08d}.parquet" in before)
    assert {name: files_of(path)[name] for name in before} == before
    assert len(again.table) == 200
    assert again.table["network"].tolist() == list(range(200))


@needs_ray
def test_what_goes_wrong_in_a_ray_that_is_in_use(tmp_path, monkeypatch):
    ray = import_module("ray")
    place = tmp_path / "workers"
    place.mkdir()
    with warnings.catch_warnings(action="ignore"):  # JAX warns of how Ray starts its processes
        ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=100_000_000)
    try:
        # The user's own error, and Ray is left running.
        with pytest.raises(ValueError, match="no model of tanh"):
            study(tmp_path / "raises", builder(place, "raise"), seeds=2).run(ray=True)
        assert ray.is_initialized()
        # In the memory of this process nobody else finds it.
        with pytest.raises(StudyError, match="does not find the study in memory://"):
            study("memory://study-on-ray", builder(place), seeds=2).run(ray="auto")
        # Data that depend on where they are made.
        here = os.getpid()

        def data():
            return X + (os.getpid() != here), Y

        other = Study(tmp_path / "other", builder(place), data, {"units": [2, 3]}, seeds=2, epochs=1)
        with pytest.raises(StudyError, match=r"makes another model, or other data, of {'units': 2}"):
            other.run(ray=True)
        # Another cluster than the one in use.
        with pytest.raises(StudyError, match=r"uses Ray at .* already; call ray.shutdown\(\) before 10.0.0.1:6379"):
            study(tmp_path / "raises", builder(place), seeds=2).run(ray="10.0.0.1:6379")
        # What cannot be pickled.
        lock = __import__("threading").Lock()

        def build(units=2):
            with lock:
                return builder(place)("tanh", units)

        with pytest.raises(StudyError, match=r"cannot be sent to Ray's workers .*lock"):
            Study(tmp_path / "lock", build, (X, Y), {"units": [2, 3]}, seeds=2, epochs=1).run(ray=True)
        assert ray.is_initialized()
    finally:
        ray.shutdown()


@needs_ray
def test_a_cluster_is_joined_and_writes_into_an_object_store(tmp_path, monkeypatch):
    _ = pytest.importorskip("s3fs")
    fsspec, moto = pytest.importorskip("fsspec"), pytest.importorskip("moto.server")
    ray = import_module("ray")
    place = tmp_path / "workers"
    place.mkdir()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "somebody")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        # Workers have the environment of the cluster, which is that of this process.
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
        url = f"s3://bucket-{uuid4().hex}/study"
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir(url.rpartition("/")[0])
        with warnings.catch_warnings(action="ignore"):
            ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=100_000_000)
        code = """
            import sys
            from tests.test_study_ray import builder, study
            study(sys.argv[1], builder(sys.argv[2]), seeds=3).run(ray=sys.argv[3])
        """
        driver = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), url, str(place), ray.get_runtime_context().gcs_address],
            env={**os.environ, "KERAS_BACKEND": "jax"},
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
        assert driver.returncode == 0, driver.stderr
        assert not driver.stderr  # nor does Ray say anything
        alone = study(tmp_path / "alone", builder(place), seeds=3).run()
        pd.testing.assert_frame_equal(Results(url).table(), alone.table, check_exact=True)
    finally:
        ray.shutdown()
        server.stop()


@needs_ray
def test_an_address_without_ray_is_one_error(tmp_path, monkeypatch):
    one = study(tmp_path / "study", builder(tmp_path), seeds=2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*free.getsockname())
        with pytest.raises(StudyError, match=f"Ray cannot be reached at {address} .*refused.*ray start --head"):
            one.run(ray=address)
        # Something answers that says nothing.
        free.listen()
        monkeypatch.setattr(on_ray, "_JOIN_SECONDS", 3.0)
        with pytest.raises(StudyError, match=f"{address} .*is no Ray, within 3 s"):
            one.run(ray=address)
    # What Ray itself says. (At "auto" there may be the cluster of another test.)
    monkeypatch.setattr(on_ray, "_JOIN_SECONDS", 60.0)
    with pytest.raises(StudyError, match=r"reached at nowhere.invalid .*Invalid address format"):
        one.run(ray="nowhere.invalid")


def test_ray_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(StudyError, match=r'pip install "netlapse\[ray\]"'):
        study(tmp_path / "study", builder(tmp_path), seeds=2).run(ray=True)
