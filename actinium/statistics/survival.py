"""Convergence: time to target, survival curves and areas under learning curves (SCIENCE D2).

Evaluations come as three arrays of one length E, sorted by trial and step: `trial` (its position 0..N-1), `step`,
`loss`. A loss that is not finite is never at the target.
"""

import numpy as np

from actinium.statistics.intervals import BoolArray, FloatArray, IntArray


def time_to_target(
    trial: IntArray, step: FloatArray, loss: FloatArray, *, target: float, count: int
) -> tuple[FloatArray, FloatArray]:
    """Per trial [N] the two evaluations between which it came to the target: the last one before, and the first whose
    loss, and that of the next evaluation too, is at most the target. Both infinite where there is none; both 0 for a
    trial that is there at its first evaluation.
    """
    hit = loss <= target
    twice = np.flatnonzero(hit[:-1] & hit[1:] & (trial[:-1] == trial[1:]))
    trials, first = np.unique(trial[twice], return_index=True)
    there = twice[first]
    after, by = np.full(count, np.inf), np.full(count, np.inf)
    by[trials] = step[there]
    before = np.maximum(there - 1, 0)
    after[trials] = np.where((there > 0) & (trial[before] == trials), step[before], step[there])
    return after, by


def loss_at(trial: IntArray, step: FloatArray, loss: FloatArray, *, at: FloatArray) -> FloatArray:
    """Per trial [N]: the loss at its last evaluation at or before step `at` [N]; NaN without one."""
    values = np.full(len(at), np.nan)
    early = step <= at[trial]
    values[trial[early]] = loss[early]  # sorted by step: the last assignment stands
    return values


def area_under_curve(
    trial: IntArray,
    step: FloatArray,
    loss: FloatArray,
    *,
    best: FloatArray,
    ceiling: FloatArray,
    budget: FloatArray,
    diverged: BoolArray,
) -> FloatArray:
    """AULC per trial [N]: (1/B) times the trapezoid over steps of clip((L - best) / (ceiling - best), 0, 1).

    `best` and `ceiling` [N] are those of all trials of a task: the lowest loss, and that of the best constant guess.
    What is not finite counts as 1. From the last evaluation to the budget B a `diverged` trial [N] counts as 1; one
    that stopped early keeps its last height. NaN without an evaluation, and where nobody beats the constant guess.
    """
    count = len(budget)
    evaluated = np.zeros(count, dtype=bool)
    evaluated[trial] = True
    last = np.zeros(count)
    last[trial] = step
    span = (ceiling - best)[trial]
    with np.errstate(divide="ignore", invalid="ignore"):
        height = np.where(np.isfinite(loss), np.clip((loss - best[trial]) / span, 0.0, 1.0), 1.0)
    inside = trial[:-1] == trial[1:]
    pieces = np.where(inside, np.diff(step) * (height[:-1] + height[1:]) / 2.0, 0.0)
    area = np.bincount(trial[:-1], weights=pieces, minlength=count)
    end = np.ones(count)
    end[trial] = height
    end[diverged] = 1.0
    total = (area + end * np.maximum(budget - last, 0.0)) / budget
    return np.where(evaluated & (ceiling > best), total, np.nan)


def survival_curves(times: FloatArray, budget: FloatArray) -> list[tuple[list[float], list[float]]]:
    """Kaplan-Meier curves (Kaplan & Meier 1958): for each cell, steps from 0 to its budget, and after each step the
    share of trials not yet at the target. The area under this step function is the RMST, the mean of min(T, B).

    `times` [C, S] are steps to the target: infinite where it was never reached, and such a trial is censored at the
    budget [C]; NaN where a trial is not finished. Nobody is censored before the budget, so that at the k-th event all
    but k - 1 trials are at risk. Where there is no event the product has a factor of 1, which changes no bit.
    """
    finished = (~np.isnan(times)).sum(axis=1, keepdims=True)
    reached = np.sort(np.where(times <= budget[:, None], times, np.inf), axis=1)
    at = np.arange(reached.shape[1])
    edge = np.ones((len(reached), 1), dtype=bool)
    differs = reached[:, 1:] != reached[:, :-1]
    first = np.maximum.accumulate(np.where(np.concatenate([edge, differs], axis=1), at, 0), axis=1)
    last = np.concatenate([differs, edge], axis=1) & np.isfinite(reached)
    with np.errstate(divide="ignore"):
        factors = np.where(last, 1.0 - (at - first + 1.0) / (finished - first), 1.0)
    survival = np.cumprod(factors, axis=1)
    ends = np.cumsum(last.sum(axis=1)).tolist()
    every_step, every_share = reached[last].tolist(), survival[last].tolist()
    curves = []
    for start, stop, end in zip([0, *ends][: len(ends)], ends, budget.tolist(), strict=True):
        steps, shares = every_step[start:stop], every_share[start:stop]
        if not steps or steps[0] > 0.0:
            steps, shares = [0.0, *steps], [1.0, *shares]
        if steps[-1] < end:
            steps, shares = [*steps, end], [*shares, shares[-1]]
        curves.append((steps, shares))
    return curves
