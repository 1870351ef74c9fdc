"""Binary classification: labels, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import Unsupported

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Shaped


def labels(targets: Shaped[np.ndarray, "example ..."]) -> Bool[np.ndarray, " example"]:
    """True for positive examples. Raises Unsupported unless there is one label, 0 or 1, per example."""
    if targets.ndim > 2 or (targets.ndim == 2 and targets.shape[1] != 1):
        raise Unsupported(
            f"targets have shape {targets.shape}; this view shows binary classification, one label 0 or 1 per example"
        )
    values = targets.reshape(len(targets))
    found = np.unique(values)
    if not np.isin(found, (0, 1)).all():
        shown = ", ".join(f"{value:g}" for value in found[:6]) + (", ..." if len(found) > 6 else "")
        raise Unsupported(f"targets hold the labels {shown}; this view shows binary classification with labels 0 and 1")
    return values == 1


def logits_of(values: Float[np.ndarray, "frame example ..."]) -> Float[np.ndarray, "frame example"]:
    """Drop the axis of the single output unit. Raises Unsupported if there are more units."""
    if values.ndim == 2:
        return values
    if values.ndim == 3 and values.shape[2] == 1:
        return values[:, :, 0]
    raise Unsupported(
        f"the output has shape {values.shape[2:]} per example; this view shows binary classification: one output unit"
    )


def wrong(
    logits: Float[np.ndarray, "frame example"], positive: Bool[np.ndarray, " example"]
) -> Bool[np.ndarray, "frame example"]:
    """Where the prediction (positive where the logit is above 0) differs from the label; NaN is wrong."""
    return np.where(positive, ~(logits > 0), ~(logits <= 0))
