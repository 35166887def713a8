"""Intervals of bounded means, of rates and of times, against SciPy and slow sums over the same distributions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from actinium.statistics.bounded import bounded_mean_interval, clopper_pearson
from actinium.statistics.rates import MEANS, PRECISIONS, SPREADS, posterior_interval, rate_interval, time_interval


@given(st.integers(0, 40), st.integers(0, 40))
def test_clopper_pearson_is_scipys(events: int, others: int) -> None:
    if events + others == 0:
        return
    expected = stats.binomtest(events, events + others).proportion_ci(0.95, method="exact")
    low, high = clopper_pearson(np.array(float(events)), np.array(float(events + others)))
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_bounded_interval_is_korn_and_graubards_by_hand() -> None:
    values = np.array([0.0, 0.02, 0.01, 0.05, 0.0, 0.01])
    mean, variance = values.mean(), values.var(ddof=1) / 6
    effective = mean * (1 - mean) / variance * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 5)) ** 2
    events = mean * effective
    low = stats.beta.ppf(0.025, events, effective - events + 1)
    high = stats.beta.ppf(0.975, events + 1, effective - events)
    found = bounded_mean_interval(values).interval()
    assert (found.estimate, found.low, found.high) == pytest.approx((mean, low, high))
    stretched = bounded_mean_interval(2.0 + 10.0 * values, low=2.0, high=12.0).interval()
    assert (stretched.low, stretched.high) == pytest.approx((2 + 10 * low, 2 + 10 * high))


def test_far_from_the_ends_it_is_students() -> None:
    values = np.random.default_rng(4).normal(0.4, 0.002, size=8)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    found = bounded_mean_interval(values)
    assert float(found.low) == pytest.approx(expected.low, abs=2e-5)
    assert float(found.high) == pytest.approx(expected.high, abs=2e-5)


@pytest.mark.parametrize("value", [0.0, 0.25, 0.9, 1.0])
def test_equal_seeds_are_no_proof(value: float) -> None:
    """Six equal values: the bound 3/6 at an end of the scale, elsewhere Clopper and Pearson's with six answers."""
    found = bounded_mean_interval(np.full(6, value)).interval()
    assert found.low is not None
    assert found.high is not None
    if value in (0.0, 1.0):
        assert (found.low, found.high) == ((0.0, 0.5) if value == 0.0 else (0.5, 1.0))
    else:
        low, high = stats.beta.ppf([0.025, 0.975], [6 * value, 6 * value + 1], [7 - 6 * value, 6 - 6 * value])
        assert (found.low, found.high) == pytest.approx((low, high))


def test_one_seed_has_no_interval_and_a_missing_one_is_left_out() -> None:
    found = rate_interval(np.array([[0.2, np.nan, np.nan], [np.nan] * 3, [0.2, 0.3, np.nan]]))
    assert found.n.tolist() == [1, 0, 2]
    assert np.isnan(found.low).tolist() == [True, True, False]
    assert np.isnan(found.estimate).tolist() == [False, True, False]
    assert found.at(np.array([2])).intervals() == rate_interval(np.array([[0.2, 0.3]])).intervals()


def slow_posterior(rates: list[float]) -> tuple[float, float]:
    """The same by SciPy's distributions, one at a time; the logit-normal's mean by drawing equally likely values."""
    counts = np.rint(np.array(rates) * 1024)
    draws = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    weights, means = [], []
    for m in MEANS:
        for precision in PRECISIONS:
            likelihood = stats.betabinom.pmf(counts, 1024, m * precision, (1 - m) * precision).prod()
            weights.append(np.sqrt(m * (1 - m)) * likelihood / len(PRECISIONS))
            means.append(m)
    for spread in SPREADS:
        centres = np.linspace(-40, 30, 1401)
        mean_of = np.array([(1 / (1 + np.exp(-c - spread * draws))).mean() for c in centres])
        for m in MEANS:
            centre = np.interp(m, mean_of, centres)
            ends = [np.clip((counts + side) / 1024, 0, 1) for side in (-0.5, 0.5)]
            with np.errstate(divide="ignore"):
                lower, upper = (stats.norm.cdf((np.log(end / (1 - end)) - centre) / spread) for end in ends)
            weights.append(np.sqrt(m * (1 - m)) * (upper - lower).prod() / len(SPREADS))
            means.append(m)
    order = np.argsort(means, kind="stable")
    mass = np.array(weights)[order].reshape(len(MEANS), -1).sum(axis=1)
    below = (np.cumsum(mass) - mass / 2) / mass.sum()
    logits = np.log(MEANS / (1 - MEANS))
    ends = np.interp(stats.norm.ppf([0.025, 0.975]), stats.norm.ppf(below), logits)
    return float(1 / (1 + np.exp(-ends[0]))), float(1 / (1 + np.exp(-ends[1])))


@pytest.mark.slow
@pytest.mark.parametrize("rates", [[0, 0, 0.01, 0, 0.002, 0], [0.1, 0.02, 0.3, 0.05], [0.0] * 5 + [0.4]])
def test_the_posterior_is_the_slow_sum(rates: list[float]) -> None:
    low, high = posterior_interval(np.array([rates, rates]))
    assert (low[1], high[1]) == pytest.approx(slow_posterior(rates), rel=0.02)


def test_the_posterior_is_the_same_from_the_other_end_and_without_a_missing_seed() -> None:
    rates = np.array([[0.0, 0.01, 0.2, 0.0, 0.03, np.nan]])
    low, high = posterior_interval(rates)
    mirrored_low, mirrored_high = posterior_interval(1.0 - rates)
    assert (1.0 - mirrored_high[0], 1.0 - mirrored_low[0]) == pytest.approx((low[0], high[0]))
    assert posterior_interval(rates[:, :5])[1][0] == high[0]


@given(
    st.lists(st.lists(st.sampled_from([0.0, 0.001, 0.01, 0.2, 0.5, 0.999, 1.0]), min_size=6, max_size=6), min_size=1)
)
def test_a_rates_interval_holds_its_mean_stays_on_the_scale_and_has_a_width(rates: list[list[float]]) -> None:
    found = rate_interval(np.array(rates))
    assert (found.low >= 0.0).all()
    assert (found.high <= 1.0).all()
    assert (found.low <= found.estimate + 1e-12).all()
    assert (found.estimate <= found.high + 1e-12).all()
    assert (found.high - found.low > 1e-4).all()


def test_nobody_arrives_and_everybody_in_one_interval_of_the_grid() -> None:
    budget = np.array([8.0, 8.0, 8.0])
    times = np.array([[8.0] * 6, [0.5] * 6, [0.5, 1.0, 1.5, 1.0, 8.0, 2.0]])
    found = time_interval(times, budget, variance=0.25**2 / 12)
    assert (found.low[0], found.high[0]) == (4.0, 8.0)
    assert 0.4 < found.low[1] < 0.5 < found.high[1] < 0.6
    assert found.estimate.tolist() == pytest.approx(times.mean(axis=1).tolist())
    assert 0.0 < found.low[2] < found.high[2] < 8.0
