"""`run.json`: what a run is, apart from its frames."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ..errors import DamagedRun, RunError
from . import files

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1

Status = Literal["recording", "complete", "interrupted"]


@dataclass(frozen=True)
class Parameter:
    """One array of weights of the network, trainable or not (BatchNorm statistics are parameters too)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    trainable: bool
    layer: str


@dataclass(frozen=True)
class Layer:
    """One layer, in the order in which the network applies them."""

    name: str
    type: str
    units: int | None = None
    activation: str | None = None


@dataclass(frozen=True)
class Manifest:
    """Everything about a run that is not a frame.

    `model` says how the network is rebuilt without the user's code; its files lie under `model/`.
    `probe` describes the examples in `probe.safetensors`; `schedule` says which frames were asked for.
    """

    id: str
    name: str
    created: str
    status: Status
    netlapse: str
    framework: str
    backend: str
    versions: dict[str, str]
    hyperparameters: dict[str, Any]
    layers: tuple[Layer, ...]
    parameters: tuple[Parameter, ...]
    model: dict[str, str]
    probe: dict[str, Any]
    schedule: str
    format: int = field(default=FORMAT)


def read(run: Path) -> Manifest:
    """The manifest of the run in this folder.

    Raises RunError for a folder that is no run or was written by a newer netlapse, DamagedRun for one that
    cannot be parsed.
    """
    path = run / files.MANIFEST
    if not run.exists():
        raise RunError(
            f"{run} does not exist; record a run there first, or list the runs of a folder with `netlapse ls`"
        )
    if not path.is_file():
        raise RunError(f"{run} is not a run: it has no {files.MANIFEST}; `netlapse ls {run}` lists the runs below it")
    try:
        content = json.loads(path.read_bytes())
        version = int(content["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedRun(f"{path} cannot be read as a run's manifest ({error}); restore it from a copy") from error
    if version > FORMAT:
        raise RunError(
            f"{run} is written in run format {version} by netlapse {content.get('netlapse', '?')}; this netlapse reads"
            f" formats up to {FORMAT}: upgrade it with `pip install --upgrade netlapse`"
        )
    try:
        content["layers"] = tuple(Layer(**layer) for layer in content["layers"])
        content["parameters"] = tuple(
            Parameter(**dict[str, Any](parameter, shape=tuple(parameter["shape"])))
            for parameter in content["parameters"]
        )
        return Manifest(**content)
    except (KeyError, TypeError) as error:
        raise DamagedRun(f"{path} lacks or misstates an entry ({error}); restore it from a copy") from error


def write(run: Path, manifest: Manifest) -> None:
    """Put the manifest in place, whole and durably."""
    # NaN is no JSON: hyper-parameters are made plain before they come here, and a slip must not go unseen.
    content = json.dumps(asdict(manifest), indent=1, allow_nan=False)
    files.place(run / files.MANIFEST, content.encode())
