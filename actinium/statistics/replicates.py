"""A study's succeeded trials as arrays by metric, cell and seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from actinium.frame import Outcome
from actinium.job import JobState
from actinium.statistics.intervals import BoolArray, FloatArray, IntArray

TEST_ERROR = "test_error"
RECORD_COLUMNS = frozenset(
    {
        "attempt",
        "cell",
        "cell_id",
        "id",
        "outcome",
        "pack_width",
        "parameters",
        "probe_examples",
        "probe_seconds",
        "seconds",
        "seed",
        "state",
        "steps",
        "study_id",
        "trial_id",
    }
)
"""Columns that say what a trial is or cost; every other column of numbers is a metric."""


@dataclass(frozen=True, kw_only=True)
class Replicates:
    """The succeeded trials of C cells and S seeds, N of them; the seed is the replicate.

    `values` [M, C, S] by metric name, NaN where a trial is not finished or has no such value. `succeeded` [C] counts
    trials. `diverged` and `collapsed` [C, S]: collapsed ones diverged or stalled. `trial_id`, `cell`, `seed` [N] place
    each succeeded trial.
    """

    metrics: tuple[str, ...]
    values: FloatArray
    succeeded: IntArray
    diverged: BoolArray
    collapsed: BoolArray
    trial_id: IntArray
    cell: IntArray
    seed: IntArray

    def by_seed(self, per_trial: FloatArray) -> FloatArray:
        """Numbers of the succeeded trials [N] as [C, S], NaN elsewhere."""
        table = np.full(self.diverged.shape, np.nan)
        table[self.cell, self.seed] = per_trial
        return table

    def lost(self) -> BoolArray:
        """The cells [C] of which all trials that succeeded diverged: nobody is left to compare."""
        found: BoolArray = (self.succeeded > 0) & (self.diverged.sum(axis=1) == self.succeeded)
        return found

    def metric(self, name: str) -> FloatArray:
        """One metric [C, S]; all NaN where the study did not measure it."""
        if name in self.metrics:
            values: FloatArray = self.values[self.metrics.index(name)]
            return values
        return np.full(self.diverged.shape, np.nan)


def collect(
    trials: pd.DataFrame, *, cells: Sequence[int], seeds: Sequence[int], chance: FloatArray | None = None
) -> Replicates:
    """The replicates in a table that has a row for each trial.

    `cells` are the cells' numbers in the report's order, `seeds` the study's; rows of others are left out. A diverged
    trial stays in as what it ended as (SCIENCE D1, D2): its summary says so, and where it has no test error that of
    chance is put in, `chance` [C]. A value that is not finite counts as missing.
    """
    if trials.empty:
        trials = pd.DataFrame({"trial_id": [], "cell": [], "seed": [], "state": [], "outcome": []})
    at_cell = pd.Index(list(cells)).get_indexer(pd.Index(trials["cell"]))
    at_seed = pd.Index(list(seeds)).get_indexer(pd.Index(trials["seed"]))
    done = (at_cell >= 0) & (at_seed >= 0) & (trials["state"] == JobState.SUCCEEDED.value).to_numpy(dtype=bool)
    outcome = trials["outcome"].to_numpy()[done]
    cell, seed = at_cell[done], at_seed[done]
    names, matrix = _measurements(trials, done)
    values = np.full((len(names), len(cells), len(seeds)), np.nan)
    values[:, cell, seed] = matrix.T
    diverged, stalled = (np.zeros((len(cells), len(seeds)), dtype=bool) for _ in range(2))
    diverged[cell, seed] = outcome == Outcome.DIVERGED.value
    stalled[cell, seed] = outcome == Outcome.STALLED.value
    if chance is not None and TEST_ERROR in names:
        errors = values[names.index(TEST_ERROR)]
        values[names.index(TEST_ERROR)] = np.where(diverged & np.isnan(errors), chance[:, None], errors)
    return Replicates(
        metrics=names,
        values=values,
        succeeded=np.bincount(cell, minlength=len(cells)),
        diverged=diverged,
        collapsed=diverged | stalled,
        trial_id=trials["trial_id"].to_numpy(dtype=np.int64)[done],
        cell=cell,
        seed=seed,
    )


def _measurements(trials: pd.DataFrame, done: BoolArray) -> tuple[tuple[str, ...], FloatArray]:
    """The metrics' names and values [N, M]."""
    names: list[str] = []
    for name, kind in trials.dtypes.items():
        if name in RECORD_COLUMNS or not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_object_dtype(kind)):
            continue
        if not pd.api.types.is_object_dtype(kind) or pd.to_numeric(trials[name], errors="coerce")[done].notna().any():
            names.append(str(name))
    plain = all(trials.dtypes[name] == np.float64 for name in names)
    table = trials[names] if plain else trials[names].apply(pd.to_numeric, errors="coerce")
    matrix = table.to_numpy(dtype=np.float64, na_value=np.nan)[done]
    return tuple(names), np.where(np.isfinite(matrix), matrix, np.nan)
