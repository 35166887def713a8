"""A study's report, computed once a revision, and its curves."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from scipy import stats
from sqlalchemy import Connection, Engine

from actinium.errors import FieldError, InvalidInput
from actinium.job import StudyId
from actinium.levels import did_you_mean
from actinium.measurements import mixed
from actinium.paths import Cell
from actinium.report import Report, report_json
from actinium.statistics.convergence import PILOTS, Pilot
from actinium.statistics.report import ReportPlan, build_report, plan_report
from db import curves as db_curves
from db import reports, studies, trials
from db.curves import Moments
from db.rows import StudyRow
from services.api.access import Database
from services.api.documents import Curve, Curves
from services.api.gates import at_work
from services.api.references import StudyReference
from services.api.report_cache import StudyCache, collector_at_rest
from services.api.stream_buffer import in_pieces

router = APIRouter(prefix="/v1", tags=["studies"])
LEVEL = 0.95


MOST_FIGURES = 50_000
"""Up to so many cells times metrics, a report lists the metrics of every layer unless `layers` says which."""
MOST_CELLS = 2_000
"""Cells on a page of a report."""
MOST_LISTED = 200_000
"""Cells on a page times metrics: with the metrics of many layers a page has fewer cells."""
MOST_READ = 10_000_000
"""Values of trials, 8 bytes each, that are read for one report."""
REPORT_BYTES = 128 * 2**20
PLAN_CELLS = 50_000


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a request wants of a report: metrics of `layers` (None: as many as go), and `most` cells from `first` on."""

    layers: frozenset[str] | None
    first: int
    most: int


class Reports:
    """The reports that were asked for last, as JSON, and the plans that are good for every revision of a study."""

    def __init__(self) -> None:
        self.documents: StudyCache[bytes] = StudyCache(most=REPORT_BYTES, weight=len)
        self.plans: StudyCache[ReportPlan] = StudyCache(most=PLAN_CELLS, weight=lambda plan: len(plan.cells))


@router.get("/studies/{study}/report", response_model=Report, dependencies=[Depends(at_work)])
def report(
    request: Request,
    engine: Database,
    study: StudyReference,
    layers: Annotated[
        list[Annotated[str, Query(max_length=200, pattern=r"^[^\x00/]*$")]] | None,
        Query(
            max_length=100, description="Metrics to list layer by layer too; unsaid: all, unless the study is large."
        ),
    ] = None,
    cells_from: Annotated[int, Query(ge=0, le=2**31, description="The first cell to list: `next_cells_from`.")] = 0,
    cells: Annotated[int, Query(ge=1, le=MOST_CELLS, description="How many cells to list at most.")] = MOST_CELLS,
) -> Response:
    """The comparisons: cells, contrasts, factor effects, small batches, convergence. Of a study with many cells it
    lists a page of them, computed over all.
    """
    kept: Reports = request.app.state.reports
    with engine.begin() as connection:
        row = studies.get(connection, studies.find(connection, study))
    wanted = Wanted(layers=None if layers is None else frozenset(layers), first=cells_from, most=cells)
    content = kept.documents.get(row.id, (row.revision, wanted), lambda: _document(engine, row, wanted, kept))
    return in_pieces(content, media_type="application/json")


