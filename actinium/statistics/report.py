"""The making of a study's report, which `actinium.report` describes, from its trials and their learning curves."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from actinium.measurements import bounds, is_event, reported
from actinium.objectives import MetricWords, common_words, words
from actinium.paths import Cell
from actinium.report import CellReport, Interval, Report, ResolvedTarget
from actinium.statistics.comparisons import STEPS_TO_TARGET, contrasts, factors
from actinium.statistics.convergence import TimesToTarget, times_to_target
from actinium.statistics.intervals import Estimates, FloatArray, bounded_interval, wilson_interval, zero_event_bound
from actinium.statistics.references import FactorialGrid, References, factorial_grid, references
from actinium.statistics.replicates import Replicates, collect
from actinium.statistics.small_batch import METRIC, small_batch
from actinium.study import DesignCell, StudySpec
from actinium.trial import TrialConfig


@dataclass(frozen=True, kw_only=True)
class ReportPlan:
    """What the design alone decides of a report, C cells; good for every revision of a study.

    `budget` [C] optimizer steps and `epochs` [C] of a whole trial; `compared` says which cells are compared, `span`
    which cells the factors span, and `words` what error and accuracy are called.
    """

    cells: list[DesignCell]
    budget: FloatArray
    epochs: FloatArray
    compared: References
    span: FactorialGrid
    words: MetricWords


def plan_report(spec: StudySpec, cells: Sequence[tuple[int, Cell, TrialConfig]]) -> ReportPlan:
    """The plan of a study's report, from each cell's index, levels and config."""
    design = [DesignCell(index=index, cell=cell, config=config) for index, cell, config in cells]
    return ReportPlan(
        cells=design,
        budget=np.array([float(cell.config.steps()) for cell in design]),
        epochs=np.array([float(cell.config.training.epochs) for cell in design]),
        compared=references(spec, design),
        span=factorial_grid(spec, design),
        words=common_words(words(cell.config.objective(), cell.config.task.definition().tolerance) for cell in design),
    )


def build_report(
    *,
    study_id: int,
    revision: int,
    spec: StudySpec,
    cells: Sequence[tuple[int, Cell, TrialConfig]] | ReportPlan,
    trials: pd.DataFrame,
    curves: pd.DataFrame,
    layers: Collection[str] = (),
    reused: Mapping[int, int] = MappingProxyType({}),
    mixed_measurements: Mapping[str, Sequence[int]] = MappingProxyType({}),
    resampling_seed: int = 0,
    listed: range | None = None,
) -> Report:
    """The report of a study.

    `cells`: index, levels and config, or the plan that was made of them. `trials`: a row a trial with `trial_id`,
    `cell` (the index), `seed`, `state`, `outcome`, and a column a metric; those that succeeded are enough. `curves`:
    `trial_id`, `step`, `value` of the validation loss of finished trials. `layers`: of which metrics `trials` has the
    values of single layers; `reused`: by a cell's index, how many of its trials were taken from an earlier study.
    `listed`: the positions of the cells that the report lists, with their contrasts and curves; None: all. The random
    draws (bootstrap, sign flips beyond 20 seeds) come from `resampling_seed`, so that a report can be
    repeated.
    """
    planned = cells if isinstance(cells, ReportPlan) else plan_report(spec, cells)
    design, compared = planned.cells, planned.compared
    shown = range(len(design)) if listed is None else listed
    generator = np.random.default_rng(resampling_seed)
    seeds = list(dict.fromkeys([*spec.seed_list(), *(trials["seed"].unique().tolist() if len(trials) else [])]))
    replicates = collect(trials, cells=[cell.index for cell in design], seeds=seeds)
    reached = times_to_target(
        replicates, curves, budget=planned.budget, target=spec.target.value, reference=compared.cell
    )
    return Report(
        study_id=study_id,
        revision=revision,
        words=planned.words,
        target=ResolvedTarget(
            metric=spec.target.metric,
            value=reached.target,
            source="reference" if spec.target.value is None else "study",
            cell=design[compared.cell].cell if spec.target.value is None else None,
            n=reached.target_trials,
        ),
        cells=tuple(_cells(planned, replicates, reached, len(seeds), reused, shown)),
        contrasts=tuple(contrasts(design, compared.pairs, replicates, reached, shown, generator=generator)),
        factors=tuple(factors(planned.span, replicates, reached, generator=generator)),
        small_batch=small_batch(planned.span, design, replicates.metric(METRIC), generator=generator),
        convergence=reached.convergence([cell.cell for cell in design], shown),
        layers=tuple(sorted(layers)),
        mixed_measurements={quantity: tuple(versions) for quantity, versions in mixed_measurements.items()},
        total_cells=len(design),
        next_cells_from=shown.stop if shown.stop < len(design) else None,
    )


def _cells(
    planned: ReportPlan,
    replicates: Replicates,
    reached: TimesToTarget,
    seeds: int,
    reused: Mapping[int, int],
    shown: range,
) -> Iterator[CellReport]:
    at = slice(shown.start, shown.stop)
    collapse = wilson_interval(replicates.collapsed[at], replicates.succeeded[at]).intervals()
    diverged = replicates.diverged[at].sum(axis=1).tolist()
    metrics = _metrics(planned.epochs, replicates, reached, at)
    for place, (i, cell) in enumerate(zip(shown, planned.cells[at], strict=True)):
        yield CellReport(
            cell=cell.cell,
            seeds=seeds,
            succeeded=int(replicates.succeeded[i]),
            diverged=diverged[place],
            collapse_rate=collapse[place],
            metrics=metrics[place],
            reused=reused.get(cell.index, 0),
        )


def _metrics(
    epochs: FloatArray, replicates: Replicates, reached: TimesToTarget, at: slice
) -> list[dict[str, Interval]]:
    """For each cell that is listed, the interval of each metric's mean over seeds; of `steps_to_target` the mean is the
    RMST.

    Every cell lists what `actinium.measurements` says that reports list, measured or not; other metrics, and those of
    single layers, where there is a value.
    """
    restricted, budget, epochs = reached.restricted()[at], reached.budget[at], epochs[at]
    count = len(epochs)
    times = {
        STEPS_TO_TARGET: (restricted, budget),
        "epochs_to_target": (restricted * (epochs / budget)[:, None], epochs),
        "aulc": (reached.aulc[at], np.ones(count)),
    }
    listed = reported()
    names = list(dict.fromkeys([*listed, *replicates.metrics]))
    values = np.stack([times[name][0] if name in times else replicates.metric(name)[at] for name in names])
    low, high = np.full((len(names), count), -np.inf), np.full((len(names), count), np.inf)
    for row, name in enumerate(names):
        least, most = bounds(name)
        low[row] = -np.inf if least is None else least
        high[row] = np.inf if most is None else most
        if name in times:
            high[row] = times[name][1]
    found = bounded_interval(values, low=low, high=high)
    by_cell = Estimates(estimate=found.estimate.T, low=found.low.T, high=found.high.T, n=found.n.T)
    intervals = by_cell.intervals(_zero_event_bounds(names, values))
    wanted = by_cell.n.astype(bool)
    wanted[:, : len(listed)] = True
    lacking = (len(names) - wanted.sum(axis=1)).tolist()
    cells = []
    for c, first in enumerate(range(0, len(intervals), len(names))):
        pairs = zip(names, intervals[first : first + len(names)], strict=True)
        cells.append(dict(itertools.compress(pairs, wanted[c].tolist())) if lacking[c] else dict(pairs))
    return cells


def _zero_event_bounds(names: Sequence[str], values: FloatArray) -> FloatArray:
    """From values [M, C, S] of M metrics, bounds [C, M] for rates of events that no seed has shown; NaN elsewhere."""
    found = np.full(values.shape[:2], np.nan)
    events = np.flatnonzero([is_event(name) for name in names])
    found[events] = zero_event_bound(values[events])
    return found.T
