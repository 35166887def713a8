"""The report of a study: the document of `GET /v1/studies/{id}/report`.

Every estimate in it is `{estimate, low, high, n}`: a 95% interval over n seeds, null below two. Null also stands for
what cannot be computed yet; the report of a study that has only begun is complete in form.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from actinium.objectives import Words, common_words, words
from actinium.paths import Cell
from actinium.statistics.comparisons import STEPS_TO_TARGET, contrasts, factors
from actinium.statistics.convergence import Convergence, convergence
from actinium.statistics.intervals import Estimates, FloatArray, bounded_interval, wilson_interval, zero_event_bound
from actinium.statistics.references import Grid, References, grid, references
from actinium.statistics.replicates import Replicates, collect
from actinium.statistics.small_batch import METRIC, small_batch
from actinium.study import DesignCell, StudySpec
from actinium.trial import TrialConfig

NETWORK_METRICS = (
    "validation_loss",
    "validation_accuracy",
    "test_error",
    "train_eval_gap",
    STEPS_TO_TARGET,
    "epochs_to_target",
    "aulc",
    "dead_unit_rate",
    "born_dead_rate",
    "died_rate",
    "transient_rate",
    "revived_rate",
    "off_rate",
    "dormant_rate_0.025",
    "saturated_rate",
    "gradient_slope",
    "activation_rate",
    "effective_rank",
)
"""These every cell lists, measured or not; others, and those of single layers, where there is a value."""

FRACTION = re.compile(r"(^|_)(rate|accuracy|error)(_|$)")
EVENT = re.compile(r"^(dead_unit|dead_half|born_dead|died|transient|revived|off|off_half|dormant|saturated)_rate")
"""Rates of something happening to units, of which none in any seed is still no proof of never."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the design alone decides of a report, C cells; good for every revision of a study.

    `budget` [C] steps and `epochs` [C] of a whole trial; who is compared with whom, and the grid;
    what error and accuracy are called.
    """

    cells: list[DesignCell]
    budget: FloatArray
    epochs: FloatArray
    compared: References
    span: Grid
    words: Words


def plan(spec: StudySpec, cells: Sequence[tuple[int, Cell, TrialConfig]]) -> Plan:
    """The plan of a study's report, from each cell's index, levels and config."""
    design = [DesignCell(index=index, cell=cell, config=config) for index, cell, config in cells]
    return Plan(
        cells=design,
        budget=np.array([float(cell.config.steps()) for cell in design]),
        epochs=np.array([float(cell.config.training.epochs) for cell in design]),
        compared=references(spec, design),
        span=grid(spec, design),
        words=common_words(words(cell.config.objective(), cell.config.task.definition().tolerance) for cell in design),
    )


def build_report(
    *,
    study_id: int,
    revision: int,
    spec: StudySpec,
    cells: Sequence[tuple[int, Cell, TrialConfig]] | Plan,
    trials: pd.DataFrame,
    curves: pd.DataFrame,
    resampling_seed: int = 0,
) -> dict[str, Any]:
    """The report as plain JSON data.

    `cells`: index, levels and config, or the plan that was made of them. `trials`: a row a trial with `trial_id`,
    `cell` (the index), `seed`, `state`, `outcome`, and a column a metric; those that succeeded are enough. `curves`:
    `trial_id`, `step`, `value` of the validation loss of finished trials.
    What is drawn (bootstrap, sign flips beyond 20 seeds) is drawn from `resampling_seed`, so that a report can be
    repeated.
    """
    planned = cells if isinstance(cells, Plan) else plan(spec, cells)
    design, compared = planned.cells, planned.compared
    generator = np.random.default_rng(resampling_seed)
    seeds = list(dict.fromkeys([*spec.seed_list(), *(trials["seed"].unique().tolist() if len(trials) else [])]))
    replicates = collect(trials, cells=[cell.index for cell in design], seeds=seeds)
    reached = convergence(replicates, curves, budget=planned.budget, target=spec.target.value, reference=compared.cell)
    return {
        "study_id": study_id,
        "revision": revision,
        "words": planned.words,
        "target": {
            "metric": spec.target.metric,
            "value": reached.target,
            "source": "reference" if spec.target.value is None else "study",
            "cell": design[compared.cell].cell if spec.target.value is None else None,
            "n": reached.target_trials,
        },
        "cells": _cells(planned, replicates, reached, len(seeds)),
        "contrasts": contrasts(design, compared.pairs, replicates, reached, generator=generator),
        "factors": factors(planned.span, replicates, reached, generator=generator),
        "small_batch": small_batch(planned.span, design, replicates.metric(METRIC), generator=generator),
        "convergence": {"target": reached.target, "curves": reached.curves([cell.cell for cell in design])},
    }


def _cells(planned: Plan, replicates: Replicates, reached: Convergence, seeds: int) -> list[dict[str, Any]]:
    collapse = wilson_interval(replicates.collapsed, replicates.succeeded).records()
    diverged = replicates.diverged.sum(axis=1).tolist()
    metrics = _metrics(planned.epochs, replicates, reached)
    return [
        {
            "cell": cell.cell,
            "seeds": seeds,
            "succeeded": int(replicates.succeeded[i]),
            "diverged": diverged[i],
            "collapse_rate": collapse[i],
            "metrics": metrics[i],
        }
        for i, cell in enumerate(planned.cells)
    ]


def _metrics(epochs: FloatArray, replicates: Replicates, reached: Convergence) -> list[dict[str, Any]]:
    """Per cell, the interval of each metric's mean over seeds; of `steps_to_target` the mean is the RMST."""
    restricted = reached.restricted()
    count = len(epochs)
    times = {
        STEPS_TO_TARGET: (restricted, reached.budget),
        "epochs_to_target": (restricted * (epochs / reached.budget)[:, None], epochs),
        "aulc": (reached.aulc, np.ones(count)),
    }
    names = list(dict.fromkeys([*NETWORK_METRICS, *replicates.metrics]))
    values = np.stack([times[name][0] if name in times else replicates.metric(name) for name in names])
    low, high = np.full((len(names), count), -np.inf), np.full((len(names), count), np.inf)
    for row, name in enumerate(names):
        if name in times:
            low[row], high[row] = 0.0, times[name][1]
        elif FRACTION.search(name.split("/")[0]):
            low[row], high[row] = 0.0, 1.0
    found = bounded_interval(values, low=low, high=high)
    by_cell = Estimates(estimate=found.estimate.T, low=found.low.T, high=found.high.T, n=found.n.T)
    records = by_cell.records()
    _note_zero_events(names, values, records)
    wanted = by_cell.n.astype(bool)
    wanted[:, : len(NETWORK_METRICS)] = True
    lacking = (len(names) - wanted.sum(axis=1)).tolist()
    cells = []
    for c, first in enumerate(range(0, len(records), len(names))):
        pairs = zip(names, records[first : first + len(names)], strict=True)
        cells.append(dict(itertools.compress(pairs, wanted[c].tolist())) if lacking[c] else dict(pairs))
    return cells


def _note_zero_events(names: Sequence[str], values: FloatArray, records: list[dict[str, Any]]) -> None:
    """Adds `zero_event_bound` to the records [C, M] of rates of events that no seed has shown."""
    events = np.flatnonzero([bool(EVENT.match(name)) for name in names])
    bounds = zero_event_bound(values[events])
    for row, cell in zip(*np.nonzero(~np.isnan(bounds)), strict=True):
        records[cell * len(names) + events[row]]["zero_event_bound"] = float(bounds[row, cell])
