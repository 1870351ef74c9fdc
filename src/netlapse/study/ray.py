"""The pieces of a study as tasks of Ray, on the cores of this machine or of a cluster."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import warnings
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import blake2b
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import StudyError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from .pieces import Piece
    from .study import Study

# How often Ray gives a piece to another worker when one dies: cheap nodes are taken away several times an hour.
RETRIES = 8
# In flight at least; above, twice as many as there are cores, so that none waits for the next.
_FEWEST = 16
_CONNECT_SECONDS, _JOIN_SECONDS = 10.0, 60.0
_MEGABYTE = 2**20

# In a worker process: the study that it trains pieces of, by the name of its definition.
_built: dict[str, Study] = {}


def train(study: Study, pieces: Sequence[Piece], address: str | None, jobs: int | None) -> Generator[Piece]:
    """Train pieces on Ray, and give each when it is kept.

    Without an address Ray is started here, of `jobs` cores, by default of all, and stopped in the end. With one, its
    cluster is joined, and at most `jobs` pieces are in flight there. Where Ray is in use already, it is used and left.

    A piece takes one core, and goes straight into the study's folder: what is killed, be it a worker, a node or this
    process, loses the pieces in flight. They are trained on the CPU with one thread, which matters for the last bits of
    large matrices only. Raises StudyError where Ray is missing or cannot be reached, where workers have other packages,
    or where they cannot write into the study's folder; or what the user's functions raise.
    """
    if not pieces:
        return
    ray = _ray()
    definition, name = _definition(study, ray)
    with _running(ray, address, jobs, len(definition)):
        task = ray.remote(num_cpus=1, max_retries=RETRIES, runtime_env={"env_vars": _environment()})(_train)
        # In a list, a reference stays one: each process fetches the definition once.
        sent = [ray.put(np.frombuffer(definition, np.uint8))]
        waiting, running = iter(pieces), cast("dict[Any, Piece]", {})
        try:
            while True:
                room = _most(ray, address, jobs) - len(running)
                running |= {task.remote(sent, name, piece): piece for piece in islice(waiting, max(room, 0))}
                if not running:
                    break
                for finished in ray.wait(list(running))[0]:
                    piece = running.pop(finished)
                    _raise_what_failed(ray, finished, piece)
                    yield piece
        finally:
            for reference in running:
                with suppress(Exception):
                    ray.cancel(reference, force=True)
    lost = {piece.number for piece in pieces} - study.results.done
    if lost:
        raise StudyError(
            f"{len(lost)} pieces were trained by workers and are not in {study.path}: they have a folder of their own"
            " there; choose a folder that all machines share, or a URL such as s3://bucket/study"
        )


def _ray() -> Any:
    # Telemetry is for those to allow who start Ray themselves.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        return import_module("ray")
    except ImportError as error:
        raise StudyError(f'ray= needs Ray: pip install "netlapse[ray]" ({error})') from error


def _environment() -> dict[str, str]:
    """What is set in the workers before they import Keras and JAX."""
    from ..jax.backend import jax
    from ..keras.backend import keras

    return {
        "KERAS_BACKEND": keras.backend.backend(),
        "JAX_ENABLE_X64": str(int(jax.config.jax_enable_x64)),
        "JAX_PLATFORMS": "cpu",
        # How many threads XLA starts: there is a worker for each core.
        "NPROC": "1",
        "PJRT_NPROC": "1",
    }


def _most(ray: Any, address: str | None, jobs: int | None) -> int:
    """How many pieces may be in flight: a cluster may grow."""
    if address is not None and jobs is not None:
        return jobs
    return max(_FEWEST, 2 * int(ray.cluster_resources().get("CPU", 0)))


def _raise_what_failed(ray: Any, reference: Any, piece: Piece) -> None:
    try:
        ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, Exception):
            raise error.cause from error
        raise StudyError(f"piece {piece.number} failed in a worker of Ray: {_last_line(str(error))}") from error
    except ray.exceptions.RayError as error:
        raise StudyError(
            f"piece {piece.number} was given up after {RETRIES} retries ({type(error).__name__}: {_first_line(error)});"
            " what was trained is kept: run the study again to train the rest"
        ) from error


# Where Ray runs


@contextmanager
def _running(ray: Any, address: str | None, jobs: int | None, size: int) -> Generator[None]:
    """Ray, started or joined, and afterwards left as it was."""
    if ray.is_initialized():
        _require_same(ray, address)
        yield
        return
    if address is not None:
        _require_reachable(address)
    with warnings.catch_warnings(action="ignore"):
        try:
            if address is None:
                # Of the memory for objects, which is a third of the machine's by default, little is used.
                memory = 128 * _MEGABYTE + 2 * size
                ray.init("local", num_cpus=jobs, include_dashboard=False, object_store_memory=memory, **_QUIET)
            else:
                ray.init(address, **_QUIET)
        except Exception as error:
            what = "be started" if address is None else f"be reached at {address}"
            raise StudyError(f"Ray cannot {what}: {_last_line(str(error))}") from error
    try:
        yield
    finally:
        ray.shutdown()


# An error in a worker is raised here: Ray need not write it too.
_QUIET: dict[str, Any] = {"logging_level": logging.CRITICAL, "log_to_driver": False}


def _require_same(ray: Any, address: str | None) -> None:
    """Raise StudyError if this process is in another cluster than that at the address."""
    here = ray.get_runtime_context().gcs_address
    if address is not None and address != "auto" and "://" not in address and address != here:
        raise StudyError(
            f"this process uses Ray at {here} already; call ray.shutdown() before {address} is joined, or pass ray=True"
        )


def _require_reachable(address: str) -> None:
    """Raise StudyError if there is no cluster at this address, or none for this Python and this Ray.

    Ray itself tries for two minutes, writes what it tries to standard error, and may end the process.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
        except (OSError, OverflowError) as error:
            raise _unreachable(address, str(error)) from error
    code = "import sys, ray; ray.init(sys.argv[1], log_to_driver=False)"
    try:
        tried = subprocess.run(
            [sys.executable, "-c", code, address], capture_output=True, text=True, timeout=_JOIN_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise _unreachable(address, f"what answers there is no Ray, within {_JOIN_SECONDS:g} s") from None
    if tried.returncode:
        raise _unreachable(address, _last_line(tried.stderr))


def _unreachable(address: str, why: str) -> StudyError:
    return StudyError(
        f"Ray cannot be reached at {address} ({why}); start it there with `ray start --head`, which says its address,"
        " or leave out the address to start Ray on this machine"
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"


# What a worker is sent


def _definition(study: Study, ray: Any) -> tuple[bytes, str]:
    """The study as workers get it, and a name for that. Raises StudyError for what cannot be sent."""
    # Of each setting they know what it needs a program of its own for, so that no worker builds all models.
    _ = study.pieces
    builder: Any = vars(study)["_builder"]
    with _by_value(ray.cloudpickle, _functions(builder)):
        try:
            written: bytes = ray.cloudpickle.dumps(study)
        except Exception as error:
            raise StudyError(
                f"the builder or the data cannot be sent to Ray's workers ({error}); make in them what they use, rather"
                " than using what is open or built outside"
            ) from error
    return written, blake2b(written, digest_size=16).hexdigest()


def _functions(builder: Any) -> Iterable[Any]:
    for function in (builder._build, builder._data):
        while isinstance(function, partial):
            function = cast("partial[Any]", function).func
        if callable(function):
            yield function


@contextmanager
def _by_value(cloudpickle: Any, functions: Iterable[Any]) -> Generator[None]:
    """The modules of the user's functions are sent too: workers of other machines do not have them."""
    own = __name__.partition(".")[0]
    names = {str(getattr(function, "__module__", "__main__")) for function in functions}
    modules = [sys.modules[name] for name in names if name in sys.modules and name.partition(".")[0] != own]
    registered = [module for module in modules if module.__name__ not in cloudpickle.list_registry_pickle_by_value()]
    for module in registered:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)


# In a worker


def _train(sent: Sequence[Any], name: str, piece: Piece) -> None:
    """Train a piece in this process, which builds the study once.

    Whoever trains it, a piece is the same: nothing is lost where it is trained twice.
    """
    if name not in _built:
        _built.clear()
        _built[name] = _build(sent[0])
    study = _built[name]
    _require_same_model(study, piece)
    study.train(piece)


def _build(reference: Any) -> Study:
    ray = _ray()
    study: Any = ray.cloudpickle.loads(ray.get(reference).tobytes())
    manifest = study.results.manifest
    if manifest is None or manifest.get("id") != study._identity:
        raise StudyError(
            f"a worker of Ray on {socket.gethostname()} does not find the study in {study.path}; choose a folder"
            " that all machines share, or a URL such as s3://bucket/study"
        )
    return study


def _require_same_model(study: Any, piece: Piece) -> None:
    """Raise StudyError if a program that is new to this process has another model, or other data, than the driver's."""
    number = piece.networks[0].setting
    if piece.program not in study._programs and not study.is_same_here(number):
        raise StudyError(
            f"a worker of Ray on {socket.gethostname()} makes another model, or other data, of"
            f" {study.settings[number]}: install the same packages there, configure Keras within the builder, and let"
            " the data not depend on the machine or on chance"
        )
