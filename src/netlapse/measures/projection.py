"""Layers of any width in a plane: orthonormal projections, each the same for every frame.

Such a projection shortens or keeps every distance and every movement and lengthens none; `honesty` says by how much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Unsupported
from .directions import finite, leading, mean, nearest_orthonormal, orthonormal

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped


_LIFTED = 512


@dataclass(frozen=True)
class Projection:
    """An orthonormal projection of a layer's units, or of flattened inputs, onto a plane.

    `origin` is the point drawn at (0, 0), the columns of `basis` are orthonormal; `method` says in words where they
    come from, and `axes` what is drawn to the right and upwards.
    """

    method: str
    axes: tuple[str, str]
    origin: Float[np.ndarray, " unit"]
    basis: Float[np.ndarray, "unit 2"]

    def __call__(self, points: Float[np.ndarray, "... unit"]) -> Float[np.ndarray, "... 2"]:
        """Where the points are drawn. What is not finite is drawn nowhere: NaN, or infinitely far away."""
        with np.errstate(invalid="ignore"):
            return (points - self.origin) @ self.basis

    def lift(
        self, places: Float[np.ndarray, "... 2"], through: Float[np.ndarray, " unit"]
    ) -> Float[np.ndarray, "... unit"]:
        """The points drawn at these places, of all planes parallel to the basis in that which holds `through`."""
        return through + (places - self(through)) @ self.basis.T

    def lift_to(
        self, target: Shaped[np.ndarray, "point unit"], places: Float[np.ndarray, "point 2"], through: np.ndarray
    ) -> None:
        """`lift` into an array that is there, a few points at a time.

        Of images, all points in double precision would take more memory than everything else.
        """
        for start in range(0, len(places), _LIFTED):
            part = places[start : start + _LIFTED]
            target[start : start + len(part)] = self.lift(part, through)


def pca(pooled: Float[np.ndarray, "... unit"]) -> Projection:
    """The plane of the two principal directions of all points, about their mean.

    Points with values that are not finite are left out. Where the points vary along fewer than two directions, axes
    of units complete the basis. Raises Unsupported below two units, as all projections do.
    """
    rows = _finite_rows(pooled)
    origin = mean(rows)
    axes = ("1st principal direction", "2nd principal direction")
    return Projection("PCA", axes, origin, orthonormal(leading(rows, origin, 2)))


def class_means(pooled: Float[np.ndarray, "... unit"], labels: Shaped[np.ndarray, "*frame example"]) -> Projection:
    """The plane through the class means: of three or more, that of the two principal directions of the means.

    Each class counts alike, however many examples it has. If the means lie on a line, as those of two classes do,
    the second direction is the principal one of what is left of the points. `labels` has one label per point, or
    per point of a frame. Raises Unsupported below two classes.
    """
    rows = pooled.reshape(-1, _wide(pooled.shape[-1]))
    classes = np.tile(labels.reshape(-1), len(rows) // labels.size)
    keep = finite(rows)
    names = np.unique(classes[keep])
    if len(names) < 2:
        raise Unsupported(f"the plane through class means needs two classes, but there are {len(names)}; use PCA")
    means = np.stack([mean(rows[keep & (classes == name)]) for name in names])
    origin = means.mean(axis=0)
    found = leading(means, origin, 2)
    axes = ("1st direction of the class means", "2nd direction of the class means")
    if found.shape[1] < 2:
        axes = ("direction of the class means", "1st principal direction of what is left")
        rows = rows[keep]
        found = np.column_stack([found, leading(rows, mean(rows), 2, beside=found)])[:, :2]
    return Projection("class means", axes, origin, orthonormal(found))


def units(first: int, second: int, count: int) -> Projection:
    """Two units of a layer of `count` as they are, counted from 0: the identity for a layer of two units."""
    _wide(count)
    if first == second or not (0 <= first < count and 0 <= second < count):
        raise Unsupported(
            f"units {first} and {second} span no plane of a layer of {count}; choose two of 0 to {count - 1}"
        )
    basis = np.zeros((count, 2))
    basis[[first, second], [0, 1]] = 1
    return Projection(f"units {first} and {second}", (f"unit {first}", f"unit {second}"), np.zeros(count), basis)


def through(points: Float[np.ndarray, "3 unit"], numbers: tuple[int, ...]) -> Projection:
    """The plane through three examples, which have these numbers. Raises Unsupported if they lie on a line."""
    _wide(points.shape[-1])
    origin = points.mean(axis=0)
    first, second = points[1] - points[0], points[2] - points[0]
    span, lengths, _ = np.linalg.svd(np.stack([first, second], axis=1), full_matrices=False)
    if lengths[1] <= 1e-9 * lengths[0]:
        raise Unsupported(
            f"examples {', '.join(map(str, numbers))} lie on one line, which spans no plane; choose others"
        )
    names = f"the plane through examples {', '.join(map(str, numbers[:2]))} and {numbers[2]}"
    axes = (f"1st direction of {names}", "2nd direction, at right angles")
    return Projection(names, axes, origin, orthonormal(span))


def linear_layer(kernel: Float[np.ndarray, "unit 2"], name: str) -> Projection:
    """The plane that a linear layer of two units looks at, such as one learnt to be looked at.

    The basis is the orthonormal one nearest to the layer's kernel (its polar factor), so that the picture is the
    layer's own up to shearing and stretching within the plane. Raises Unsupported for other kernels.
    """
    if kernel.ndim != 2 or kernel.shape[1] != 2 or not np.isfinite(kernel).all():
        raise Unsupported(
            f"the kernel of layer {name!r} has shape {kernel.shape} or is not finite; a plane is read from a finite one"
            " of shape (unit, 2)"
        )
    origin = np.zeros(_wide(len(kernel)))
    axes = (f"unit 0 of {name!r}, orthonormalised", f"unit 1 of {name!r}, orthonormalised")
    return Projection(f"layer {name!r}", axes, origin, nearest_orthonormal(kernel.astype(float)))


@dataclass(frozen=True)
class Tour:
    """A grand tour: a smooth path through the projections onto planes, from that of the PCA through random ones.

    It stays among `directions`, the leading principal ones: of a wide layer, nearly all other planes show next to
    nothing. Between the planes at positions 0, 1, 2, ... it takes the shortest way, without turning within the
    plane, and slows down at each so that the speed never jumps.

    After Asimov, "The grand tour" (1985), and Buja et al., "Computational methods for high-dimensional rotations in
    data visualization" (2005).
    """

    origin: Float[np.ndarray, " unit"]
    directions: Float[np.ndarray, "unit direction"]
    seed: int = 0

    def __call__(self, position: float) -> Projection:
        """The projection at a position of 0 or more on the path: a plain function of it."""
        if not 0 <= position < np.inf:
            raise ValueError(f"position is {position}; a tour begins at 0 and has no end")
        stop, share = divmod(position, 1)
        size = self.directions.shape[1]
        frame = np.eye(size, 2)
        for number in range(int(stop)):
            frame = _turned(frame, self._frame(number + 1), 1)
        if share:
            frame = _turned(frame, self._frame(int(stop) + 1), share**2 * (3 - 2 * share))
        axes = ("1st direction of the tour", "2nd direction of the tour")
        return Projection("grand tour", axes, self.origin, self.directions @ frame)

    def _frame(self, number: int) -> Float[np.ndarray, "direction 2"]:
        generator = np.random.default_rng([self.seed, number])
        return np.linalg.qr(generator.normal(size=(self.directions.shape[1], 2)))[0]


def tour(pooled: Float[np.ndarray, "... unit"], position: float, seed: int = 0) -> Projection:
    """One projection of the grand tour through the points. For many, keep `tour_of(pooled, seed)` and call it."""
    return tour_of(pooled, seed)(position)


def tour_of(pooled: Float[np.ndarray, "... unit"], seed: int = 0, *, directions: int = 10) -> Tour:
    """The grand tour among the leading principal directions of all points, fewer if they vary along fewer."""
    rows = _finite_rows(pooled)
    origin = mean(rows)
    found = leading(rows, origin, directions)
    return Tour(origin, orthonormal(found, max(2, found.shape[1])), seed)


def drag(projection: Projection, unit: int, dx: float, dy: float) -> Projection:
    """The projection after the end of a unit's axis was dragged by (dx, dy) in the picture.

    The axis follows exactly, and at most to length 1, the longest an axis can be drawn; the other rows of the basis
    change as little as keeps it orthonormal. In a layer of two units, all that can be done is to rotate.
    After Li, Zhao and Scheidegger, "Visualizing neural networks with the grand tour" (2020), who orthonormalise the
    other rows one after the other.
    """
    basis, moved = projection.basis, projection.basis[unit] + (dx, dy)
    rest = np.delete(basis, unit, axis=0)
    length = float(np.linalg.norm(moved))
    if len(basis) == 2:
        if length == 0:
            return projection
        moved /= length
        across = np.array([-moved[1], moved[0]])
        others = across[None] * np.sign(np.linalg.det(basis)) * (1 if unit == 0 else -1)
    else:
        moved /= max(1.0, length)
        # What the other rows must add to the moved one for the columns to be orthonormal, and its square root.
        share = 1 - np.sqrt(max(0.0, 1 - float(moved @ moved)))
        root = np.eye(2) - share * np.outer(moved, moved) / max(float(moved @ moved), np.finfo(float).tiny)
        others = nearest_orthonormal(rest @ root) @ root
    axes = ("1st direction, dragged", "2nd direction, dragged")
    method = projection.method.removesuffix(", dragged") + ", dragged"
    return replace(projection, method=method, axes=axes, basis=np.insert(others, unit, moved, axis=0))


def _turned(
    start: Float[np.ndarray, "unit 2"], stop: Float[np.ndarray, "unit 2"], share: float
) -> Float[np.ndarray, "unit 2"]:
    """A frame on the shortest way from one plane to another, turned by this share of the angles between them."""
    left, cosines, right = np.linalg.svd(start.T @ stop)
    near, far = start @ left, stop @ right.T
    across = far - near * cosines
    lengths = np.linalg.norm(across, axis=0)
    angles = np.arctan2(lengths, cosines)
    across /= np.where(lengths > 1e-12, lengths, np.inf)
    return nearest_orthonormal((near * np.cos(share * angles) + across * np.sin(share * angles)) @ left.T)


def _wide(count: int) -> int:
    if count < 2:
        raise Unsupported(f"there is no plane in a layer of {count} units; this view shows layers of two or more")
    return count


def _finite_rows(pooled: Float[np.ndarray, "... unit"]) -> Float[np.ndarray, "row unit"]:
    rows = pooled.reshape(-1, _wide(pooled.shape[-1]))
    keep = finite(rows)
    return rows if keep.all() else rows[keep]
