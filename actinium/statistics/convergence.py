"""A study's target, and when each trial reached it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from actinium.paths import Cell
from actinium.report import Convergence, SurvivalCurve
from actinium.statistics.intervals import BoolArray, Estimates, FloatArray, IntArray, wilson_interval
from actinium.statistics.rates import time_interval
from actinium.statistics.replicates import Replicates
from actinium.statistics.survival import area_under_curve, loss_at, survival_curves, time_to_target

CONSTANT_GUESS_LOSS = "constant_guess_loss"
PILOTS = 3
"""A computed target is frozen when so many trials of the reference cell have succeeded."""


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """What a whole trial of each of C cells has: `steps` and `epochs` [C].

    `task` [C] numbers the cells' tasks, whose losses are comparable; `ceiling` [C] is the loss of the best constant
    guess, NaN where only the data would tell.
    """

    steps: FloatArray
    epochs: FloatArray
    task: IntArray
    ceiling: FloatArray


@dataclass(frozen=True, kw_only=True)
class Pilot:
    """A trial of the reference cell that the computed target rests on, and when it succeeded, if that is known."""

    trial_id: int
    finished: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class FrozenTarget:
    """The evaluation loss that counts as the target. `pilots`: the trials that it was computed from; empty where the
    study sets it, and where there are not enough of them yet.
    """

    value: float | None
    pilots: tuple[Pilot, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TimesToTarget:
    """Times in epochs, [C, S]: a trial reached the target between the evaluations at `after` and at `by`. Both are
    infinite where it never did or diverged, NaN where it is not finished or there is no target yet. `aulc` [C, S].
    """

    target: FrozenTarget
    after: FloatArray
    by: FloatArray
    budgets: Budgets
    aulc: FloatArray

    def times(self) -> FloatArray:
        """The middle between the two evaluations [C, S]."""
        return (self.after + self.by) / 2.0

    def restricted(self) -> FloatArray:
        """min(T, B) [C, S]; its mean over seeds is RMST(B)."""
        return np.minimum(self.times(), self.budgets.epochs[:, None])

    def grid_variance(self) -> FloatArray:
        """Of a single time [C]: it may be anywhere between its two evaluations, whose distance h gives h^2 / 12."""
        with np.errstate(invalid="ignore"):
            distance = np.where(np.isfinite(self.by), self.by - self.after, np.nan)
        known = ~np.isnan(distance)
        squares = np.where(known, distance, 0.0) ** 2
        found: FloatArray = squares.sum(axis=1) / (12.0 * np.maximum(known.sum(axis=1), 1))
        return found

    def mean_epochs(self, at: slice) -> Estimates:
        """The RMST of these cells in epochs."""
        return time_interval(self.restricted()[at], self.budgets.epochs[at], variance=self.grid_variance()[at])

    def mean_steps(self, at: slice) -> Estimates:
        """The RMST of these cells in optimizer steps."""
        epochs, steps = self.mean_epochs(at), (self.budgets.steps / self.budgets.epochs)[at]
        return Estimates(estimate=epochs.estimate * steps, low=epochs.low * steps, high=epochs.high * steps, n=epochs.n)

    def convergence(self, cells: Sequence[Cell], listed: range) -> Convergence:
        """The survival curve of each cell that is listed and has a finished trial, and the share that reached the
        target.
        """
        at = slice(listed.start, listed.stop)
        times, epochs, steps = self.times()[at], self.budgets.epochs[at], self.budgets.steps[at]
        finished = ~np.isnan(times)
        reached = finished & (times <= epochs[:, None])
        shares = wilson_interval(reached.sum(axis=1), finished.sum(axis=1)).intervals()
        curves = survival_curves(times, epochs)
        found = []
        for position in np.flatnonzero(finished.any(axis=1)).tolist():
            moments, survival = curves[position]
            in_steps = float(steps[position] / epochs[position])
            found.append(
                SurvivalCurve(
                    cell=cells[listed[position]],
                    epochs=tuple(moments),
                    steps=tuple(moment * in_steps for moment in moments),
                    survival=tuple(survival),
                    budget=float(steps[position]),
                    budget_epochs=float(epochs[position]),
                    median_epochs=_median(moments, survival),
                    reached=shares[position],
                )
            )
        return Convergence(target=self.target.value, curves=tuple(found))


def _median(epochs: Sequence[float], survival: Sequence[float]) -> float | None:
    """The first time at which at most half of the trials are not yet at the target; None where more never arrive."""
    return next((epoch for epoch, share in zip(epochs, survival, strict=True) if share <= 0.5), None)


def times_to_target(
    replicates: Replicates,
    curves: pd.DataFrame,
    *,
    budgets: Budgets,
    target: float | None,
    pilots: Sequence[Pilot] = (),
) -> TimesToTarget:
    """From evaluation losses by step (`trial_id, step, value`) of finished trials.

    Without a fixed target it is the median, over the first three trials of the reference cell that succeeded (or as
    many as the study has seeds, if fewer), of the loss at the last evaluation at or before half the budget (SCIENCE
    D2). `pilots` are those three; with none there is no target yet. As trials that have succeeded stay, and later
    ones are not asked, the target does not move.
    """
    trial, step, loss = _evaluations(replicates.trial_id, curves)
    steps = budgets.steps[replicates.cell]
    evaluated = np.zeros(len(steps), dtype=bool)
    evaluated[trial] = True
    frozen = FrozenTarget(value=target)
    if target is None:
        halfway = loss_at(trial, step, loss, at=steps / 2.0)
        frozen = _frozen(halfway[np.isin(replicates.trial_id, [pilot.trial_id for pilot in pilots])], pilots)
    diverged = replicates.diverged[replicates.cell, replicates.seed]
    guess = replicates.metric(CONSTANT_GUESS_LOSS)[replicates.cell, replicates.seed]
    best, ceiling = _scale(trial, loss, guess, budgets, replicates.cell)
    aulc = area_under_curve(trial, step, loss, best=best, ceiling=ceiling, budget=steps, diverged=diverged)
    after, by = _between(trial, step, loss, frozen.value, evaluated, diverged)
    in_epochs = (budgets.epochs / budgets.steps)[replicates.cell]
    return TimesToTarget(
        target=frozen,
        after=replicates.by_seed(after * in_epochs),
        by=replicates.by_seed(by * in_epochs),
        budgets=budgets,
        aulc=replicates.by_seed(aulc),
    )


def _frozen(halfway: FloatArray, pilots: Sequence[Pilot]) -> FrozenTarget:
    """The median of the pilots' losses, where there is one."""
    if not len(halfway):
        return FrozenTarget(value=None)
    median = float(np.median(np.where(np.isfinite(halfway), halfway, np.inf)))
    return FrozenTarget(value=median if np.isfinite(median) else None, pilots=tuple(pilots))


