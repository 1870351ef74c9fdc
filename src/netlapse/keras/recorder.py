"""The Keras callback that records a training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import Unsupported
from ..record import PROBE_SIZE, Probe, Recording
from .backend import keras
from .check import check_model, check_probe
from .describe import describe, fit_arguments, running_fit
from .state import ModelState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike

    from ..store import Exist

    Examples = tuple[ArrayLike, ArrayLike]


_NUMBER: Any = (float, int, np.number)


class Recorder(keras.callbacks.Callback):
    """Records `fit` into a run: pass it as a callback, open the run with `netlapse.open`.

    Kept are the weights of all layers, the losses and metrics that Keras logs, and the learning rate of the step that
    led there, before training and after each epoch. Steps are batches. Recording changes nothing in the training.
    Several `fit` calls with the same recorder make one run whose epochs continue. The last frame is the last state
    of the training, before a callback or optimiser puts earlier or averaged weights in its place.

    Parameters
    ----------
    path
        Folder of the run; it is created.
    probe
        Inputs and targets (example, ...) that the run is looked at with, usually the training data. More than
        `probe_size` examples are sampled: with a fixed seed, every class in its proportion.
    every
        Which moments are kept: "epoch", "5 epochs", or within epochs "step", "100 steps".
    validation
        A second probe of held-out examples.
    hyperparameters
        Entries to add to those that are read from the model, its optimiser and `fit`.
    exist
        What to do if the path holds a run: "error", "replace" it, or "resume" it.
    class_names
        Names of the classes in the order of their labels.

    Raises RunError for a path that cannot be recorded to, and BadProbe, at the latest when `fit` begins, for a probe
    that does not fit the model.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        probe: Examples,
        every: str = "epoch",
        validation: Examples | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        exist: Exist = "error",
        class_names: Sequence[str] | None = None,
        probe_size: int = PROBE_SIZE,
    ) -> None:
        super().__init__()
        self._probe = Probe.of(probe, "probe", probe_size)
        self._validation = Probe.of(validation, "validation", probe_size) if validation is not None else None
        self.recording = Recording(
            path,
            probe=self._probe,
            validation=self._validation,
            every=every,
            exist=exist,
            class_names=class_names,
        )
        self._extra = dict(hyperparameters or {})
        self._by_step = self.recording.schedule.by_step
        # Frames within epochs need the state after each batch. Otherwise Keras need not wait for us.
        self.async_safe = not self._by_step
        # Steps and epochs before the running epoch, the batches done in it as Keras counts them, and its length.
        self._steps = self._epochs = 0
        self._counts = [0]
        self._epoch_length = 0
        self._at_start = True

    def on_train_begin(self, logs: Any = None) -> None:
        """Open the run."""
        model = self.model
        check_model(model)
        check_probe(model, self._probe, "probe")
        if self._validation is not None:
            check_probe(model, self._validation, "validation")
        fit = running_fit(model)
        if self._by_step and getattr(fit.get("callbacks"), "_async_train", False):
            # Keras looks into lists only for callbacks that must not run beside the training.
            raise Unsupported(f"to record every {self.recording.schedule}, pass a list: callbacks=[recorder]")
        self.recording.begin(lambda: describe(model, self._extra, fit_arguments(fit)))
        self._state = ModelState(model)
        # An epoch that was cut short counts as one, so that whole epochs stay whole numbers.
        self._steps = max(self._steps + self._batches, self.recording.step)
        self._epochs = max(self._epochs + (self._batches > 0), math.ceil(self.recording.epoch))
        self._counts = [0]
        self._epoch_length = self._told("steps")
        self._logged = self._scalars(None)
        self._at_start = True

    def _told(self, name: str) -> int:
        """What Keras told about the running `fit`; 0 where it does not know, as the steps of a generator."""
        return (cast("dict[str, Any]", self.params) or {}).get(name) or 0

    @property
    def _batches(self) -> int:
        """Batches done in the running epoch."""
        return max(self._counts)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Before the first epoch, keep the state before training."""
        if self._at_start:
            self._at_start = False
            self._epochs = max(self._epochs, epoch)
            self.recording.frame(self._steps, self._epochs, self._state.weights, self._logged)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count the batch, and keep the state if its step is due."""
        # Several steps in one execution may pass the end of the data.
        done = min(batch + 1, self._told("steps") or batch + 1)
        if not self._by_step:
            self._counts.append(done)  # Keras may call this from several threads, in any order
            return
        news = range(self._steps + self._batches + 1, self._steps + done + 1)
        self._counts = [done]
        # An epoch is whole when Keras says so, and may be longer than the last.
        epoch = self._epochs + done / max(self._epoch_length, done + 1)
        if any(self.recording.schedule.due_step(step) for step in news):
            self.recording.frame(self._steps + done, epoch, self._state.weights, self._scalars(logs))
        else:
            self.recording.pass_by(self._steps + done, epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keep the state if this epoch is due or the last."""
        self._epoch_length = self._told("steps") or self._batches
        self._steps += self._batches
        self._epochs += 1
        self._counts = [0]
        # Not left to the end of training: other callbacks may restore earlier weights there.
        is_last = epoch + 1 == self._told("epochs") or self.model.stop_training
        self._logged = self._scalars(logs)
        if is_last or self.recording.schedule.due_epoch(self._epochs):
            self.recording.frame(self._steps, self._epochs, self._state.weights, self._logged)
        else:
            self.recording.pass_by(self._steps, self._epochs)

    def on_train_end(self, logs: Any = None) -> None:
        """Keep the last state and close the run."""
        self.recording.end(self._state.weights, self._logged)

    def _scalars(self, logs: Mapping[str, Any] | None) -> dict[str, float]:
        found = {name: float(value) for name, value in (logs or {}).items() if isinstance(value, _NUMBER)}
        if "learning_rate" not in found and (rate := self._state.learning_rate()) is not None:
            found["learning_rate"] = rate
        return found


def capture(
    model: Any,
    path: str | Path,
    probe: Examples,
    *,
    hyperparameters: Mapping[str, Any] | None = None,
    exist: Exist = "error",
    class_names: Sequence[str] | None = None,
    probe_size: int = PROBE_SIZE,
) -> None:
    """Record the state of a model as it is, as a run of one frame, without training it.

    For looking at initial weights. The model need not be compiled, but without a loss there are no losses and no
    gradients to replay. Arguments and errors as for `Recorder`.
    """
    examples = Probe.of(probe, "probe", probe_size)
    check_model(model)
    check_probe(model, examples, "probe")
    recording = Recording(path, probe=examples, exist=exist, class_names=class_names)
    recording.begin(lambda: describe(model, dict(hyperparameters or {}), {}))
    recording.end(ModelState(model).weights, {})
