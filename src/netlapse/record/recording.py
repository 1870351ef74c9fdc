"""A recording in progress: it decides what is kept; the adapters only tell it what happens."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
import warnings
import weakref
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RunError
from ..store import Exist, Frame, Manifest, Run, Writer, is_run
from .schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

    from numpy.typing import NDArray

    from ..store import Layer, Parameter, Status
    from .probe import Probe

    Weights = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Description:
    """What an adapter knows of the network and its training.

    `model` maps a kind of description to a file name, `model_files` the file names to their contents.
    """

    framework: str
    backend: str
    versions: dict[str, str]
    hyperparameters: dict[str, Any]
    layers: tuple[Layer, ...]
    parameters: tuple[Parameter, ...]
    model: dict[str, str]
    model_files: dict[str, bytes]


class Recording:
    """Frames of one training on their way to a run.

    An adapter calls `begin` when training starts, `frame` when a moment is due, `end` when training ends; several
    trainings in a row make one run whose clock continues. A disk that fails stops the recording, never the
    training: one warning says what is safe.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        probe: Probe,
        validation: Probe | None = None,
        every: str = "epoch",
        exist: Exist = "error",
        class_names: Sequence[str] | None = None,
    ) -> None:
        if exist not in ("error", "replace", "resume"):
            raise ValueError(f'exist={exist!r}: pass "error", "replace" or "resume"')
        self.path = Path(path)
        if exist == "error":
            Writer.refuse_existing(self.path)
        self.schedule = Schedule.parse(every)
        self.step, self.epoch = 0, 0.0
        self._probe, self._validation = probe, validation
        self._class_names = list(class_names) if class_names is not None else None
        self._exist: Exist = exist
        self._writer: Writer | None = None
        self._pending: Frame | None = None
        self._recorded_step = -1
        self._failed = False
        self._guard: _InterruptGuard | None = None
        self._clock = time.monotonic
        self._began = self._clock()

    @property
    def durable_frames(self) -> int:
        """Frames of the run that no crash can take any more."""
        return self._writer.durable if self._writer else 0

    def begin(self, description: Callable[[], Description]) -> None:
        """Start recording, or go on after an earlier training. Raises RunError if the run cannot be written."""
        if self._failed:
            return
        try:
            if self._writer is None and self._exist == "resume" and is_run(self.path):
                self._take_up(Writer.resume(self.path), description())
            elif self._writer is None:
                self._take_up(self._create(description()))
            elif self._writer.closed:
                self._take_up(Writer.resume(self.path))
        except OSError as error:
            raise RunError(
                f"cannot record to {self.path}: {error}; choose a path on a disk that can be written"
            ) from error
        self._guard = _InterruptGuard(self)
        self._guard.set()

    def _create(self, description: Description) -> Writer:
        arrays = {
            "train/inputs": self._probe.inputs,
            "train/targets": self._probe.targets,
            "train/index": self._probe.index,
        }
        entry: dict[str, Any] = {"examples": len(self._probe.index), "drawn_from": self._probe.total}
        if self._validation is not None:
            arrays |= {
                "validation/inputs": self._validation.inputs,
                "validation/targets": self._validation.targets,
                "validation/index": self._validation.index,
            }
            entry |= {
                "validation_examples": len(self._validation.index),
                "validation_drawn_from": self._validation.total,
            }
        if self._class_names is not None:
            entry["class_names"] = self._class_names
        manifest = Manifest(
            id=uuid.uuid4().hex,
            name=self.path.resolve().name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            status="recording",
            netlapse=version("netlapse"),
            framework=description.framework,
            backend=description.backend,
            versions=description.versions,
            hyperparameters=description.hyperparameters,
            layers=description.layers,
            parameters=description.parameters,
            model=description.model,
            probe=entry,
            schedule=str(self.schedule),
        )
        return Writer.create(
            self.path,
            manifest,
            probe=arrays,
            model=description.model_files,
            replace_existing=self._exist == "replace",
        )

    def _take_up(self, writer: Writer, description: Description | None = None) -> None:
        if description is not None:
            found, wanted = description.parameters, writer.manifest.parameters
            if [(p.name, p.shape) for p in found] != [(p.name, p.shape) for p in wanted]:
                writer.close("interrupted")
                raise RunError(
                    f"{self.path} holds a run of another network (its parameters are"
                    f" {', '.join(f'{p.name} {p.shape}' for p in wanted)}); choose another path to record this one"
                )
            run = Run(self.path)
            if len(run):
                self.step, self.epoch = int(run.steps[-1]), float(run.epochs[-1])
                self._recorded_step = self.step
                self._began = self._clock() - float(run.times[-1])
        self._writer = writer
        # When the process or the recorder goes without a word, what waits is still written and the run says so.
        weakref.finalize(self, _close_abandoned, writer, os.getpid())

    def frame(self, step: int, epoch: float, weights: Callable[[], Weights], scalars: Mapping[str, float]) -> None:
        """Record the state after `step` steps and `epoch` epochs. `weights` is called only if it is kept.

        A second call for the same step adds what was logged since, such as an epoch's validation loss.
        """
        self.step, self.epoch = step, epoch
        if self._writer is None or self._failed:
            return
        if self._writer.closed:  # interrupted, and yet the training goes on
            self._take_up(Writer.resume(self.path))
        if self._pending is not None and self._pending.step == step:
            self._pending = Frame(
                step, epoch, self._pending.time, self._pending.weights, {**self._pending.scalars, **scalars}
            )
            return
        if step == self._recorded_step:
            return
        frame = Frame(step, epoch, self._clock() - self._began, weights(), dict(scalars))
        if self.schedule.by_step:
            # Held back until the next: the end of the epoch may still have something to add to it.
            self._append(self._pending)
            self._pending = frame
        else:
            self._append(frame)
        self._recorded_step = step

    def _append(self, frame: Frame | None) -> None:
        if frame is None or self._writer is None:
            return
        try:
            self._writer.append(frame)
        except OSError as error:
            self._fail(error)

    def pass_by(self, step: int, epoch: float) -> None:
        """Note a moment that is no frame, so that the clock is right if training ends here."""
        self.step, self.epoch = step, epoch

    def end(self, weights: Callable[[], Weights], scalars: Mapping[str, float]) -> None:
        """The training is over: keep its last state, and close the run."""
        self.frame(self.step, self.epoch, weights, scalars)
        self.close("complete")

    def close(self, status: Status) -> None:
        """Write what waits and close the run with this status. Closing twice does nothing."""
        if self._guard is not None:
            self._guard.unset()
        pending, self._pending = self._pending, None
        self._append(pending)
        if self._writer is None or self._failed:
            return
        try:
            self._writer.close(status)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        if self._failed or self._writer is None:
            return
        self._failed = True
        warnings.warn(
            f"recording to {self.path} has stopped: {error}. Training goes on. The first {self._writer.durable} frames"
            ' are safe and can be opened; make room and record to a new path, or continue with exist="resume"',
            stacklevel=2,
        )


def _close_abandoned(writer: Writer, process: int) -> None:
    # A forked child inherits the recorder but not the run.
    if os.getpid() != process or writer.closed:
        return
    try:
        writer.close("interrupted")
    except OSError:
        return  # nobody is left to be told; what is durable stays so


class _InterruptGuard:
    """Marks the run when Ctrl-C stops the training, then lets Ctrl-C do what it would have done.

    Needed where the process lives on, as in a notebook: no framework tells its callbacks of an interrupt.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = weakref.ref(recording)
        self._previous = signal.getsignal(signal.SIGINT)

    def set(self) -> None:
        if callable(self._previous) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self)

    def unset(self) -> None:
        if signal.getsignal(signal.SIGINT) is self:
            signal.signal(signal.SIGINT, self._previous)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.unset()
        recording = self._recording()
        if recording is not None:
            recording.close("interrupted")
        if callable(self._previous):
            self._previous(number, frame)
