"""Small data sets for teaching, all called the same way: `X, y = name(n, noise=..., seed=...)`.

`n` is the number of examples in total; the classes share it evenly, their sizes differ by at most one.
`noise` is the standard deviation of Gaussian noise, in units of the inputs. The examples are shuffled, and
the same arguments give the same bytes.
"""

from __future__ import annotations

import importlib
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Float32, Int


class DataSet(NamedTuple):
    """Inputs, and the class number (0, 1, ...) of each example."""

    inputs: Float32[np.ndarray, "example feature"]
    targets: Float32[np.ndarray, " example"]


def parabolas(n: int = 2000, *, noise: float = 0.0, seed: int = 13) -> DataSet:
    """Two parabolas in the plane, one above the other: the article's data, with nothing but the defaults.

    Class 0 is x2 = x1², class 1 is x2 = x1² - 0.5; each has x1 evenly spaced in [-1, 1].
    Shape (example, 2). After Godoy, "Hyper-parameters in Action! Part I" (2018).
    """
    _check(n, noise=noise, seed=seed)
    x0, x1 = np.linspace(-1, 1, n - n // 2), np.linspace(-1, 1, n // 2)
    inputs = np.concatenate([np.column_stack([x0, x0**2]), np.column_stack([x1, x1**2 - 0.5])])
    # The legacy generator: the article's order of examples is RandomState(13)'s, and a Generator has another.
    return _finish(inputs, np.repeat([0, 1], [len(x0), len(x1)]), noise, np.random.RandomState(seed))


def ball(n: int = 1000, *, dimensions: int = 10, noise: float = 0.0, seed: int = 0) -> DataSet:
    """Points spread evenly through a ball; class 1 is its core, class 0 the shell around it.

    The ball has radius √(dimensions + 2), which gives every feature mean 0 and variance 1. The core is the
    concentric ball of half the volume, its radius smaller by the factor 2^(-1/dimensions): the more
    dimensions, the thinner the shell. Noise moves points after their class is settled.

    Shape (example, dimensions). Directions after Muller, "A note on a method for generating points uniformly
    on n-dimensional spheres" (1959).
    """
    _check(n, dimensions=dimensions, noise=noise, seed=seed)
    generator = np.random.default_rng(seed)
    targets = np.arange(n) % 2
    directions = generator.normal(size=(n, dimensions))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    # The share of the ball's volume that is nearer the centre: uniform, below a half for the core.
    share = (generator.random(n) + (targets == 0)) / 2
    radii = np.sqrt(dimensions + 2) * share ** (1 / dimensions)
    return _finish(directions * radii[:, None], targets, noise, generator)


def hypercube(n: int = 1000, *, dimensions: int = 3, noise: float = 0.2, seed: int = 0) -> DataSet:
    """Clusters around the corners of a hypercube, (±1, ..., ±1); the class is the parity of the corner.

    Class 1 has an odd number of positive coordinates, so neighbouring corners always differ in class and
    no proper subset of the features tells anything about it. Two dimensions are XOR:
    `hypercube(4, dimensions=2, noise=0)` is its truth table. The corners' shares of the examples differ by at
    most one; when there are fewer examples than corners, the corners are drawn at random.

    Here noise is what makes clusters of the corners, so it is not 0 by default. Shape (example, dimensions).
    After the parity problem of Minsky and Papert, "Perceptrons" (1969).
    """
    _check(n, dimensions=dimensions, noise=noise, seed=seed)
    generator = np.random.default_rng(seed)
    targets = np.arange(n) % 2
    return _finish(_corners(targets, dimensions, generator), targets, noise, generator)


def xor(n: int = 1000, *, noise: float = 0.0, seed: int = 0) -> DataSet:
    """Points spread evenly through the square [-1, 1]²; class 1 where the signs of x1 and x2 differ.

    Shape (example, 2). The filled-in form of `hypercube` in two dimensions.
    """
    _check(n, noise=noise, seed=seed)
    generator = np.random.default_rng(seed)
    targets = np.arange(n) % 2
    # In (0, 1] and not [0, 1): a point on an axis would have no class.
    distances = 1 - generator.random((n, 2))
    return _finish(_corners(targets, 2, generator) * distances, targets, noise, generator)


def spirals(n: int = 1000, *, classes: int = 2, turns: float = 1.5, noise: float = 0.0, seed: int = 0) -> DataSet:
    """Spiral arms winding out of the origin, one per class, to radius 1.

    Each arm makes `turns` turns, its radius growing in proportion to the angle; the arms are the same curve,
    rotated by equal angles. Points lie nearly evenly along an arm.

    Shape (example, 2). After Lang and Witbrock, "Learning to tell two spirals apart" (1988).
    """
    _check(n, classes=classes, noise=noise, seed=seed)
    if not 0 < turns < inf:
        raise ValueError(f"turns is {turns}, but an arm winds by a positive number of turns; try turns=1.5")
    targets = np.arange(n) % classes
    rank = np.arange(n) // classes + 1
    # An arm's length grows about as the square of its radius. Ranks start at 1: at radius 0 the arms meet.
    radii = np.sqrt(rank / rank[-1])
    angles = 2 * np.pi * (turns * radii + targets / classes)
    inputs = radii[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
    return _finish(inputs, targets, noise, np.random.default_rng(seed))


def moons(n: int = 1000, *, noise: float = 0.0, seed: int = 0) -> DataSet:
    """Two interleaved half circles of radius 1: class 0 the upper, class 1 the lower one.

    Shape (example, 2). From scikit-learn's `make_moons`; raises ImportError without scikit-learn.
    """
    _check(n, noise=noise, seed=seed)
    inputs, targets = _sklearn_datasets().make_moons((n - n // 2, n // 2), shuffle=False)
    return _finish(inputs, targets, noise, np.random.default_rng(seed))


def circles(n: int = 1000, *, factor: float = 0.5, noise: float = 0.0, seed: int = 0) -> DataSet:
    """Two concentric circles: class 0 of radius 1, class 1 inside it of radius `factor`.

    Shape (example, 2). From scikit-learn's `make_circles`; raises ImportError without scikit-learn.
    """
    _check(n, noise=noise, seed=seed)
    if not 0 < factor < 1:
        raise ValueError(f"factor is {factor}, but the inner radius lies between 0 and 1; try factor=0.5")
    inputs, targets = _sklearn_datasets().make_circles((n - n // 2, n // 2), shuffle=False, factor=factor)
    return _finish(inputs, targets, noise, np.random.default_rng(seed))


def blobs(n: int = 1000, *, classes: int = 2, dimensions: int = 2, noise: float = 1.0, seed: int = 0) -> DataSet:
    """Gaussian blobs, one per class, around centres drawn evenly from [-10, 10] in every dimension.

    Here noise is the blobs' own standard deviation, so it is not 0 by default. Some seeds draw centres so
    near each other that blobs overlap.

    Shape (example, dimensions). From scikit-learn's `make_blobs`; raises ImportError without scikit-learn.
    """
    _check(n, dimensions=dimensions, classes=classes, noise=noise, seed=seed)
    inputs, targets = _sklearn_datasets().make_blobs(
        n, n_features=dimensions, centers=classes, cluster_std=noise, shuffle=False, random_state=seed
    )
    return _finish(inputs, targets, 0.0, np.random.default_rng(seed))


def _check(n: int, *, classes: int = 2, dimensions: int = 2, noise: float, seed: int) -> None:
    if classes < 2:
        raise ValueError(f"classes is {classes}, but there is nothing to tell apart below 2; ask for 2 or more")
    if n < classes:
        raise ValueError(f"n is {n}, but each of the {classes} classes needs an example; ask for n={classes} or more")
    if dimensions < 1:
        raise ValueError(f"dimensions is {dimensions}, but an example needs a feature; ask for 1 or more")
    if not 0 <= noise < inf:
        raise ValueError(f"noise is {noise}, but it is a standard deviation; give 0 (none) or a positive number")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}, but the generators take 0 to {2**32 - 1}; choose one of these")


def _corners(
    parity: Int[np.ndarray, " example"], dimensions: int, generator: np.random.Generator
) -> Float[np.ndarray, "example feature"]:
    """A corner (±1, ..., ±1) for each example, its number of positive coordinates odd where parity is 1."""
    n = len(parity)
    bits = generator.integers(2, size=(n, dimensions - 1))
    if n >= 2**dimensions:
        # Enough for every corner: the two classes count through theirs together.
        bits = np.arange(n)[:, None] // 2 >> np.arange(dimensions - 1) & 1
    last = (parity + bits.sum(axis=1)) % 2
    return 2.0 * np.column_stack([bits, last]) - 1


def _finish(
    inputs: Float[np.ndarray, "example feature"],
    targets: Int[np.ndarray, " example"],
    noise: float,
    generator: np.random.Generator | np.random.RandomState,
) -> DataSet:
    order = generator.permutation(len(targets))
    # Noise is drawn after the order, so that more of it moves the same examples further.
    noisy = inputs[order] + generator.normal(scale=noise, size=inputs.shape)
    return DataSet(noisy.astype(np.float32), targets[order].astype(np.float32))


def _sklearn_datasets() -> Any:
    try:
        return importlib.import_module("sklearn.datasets")
    except ModuleNotFoundError as error:
        raise ImportError(
            'moons, circles and blobs need scikit-learn; install it: pip install "netlapse[datasets]"'
        ) from error
