"""A series of a study by cell and step, while it runs and afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from actinium.job import StudyId
from db.statements import statement


@dataclass(frozen=True, kw_only=True)
class Moments:
    """A cell's series at one step: mean and sample deviation (None for one trial) over `n` trials."""

    step: int
    mean: float
    deviation: float | None
    n: int


def moments(conn: Connection, study_id: StudyId, name: str) -> dict[int, list[Moments]]:
    """By cell index, ascending by step, over the current attempts of trials that run or succeeded. Values that are
    not finite are left out, so `n` falls where trials diverge.
    """
    found: dict[int, list[Moments]] = {}
    for row in conn.execute(statement("curves"), {"study_id": study_id, "name": name}):
        point = Moments(step=row.step, mean=row.mean, deviation=row.deviation, n=row.n)
        found.setdefault(row.cell_index, []).append(point)
    return found


def series_names(conn: Connection, study_id: StudyId) -> Sequence[str]:
    """The series that a study's frames have; empty before its first frame."""
    layouts = conn.execute(statement("study_series"), {"study_id": study_id}).scalars()
    return sorted({name for series in layouts for name in series})
