"""Any loss as one that has a number for each example, or for each place of it."""

from __future__ import annotations

import copy
import inspect
import math
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .arrays import assembled

if TYPE_CHECKING:
    from collections.abc import Mapping


class Loss:
    """An nn loss, a function of torch.nn.functional, or any function of outputs and targets.

    Those of torch's are asked for one number per example, and are given targets in the shape and dtype that they take;
    any other is given what the module returned, and the probe's targets as they are.
    """

    def __init__(self, loss: Any) -> None:
        function: Any = getattr(loss, "func", loss)
        home = function.__module__ if hasattr(function, "__name__") else type(function).__module__
        self._is_torchs = str(home).startswith("torch.nn.")
        parameters = _parameters(loss)
        if isinstance(loss, nn.Module):
            self.module: nn.Module | None = copy.copy(loss)
            if hasattr(loss, "reduction"):
                vars(self.module)["reduction"] = "none"
            self._function: Any = self.module
        else:
            self.module = None
            self._function = partial(loss, reduction="none") if "reduction" in parameters else loss
        self._ignored: Any = getattr(loss, "ignore_index", parameters.get("ignore_index"))

    def __call__(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Any:
        """Loss of each example, or of each of its places (example, place ...); NaN where it does not count."""
        given, wanted = assembled(outputs), assembled(targets)
        if not isinstance(given, Tensor) or not isinstance(wanted, Tensor):
            return self._function(given, wanted)
        values: Any = self._of_torch(given, wanted) if self._is_torchs else self._function(given, wanted)
        if isinstance(self._ignored, int) and not wanted.is_floating_point() and isinstance(values, Tensor):
            places = wanted.reshape(wanted.shape[:1] + values.shape[1:]) if _same(wanted, values) else None
            values = values if places is None else torch.where(places == self._ignored, math.nan, values)
        return values

    def _of_torch(self, outputs: Tensor, targets: Tensor) -> Any:
        if _same(outputs, targets):
            targets = targets.reshape(outputs.shape)
            if not targets.is_floating_point():
                try:
                    return self._function(outputs, targets.to(outputs.dtype))
                except RuntimeError:  # one of classes, which are whole numbers
                    return self._function(outputs, targets)
        elif targets.ndim == outputs.ndim and targets.shape[-1] == 1:
            targets = targets.squeeze(-1)
        # torch has the classes before the places, networks have them last.
        fits = outputs.shape[2:] == targets.shape[1:]
        if outputs.ndim > 2 and not fits and outputs.shape[1:-1] == targets.shape[1:]:
            outputs = outputs.movedim(-1, 1)
        return self._function(outputs, targets)


def _parameters(loss: Any) -> dict[str, Any]:
    try:
        return {name: entry.default for name, entry in inspect.signature(loss).parameters.items()}
    except (TypeError, ValueError):
        return {}


def _same(first: Tensor, second: Tensor) -> bool:
    """Whether both have as many numbers for an example."""
    return math.prod(first.shape[1:]) == math.prod(second.shape[1:])
