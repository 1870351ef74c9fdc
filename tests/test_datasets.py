from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlapse import datasets
from netlapse.datasets import DataSet

Maker = Callable[..., DataSet]

OWN: list[Maker] = [datasets.parabolas, datasets.ball, datasets.hypercube, datasets.xor, datasets.spirals]
SKLEARN: list[Maker] = [datasets.moons, datasets.circles, datasets.blobs]

sizes = st.integers(2, 300)
noises = st.sampled_from([0.0, 0.1, 1.0])
seeds = st.integers(0, 2**32 - 1)


def class_sizes(data: DataSet) -> list[int]:
    return np.bincount(data.targets.astype(int)).tolist()


def same_bytes(one: DataSet, other: DataSet) -> bool:
    return all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


@pytest.fixture(params=OWN + SKLEARN, ids=lambda make: make.__name__)
def make(request: pytest.FixtureRequest) -> Maker:
    if request.param in SKLEARN:
        pytest.importorskip("sklearn.datasets")
    return request.param


# What all have in common


def test_shape_type_and_balance(make: Maker) -> None:
    @settings(deadline=None, max_examples=40)
    @given(n=sizes, noise=noises, seed=seeds)
    def check(n: int, noise: float, seed: int) -> None:
        X, y = data = make(n, noise=noise, seed=seed)
        assert X.shape == (n, X.shape[1])
        assert y.shape == (n,)
        assert X.dtype == y.dtype == np.float32
        assert np.isfinite(X).all()
        assert class_sizes(data) == [n - n // 2, n // 2]
        assert same_bytes(data, make(n, noise=noise, seed=seed))

    check()


def test_another_seed_gives_other_bytes_and_touches_no_global_state(make: Maker) -> None:
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002
    made = [make(100, noise=0.1, seed=seed) for seed in range(5)]
    assert len({data.inputs.tobytes() for data in made}) == 5
    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002


def test_examples_are_shuffled(make: Maker) -> None:
    y = make(1000).targets
    # 499.5 changes of class expected between neighbours, standard deviation 15.8; 999 if they alternated.
    assert 400 < np.count_nonzero(np.diff(y)) < 600


@pytest.mark.parametrize("make", [*OWN[:2], *OWN[3:], *SKLEARN[:2]])
def test_noise_is_a_standard_deviation_in_units_of_the_inputs(make: Maker) -> None:
    if make in SKLEARN:
        pytest.importorskip("sklearn.datasets")
    clean, noisy = make(4000, seed=3), make(4000, noise=0.25, seed=3)
    shift = noisy.inputs - clean.inputs
    assert np.array_equal(clean.targets, noisy.targets)
    np.testing.assert_allclose(shift.std(axis=0), 0.25, rtol=0.06)
    np.testing.assert_allclose(shift.mean(axis=0), 0, atol=0.02)


@pytest.mark.parametrize("make", [datasets.spirals, datasets.blobs])
@settings(deadline=None, max_examples=40)
@given(classes=st.integers(2, 7), extra=st.integers(0, 60), seed=seeds)
def test_any_number_of_classes(make: Maker, classes: int, extra: int, seed: int) -> None:
    if make in SKLEARN:
        pytest.importorskip("sklearn.datasets")
    counts = class_sizes(make(classes + extra, classes=classes, seed=seed))
    assert len(counts) == classes
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"n": 1}, "n is 1.* n=2 or more"),
        ({"n": 0}, "n is 0"),
        ({"noise": -0.1}, r"noise is -0\.1"),
        ({"noise": float("nan")}, "noise is nan"),
        ({"noise": float("inf")}, "noise is inf"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**32}, "seed is 4294967296"),
    ],
)
def test_bad_arguments_are_named(make: Maker, arguments: dict[str, float], found: str) -> None:
    with pytest.raises(ValueError, match=found):
        make(**arguments)


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (lambda: datasets.ball(dimensions=0), "dimensions is 0"),
        (lambda: datasets.hypercube(dimensions=0), "dimensions is 0"),
        (lambda: datasets.blobs(dimensions=-1), "dimensions is -1"),
        (lambda: datasets.blobs(classes=1), "classes is 1"),
        (lambda: datasets.spirals(4, classes=5), "n is 4.* n=5 or more"),
        (lambda: datasets.spirals(turns=0), "turns is 0"),
        (lambda: datasets.spirals(turns=float("nan")), "turns is nan"),
        (lambda: datasets.circles(factor=1), "factor is 1"),
        (lambda: datasets.circles(factor=0), "factor is 0"),
    ],
)
def test_bad_keywords_are_named(call: Callable[[], DataSet], found: str) -> None:
    with pytest.raises(ValueError, match=found):
        call()


