"""A recording in progress: it decides what is kept; the adapters only tell it what happens."""

from __future__ import annotations

import time
import uuid
import warnings
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import RunError
from ..store import Exist, Frame, Manifest, Run, Writer, folder_of, is_run, parse_size
from .interrupt import InterruptGuard
from .schedule import Every, Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ..store import Layer, Parameter, Status
    from .probe import Probe

    Weights = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Description:
    """What an adapter knows of the network and its training.

    `model` maps a kind of description to a file name, `model_files` the file names to their contents. `storage` has
    entries of the manifest beside those that say how weights are stored.
    """

    framework: str
    backend: str
    versions: dict[str, str]
    hyperparameters: dict[str, Any]
    layers: tuple[Layer, ...]
    parameters: tuple[Parameter, ...]
    model: dict[str, str]
    model_files: dict[str, bytes]
    storage: dict[str, Any] = field(default_factory=dict[str, Any])

    def manifest(
        self,
        name: str,
        created: datetime,
        probe: dict[str, Any],
        *,
        schedule: str = "epoch",
        storage: dict[str, Any] | None = None,
    ) -> Manifest:
        """The manifest of a new run of this network, with an id of its own."""
        return Manifest(
            id=uuid.uuid4().hex,
            name=name,
            created=created.isoformat(timespec="seconds"),
            status="recording",
            netlapse=version("netlapse"),
            framework=self.framework,
            backend=self.backend,
            versions=self.versions,
            hyperparameters=self.hyperparameters,
            layers=self.layers,
            parameters=self.parameters,
            model=self.model,
            probe=probe,
            schedule=schedule,
            storage={**(storage or {}), **self.storage},
        )


@dataclass(frozen=True)
class Keep:
    """What is kept of each moment, and how.

    `scalars` are logged at each "frame" or at each "step". `budget` is the most bytes that the run may have. `dtype`
    ("float16", "bfloat16") stores weights in fewer bits, `compressed` all arrays without loss. `state` adds what
    training needs to go on from any frame.
    """

    scalars: Literal["frame", "step"] = "frame"
    budget: int | str | None = None
    dtype: str | None = None
    compressed: bool = False
    state: bool = False

    def __post_init__(self) -> None:
        if self.scalars not in ("frame", "step"):
            raise ValueError(f'scalars={self.scalars!r}: pass "frame" or "step"')
        if self.dtype not in (None, "float16", "bfloat16"):
            raise ValueError(
                f'dtype={self.dtype!r}: pass "float16" or "bfloat16", or nothing to store weights as they are'
            )
        if self.dtype and self.state:
            raise ValueError("state=True keeps weights as they are, so that training can go on: leave dtype out")
        if self.budget is not None:
            parse_size(self.budget)

    @property
    def storage(self) -> dict[str, Any]:
        """The entries of the manifest."""
        return {"dtype": self.dtype, "compressed": self.compressed}


