"""What a loss takes an output for, whatever the framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Float
    from numpy.typing import NDArray

    Losses = Callable[[NDArray[Any], NDArray[Any]], Any]

# What makes probabilities of scores. sigmoid: each value is a label of its own; softmax: classes lie on the last axis;
# identity: values are what they are.
Link = Literal["sigmoid", "softmax", "identity"]

# By the activation function that makes an output.
LINKS: dict[str, Link] = {"sigmoid": "sigmoid", "softmax": "softmax", "log_softmax": "softmax"}

# By how much the right class leads. Losses with a margin stop falling within these, those of squared errors stop
# rising; with smoothed labels, the best lead lies beyond.
_LEADS = (-6.0, -3.0, 0.0, 1.2, 2.4)
_SHIFTS = (-2.0, -4.0)


def link_of(losses: Losses | None, shape: Sequence[int]) -> tuple[Link, bool]:
    """The link of an output whose loss this is, and whether its values are probabilities already, not scores.

    Known by what the loss does, since it may be anybody's function. `losses` maps outputs (example, *shape) and
    targets to numbers (example, ...); targets are integer labels (example, place ...), a column of them, or one number
    for each class. What it does not take, it may refuse.
    """
    if losses is None:
        return "identity", False
    units = shape[-1] if shape else 1
    for probabilities in (False, True):
        if units > 1 and _is_cross_entropy(_of_logarithms(losses) if probabilities else losses, shape):
            return "softmax", probabilities
        if _is_binary_cross_entropy(_of_log_odds(losses) if probabilities else losses, shape):
            return "sigmoid", probabilities
    return "identity", False


def _of_logarithms(losses: Losses) -> Losses:
    return lambda outputs, targets: losses(np.exp(outputs), targets)


def _of_log_odds(losses: Losses) -> Losses:
    return lambda outputs, targets: losses(1 / (1 + np.exp(-outputs)), targets)


def _is_cross_entropy(losses: Losses, shape: Sequence[int]) -> bool:
    """Whether it takes the logarithms of the classes' probabilities, or what differs from them by a constant.

    A constant for each place that is added to all classes then changes nothing, or is subtracted where the loss trusts
    that they are logarithms. It falls as the right class gains, ever more slowly.
    """
    places, units = tuple(shape[:-1]), shape[-1]
    scores = np.zeros((len(_LEADS), units))
    scores[:, -1] = _LEADS
    scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
    even = scores[_LEADS.index(0.0)]
    rows = np.stack([*scores, *(even + shift for shift in _SHIFTS), even]).astype(np.float32)
    outputs = np.broadcast_to(rows.reshape(len(rows), *(1 for _ in places), units), (len(rows), *shape)).copy()
    # The last row: another constant for each place.
    outputs[-1] -= np.linspace(0.2, 1, int(np.prod(places)), dtype=np.float32).reshape(*places, 1)
    # The last class: the first may be one that is left out of the loss.
    labels = np.full((len(rows), *places), units - 1)
    one_hot = np.zeros(units, np.float32)
    one_hot[-1] = 1
    for targets in (labels, labels[..., None], np.broadcast_to(one_hot, outputs.shape)):
        found = _evaluated(losses, outputs, targets)
        if found is None:
            continue
        falls, shifted = -np.diff(found[: len(_LEADS)]), found[len(_LEADS) :] - found[_LEADS.index(0.0)]
        near = 0.02 * falls[0]  # half precision has two digits
        invariant = (np.abs(shifted) < near).all()
        subtracted = shifted[0] > near and abs(shifted[1] - 2 * shifted[0]) < near
        if (falls > near / 10).all() and falls[0] > falls[1] / 2 and (invariant or subtracted):
            return True
    return False


def _is_binary_cross_entropy(losses: Losses, shape: Sequence[int]) -> bool:
    """Whether it takes log-odds: between z and -z it differs by a multiple of z, one way for positive and the other for
    negative labels, whatever the other labels are.
    """
    z = np.array([2.0, 4.0])
    signs = np.stack([np.ones(shape), -np.ones(shape), np.ones(shape)])
    signs[2].flat[0] = -1  # the first label alone
    outputs = (z.reshape(2, *(1 for _ in signs.shape)) * signs).reshape(-1, *shape)
    forms = [tuple(shape)] if shape else [()]
    # An only unit may have its label in an axis of its own or not.
    forms += [(), (1,)] if np.prod(shape) == 1 else []
    for form in dict.fromkeys(forms):
        found = [_evaluated(losses, outputs, np.full((len(outputs), *form), label, np.float32)) for label in (1.0, 0.0)]
        if found[0] is None or found[1] is None:
            continue
        positive, negative = (values.reshape(2, 3) for values in (found[0], found[1]))
        gains = np.stack([positive[:, 1] - positive[:, 0], negative[:, 0] - negative[:, 1]]) / z
        first = np.stack([positive[:, 2] - positive[:, 0], negative[:, 0] - negative[:, 2]]) / z
        near = 0.01 * gains.max()
        if (gains > near).all() and all(np.ptp(values, axis=1).max() < near for values in (gains, first)):
            return True
    return False


def _evaluated(losses: Losses, outputs: NDArray[Any], targets: NDArray[Any]) -> Float[np.ndarray, " example"] | None:
    """The mean over the places that count, of each example; None for what the loss does not take."""
    try:
        with np.errstate(all="ignore"):
            values = np.asarray(losses(outputs.astype(np.float32, copy=False), targets.copy()), np.float64).reshape(
                len(outputs), -1
            )
    # Frameworks raise errors of many kinds.
    except Exception:
        return None
    counted = ~np.isnan(values)
    if not counted.any(axis=1).all():
        return None
    return np.where(counted, values, 0).sum(axis=1) / counted.sum(axis=1)
