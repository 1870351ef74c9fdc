"""Lightning: `Recorder`, a callback of `lightning`'s Trainer, or of `pytorch_lightning`'s."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, cast

from .errors import Unsupported
from .record import PROBE_SIZE, Schedule
from .torch import Recorder as TorchRecorder
from .torch.hyperparameters import training_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .record import Every
    from .store import Examples, Exist


def _import_lightning() -> Any:
    # Either package takes callbacks of the other.
    found = next((name for name in ("lightning", "pytorch_lightning") if find_spec(name)), None)
    if found is None:
        raise ImportError('netlapse.lightning needs Lightning: pip install "netlapse[lightning]"')
    package = import_module(found)
    if tuple(map(int, package.__version__.split(".")[:2])) < (2, 2):
        raise ImportError(
            f"netlapse.lightning needs Lightning 2.2 or newer, and found {found} {package.__version__}: upgrade it"
        )
    return import_module("lightning.pytorch") if found == "lightning" else package


_Callback: Any = _import_lightning().Callback


class Recorder(_Callback):
    """Records `trainer.fit` into a run: pass it to the Trainer as a callback, open the run with `netlapse.open`.

    Kept are the weights of the whole module, the losses of `training_step` as "loss" (means since the epoch began),
    the learning rates, and at the end of each epoch everything that was logged in it, as `trainer.callback_metrics` has
    it. Steps are those of the first optimiser. Recording changes nothing in the training.

    A training that goes on from a checkpoint (`ckpt_path`) continues a run with `exist="resume"` from where that was
    saved: what was recorded of later steps does not count any more. Where a module steps its optimisers itself, the
    steps of an epoch are not known beforehand, and an epoch that is resumed within counts as a whole one.

    Several `fit` calls with the same recorder make one run. Callbacks that put other weights in place of the last ones
    when training ends, such as averages of them, belong after the recorder.

    `forward`, a function of the module and the inputs, is needed by a module that has no `forward` of its own. Of its
    hyper-parameters (`save_hyperparameters`) those are left out whose names are read from the training itself. The
    other parameters, and errors, are those of `netlapse.torch.Recorder`; they are raised when `fit` begins.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        probe: tuple[Examples, Examples],
        loss: Any = None,
        forward: Callable[[Any, Any], Any] | None = None,
        every: Every | None = None,
        layers: Sequence[str] | None = None,
        validation: tuple[Examples, Examples] | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        exist: Exist = "error",
        class_names: Sequence[str] | None = None,
        probe_size: int = PROBE_SIZE,
        scalars: Literal["frame", "step"] = "frame",
        budget: int | str | None = None,
        dtype: Literal["float16", "bfloat16"] | None = None,
        compressed: bool = False,
    ) -> None:
        self._open = partial(
            TorchRecorder,
            path,
            probe=probe,
            loss=loss,
            forward=forward,
            layers=layers,
            validation=validation,
            class_names=class_names,
            probe_size=probe_size,
            scalars=scalars,
            budget=budget,
            dtype=dtype,
            compressed=compressed,
        )
        self._loss, self._forward, self._every = loss, forward, every
        self._exist: Exist = exist
        self._extra = dict(hyperparameters or {})
        self._recorder: TorchRecorder | None = None
        self._logged: dict[str, Any] = {}
        self._in_epoch = False

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Open the run: a checkpoint has been restored, and no step was done yet."""
        if self._forward is None and type(pl_module).forward.__module__.split(".")[0] in (
            "lightning",
            "pytorch_lightning",
        ):
            name = type(pl_module).__name__
            raise Unsupported(
                f"{name} has no forward of its own, so that nothing says what its outputs are; pass one to the"
                " recorder, such as Recorder(..., forward=lambda module, x: module.decoder(module.encoder(x)))"
            )
        schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
        read = training_settings(trainer.optimizers, schedulers, self._loss)
        given = {name: value for name, value in pl_module.hparams.items() if name not in read}
        batches = trainer.num_training_batches
        self._recorder = self._open(
            pl_module,
            optimizer=trainer.optimizers,
            scheduler=schedulers,
            every=self._every or str(Schedule.for_epochs_of(batches)),
            steps_per_epoch=_steps_per_epoch(trainer),
            initial_epoch=_epochs_done(trainer),
            hyperparameters={**given, **self._extra},
            exist=self._exist,
        )
        self._exist = "resume"
        self._logged = dict(trainer.callback_metrics)
        self._in_epoch = False

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the loss of a batch, with the step that it led to."""
        self._in_epoch = True
        loss = cast("Mapping[str, Any]", outputs).get("loss") if isinstance(outputs, Mapping) else outputs
        if self._recorder is not None and loss is not None:
            # Of gradients that are accumulated, Lightning gives each batch its share of the loss.
            share = trainer.accumulate_grad_batches if pl_module.automatic_optimization else 1
            self._recorder.step(loss=loss * share)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """The epoch before this one is over, and what the module logged at its end is known."""
        self._end_epoch(trainer)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Keep the last state and close the run."""
        self._end_epoch(trainer)
        if self._recorder is not None:
            self._recorder.close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Close the run of a training that fails or is interrupted."""
        if self._recorder is not None:
            self._recorder.close("interrupted")

    def _end_epoch(self, trainer: Any) -> None:
        # A checkpoint of the very end of an epoch is resumed with an epoch that has no step.
        if self._recorder is not None and self._in_epoch:
            # Lightning keeps what was logged in earlier epochs; what is logged anew is another tensor.
            before, self._logged = self._logged, dict(trainer.callback_metrics)
            self._recorder.epoch(
                **{name: value for name, value in self._logged.items() if value is not before.get(name)}
            )
        self._in_epoch = False


def _steps_per_epoch(trainer: Any) -> int | None:
    """Optimiser steps of an epoch, where that is known beforehand."""
    batches, share = trainer.num_training_batches, trainer.accumulate_grad_batches
    changes = any(type(callback).__name__ == "GradientAccumulationScheduler" for callback in trainer.callbacks)
    known = math.isfinite(batches) and trainer.lightning_module.automatic_optimization and not changes
    return math.ceil(batches / share) if known else None


def _epochs_done(trainer: Any) -> float | None:
    """Epochs done before, with a fraction, by a training that goes on from a checkpoint; None by a new one."""
    loop = trainer.fit_loop
    epochs, batches = loop.epoch_progress.current, loop.epoch_loop.batch_progress.current.processed
    done = float(epochs.processed)
    if epochs.started > epochs.processed:
        length, share = trainer.num_training_batches, trainer.accumulate_grad_batches
        steps = batches // share if batches < length else math.ceil(batches / share)
        done += steps / (_steps_per_epoch(trainer) or length)
    return done or None
