"""Time to target, survival and areas: SciPy's censored distribution and hand-made curves as oracles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from actinium.statistics.intervals import BoolArray, FloatArray, IntArray
from actinium.statistics.survival import (
    area_under_curve,
    loss_at,
    survival_curves,
    time_to_target,
)

ROW = st.one_of(st.integers(0, 45).map(float), st.just(np.inf), st.just(np.nan))
TIMES = st.lists(st.one_of(st.integers(0, 40).map(float), st.just(float("inf"))), min_size=1, max_size=30)


def evaluations(*curves: list[tuple[int, float]]) -> tuple[IntArray, FloatArray, FloatArray]:
    """Curves of (step, loss), one a trial, as the functions take them."""
    trial = np.array([i for i, curve in enumerate(curves) for _ in curve], dtype=np.int64)
    points = np.array([point for curve in curves for point in curve], dtype=np.float64).reshape(-1, 2)
    return trial, points[:, 0], points[:, 1]


def test_the_target_must_be_met_twice_running_and_the_first_time_counts() -> None:
    arrays = evaluations(
        [(0, 2.0), (10, 0.9), (20, 1.5), (30, 1.0), (40, 0.8), (50, 0.1)],  # once at 10; twice from 30
        [(0, 2.0), (10, 1.8), (50, 0.2)],  # only at the end
        [(0, 0.5), (10, 0.5)],  # from the start
        [(0, 2.0), (10, float("nan")), (20, float("inf"))],
    )
    after, by = time_to_target(*arrays, target=1.0, count=5)
    assert by.tolist() == [30.0, np.inf, 0.0, np.inf, np.inf]
    assert after.tolist() == [20.0, np.inf, 0.0, np.inf, np.inf], "the last evaluation before"


def test_two_trials_side_by_side_are_not_one() -> None:
    arrays = evaluations([(0, 2.0), (10, 0.5)], [(0, 0.5), (10, 2.0)])
    after, by = time_to_target(*arrays, target=1.0, count=2)
    assert after.tolist() == by.tolist() == [np.inf, np.inf]


def test_nothing_evaluated_is_never_there() -> None:
    arrays = evaluations()
    after, by = time_to_target(*arrays, target=1.0, count=2)
    assert after.tolist() == by.tolist() == [np.inf, np.inf]
    assert np.isnan(areas(*arrays, best=0.0, ceiling=2.0, budget=10.0, diverged=np.array([False]))).all()


def test_loss_at_takes_the_last_evaluation_at_or_before() -> None:
    arrays = evaluations([(0, 3.0), (5, 2.0), (6, 1.0)], [(0, 3.0), (4, 2.5), (9, 1.0)], [(7, 1.0)])
    assert loss_at(*arrays, at=np.array([5.0, 8.9, 5.0])).tolist() == pytest.approx([2.0, 2.5, np.nan], nan_ok=True)


def curve(times: list[float], budget: float) -> tuple[list[float], list[float]]:
    """The curve of one cell."""
    (only,) = survival_curves(np.array([times]), np.array([budget]))
    return only


@given(TIMES)
def test_survival_without_early_censoring_is_one_minus_the_distribution(times: list[float]) -> None:
    budget = 40.0
    steps, survival = curve(times, budget)
    assert steps[0] == 0.0
    assert steps[-1] == budget
    assert steps == sorted(set(steps))
    for step, share in zip(steps, survival, strict=True):
        assert share == pytest.approx(np.mean(np.array(times) > step))


@given(TIMES)
def test_the_area_under_survival_is_the_mean_of_time_cut_at_the_budget(times: list[float]) -> None:
    budget = 40.0
    steps, survival = curve(times, budget)
    area = sum(share * (later - step) for step, later, share in zip(steps[:-1], steps[1:], survival[:-1], strict=True))
    assert area == pytest.approx(np.minimum(times, budget).mean())


@given(st.integers(1, 6).flatmap(lambda seeds: st.lists(st.lists(ROW, min_size=seeds, max_size=seeds), min_size=1)))
def test_the_curves_of_all_cells_are_scipys_of_each_cells_finished_trials(rows: list[list[float]]) -> None:
    """Trials that are not finished are left out, and those that are not there by the budget are censored at it."""
    budgets = np.linspace(20.0, 40.0, len(rows))
    for own, budget, (steps, survival) in zip(rows, budgets, survival_curves(np.array(rows), budgets), strict=True):
        finished = np.array([time for time in own if not np.isnan(time)])
        reached = finished <= budget
        if not len(finished):
            assert (steps, survival) == ([0.0, budget], [1.0, 1.0])
            continue
        censored = stats.CensoredData(uncensored=finished[reached], right=np.full((~reached).sum(), budget))
        expected = stats.ecdf(censored).sf
        assert set(finished[reached]) <= set(steps)
        assert survival == pytest.approx(expected.evaluate(np.array(steps)))


def areas(
    trial: IntArray,
    step: FloatArray,
    loss: FloatArray,
    *,
    best: float,
    ceiling: float,
    budget: float,
    diverged: BoolArray,
) -> FloatArray:
    """Of trials of one task."""
    best_of, ceiling_of, budget_of = (np.full(len(diverged), value) for value in (best, ceiling, budget))
    return area_under_curve(trial, step, loss, best=best_of, ceiling=ceiling_of, budget=budget_of, diverged=diverged)


def test_a_network_that_starts_far_above_chance_gains_nothing_by_falling_to_it() -> None:
    """By its own first loss the one from 188 would have an area of .06, and the one from 2.3 one of .29."""
    steps = np.linspace(0, 100, 21)
    huge = [(int(step), 188.0 * np.exp(-step / 10) + 2.3) for step in steps]
    usual = [(int(step), 0.6 + 1.7 * np.exp(-step / 15)) for step in steps]
    arrays = evaluations(huge, usual)
    found = areas(*arrays, best=0.5, ceiling=np.log(10), budget=100.0, diverged=np.array([False, False]))
    assert found[0] == pytest.approx(1.0, abs=0.01)
    assert found[1] < 0.3


def test_area_under_a_learning_curve_by_hand() -> None:
    arrays = evaluations(
        [(0, 3.0), (50, 1.0), (100, 1.0)],  # height 1 to 0 over the first half
        [(0, 3.0), (50, 2.0), (100, 9.0)],  # 1, 0.5, and above the start clipped to 1
        [(0, 3.0), (50, 1.0), (75, float("nan"))],  # diverged: up to 1 by 75, then 1 to the end
        [(0, 1.0), (100, 1.0)],  # at the best from the start
        [(0, 3.0), (50, 2.0)],  # stopped early: 1 to 0.5, then as it was
        [(0, 3.0), (50, 2.0)],  # diverged after a finite evaluation
    )
    diverged = np.array([False, False, True, False, False, True])
    found = areas(*arrays, best=1.0, ceiling=3.0, budget=100.0, diverged=diverged)
    expected = [0.25, 0.75, 0.25 + 0.125 + 0.25, 0.0, 0.375 + 0.25, 0.375 + 0.5]
    assert found.tolist() == pytest.approx(expected)
    nobody = areas(*arrays, best=3.5, ceiling=3.0, budget=100.0, diverged=diverged)
    assert np.isnan(nobody).all(), "no trial is better than a constant guess"
