"""The space of all trainable weights of a network: the plane in which a run moved most, and its way through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import Unsupported
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jaxtyping import Float
    from numpy.typing import NDArray

    # Arrays by parameter.
    Weights = Mapping[str, NDArray[Any]]
    # One parameter (moment, ...) at some of the moments that are looked at.
    Read = Callable[[str, slice], NDArray[Any]]

PlaneKind = Literal["pca", "random"]

# What is held of the weights at a time as they were recorded, twice over while they are read.
BLOCK_BYTES = 12 * 2**20
# Weights of all moments held in double precision at a time.
_PIECE = 2**18
# A second direction with less than this share of the movement is rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class WeightPlane:
    """A plane in weight space: `centre` + x first + y second, over all trainable parameters.

    `centre` holds all weights of one frame, that of `epoch`; those that are not trainable (BatchNorm statistics) are
    the same all over the plane. `directions` are (2, ...) for each trainable parameter:

    - "pca": the two orthonormal directions whose plane through the centre lies nearest to the run's weights, so that
      distances are those of weight space (Lorch 2016; Li et al. 2018, section 7). They are not filter-normalised.
    - "random": Gaussian directions, of which each filter (the incoming weights of one unit) is as long as that
      filter of the centre; biases and BatchNorm's parameters do not move (Li et al. 2018, section 4).

    `points` are the places of the moments that the plane was made for. `shares` are the parts of their squared distance
    from the centre that lie along each direction; `kept` is the part that lies in the plane.
    """

    kind: PlaneKind
    epoch: float
    centre: Weights
    directions: Mapping[str, Float[np.ndarray, "2 ..."]]
    points: Float[np.ndarray, "moment 2"]
    shares: tuple[float, float]
    kept: float

    @property
    def keeps_state(self) -> bool:
        """Whether there are BatchNorm statistics or the like, which are the centre's all over the plane."""
        return any(self.centre[name].dtype.kind == "f" for name in self.centre.keys() - self.directions.keys())

    def weights(self, points: Float[np.ndarray, "point 2"]) -> dict[str, NDArray[Any]]:
        """All weights at some points of the plane, by parameter (point, ...)."""
        found: dict[str, NDArray[Any]] = {}
        for name, array in self.centre.items():
            if name in self.directions:
                moved = points.astype(np.float32) @ self.directions[name].reshape(2, -1)
                moved = moved.reshape(len(points), *array.shape)
                moved += array
                found[name] = moved.astype(array.dtype, copy=False)
            else:
                found[name] = np.broadcast_to(array, (len(points), *array.shape))
        return found


@dataclass(frozen=True)
class Trajectory(Timeline):
    """The way of a run through weight space, seen in a plane.

    `coordinates` of the point of the plane nearest to each frame's weights, `distance` of the weights from that point
    and `moved`, their distance from the plane's centre (both Euclidean, over all trainable weights). `loss` is the
    probe's mean with the frame's own weights, which do not lie in the plane; None where it was not asked for. Frames
    whose weights are not all numbers have NaN.
    """

    plane: WeightPlane
    coordinates: Float[np.ndarray, "frame 2"]
    distance: Float[np.ndarray, " frame"]
    moved: Float[np.ndarray, " frame"]
    loss: Float[np.ndarray, " frame"] | None = None

    @property
    def kept(self) -> float:
        """Share of the frames' squared distance from the centre that lies in the plane; NaN if they are the centre."""
        total = float(np.nansum(self.moved**2))
        return 1 - float(np.nansum(self.distance**2)) / total if total else float("nan")


def principal_plane(read: Read, moments: int, centre: Weights, *, trainable: list[str], epoch: float) -> WeightPlane:
    """The plane through the centre that is nearest to the weights of all moments.

    Its directions are the first two right singular vectors of the matrix (moment, weight) of differences from the
    centre, found from its Gram matrix (moment, moment) in double precision. They point so that the moment furthest
    along the first lies at the left, the one furthest along the second above. Raises Unsupported if the weights never
    moved, or along a line only.
    """
    gram = _gram(read, moments, centre, trainable)
    finite = np.isfinite(gram.diagonal())
    values, vectors = np.linalg.eigh(gram[np.ix_(finite, finite)])
    values, vectors = values[:-3:-1], vectors[:, :-3:-1]
    if len(values) == 0 or values[0] <= 0:
        raise Unsupported(
            f"the weights of all {moments} frames looked at are the same; record a run that has trained for some steps"
        )
    if len(values) == 1 or values[1] <= _ROUNDING * values[0]:
        raise Unsupported(
            f"the weights of the {moments} frames looked at lie on a line, which has no plane; take more frames, or the"
            ' plane of random directions (kind="random")'
        )
    extremes = vectors[np.abs(vectors).argmax(axis=0), [0, 1]]
    mix = np.zeros((moments, 2))
    mix[finite] = vectors * np.sign(extremes) * [-1, 1] / np.sqrt(values)
    directions: dict[str, NDArray[Any]] = {}
    for name in trainable:
        found = np.zeros((2, centre[name].size))
        for rows in _blocks(moments, centre[name]):
            block = read(name, rows)
            for piece, moves in _moves(block, centre[name]):
                found[:, piece] += mix[rows][finite[rows]].T @ moves[finite[rows]]
        directions[name] = found.reshape(2, *centre[name].shape).astype(np.float32)
    return _plane("pca", epoch, centre, directions, read, moments)


