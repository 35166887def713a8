"""Intervals against SciPy, and their coverage by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from actinium.report import Interval
from actinium.statistics.intervals import mean_interval, plain, wilson_interval, zero_event_bound


def test_mean_interval_is_scipys_t_interval() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, size=(5, 7))
    found = mean_interval(values)
    for row, estimate, low, high in zip(values, found.estimate, found.low, found.high, strict=True):
        expected = stats.ttest_1samp(row, 0.0).confidence_interval(0.95)
        assert (estimate, low, high) == pytest.approx((row.mean(), expected.low, expected.high), rel=1e-12)


def test_missing_values_leave_the_interval_of_the_others() -> None:
    values = np.array([1.0, np.nan, 4.0, 2.0, np.nan])
    expected = stats.ttest_1samp([1.0, 4.0, 2.0], 0.0).confidence_interval(0.95)
    found = mean_interval(values)
    assert (float(found.low), float(found.high), int(found.n)) == pytest.approx((expected.low, expected.high, 3))


def test_one_value_has_no_interval_and_none_no_estimate() -> None:
    found = mean_interval(np.array([[5.0, np.nan], [np.nan, np.nan]]))
    assert found.intervals() == [
        Interval(estimate=5.0, low=None, high=None, n=1),
        Interval(estimate=None, low=None, high=None, n=0),
    ]
    assert mean_interval(np.empty((2, 0))).intervals()[0].n == 0


def test_infinities_become_null() -> None:
    assert plain(np.array([1.0, np.inf, -np.inf, np.nan])) == [1.0, None, None, None]


@given(st.integers(0, 60), st.integers(0, 60))
def test_wilson_is_scipys(events: int, others: int) -> None:
    n = events + others
    found = wilson_interval(np.array(events), np.array(n)).interval()
    if n == 0:
        assert found == Interval(estimate=None, low=None, high=None, n=0)
        return
    expected = stats.binomtest(events, n).proportion_ci(0.95, method="wilson")
    assert found.estimate == events / n
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_what_no_seed_has_shown_is_bounded_by_three_over_the_seeds() -> None:
    rates = np.array([[0.0] * 10, [0.0] * 9 + [0.01], [0.0] * 2 + [np.nan] * 8, [0.0] + [np.nan] * 9])
    assert zero_event_bound(rates).tolist() == pytest.approx([0.3, np.nan, 1.0, np.nan], nan_ok=True)


def test_the_zero_event_bound_holds_at_95_percent() -> None:
    seeds = 10
    p = 3.0 / seeds
    assert stats.binom.pmf(0, seeds, p) <= 0.05


@pytest.mark.parametrize("seeds", [3, 10])
def test_coverage_of_the_mean_is_95_percent(seeds: int) -> None:
    draws = np.random.default_rng(20).normal(1.0, 2.0, size=(20_000, seeds))
    found = mean_interval(draws)
    assert ((found.low <= 1.0) & (found.high >= 1.0)).mean() == pytest.approx(0.95, abs=0.006)
