"""One network of a study trained again, and recorded as an ordinary run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..keras.describe import describe
from ..keras.functional import functional_form
from ..keras.state import ModelState
from ..record import Probe, Recording
from ..store.examples import count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .pieces import Network
    from .program import Program
    from .space import Setting


def record(
    program: Program,
    model: Any,
    networks: Sequence[Network],
    network: Network,
    settings: Sequence[Setting],
    path: str,
    probe_size: int,
) -> None:
    """Train a network with those it was trained with, and write its frames, before training and after each epoch.

    Of the same program the same bits come again. `model` is one of its setting, whose variables are overwritten.
    """
    place = networks.index(network)
    trained = program.train(networks, every_epoch=True)
    examples = Probe.of((program.data.inputs, program.data.targets), "probe", probe_size)
    form = functional_form(model, examples.inputs)
    fit = {"epochs": program.epochs, "batch_size": program.batch_size}
    recording = Recording(path, probe=examples, every="epoch", exist="replace", class_names=program.class_names)
    recording.begin(lambda: describe(form, _extra(settings[network.setting], network), fit))
    state = ModelState(model, form)
    steps = -(-count(program.data.inputs) // program.batch_size)
    for epoch in range(program.epochs + 1):
        for variables, values in (
            (model.trainable_variables, trained.trainable),
            (model.non_trainable_variables, trained.others),
        ):
            for variable, column in zip(variables, values, strict=True):
                variable.assign(column[place, epoch])
        logged = {name: float(values[place, epoch - 1]) for name, values in trained.logged.items()} if epoch else {}
        recording.frame(epoch * steps, epoch, state.weights, logged)
    recording.end(state.weights, {})


def _extra(setting: Mapping[str, Any], network: Network) -> dict[str, Any]:
    plain = {name: value for name, value in setting.items() if isinstance(value, str | int | float | bool)}
    return {**plain, "seed": network.seed}
