"""What a report compares: contrasts, their families, and the variance that factors explain."""

from typing import Literal

from actinium.document import described
from actinium.report.interval import CellLevels, Interval


@described
class Contrast:
    """One metric of a cell compared with the cell that has the reference levels, paired by seed."""

    metric: str
    """Name of the metric that is compared."""

    scale: Literal["difference", "log_ratio"]
    """`difference`: cell minus reference; `log_ratio`: natural logarithm of the ratio of the restricted mean times."""

    cell: CellLevels
    """Levels by factor path of what is compared: a cell, or of a question the levels that it names."""

    reference: CellLevels
    """Levels by factor path of what it is compared with."""

    settings: int
    """Number of settings of other factors that are averaged within each seed; 1 where two cells are compared."""

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
    """The p value corrected by Holm's procedure over the contrast's family; null where exploratory."""

    confirmatory: bool
    """Whether it belongs to a family, and so answers a question; all else is exploratory."""

    diverged: int
    """Number of seeds at which one of the trials diverged. Where all of a cell's did there is no contrast."""

    collapsed: int
    """Number of seeds at which one of the trials diverged or stalled."""

    without_diverged: Interval | None
    """The same estimate without the seeds at which a trial diverged; null where none did."""

    learned: Interval | None
    """The same estimate without the seeds at which a trial diverged or stalled; null where none did."""


@described
class ContrastFamily:
    """Contrasts that are corrected together, and whether the study has the seeds that they need."""

    metrics: tuple[str, ...]
    """Names of the metrics that are compared."""

    named: bool
    """Whether the study named its questions; else the contrasts with the reference of one metric."""

    tests: int
    """Number of contrasts."""

    seeds: int
    """Number of seeds that the study has."""

    smallest_p: float
    """The least p value, after Holm's correction, that so many seeds can give: tests * 2^(1 - seeds), at most 1."""

    seeds_needed: int
    """The least number of seeds at which a contrast of the family can have a corrected p value of at most 0.05."""

    def answerable(self) -> bool:
        """Whether the seeds suffice."""
        return self.seeds >= self.seeds_needed


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
    """Lower end of the 95% bootstrap interval over seeds, a fraction of the variance; null below six seeds."""

    high: float | None
    """Upper end of the 95% bootstrap interval over seeds, a fraction of the variance; null below six seeds."""

    n: int
    """Number of seeds that enter: those at which every analysed cell has a value."""

    cells: int
    """Number of cells that enter."""

    sums_of_squares: str
    """`orthogonal` in a full grid, `type II` where cells are missing."""
