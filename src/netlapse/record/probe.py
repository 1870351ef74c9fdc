"""The probe: the fixed examples that a run is looked at with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import BadProbe
from ..store.examples import count, each, flat, named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Int
    from numpy.typing import NDArray

    from ..store import Arrays, Examples

# Enough for smooth histograms and pictures, few enough that a replay of hundreds of epochs stays instant.
PROBE_SIZE = 2000
_SEED = 0


@dataclass(frozen=True)
class Probe:
    """Inputs and targets of some examples, and where they stood in the data they were drawn from.

    Shapes: inputs (example, ...), targets (example, ...), index (example,). `total` counts the examples given. Several
    inputs or targets are arrays by name; those given as a list are named by their places, "0", "1", ...
    """

    inputs: Arrays
    targets: Arrays
    index: Int[np.ndarray, " example"]
    total: int

    @classmethod
    def of(cls, data: tuple[Examples, Examples], name: str, size: int = PROBE_SIZE) -> Probe:
        """Check the examples and keep at most `size` of them, every class in its proportion.

        The sample is fixed by a seed of its own: the same data give the same probe.
        Raises BadProbe for anything that a network could not be evaluated on.
        """
        if not isinstance(data, tuple) or len(data) != 2:  # pyright: ignore[reportUnnecessaryIsInstance]
            found = f"a tuple of {len(data)}" if isinstance(data, tuple) else type(data).__name__  # pyright: ignore
            raise BadProbe(f"{name} must be a pair (inputs, targets); found {found}")
        inputs, targets = (
            _arrays(part, f"{name} {kind}") for part, kind in zip(data, ("inputs", "targets"), strict=True)
        )
        total = count(inputs)
        if total != count(targets):
            raise BadProbe(f"{name} has {total} inputs but {count(targets)} targets; pass one target per example")
        if any(array.size == 0 for part in (inputs, targets) for array in named(part).values()):
            raise BadProbe(f"{name} is empty; pass at least one example")
        if size < 1:
            raise BadProbe(f"{name} would be sampled to {size} examples; pass a probe_size of at least 1")
        index = _stratified(targets, size) if total > size else np.arange(total)
        return cls(each(inputs, lambda array: array[index]), each(targets, lambda array: array[index]), index, total)

    def arrays(self, split: str) -> dict[str, NDArray[Any]]:
        """As the run keeps them."""
        inputs, targets = flat(f"{split}/inputs", self.inputs), flat(f"{split}/targets", self.targets)
        return {**inputs, **targets, f"{split}/index": self.index}


def _arrays(values: Any, what: str) -> Arrays:
    if not _are_several(values):
        return _array(values, what)
    parts = cast("dict[Any, Any]", values if isinstance(values, dict) else dict(enumerate(cast("list[Any]", values))))
    arrays = {str(name): _array(part, f"{what} {name!r}") for name, part in parts.items()}
    if len({len(array) for array in arrays.values()}) != 1:
        found = ", ".join(f"{name!r} {len(array)}" for name, array in arrays.items())
        raise BadProbe(f"{what} have different numbers of examples ({found}); pass as many of each")
    return arrays


def _array(values: Any, what: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise BadProbe(f"{what} do not form one array ({error}); pass an array with one row per example") from error
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise BadProbe(f"{what} have dtype {array.dtype}; pass numbers of at most 64 bits")
    if array.ndim == 0:
        raise BadProbe(f"{what} are a single number; pass an array with one row per example")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        where = np.argwhere(~np.isfinite(array))[0]
        raise BadProbe(
            f"{what} hold NaN or infinity, first at {tuple(int(i) for i in where)}; remove or impute such examples"
        )
    return array


def _are_several(values: Any) -> bool:
    if not isinstance(values, list | tuple) or not values:
        return isinstance(values, dict)
    # A list of numbers may hold NumPy's own, which have no axes.
    return getattr(cast("Sequence[Any]", values)[0], "ndim", 0) > 0


def _stratified(wanted: Arrays, size: int) -> NDArray[np.intp]:
    # Of several targets the first decides.
    targets: NDArray[Any] = next(iter(named(wanted).values()))
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
    # Largest remainders: every class gets its share rounded up or down. The rarest, whose share is less than one
    # example, come first, so that as many classes as possible are seen at all.
    shares, remainders = np.divmod(np.bincount(codes) * size, len(codes))
    ranking = np.lexsort((generator.permutation(len(classes)), -remainders, shares > 0))
    shares[ranking[: size - shares.sum()]] += 1
    members = [order[codes == code][:share] for code, share in enumerate(shares)]
    return np.sort(np.concatenate(members))
