"""The context that records a training loop."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from ..record import PROBE_SIZE, Keep, Loop, Probe, Recording, Schedule
from .describe import describe
from .function import Function
from .kept import entries_of, specs_of
from .live import Live
from .loss import Losses
from .structure import Structure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from ..record import Every
    from ..store import Examples, Exist

    Pair = tuple[Examples, Examples]


class Recorder:
    """Records a training loop over a pytree of parameters into a run: a context, told of each step and epoch.

    ```python
    with Recorder("runs/x", apply, params, probe=(X, y), loss=optax.sigmoid_binary_cross_entropy) as recorder:
        for epoch in range(10):
            for batch in batches:
                params, opt_state, loss = train_step(params, opt_state, batch)
                recorder.step(params, loss=loss)
            recorder.epoch(params, val_loss=...)
    ```

    Kept are all arrays of `params` and `state`, named by their path, and what `step` and `epoch` are told: of steps the
    mean since the epoch began. Nothing waits for the device unless a frame is due. Leaving the context completes the
    run with the last parameters; an exception marks it as interrupted.

    The run is opened at once, and the parameters before training are kept. Without `with`, call `close` in the end.

    Parameters
    ----------
    path
        Folder of the run; it is created.
    apply
        `apply(params, inputs)`, or `apply(params[, state][, rng], inputs)` with those that are given: the network in
        inference mode. With a `state`, of a pair that it returns the first are the outputs.
    params
        The parameters before training: any pytree. What is no array, such as an activation function, is not recorded.
    probe
        Inputs and targets (example, ...) that the run is looked at with, usually the training data. More than
        `probe_size` examples are sampled: with a fixed seed, every class in its proportion. Several inputs are a dict
        by name, or a list, which `apply` takes as a tuple.
    loss
        `loss(outputs, targets)`, one number for each example, as optax' losses are, or for each of its places.
    state
        What else the network needs, such as BatchNorm's statistics.
    rng
        A key for networks that draw numbers in inference: always the same.
    hyperparameters
        Entries to add to those that are read from the parameters; an optimiser of optax does not tell its settings.
    every
        As for `netlapse.keras.Recorder`, by default "epoch", or "log" where an epoch has 1,000 steps or more or their
        number is not known.
    validation, exist, class_names, probe_size, scalars, budget, dtype, compressed
        As for `netlapse.keras.Recorder`.
    steps_per_epoch
        Ends epochs by itself, for loops that do not call `epoch`.
    initial_epoch
        The epoch at which a run that is resumed goes on, if not after its last frame.

    Raises RunError for a path that cannot be recorded to, BadProbe for a probe that does not fit `apply` or the loss,
    Unsupported for a loss of a whole batch.
    """

    def __init__(
        self,
        path: str | Path,
        apply: Callable[..., Any],
        params: Any,
        *,
        probe: Pair,
        loss: Callable[[Any, Any], Any] | None = None,
        state: Any = None,
        rng: Any = None,
        hyperparameters: Mapping[str, Any] | None = None,
        every: Every | None = None,
        steps_per_epoch: int | None = None,
        initial_epoch: int | None = None,
        validation: Pair | None = None,
        exist: Exist = "error",
        class_names: Sequence[str] | None = None,
        probe_size: int = PROBE_SIZE,
        scalars: Literal["frame", "step"] = "frame",
        budget: int | str | None = None,
        dtype: Literal["float16", "bfloat16"] | None = None,
        compressed: bool = False,
    ) -> None:
        examples = Probe.of(probe, "probe", probe_size)
        held_out = Probe.of(validation, "validation", probe_size) if validation is not None else None
        self.recording = Recording(
            path,
            probe=examples,
            validation=held_out,
            every=str(Schedule.for_loop_of(steps_per_epoch)) if every is None else every,
            exist=exist,
            class_names=class_names,
            keep=Keep(scalars, budget, dtype, compressed),
        )
        self._loop = Loop(self.recording, steps_per_epoch=steps_per_epoch)
        self._structure = Structure(params, state)
        function = Function(apply, self._structure.build, state is not None, rng)
        inputs, targets = (specs_of(entries_of(part)) for part in (examples.inputs, examples.targets))
        live = Live(function, self._structure.specs, inputs)
        losses = Losses(loss, live.arrange(live.output_specs), targets) if loss is not None else None
        self._last = params, state
        self._loop.begin(
            partial(describe, function, self._structure, live, losses, examples, dict(hyperparameters or {})),
            self._weights,
            initial_epoch=initial_epoch,
        )

    def step(self, params: Any, state: Any = None, **scalars: Any) -> None:
        """One optimiser step was done, and led to these parameters."""
        self._note(params, state)
        self._loop.step(self._weights, scalars)

    def epoch(self, params: Any, state: Any = None, **scalars: Any) -> None:
        """An epoch is over. Numbers are logged as they are."""
        self._note(params, state)
        self._loop.epoch(self._weights, scalars)

    def _note(self, params: Any, state: Any) -> None:
        # A state that does not change need not be passed again.
        self._last = params, self._last[1] if state is None else state

    def close(self, status: Literal["complete", "interrupted"] = "complete") -> None:
        """Keep the last parameters, and close the run; of a training that was interrupted, what was kept so far."""
        if status == "interrupted":
            self.recording.close(status)
            return
        self._loop.end(self._weights)
        self._loop.warn_without_epochs(stacklevel=3)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        self.close("complete" if kind is None else "interrupted")

    def _weights(self) -> Any:
        return self._structure.arrays(*self._last)
