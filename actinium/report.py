"""The report of a study: what `GET /v1/studies/{id}/report` answers, field by field.

`actinium.statistics.report` makes it; dashboard, command line and `Client.read_report` read it. A figure is null where
it cannot be computed yet: the report of a study that has only begun has every field. Rates and errors are fractions
between 0 and 1, never percent; times are in optimizer steps.
"""

from functools import cache
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, SerializeAsAny, TypeAdapter

from actinium.document import described
from actinium.objectives import MetricWords
from actinium.paths import Cell, FactorValue

CellLevels: TypeAlias = Annotated[Cell, SerializeAsAny()]
"""A cell, written to JSON as it stands: to try each type that a level can have would double the time of a report."""


def _absent(value: float | None) -> bool:
    return value is None


@described
class Interval:
    """An estimate over seeds with its 95% confidence interval, in the unit of the field or metric that holds it."""

    estimate: float | None
    """The mean over seeds, or the share of trials; null where no seed has a value."""

    low: float | None
    """Lower end of the 95% confidence interval, in the estimate's unit; null below two seeds."""

    high: float | None
    """Upper end of the 95% confidence interval, in the estimate's unit; null below two seeds."""

    n: int
    """Number of seeds (or trials) with a value."""

    zero_event_bound: Annotated[float | None, Field(exclude_if=_absent)] = None
    """Fraction of seeds that may at most show an event which none has shown (95% confidence); elsewhere left out."""


@described
class ResolvedTarget:
    """The evaluation loss at which a trial has arrived."""

    metric: str
    """Name of the metric that has to fall to the target."""

    value: float | None
    """The target, in the metric's unit; null until the reference cell has finished trials."""

    source: str
    """`study` where the study sets the target, `reference` where it comes from the reference cell."""

    cell: CellLevels | None
    """The reference cell, its levels by factor path; null where the study sets the target."""

    n: int
    """Number of trials of the reference cell that the target is the median of; 0 where the study sets it."""


@described
class CellReport:
    """What the trials of one cell measured."""

    cell: CellLevels
    """The cell's levels by factor path."""

    seeds: int
    """Number of seeds of the study, each of them one trial of this cell."""

    succeeded: int
    """Number of trials that succeeded, those that diverged among them."""

    diverged: int
    """Number of trials that diverged."""

    collapse_rate: Interval
    """Fraction of succeeded trials that diverged or stalled, with Wilson's interval."""

    metrics: dict[str, Interval]
    """Mean over seeds of each metric, in the metric's unit; `NAME/layer_03` is that of the third hidden layer."""

    reused: int
    """Number of trials whose result was taken from an earlier study."""

    def estimate(self, metric: str, *, missing: float = float("nan")) -> float:
        """The estimate of a metric; `missing` where the cell has none."""
        interval = self.metrics.get(metric)
        return missing if interval is None or interval.estimate is None else interval.estimate


@described
class Contrast:
    """One metric of a cell compared with the cell that has the reference levels, paired by seed."""

    metric: str
    """Name of the metric that is compared."""

    scale: Literal["difference", "log_ratio"]
    """`difference`: cell minus reference; `log_ratio`: natural logarithm of the ratio of the restricted mean times."""

    cell: CellLevels
    """Levels by factor path of the cell that is compared."""

    reference: CellLevels
    """Levels by factor path of the cell that it is compared with."""

    difference: float | None
    """The estimate, in the metric's unit, or without unit on the scale `log_ratio`."""

    low: float | None
    """Lower end of the paired 95% confidence interval, in the unit of `difference`."""

    high: float | None
    """Upper end of the paired 95% confidence interval, in the unit of `difference`."""

    n: int
    """Number of seeds at which both cells have a value."""

    p: float | None
    """Two-sided p value of the exact sign-flip test, between 0 and 1; null below two seeds."""

    p_holm: float | None
    """The p value corrected by Holm's procedure over all confirmatory contrasts; null where exploratory."""

    confirmatory: bool
    """Whether the metric answers one of the study's three questions, and so belongs to the corrected family."""

    diverged: int
    """Number of seeds at which one of the two trials diverged."""

    without_diverged: Interval | None
    """The same estimate without the seeds at which a trial diverged; null where none did."""


@described
class FactorEffect:
    """How much of a metric's variance a factor, or an interaction of factors, explains."""

    factor: str
    """The factor's path, or the paths of an interaction joined by ` x `."""

    metric: str
    """Name of the metric whose variance is explained."""

    omega_squared: float
    """Omega squared: the fraction of the metric's variance that is explained."""

    low: float | None
    """Lower end of the 95% bootstrap interval over seeds, a fraction of the variance."""

    high: float | None
    """Upper end of the 95% bootstrap interval over seeds, a fraction of the variance."""

    n: int
    """Number of seeds that enter: those at which every analysed cell has a value."""

    cells: int
    """Number of cells that enter."""

    sums_of_squares: str
    """`orthogonal` in a full grid, `type II` where cells are missing."""


