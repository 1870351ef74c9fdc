"""What is set of a training: settings of the optimiser, its parameter groups and schedulers, loss and network."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from ..record import one_or_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch.optim import Optimizer

    from ..store import Layer, Parameter

# What a scheduler counts or was made for, which is no setting of it.
_RUNNING = ["optimizer", "last_epoch", "base_lrs", "verbose", "T_i", "T_cur"]
_OF_PLATEAUS = ["best", "num_bad_epochs", "cooldown_counter", "mode_worse", "default_min_lr"]


def network_settings(layers: Sequence[Layer], parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Hyper-parameters of the network."""
    parameters = list(parameters)
    hidden = [layer.activation for layer in layers[:-1] if layer.activation not in (None, "linear")]
    return {
        "activation": one_or_all(hidden),
        "layers": len(layers),
        "units": [layer.units for layer in layers],
        "parameters": sum(math.prod(parameter.shape) for parameter in parameters),
        "dtype": one_or_all([parameter.dtype for parameter in parameters if "float" in parameter.dtype]),
    }


def training_settings(optimizers: Sequence[Optimizer], schedulers: Sequence[Any], loss: Any) -> dict[str, Any]:
    """Hyper-parameters of the training, in one flat dict, so that two runs can be compared entry by entry."""
    values: dict[str, Any] = {"seed": torch.initial_seed()}
    if loss is not None:
        values["loss"] = loss_name(loss)
    for number, optimizer in enumerate(optimizers):
        values |= _optimizer(optimizer, f"optimizers.{number}." if number else "")
    for number, scheduler in enumerate(schedulers):
        values |= _scheduler(scheduler, f"schedulers.{number}" if number else "scheduler")
    return values


def learning_rates(optimizers: Iterable[Optimizer]) -> dict[str, Any]:
    """The learning rate of each parameter group: "learning_rate", "learning_rate/1", ..."""
    rates: dict[str, Any] = {}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            name = f"learning_rate/{len(rates)}" if rates else "learning_rate"
            rate = group.get("lr", math.nan)
            # One in a tensor is changed in place.
            rates[name] = rate.clone() if isinstance(rate, Tensor) else rate
    return rates


def loss_name(loss: Any) -> str:
    """Name of a loss, such as "bce_with_logits" of BCEWithLogitsLoss and "cross_entropy" of both kinds there are."""
    function = getattr(loss, "func", loss)  # of a partial
    name = str(getattr(function, "__name__", None) or type(function).__name__)
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    return words.removesuffix("_loss") or name


def _optimizer(optimizer: Optimizer, prefix: str) -> dict[str, Any]:
    first, *others = optimizer.param_groups
    values = {
        f"{prefix}optimizer": type(optimizer).__name__,
        f"{prefix}learning_rate": first.get("initial_lr", first.get("lr")),
        **{f"{prefix}optimizer.{name}": value for name, value in _settings(first).items() if name != "lr"},
    }
    for number, group in enumerate(others, start=1):
        differing = {name: value for name, value in _settings(group).items() if value != _settings(first).get(name)}
        values |= {f"{prefix}optimizer.groups.{number}.{name}": value for name, value in differing.items()}
    return values


def _settings(group: Mapping[str, Any]) -> dict[str, Any]:
    settings = {name: value for name, value in group.items() if name not in ("params", "param_names", "initial_lr")}
    # What a scheduler begins with, not what it made of that.
    return {**settings, "lr": group["initial_lr"]} if "initial_lr" in group else settings


def _scheduler(scheduler: Any, name: str) -> dict[str, Any]:
    values: dict[str, Any] = {name: type(scheduler).__name__}
    for key, value in cast("dict[str, Any]", vars(scheduler)).items():
        if key == "_schedulers":
            for number, inner in enumerate(value):
                values |= _scheduler(inner, f"{name}.{number}")
        elif key == "lr_lambdas":
            values[f"{name}.{key}"] = [getattr(function, "__name__", type(function).__name__) for function in value]
        elif isinstance(value, Counter):  # milestones
            values[f"{name}.{key}"] = sorted(cast("Counter[int]", value).elements())
        elif key == "_milestones" or (
            not key.startswith("_") and key not in [*_RUNNING, *_OF_PLATEAUS] and _is_setting(value)
        ):
            values[f"{name}.{key.removeprefix('_')}"] = value
    return values


def _is_setting(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_setting, cast("list[Any]", value)))
    return isinstance(value, bool | int | float | str | Tensor)
