"""Studies that are written down outside of Python: in a TOML file, or as the word "article"; and going on with them.

```toml
build = "network.py:build"     # a function of this file, or "package.module:function"
data = "network.py:points"     # likewise, or a data set of netlapse: { name = "parabolas", noise = 0.05 }
seeds = 100
epochs = 50
batch_size = 16
mode = "fast"
paired = true
folder = "rates"               # where it is kept; files and folders are relative to the TOML file

[space]
activation = ["tanh", "relu"]
learning_rate = { low = 1e-3, high = 1.0, log = true }

[samples]                      # without it all combinations are trained, and there can be no ranges
count = 64
method = "sobol"
seed = 0

[record]                       # networks that become runs, by the rules of Study.choose, and how many of each setting
best = 1                       # (of samples: of all)
failed = 3
"first_right > 100" = 1
```
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import tomllib
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .. import datasets
from ..errors import StudyError
from ..store.folder import read
from .article import SEEDS, article
from .results import Results
from .space import Range
from .study import Study

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from types import ModuleType

    from .space import Space
    from .study import Mode

SOURCE = "source.json"
ARTICLE = "article"
DATA_SETS = ("parabolas", "ball", "hypercube", "xor", "spirals", "moons", "circles", "blobs")

_NEEDED = ("build", "data", "space")
_NUMBERS = ("seeds", "epochs", "batch_size")
_OPTIONAL = (*_NUMBERS, "mode", "paired", "folder", "samples", "record")


@dataclass(frozen=True)
class Source:
    """What a study is made of again: the text of a TOML file and where it was, or else the article's experiment.

    `seeds` and `mode` take the place of its own; by the rules in `record` networks are recorded besides its own.
    """

    text: str | None
    file: str | None
    seeds: int | None
    mode: Mode | None
    record: Sequence[str] = ()

    def study(self, out: str | Path | None) -> Study:
        """The study in this folder, by default its own."""
        if self.text is None or self.file is None:
            record = dict.fromkeys(self.record, 1)
            return article(out or f"{ARTICLE}-study", self.seeds or SEEDS, self.mode or "fast", record=record)
        return _Description(self.text, Path(self.file)).study(out, self.seeds, self.mode, self.record)


def study_of(
    file: str | Path, *, out: str | Path | None = None, seeds: int | None = None, mode: Mode | None = None
) -> Study:
    """The study that a TOML file describes. What is given here takes the place of what the file says.

    Raises StudyError that names the file, what it has, and what it could have.
    """
    return _source(file, seeds, mode).study(out)


def start(
    what: str,
    *,
    out: str | Path | None = None,
    seeds: int | None = None,
    mode: Mode | None = None,
    record: Sequence[str] = (),
) -> Study:
    """The study of a TOML file, or of the word "article", which keeps what it was made of for `resume`.

    By each rule in `record` one network of each setting is recorded, besides what the file says.
    """
    source = Source(None, None, seeds, mode) if what == ARTICLE else _source(what, seeds, mode)
    source = replace(source, record=record)
    study = source.study(out)
    kept = replace(source, seeds=study.seeds, mode=study.mode)
    study.results.folder.place(SOURCE, [json.dumps(asdict(kept), indent=1).encode()])
    return study


def resume(folder: str | Path, *, record: Sequence[str] = ()) -> Study:
    """The study in this folder, made again of what it was started with. It runs the files that this names.

    By each rule in `record` one network of each setting is recorded, besides those that were to be.

    Raises StudyError if it was not started with `start`, or if those files have changed.
    """
    results = Results(folder)
    if results.manifest is None:
        raise StudyError(f"there is no study in {folder}; start one: netlapse study FILE.toml --out {folder}")
    try:
        found: Any = json.loads(read(results.folder, SOURCE))
        source = Source(**found)
    except FileNotFoundError:
        raise StudyError(
            f"{folder} holds no {SOURCE}: its study was made in Python, whose functions are not kept; go on with the"
            " same Study(...) and .run() there"
        ) from None
    except (ValueError, TypeError) as error:
        raise StudyError(
            f"{SOURCE} of {folder} cannot be read ({error}); go on with: netlapse study FILE.toml --out {folder}"
        ) from error
    return replace(source, record=[*source.record, *record]).study(folder)


def _source(file: str | Path, seeds: int | None, mode: Mode | None) -> Source:
    path = Path(file).absolute()
    try:
        return Source(path.read_text(encoding="utf-8"), str(path), seeds, mode)
    except FileNotFoundError:
        raise StudyError(
            f'there is no file {file}; name the TOML file of a study, or "{ARTICLE}", which is built in'
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{file} cannot be read as a TOML file: {error}") from error


class _Description:
    """A TOML file that describes a study."""

    def __init__(self, text: str, path: Path) -> None:
        self.path = path
        try:
            self.told: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise StudyError(f"{path} is no TOML: {error}") from error
        self._modules: dict[str, ModuleType] = {}

    def study(self, out: str | Path | None, seeds: int | None, mode: Mode | None, record: Sequence[str] = ()) -> Study:
        """The study; what is given takes the place of what the file says, or, of what to record, comes on top."""
        told = self.told
        self._require(told, (*_NEEDED, *_OPTIONAL), _NEEDED)
        more: dict[str, Any] = {name: self._whole(name, told[name]) for name in _NUMBERS if name in told}
        for name, kind, wanted in (("mode", str, '"exact" or "fast"'), ("paired", bool, "true or false")):
            if name in told:
                more[name] = self._typed(name, told[name], kind, wanted)
        more |= self._samples()
        told_to: dict[str, Any] = self._typed("record", told.get("record", {}), dict, "a table, such as { best = 1 }")
        rules = {rule: self._whole(f"record.{rule}", most) for rule, most in told_to.items()}
        more["record"] = dict.fromkeys(record, 1) | rules
        more |= {name: value for name, value in (("seeds", seeds), ("mode", mode)) if value is not None}
        if out is None:
            folder: str = self._typed("folder", told.get("folder", self.path.stem), str, "a path")
            out = folder if "://" in folder else self.path.parent / folder
        build, data, space = self._function("build", told["build"]), self._data(), self._space()
        try:
            return Study(out, build, data, space, **more)
        except (StudyError, ValueError) as error:
            raise StudyError(f"{self.path}: {error}") from error

    def _samples(self) -> dict[str, Any]:
        if "samples" not in self.told:
            return {}
        given: dict[str, Any] = self._typed("samples", self.told["samples"], dict, "a table")
        self._require(given, ("count", "method", "seed"), ("count",), "samples.")
        found = {"samples": self._whole("samples.count", given["count"])}
        if "seed" in given:
            found["sampling_seed"] = self._whole("samples.seed", given["seed"])
        return found | ({"method": given["method"]} if "method" in given else {})

    def _space(self) -> Space:
        space: dict[str, Any] = self._typed("space", self.told["space"], dict, "a table")
        if not space:
            raise StudyError(f'{self.path}: [space] is empty; vary something, such as activation = ["tanh", "relu"]')
        return {name: self._values(f"space.{name}", values) for name, values in space.items()}

    def _values(self, name: str, values: Any) -> Any:
        if not isinstance(values, dict):
            return self._typed(name, values, list, "a list or a range such as { low = 0.01, high = 1.0, log = true }")
        given = cast("dict[str, Any]", values)
        self._require(given, ("low", "high", "log", "whole"), ("low", "high"), f"{name}.")
        for end in ("low", "high"):
            if isinstance(given[end], bool) or not isinstance(given[end], int | float):
                raise StudyError(f"{self.path}: {name}.{end} = {given[end]!r} is no number; write one")
        for flag in ("log", "whole"):
            self._typed(f"{name}.{flag}", given.get(flag, False), bool, "true or false")
        try:
            return Range(**given)
        except ValueError as error:
            raise StudyError(f"{self.path}: {name}: {error}") from error

    def _data(self) -> Callable[..., Any]:
        """The function that makes the data, whose parameters can be in the space."""
        given: Any = self.told["data"]
        if isinstance(given, str) and ":" in given:
            return self._function("data", given)
        options: dict[str, Any] = {"name": given} if isinstance(given, str) else {}
        if isinstance(given, dict):
            options = {**cast("dict[str, Any]", given)}
        name = options.pop("name", None)
        if name not in DATA_SETS:
            found = f"data = {given!r}" if name is None else f"there is no data set {name!r}"
            raise StudyError(
                f'{self.path}: {found}; write "file.py:function", or the name of a data set, such as'
                f' {{ name = "parabolas", noise = 0.05 }}: {", ".join(DATA_SETS)}'
            )
        function: Callable[..., Any] = getattr(datasets, name)
        self._require(options, inspect.signature(function).parameters, (), "data.")
        return partial(function, **options)

    def _function(self, key: str, given: Any) -> Callable[..., Any]:
        text: str = self._typed(key, given, str, '"file.py:function" or "package.module:function"')
        place, _, name = text.rpartition(":")
        if not place or not name:
            raise StudyError(
                f'{self.path}: {key} = {text!r} names no function; write "file.py:function" or'
                ' "package.module:function"'
            )
        module = self._module(key, place)
        function: Any = getattr(module, name, None)
        if not callable(function):
            there = [
                one
                for one, value in vars(module).items()
                if inspect.isfunction(value) and value.__module__ == module.__name__
            ]
            raise StudyError(
                f"{self.path}: {key} = {text!r}, but {place} has no function {name!r}; it has"
                f" {', '.join(there) or 'none'}"
            )
        return function

    def _module(self, key: str, place: str) -> ModuleType:
        if place in self._modules:
            return self._modules[place]
        file = self.path.parent / place
        is_file = place.endswith(".py")
        if is_file and not file.is_file():
            raise StudyError(
                f"{self.path}: {key} is in {place}, but there is no file {file}; paths are relative to the TOML file"
            )
        try:
            with _beside(self.path.parent):
                found = _run(file) if is_file else importlib.import_module(place)
        # What the user's file raises may be anything.
        except Exception as error:
            raise StudyError(
                f"{self.path}: {key} is in {place}, which cannot be imported ({type(error).__name__}: {error});"
                f" mend it, or name another"
            ) from error
        self._modules[place] = found
        return found

    def _require(self, given: Mapping[str, Any], known: Iterable[str], needed: Iterable[str], within: str = "") -> None:
        unknown = [name for name in given if name not in set(known)]
        if unknown:
            raise StudyError(
                f"{self.path} has {', '.join(within + name for name in unknown)}, which is not known; it may have"
                f" {', '.join(within + name for name in known)}"
            )
        missing = [name for name in needed if name not in given]
        if missing:
            raise StudyError(f"{self.path} lacks {', '.join(within + name for name in missing)}; add it")

    def _typed(self, name: str, value: Any, kind: type, wanted: str) -> Any:
        if not isinstance(value, kind):
            raise StudyError(f"{self.path}: {name} = {value!r}; write {wanted}")
        return value

    def _whole(self, name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise StudyError(f"{self.path}: {name} = {value!r} is no whole number; write one")
        return value


@contextmanager
def _beside(folder: Path) -> Generator[None]:
    """What is in this folder can be imported meanwhile."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _run(file: Path) -> ModuleType:
    # Under its path it takes the name of no module; dataclasses look their module up.
    spec = spec_from_file_location(str(file), file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module
