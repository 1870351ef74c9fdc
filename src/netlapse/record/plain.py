"""Values as JSON knows them."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np


def one_or_all(names: list[str]) -> Any:
    """The name, if all are the same; all of them otherwise, and None for none."""
    return names[0] if len(set(names)) == 1 else names or None


def plain(value: Any) -> Any:
    """The value as JSON knows it; what JSON cannot say becomes text."""
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return _plain_float(value)
    if isinstance(value, np.generic) or (hasattr(value, "item") and getattr(value, "ndim", None) == 0):
        return plain(value.item())
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in cast("dict[Any, Any]", value).items() if entry is not None}
    if isinstance(value, list | tuple | set | np.ndarray):
        return [plain(entry) for entry in cast("list[Any]", value)]
    return str(value)


def _plain_float(value: float) -> float | str:
    if not math.isfinite(value):
        return str(value)
    # What was a float32 is written as a person would: 0.05, not 0.05000000074505806.
    if abs(value) < np.finfo(np.float32).max and float(np.float32(value)) == value:
        return float(str(np.float32(value)))
    return value