class Recording:
    """Frames of one training on their way to a run.

    An adapter calls `begin` when training starts, `frame` when a moment is due, `pass_by` when one is not, and `end`
    when training ends, all from one thread; several trainings in a row make one run whose clock continues. A disk that
    fails stops the recording, never the training: one warning says what is safe. A disk that is too slow makes the
    training wait, and a warning says for how long.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        probe: Probe,
        validation: Probe | None = None,
        every: Every = "epoch",
        exist: Exist = "error",
        class_names: Sequence[str] | None = None,
        keep: Keep | None = None,
    ) -> None:
        if exist not in ("error", "replace", "resume"):
            raise ValueError(f'exist={exist!r}: pass "error", "replace" or "resume"')
        self.folder = folder_of(path)
        self.schedule = Schedule.parse(every)
        self.keep = keep or Keep()
        if exist == "error":
            Writer.refuse_existing(self.folder)
        self.step, self.epoch = 0, 0.0
        self._probe, self._validation = probe, validation
        self._class_names = list(class_names) if class_names is not None else None
        self._exist: Exist = exist
        self._writer: Writer | None = None
        self._recorded_step = -1
        self._open_frame = False
        self._past: Run | None = None
        # What is known of the moment from which a run that was rewound goes on.
        self._logged: dict[str, float] = {}
        self._failed = False
        self._guard = InterruptGuard(self)
        self._abandoned: weakref.finalize[..., Recording] | None = None
        self._clock = time.monotonic
        self._began = self._clock()

    @property
    def durable_frames(self) -> int:
        """Frames of the run that no crash can take any more."""
        return self._writer.durable if self._writer else 0

    @property
    def waited(self) -> float:
        """Seconds for which the training has waited for the disk."""
        return self._writer.waited if self._writer else 0.0

    def begin(self, description: Callable[[], Description]) -> None:
        """Start recording, or go on after an earlier training. Raises RunError if the run cannot be written."""
        if self._failed:
            return
        try:
            if self._writer is None:
                self._open(description())
            elif self._writer.closed:
                self._resume()
        except OSError as error:
            if self._writer is None:
                raise RunError(
                    f"cannot record to {self.folder}: {error}; choose a path that can be written, or make room"
                ) from error
            self._fail(error)
        else:
            self._guard.set()

    def _open(self, description: Description) -> None:
        if self._exist != "resume" or not is_run(self.folder):
            self._take_up(self._create(description))
            return
        run = Run(self.folder)
        _refuse_other_network(run.manifest, description)
        self._resume()
        run.refresh()
        if len(run):
            self._past = run
            self.step, self.epoch = int(run.steps[-1]), float(run.epochs[-1])
            self._recorded_step = self.step
            self._began = self._clock() - float(np.nan_to_num(run.times[-1]))

    def rewind(self, epoch: float) -> None:
        """The training goes on from this epoch, as after it was restored from a checkpoint.

        Where that is before the last frame of the run that is resumed, what follows is recorded again, and the frames
        of these steps do not count any more. Only before the first frame of a training.
        """
        if self._past is not None and epoch < self.epoch:
            # Between frames, steps go with epochs.
            self.step = round(float(np.interp(epoch, self._past.epochs, self._past.steps)))
            self.epoch = epoch
            self._recorded_step = -1
            at = np.flatnonzero(self._past.steps == self.step)
            logged = {name: self._past.scalar(name)[at] for name in self._past.scalars}
            self._logged = {name: float(values[0]) for name, values in logged.items() if np.isfinite(values).any()}

    def _budget(self) -> int | None:
        return None if self.keep.budget is None else parse_size(self.keep.budget)

    def _resume(self) -> None:
        self._take_up(Writer.resume(self.folder, budget=self._budget()))

    def _create(self, description: Description) -> Writer:
        arrays = self._probe.arrays("train")
        entry: dict[str, Any] = {"examples": len(self._probe.index), "drawn_from": self._probe.total}
        if self._validation is not None:
            arrays |= self._validation.arrays("validation")
            entry |= {
                "validation_examples": len(self._validation.index),
                "validation_drawn_from": self._validation.total,
            }
        if self._class_names is not None:
            entry["class_names"] = self._class_names
        manifest = description.manifest(
            self.folder.name, datetime.now(UTC), entry, schedule=str(self.schedule), storage=self.keep.storage
        )
        return Writer.create(
            self.folder,
            manifest,
            probe=arrays,
            model=description.model_files,
            replace_existing=self._exist == "replace",
            budget=self._budget(),
        )

    def _take_up(self, writer: Writer) -> None:
        self._writer = writer
        self._open_frame = False
        if self._abandoned is not None:
            self._abandoned.detach()
        # When the process or the recorder goes without a word, what waits is still written and the run says so.
        self._abandoned = weakref.finalize(self, _close_abandoned, writer, self._guard)

    def frame(
        self,
        step: int,
        epoch: float,
        weights: Callable[[], Weights],
        scalars: Mapping[str, float],
        state: Callable[[], Weights] | None = None,
        *,
        amendable: bool | None = None,
    ) -> None:
        """Record the state after `step` steps and `epoch` epochs. `weights` and `state` are called only if it is kept.

        Their arrays are copied before this returns. A step is kept once. To an `amendable` frame, by default one of a
        schedule in steps, a second call for the latest step adds what was logged since, such as an epoch's validation
        loss.
        """
        self.step, self.epoch = step, epoch
        if step == self._recorded_step:
            self.amend(lambda: scalars)
            return
        amendable = self.schedule.by_step if amendable is None else amendable
        scalars, self._logged = {**self._logged, **scalars}, {}
        if self._write(
            lambda writer: writer.append(
                Frame(step, epoch, self._now, weights(), _plain(scalars), state() if state and self.keep.state else {}),
                # The end of the epoch may have something to add.
                amendable=amendable,
            )
        ):
            self._recorded_step = step
            self._open_frame = amendable

    def amend(self, scalars: Callable[[], Mapping[str, float]]) -> None:
        """Log what is known of the latest moment only now, if it is a frame."""
        if self._open_frame and self.step == self._recorded_step:
            self._write(lambda writer: writer.amend(self.epoch, _plain(scalars())))

    def pass_by(self, step: int, epoch: float, scalars: Mapping[str, float] | None = None) -> None:
        """Note a moment that is no frame: the clock is right if training ends here. Logs its scalars if asked to."""
        self.step, self.epoch = step, epoch
        # Called after each step of a training: no more is done than is needed.
        is_final = self._open_frame and step != self._recorded_step
        if is_final or (self._writer is not None and self._writer.failed):
            self._open_frame = False
            self._write(Writer.settle)
        if scalars and self.keep.scalars == "step":
            self._write(lambda writer: writer.log(step, epoch, self._now, _plain(scalars)))

    @property
    def _now(self) -> float:
        return self._clock() - self._began

    def _write(self, act: Callable[[Writer], None]) -> bool:
        """Do this to the writer, if the recording has not stopped. Returns whether it was done."""
        if self._writer is None or self._failed:
            return False
        with self._guard:
            try:
                if self._writer.closed:  # interrupted, and yet the training goes on
                    self._resume()
                    self._guard.set()
                act(self._writer)
            except (OSError, RunError, MemoryError) as error:
                self._fail(error)
                return False
        return True

    def end(
        self,
        weights: Callable[[], Weights],
        scalars: Mapping[str, float],
        state: Callable[[], Weights] | None = None,
    ) -> None:
        """The training is over: keep its last state, and close the run."""
        self.frame(self.step, self.epoch, weights, scalars, state)
        self.close("complete")

    def close(self, status: Status) -> None:
        """Write what waits and close the run with this status. Closing twice does nothing."""
        with self._guard:
            self._open_frame = False
            if self._writer is not None and not self._failed and not self._writer.closed:
                try:
                    self._writer.close(status)
                except OSError as error:
                    self._fail(error)
                else:
                    self._say_how_long_it_took(self._writer)
        self._guard.unset()

    def _say_how_long_it_took(self, writer: Writer) -> None:
        if writer.waited >= _LONG_WAIT:
            warnings.warn(
                f"recording to {self.folder} could not keep up: the training waited {writer.waited:.1f} s for it. Every"
                " frame is kept. Record to a faster disk, or less (every=, dtype=, compressed=True)",
                stacklevel=2,
            )

    def _fail(self, error: Exception) -> None:
        assert self._writer is not None
        self._failed = True
        with suppress(OSError, RunError, MemoryError):
            self._writer.close("interrupted")
        warnings.warn(
            f"recording to {self.folder} has stopped: {error}. Training goes on. The first {self._writer.durable}"
            ' frames are safe and can be opened; make room and record to a new path, or continue with exist="resume"',
            stacklevel=2,
        )


# Seconds of waiting for the disk that a user should hear of.
_LONG_WAIT = 1.0


def _plain(scalars: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in scalars.items()}


def _refuse_other_network(recorded: Manifest, description: Description) -> None:
    found, wanted = (
        ", ".join(f"{p.name} {p.dtype} {p.shape}" for p in each.parameters) for each in (description, recorded)
    )
    if found != wanted:
        raise RunError(
            f"run {recorded.name!r} is of another network: its parameters are {wanted}, not {found}; choose another"
            " path to record this one"
        )


def _close_abandoned(writer: Writer, guard: InterruptGuard) -> None:
    guard.unset()
    # Nobody is left to be told of an error; what is durable stays so. A forked child inherits the recorder, but its
    # writer is closed there.
    with suppress(OSError, RunError):
        writer.close("interrupted")
