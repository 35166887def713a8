"""What a report says of each cell, and of the target that its trials had to reach."""

from datetime import datetime
from typing import Literal

from actinium.document import described
from actinium.report.interval import CellLevels, Interval


@described
class ResolvedTarget:
    """The evaluation loss at which a trial has arrived."""

    metric: str
    """Name of the metric that has to fall to the target."""

    value: float | None
    """The target, in the metric's unit; null until the reference cell has finished trials."""

    source: Literal["study", "computed"]
    """`study` where the study sets the target; `computed` from the reference cell's first trials that succeeded."""

    cell: CellLevels | None
    """The reference cell, its levels by factor path; null where the study sets the target."""

    n: int
    """Number of trials of the reference cell that the target is the median of; 0 where the study sets it."""

    seeds: tuple[int, ...]
    """The seeds of those trials; empty where the study sets the target, and until it is computed."""

    frozen_at: datetime | None
    """When the last of those trials succeeded: since then the target stands. Null where the study sets it."""


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
    """Mean over seeds of each metric, in the metric's unit; `NAME/layer_03` is that of the third hidden layer. Trials
    that collapsed are in it as what they ended as."""

    learned: dict[str, Interval]
    """The same of the trials that did not collapse, for errors, accuracies and losses; empty where all or none did."""

    reused: int
    """Number of trials whose result was taken from an earlier study."""

    def estimate(self, metric: str, *, missing: float = float("nan")) -> float:
        """The estimate of a metric; `missing` where the cell has none."""
        interval = self.metrics.get(metric)
        return missing if interval is None or interval.estimate is None else interval.estimate
