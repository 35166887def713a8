"""Omega squared: least squares on dummy variables and SciPy's one-way test as oracles."""

import itertools

import numpy as np
import pytest
from scipy import stats

from actinium.statistics.factorial import complete_block, effects
from actinium.statistics.intervals import FloatArray, IntArray


def full_grid(*sizes: int) -> IntArray:
    return np.array(list(itertools.product(*(range(n) for n in sizes))))


def residual_squares(y: FloatArray, *columns: FloatArray) -> float:
    design = np.concatenate([np.ones((len(y), 1)), *columns], axis=1)
    return float(((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2).sum())


def dummies(*codes: IntArray) -> FloatArray:
    _, word = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
    return np.eye(word.max() + 1)[word.reshape(-1)]


def by_least_squares(values: FloatArray, levels: IntArray, order: int) -> dict[tuple[int, ...], float]:
    """Omega squared from residual sums of squares of linear models on all trials, a dummy a level and a seed."""
    cells, seeds = values.shape
    y = values.reshape(-1)
    seed = dummies(np.tile(np.arange(seeds), cells))
    code = levels.repeat(seeds, axis=0)
    cell = dummies(np.arange(cells).repeat(seeds))
    error = residual_squares(y, cell, seed) / ((cells - 1) * (seeds - 1))
    total = float(((y - y.mean()) ** 2).sum())
    factors = range(levels.shape[1])
    terms = [t for size in range(1, order + 1) for t in itertools.combinations(factors, size)]
    columns = {t: dummies(*(code[:, k] for k in t)) for t in terms}
    found = {}
    for term in terms:
        rest = [columns[t] for t in terms if not set(term) <= set(t)]
        square = residual_squares(y, *rest, seed) - residual_squares(y, *rest, columns[term], seed)
        ranks = [
            np.linalg.matrix_rank(np.concatenate([np.ones((len(y), 1)), *c], axis=1))
            for c in (rest, [*rest, columns[term]])
        ]
        degrees = int(ranks[1] - ranks[0])
        if degrees:
            found[term] = max(0.0, (square - degrees * error) / (total + error))
    return found


def noisy(levels: IntArray, seeds: int, generator: np.random.Generator) -> FloatArray:
    signal = levels @ np.arange(1.0, levels.shape[1] + 1) + 0.7 * levels[:, 0] * levels[:, 1]
    return signal[:, None] + generator.normal(size=seeds) + generator.normal(size=(len(levels), seeds))


def test_balanced_grids_agree_with_least_squares() -> None:
    generator = np.random.default_rng(0)
    levels = full_grid(3, 2, 2)
    values = noisy(levels, 5, generator)
    found = effects(values, levels, generator=generator)
    expected = by_least_squares(values, levels, order=3)
    assert {e.term: e.omega_squared for e in found} == pytest.approx(expected)
    assert all(e.balanced and e.seeds == 5 and e.cells == 12 for e in found)


def test_incomplete_grids_agree_with_least_squares_of_type_two() -> None:
    generator = np.random.default_rng(1)
    levels = np.delete(full_grid(3, 3, 2), [1, 10, 16], axis=0)
    values = noisy(levels, 4, generator)
    found = effects(values, levels, generator=generator)
    assert {e.term: e.omega_squared for e in found} == pytest.approx(by_least_squares(values, levels, order=2))
    assert not any(e.balanced for e in found)


def test_one_factor_agrees_with_the_one_way_test() -> None:
    generator = np.random.default_rng(2)
    cells, seeds = 4, 6
    values = np.arange(4.0)[:, None] + generator.normal(size=(cells, seeds))
    values -= values.mean(axis=0)  # no seed effect: what the one-way test calls within is cell x seed
    (effect,) = effects(values, np.arange(cells)[:, None], generator=generator)
    f = stats.f_oneway(*values).statistic
    total = float((values**2).sum())
    between = f * (cells - 1) / (f * (cells - 1) + cells * (seeds - 1)) * total
    error = (total - between) / ((cells - 1) * (seeds - 1))
    assert effect.omega_squared == pytest.approx((between - (cells - 1) * error) / (total + error))


def test_without_noise_the_shares_are_those_of_the_sums_of_squares() -> None:
    levels = full_grid(2, 2)
    values = (levels @ np.array([2.0, 1.0]))[:, None] + np.zeros(3)
    found = {e.term: e for e in effects(values, levels, generator=np.random.default_rng(0))}
    assert found[(0,)].omega_squared == pytest.approx(0.8)
    assert found[(1,)].omega_squared == pytest.approx(0.2)
    assert found[(0, 1)].omega_squared == pytest.approx(0.0)
    assert np.isnan([found[(0,)].low, found[(0,)].high]).all(), "resamples that do not differ say nothing"


def test_only_complete_seeds_and_cells_with_any_value_count() -> None:
    values = np.ones((4, 5))
    values[2] = np.nan
    values[0, 3] = np.nan
    cells, seeds = complete_block(values)
    assert cells.tolist() == [0, 1, 3]
    assert seeds.tolist() == [0, 1, 2, 4]


@pytest.mark.parametrize(
    "values",
    [
        np.full((4, 3), np.nan),
        np.ones((4, 3)),
        np.ones((4, 1)),
        np.ones((4, 0)),
        np.where(np.eye(4) > 0, 1.0, np.nan),
        np.where(np.arange(4)[:, None] == 1, np.arange(3.0), np.nan),
    ],
)
def test_where_there_is_nothing_to_explain_there_is_no_effect(values: FloatArray) -> None:
    assert effects(values, full_grid(2, 2), generator=np.random.default_rng(0)) == []


def test_a_factor_that_is_confounded_with_another_is_left_out() -> None:
    levels = np.array([[0, 0], [1, 1], [2, 2]])
    values = np.random.default_rng(0).normal(size=(3, 4))
    assert effects(values, levels, generator=np.random.default_rng(0)) == []


@pytest.mark.slow
def test_coverage_of_the_interval() -> None:
    generator = np.random.default_rng(7)
    levels = full_grid(3, 2)
    signal = levels @ np.array([1.0, 0.0])

    def sample(seeds: int) -> FloatArray:
        return signal[:, None] + 0.5 * generator.normal(size=seeds) + generator.normal(size=(6, seeds))

    truth = {e.term: e.omega_squared for e in effects(sample(20_000), levels, generator=generator)}
    covered = [
        e.low - 1e-3 <= truth[e.term] <= e.high
        for _ in range(120)
        for e in effects(sample(10), levels, generator=generator)
    ]
    assert np.mean(covered) >= 0.93


def test_below_six_seeds_there_is_no_interval_and_a_coarse_grid_makes_no_effect() -> None:
    generator = np.random.default_rng(9)
    levels = full_grid(3, 2)
    for seeds in (2, 5, 6):
        found = effects(noisy(levels, seeds, generator), levels, generator=generator)
        assert [np.isnan(e.low) and np.isnan(e.high) for e in found] == [seeds < 6] * len(found)
    steps = np.repeat(0.01 * levels[:, :1], 8, axis=1)  # times that differ by less than their grid tells apart
    sharp, coarse = (effects(steps, levels, generator=generator, resolution=r)[0] for r in (0.0, 0.25**2 / 12))
    assert sharp.omega_squared == pytest.approx(1.0)
    assert coarse.omega_squared == 0.0


def test_a_factor_that_does_nothing_is_rarely_shown_to_do_something() -> None:
    generator = np.random.default_rng(8)
    levels = full_grid(5, 5)
    lows = [e.low for _ in range(40) for e in effects(generator.normal(size=(25, 10)), levels, generator=generator)]
    assert np.mean(np.array(lows) > 0.0) <= 0.05