# What each one means


def test_parabolas_are_the_articles() -> None:
    X, y = datasets.parabolas()
    order = np.random.RandomState(13).permutation(2000)
    rows = []
    for index in order:
        x1 = np.linspace(-1, 1, 1000)[index % 1000]
        rows.append([x1, x1 * x1 - (0.5 if index >= 1000 else 0)])
    assert X.tobytes() == np.array(rows).astype(np.float32).tobytes()
    assert y.tolist() == [float(index >= 1000) for index in order]

    # The first examples in deepreplay's own recording of the article's training.
    recorded = [[0.36336336, 0.13203293], [0.2032032, -0.45870846], [0.63963964, 0.40913887]]
    np.testing.assert_allclose(X[:3], recorded, rtol=0, atol=1e-7)
    assert y[:8].tolist() == [0, 1, 0, 0, 0, 1, 0, 1]


@settings(deadline=None)
@given(n=sizes, seed=seeds)
def test_parabolas_at_any_size_lie_on_their_curves(n: int, seed: int) -> None:
    X, y = datasets.parabolas(n, seed=seed)
    np.testing.assert_allclose(X[:, 1], X[:, 0] ** 2 - 0.5 * y, atol=1e-6)
    for number, count in enumerate([n - n // 2, n // 2]):
        np.testing.assert_allclose(np.sort(X[y == number, 0]), np.linspace(-1, 1, count), atol=1e-6)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 10, 50])
def test_ball_is_filled_evenly_and_halved_by_volume(dimensions: int) -> None:
    n = 20_000
    X, y = datasets.ball(n, dimensions=dimensions, seed=5)
    radii = np.linalg.norm(X.astype(float), axis=1) / np.sqrt(dimensions + 2)
    volumes = radii**dimensions
    assert X.shape == (n, dimensions)
    assert volumes[y == 1].max() <= 0.5 + 1e-5
    assert volumes[y == 0].min() >= 0.5 - 1e-5
    assert volumes.max() <= 1 + 1e-5
    # Kolmogorov-Smirnov: points spread evenly by volume pass 1.63 / √n once in a hundred seeds.
    assert np.abs(np.sort(volumes) - (np.arange(n) + 0.5) / n).max() < 1.63 / np.sqrt(n)
    # No direction preferred, every feature standardised.
    np.testing.assert_allclose(X.mean(axis=0), 0, atol=0.04)
    np.testing.assert_allclose(np.cov(X.T), np.eye(dimensions).squeeze(), atol=0.04)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
def test_hypercube_visits_every_corner_and_its_class_is_the_parity(dimensions: int) -> None:
    X, y = datasets.hypercube(3 * 2**dimensions, dimensions=dimensions, noise=0)
    corners, counts = np.unique(X, axis=0, return_counts=True)
    assert {tuple(corner) for corner in corners} == set(product([-1.0, 1.0], repeat=dimensions))
    assert counts.tolist() == [3] * 2**dimensions
    assert np.array_equal(y, (X > 0).sum(axis=1) % 2)


