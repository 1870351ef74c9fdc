"""The recorder of a training loop of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor

from ..errors import RunError, Unsupported
from ..record import PROBE_SIZE, Keep, Loop, Recording, Schedule
from .check import probe_of, require_alike
from .description import describe
from .hyperparameters import learning_rates, training_settings
from .state import ModelState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from torch import nn
    from torch.optim import Optimizer

    from ..record import Description, Every
    from ..store import Examples, Exist

    Scalar = float | Tensor
    # One of these, several, or none.
    Optimizers = Optimizer | Sequence[Optimizer] | None
    Forward = Callable[[Any, Any], Any] | None


class Recorder:
    """Records a training loop into a run: open the run with `netlapse.open`.

        with Recorder("runs/relu", model, probe=(X, y), optimizer=optimizer, loss=criterion) as recorder:
            for epoch in range(10):
                for inputs, targets in loader:
                    loss = criterion(model(inputs), targets)
                    ...
                    recorder.step(loss=loss)
                recorder.epoch(val_loss=...)

    Kept are the weights of all layers, buffers such as BatchNorm's statistics included, what is logged, and the
    learning rates, before training, at the moments that are due, and at the end. Recording changes nothing in the
    training. A run that is left by an exception is marked as interrupted. Without `with`, call `close` in the end.
    Where processes train together only that of rank 0 records; in the others all of this does nothing.

    Parameters
    ----------
    path
        Folder of the run; it is created.
    model
        The module that is trained. What `torch.compile`, DataParallel or DistributedDataParallel made of one will do.
    probe
        Inputs and targets (example, ...) that the run is looked at with, usually training data, as tensors on any
        device or arrays; several inputs in a list or dict. More than `probe_size` examples are sampled: with a fixed
        seed, every class in its proportion.
    optimizer
        Its steps are counted, also where gradients are accumulated or a GradScaler leaves steps out, and its learning
        rates logged. Of several in a list, the first counts. Without one each call of `step` counts.
    loss
        A function of outputs and targets, such as `nn.CrossEntropyLoss()`: losses and gradients are replayed with it.
    scheduler
        The learning rate scheduler, or several, whose settings are noted.
    forward
        A function of the module and the inputs, where `model(inputs)` is not what makes the outputs.
    every
        Which moments are kept: "epoch", "5 epochs", "step", "100 steps", "log" (ten steps for each power of ten, and
        epochs); several of these with commas; epochs such as [1, 2, 5], {"steps": [...]}; or a function of the steps
        and epochs done. By default "epoch", or "log" where an epoch has 1,000 steps or more or their number is not
        known. The first and the last state are always kept.
    steps_per_epoch
        Optimiser steps of an epoch, which then ends by itself: for loops that do not call `epoch`.
    initial_epoch
        Epochs done before: a run that is resumed, after a checkpoint was restored, goes on from there.
    layers
        Patterns of names of layers, such as "encoder.layer.0.*", of a network too large to be kept whole. Only these
        are recorded, and nothing can be replayed but their weights and what was logged.
    validation
        A second probe of held-out examples.
    hyperparameters
        Entries to add to those that are read from model, optimiser and scheduler, or to take their place.
    exist
        What to do if the path holds a run: "error", "replace" it, or "resume" it: it goes on after its last frame, or
        from `initial_epoch` on, and what was recorded of later steps does not count any more.
    class_names
        Names of the classes in the order of their labels.
    scalars
        "frame": what is logged is kept with frames. "step": after each step as well.
    budget
        The most bytes that the run may have, such as "2GB". Frames of the past are then left out evenly.
    dtype
        "float16" or "bfloat16" stores weights in half the space, rounded.
    compressed
        Compress frames without loss, where that pays.

    Raises RunError for a path that cannot be recorded to, BadProbe for a probe that the model or the loss does not
    take, Unsupported for a model that cannot be recorded.
    """

    def __init__(
        self,
        path: str | Path,
        model: nn.Module,
        *,
        probe: tuple[Examples, Examples],
        optimizer: Optimizers = None,
        loss: Any = None,
        scheduler: Any = None,
        forward: Forward = None,
        every: Every | None = None,
        steps_per_epoch: int | None = None,
        initial_epoch: float | None = None,
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
        self._loop: Loop | None = None
        self._optimizers: list[Optimizer] = _several(optimizer)
        self._hook: Any = None
        if not _records_here():
            return
        examples = probe_of(probe, "probe", probe_size)
        held_out = None if validation is None else probe_of(validation, "validation", probe_size)
        if held_out is not None:
            require_alike(held_out, examples)
        recording = Recording(
            path,
            probe=examples,
            validation=held_out,
            every=str(Schedule.for_loop_of(steps_per_epoch)) if every is None else every,
            exist=exist,
            class_names=class_names,
            keep=Keep(scalars, budget, dtype, compressed),
        )
        loop = Loop(recording, steps_per_epoch=steps_per_epoch)
        self._state = ModelState(model, layers)

        def description() -> Description:
            read = training_settings(self._optimizers, _several(scheduler), loss)
            values = {"steps_per_epoch": steps_per_epoch, **read, **(hyperparameters or {})}
            return describe(self._state, examples, loss=loss, forward=forward, hyperparameters=values)

        loop.begin(
            description, self._state.weights, settings=learning_rates(self._optimizers), initial_epoch=initial_epoch
        )
        self._loop = loop
        if self._optimizers:
            self._hook = self._optimizers[0].register_step_post_hook(self._count)

    def step(self, **scalars: Scalar) -> None:
        """Log scalars of the optimiser step that was just done, and count it where no optimiser does.

        Kept are their means since the epoch began. Tensors stay on their device until they are kept. Raises RunError
        if the module has got other parameters since it was first recorded.
        """
        if self._optimizers:
            self._tell(lambda loop: loop.log(_numbers(scalars)))
        else:
            self._tell(lambda loop: loop.step(self._state.weights, _numbers(scalars)))

    def note(self, **scalars: Scalar) -> None:
        """Log scalars of the optimiser step that was just done as they are; of no mean, and of no other step."""
        self._tell(lambda loop: loop.note(_numbers(scalars)))

    def epoch(self, **scalars: Scalar) -> None:
        """An epoch is over. Scalars, such as a validation loss, are logged as they are. Raises RunError as `step`."""
        self._tell(lambda loop: loop.epoch(self._state.weights, _numbers(scalars)))

    def close(self, status: Literal["complete", "interrupted"] = "complete") -> None:
        """Keep the last state, and close the run; of a training that was interrupted, what was kept so far.

        Closing twice does nothing. Raises RunError as `step`.
        """
        if status == "complete":
            self._tell(self._end)
        elif self._loop is not None:
            self._loop.recording.close(status)
        self._loop = None
        if self._hook is not None:
            self._hook.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self.close("complete" if kind is None else "interrupted")

    def _count(self, *_: object) -> None:
        """The optimiser has done a step. Its learning rates are still those that led there."""
        self._tell(lambda loop: loop.step(self._state.weights, settings=learning_rates(self._optimizers)))

    def _tell(self, tell: Callable[[Loop], None]) -> None:
        loop = self._loop
        if loop is None:
            return
        try:
            tell(loop)
        except Unsupported as error:
            self.close("interrupted")
            raise RunError(
                f"the network of run {loop.recording.folder.name!r} has changed: {error}. What was recorded is safe,"
                " and the run is closed as interrupted: record the changed model to a new path"
            ) from None

    def _end(self, loop: Loop) -> None:
        loop.end(self._state.weights)
        loop.warn_without_epochs(stacklevel=6)


def capture(
    model: nn.Module,
    path: str | Path,
    probe: tuple[Examples, Examples],
    *,
    loss: Any = None,
    forward: Forward = None,
    hyperparameters: Mapping[str, Any] | None = None,
    exist: Exist = "error",
    class_names: Sequence[str] | None = None,
    probe_size: int = PROBE_SIZE,
) -> None:
    """Record the state of a module as it is, as a run of one frame, without training it.

    For looking at initial weights. Arguments and errors as for `Recorder`.
    """
    Recorder(
        path,
        model,
        probe=probe,
        loss=loss,
        forward=forward,
        hyperparameters=hyperparameters,
        exist=exist,
        class_names=class_names,
        probe_size=probe_size,
        every="epoch",
    ).close()


def _records_here() -> bool:
    """Whether this process is the one of those that train together that records."""
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    return not together or torch.distributed.get_rank() == 0


def _several(given: Any) -> list[Any]:
    """One, several or none, in a list."""
    return list(cast("Sequence[Any]", given)) if isinstance(given, list | tuple) else [] if given is None else [given]


def _numbers(scalars: Mapping[str, Scalar]) -> dict[str, Any]:
    """What was logged, as numbers; those of another device as tensors there, so that nothing waits for them."""
    return {name: _number(name, value) for name, value in scalars.items()}


def _number(name: str, value: Any) -> Any:
    if not isinstance(value, Tensor):
        return float(value)
    if value.numel() != 1:
        raise ValueError(f"{name} has the shape {tuple(value.shape)}; log one number, such as its mean")
    if value.is_cpu:
        return value.item()
    # Reading it would wait for the device. A copy: the user may go on to add to a tensor of his own.
    return value.detach().to(torch.float32, copy=True).reshape(())
