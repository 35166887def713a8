"""A study's report, computed once a revision, and its curves."""

import json
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from scipy import stats
from sqlalchemy import Connection

from actinium.errors import FieldError, InvalidInput
from actinium.job import StudyId
from actinium.levels import did_you_mean
from actinium.measurements import mixed
from actinium.paths import Cell
from actinium.statistics.report import build_report
from db import curves as db_curves
from db import reports, studies, trials
from db.curves import Moments
from services.api.access import Database
from services.api.documents import Curve, Curves
from services.api.references import StudyReference

router = APIRouter(prefix="/v1", tags=["studies"])
TARGET_SERIES = "validation_loss"
LEVEL = 0.95


class ReportCache:
    """The last reports as JSON, by study and revision. Two requests for one report compute it once."""

    def __init__(self, *, most: int = 64) -> None:
        self._most = most
        self._known: OrderedDict[tuple[StudyId, int], bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._working: defaultdict[StudyId, threading.Lock] = defaultdict(threading.Lock)

    def get(self, study: StudyId, revision: int, build: Callable[[], bytes]) -> bytes:
        """The report, from `build` if it is not known yet."""
        key = (study, revision)
        with self._lock:
            working = self._working[study]
        with working:
            with self._lock:
                if key in self._known:
                    self._known.move_to_end(key)
                    return self._known[key]
            built = build()
            with self._lock:
                self._known[key] = built
                while len(self._known) > self._most:
                    self._known.popitem(last=False)
            return built


@router.get("/studies/{study}/report")
def report(request: Request, engine: Database, study: StudyReference) -> Response:
    """The comparisons: cells, contrasts, factor effects, small batches, convergence."""
    cache: ReportCache = request.app.state.reports
    with engine.begin() as connection:
        row = studies.get(connection, studies.find(connection, study))

    def build() -> bytes:
        with engine.begin() as connection:
            design = trials.cells(connection, row.id)
            table = reports.trials_table(connection, row.id)
            losses = reports.curves(connection, row.id, TARGET_SERIES)
            versions = reports.measurement_versions(connection, row.id)
        document = build_report(
            study_id=row.id,
            revision=row.revision,
            spec=row.spec,
            cells=[(cell.index, cell.cell, cell.config) for cell in design],
            trials=table,
            curves=losses,
        )
        return json.dumps({**document, "mixed_measurements": mixed(versions)}, allow_nan=False).encode()

    return Response(cache.get(row.id, row.revision, build), media_type="application/json")


@router.get("/studies/{study}/curves")
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
