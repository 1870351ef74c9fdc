"""`run.json`: what a run is, apart from its frames."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

import xxhash

from ..errors import DamagedRun, RunError
from . import files

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
CHECKSUM = "xxh3_64"
_BLANK = "0" * 16

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

    `model` says how the network is rebuilt without the user's code: names of files under `model/` by their role.
    `probe` describes the examples in `probe.safetensors`; `schedule` says which frames were asked for. `checksums` are
    those of the whole files of the probe and the model, by path within the run.
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
    checksums: dict[str, str] = field(default_factory=dict[str, str])
    format: int = FORMAT


def checksum(content: bytes) -> str:
    """XXH3 (64 bits, hex) of a whole file."""
    return xxhash.xxh3_64_hexdigest(content)


def read(run: Path) -> Manifest:
    """The manifest of the run in this folder. Entries that this version does not know are passed over.

    Raises RunError for a folder that is no run or was written by a newer netlapse, DamagedRun for one that
    was altered.
    """
    path = run / files.MANIFEST
    if not run.exists():
        raise RunError(
            f"{run} does not exist; record a run there first, or list the runs of a folder with `netlapse ls`"
        )
    if not path.is_file():
        raise RunError(f"{run} is not a run: it has no {files.MANIFEST}; `netlapse ls {run}` lists the runs below it")
    try:
        raw = path.read_bytes()
        content = json.loads(raw)
        version = int(content["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedRun(f"{path} cannot be read as a run's manifest ({error}); restore it from a copy") from error
    if version > FORMAT:
        raise RunError(
            f"{run} is written in run format {version} by netlapse {content.get('netlapse', '?')}; this netlapse reads"
            f" formats up to {FORMAT}: upgrade it with `pip install --upgrade netlapse`"
        )
    stated = str(content.get(CHECKSUM, ""))
    if stated and checksum(raw.replace(stated.encode(), _BLANK.encode(), 1)) != stated:
        raise DamagedRun(
            f"{path} is altered: its checksum does not match; restore it from a copy, or, if you meant to edit it,"
            f' remove its "{CHECKSUM}" entry'
        )
    try:
        entries = _known(Manifest, content)
        entries["layers"] = tuple(Layer(**_known(Layer, layer)) for layer in content["layers"])
        entries["parameters"] = tuple(
            Parameter(**_known(Parameter, {**parameter, "shape": tuple(parameter["shape"])}))
            for parameter in content["parameters"]
        )
        return Manifest(**entries)
    except (KeyError, TypeError) as error:
        raise DamagedRun(f"{path} lacks or misstates an entry ({error}); restore it from a copy") from error


def has_checksum(run: Path) -> bool:
    """Whether the manifest can be checked; it cannot after its checksum was removed for an edit."""
    return CHECKSUM in json.loads((run / files.MANIFEST).read_bytes())


def _known(kind: type[Any], content: dict[str, Any]) -> dict[str, Any]:
    return {entry.name: content[entry.name] for entry in fields(kind)}


def write(run: Path, manifest: Manifest) -> None:
    """Put the manifest in place, whole and durably."""
    # NaN is no JSON: hyper-parameters are made plain before they come here, and a slip must not go unseen.
    # The checksum comes first, so that its place among equal texts is known; it is taken with zeros in that place.
    content = json.dumps({CHECKSUM: _BLANK, **asdict(manifest)}, indent=1, allow_nan=False).encode()
    files.place(run / files.MANIFEST, content.replace(_BLANK.encode(), checksum(content).encode(), 1))
