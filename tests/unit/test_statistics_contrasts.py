"""Paired contrasts: SciPy's paired t and permutation tests as oracles, Holm by its definition."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from actinium.report import Interval
from actinium.statistics.contrasts import holm, paired_difference, paired_log_ratio, sign_flip_p

SMALL = st.integers(-4, 4).map(float)


def test_the_interval_is_the_paired_t_interval() -> None:
    rng = np.random.default_rng(5)
    treated, reference = rng.normal(1.0, 1.0, size=(4, 10)), rng.normal(0.0, 1.0, size=(4, 10))
    found = paired_difference(treated, reference)
    for k in range(4):
        expected = stats.ttest_rel(treated[k], reference[k]).confidence_interval(0.95)
        assert (found.low[k], found.high[k]) == pytest.approx((expected.low, expected.high))


def test_a_seed_that_lacks_one_side_is_no_pair() -> None:
    found = paired_difference(np.array([[1.0, np.nan, 3.0]]), np.array([[0.0, 5.0, np.nan]]))
    assert found.intervals() == [Interval(estimate=1.0, low=None, high=None, n=1)]


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


def test_log_ratio_is_of_the_means() -> None:
    found = paired_log_ratio(np.array([[100.0, 300.0, np.nan]]), np.array([[50.0, 50.0, 7.0]]))
    assert found.estimate[0] == pytest.approx(np.log(200 / 50))
    assert found.n[0] == 2


def test_log_ratio_of_the_same_is_zero_and_of_nothing_is_null() -> None:
    same = np.array([[3.0, 5.0, 9.0]])
    assert paired_log_ratio(same, same).intervals() == [Interval(estimate=0.0, low=0.0, high=0.0, n=3)]
    zero = np.zeros((1, 3))
    assert paired_log_ratio(zero, same).intervals() == [Interval(estimate=None, low=None, high=None, n=3)]
    assert paired_log_ratio(same, np.full((1, 3), np.nan)).intervals()[0].n == 0


@pytest.mark.parametrize("budget", [200.0, 1e9])
def test_coverage_of_the_log_ratio(budget: float) -> None:
    rng = np.random.default_rng(3)

    def pairs(count: int, seeds: int) -> tuple[np.ndarray, np.ndarray]:
        shared = 0.3 * rng.normal(size=(count, seeds))
        treated, reference = (np.exp(m + 0.4 * rng.normal(size=(count, seeds)) + shared) for m in (5.0, 4.6))
        return np.minimum(treated, budget), np.minimum(reference, budget)

    truth = np.log(np.divide(*(side.mean() for side in pairs(1, 2_000_000))))
    found = paired_log_ratio(*pairs(8_000, 10))
    assert ((found.low <= truth) & (truth <= found.high)).mean() == pytest.approx(0.945, abs=0.02)
