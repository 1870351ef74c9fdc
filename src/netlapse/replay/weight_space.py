"""Weight space: the weights of one run, or of several of one architecture, as points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import measures
from ..errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ..store import Run

# Finding a plane takes as long as there are weights times the square of the frames.
_LARGE = 2**27


class Moments:
    """Frames of runs of one architecture, one after the other; each run has its own names of the parameters."""

    def __init__(self, runs: Sequence[tuple[Run, NDArray[np.intp], Mapping[str, str]]]) -> None:
        self._runs = runs

    def __len__(self) -> int:
        return sum(len(numbers) for _, numbers, _ in self._runs)

    def read(self, name: str, rows: slice) -> NDArray[Any]:
        """One parameter at some moments, (moment, ...)."""
        found: list[NDArray[Any]] = []
        start = 0
        for run, numbers, names in self._runs:
            own = numbers[max(rows.start - start, 0) : max(rows.stop - start, 0)]
            if len(own):
                found.append(run.weights(names[name], own))
            start += len(numbers)
        return found[0] if len(found) == 1 else np.concatenate(found)


def weight_plane(
    runs: Sequence[tuple[Run, NDArray[np.intp]]], kind: measures.PlaneKind, seed: int
) -> measures.WeightPlane:
    """The plane of these frames of the runs, through the last one of the first run whose weights are numbers."""
    run, numbers = runs[0]
    most = max(3, plane_frames(run.manifest.parameter_count) // len(runs))
    moments = Moments([(other, _thinned(own, most), counterparts(run, other)) for other, own in runs])
    trainable = trainable_of(run)
    number, centre = _last_finite(run, numbers, trainable)
    epoch = float(run.epochs[number])
    if kind == "pca":
        return measures.principal_plane(moments.read, len(moments), centre, trainable=trainable, epoch=epoch)
    # torch keeps the incoming weights of a unit in a row; the others in a column, as they multiply from the right.
    axis = 0 if run.manifest.framework == "torch" else -1
    return measures.random_plane(
        moments.read, len(moments), centre, trainable=trainable, epoch=epoch, seed=seed, filter_axis=axis
    )


def trainable_of(run: Run) -> list[str]:
    """Names of the run's trainable parameters."""
    return [parameter.name for parameter in run.manifest.parameters if parameter.trainable]


def plane_frames(weights: int) -> int:
    """How many frames a plane of so many weights is made for, at most."""
    return max(128, min(512, _LARGE // weights))


def names_in(plane: measures.WeightPlane, run: Run) -> dict[str, str]:
    """A run's own name of each parameter of a plane. Raises Unsupported if it is of another architecture."""
    parameters = run.manifest.parameters
    if [array.shape for array in plane.centre.values()] != [parameter.shape for parameter in parameters]:
        raise Unsupported(
            f"this plane is not of the weights of run {run.name!r}, which are"
            f" {', '.join(f'{one.name} {one.shape}' for one in parameters)}; make one of this run's architecture"
        )
    return {name: parameter.name for name, parameter in zip(plane.centre, parameters, strict=True)}


def weights_at(run: Run, number: int | np.intp, names: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """All weights of one frame, under other names."""
    return {name: run.weights(own, np.array([number]))[0] for name, own in names.items()}


def counterparts(first: Run, other: Run) -> dict[str, str]:
    """The other run's name of each parameter of the first.

    By place, for the same code run twice calls its layers "dense" and then "dense_1". Raises Unsupported if their
    architectures differ.
    """
    ours, theirs = first.manifest, other.manifest
    if ours.framework != theirs.framework:
        raise Unsupported(
            f"run {first.name!r} was recorded in {ours.framework} and run {other.name!r} in {theirs.framework}; weights"
            " can be compared within one framework only"
        )
    if len(ours.parameters) != len(theirs.parameters):
        raise Unsupported(
            f"runs {first.name!r} and {other.name!r} have {len(ours.parameters)} and {len(theirs.parameters)}"
            " parameters; weights can be compared within one architecture only"
        )
    for one, two in zip(ours.parameters, theirs.parameters, strict=True):
        if (one.shape, one.trainable, _role(one.name)) != (two.shape, two.trainable, _role(two.name)):
            raise Unsupported(
                f"run {first.name!r} has {one.name} {one.shape} where run {other.name!r} has {two.name} {two.shape};"
                " weights can be compared within one architecture only"
            )
    kinds = [[layer.type for layer in manifest.layers] for manifest in (ours, theirs)]
    if kinds[0] != kinds[1]:
        raise Unsupported(
            f"the layers of run {first.name!r} are {', '.join(kinds[0])}, those of run {other.name!r}"
            f" {', '.join(kinds[1])}; weights can be compared within one architecture only"
        )
    return {one.name: two.name for one, two in zip(ours.parameters, theirs.parameters, strict=True)}


def _role(name: str) -> str:
    """What a parameter is to its layer, such as "kernel"."""
    return name.replace(".", "/").rsplit("/", 1)[-1]


def _thinned(numbers: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Evenly spaced ones, the first and the last in any case."""
    return numbers[np.unique(np.linspace(0, len(numbers) - 1, min(len(numbers), most)).round().astype(int))]


def _last_finite(run: Run, numbers: NDArray[np.intp], trainable: list[str]) -> tuple[np.intp, dict[str, NDArray[Any]]]:
    for number in numbers[::-1]:
        weights = weights_at(run, number, {parameter.name: parameter.name for parameter in run.manifest.parameters})
        if all(np.isfinite(weights[name]).all() for name in trainable):
            return number, weights
    raise Unsupported(f"no frame of run {run.name!r} has weights that are all numbers; look at an earlier part of it")
