"""The making of a study's report, which `actinium.report` describes, from its trials and their learning curves."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from actinium.measurements import is_event, metric, reported
from actinium.objectives import MetricWords, common_words, words
from actinium.paths import Cell
from actinium.questions import EPOCHS_TO_TARGET
from actinium.reference_cells import References
from actinium.report import CellReport, Interval, Report, ResolvedTarget
from actinium.statistics.comparisons import Measured, answers, contrasts
from actinium.statistics.convergence import PILOTS, Budgets, Pilot, TimesToTarget, times_to_target
from actinium.statistics.effects import factors
from actinium.statistics.factorial_grid import FactorialGrid, factorial_grid
from actinium.statistics.families import families
from actinium.statistics.intervals import Estimates, FloatArray, wilson_interval, zero_event_bound
from actinium.statistics.means import metric_interval
from actinium.statistics.replicates import Replicates, collect
from actinium.statistics.small_batch import small_batch
from actinium.study import DesignCell, StudySpec, compared_cells
from actinium.trial import TrialConfig

STEPS_TO_TARGET = "steps_to_target"
OF_NETWORKS_THAT_LEARNED = "losses"
"""The family of metrics that cells also list of the trials that did not collapse."""


@dataclass(frozen=True, kw_only=True)
class ReportPlan:
    """What the design alone decides of a report, C cells; good for every revision of a study.

    `budgets` are those of whole trials; `chance` [C] is the error of a network that has learned nothing; `compared`
    says which cells are compared, `span` which cells the factors span, and `words` what error and accuracy are called.
    """

    cells: list[DesignCell]
    budgets: Budgets
    chance: FloatArray
    compared: References
    span: FactorialGrid
    words: MetricWords


def plan_report(spec: StudySpec, cells: Sequence[tuple[int, Cell, TrialConfig]]) -> ReportPlan:
    """The plan of a study's report, from each cell's index, levels and config."""
    design = [DesignCell(index=index, cell=cell, config=config) for index, cell, config in cells]
    datasets = {name: number for number, name in enumerate(dict.fromkeys(cell.config.task.dataset for cell in design))}
    classes = np.array([float(_classes(cell.config)) for cell in design])
    with np.errstate(divide="ignore"):
        ceiling, chance = np.log(classes), 1.0 - 1.0 / classes
    return ReportPlan(
        cells=design,
        budgets=Budgets(
            steps=np.array([float(cell.config.steps()) for cell in design]),
            epochs=np.array([float(cell.config.training.epochs) for cell in design]),
            task=np.array([datasets[cell.config.task.dataset] for cell in design]),
            ceiling=np.where(classes > 1, ceiling, np.nan),
        ),
        chance=np.where(classes > 1, chance, 1.0),
        compared=compared_cells(spec, design),
        span=factorial_grid(spec, design),
        words=common_words(words(cell.config.objective(), cell.config.task.definition().tolerance) for cell in design),
    )


def _classes(config: TrialConfig) -> int:
    """Number of classes, or 0 where the network is not trained for any."""
    return config.task.definition().classes if config.objective() == "classification" else 0


def build_report(
    *,
    study_id: int,
    revision: int,
    spec: StudySpec,
    cells: Sequence[tuple[int, Cell, TrialConfig]] | ReportPlan,
    trials: pd.DataFrame,
    curves: pd.DataFrame,
    pilots: Sequence[Pilot] | None = None,
    layers: Collection[str] = (),
    reused: Mapping[int, int] = MappingProxyType({}),
    mixed_measurements: Mapping[str, Sequence[int]] = MappingProxyType({}),
    resampling_seed: int = 0,
    listed: range | None = None,
) -> Report:
    """The report of a study.

    `cells`: index, levels and config, or the plan that was made of them. `trials`: a row a trial with `trial_id`,
    `cell` (the index), `seed`, `state`, `outcome`, and a column a metric; those that succeeded are enough. `curves`:
    `trial_id`, `step`, `value` of the evaluation loss of finished trials. `pilots`: the reference cell's trials that
    succeeded first, from which a target is computed; unsaid, those of its first seeds. `layers`: of which metrics
    `trials` has the values of single layers; `reused`: by a cell's index, how many of its trials were taken from an
    earlier study. `listed`: the positions of the cells that the report lists, with their contrasts and curves; None:
    all. The random draws (bootstrap, sign flips beyond 20 seeds) come from `resampling_seed`, so that a report can be
    repeated.
    """
    planned = cells if isinstance(cells, ReportPlan) else plan_report(spec, cells)
    design, compared = planned.cells, planned.compared
    shown = range(len(design)) if listed is None else listed
    generator = np.random.default_rng(resampling_seed)
    seeds = list(dict.fromkeys([*spec.seed_list(), *(trials["seed"].unique().tolist() if len(trials) else [])]))
    replicates = collect(trials, cells=[cell.index for cell in design], seeds=seeds, chance=planned.chance)
    first = _first_pilots(replicates, compared.cell, len(seeds)) if pilots is None else pilots
    reached = times_to_target(
        replicates,
        curves,
        budgets=planned.budgets,
        target=spec.target.value,
        pilots=first if len(first) >= min(PILOTS, len(seeds)) else (),
    )
    measured = Measured(replicates=replicates, reached=reached)
    asked = spec.questions or []
    return Report(
        study_id=study_id,
        revision=revision,
        words=planned.words,
        target=_target(spec, design[compared.cell], reached, replicates, seeds),
        cells=tuple(_cells(planned, measured, len(seeds), reused, shown)),
        questions=tuple(answers(asked, design, compared, measured, generator=generator)),
        families=tuple(families(spec, design, compared, seeds=len(seeds))),
        contrasts=tuple(contrasts(design, compared, measured, shown, named=bool(asked), generator=generator)),
        factors=tuple(factors(planned.span, measured, generator=generator)),
        small_batch=small_batch(planned.span, design, replicates, generator=generator),
        convergence=reached.convergence([cell.cell for cell in design], shown),
        layers=tuple(sorted(layers)),
        mixed_measurements={quantity: tuple(versions) for quantity, versions in mixed_measurements.items()},
        total_cells=len(design),
        next_cells_from=shown.stop if shown.stop < len(design) else None,
    )


def _first_pilots(replicates: Replicates, reference: int, seeds: int) -> list[Pilot]:
    """The reference cell's trials of its first seeds, where all of them succeeded; when is not known."""
    own = np.flatnonzero((replicates.cell == reference) & (replicates.seed < min(PILOTS, seeds)))
    in_order = own[np.argsort(replicates.seed[own])]
    return [Pilot(trial_id=trial) for trial in replicates.trial_id[in_order].tolist()]