def _scale(
    trial: IntArray, loss: FloatArray, guess: FloatArray, budgets: Budgets, cell: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Of each trial [N], by its task: the lowest loss of all its trials, and the ceiling, which is the loss of a
    constant guess. Where the design does not tell that, it is the median of what the trials measured of their own,
    `guess` [N], or of trials that did not, the median of all first losses.
    """
    count = len(cell)
    best, ceiling = np.full(count, np.nan), budgets.ceiling[cell].copy()
    first = np.full(count, np.nan)
    first[trial[::-1]] = loss[::-1]  # sorted by step: the first evaluation stands
    first = np.where(np.isnan(guess), first, guess)
    for task in np.unique(budgets.task[cell]):
        own = budgets.task[cell] == task
        finite = loss[own[trial] & np.isfinite(loss)]
        starts = first[own & np.isfinite(first)]
        best[own] = finite.min() if len(finite) else np.nan
        ceiling[own & np.isnan(ceiling)] = np.median(starts) if len(starts) else np.nan
    return best, ceiling


def _between(
    trial: IntArray,
    step: FloatArray,
    loss: FloatArray,
    target: float | None,
    evaluated: BoolArray,
    diverged: BoolArray,
) -> tuple[FloatArray, FloatArray]:
    if target is None:
        nothing = np.full(len(evaluated), np.nan)
        return nothing, nothing
    after, by = time_to_target(trial, step, loss, target=target, count=len(evaluated))
    for times in (after, by):
        times[diverged] = np.inf
        times[~evaluated & ~diverged] = np.nan
    return after, by


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