def random_plane(
    read: Read,
    moments: int,
    centre: Weights,
    *,
    trainable: list[str],
    epoch: float,
    seed: int,
    filter_axis: Literal[0, -1],
) -> WeightPlane:
    """The plane of two random directions through the centre, filter-normalised after Li et al. (2018).

    `filter_axis` is the axis along which the filters of a kernel lie side by side. What has less than two axes or is
    named a bias does not move. Raises Unsupported if nothing is left that moves.
    """
    generator = np.random.default_rng(seed)
    directions: dict[str, NDArray[Any]] = {}
    for name in trainable:
        array = centre[name].astype(float)
        directions[name] = np.zeros((2, *array.shape), np.float32)
        if array.ndim > 1 and name.replace(".", "/").rsplit("/", 1)[-1] != "bias":
            for one in directions[name]:
                drawn = generator.standard_normal(array.shape)
                one[:] = drawn * (filter_norms(array, filter_axis) / filter_norms(drawn, filter_axis))
    if not any(direction.any() for direction in directions.values()):
        raise Unsupported(
            "no kernel of this network has weights other than zero, so that none gives a random direction a length"
        )
    return _plane("random", epoch, centre, directions, read, moments)


def filter_norms(kernel: NDArray[Any], axis: int) -> NDArray[Any]:
    """Euclidean length of each filter of a kernel, which lie side by side along `axis`; all axes are kept."""
    others = tuple(set(range(kernel.ndim)) - {axis % kernel.ndim})
    return np.sqrt((kernel.astype(float) ** 2).sum(axis=others, keepdims=True))


def trajectory(
    read: Read,
    plane: WeightPlane,
    *,
    epochs: Float[np.ndarray, " frame"],
    loss: Float[np.ndarray, " frame"] | None = None,
) -> Trajectory:
    """Where the weights of all frames lie in a plane, and how far from it."""
    products, squares = _projections(read, len(epochs), plane.centre, plane.directions)
    coordinates = np.linalg.solve(_metric(plane.directions), products.T).T
    # Never below zero, but for rounding.
    rest = np.maximum(squares - (products * coordinates).sum(axis=1), 0)
    return Trajectory(epochs, plane, coordinates, np.sqrt(rest), np.sqrt(squares), loss)


def _plane(
    kind: PlaneKind, epoch: float, centre: Weights, directions: Weights, read: Read, moments: int
) -> WeightPlane:
    products, squares = _projections(read, moments, centre, directions)
    metric = _metric(directions)
    points = np.linalg.solve(metric, products.T).T
    total = float(np.nansum(squares))
    first, second = np.nansum(products**2, axis=0) / metric.diagonal() / total if total else (0.0, 0.0)
    kept = float(np.nansum(products * points)) / total if total else 0.0
    return WeightPlane(kind, epoch, centre, directions, points, (float(first), float(second)), kept)


def _metric(directions: Weights) -> Float[np.ndarray, "2 2"]:
    flat = [direction.reshape(2, -1).astype(float) for direction in directions.values()]
    return sum((part @ part.T for part in flat), np.zeros((2, 2)))


def _projections(
    read: Read, moments: int, centre: Weights, directions: Weights
) -> tuple[Float[np.ndarray, "moment 2"], Float[np.ndarray, " moment"]]:
    """Inner products of the differences from the centre with both directions, and with themselves."""
    products, squares = np.zeros((moments, 2)), np.zeros(moments)
    for name, direction in directions.items():
        flat = direction.reshape(2, -1)
        for rows in _blocks(moments, centre[name]):
            for piece, moves in _moves(read(name, rows), centre[name]):
                products[rows] += moves @ flat[:, piece].T
                squares[rows] += (moves**2).sum(axis=1)
    broken = ~np.isfinite(squares)
    products[broken], squares[broken] = np.nan, np.nan
    return products, squares


def _gram(read: Read, moments: int, centre: Weights, names: list[str]) -> Float[np.ndarray, "moment moment"]:
    """Inner products of the differences from the centre of every two moments, some weights of all moments at a time."""
    gram = np.zeros((moments, moments))
    for name in names:
        size = centre[name].size
        for part in _slices(size, max(1, BLOCK_BYTES // (moments * centre[name].itemsize))):
            block = np.empty((moments, part.stop - part.start), centre[name].dtype)
            for rows in _blocks(moments, centre[name]):
                block[rows] = read(name, rows).reshape(-1, size)[:, part]
            for _, moves in _moves(block, centre[name].reshape(-1)[part]):
                with np.errstate(invalid="ignore", over="ignore"):  # weights that have diverged
                    gram += moves @ moves.T
    return gram


def _blocks(moments: int, parameter: NDArray[Any]) -> list[slice]:
    return _slices(moments, max(1, BLOCK_BYTES // max(1, parameter.nbytes)))


def _slices(total: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]


def _moves(block: NDArray[Any], centre: NDArray[Any]) -> Iterator[tuple[slice, Float[np.ndarray, "moment weight"]]]:
    """Differences from the centre in double precision, some weights at a time."""
    flat, middle = block.reshape(len(block), -1), centre.reshape(-1)
    for piece in _slices(len(middle), max(1, _PIECE // len(block))):
        with np.errstate(invalid="ignore"):  # infinity
            yield piece, flat[:, piece].astype(float) - middle[piece].astype(float)
