"""Going on with a training from any frame of a run that kept its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import DamagedRun, MissingFrame, RunError, Unsupported
from ..store import Run
from ..store.examples import each, gather
from .backend import keras
from .functional import functional_form
from .random import set_random_state
from .sides import as_given
from .state import ModelState

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Restored:
    """Where a training goes on.

    Attributes
    ----------
    epoch
        Epochs done: the `initial_epoch` for `fit`.
    batches
        Batches done in the running epoch; 0 at the end of an epoch.
    """

    epoch: int
    batches: int

    def rest_of_epoch(self, *arrays: ArrayLike, batch_size: int) -> tuple[NDArray[Any], ...]:
        """The examples that the running epoch has left, in the order in which `fit` would have taken them.

        For `fit(..., shuffle=False, initial_epoch=epoch, epochs=epoch + 1)` with the same batch size. The arrays are
        all training data, as `fit` shuffled them (inputs, targets, sample weights: (example, ...)). Call it once,
        directly after `restore`: it draws the order from NumPy's generator as Keras did. On Keras' JAX backend.
        """
        if keras.backend.backend() != "jax":
            raise Unsupported(
                "batches within an epoch are drawn again on Keras' JAX backend only; restore an epoch's end"
            )
        data = [np.asarray(array) for array in arrays]
        order = np.random.permutation(len(data[0]))[self.batches * batch_size :]  # noqa: NPY002 - as Keras draws it
        return tuple(array[order] for array in data)


def restore(model: Any, run: str | Path | Run, *, epoch: float | None = None, step: int | None = None) -> Restored:
    """Put a compiled model, and the global random generators, into the state of a frame: by default the last.

    Training then goes on as it did, bit by bit on the same machine, or branches off with other settings:

        start = restore(model, "runs/relu", epoch=20)
        model.fit(X, y, initial_epoch=start.epoch, epochs=150)

    The run must have been recorded with `state=True`. Put back are weights, the optimiser's variables and the random
    generators of layers, NumPy, Python, Keras and torch. The learning rate is one of the optimiser's variables: set
    another afterwards.

    Raises RunError if the run kept no state or is of another network or optimiser, MissingFrame if it has no such
    frame.
    """
    run = run if isinstance(run, Run) else Run(run)
    frame = _frame(run, epoch, step)
    state = run.state(frame)
    if "batches" not in state:
        raise RunError(f"run {run.name!r} kept no state to go on from; record it with state=True")
    inputs, targets = (gather(f"train/{side}", run.probe()) for side in ("inputs", "targets"))
    if inputs is None or targets is None:
        raise DamagedRun(f"the probe of run {run.name!r} holds no examples with targets of their own")
    form = functional_form(model, inputs)
    _build(model, *(as_given(each(side, lambda array: array[:1])) for side in (inputs, targets)))
    batches = state.pop("batches")
    place = ModelState(model, form)
    _assign(run, place.variables, {p.name: run.weights(p.name, [frame])[0] for p in run.manifest.parameters})
    _assign(run, place.others, {name: array for name, array in state.items() if name[:3].isdecimal()})
    set_random_state(state)
    return Restored(int(run.epochs[frame] + 1e-6), int(batches))


def _build(model: Any, inputs: Any, targets: Any) -> None:
    """Build what `fit` would otherwise build from a first batch, for which it draws an order of batches."""
    if model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    model.evaluate(inputs, targets, verbose=0)


def _frame(run: Run, epoch: float | None, step: int | None) -> int:
    if epoch is not None and step is not None:
        raise ValueError("pass an epoch or a step, not both")
    if not len(run):
        raise MissingFrame(f"run {run.name!r} has no frame yet")
    if epoch is None and step is None:
        return len(run) - 1
    clock, wanted = (run.epochs, cast("float", epoch)) if step is None else (run.steps, step)
    frame = int(np.abs(clock - wanted).argmin())
    if abs(clock[frame] - wanted) > 1e-6:
        what = "step" if epoch is None else "epoch"
        raise MissingFrame(f"run {run.name!r} has no frame at {what} {wanted:g}; the nearest is at {clock[frame]:g}")
    return frame


def _assign(run: Run, variables: dict[str, Any], values: dict[str, NDArray[Any]]) -> None:
    # By place, not by name: the same code run twice calls its layers "dense" and then "dense_1".
    wanted, found = ([tuple(array.shape) for array in each.values()] for each in (variables, values))
    if wanted != found:
        raise RunError(
            f"run {run.name!r} is of another network or optimiser: it holds {', '.join(values)}; the model has"
            f" {', '.join(variables)}"
        )
    for variable, value in zip(variables.values(), values.values(), strict=True):
        variable.assign(value)
