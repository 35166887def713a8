"""Paired contrasts: SciPy's paired t and permutation tests as oracles, Holm by its definition."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from actinium.report import Interval
from actinium.statistics.contrasts import correlation, difference_interval, holm, log_ratio_interval, sign_flip_p
from actinium.statistics.families import seeds_needed, smallest_p
from actinium.statistics.intervals import Estimates, FloatArray, mean_interval, wilson_interval
from actinium.statistics.means import Method, method_of, metric_contrast, metric_interval
from actinium.statistics.rates import time_interval

SMALL = st.integers(-4, 4).map(float)


def test_of_students_intervals_the_difference_is_the_paired_t_interval() -> None:
    rng = np.random.default_rng(5)
    treated, reference = rng.normal(1.0, 1.0, size=(4, 10)), rng.normal(0.0, 1.0, size=(4, 10))
    treated += reference
    means = mean_interval(treated), mean_interval(reference)
    found = difference_interval(*means, correlation(treated, reference))
    direct = metric_contrast("validation_loss", treated, reference)
    for k in range(4):
        expected = stats.ttest_rel(treated[k], reference[k]).confidence_interval(0.95)
        assert (found.low[k], found.high[k]) == pytest.approx((expected.low, expected.high))
        assert (direct.low[k], direct.high[k]) == pytest.approx((expected.low, expected.high))


def test_the_correlation_is_scipys_over_complete_pairs() -> None:
    rng = np.random.default_rng(6)
    first, second = rng.normal(size=(2, 3, 8))
    second[1, 4] = np.nan
    found = correlation(first, second)
    for k in range(3):
        both = ~np.isnan(second[k])
        assert found[k] == pytest.approx(stats.pearsonr(first[k, both], second[k, both]).statistic)
    assert correlation(np.ones((1, 4)), first[:1, :4])[0] == 0.0, "no spread"
    assert correlation(first, first + 3.0).tolist() == [0.0] * 3, "their difference has no spread"


def test_the_difference_of_two_shares_is_newcombes_example() -> None:
    """56/70 and 48/80, independent, by Wilson's intervals: .0524 to .3339 (Newcombe 1998, table II, method 10)."""
    shares = [wilson_interval(np.array(events), np.array(n)) for events, n in ((56, 70), (48, 80))]
    found = difference_interval(*shares, np.array(0.0))
    assert (float(found.low), float(found.high)) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_a_seed_that_lacks_one_side_is_no_pair() -> None:
    found = metric_contrast("test_error", np.array([[1.0, np.nan, 0.5]]), np.array([[0.0, 0.5, np.nan]]))
    assert found.intervals() == [Interval(estimate=1.0, low=None, high=None, n=1)]


def test_rates_of_cells_without_any_event_are_bounded_and_never_without_width() -> None:
    nothing, some = np.zeros((1, 6)), np.array([[0.4, 0.42, 0.41, 0.44, 0.39, 0.43]])
    both = metric_contrast("dead_unit_rate", nothing, nothing).intervals()[0]
    assert (both.estimate, both.low, both.high) == (0.0, -0.5, 0.5)
    one = metric_contrast("dead_unit_rate", some, nothing).intervals()[0]
    alone = metric_interval("dead_unit_rate", some).intervals()[0]
    assert one.estimate == alone.estimate == pytest.approx(0.415)
    assert one.low is not None and alone.low is not None
    assert 0.36 < one.low < alone.low, "what a clean cell may hide, but not a network that dies as a whole"
    same = metric_contrast("dead_unit_rate", some, some).intervals()[0]
    assert same.low is not None and same.high is not None
    assert same.low < 0.0 < same.high


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("dead_unit_rate", Method.RATES),
        ("dormant_rate_0.025/layer_02", Method.RATES),
        ("network_constant", Method.SHARE_OF_SEEDS),
        ("layer_dead/layer_01", Method.SHARE_OF_SEEDS),
        ("test_error", Method.BOUNDED),
        ("train_eval_gap", Method.BOUNDED),
        ("aulc", Method.BOUNDED),
        ("validation_loss", Method.STUDENT),
        ("statistic_mean_error/layer_01", Method.STUDENT),
        ("statistic_variance_error", Method.STUDENT),
        ("nobody_knows_this_rate", Method.STUDENT),
    ],
)
def test_the_method_follows_from_the_table_of_measurements(name: str, method: Method) -> None:
    assert method_of(name) is method


def test_a_quantity_without_bounds_may_be_above_one_and_without_spread_has_no_interval() -> None:
    """The running means' error was once cut to [1, 1], for its name ends in _error."""
    found = metric_interval("statistic_mean_error/layer_01", np.array([[2.3, 2.4, 2.35], [2.0, 2.0, 2.0]]))
    first, second = found.intervals()
    expected = stats.ttest_1samp([2.3, 2.4, 2.35], 0.0).confidence_interval(0.95)
    assert (first.low, first.high) == pytest.approx((expected.low, expected.high))
    assert second == Interval(estimate=2.0, low=None, high=None, n=3)
    low = metric_interval("validation_loss", np.array([0.1, 0.1, 0.9])).interval().low
    assert low == 0.0, "a loss is never below 0"


def test_a_hazard_stays_within_what_a_share_can_be() -> None:
    found = metric_interval("revival_hazard", np.array([0.0, 0.0, 0.5, 0.1, 0.3, 0.1])).interval()
    assert found.low is not None and found.high is not None
    assert 0.0 <= found.low < found.high <= 1.0


