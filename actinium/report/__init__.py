"""The report of a study: what `GET /v1/studies/{id}/report` answers, field by field.

`actinium.statistics.report` makes it; dashboard, command line and `Client.read_report` read it. A figure is null where
it cannot be computed yet: the report of a study that has only begun has every field. Rates and errors are fractions
between 0 and 1, never percent; times are in epochs, and in optimizer steps where they are so called.
"""

from actinium.report.cells import CellReport, ResolvedTarget
from actinium.report.contrasts import Contrast, ContrastFamily, FactorEffect
from actinium.report.curves import (
    Convergence,
    DegradationCurve,
    DegradationPoint,
    DifferenceInDifferences,
    SmallBatch,
    SurvivalCurve,
)
from actinium.report.document import Report, parse_report, report_json
from actinium.report.interval import CellLevels, Interval

__all__ = [
    "CellLevels",
    "CellReport",
    "Contrast",
    "ContrastFamily",
    "Convergence",
    "DegradationCurve",
    "DegradationPoint",
    "DifferenceInDifferences",
    "FactorEffect",
    "Interval",
    "Report",
    "ResolvedTarget",
    "SmallBatch",
    "SurvivalCurve",
    "parse_report",
    "report_json",
]