@described
class DegradationPoint:
    """One normalization at one batch size, other factors averaged within the seed."""

    batch_size: int
    """Examples in a batch."""

    error: Interval
    """Test error at this batch size, a fraction."""

    degradation: Interval
    """Test error minus that at the reference batch size, a difference of fractions."""


@described
class DegradationCurve:
    """What a shrinking batch costs under one normalization."""

    normalization: FactorValue
    """The normalization in its shortest form: a name, or a mapping of name and parameters."""

    points: tuple[DegradationPoint, ...]
    """The batch sizes at which it was run, ascending."""

    area: Interval
    """Area under the degradation over log2 of the batch size: fractions times doublings of the batch."""


@described
class DifferenceInDifferences:
    """What a small batch does under a normalization beyond what it does under group normalization."""

    normalization: FactorValue
    """The normalization in its shortest form: a name, or a mapping of name and parameters."""

    reference: FactorValue
    """The group normalization that it is compared with."""

    batch_size: int
    """Examples in a batch."""

    estimate: float | None
    """Degradation minus that of the reference, a difference of fractions; null where no seed has both."""

    low: float | None
    """Lower end of the paired 95% confidence interval, a difference of fractions; null below two seeds."""

    high: float | None
    """Upper end of the paired 95% confidence interval, a difference of fractions; null below two seeds."""

    n: int
    """Number of seeds at which both have a value."""

    p: float | None
    """Two-sided p value of the exact sign-flip test, between 0 and 1; null below two seeds."""


@described
class SmallBatch:
    """Test error against the batch size, by normalization."""

    metric: str
    """Name of the metric that degrades: the test error."""

    reference_batch: int
    """Batch size from which degradation is counted, in examples: the largest of the study."""

    estimand: str
    """How the learning rate follows the batch size: `fixed`, `linear` (in proportion) or `mixed` (some of each)."""

    curves: tuple[DegradationCurve, ...]
    """One curve for each normalization."""

    difference_in_differences: tuple[DifferenceInDifferences, ...]
    """Every normalization against group normalization, batch size by batch size; empty where the study has no group."""


@described
class SurvivalCurve:
    """Kaplan-Meier curve of one cell's time to the target."""

    cell: CellLevels
    """The cell's levels by factor path."""

    steps: tuple[float, ...]
    """Optimizer steps at which the curve falls, from 0 to the budget."""

    survival: tuple[float, ...]
    """Fraction of finished trials that are not yet at the target, right after each of `steps`."""

    budget: float
    """Optimizer steps of a whole trial of this cell."""

    reached: Interval
    """Fraction of finished trials that reached the target within the budget, with Wilson's interval."""


@described
class Convergence:
    """When trials reached the target."""

    target: float | None
    """The target validation loss; null until there is one."""

    curves: tuple[SurvivalCurve, ...]
    """One curve for each of the report's `cells` that has a finished trial."""


@described
class Report:
    """The comparisons of a study: its cells, contrasts, factor effects, small batches and convergence."""

    study_id: int
    """The study's number."""

    revision: int
    """The revision of the study that this report is of; it rises with every result."""

    words: MetricWords
    """What error, accuracy and the unit of the loss are called for what this study's networks are trained for."""

    target: ResolvedTarget
    """What a trial's validation loss has to fall to, and where that comes from."""

    cells: tuple[CellReport, ...]
    """The study's cells in the study's order; of a large study a page of them, as `next_cells_from` says."""

    contrasts: tuple[Contrast, ...]
    """Each of `cells` against its reference cell, metric by metric."""

    factors: tuple[FactorEffect, ...]
    """The share of variance that each factor and each interaction explains, metric by metric."""

    small_batch: SmallBatch | None
    """What small batches cost; null where the batch size is no factor of the study."""

    convergence: Convergence
    """Which trials reached the target, and at which optimizer step."""

    layers: tuple[str, ...]
    """Names of the metrics that `cells` list layer by layer too; a large study's report lists them only when asked."""

    mixed_measurements: dict[str, tuple[int, ...]]
    """By quantity, the versions of its definition that the study's trials were measured by, where they differ."""

    total_cells: int
    """Number of cells of the study. All figures are computed over all of them, whichever are listed."""

    next_cells_from: int | None
    """What to ask for as `cells_from` to have the cells behind those listed; null where there are none."""


@cache
def _adapter() -> TypeAdapter[Report]:
    return TypeAdapter(Report)


def report_json(report: Report) -> bytes:
    """The report as JSON; nothing is validated, and what is not finite becomes null."""
    return _adapter().dump_json(report)


def parse_report(content: bytes | str) -> Report:
    """The report out of its JSON; pydantic's ValidationError says what is no report."""
    return _adapter().validate_json(content)
