"""The Keras callback that records a training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import BadProbe, Unsupported
from ..record import PROBE_SIZE, Probe, Recording
from .backend import keras
from .describe import describe, fit_arguments, loss_name
from .state import ModelState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike

    from ..store import Exist

    Examples = tuple[ArrayLike, ArrayLike]


class Recorder(keras.callbacks.Callback):
    """Records `fit` into a run: pass it as a callback, open the run with `netlapse.open`.

    Kept are the weights of all layers, the losses and metrics that Keras logs, and the learning rate, before training
    and after each epoch. Recording changes nothing in the training. Several `fit` calls with the same recorder make
    one run whose epochs continue.

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
        self._state: ModelState | None = None
        self._offset = 0
        self._first_epoch = self._epochs_done = 0
        self._epoch_began = self._step = 0
        if self.recording.schedule.by_step:
            # Only then: a callback that has a batch hook makes Keras run its callbacks in step with the training.
            self.on_train_batch_end = self._on_train_batch_end

    def on_train_begin(self, logs: Any = None) -> None:
        """Open the run and keep the state before training."""
        model = self.model
        check_model(model, self._probe, self._validation)
        arguments = fit_arguments(model)
        initial_epoch = arguments.pop("initial_epoch", 0)
        self.recording.begin(lambda: describe(model, self._extra, arguments))
        if self._state is None or self._state.model is not model or self._state.batches() + self._offset < self._step:
            # The first `fit`, or another optimiser, whose count begins anew.
            self._state = ModelState(model)
            self._offset = self.recording.step - self._state.batches()
        self._state = ModelState(model)
        self._step = self._state.batches() + self._offset
        # An epoch that was cut short counts as one, so that whole epochs stay whole numbers.
        done = self.recording.epoch or float(initial_epoch)
        self._first_epoch = math.floor(done) + 1 if self._step > self.recording.step else math.ceil(done)
        self._epochs_done = 0
        self._batches_per_epoch: int = (cast("dict[str, Any]", self.params) or {}).get("steps") or 0
        self.recording.frame(self._step, self._first_epoch, self._state.weights, self._scalars(None))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Count the batches of the epoch from here."""
        self._epoch_began = self._step

    def _on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        assert self._state is not None
        self._step = self._epoch_began + batch + 1
        batches = self._batches_per_epoch
        # Keras knows the length of an epoch beforehand for arrays only.
        within = min((batch + 1) / batches, 1.0) if batches else 0.0
        epoch = self._first_epoch + self._epochs_done + within
        if self.recording.schedule.due_step(self._step):
            self.recording.frame(self._step, epoch, self._state.weights, self._scalars(logs))
        else:
            self.recording.pass_by(self._step, epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keep the state if this epoch is due."""
        assert self._state is not None
        self._epochs_done += 1
        if not self.recording.schedule.by_step:
            self._step = self._state.batches() + self._offset
        done = self._first_epoch + self._epochs_done
        if self.recording.schedule.due_epoch(done):
            self.recording.frame(self._step, done, self._state.weights, self._scalars(logs))
        else:
            self.recording.pass_by(self._step, done)

    def on_train_end(self, logs: Any = None) -> None:
        """Keep the last state and close the run."""
        assert self._state is not None
        self.recording.end(self._state.weights, self._scalars(logs))

    def _scalars(self, logs: Mapping[str, Any] | None) -> dict[str, float]:
        assert self._state is not None
        found = {name: float(value) for name, value in (logs or {}).items() if np.ndim(value) == 0}
        found.setdefault("learning_rate", self._state.learning_rate(self._step))
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
    check_model(model, examples)
    recording = Recording(path, probe=examples, exist=exist, class_names=class_names)
    recording.begin(lambda: describe(model, dict(hyperparameters or {}), {}))
    recording.end(ModelState(model).weights, {})


def check_model(model: Any, *probes: Probe | None) -> None:
    """Raise BadProbe or Unsupported unless the model can be evaluated on these examples."""
    if not model.built or not getattr(model, "inputs", None):
        raise Unsupported(
            f"model {model.name!r} is not built as a Sequential or functional model with a known input shape; begin it"
            " with keras.Input(shape), or call model.build(shape), before it is recorded"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise Unsupported(
            f"model {model.name!r} has {len(model.inputs)} inputs and {len(model.outputs)} outputs; models with one"
            " input and one output are supported"
        )
    wanted = tuple(model.inputs[0].shape[1:])
    for probe, name in zip(probes, ("probe", "validation"), strict=False):
        if probe is None:
            continue
        found = probe.inputs.shape[1:]
        if len(found) != len(wanted) or any(w not in (None, f) for w, f in zip(wanted, found, strict=True)):
            raise BadProbe(f"{name} inputs have shape {found} per example; model {model.name!r} takes {wanted}")
        if "binary_crossentropy" in loss_name(model) and not ((probe.targets >= 0) & (probe.targets <= 1)).all():
            shown = ", ".join(f"{value:g}" for value in np.unique(probe.targets)[:6])
            raise BadProbe(f"{name} targets are {shown}; binary cross-entropy needs labels 0 and 1: relabel them")
