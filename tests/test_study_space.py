"""Spaces of settings: all combinations, and samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("scipy")

from netlapse.study.space import Range, plain, settings_of


def test_all_combinations():
    found = settings_of({"a": [1, 2], "b": ["x", "y", "z"]})
    assert len(found) == 6
    assert found[0] == {"a": 1, "b": "x"}
    assert len({tuple(setting.values()) for setting in found}) == 6
    assert settings_of({}) == [{}]


@given(st.floats(1e-6, 1e3), st.floats(1.001, 1e6), st.floats(0, 1, exclude_max=True), st.booleans())
def test_ranges_hold_what_they_give(low, factor, share, log):
    values = Range(low, low * factor, log=log)
    number = values.at(share)
    assert low * (1 - 1e-12) <= number <= low * factor * (1 + 1e-12)
    # As much of the range lies below it as was asked for.
    below = np.log(number / low) / np.log(factor) if log else (number - low) / (low * factor - low)
    assert below == pytest.approx(share, abs=1e-6)


def test_whole_numbers_are_as_likely():
    values = [Range(1, 4, whole=True).at(share) for share in (np.arange(400) + 0.5) / 400]
    assert {number: values.count(number) for number in set(values)} == {1: 100, 2: 100, 3: 100, 4: 100}
    assert all(isinstance(number, int) for number in values)


@pytest.mark.parametrize("method", ["sobol", "random"])
def test_samples_are_seeded_and_spread(method):
    space = {"rate": Range(1e-3, 1, log=True), "units": Range(1, 8, whole=True), "activation": ["relu", "tanh"]}
    found = settings_of(space, 64, method, seed=3)
    assert found == settings_of(space, 64, method, seed=3)
    assert found != settings_of(space, 64, method, seed=4)
    assert {setting["activation"] for setting in found} == {"relu", "tanh"}
    if method == "sobol":
        assert [setting["activation"] for setting in found].count("relu") == 32
        decades = np.floor(np.log10([setting["rate"] for setting in found])).astype(int)
        assert all(18 <= (decades == decade).sum() <= 25 for decade in (-3, -2, -1))


@pytest.mark.parametrize(
    ("space", "options", "words"),
    [
        ({"rate": Range(0.1, 1)}, {}, "rate of the space are ranges; say how many samples="),
        ({"a": []}, {}, r"'a' has the values \[\]; pass a list"),
        ({"a": "relu"}, {}, "'a' has the values 'relu'; pass a list"),
        ({"a": [1]}, {"samples": 0}, "take at least one"),
        ({"a": [1]}, {"samples": 3, "method": "halton"}, 'no method \'halton\'; samples are "sobol" or "random"'),
    ],
)
def test_spaces_that_make_no_settings(space, options, words):
    with pytest.raises(ValueError, match=words):
        settings_of(space, **options)


@pytest.mark.parametrize("ends", [{"low": 1, "high": 1}, {"low": 2, "high": 1}, {"low": 0, "high": 1, "log": True}])
def test_ranges_without_numbers(ends):
    with pytest.raises(ValueError, match="is no range"):
        Range(**ends)


def test_plain_values():
    assert plain(np.float32(0.5)) == 0.5
    assert plain(None) is None
    assert plain(("a", 1)) == "('a', 1)"
