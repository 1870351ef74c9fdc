"""The statistics of studies, against plain loops, permutations and simulations."""

from __future__ import annotations

from fractions import Fraction
from math import exp, inf, log, sqrt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlapse.errors import UnknownName, Unsupported
from netlapse.study import effects, outcomes, shares, survival
from netlapse.study.grid import grid
from netlapse.study.outcomes import Outcomes

RNG = np.random.default_rng(0)
Z = 1.959963984540054


def made(first, trained=150, diverged=(), pairs=None):
    first = np.array(first, float)
    is_diverged = np.isin(np.arange(len(first)), diverged)
    first[is_diverged] = np.nan
    trained = np.broadcast_to(np.asarray(trained, float), first.shape).copy()
    return Outcomes(first, trained, is_diverged, np.arange(len(first)) if pairs is None else np.asarray(pairs))


def drawn(n, scale, share, trained=150, rng=RNG):
    """Networks of which a share is ever right, at random epochs."""
    first = rng.gamma(3, scale, n).round() + 1
    first[(rng.random(n) > share) | (first > trained)] = np.nan
    return made(first, trained)


def table(first, **columns):
    n = len(first)
    base = {"network": range(n), "seed": range(n), "pair": range(n), "status": "trained", "epochs": 150}
    return pd.DataFrame({**base, "first_right": first, "right_for_good": first, **columns})


def kaplan_meier(times, right, z=Z):
    """By a plain loop, with Greenwood's variance and the log-log interval."""
    share, greenwood, steps = Fraction(1), 0.0, []
    for time in sorted(set(times)):
        at_risk = sum(other >= time for other in times)
        events = sum(other == time and happened for other, happened in zip(times, right, strict=True))
        share *= 1 - Fraction(events, at_risk)
        greenwood += events / (at_risk * (at_risk - events)) if at_risk > events else inf
        if 0 < share < 1:
            middle, reach = log(-log(share)), z * sqrt(greenwood) / abs(log(share))
            steps.append((time, float(share), exp(-exp(middle + reach)), exp(-exp(middle - reach)), at_risk))
        else:
            steps.append((time, float(share), None, None, at_risk))
    return steps


lists = st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=40)


@given(lists)
@settings(deadline=None)
def test_survival_is_that_of_a_plain_loop(networks):
    times = [time for time, _ in networks]
    right = [happened for _, happened in networks]
    found = survival.survival(made(np.where(right, times, np.nan), trained=times))
    assert (found.epochs[0], found.waiting[0], found.at_risk[0]) == (0, 1, len(times))
    for k, (time, share, low, high, at_risk) in enumerate(kaplan_meier(times, right), start=1):
        assert (found.epochs[k], found.at_risk[k]) == (time, at_risk)
        assert found.at_risk_at(time) == at_risk
        assert found.waiting[k] == pytest.approx(share)
        if low is not None:
            assert (found.low[k], found.high[k]) == pytest.approx((low, high))
    assert (found.low <= found.waiting + 1e-9).all()
    assert (found.waiting <= found.high + 1e-9).all()
    assert np.isfinite([found.low, found.high]).all()


def test_survival_says_what_few_or_extreme_networks_leave_open():
    alone = survival.survival(made([7]))
    assert alone.waiting.tolist() == [1, 0]
    assert (alone.low[0], alone.high[1]) == pytest.approx((0.025, 0.975))
    assert (alone.median, alone.median_high) == (7, inf)
    never = survival.survival(made([np.nan] * 20))
    assert never.waiting.tolist() == [1, 1]
    assert (never.low[-1], never.high[-1]) == pytest.approx((0.025 ** (1 / 20), 1))
    assert never.median == inf
    assert (never.n, never.reached, never.at_risk_at(150), never.at_risk_at(151)) == (20, 0, 20, 0)


def test_a_network_that_diverged_is_never_right_and_counted():
    found = survival.survival(made([10, 20, 5, np.nan], trained=[150, 150, 3, 150], diverged=[2]))
    assert (found.n, found.reached, found.diverged) == (4, 2, 1)
    # It stays among those that are not yet right to the end.
    assert found.at_risk_at(150) == 2
    assert found.waiting[-1] == 0.5
    share = shares.share(made([10, 20, 5, np.nan], trained=[150, 150, 3, 150], diverged=[2]))
    assert (share.value, share.within, share.diverged) == (0.5, 150, 1)


def test_medians_and_their_intervals_cover_the_truth():
    rng, inside = np.random.default_rng(1), 0
    for _ in range(300):
        found = survival.survival(made(rng.exponential(50, 60).clip(0.1, 150)))
        inside += found.median_low <= 50 * log(2) <= found.median_high
    assert 0.92 <= inside / 300 <= 0.99
    assert survival.survival(made([1, 2, 3, 4])).median == 2


