"""Routes of the mirror: put back what MLflow should show, and what it was found to lack."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from actinium.job import StudyId
from db import mirror, studies
from db.engine import retry_deadlocks
from services.api.access import Database, OwnStudy
from services.api.documents import Answer

router = APIRouter(prefix="/v1", tags=["mirror"])


class Mirrored(Answer):
    """A study whose `trials` the mirror looks at again."""

    id: StudyId
    name: str
    trials: int


class MissingDocument(Answer):
    """What MLflow lacks of a study. `experiment`: null where it is there. `deleted_runs`: how many runs that were
    mirrored somebody has deleted.
    """

    study_id: StudyId
    name: str
    experiment: Literal["deleted", "missing"] | None
    deleted_runs: int
    seen_at: datetime


class MissingList(Answer):
    """What MLflow lacks, study by study."""

    items: list[MissingDocument]


@router.post("/studies/{study}/mirror")
@retry_deadlocks
def mirror_anew(
    engine: Database,
    study: OwnStudy,
    everything: Annotated[bool, Query(alias="all", description="Make every run anew, whatever it shows.")] = False,
) -> Mirrored:
    """Mirrors to MLflow anew what is missing there, or shows something else than the record."""
    with engine.begin() as connection:
        count = mirror.mirror_anew(connection, study, whole=everything)
        row = studies.get(connection, study)
    return Mirrored(id=row.id, name=row.name, trials=count)


@router.get("/mirror")
def list_missing(engine: Database) -> MissingList:
    """What the mirror was last found to lack: experiments and runs that somebody deleted, or that were lost."""
    with engine.begin() as connection:
        found = mirror.missing(connection)
    return MissingList(items=[MissingDocument.model_validate(one) for one in found])