def _document(engine: Engine, row: StudyRow, wanted: Wanted, kept: Reports) -> bytes:
    """The report of a study as it stands, as JSON."""

    def make_plan() -> ReportPlan:
        with engine.begin() as connection:
            design = trials.cells(connection, row.id)
        return plan_report(row.spec, [(cell.index, cell.cell, cell.config) for cell in design])

    with collector_at_rest():
        factors = repr((row.cells, row.spec.factors, row.spec.reference))
        planned = kept.plans.get(row.id, factors, make_plan)
        with engine.begin() as connection:
            names = reports.metric_names(connection, row.id)
            layers = _listed(names, row.cells, wanted.layers)
            chosen = frozenset(name for name in names if "/" not in name or _metric(name) in layers)
            _refuse_too_many(len(chosen) * row.trials)
            reused = trials.reused_by_cell(connection, row.id)
            found = reports.finished(connection, row.id, wanted=chosen.__contains__)
            reference = planned.cells[planned.compared.cell].index
            pilots = trials.first_to_succeed(connection, row.id, reference, most=PILOTS)
        most = min(wanted.most, max(1, MOST_LISTED // max(1, len(chosen))))
        first = min(wanted.first, len(planned.cells))
        made = build_report(
            study_id=row.id,
            revision=row.revision,
            spec=row.spec,
            cells=planned,
            trials=found.trials,
            curves=found.curves,
            pilots=[Pilot(trial_id=trial, finished=moment) for trial, moment in pilots],
            layers=layers,
            reused=reused,
            mixed_measurements=mixed(found.versions),
            listed=range(first, min(first + most, len(planned.cells))),
        )
        return report_json(made)


def _listed(names: Collection[str], cells: int, asked: frozenset[str] | None) -> frozenset[str]:
    """The metrics whose values of single layers the report lists; InvalidInput for one that is not measured."""
    known = frozenset(_metric(name) for name in names if "/" in name)
    if asked is None:
        return known if cells * len(names) <= MOST_FIGURES else frozenset()
    unknown = sorted(asked - known - {""}) if names else []
    if unknown:
        message = f"{unknown[0]!r} is measured in no layer of this study; {did_you_mean(unknown[0], sorted(known))}"
        raise InvalidInput("the metric is not measured by layer", [FieldError("query.layers", message)])
    return asked & known


def _refuse_too_many(values: int) -> None:
    """InvalidInput where a report would have to read more values than fit into its share of memory."""
    if values > MOST_READ:
        message = f"{values} values of trials; at most {MOST_READ} are read for a report: name fewer metrics, or export"
        raise InvalidInput("the report would be too large", [FieldError("query.layers", message)])


def _metric(name: str) -> str:
    """`dead_unit_rate` of `dead_unit_rate/layer_01`."""
    return name.split("/")[0]


@router.get("/studies/{study}/curves", dependencies=[Depends(at_work)])
def curves(
    engine: Database,
    study: StudyReference,
    series: Annotated[str, Query(min_length=1, max_length=200, pattern=r"^[^\x00]*$")],
) -> Curves:
    """One series by cell and step: mean and 95% interval over the current attempts of trials that run or succeeded."""
    with engine.begin() as connection:
        target = studies.find(connection, study)
        found = db_curves.moments(connection, target, series)
        if not found:
            _check_series(connection, target, series)
        design = trials.cells(connection, target) if found else []
    return Curves(series=series, curves=[curve(cell.cell, found[cell.index]) for cell in design if cell.index in found])


def _check_series(connection: Connection, target: StudyId, series: str) -> None:
    """InvalidInput for a name that no frame of the study has, where there are frames."""
    known = list(db_curves.series_names(connection, target))
    if known and series not in known:
        fault = FieldError("query.series", f"{series!r} is no series of this study; {did_you_mean(series, known)}")
        raise InvalidInput("the series is not measured", [fault])


def curve(cell: Cell, points: Sequence[Moments]) -> Curve:
    """The mean by step with its 95% interval, mean +- t(n - 1) s / sqrt(n); null where n is 1."""
    reach = [
        None
        if point.deviation is None
        else float(stats.t.ppf((1 + LEVEL) / 2, point.n - 1)) * point.deviation / point.n**0.5
        for point in points
    ]
    return Curve(
        cell=cell,
        steps=[point.step for point in points],
        mean=[point.mean for point in points],
        low=[None if r is None else point.mean - r for point, r in zip(points, reach, strict=True)],
        high=[None if r is None else point.mean + r for point, r in zip(points, reach, strict=True)],
        n=[point.n for point in points],
    )
