"""A training loop as a recording sees it: steps and epochs, counted."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .recording import Description, Recording, Weights

    # What is logged: numbers, or a framework's scalars, which are read only when they are kept.
    Scalars = Mapping[str, Any]


class Loop:
    """Counts the steps and epochs of a training, and offers every moment to its recording.

    For frameworks whose loops say no more than "a step was done" and "an epoch is over". What is logged with steps
    is kept as the mean since the epoch began, as Keras does; settings, such as the learning rate, as they are.

    With `steps_per_epoch` an epoch ends by itself. Without it, the fractions of frames within the first epoch only say
    which came first, and an epoch in which no step is counted counts as one.
    """

    def __init__(self, recording: Recording, *, steps_per_epoch: int | None = None) -> None:
        if steps_per_epoch is not None and steps_per_epoch < 1:
            raise ValueError(f"steps_per_epoch={steps_per_epoch}: pass the number of optimiser steps of an epoch")
        self.recording = recording
        self.steps = self.epochs = 0
        self._steps_per_epoch = steps_per_epoch
        self._length = steps_per_epoch or 0
        self._in_epoch = 0
        # Sums and counts since the epoch began, what was logged as it is, and what holds for the latest step.
        self._sums: dict[str, tuple[float, int]] = {}
        # Of values that are not yet added up.
        self._waiting: dict[str, list[Any]] = {}
        self._explicit: dict[str, Any] = {}
        self._settings: Mapping[str, float] = {}
        # What was logged of the latest step; None if nothing more will be.
        self._late: set[str] | None = None
        self._ended_by_itself = self._unwritten = self._is_over = False

    def begin(
        self,
        description: Callable[[], Description],
        weights: Callable[[], Weights],
        *,
        settings: Mapping[str, float] | None = None,
        initial_epoch: float | None = None,
    ) -> None:
        """Open the run and keep the state before training.

        A run that is resumed goes on after its last frame, or at `initial_epoch`, as after a checkpoint was restored.
        It may be within an epoch where `steps_per_epoch` is known.
        """
        self.recording.begin(description)
        if initial_epoch is not None:
            self.recording.rewind(initial_epoch)
        # An epoch that was cut short counts as one, so that whole epochs stay whole numbers.
        self.steps, self.epochs = self.recording.step, math.ceil(self.recording.epoch)
        self._in_epoch = 0
        if initial_epoch is not None and initial_epoch >= self.recording.epoch:
            length = self._steps_per_epoch
            within = divmod(round(initial_epoch * length), length) if length else (math.ceil(initial_epoch), 0)
            self.epochs, self._in_epoch = within
        self._settings = settings or {}
        self._sums, self._waiting, self._explicit, self._late = {}, {}, {}, None
        self._ended_by_itself = self._is_over = False
        self.recording.frame(self.steps, self.epoch_done, weights, self._settings)

    @property
    def epoch_done(self) -> float:
        """Epochs done, with the fraction of the running one."""
        # An epoch is whole when the loop says so, and may be longer than the last.
        return self.epochs + self._in_epoch / max(self._length, self._in_epoch + 1)

    @property
    def knows_epochs(self) -> bool:
        """Whether the fractions of epochs mean something: the length of one is known, or none was begun."""
        return bool(self._length) or not self._in_epoch

    def step(
        self,
        weights: Callable[[], Weights],
        scalars: Scalars | None = None,
        settings: Mapping[str, float] | None = None,
    ) -> None:
        """One optimiser step was done. `settings` are those that led there."""
        if self._unwritten or self._is_over:
            self._go_on()
        self.steps += 1
        self._in_epoch += 1
        self._settings = settings or self._settings
        self._late = set[str]()
        if scalars:
            self._add(scalars)
            self._late.update(scalars)
        if self._in_epoch == self._steps_per_epoch:
            self._ended_by_itself = True
            self._end_epoch(weights)
        else:
            epoch = self.epoch_done
            self._offer(weights, epoch, self.recording.schedule.due_step(self.steps, epoch))

    def log(self, scalars: Scalars) -> None:
        """Log what is known of the latest step only now; what was logged of that already is of the next.

        After an epoch that ended by itself all is of that epoch, until the next step.
        """
        if self._late is None or not (self._ended_by_itself or self._late.isdisjoint(scalars)):
            self._go_on()
            self._add(scalars)
        else:
            self._late |= scalars.keys()
            self._add(scalars)
            self.recording.amend(self._scalars)

    def note(self, scalars: Scalars) -> None:
        """Log what is known of the latest step as it is; it says nothing of the next."""
        self._settings = {**self._settings, **scalars}
        self.recording.amend(self._scalars)

    def epoch(self, weights: Callable[[], Weights], scalars: Scalars | None = None) -> None:
        """An epoch is over. `scalars` are logged as they are."""
        if self._ended_by_itself:
            self._ended_by_itself = False
            self._explicit |= scalars or {}
            self.recording.amend(self._scalars)
        else:
            if not self._in_epoch:
                self._go_on()
                self.steps += self._steps_per_epoch or 1
            self._explicit |= scalars or {}
            self._end_epoch(weights)
        self._late = None

    def end(self, weights: Callable[[], Weights]) -> None:
        """The training is over: keep its last state, and close the run."""
        self._write()
        self.recording.end(weights, self._scalars())

    def warn_without_epochs(self, *, stacklevel: int) -> None:
        """Warn of a training that never said when an epoch was over."""
        if not self.knows_epochs:
            warnings.warn(
                f"run {self.recording.folder.name!r} was told of no epoch, so that its epochs are fractions of the"
                " first: call recorder.epoch() after each, or pass steps_per_epoch= (1: every step counts as an epoch)",
                stacklevel=stacklevel,
            )

    def _end_epoch(self, weights: Callable[[], Weights]) -> None:
        self._length = self._in_epoch or self._length
        self._in_epoch = 0
        self.epochs += 1
        self._is_over = True
        self._offer(weights, self.epochs, self.recording.schedule.due_epoch(self.steps, self.epochs))

    def _offer(self, weights: Callable[[], Weights], epoch: float, due: bool) -> None:
        if due:
            # What is logged of a step may come after it was counted; that of an epoch comes with its end.
            more = not self._is_over or self._ended_by_itself
            self.recording.frame(self.steps, epoch, weights, self._scalars(), amendable=more)
        else:
            self.recording.pass_by(self.steps, epoch)
        self._unwritten = not due and self.recording.keep.scalars == "step"

    def _go_on(self) -> None:
        """What comes now is of the next step: nothing more will be said of the latest moment."""
        self._write()
        if self._is_over:
            self._sums, self._waiting, self._explicit = {}, {}, {}
        self._late = None
        self._is_over = self._ended_by_itself = False

    def _write(self) -> None:
        """Log the latest moment, if that was no frame and is asked for."""
        if self._unwritten:
            self.recording.pass_by(self.steps, self.epoch_done, self._scalars())
            self._unwritten = False

    def _add(self, scalars: Scalars) -> None:
        for name, value in scalars.items():
            # A framework's scalar may still be under way, and to add it up there costs more than to keep it.
            waiting = self._waiting.setdefault(name, [])
            waiting.append(value)
            if len(waiting) == _MOST_WAITING:
                self._add_up()

    def _add_up(self) -> None:
        for name, values in self._waiting.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = total + sum(map(float, values)), count + len(values)
        self._waiting = {}

    def _scalars(self) -> dict[str, Any]:
        self._add_up()
        means = {name: total / count for name, (total, count) in self._sums.items()}
        return {**self._settings, **means, **self._explicit}


_MOST_WAITING = 1000
