"""Whether examples can be a probe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..errors import BadProbe
from ..record import Probe
from ..store.examples import named


def probe_of(data: Any, name: str, size: int) -> Probe:
    """The probe of arrays, or of tensors on any device. Raises BadProbe for what is no pair of inputs and targets."""
    if isinstance(data, DataLoader | Dataset):
        kind = type(cast("Any", data)).__name__
        raise BadProbe(
            f"{name} is a {kind}; pass the inputs and targets of some examples, {name}=(X, y), such as"
            " one batch or the tensors of a TensorDataset"
        )
    if isinstance(data, list) and all(isinstance(part, Tensor) for part in cast("list[Any]", data)):
        data = tuple(cast("list[Any]", data))  # a batch, as a DataLoader gives it
    return Probe.of(_arrays(data), name, size)


def require_alike(validation: Probe, probe: Probe) -> None:
    """Raise BadProbe unless the network that takes the probe can take these examples too."""
    for kind in ("inputs", "targets"):
        found, wanted = (
            {key: array.ndim for key, array in named(getattr(each, kind)).items()} for each in (validation, probe)
        )
        if found != wanted:
            raise BadProbe(
                f"validation {kind} have the axes {found or 'of none'}, but those of the probe {wanted}; pass examples"
                " of the same kind"
            )


def _arrays(data: Any) -> Any:
    """The data with arrays in place of tensors."""
    if isinstance(data, Tensor):
        values = data.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    if isinstance(data, Mapping):
        return {key: _arrays(value) for key, value in cast("Mapping[Any, Any]", data).items()}
    if isinstance(data, tuple):
        return tuple(map(_arrays, cast("tuple[Any, ...]", data)))
    if isinstance(data, list) and any(isinstance(part, Tensor) for part in cast("list[Any]", data)):
        return list(map(_arrays, cast("list[Any]", data)))
    return cast("Any", data)
