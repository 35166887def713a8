"""A study's target, and the step at which each trial reached it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from actinium.paths import Cell
from actinium.report import Convergence, SurvivalCurve
from actinium.statistics.intervals import BoolArray, FloatArray, IntArray, wilson_interval
from actinium.statistics.replicates import Replicates
from actinium.statistics.survival import area_under_curve, loss_at, survival_curves, time_to_target


@dataclass(frozen=True, kw_only=True)
class TimesToTarget:
    """`times` [C, S] steps to the target: infinite where a trial never reached it or diverged, NaN where it is not
    finished or there is no target yet. `budget` [C] steps in all; `aulc` [C, S].

    `target` comes from the study, or from `target_trials` trials of its reference cell.
    """

    target: float | None
    target_trials: int
    times: FloatArray
    budget: FloatArray
    aulc: FloatArray

    def restricted(self) -> FloatArray:
        """min(T, B) [C, S] in steps; its mean over seeds is RMST(B)."""
        return np.minimum(self.times, self.budget[:, None])

    def convergence(self, cells: Sequence[Cell], listed: range) -> Convergence:
        """The survival curve of each cell that is listed and has a finished trial, and the share that reached the
        target.
        """
        times, budget = self.times[listed.start : listed.stop], self.budget[listed.start : listed.stop]
        finished = ~np.isnan(times)
        reached = finished & (times <= budget[:, None])
        shares = wilson_interval(reached.sum(axis=1), finished.sum(axis=1)).intervals()
        curves = survival_curves(times, budget)
        found = (
            SurvivalCurve(
                cell=cells[listed[position]],
                steps=tuple(curves[position][0]),
                survival=tuple(curves[position][1]),
                budget=float(budget[position]),
                reached=shares[position],
            )
            for position in np.flatnonzero(finished.any(axis=1)).tolist()
        )
        return Convergence(target=self.target, curves=tuple(found))


def times_to_target(
    replicates: Replicates, curves: pd.DataFrame, *, budget: FloatArray, target: float | None, reference: int
) -> TimesToTarget:
    """From validation losses by step (`trial_id, step, value`) of finished trials and each cell's budget [C].

    Without a fixed target it is the median, over the reference cell's finished trials, of the loss at the last
    evaluation at or before half the budget (SCIENCE D2).
    """
    trial, step, loss = _evaluations(replicates.trial_id, curves)
    budgets = budget[replicates.cell]
    evaluated = np.zeros(len(budgets), dtype=bool)
    evaluated[trial] = True
    count = 0
    if target is None:
        halfway = loss_at(trial, step, loss, at=budgets / 2.0)
        halfway = halfway[evaluated & (replicates.cell == reference)]
        count = len(halfway)
        median = float(np.median(np.where(np.isfinite(halfway), halfway, np.inf))) if count else np.inf
        target = median if np.isfinite(median) else None
    finite = loss[np.isfinite(loss)]
    diverged = replicates.diverged[replicates.cell, replicates.seed]
    best = float(finite.min()) if len(finite) else 0.0
    aulc = area_under_curve(trial, step, loss, best=best, budget=budgets, diverged=diverged)
    return TimesToTarget(
        target=target,
        target_trials=count,
        times=_times(replicates, trial, step, loss, target, evaluated),
        budget=budget,
        aulc=replicates.by_seed(aulc),
    )


def _times(
    replicates: Replicates,
    trial: IntArray,
    step: FloatArray,
    loss: FloatArray,
    target: float | None,
    evaluated: BoolArray,
) -> FloatArray:
    if target is None:
        return np.full(replicates.diverged.shape, np.nan)
    times = time_to_target(trial, step, loss, target=target, count=len(evaluated))
    diverged = replicates.diverged[replicates.cell, replicates.seed]
    times[diverged] = np.inf
    times[~evaluated & ~diverged] = np.nan
    return replicates.by_seed(times)


def _evaluations(trial_id: IntArray, curves: pd.DataFrame) -> tuple[IntArray, FloatArray, FloatArray]:
    """Positions among the succeeded trials, steps and losses, sorted by trial and step."""
    if curves.empty or not len(trial_id):
        return np.empty(0, dtype=np.int64), np.empty(0), np.empty(0)
    trial = pd.Index(trial_id).get_indexer(pd.Index(curves["trial_id"]))
    step = curves["step"].to_numpy(dtype=np.float64)
    loss = curves["value"].to_numpy(dtype=np.float64, na_value=np.nan)
    ascending = (np.diff(trial) > 0) | ((np.diff(trial) == 0) & (np.diff(step) >= 0))
    if not ascending.all():
        order = np.lexsort((step, trial))
        trial, step, loss = trial[order], step[order], loss[order]
    known = trial >= 0
    return trial[known].astype(np.int64), step[known], loss[known]
