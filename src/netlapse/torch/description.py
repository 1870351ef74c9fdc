"""What a run should know of a module and its training."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ..record import Description, plain
from ..store import Layer
from .describe import NetworkFiles, network_files
from .hyperparameters import network_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..record import Probe
    from .state import ModelState


def describe(
    state: ModelState, probe: Probe, *, loss: Any, forward: Any, hyperparameters: Mapping[str, Any]
) -> Description:
    """Everything a run should know. `hyperparameters` are those of the training and the user's own entries.

    Errors as of `network_files`.
    """
    if state.layers is None:
        network = network_files(state.model, probe.inputs, probe.targets, loss=loss, forward=forward)
    else:
        network = _part(state)
    values = {**network_settings(network.layers, state.parameters), **hyperparameters}
    return Description(
        framework="torch",
        backend=state.device.type,
        versions={"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
        hyperparameters={name: plain(value) for name, value in values.items() if value is not None},
        layers=network.layers,
        parameters=state.parameters,
        model=network.model,
        model_files=network.files,
        storage={"subset": state.subset} if state.subset else {},
    )


def _part(state: ModelState) -> NetworkFiles:
    """The layers that are kept of a large network, which is not evaluated for that."""
    modules = {parameter.layer: state.model.get_submodule(parameter.layer) for parameter in state.parameters}
    layers = tuple(Layer(name, type(module).__name__, _units(module)) for name, module in modules.items())
    reason = f"only the layers {', '.join(state.layers or ())} were recorded"
    return NetworkFiles(layers, {"reason": "reason.txt"}, {"reason.txt": reason.encode()}, reason)


def _units(module: nn.Module) -> int | None:
    names = ("out_features", "out_channels", "num_features", "embedding_dim")
    return next((units for name in names if isinstance(units := getattr(module, name, None), int)), None)
