"""The Keras callback that records a training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from ..errors import Unsupported
from ..record import PROBE_SIZE, Keep, Probe, Recording, Schedule
from .backend import keras
from .check import check_probe
from .describe import callers, describe, fit_arguments, running_fit
from .functional import functional_form
from .random import random_state
from .state import ModelState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ..record import Every
    from ..store import Examples, Exist


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
        Inputs and targets (example, ...) that the run is looked at with, usually the training data. Several of
        either are a list, or a dict by the names of the inputs or outputs. More than
        `probe_size` examples are sampled: with a fixed seed, every class in its proportion.
    every
        Which moments are kept: "epoch", "5 epochs", or within epochs "step", "100 steps", "log" (ten steps for each
        power of ten, and epochs); several of these with commas; epochs such as [1, 2, 5], {"steps": [...]}; or a
        function of the steps and epochs done. By default "epoch", or "log" where an epoch has 1,000 steps or more. The
        first and the last state are always kept.
    validation
        A second probe of held-out examples.
    hyperparameters
        Entries to add to those that are read from the model, its optimiser and `fit`.
    exist
        What to do if the path holds a run: "error", "replace" it, or "resume" it. A training that is resumed with an
        `initial_epoch` before the last frame takes over from there: what was recorded of later steps does not count
        any more. Without one it goes on from the last frame.
    class_names
        Names of the classes in the order of their labels.
    scalars
        "frame": losses and metrics are logged with frames. "step": after each step as well, as Keras reports them
        there: means since the epoch began.
    budget
        The most bytes that the run may have, such as "2GB". Frames of the past are then left out evenly.
    dtype
        "float16" or "bfloat16" stores weights in half the space, rounded. Not the training state.
    compressed
        Compress frames without loss, where that pays.
    state
        Keep with each frame what training needs to go on from it: `netlapse.keras.restore`.

    Raises RunError for a path that cannot be recorded to, and BadProbe, at the latest when `fit` begins, for a probe
    that does not fit the model.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        probe: tuple[Examples, Examples],
        every: Every | None = None,
        validation: tuple[Examples, Examples] | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        exist: Exist = "error",
        class_names: Sequence[str] | None = None,
        probe_size: int = PROBE_SIZE,
        scalars: Literal["frame", "step"] = "frame",
        budget: int | str | None = None,
        dtype: Literal["float16", "bfloat16"] | None = None,
        compressed: bool = False,
        state: bool = False,
    ) -> None:
        super().__init__()
        self._probe = Probe.of(probe, "probe", probe_size)
        self._validation = Probe.of(validation, "validation", probe_size) if validation is not None else None
        self.recording = Recording(
            path,
            probe=self._probe,
            validation=self._validation,
            every="epoch" if every is None else every,
            exist=exist,
            class_names=class_names,
            keep=Keep(scalars, budget, dtype, compressed, state),
        )
        self._every = every
        self._extra = dict(hyperparameters or {})
        # Steps and epochs before the running epoch, the batches done in it as Keras counts them, and its length.
        self._steps = self._epochs = 0
        self._counts = [0]
        self._epoch_length = 0
        self._at_start = True
        self._random: dict[str, NDArray[Any]] = {}

    @property
    def async_safe(self) -> bool:
        """Whether Keras need not wait for us after each batch. It asks when `fit` begins."""
        if self._every is None:
            iterator = next((fit.f_locals.get("epoch_iterator") for fit in callers("fit")), None)
            self.recording.schedule = Schedule.for_epochs_of(getattr(iterator, "num_batches", None))
        return not self._by_step

    @property
    def _by_step(self) -> bool:
        """Whether something is kept within epochs."""
        return self.recording.schedule.by_step or self.recording.keep.scalars == "step"

    def on_train_begin(self, logs: Any = None) -> None:
        """Open the run."""
        model = self.model
        form = functional_form(model, self._probe.inputs)
        check_probe(form, self._probe, "probe")
        if self._validation is not None:
            check_probe(form, self._validation, "validation")
        fit = running_fit(model)
        if self._by_step and getattr(fit.get("callbacks"), "_async_train", False):
            # Keras looks into lists only for callbacks that must not run beside the training.
            raise Unsupported(f"to record every {self.recording.schedule}, pass a list: callbacks=[recorder]")
        self.recording.begin(lambda: describe(form, self._extra, fit_arguments(fit)))
        self._state = ModelState(model, form)
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
        if self.recording.keep.state:
            self._random = random_state()
        if self._at_start:
            self._at_start = False
            if epoch:
                self.recording.rewind(epoch)
                self._steps = min(self._steps, self.recording.step)
                self._epochs = max(math.ceil(self.recording.epoch), epoch)
            self.recording.frame(self._steps, self._epochs, self._state.weights, self._logged, self._training_state)

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
        if any(self.recording.schedule.due_step(step, epoch) for step in news):
            self.recording.frame(
                self._steps + done, epoch, self._state.weights, self._scalars(logs), self._training_state
            )
        else:
            dense = self.recording.keep.scalars == "step"
            self.recording.pass_by(self._steps + done, epoch, self._scalars(logs) if dense else None)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keep the state if this epoch is due or the last."""
        self._epoch_length = self._told("steps") or self._batches
        self._steps += self._batches
        self._epochs += 1
        self._counts = [0]
        # Not left to the end of training: other callbacks may restore earlier weights there.
        is_last = epoch + 1 == self._told("epochs") or self.model.stop_training
        self._logged = self._scalars(logs)
        if self.recording.keep.state:
            self._random = random_state()
        if is_last or self.recording.schedule.due_epoch(self._steps, self._epochs):
            self.recording.frame(self._steps, self._epochs, self._state.weights, self._logged, self._training_state)
        else:
            self.recording.pass_by(self._steps, self._epochs, self._logged)

    def on_train_end(self, logs: Any = None) -> None:
        """Keep the last state and close the run."""
        self.recording.end(self._state.weights, self._logged, self._training_state)

    def _training_state(self) -> dict[str, NDArray[Any]]:
        """What `restore` needs: the random state is that at the beginning of the epoch, which orders its batches."""
        return {**self._state.other_variables(), **self._random, "batches": np.array(self._batches)}

    def _scalars(self, logs: Mapping[str, Any] | None) -> dict[str, float]:
        found = {name: float(value) for name, value in (logs or {}).items() if isinstance(value, _NUMBER)}
        if "learning_rate" not in found and (rate := self._state.learning_rate()) is not None:
            found["learning_rate"] = rate
        return found


def capture(
    model: Any,
    path: str | Path,
    probe: tuple[Examples, Examples],
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
    form = functional_form(model, examples.inputs)
    check_probe(form, examples, "probe")
    recording = Recording(path, probe=examples, exist=exist, class_names=class_names)
    recording.begin(lambda: describe(form, dict(hyperparameters or {}), {}))
    recording.end(ModelState(model, form).weights, {})
