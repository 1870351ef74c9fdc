"""Orthonormal directions among the units of a layer: the leading principal ones, and bases of planes."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jaxtyping import Bool, Float

    Directions = Float[np.ndarray, "unit direction"]

# What is larger than this has diverged: sums of its squares would be infinite.
_HUGE = 1e60
# The share of all scatter below which the scatter along a direction is rounding: a millionth of the length.
_ROUNDING = 1e-12
# Eigenvectors are computed all at once of matrices of at most so many rows; and values looked at in float64 at a time.
_SIDE = 1024
_VALUES = 2**19


def finite(rows: Float[np.ndarray, "row unit"]) -> Bool[np.ndarray, " row"]:
    """Which rows have nothing but values that can be squared."""
    found = np.empty(len(rows), bool)
    for part in parts(*rows.shape):
        found[part] = np.abs(rows[part]).max(axis=1).astype(float) < _HUGE
    return found


def mean(rows: Float[np.ndarray, "row unit"]) -> Float[np.ndarray, " unit"]:
    """The mean row in float64; zeros if there is none."""
    return rows.sum(axis=0, dtype=float) / max(1, len(rows))


def parts(count: int, size: int) -> Iterator[slice]:
    """Slices of `count` things of `size` values each, of a few MB in float64."""
    step = max(1, _VALUES // max(1, size))
    yield from (slice(start, start + step) for start in range(0, count, step))


def leading(
    rows: Float[np.ndarray, "row unit"],
    centre: Float[np.ndarray, " unit"],
    count: int,
    beside: Directions | None = None,
) -> Directions:
    """The leading principal directions about a centre, orthogonal to those they are `beside`: at most `count`.

    Fewer if the rows vary along fewer. They are eigenvectors of the units' scatter matrix or of the rows' Gram matrix,
    whichever is smaller; if both are large, they are found by iteration and no matrix is made.
    """
    total, size = rows.shape
    if total == 0:
        return np.zeros((size, 0))
    outside = np.zeros((size, 0)) if beside is None else beside
    whole = sum(float(np.square(rows[part] - centre).sum()) for part in parts(total, size))

    def inside(directions: Directions) -> Directions:
        return directions - outside @ (outside.T @ directions)

    def scatter(directions: Directions) -> Directions:
        found, directions = np.zeros_like(directions), inside(directions)
        for part in parts(total, size):
            near = rows[part] - centre
            found += near.T @ (near @ directions)
        return inside(found)

    if size <= min(total, _SIDE):
        strengths, vectors = np.linalg.eigh(scatter(np.eye(size)))
    elif total <= _SIDE:
        gram, across = np.zeros((total, total)), np.zeros((total, outside.shape[1]))
        for part in parts(size, total):
            near = rows[:, part] - centre[part]
            gram += near @ near.T
            across += near @ outside[part]
        strengths, weights = np.linalg.eigh(gram - across @ across.T)
        strengths, weights = strengths[-count:], weights[:, -count:]
        # Of each eigenvector, the rows weighted by it are a direction.
        columns = [(rows[:, part] - centre[part]).T @ weights for part in parts(size, total)]
        vectors = inside(np.concatenate(columns))
        vectors /= np.maximum(np.linalg.norm(vectors, axis=0), np.finfo(float).tiny)
    else:
        strengths, vectors = _iterate(scatter, size, count)
    strengths, vectors = strengths[::-1][:count], vectors[:, ::-1][:, :count]
    return vectors[:, strengths > _ROUNDING * whole]


def _iterate(scatter: Callable[[Directions], Directions], size: int, count: int) -> tuple[np.ndarray, Directions]:
    """The largest eigenvalues, ascending, and their vectors: subspace iteration from a seeded start."""
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(size, 2 * count + 12)))[0]
    strengths = np.zeros(vectors.shape[1])
    for _ in range(100):
        images = scatter(vectors)
        strengths, mix = np.linalg.eigh(vectors.T @ images)
        images, vectors = images @ mix, vectors @ mix
        if np.linalg.norm((images - vectors * strengths)[:, -count:]) <= 1e-10 * strengths[-1]:
            break
        vectors = np.linalg.qr(images[:, ::-1])[0][:, ::-1]
    return strengths, vectors


def orthonormal(directions: Directions, count: int = 2) -> Directions:
    """Exactly `count` directions, orthonormal to rounding, of given ones that nearly are.

    What is missing are the first axes of units that lie well outside the others. The largest entry of each is
    positive, the first of several equally large ones.
    """
    size = len(directions)
    found = np.zeros((size, 0))
    for column in chain(directions.T, (_axis(unit, size) for unit in range(size))):
        rest = column - found @ (found.T @ column)
        length = np.linalg.norm(rest)
        if length > 0.5 and found.shape[1] < count:
            found = np.column_stack([found, rest / length])
        if found.shape[1] == count:
            break
    largest = np.argmax(np.abs(found) >= (1 - 1e-9) * np.abs(found).max(axis=0), axis=0)
    return found * np.where(found[largest, np.arange(found.shape[1])] < 0, -1, 1)


def _axis(unit: int, size: int) -> Float[np.ndarray, " unit"]:
    axis = np.zeros(size)
    axis[unit] = 1
    return axis


def nearest_orthonormal(matrix: Float[np.ndarray, "unit 2"]) -> Float[np.ndarray, "unit 2"]:
    """The matrix with orthonormal columns that is nearest to a given one: the unitary factor of its polar form."""
    left, strengths, right = np.linalg.svd(matrix, full_matrices=False)
    rank = int((strengths > 1e-9 * strengths[0]).sum())
    if rank < 2:
        # Others are as near: take the same one whatever the library of linear algebra.
        right = orthonormal(right[:rank].T).T
        spanned = matrix @ right[:rank].T / strengths[:rank]
        left = np.column_stack([spanned, orthonormal(spanned)[:, rank:]])
    return left @ right
