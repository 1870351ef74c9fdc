"""`run.json`: what a run is, apart from its frames."""

from __future__ import annotations

import json
import math
import re
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import cache
from itertools import chain
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import xxhash

from ..errors import DamagedRun, RunError
from . import files, tensors
from .folder import read as read_file

if TYPE_CHECKING:
    from .folder import Buffer, Folder

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
class Thinned:
    """What was left out of a run to keep to a byte budget, or by hand.

    Of the frames whose number is less than `below`, those are kept whose number is a multiple of `every`, the first and
    the last. `dropped` counts the others.
    """

    every: int
    below: int
    dropped: int

    def next_kept(self, number: int) -> int:
        """The first number from this one on of a frame that was not left out."""
        return min(-(-number // self.every) * self.every, max(number, self.below))


@dataclass(frozen=True)
class Manifest:
    """Everything about a run that is not a frame.

    `model` says how the network is rebuilt without the user's code: names of files under `model/` by their role.
    `probe` describes the examples in `probe.safetensors`; `schedule` says which frames were asked for. `checksums` are
    those of the whole files of the probe and the model, by path within the run. `storage` says how
    weights are stored where it is not as they are, `thinned` which frames were left out since.
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
    storage: dict[str, Any] = field(default_factory=dict[str, Any])
    thinned: Thinned | None = None
    checksums: dict[str, str] = field(default_factory=dict[str, str])
    format: int = FORMAT

    @property
    def parameter_count(self) -> int:
        """How many numbers all parameters hold together."""
        return sum(math.prod(parameter.shape) for parameter in self.parameters)


def checksum(*parts: Buffer) -> str:
    """XXH3 (64 bits, hex) of a whole file."""
    digest = xxhash.xxh3_64()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def read(folder: Folder) -> Manifest:
    """The manifest of the run in this folder. Entries that this version does not know are passed over.

    Raises RunError for a folder that is no run or was written by a newer netlapse, DamagedRun for one that
    was altered.
    """
    path = f"{folder}/{files.MANIFEST}"
    try:
        raw = content_of(folder)
        content = json.loads(raw)
        _require_plain(content)
        version = int(content["format"])
    except (FileNotFoundError, NotADirectoryError) as error:
        if not folder.exists():
            raise RunError(
                f"{folder} does not exist; record a run there first, or list the runs of a folder with `netlapse ls`"
            ) from error
        raise RunError(
            f"{folder} is not a run: it has no {files.MANIFEST}; `netlapse ls {folder}` lists the runs below it"
        ) from error
    except (ConnectionError, PermissionError) as error:
        raise RunError(f"{folder} cannot be read: {error}") from error
    except (OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError, RecursionError) as error:
        raise DamagedRun(f"{path} cannot be read as a run's manifest ({error}); restore it from a copy") from error
    stated = content.get(CHECKSUM, "")
    if stated and (
        not isinstance(stated, str)
        or checksum(raw.replace(stated.encode(errors="replace"), _BLANK.encode(), 1)) != stated
    ):
        raise DamagedRun(
            f"{path} is altered: its checksum does not match; restore it from a copy, or, if you meant to edit it,"
            f' remove its "{CHECKSUM}" entry'
        )
    if version > FORMAT:
        raise RunError(
            f"{folder} is written in run format {version} by netlapse {content.get('netlapse', '?')}; this netlapse"
            f" reads formats up to {FORMAT}: upgrade it with `pip install --upgrade netlapse`"
        )
    try:
        return _manifest(content)
    except (KeyError, TypeError, ValueError, AttributeError, MemoryError, RecursionError) as error:
        raise DamagedRun(f"{path} lacks or misstates an entry ({error}); restore it from a copy") from error


def content_of(folder: Folder) -> bytes:
    """The bytes of `run.json`."""
    return read_file(folder, files.MANIFEST, _LARGEST)


def has_checksum(folder: Folder) -> bool:
    """Whether the manifest can be checked; it cannot after its checksum was removed for an edit."""
    return CHECKSUM in json.loads(content_of(folder))


def _manifest(content: dict[str, Any]) -> Manifest:
    if max(len(content["layers"]), len(content["parameters"])) > _MOST_ENTRIES:
        raise ValueError(f"more than {_MOST_ENTRIES:,} layers or parameters")
    found = Manifest(
        **_known(
            Manifest,
            {
                **content,
                "layers": tuple(Layer(**_known(Layer, layer)) for layer in content["layers"]),
                "parameters": tuple(Parameter(**_known(Parameter, entry)) for entry in content["parameters"]),
                "thinned": content.get("thinned") and Thinned(**_known(Thinned, content["thinned"])),
            },
        )
    )
    if found.status not in get_args(Status):
        raise ValueError(f"its status is {found.status!r}")
    if len({parameter.name for parameter in found.parameters}) != len(found.parameters):
        raise ValueError("two parameters have the same name")
    if found.thinned and not (0 < found.thinned.every < 2**53 and 0 <= found.thinned.below < 2**53):
        raise ValueError("nobody thins so")
    if found.storage.get("dtype") not in (None, *tensors.NAMES):
        raise ValueError("its weights are stored in no dtype")
    texts: list[Any] = [*found.versions.values(), *found.model.values(), *found.checksums.values()]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a version, a file or a checksum is no text")
    _check_probe(found.probe)
    # Whoever wrote the run wrote these names: they must not lead out of it.
    for name in (*found.model.values(), *(path.removeprefix(f"{files.MODEL}/") for path in found.checksums)):
        if not _PLAIN_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a file of a run")
    return found


# No more is believed to be a manifest; those of thousands of layers have a few MB.
_LARGEST = 64 * 2**20
_MOST_ENTRIES = 100_000
_DEEPEST = 50


def _require_plain(content: Any) -> None:
    """Raise ValueError for what could be read but not be handled or written again: deep nesting, infinity and NaN."""
    level: list[Any] = [content]
    for _ in range(_DEEPEST):
        nested = [entry for entry in level if type(entry) in (dict, list)]
        if not all(map(math.isfinite, (entry for entry in level if type(entry) is float))):
            raise ValueError("a number is not finite")
        level = list(chain.from_iterable(map(_entries, nested)))
    if level:
        raise ValueError("it is nested too deeply")


def _entries(entry: Any) -> Any:
    return cast("dict[str, Any]", entry).values() if isinstance(entry, dict) else cast("list[Any]", entry)


def _check_probe(probe: dict[str, Any]) -> None:
    for kind in ("", "validation_"):
        counts = [probe.get(f"{kind}{name}") for name in ("examples", "drawn_from")]
        if not all(type(count) is int for count in counts) and (not kind or counts != [None, None]):
            raise ValueError(f"the probe has {counts} examples")
    names: Any = probe.get("class_names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in cast("list[Any]", names)):
        raise ValueError("the names of the classes are no texts")


_PLAIN_NAME = re.compile(r"\w[\w.-]{0,100}", re.ASCII)


def _known(kind: type[Any], content: dict[str, Any]) -> dict[str, Any]:
    """The entries that this version knows, each of the type it is declared with."""
    known: dict[str, Any] = {}
    for name, optional, types, is_count in _declared(kind):
        if optional and name not in content:
            continue
        value = content[name]
        if name == "shape":
            value = tensors.shape_of(value)
        # For Python, true is an integer.
        if not isinstance(value, types) or (is_count and isinstance(value, bool)):
            raise TypeError(f"{name} is {value!r:.40}")
        known[name] = value
    return known


@cache
def _declared(kind: type[Any]) -> list[tuple[str, bool, Any, bool]]:
    """Name of each entry, whether it may be missing, its types, and whether it is a count."""
    return [
        (
            entry.name,
            entry.default is not MISSING or entry.default_factory is not MISSING,
            _TYPES[entry.type],
            str(entry.type).startswith("int"),
        )
        for entry in fields(kind)
    ]


_TYPES: dict[Any, Any] = {
    "str": str,
    "str | None": (str, NoneType),
    "int": int,
    "int | None": (int, NoneType),
    "bool": bool,
    "Status": str,
    "dict[str, str]": dict,
    "dict[str, Any]": dict,
    "tuple[int, ...]": tuple,
    "tuple[Layer, ...]": tuple,
    "tuple[Parameter, ...]": tuple,
    "Thinned | None": (Thinned, NoneType),
}


def write(folder: Folder, manifest: Manifest) -> None:
    """Put the manifest in place, whole and durably."""
    # NaN is no JSON: hyper-parameters are made plain before they come here, and a slip must not go unseen.
    # The checksum comes first, so that its place among equal texts is known; it is taken with zeros in that place.
    content = json.dumps({CHECKSUM: _BLANK, **asdict(manifest)}, indent=1, allow_nan=False).encode()
    folder.place(files.MANIFEST, [content.replace(_BLANK.encode(), checksum(content).encode(), 1)])