@settings(deadline=None)
@given(n=sizes, dimensions=st.integers(1, 100), seed=seeds)
def test_hypercube_of_any_size_has_parity_classes(n: int, dimensions: int, seed: int) -> None:
    X, y = datasets.hypercube(n, dimensions=dimensions, noise=0, seed=seed)
    assert set(np.unique(X)) <= {-1.0, 1.0}
    assert np.array_equal(y, (X > 0).sum(axis=1) % 2)
    if n >= 2**dimensions:
        assert np.ptp(np.unique(X, axis=0, return_counts=True)[1]) <= 1


def test_four_corners_of_the_square_are_the_truth_table_of_xor() -> None:
    X, y = datasets.hypercube(4, dimensions=2, noise=0)
    table = {(a, b): float((a > 0) != (b > 0)) for a, b in product([-1.0, 1.0], repeat=2)}
    assert {(float(a), float(b)): float(c) for (a, b), c in zip(X, y, strict=True)} == table


def test_xor_fills_the_square_and_its_class_is_whether_the_signs_differ() -> None:
    X, y = datasets.xor(8000, seed=2)
    assert np.array_equal(y, (X[:, 0] > 0) != (X[:, 1] > 0))
    assert np.abs(X).max() <= 1
    assert np.abs(X).min() > 0
    cells = np.histogram2d(*X.T, bins=4, range=[[-1, 1], [-1, 1]])[0]
    # 500 points a cell expected, standard deviation at most 22.
    assert np.abs(cells - 500).max() < 100


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("turns", [0.5, 1.5, 3.0])
def test_spirals_are_one_arm_rotated(classes: int, turns: float) -> None:
    X, y = datasets.spirals(60 * classes, classes=classes, turns=turns)
    points = X[:, 0] + 1j * X[:, 1]
    radii = np.abs(points)
    assert radii.min() > 0
    assert radii.max() == pytest.approx(1)
    # Unwinding the turns and the rotation of its class leaves every point on the positive x axis.
    unwound = points * np.exp(-2j * np.pi * (turns * radii + y / classes))
    np.testing.assert_allclose(unwound, radii, atol=1e-5)


@pytest.mark.parametrize("n", [2, 7, 500])
def test_circles_have_their_radii(n: int) -> None:
    pytest.importorskip("sklearn.datasets")
    X, y = datasets.circles(n, factor=0.3)
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), np.where(y == 0, 1, 0.3), rtol=1e-6)


@pytest.mark.parametrize("n", [2, 7, 500])
def test_moons_are_two_half_circles(n: int) -> None:
    pytest.importorskip("sklearn.datasets")
    X, y = datasets.moons(n)
    centres = np.where(y[:, None] == 0, [0.0, 0.0], [1.0, 0.5])
    np.testing.assert_allclose(np.linalg.norm(X - centres, axis=1), 1, rtol=1e-6)
    upwards = np.where(y == 0, 1, -1)
    assert ((X - centres)[:, 1] * upwards >= -1e-6).all()


def test_blobs_spread_by_noise_around_one_centre_a_class() -> None:
    pytest.importorskip("sklearn.datasets")
    X, y = datasets.blobs(9000, classes=3, dimensions=4, noise=0.5, seed=1)
    points = datasets.blobs(9, classes=3, dimensions=4, noise=0, seed=1)
    for number in range(3):
        blob, centre = X[y == number], np.unique(points.inputs[points.targets == number], axis=0)
        assert centre.shape == (1, 4)
        np.testing.assert_allclose(blob.mean(axis=0), centre[0], atol=0.05)
        np.testing.assert_allclose(blob.std(axis=0), 0.5, rtol=0.05)


# What it costs to import


@pytest.mark.parametrize("make", SKLEARN)
def test_missing_scikit_learn_says_what_to_install(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r'pip install "netlapse\[datasets\]"'):
        make(10)


def test_importing_and_its_own_data_sets_need_no_framework_and_no_scikit_learn() -> None:
    heavy = {"torch", "keras", "jax", "tensorflow", "sklearn", "scipy"}
    code = f"""
import sys
from netlapse import datasets
for make in [{", ".join(f"datasets.{make.__name__}" for make in OWN)}]:
    make(20)
print(sorted({heavy!r} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
