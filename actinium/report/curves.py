"""The curves of a report: error against the batch size, and the share of trials not yet at the target."""

from actinium.document import described
from actinium.paths import FactorValue
from actinium.report.interval import CellLevels, Interval


@described
class DegradationPoint:
    """One normalization at one batch size, other factors averaged within the seed."""

    batch_size: int
    """Examples in a batch."""

    error: Interval
    """Test error at this batch size, a fraction, of the networks that learned."""

    degradation: Interval
    """Test error minus that at the reference batch size, a difference of fractions, of the networks that learned."""

    collapsed: int
    """Number of seeds left out of `error` because a network did not learn."""


@described
class DegradationCurve:
    """What a shrinking batch costs under one normalization."""

    normalization: FactorValue
    """The normalization in its shortest form: a name, or a mapping of name and parameters."""

    activation: FactorValue
    """The activation in its shortest form; null where the curve averages over several."""

    points: tuple[DegradationPoint, ...]
    """The batch sizes at which it was run, ascending."""

    area: Interval
    """Area under the degradation over log2 of the batch size, from the least to the greatest of `area_batches`:
    fractions times doublings of the batch."""


@described
class DifferenceInDifferences:
    """What a small batch does under a normalization beyond what it does under group normalization."""

    normalization: FactorValue
    """The normalization in its shortest form: a name, or a mapping of name and parameters."""

    activation: FactorValue
    """The activation at which both were run, in its shortest form."""

    reference: FactorValue
    """The group normalization that it is compared with."""

    batch_size: int
    """Examples in a batch."""

    collapsed: int
    """Number of seeds left out because one of the four networks did not learn."""

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

    area_batches: tuple[int, ...]
    """The batch sizes that every normalization has, over which all areas are taken, ascending."""

    left_out: tuple[CellLevels, ...]
    """Cells that did not learn, of which no average is made: the points of `curves` that they belong to are null."""

    curves: tuple[DegradationCurve, ...]
    """One curve for each normalization."""

    by_activation: tuple[DegradationCurve, ...]
    """One curve for each activation and normalization; empty where the study has one activation."""

    difference_in_differences: tuple[DifferenceInDifferences, ...]
    """Every normalization against group normalization, by activation and batch size; empty where the study has no
    group normalization."""


@described
class SurvivalCurve:
    """Kaplan-Meier curve of one cell's time to the target."""

    cell: CellLevels
    """The cell's levels by factor path."""

    epochs: tuple[float, ...]
    """Epochs at which the curve falls, from 0 to the budget."""

    steps: tuple[float, ...]
    """The same in optimizer steps."""

    survival: tuple[float, ...]
    """Fraction of finished trials that are not yet at the target, right after each of `epochs`."""

    budget: float
    """Optimizer steps of a whole trial of this cell."""

    budget_epochs: float
    """Epochs of a whole trial of this cell."""

    median_epochs: float | None
    """Epochs after which half of the trials were at the target; null where half of them never were."""

    reached: Interval
    """Fraction of finished trials that reached the target within the budget, with Wilson's interval."""


@described
class Convergence:
    """When trials reached the target."""

    target: float | None
    """The target evaluation loss; null until there is one."""

    curves: tuple[SurvivalCurve, ...]
    """One curve for each of the report's `cells` that has a finished trial."""
