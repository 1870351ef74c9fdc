"""Which of many are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Int, Shaped


def chosen(wanted: Sequence[int] | None, total: int, what: str, most: int) -> Int[np.ndarray, " chosen"]:
    """The wanted ones of so many, counted from 0; for None the first, `most` at most. Raises UnknownName."""
    if wanted is None:
        return np.arange(min(total, most))
    found = np.asarray(wanted, int).reshape(-1)
    beyond = [int(one) for one in found if not 0 <= one < total]
    if beyond or not len(found):
        raise UnknownName(f"there is no {what} {beyond[0] if beyond else ''}; choose some of 0 to {total - 1}")
    return found


def first_of_each(targets: Shaped[np.ndarray, "example ..."], most: int) -> Int[np.ndarray, " chosen"]:
    """The first example of each class, by label, of `most` classes; simply the first examples where there are none.

    Targets are classes where they are whole numbers, or of one 1 among zeros.
    """
    labels = _labels(targets)
    if labels is None:
        return np.arange(min(len(targets), most))
    return np.unique(labels, return_index=True)[1][:most]


def _labels(targets: Shaped[np.ndarray, "example ..."]) -> Int[np.ndarray, " example"] | None:
    if targets.ndim == 2 and targets.shape[1] > 1:
        one_hot = np.isin(targets, (0, 1)).all() and (targets.sum(axis=1) == 1).all()
        return targets.argmax(axis=1) if one_hot else None
    values = targets.reshape(len(targets), -1)
    whole = values.shape[1] == 1 and np.isfinite(values).all() and (values == values.round()).all()
    return values[:, 0].astype(int) if whole else None
