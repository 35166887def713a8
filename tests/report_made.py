"""Reports made by hand, for tests of those that read them."""

from collections.abc import Mapping, Sequence
from typing import Any

from actinium.objectives import words
from actinium.paths import Cell
from actinium.report import CellReport, Convergence, Interval, Report, ResolvedTarget, SmallBatch, SurvivalCurve


def interval(estimate: float | None, low: float | None = None, high: float | None = None, n: int = 10) -> Interval:
    """An estimate, with its interval if the ends are given."""
    return Interval(estimate=estimate, low=low, high=high, n=n)


def cell_report(cell: Cell, metrics: Mapping[str, Interval], **figures: Any) -> CellReport:
    """A cell with these metrics; the other figures are those of ten trials that all succeeded."""
    usual = {
        "seeds": 10,
        "succeeded": 10,
        "diverged": 0,
        "reused": 0,
        "collapse_rate": interval(0.0, 0.0, 0.3),
        "learned": {},
    }
    return CellReport(cell=cell, metrics=dict(metrics), **{**usual, **figures})


def report_of(
    cells: Sequence[CellReport],
    *,
    small_batch: SmallBatch | None = None,
    reached: Sequence[SurvivalCurve] = (),
    target: float | None = 0.25,
) -> Report:
    """A report of these cells, without contrasts and effects."""
    return Report(
        study_id=1,
        revision=1,
        words=words("classification"),
        target=ResolvedTarget(
            metric="validation_loss", value=target, source="study", cell=None, n=0, seeds=(), frozen_at=None
        ),
        cells=tuple(cells),
        questions=(),
        families=(),
        contrasts=(),
        factors=(),
        small_batch=small_batch,
        convergence=Convergence(target=target, curves=tuple(reached)),
        layers=(),
        mixed_measurements={},
        total_cells=len(cells),
        next_cells_from=None,
    )