@pytest.mark.parametrize(("reached", "n"), [(0, 10), (10, 10), (3, 10), (847, 1000)])
def test_the_share_has_the_interval_of_wilson(reached, n):
    from scipy.stats import binomtest

    found = shares.share(made([5.0] * reached + [np.nan] * (n - reached)))
    expected = binomtest(reached, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-12)
    assert (found.value, found.n, found.reached) == (reached / n, n, reached)


def test_what_is_not_known_is_not_compared():
    short = made([np.nan, 20], trained=[50, 150])
    assert short.known == 50
    assert shares.share(short).value == 0.5
    with pytest.raises(Unsupported, match="1 of 2 networks were trained for fewer than 150 epochs"):
        shares.share(short, within=150)


def test_the_log_rank_test_agrees_with_permutations():
    rng = np.random.default_rng(3)
    a, b = drawn(40, 10, 0.9, rng=rng), drawn(40, 14, 0.8, rng=rng)
    found = survival.logrank(a, b)
    first = np.concatenate([a.first, b.first])
    times, right = np.where(np.isnan(first), 150, first), np.isfinite(first)

    def excess(members):
        """Events in the first group beyond those expected, by the definition."""
        total = 0.0
        for time in np.unique(times[right]):
            at_risk, events = times >= time, (times == time) & right
            total += events[members].sum() - events.sum() * at_risk[members].sum() / at_risk.sum()
        return abs(total)

    observed = excess(np.arange(40))
    shuffled = [excess(rng.permutation(80)[:40]) for _ in range(2000)]
    assert found.p == pytest.approx(np.mean(np.array(shuffled) >= observed - 1e-9), abs=0.03)
    assert (found.n, found.reached) == ((40, 40), (int(right[:40].sum()), int(right[40:].sum())))
    nothing = survival.logrank(made([np.nan] * 5), made([np.nan] * 5))
    assert (nothing.p, nothing.statistic) == (1, 0)


def test_many_tests_are_corrected_after_holm():
    assert survival.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    same = {name: drawn(50, 10, 0.9, rng=np.random.default_rng(k)) for k, name in enumerate("abc")}
    tests = survival.pairwise_logrank(same)
    assert [test.settings for test in tests] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert all(test.p <= test.adjusted <= 1 for test in tests)


def brute_force(samples, statistic, *, paired=False, resamples=4000):
    rng, values = np.random.default_rng(9), []
    for _ in range(resamples):
        indices = [rng.integers(0, len(sample), len(sample)) for sample in samples]
        chosen = [indices[0]] * len(samples) if paired else indices
        values.append(statistic(*(sample[index] for sample, index in zip(samples, chosen, strict=True))))
    return np.quantile(values, [0.025, 0.975])


def correlated(n, rng):
    """Two settings of the same pairs: those that are slow in one are slow in the other."""
    luck = rng.gamma(3, 8, n)
    slow, fast = ((scale * luck * rng.gamma(20, 1 / 20, n)).round() + 1 for scale in (1.3, 1.0))
    return tuple(made(np.where(times > 60, np.nan, times), 60) for times in (slow, fast))


@pytest.mark.parametrize("paired", [True, False])
def test_differences_have_the_intervals_of_a_brute_force_bootstrap(paired):
    a, b = correlated(400, np.random.default_rng(4))
    right = [np.isfinite(part.first).astype(float) for part in (a, b)]
    shares = effects.difference_of_shares(a, b, paired=paired)
    low, high = brute_force(right, lambda x, y: x.mean() - y.mean(), paired=paired)
    assert (shares.low, shares.high) == pytest.approx((low, high), abs=0.008)
    assert shares.value == pytest.approx(right[0].mean() - right[1].mean())
    spent = [np.nan_to_num(part.first, nan=60) for part in (a, b)]
    epochs = effects.difference_of_epochs(a, b, paired=paired)
    low, high = brute_force(spent, lambda x, y: x.mean() - y.mean(), paired=paired)
    assert (epochs.low, epochs.high) == pytest.approx((low, high), abs=0.25)
    assert epochs.n == (400, 400)
    # Pairs take out what both settings share.
    assert not paired or epochs.high - epochs.low < 0.6 * (
        (other := effects.difference_of_epochs(a, b, paired=False)).high - other.low
    )


def test_the_difference_of_epochs_is_the_area_between_the_curves():
    a, b = correlated(200, np.random.default_rng(5))

    def area(outcomes):
        curve = survival.survival(outcomes)
        return float((np.diff(np.append(curve.epochs, 60)) * curve.waiting).sum())

    assert effects.difference_of_epochs(a, b).value == pytest.approx(area(a) - area(b))


