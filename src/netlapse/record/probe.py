"""The probe: the fixed examples that a run is looked at with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadProbe

if TYPE_CHECKING:
    from jaxtyping import Int, Shaped
    from numpy.typing import ArrayLike, NDArray

# Enough for smooth histograms and pictures, few enough that a replay of hundreds of epochs stays instant.
PROBE_SIZE = 2000
_SEED = 0


@dataclass(frozen=True)
class Probe:
    """Inputs and targets of some examples, and where they stood in the data they were drawn from.

    Shapes: inputs (example, ...), targets (example, ...), index (example,). `total` counts the examples given.
    """

    inputs: Shaped[np.ndarray, "example ..."]
    targets: Shaped[np.ndarray, "example ..."]
    index: Int[np.ndarray, " example"]
    total: int

    @classmethod
    def of(cls, data: tuple[ArrayLike, ArrayLike], name: str, size: int = PROBE_SIZE) -> Probe:
        """Check the examples and keep at most `size` of them, every class in its proportion.

        The sample is fixed by a seed of its own: the same data give the same probe.
        Raises BadProbe for anything that a network could not be evaluated on.
        """
        if not isinstance(data, tuple) or len(data) != 2:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise BadProbe(f"{name} must be a pair (inputs, targets); found {type(data).__name__}")
        inputs, targets = (
            _array(part, f"{name} {kind}") for part, kind in zip(data, ("inputs", "targets"), strict=True)
        )
        if len(inputs) != len(targets):
            raise BadProbe(f"{name} has {len(inputs)} inputs but {len(targets)} targets; pass one target per example")
        if len(inputs) == 0:
            raise BadProbe(f"{name} is empty; pass at least one example")
        if size < 1:
            raise BadProbe(f"{name} would be sampled to {size} examples; pass a probe_size of at least 1")
        index = _stratified(targets, size) if len(inputs) > size else np.arange(len(inputs))
        return cls(inputs[index], targets[index], index, len(inputs))


def _array(values: Any, what: str) -> NDArray[Any]:
    if isinstance(values, dict) or (isinstance(values, list | tuple) and values and hasattr(values[0], "shape")):
        raise BadProbe(f"{what} are several arrays; networks with one input and one output are supported")
    array: NDArray[Any] = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise BadProbe(f"{what} have dtype {array.dtype}; pass numbers")
    if array.ndim == 0:
        raise BadProbe(f"{what} are a single number; pass an array with one row per example")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        where = np.argwhere(~np.isfinite(array))[0]
        raise BadProbe(
            f"{what} hold NaN or infinity, first at {tuple(int(i) for i in where)}; remove or impute such examples"
        )
    return array


def _stratified(targets: NDArray[Any], size: int) -> NDArray[np.intp]:
    generator = np.random.default_rng(_SEED)
    order = generator.permutation(len(targets))
    labels = (
        targets.argmax(axis=-1)
        if targets.ndim == 2 and targets.shape[1] > 1
        else targets.reshape(len(targets), -1)[:, 0]
    )
    classes, codes = np.unique(labels[order], return_inverse=True)
    if len(classes) > size // 2:
        return np.sort(order[:size])  # not classes but quantities, or too many to share out
    # Every example gets the share of its class that it completes; the smallest shares give each class its proportion.
    counts = np.bincount(codes)
    rank = np.empty(len(codes))
    for code, count in enumerate(counts):
        rank[codes == code] = (np.arange(count) + 0.5) / count
    return np.sort(order[np.argsort(rank, kind="stable")[:size]])