def _target(
    spec: StudySpec, reference: DesignCell, reached: TimesToTarget, replicates: Replicates, seeds: Sequence[int]
) -> ResolvedTarget:
    """The target, and where it comes from."""
    pilots = reached.target.pilots
    computed = spec.target.value is None
    of_trial = dict(zip(replicates.trial_id.tolist(), replicates.seed.tolist(), strict=True))
    finished = [pilot.finished for pilot in pilots if pilot.finished is not None]
    return ResolvedTarget(
        metric=spec.target.metric,
        value=reached.target.value,
        source="computed" if computed else "study",
        cell=reference.cell if computed else None,
        n=len(pilots),
        seeds=tuple(seeds[of_trial[pilot.trial_id]] for pilot in pilots),
        frozen_at=max(finished) if len(finished) == len(pilots) and finished else None,
    )


def _cells(
    planned: ReportPlan, measured: Measured, seeds: int, reused: Mapping[int, int], shown: range
) -> Iterator[CellReport]:
    replicates = measured.replicates
    succeeded, collapsed = replicates.succeeded, replicates.collapsed.sum(axis=1)
    at = slice(shown.start, shown.stop)
    collapse = wilson_interval(collapsed[at], succeeded[at]).intervals()
    diverged = replicates.diverged[at].sum(axis=1).tolist()
    metrics = _metrics(measured, at)
    learned = _learned(replicates, [i for i in shown if 0 < collapsed[i] < succeeded[i]])
    for place, (i, cell) in enumerate(zip(shown, planned.cells[at], strict=True)):
        yield CellReport(
            cell=cell.cell,
            seeds=seeds,
            succeeded=int(succeeded[i]),
            diverged=diverged[place],
            collapse_rate=collapse[place],
            metrics=metrics[place],
            learned=learned.get(i, {}),
            reused=reused.get(cell.index, 0),
        )


def _metrics(measured: Measured, at: slice) -> list[dict[str, Interval]]:
    """For each cell that is listed, the interval of each metric's mean over seeds; of times the mean is the RMST.

    Every cell lists what `actinium.measurements` says that reports list, measured or not; other metrics, and those of
    single layers, where there is a value.
    """
    replicates, reached = measured.replicates, measured.reached
    times = {EPOCHS_TO_TARGET: reached.mean_epochs(at), STEPS_TO_TARGET: reached.mean_steps(at)}
    listed = reported()
    names = list(dict.fromkeys([*listed, *replicates.metrics]))
    others = (name for name in names if name not in times)
    means = times | {name: metric_interval(name, measured.values(name)[at]) for name in others}
    found = _stacked([means[name] for name in names])
    intervals = found.intervals(_zero_event_bounds(names, measured, at))
    wanted = found.n.astype(bool)
    wanted[:, : len(listed)] = True
    lacking = (len(names) - wanted.sum(axis=1)).tolist()
    cells = []
    for c, first in enumerate(range(0, len(intervals), len(names))):
        pairs = zip(names, intervals[first : first + len(names)], strict=True)
        cells.append(dict(itertools.compress(pairs, wanted[c].tolist())) if lacking[c] else dict(pairs))
    return cells


def _learned(replicates: Replicates, cells: Sequence[int]) -> dict[int, dict[str, Interval]]:
    """For cells of which some trials collapsed, the metrics of the others."""
    found: dict[int, dict[str, Interval]] = {cell: {} for cell in cells}
    for name in replicates.metrics if cells else ():
        entry = metric(name)
        if entry is not None and entry.family == OF_NETWORKS_THAT_LEARNED:
            values = np.where(replicates.collapsed, np.nan, replicates.metric(name))[list(cells)]
            for cell, interval in zip(cells, metric_interval(name, values).intervals(), strict=True):
                found[cell][name] = interval
    return found


def _stacked(columns: Sequence[Estimates]) -> Estimates:
    """Estimates [C] of M metrics as [C, M]."""
    return Estimates(
        estimate=np.stack([column.estimate for column in columns], axis=1),
        low=np.stack([column.low for column in columns], axis=1),
        high=np.stack([column.high for column in columns], axis=1),
        n=np.stack([column.n for column in columns], axis=1),
    )


def _zero_event_bounds(names: Sequence[str], measured: Measured, at: slice) -> FloatArray:
    """Bounds [C, M] for rates of events that no seed has shown; NaN elsewhere."""
    found = np.full((len(measured.replicates.succeeded[at]), len(names)), np.nan)
    for column, name in enumerate(names):
        if is_event(name):
            found[:, column] = zero_event_bound(measured.values(name)[at])
    return found
