"""A recording in progress: it decides what is kept; the adapters only tell it what happens."""

from __future__ import annotations

import time
import uuid
import warnings
import weakref
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RunError
from ..store import Exist, Frame, Manifest, Run, Writer, is_run
from .interrupt import InterruptGuard
from .schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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

    An adapter calls `begin` when training starts, `frame` when a moment is due, `pass_by` when one is not, and `end`
    when training ends, all from one thread; several trainings in a row make one run whose clock continues. A disk that
    fails stops the recording, never the training: one warning says what is safe.
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
        self._held: list[Frame] = []
        self._recorded_step = -1
        self._failed = False
        self._guard = InterruptGuard(self)
        self._abandoned: weakref.finalize[..., Recording] | None = None
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
            if self._writer is None:
                self._open(description())
            elif self._writer.closed:
                self._take_up(Writer.resume(self.path))
        except OSError as error:
            if self._writer is None:
                raise RunError(
                    f"cannot record to {self.path}: {error}; choose a path on a disk that can be written"
                ) from error
            self._fail(error)
        else:
            self._guard.set()

    def _open(self, description: Description) -> None:
        if self._exist != "resume" or not is_run(self.path):
            self._take_up(self._create(description))
            return
        run = Run(self.path)
        _refuse_other_network(run.manifest, description)
        self._take_up(Writer.resume(self.path))
        run.refresh()
        if len(run):
            self.step, self.epoch = int(run.steps[-1]), float(run.epochs[-1])
            self._recorded_step = self.step
            self._began = self._clock() - float(run.times[-1])

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

    def _take_up(self, writer: Writer) -> None:
        self._writer = writer
        if self._abandoned is not None:
            self._abandoned.detach()
        # When the process or the recorder goes without a word, what waits is still written and the run says so.
        self._abandoned = weakref.finalize(self, _close_abandoned, writer, self._held, self._guard)

    def frame(self, step: int, epoch: float, weights: Callable[[], Weights], scalars: Mapping[str, float]) -> None:
        """Record the state after `step` steps and `epoch` epochs. `weights` is called only if it is kept.

        A step is kept once. With a schedule in steps, a second call for the latest step adds what was logged since,
        such as an epoch's validation loss.
        """
        self.step, self.epoch = step, epoch
        if self._writer is None or self._failed:
            return
        with self._guard:
            if self._held and self._held[0].step == step:
                held = self._held[0]
                self._held[0] = replace(held, epoch=epoch, scalars={**held.scalars, **scalars})
            elif step != self._recorded_step:
                logged = {name: float(value) for name, value in scalars.items()}
                frame = Frame(step, epoch, self._clock() - self._began, weights(), logged)
                self._recorded_step = step
                self._let_go()
                # Within epochs it is held until the next step: the end of the epoch may have something to add to it.
                self._held.append(frame)
                if not self.schedule.by_step:
                    self._let_go()

    def pass_by(self, step: int, epoch: float) -> None:
        """Note a moment that is no frame, so that the clock is right if training ends here."""
        self.step, self.epoch = step, epoch
        if self._writer is None or self._failed or self._writer.closed:
            return
        with self._guard:
            if self._held and self._held[0].step != step:
                self._let_go()
            try:
                self._writer.flush_if_due()
            except OSError as error:
                self._fail(error)

    def _let_go(self) -> None:
        while self._held and self._writer is not None and not self._failed:
            try:
                if self._writer.closed:  # interrupted, and yet the training goes on
                    self._take_up(Writer.resume(self.path))
                    self._guard.set()
                self._writer.append(self._held[0])
                del self._held[0]
            except (OSError, RunError) as error:
                self._fail(error)

    def end(self, weights: Callable[[], Weights], scalars: Mapping[str, float]) -> None:
        """The training is over: keep its last state, and close the run."""
        self.frame(self.step, self.epoch, weights, scalars)
        self.close("complete")

    def close(self, status: Status) -> None:
        """Write what waits and close the run with this status. Closing twice does nothing."""
        with self._guard:
            self._let_go()
            if self._writer is not None and not self._failed:
                try:
                    self._writer.close(status)
                except OSError as error:
                    self._fail(error)
        self._guard.unset()

    def _fail(self, error: Exception) -> None:
        assert self._writer is not None
        self._failed = True
        self._held.clear()
        with suppress(OSError):
            self._writer.close("interrupted")
        warnings.warn(
            f"recording to {self.path} has stopped: {error}. Training goes on. The first {self._writer.durable} frames"
            ' are safe and can be opened; make room and record to a new path, or continue with exist="resume"',
            stacklevel=2,
        )


def _refuse_other_network(recorded: Manifest, description: Description) -> None:
    found, wanted = (
        ", ".join(f"{p.name} {p.dtype} {p.shape}" for p in each.parameters) for each in (description, recorded)
    )
    if found != wanted:
        raise RunError(
            f"run {recorded.name!r} is of another network: its parameters are {wanted}, not {found}; choose another"
            " path to record this one"
        )


def _close_abandoned(writer: Writer, held: list[Frame], guard: InterruptGuard) -> None:
    guard.unset()
    # Nobody is left to be told of an error; what is durable stays so. A forked child inherits the recorder, but its
    # writer is closed there.
    with suppress(OSError, RunError):
        if not writer.closed:
            try:
                for frame in held:
                    writer.append(frame)
            finally:
                writer.close("interrupted")