def test_thousands_have_percentile_intervals_like_those_of_the_normal():
    a, b = correlated(3000, np.random.default_rng(6))
    found = effects.difference_of_epochs(a, b)
    each = np.nan_to_num(a.first, nan=60) - np.nan_to_num(b.first, nan=60)
    assert found.method.startswith("percentile")
    assert (found.high - found.low) / 2 == pytest.approx(Z * each.std() / sqrt(3000), rel=0.05)
    again = effects.difference_of_epochs(a, b)
    assert (again.low, again.high) == (found.low, found.high)


@pytest.mark.parametrize("among", ["all", "right", "both"])
def test_the_ratio_of_medians_has_the_interval_of_a_brute_force_bootstrap(among):
    a, b = correlated(300, np.random.default_rng(7))
    times = [np.nan_to_num(part.first, nan=inf) for part in (a, b)]
    if among == "right":
        times = [part[np.isfinite(part)] for part in times]
    elif among == "both":
        both = np.isfinite(times[0]) & np.isfinite(times[1])
        times = [part[both] for part in times]

    def middle(x):
        return np.sort(x)[(len(x) - 1) // 2]

    found = effects.ratio_of_epochs(a, b, among=among)
    low, high = brute_force(times, lambda x, y: middle(x) / middle(y), paired=among != "right")
    assert found.value == middle(times[0]) / middle(times[1])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.06)
    assert found.n == tuple(map(len, times))
    assert found.paired == (among != "right")
    if among == "all":
        assert found.value == survival.survival(a).median / survival.survival(b).median


def test_there_is_no_ratio_without_medians():
    with pytest.raises(Unsupported, match="there is no ratio"):
        effects.ratio_of_epochs(made([5] * 3 + [np.nan] * 7), made([5] * 10))
    with pytest.raises(Unsupported, match="medians of 3 networks"):
        effects.ratio_of_epochs(made([5] * 3 + [np.nan] * 7), made([5] * 10), among="right")
    with pytest.raises(Unsupported, match="several networks of one pair"):
        effects.ratio_of_epochs(made([5] * 10, pairs=[0] * 10), made([5] * 10), among="right")


@pytest.mark.parametrize(("p", "q", "n", "shared"), [(0.85, 0.99, 40, 0.0), (0.85, 0.95, 40, 0.6), (0.5, 0.5, 15, 0.0)])
def test_intervals_of_differences_of_shares_cover_the_truth(p, q, n, shared):
    rng, inside = np.random.default_rng(8), 0
    for _ in range(1000):
        common, own = rng.random(n), rng.random((2, n))
        # With this chance both settings draw the same luck.
        luck = np.where(rng.random(n) < shared, common, own)
        a, b = (made(np.where(part < share, 5.0, np.nan)) for part, share in zip(luck, (p, q), strict=True))
        found = effects.difference_of_shares(a, b)
        inside += found.low <= p - q <= found.high
    assert 0.93 <= inside / 1000 <= 0.99


def test_what_is_alike_everywhere_is_not_taken_for_certain():
    few = effects.difference_of_shares(made([3, 4]), made([5, 6]))
    assert (few.value, few.low < -0.5, few.high > 0.5) == (0, True, True)
    never, soon = made([np.nan] * 5), made([1.0] * 5)
    found = effects.difference_of_epochs(never, soon)
    assert found.value == 149
    assert found.low < 0 < found.high == 150
    many = effects.difference_of_epochs(made([np.nan] * 5000), made([1.0] * 5000))
    assert many.low > 148
    for paired in (True, False):
        alone = effects.difference_of_epochs(made([3]), made([9]), paired=paired)
        assert (alone.low, alone.high) == (pytest.approx(-150, abs=10), pytest.approx(140, abs=15))


def test_networks_of_one_pair_are_no_independent_evidence():
    rng = np.random.default_rng(10)
    once = rng.random(100) < 0.8
    pairs = np.repeat(np.arange(100), 20)
    repeated = made(np.where(np.repeat(once, 20), 5.0, np.nan), pairs=pairs)
    single = made(np.where(once, 5.0, np.nan))
    expected, found = shares.share(single), shares.share(repeated)
    assert found.n == 2000
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.002)
    # Where they are independent, nothing is lost.
    other = made(np.where(rng.random(2000) < 0.8, 5.0, np.nan), pairs=pairs)
    found, expected = shares.share(other), shares.share(made(other.first))
    assert found.high - found.low == pytest.approx(expected.high - expected.low, rel=0.25)
    a = effects.difference_of_epochs(repeated, other)
    b = effects.difference_of_epochs(single, made([5.0] * 80 + [np.nan] * 20))
    assert a.paired
    assert a.high - a.low == pytest.approx(b.high - b.low, rel=0.5)


