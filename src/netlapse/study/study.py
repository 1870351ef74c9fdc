"""A study: many networks over a space of settings and seeds, and what became of each."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from datetime import UTC, datetime
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import RunError, StudyError, UnknownName, Unsupported
from ..record import PROBE_SIZE
from ..store import Run, folder_of, is_run
from ..store.files import EVERYTHING
from . import choice
from .builder import Builder
from .description import Description, describe
from .findings import findings
from .pieces import divide
from .program import AT_ONCE, Program
from .results import Results
from .rows import require_free, rows_of
from .space import plain, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Iterable, Mapping, Sequence

    import pandas as pd
    from jaxtyping import Float
    from numpy.typing import NDArray

    from .boundaries import Boundaries
    from .findings import Finding
    from .pieces import Network, Piece
    from .space import Method, Setting, Space

Mode = Literal["exact", "fast"]

# What each process has of its own.
_OWN = ("results", "pieces", "_lock", "_programs")
# Boundaries of so many settings are on the report's page.
_PLANES = 4


class Study:
    """Trains a network for each setting of a space and each seed, many at once, and keeps what became of them.

    Parameters
    ----------
    path
        Folder or URL of the study. If it holds this study already, `run` finishes what is missing; another one's is
        refused.
    build
        A function that makes a compiled Keras model of hyper-parameters, which are its parameters.
    data
        Inputs and targets; or a function that makes them of hyper-parameters, such as the noise.
    space
        The values of each hyper-parameter, by name: a list, or a `Range`. Names are the parameters of both functions,
        "epochs" and "batch_size". All combinations are trained, or `samples` of them: evenly spread ("sobol") or
        "random", with `sampling_seed`.
    seeds
        Networks of each setting: seeds 0, 1, ... fix initial weights, the order of the examples, and dropout. They are
        not passed to the functions: all seeds learn the same data.
    epochs, batch_size
        As in `fit`, unless they are in the space.
    mode
        "exact": each network is trained as `fit` trains it, to the bit or within its rounding. "fast": within 1e-5, ten
        times as fast for small networks; 16 neighbouring seeds share the order of their examples.
    paired
        Networks of one seed share the order of their examples, and, where shapes and initialisers allow, their initial
        weights, whatever their setting: so that they differ in the hyper-parameter only.
    record
        Networks that become runs, by the rules of `choose`, and how many of each: {"best": 1, "failed": 3}.

    Raises StudyError for names that nothing takes or that change nothing, and for a folder of another study; BadQuery
    for a rule that makes no sense.
    """

    def __init__(
        self,
        path: str | Path,
        build: Callable[..., Any],
        data: Any,
        space: Space,
        *,
        seeds: int = 100,
        epochs: int = 10,
        batch_size: int = 32,
        samples: int | None = None,
        method: Method = "sobol",
        sampling_seed: int = 0,
        mode: Mode = "exact",
        paired: bool = True,
        record: Mapping[str, int] | None = None,
    ) -> None:
        if seeds < 1 or epochs < 1 or batch_size < 1:
            raise StudyError(f"seeds={seeds}, epochs={epochs}, batch_size={batch_size}: each must be 1 or more")
        if mode not in ("exact", "fast"):
            raise StudyError(f'there is no mode {mode!r}; choose "exact" or "fast"')
        self.path, self.mode, self.seeds, self.paired = str(path), mode, seeds, paired
        self._builder = Builder(build, data)
        self._builder.check(space)
        require_free(space)
        self._usual = {"epochs": epochs, "batch_size": batch_size}
        self.settings: list[Setting] = settings_of(space, samples, method, sampling_seed)
        self.varied, self._sampled = list(space), samples is not None
        self._record = dict(record or {})
        for rule, most in self._record.items():
            if most < 1:
                raise StudyError(f"record={{{rule!r}: {most}}}: record at least one network of a rule")
            choice.check(rule, self.settings)
        self._begin()
        self._open()

    def _begin(self) -> None:
        """What each process has of its own."""
        self.results = Results(self.path)
        self._lock = Lock()
        self._programs: dict[int, Program] = {}

    def __getstate__(self) -> dict[str, Any]:
        """The study as another process trains pieces of it: without what is open, locked or compiled."""
        state = {name: value for name, value in vars(self).items() if name not in _OWN}
        return state if "://" in self.path else {**state, "path": str(Path(self.path).resolve())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin()

    def __repr__(self) -> str:
        return f"<Study {self.path!r}: {len(self.settings)} settings of {self.seeds} seeds, {self.mode}>"

    def _open(self) -> None:
        known = self.results.manifest
        if known is None:
            self.results.create(
                {"created": datetime.now(UTC).isoformat(timespec="seconds"), "id": self._identity, **self._told}
            )
        elif known.get("id") != self._identity:
            differing = [name for name, value in self._told.items() if known.get(name) != value]
            what = ", ".join(differing) or "the models or the data"
            raise StudyError(
                f"{self.path} holds another study, which differs in {what}; choose another folder, or remove it"
            )

    @property
    def _told(self) -> dict[str, Any]:
        """What the manifest says of the study."""
        return {
            "mode": self.mode,
            "seeds": self.seeds,
            "paired": self.paired,
            "varied": self.varied,
            "settings": [{name: plain(value) for name, value in setting.items()} for setting in self.settings],
            **self._usual,
        }

    @cached_property
    def _identity(self) -> str:
        """What tells this study from others: its settings, its models and its data."""
        parts = [
            repr(sorted(self._told.items())),
            *(each.whole for each in self._described),
            *(digest for _, digest in self._data),
        ]
        return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()

    @cached_property
    def _described(self) -> list[Description]:
        found = [describe(self._builder.model(setting)) for setting in self.settings]
        self._builder.require_effect(self.settings, [each.whole for each in found])
        return found

    @cached_property
    def _data(self) -> list[tuple[str, str]]:
        """Of the data of each setting their shapes, which are compiled into a program, and themselves, in short."""
        keys = [self._builder.data_key(setting) for setting in self.settings]
        found: dict[str, tuple[str, str]] = {}
        for key, setting in zip(keys, self.settings, strict=True):
            if key not in found:
                found[key] = _digests(self._builder.data(setting))
        return [found[key] for key in keys]

    def _own(self, setting: Setting, name: str) -> int:
        value = setting.get(name, self._usual[name])
        if not float(value).is_integer() or value < 1:
            raise StudyError(f"{name}={value!r} of the space is no whole number of 1 or more")
        return int(value)

    @cached_property
    def _keys(self) -> list[tuple[str, int, int, str]]:
        """What of each setting needs a program of its own."""
        return [
            (description.structure, self._own(setting, "epochs"), self._own(setting, "batch_size"), shapes)
            for setting, description, (shapes, _) in zip(self.settings, self._described, self._data, strict=True)
        ]

    def is_same_here(self, number: int) -> bool:
        """Whether this process makes the model and the data of a setting that the study was begun with."""
        setting = self.settings[number]
        described = describe(self._builder.model(setting)).structure, _digests(self._builder.data(setting))
        return described == (self._described[number].structure, self._data[number])

    @cached_property
    def pieces(self) -> list[Piece]:
        """What is trained in one go."""
        return divide(
            _numbered(self._keys),
            _numbered(digest for _, digest in self._data),
            range(self.seeds),
            size=AT_ONCE[self.mode],
            paired=self.paired,
            shared_orders=self.mode == "fast",
        )

    # Training

    def run(
        self,
        *,
        jobs: int | None = None,
        ray: str | bool | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Study:
        """Train what is not trained yet, on so many cores, all by default, and record what is to be. Returns itself.

        With `ray` the cores are those of worker processes: True starts Ray on this machine, an address joins a cluster,
        whose machines must reach the study's path. `progress` is called with the networks done and all of them; those
        that are recorded are trained once more, and count once more. What is stopped, or killed, goes on where it was.
        """
        tell = progress or _say_nothing
        done = self.results.done
        waiting = [piece for piece in self.pieces if piece.number not in done]
        total = len(self.settings) * self.seeds
        count = total - sum(len(piece.networks) for piece in waiting)
        tell(count, total)
        if ray:
            from .ray import train

            trained = train(self, waiting, None if ray is True else ray, jobs)
        else:
            trained = self._train_in_threads(waiting, jobs)
        with closing(trained) as pieces:
            for piece in pieces:
                count += len(piece.networks)
                tell(count, total)
        self.results.finish()
        missing = {number: path for number, path in self.recorded.items() if not _is_complete(path)}
        for path in missing.values():
            _clear(path)
        for again, _ in enumerate(self._record_anew(missing, PROBE_SIZE), 1):
            tell(count + again, total + len(missing))
        return self

    def _train_in_threads(self, pieces: Sequence[Piece], jobs: int | None) -> Generator[Piece]:
        """Train pieces, and give each when it is kept."""
        with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
            try:
                running = {pool.submit(self.train, piece): piece for piece in pieces}
                for finished in as_completed(running):
                    finished.result()
                    yield running[finished]
            finally:
                pool.shutdown(cancel_futures=True)

    def train(self, piece: Piece) -> None:
        """Train a piece and keep it."""
        program = self._program(piece)
        rows, arrays = rows_of(
            piece.networks, self.settings, program.train(piece.networks), program.classes, program.mode
        )
        self.results.write(piece.number, rows, arrays)

    def _program(self, piece: Piece) -> Program:
        # Keras builds and traces models with global state: one at a time.
        with self._lock:
            if piece.program not in self._programs:
                first = next(each for each in self.pieces if each.program == piece.program)
                setting = self.settings[first.networks[0].setting]
                self._programs[piece.program] = Program(
                    self._builder,
                    self.settings,
                    self._described,
                    first.networks,
                    epochs=self._own(setting, "epochs"),
                    batch_size=self._own(setting, "batch_size"),
                    mode=self.mode,
                )
            program = self._programs[piece.program]
            for setting in dict.fromkeys(network.setting for network in piece.networks):
                program.start(setting)
            return program

    # What became of the networks

    @property
    def table(self) -> pd.DataFrame:
        """One row for each network that is trained: its settings, seed, and what became of it."""
        return self.results.table(len(self.pieces))

    def curves(self, name: str = "loss") -> Float[np.ndarray, "network epoch"]:
        """A curve of every network that is trained, in the order of the table, from epoch 0 on, NaN where it has ended.

        The loss or a metric over all examples, before training and after each epoch; with "logged/loss" the mean over
        the batches of each epoch, as `fit` reports it, from epoch 1 on.
        """
        key = name if "/" in name else f"measured/{name}"
        return self.results.arrays(key)[key]

    def weights(self, place: int = 0) -> NDArray[Any]:
        """The trainable variable at this place of every network, in the end: (network, ...)."""
        key = f"trainable/{place}"
        return self.results.arrays(key)[key]

    def findings(self, by: str) -> tuple[Finding, ...]:
        """What the study says of one hyper-parameter, in sentences with their numbers, intervals and how many."""
        return findings(self.table, by)

    def boundaries(self, setting: int = 0, most: int = 100, resolution: int = 61) -> Boundaries:
        """What networks of one setting make of the plane of their inputs in the end, at most so many of them.

        Raises Unsupported for networks that have other than two inputs, or other than two classes.
        """
        from .planes import boundaries

        done = self.results.done
        pieces = [piece for piece in self.pieces if any(each.setting == setting for each in piece.networks)]
        there = [each for piece in pieces if piece.number in done for each in piece.networks]
        numbers = sorted(each.number for each in there if each.setting == setting)[:most]
        if not numbers:
            raise StudyError(f"no network of setting {setting} of {self.path} is trained; call run() first")
        holding = [piece.number for piece in pieces if any(each.number in numbers for each in piece.networks)]
        model = self._builder.model(self.settings[setting])
        names = [f"{kind}/{k}" for kind, variables in _variables(model).items() for k in range(len(variables))]
        arrays = self.results.arrays("network", *names, pieces=holding)
        rows = np.searchsorted(arrays["network"], numbers)
        weights = {name: arrays[name][rows] for name in names}
        program = self._program(pieces[0])
        return boundaries(program, program.data(setting), weights, np.array(numbers), resolution)

    def report(self, path: str | Path, *, title: str | None = None, by: str | None = None) -> Path:
        """Write what the study found as one HTML page, which needs nothing else."""
        from ..report import report  # the page is drawn of studies, and this is its door

        table = self.table
        measured = [name.removeprefix("final_") for name in map(str, table) if name.startswith("final_")]
        # One setting of each value of what is compared.
        compared = [by] if by else self.varied[:1]
        chosen = table.drop_duplicates(compared)["setting"][:_PLANES] if compared else table["setting"][:1]
        most = 100 if len(chosen) == 1 else 36
        try:
            planes = [self.boundaries(int(setting), most) for setting in chosen]
        except Unsupported:
            planes = []
        return report(
            table,
            {name: self.curves(name) for name in measured},
            path,
            title=title or f"Study {Path(self.path).name}",
            settings=self.varied,
            by=by,
            boundaries=planes,
            design={"mode": self.mode},
        )

    def network(self, number: int) -> Network:
        """Settings and seeds of a network, by its number in the table. Raises UnknownName for one that is not there."""
        return self._find(number)[1]

    def _find(self, number: int) -> tuple[Piece, Network]:
        for piece in self.pieces:
            for network in piece.networks:
                if network.number == number:
                    return piece, network
        raise UnknownName(f"there is no network {number}; there are {len(self.settings) * self.seeds}, from 0 on")

    def choose(self, rule: str, most: int = 1) -> list[int]:
        """Numbers of networks to look at, at most so many of each setting: `replay` makes runs of them.

        The `rule` is "best", "worst" or "median" by the final loss, where networks that diverged are the worst;
        "failed" for those that were never right, or diverged; or a pandas query of the table: "first_right > 100".
        Where settings are samples, there are at most so many of all of them.

        Raises BadQuery for another rule, and StudyError where nothing is trained.
        """
        table = self.table
        if table.empty:
            raise StudyError(f"no network of {self.path} is trained; call run() first")
        return choice.choose(table, rule, most, by_setting=not self._sampled)

    @property
    def recorded(self) -> dict[int, str]:
        """The networks that `record` chooses, by number, and where `run` makes runs of them."""
        chosen = [number for rule, most in self._record.items() for number in self.choose(rule, most)]
        return {number: self._run_path(number) for number in chosen}

    def _run_path(self, number: int) -> str:
        return f"{self.path}/runs/{number:08d}"

    def replay(self, number: int, path: str | Path | None = None, *, probe_size: int = PROBE_SIZE) -> Run:
        """Train a network of the table again, to the bit, and record it as a run; below the study by default.

        Returns the run, which `netlapse.open` replays. A run that is there already is replaced. More than `probe_size`
        examples are sampled.
        """
        [run] = self._record_anew({number: str(path or self._run_path(number))}, probe_size)
        return run

    def _record_anew(self, paths: Mapping[int, str], probe_size: int) -> Generator[Run]:
        """Train networks again, those of a piece together, and record each under its path."""
        from .again import record

        found = {number: self._find(number) for number in paths}
        for piece in dict.fromkeys(piece for piece, _ in found.values()):
            program = self._program(piece)
            trained = program.train(piece.networks, every_epoch=True)
            for number, (own, network) in found.items():
                if own is piece:
                    one = trained.of(np.array([piece.networks.index(network)]))
                    setting = self.settings[network.setting]
                    hyperparameters = {**setting, "seed": network.seed}
                    model, data = self._builder.model(setting), program.data(network.setting)
                    record(program, data, model, one, hyperparameters, paths[number], probe_size)
                    yield Run(paths[number])


def _is_complete(path: str) -> bool:
    try:
        return Run(path).status == "complete"
    except RunError:
        return False


def _clear(path: str) -> None:
    """Remove what is left of a run that was killed before it was one: the folder is the study's own."""
    folder = folder_of(path)
    if not is_run(folder):
        folder.clear(*EVERYTHING)


def _say_nothing(done: int, total: int) -> None:
    """Nobody wants to know."""


def _digests(data: tuple[Any, Any]) -> tuple[str, str]:
    """The shapes of data, in short, and the data themselves."""
    from ..keras.backend import keras

    shapes, whole = blake2b(digest_size=16), blake2b(digest_size=16)
    for array in keras.tree.flatten(data):
        shape = f"{array.shape} {array.dtype}".encode()
        shapes.update(shape)
        whole.update(shape)
        whole.update(np.ascontiguousarray(array).tobytes())
    return shapes.hexdigest(), whole.hexdigest()


def _numbered(keys: Iterable[Hashable]) -> list[int]:
    """Each key's number, in the order in which they first come."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _variables(model: Any) -> dict[str, Any]:
    return {"trainable": model.trainable_variables, "others": model.non_trainable_variables}
