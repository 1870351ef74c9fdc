"""A study: many networks over a space of settings and seeds, and what became of each."""

from __future__ import annotations

import json
import os
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from datetime import UTC, datetime
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import StudyError, UnknownName, Unsupported
from ..record import PROBE_SIZE
from ..store import Run
from .builder import Builder, describe, structure
from .findings import findings
from .pieces import divide
from .program import AT_ONCE, Program
from .results import Results
from .rows import rows_of
from .space import plain, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from jaxtyping import Float
    from numpy.typing import NDArray

    from .findings import Finding
    from .pieces import Network, Piece
    from .space import Method, Setting, Space
    from .statistics import Boundaries

Mode = Literal["exact", "fast"]


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
        Networks of each setting: seeds 0, 1, ... fix initial weights, the order of the examples, and dropout.
    epochs, batch_size
        As in `fit`, unless they are in the space.
    mode
        "exact": each network is trained as `fit` trains it, to the bit or within its rounding. "fast": within 1e-5, ten
        times as fast for small networks; 16 neighbouring seeds share the order of their examples.
    paired
        Networks of one seed share the order of their examples, and, where shapes and initialisers allow, their initial
        weights, whatever their setting: so that they differ in the hyper-parameter only.

    Raises StudyError for names that nothing takes or that change nothing, and for a folder of another study.
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
    ) -> None:
        if seeds < 1 or epochs < 1 or batch_size < 1:
            raise StudyError(f"seeds={seeds}, epochs={epochs}, batch_size={batch_size}: each must be 1 or more")
        if mode not in ("exact", "fast"):
            raise StudyError(f'there is no mode {mode!r}; choose "exact" or "fast"')
        self.path, self.mode, self.seeds, self.paired = str(path), mode, seeds, paired
        self._builder = Builder(build, data)
        self._builder.check(space)
        self._usual = {"epochs": epochs, "batch_size": batch_size}
        self.settings: list[Setting] = settings_of(space, samples, method, sampling_seed)
        self.varied = list(space)
        self.results = Results(path)
        self._lock = Lock()
        self._programs: dict[int, Program] = {}
        self._open()

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
        parts = [repr(sorted(self._told.items())), *self._described, *self._digests.values()]
        return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()

    @cached_property
    def _described(self) -> list[str]:
        found = [json.dumps(describe(self._builder.model(setting)), sort_keys=True) for setting in self.settings]
        self._builder.require_effect(self.settings, found)
        return found

    @cached_property
    def _digests(self) -> dict[str, str]:
        """The data of each setting of theirs, in short."""
        found: dict[str, str] = {}
        for setting in self.settings:
            key = repr(self._builder.data_setting(setting))
            if key not in found:
                found[key] = _digest(self._builder.data(setting))
        return found

    def _own(self, setting: Setting, name: str) -> int:
        value = setting.get(name, self._usual[name])
        if not float(value).is_integer() or value < 1:
            raise StudyError(f"{name}={value!r} of the space is no whole number of 1 or more")
        return int(value)

    @cached_property
    def _keys(self) -> list[str]:
        """What of each setting needs a program of its own."""
        return [
            repr(
                (
                    structure(json.loads(written)),
                    self._own(setting, "epochs"),
                    self._own(setting, "batch_size"),
                    self._digests[repr(self._builder.data_setting(setting))],
                )
            )
            for setting, written in zip(self.settings, self._described, strict=True)
        ]

    @cached_property
    def pieces(self) -> list[Piece]:
        """What is trained in one go."""
        numbers = {key: number for number, key in enumerate(dict.fromkeys(self._keys))}
        return divide(
            [numbers[key] for key in self._keys],
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
        """Train what is not trained yet, on so many cores, all by default. Returns itself.

        With `ray` the cores are those of worker processes: True starts Ray on this machine, an address joins a cluster,
        whose machines must reach the study's path. `progress` is called with the networks done and all of them. What is
        stopped, or killed, goes on where it was.
        """
        done = self.results.done
        waiting = [piece for piece in self.pieces if piece.number not in done]
        total = len(self.settings) * self.seeds
        count = total - sum(len(piece.networks) for piece in waiting)
        if progress is not None:
            progress(count, total)
        if ray:
            from .ray import train

            with closing(train(self, waiting, None if ray is True else ray, jobs)) as pieces:
                for piece in pieces:
                    count += len(piece.networks)
                    if progress is not None:
                        progress(count, total)
            self.results.finish(self.table)
            return self
        with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
            running = {pool.submit(self.train, piece): piece for piece in waiting}
            try:
                while running:
                    finished, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        future.result()
                        count += len(running.pop(future).networks)
                        if progress is not None:
                            progress(count, total)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        self.results.finish(self.table)
        return self

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
        return self.results.table()

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

        piece = next(piece for piece in self.pieces if any(each.setting == setting for each in piece.networks))
        table = self.table
        rows = np.flatnonzero(table["setting"].to_numpy() == setting)[:most]
        model = self._builder.model(self.settings[setting])
        names = [f"{kind}/{k}" for kind, variables in _variables(model).items() for k in range(len(variables))]
        arrays = self.results.arrays(*names)
        numbers = table["network"].to_numpy()[rows]
        return boundaries(self._program(piece), {name: arrays[name][rows] for name in names}, numbers, resolution)

    def report(self, path: str | Path, *, title: str | None = None, by: str | None = None) -> Path:
        """Write what the study found as one HTML page, which needs nothing else."""
        from ..report import report  # the page is drawn of studies, and this is its door

        try:
            planes = self.boundaries()
        except Unsupported:
            planes = None
        curves = {name: self.curves(name) for name in ("loss",)}
        return report(
            self.table,
            curves,
            path,
            title=title or f"Study {Path(self.path).name}",
            settings=self.varied,
            by=by,
            boundaries=planes,
            design={"mode": self.mode, "paired": self.paired},
        )

    def network(self, number: int) -> Network:
        """Settings and seeds of a network, by its number in the table. Raises UnknownName for one that is not there."""
        for piece in self.pieces:
            for network in piece.networks:
                if network.number == number:
                    return network
        raise UnknownName(f"there is no network {number}; there are {len(self.settings) * self.seeds}, from 0 on")

    def choose(self, rule: str, most: int = 1) -> list[int]:
        """Numbers of networks to look at, at most so many of each setting: `replay` makes runs of them.

        The `rule` is "best", "worst" or "median" by the final loss, where networks that diverged are the worst;
        "failed" for those that were never right, or diverged; or a pandas query of the table: "first_right > 100".
        """
        table = self.table
        if rule == "failed":
            never = table["first_right"].isna() if "first_right" in table else False
            table = table[(table["status"] == "diverged") | never]
        elif rule not in ("best", "worst", "median"):
            table = table.query(rule)
        found: list[int] = []
        for _, rows in table.groupby("setting"):
            numbers: list[int] = rows["network"].tolist()
            if rule in ("best", "worst", "median"):
                numbers = rows.sort_values("final_loss", na_position="last")["network"].tolist()
            if rule == "worst":
                numbers.reverse()
            first = max(0, (len(numbers) - most) // 2) if rule == "median" else 0
            found += numbers[first : first + most]
        return found

    def replay(self, number: int, path: str | Path | None = None, *, probe_size: int = PROBE_SIZE) -> Run:
        """Train a network of the table again, to the bit, and record it as a run; below the study by default.

        Returns the run, which `netlapse.open` replays. A run that is there already is replaced. More than `probe_size`
        examples are sampled.
        """
        from .again import record

        network = self.network(number)
        piece = next(piece for piece in self.pieces if network in piece.networks)
        where = str(path or f"{self.path}/runs/{number:08d}")
        model = self._builder.model(self.settings[network.setting])
        record(self._program(piece), model, piece.networks, network, self.settings, where, probe_size)
        return Run(where)


def _digest(data: Any) -> str:
    from ..keras.backend import keras

    found = blake2b(digest_size=16)
    for array in keras.tree.flatten(data):
        found.update(f"{array.shape} {array.dtype}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _variables(model: Any) -> dict[str, Any]:
    return {"trainable": model.trainable_variables, "others": model.non_trainable_variables}
