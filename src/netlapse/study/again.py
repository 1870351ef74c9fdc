"""One network of a study trained again, and recorded as an ordinary run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..keras.describe import describe
from ..keras.functional import functional_form
from ..keras.state import ModelState
from ..record import Probe, Recording
from ..store.examples import count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .program import Program
    from .right import Data
    from .trainer import Trained


def record(
    program: Program,
    data: Data,
    model: Any,
    trained: Trained,
    hyperparameters: Mapping[str, Any],
    path: str,
    probe_size: int,
) -> None:
    """Write the frames of the one network that was trained, before training and after each epoch.

    `model` is one of its setting, whose variables are overwritten.
    """
    examples = Probe.of((data.inputs, data.targets), "probe", probe_size)
    form = functional_form(model, examples.inputs)
    plain = {name: value for name, value in hyperparameters.items() if isinstance(value, str | int | float | bool)}
    fit = {"epochs": program.epochs, "batch_size": program.batch_size}
    recording = Recording(path, probe=examples, every="epoch", exist="replace", class_names=program.class_names)
    recording.begin(lambda: describe(form, plain, fit))
    state = ModelState(model, form)
    steps = -(-count(data.inputs) // program.batch_size)
    for epoch in range(program.epochs + 1):
        for variables, values in (
            (model.trainable_variables, trained.trainable),
            (model.non_trainable_variables, trained.others),
        ):
            for variable, column in zip(variables, values, strict=True):
                variable.assign(column[0, epoch])
        logged = {name: float(values[0, epoch - 1]) for name, values in trained.logged.items()} if epoch else {}
        recording.frame(epoch * steps, epoch, state.weights, logged)
    recording.end(state.weights, {})
