"""A study's report, computed once a revision, and its curves."""

from collections.abc import Collection, Sequence
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
REPORT_BYTES = 256 * 2**20
PLAN_CELLS = 50_000


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
) -> Response:
    """The comparisons: cells, contrasts, factor effects, small batches, convergence."""
    kept: Reports = request.app.state.reports
    with engine.begin() as connection:
        row = studies.get(connection, studies.find(connection, study))
    asked = None if layers is None else frozenset(layers)
    content = kept.documents.get(row.id, (row.revision, asked), lambda: _document(engine, row, asked, kept))
    return in_pieces(content, media_type="application/json")


def _document(engine: Engine, row: StudyRow, asked: frozenset[str] | None, kept: Reports) -> bytes:
    """The report of a study as it stands, as JSON."""

    def make_plan() -> ReportPlan:
        with engine.begin() as connection:
            design = trials.cells(connection, row.id)
        return plan_report(row.spec, [(cell.index, cell.cell, cell.config) for cell in design])

    with collector_at_rest():
        factors = repr((row.cells, row.spec.factors, row.spec.reference))
        planned = kept.plans.get(row.id, factors, make_plan)
        with engine.begin() as connection:
            listed = _listed(reports.metric_names(connection, row.id), row.cells, asked)
            reused = trials.reused_by_cell(connection, row.id)
            found = reports.finished(connection, row.id, wanted=lambda name: "/" not in name or _metric(name) in listed)
        made = build_report(
            study_id=row.id,
            revision=row.revision,
            spec=row.spec,
            cells=planned,
            trials=found.trials,
            curves=found.curves,
            layers=listed,
            reused=reused,
            mixed_measurements=mixed(found.versions),
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