@pytest.mark.parametrize("seeds", [2, 3, 7, 10, 12])
def test_exact_p_is_scipys_permutation_test(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    treated, reference = rng.normal(0.6, 1.0, size=(3, seeds)), rng.normal(size=(3, seeds))
    found = sign_flip_p(treated - reference)
    for k in range(3):
        expected = stats.permutation_test(
            (treated[k], reference[k]),
            lambda x, y, axis: (x - y).mean(axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=np.inf,
        )
        assert found[k] == pytest.approx(expected.pvalue)


@given(st.lists(SMALL, min_size=2, max_size=9))
def test_exact_p_counts_every_sign_pattern_and_every_tie(differences: list[float]) -> None:
    observed = abs(sum(differences))
    patterns = list(itertools.product([1, -1], repeat=len(differences)))
    reaching = sum(abs(sum(s * d for s, d in zip(p, differences, strict=True))) >= observed for p in patterns)
    assert sign_flip_p(np.array([differences]))[0] == pytest.approx(reaching / len(patterns))


def test_twenty_seeds_are_still_counted_exactly() -> None:
    p = sign_flip_p(np.array([[1.0] * 20, [0.0] * 20, [1.0] * 19 + [-1.0]]))
    assert p == pytest.approx([2.0**-19, 1.0, 2 * (1 + 20) / 2**20])


def test_a_missing_pair_leaves_the_p_of_the_others() -> None:
    p = sign_flip_p(np.array([[1.0, np.nan, 2.0, 3.0], [1.0, np.nan, np.nan, np.nan]]))
    assert p[0] == 0.25
    assert np.isnan(p[1])


def test_many_contrasts_at_once_are_each_alone() -> None:
    differences = np.random.default_rng(2).normal(size=(3000, 13))
    together = sign_flip_p(differences)
    chosen = [0, 1, 1023, 1024, 2999]
    assert together[chosen] == pytest.approx([sign_flip_p(differences[i : i + 1])[0] for i in chosen])


def test_beyond_twenty_seeds_patterns_are_drawn() -> None:
    differences = np.random.default_rng(0).normal(0.35, 1.0, size=(2, 25))
    found = sign_flip_p(differences, generator=np.random.default_rng(1))
    again = sign_flip_p(differences, generator=np.random.default_rng(1))
    assert found.tolist() == again.tolist()
    assert found == pytest.approx(stats.ttest_1samp(differences, 0.0, axis=1).pvalue, abs=0.02)
    with pytest.raises(ValueError, match="generator"):
        sign_flip_p(differences)


def test_p_below_alpha_is_as_rare_as_alpha_where_nothing_differs() -> None:
    p = sign_flip_p(np.random.default_rng(11).normal(size=(20_000, 10)))
    assert (p <= 0.05).mean() == pytest.approx(0.05, abs=0.006)


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1 is 0.04, 0.06, 0.06, 0.04, and the last is held up to 0.06.
    assert holm(np.array([0.04, 0.01, np.nan, 0.03, 0.02])).tolist() == pytest.approx(
        [0.06, 0.04, np.nan, 0.06, 0.06], nan_ok=True
    )
    assert holm(np.array([])).tolist() == []


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_rejects_what_the_stepwise_rule_rejects(p: list[float], alpha: float) -> None:
    adjusted = holm(np.array(p))
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= 1.0).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()
    rejected = []
    for i, index in enumerate(order):
        if p[index] * (len(p) - i) > alpha:
            break
        rejected.append(int(index))
    assert sorted(rejected) == np.flatnonzero(adjusted <= alpha).tolist()


def test_the_smallest_p_and_the_seeds_that_a_family_needs() -> None:
    """Six seeds for one contrast (2^-5 = .03125), nine for ten, twelve for 72: by counting, and by the tests."""
    assert [smallest_p(seeds) for seeds in (1, 2, 5, 6)] == [1.0, 0.5, 0.0625, 0.03125]
    assert smallest_p(5, 72) == 1.0
    for tests in (1, 2, 3, 10, 16, 25, 72, 1000):
        least = next(seeds for seeds in range(1, 64) if tests * 2.0 ** (1 - seeds) <= 0.05)
        assert seeds_needed(tests) == least
        clear = np.ones((tests, least))
        assert holm(sign_flip_p(clear))[0] <= 0.05
        assert holm(sign_flip_p(clear[:, 1:]))[0] > 0.05
    assert (seeds_needed(1), seeds_needed(10), seeds_needed(72)) == (6, 9, 12)


def log_ratio(treated: FloatArray, reference: FloatArray, budget: float) -> Estimates:
    """As reports compute it."""
    limit = np.full(len(treated), budget)
    means = [time_interval(side, limit) for side in (treated, reference)]
    return log_ratio_interval(*means, correlation(treated, reference))


def test_log_ratio_is_of_the_means() -> None:
    found = log_ratio(np.array([[100.0, 300.0, 200.0]]), np.array([[50.0, 50.0, 80.0]]), 400.0)
    assert found.estimate[0] == pytest.approx(np.log(200 / 60))
    assert found.low[0] < found.estimate[0] < found.high[0]


def test_log_ratio_of_the_same_has_a_width_and_of_nothing_is_null() -> None:
    same = np.array([[3.0, 5.0, 9.0]])
    found = log_ratio(same, same, 10.0)
    assert found.estimate[0] == 0.0
    assert found.low[0] < 0.0 < found.high[0]
    assert log_ratio(np.zeros((1, 3)), same, 10.0).intervals() == [Interval(estimate=None, low=None, high=None, n=3)]