def test_pairs_need_partners():
    a, b = made([1, 2, 3]), made([1, 2, 3], pairs=[0, 1, 7])
    assert not effects.difference_of_shares(a, b).paired
    with pytest.raises(Unsupported, match="2 pairs are of one setting only"):
        effects.difference_of_shares(a, b, paired=True)
    # In whatever order they come.
    order = np.array([2, 0, 1])
    one = effects.difference_of_epochs(a, made([5, 1, 9]))
    other = effects.difference_of_epochs(a, made([5, 1, 9]).of(order))
    assert (one.value, one.low, one.high) == (other.value, other.low, other.high)


def test_too_few_seeds_are_said_to_be_too_few():
    rng = np.random.default_rng(11)
    few = effects.difference_of_shares(drawn(20, 10, 0.8, rng=rng), drawn(20, 10, 0.8, rng=rng))
    warning = effects.enough(few, 0.05)
    assert warning is not None
    assert "20 pairs are too few to tell: about" in warning
    needed = int(warning.split("about ")[1].split()[0].replace(",", ""))
    many = effects.difference_of_shares(drawn(needed, 10, 0.8, rng=rng), drawn(needed, 10, 0.8, rng=rng))
    assert (many.high - many.low) / 2 == pytest.approx(0.05, rel=0.3)
    clear = effects.difference_of_shares(drawn(200, 10, 0.3, rng=rng), drawn(200, 10, 0.9, rng=rng))
    assert clear.tells
    assert effects.enough(clear, 0.001) is None
    ratio = effects.ratio_of_epochs(drawn(10, 10, 1, rng=rng), drawn(10, 10, 1, rng=rng))
    assert ratio.tells or "too few" in str(effects.enough(ratio, 0.05))


def test_luck_is_a_percentile():
    of = made([10, 20, 20, 30, np.nan])
    assert [shares.percentile(of, epoch).value for epoch in (5, 10, 20, 30, inf, np.nan, 151)] == pytest.approx(
        [1, 0.9, 0.6, 0.3, 0.1, 0.1, 0.1]
    )
    found = shares.percentile(of, 20)
    assert (found.n, found.reached) == (5, 4)
    assert found.low < 0.6 < found.high


def test_settings_are_split_in_order():
    rows = table([1.0] * 6, rate=[0.1, 0.01, 1.0, np.nan, 0.1, 1.0], activation=list("bababa"), flag=[True, False] * 3)
    assert {name: found.tolist() for name, found in outcomes.split(rows, "rate").items()} == {
        "0.01": [1],
        "0.1": [0, 4],
        "1": [2, 5],
        "none": [3],
    }
    assert list(outcomes.split(rows, "activation")) == ["b", "a"]
    assert list(outcomes.split(rows, "flag")) == ["True", "False"]
    many = table([1.0] * 40, rate=np.linspace(0, 1, 40))
    ranges = outcomes.split(many, "rate")
    assert list(ranges) == ["0 to 0.25", "0.25 to 0.5", "0.5 to 0.75", "0.75 to 1"]
    assert sorted(np.concatenate(list(ranges.values())).tolist()) == list(range(40))
    partly = table([1.0] * 3, momentum=pd.array([1, None, 1], "Int64"), kind=pd.array(["x", None, "y"], "string"))
    assert {name: found.tolist() for name, found in outcomes.split(partly, "momentum").items()} == {
        "1": [0, 2],
        "none": [1],
    }
    assert list(outcomes.split(partly, "kind")) == ["x", "y", "none"]
    with pytest.raises(UnknownName, match="no column rates; it has network"):
        outcomes.split(rows, "rates")


def test_what_is_no_study_is_one_clear_error():
    good = table([1.0, np.nan], status=["trained", "diverged"])
    assert outcomes.outcomes(good).counts() == (2, 1, 1)
    # What diverged is never right, whatever it was before.
    assert outcomes.outcomes(table([1.0], status="diverged")).counts() == (1, 0, 1)
    with pytest.raises(UnknownName, match="no column pair"):
        outcomes.outcomes(good.drop(columns="pair"))
    with pytest.raises(Unsupported, match="networks of status lost"):
        outcomes.outcomes(table([1.0], status="lost"))
    with pytest.raises(Unsupported, match="no networks"):
        outcomes.outcomes(good[:0])


def test_a_grid_has_a_number_for_each_combination():
    rows = table(
        [1, np.nan, 2, 3, np.nan, 4], a=list("xxxyyy"), b=[1, 1, 2, 1, 1, 1], status=["trained"] * 4 + ["diverged"] * 2
    )
    found = grid(rows, "a", "b")
    np.testing.assert_allclose(found.values, [[0.5, 1], [1 / 3, np.nan]])
    assert found.n.tolist() == [[2, 1], [3, 0]]
    assert found.diverged.tolist() == [[0, 0], [2, 0]]
    medians = grid(rows, "a", "b", lambda part: survival.survival(part).median, "median epoch")
    assert medians.statistic == "median epoch"
    assert medians.values[0].tolist() == [1, 2]
