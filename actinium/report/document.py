"""The whole report, and its JSON."""

from functools import cache

from pydantic import TypeAdapter

from actinium.document import described
from actinium.objectives import MetricWords
from actinium.report.cells import CellReport, ResolvedTarget
from actinium.report.contrasts import Contrast, ContrastFamily, FactorEffect
from actinium.report.curves import Convergence, SmallBatch


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

    questions: tuple[Contrast, ...]
    """What the study asked: a contrast for each test of its questions; empty where it names none."""

    families: tuple[ContrastFamily, ...]
    """The families of contrasts within which p values are corrected, and the seeds that they need."""

    contrasts: tuple[Contrast, ...]
    """Each of `cells` against its reference cell, metric by metric."""

    factors: tuple[FactorEffect, ...]
    """The share of variance that each factor and each interaction explains, metric by metric."""

    small_batch: SmallBatch | None
    """What small batches cost; null where the batch size is no factor of the study."""

    convergence: Convergence
    """Which trials reached the target, and after how many epochs."""

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
