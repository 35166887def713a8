"""Routes of a study's life after its submission: cancel, pause, resume, retry, extend, archive, delete."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from actinium.extension import Extension, parse_extension
from db import deletion, extension, studies, trials
from db.engine import retry_deadlocks
from services.api.access import Caller, Database, Now, OwnStudy, quota_of
from services.api.admission import check_memory, largest_memory
from services.api.answers import extended_document, retried_document, study_document
from services.api.body import json_body
from services.api.datasets import finder
from services.api.documents import ExtendedStudy, Retried, StudyDocument
from services.api.openapi import body_of
from services.api.references import settings_of

router = APIRouter(prefix="/v1", tags=["studies"])


@router.post("/studies/{study}/cancel")
@retry_deadlocks
def cancel(request: Request, engine: Database, caller: Caller, at: Now, study: OwnStudy) -> StudyDocument:
    """Cancels what has not finished; results that are there stay."""
    with engine.begin() as connection:
        studies.cancel(connection, study, at, who=caller.name)
        row = studies.get(connection, study)
    return study_document(row, settings_of(request))


@router.post("/studies/{study}/pause")
@retry_deadlocks
def pause(request: Request, engine: Database, caller: Caller, at: Now, study: OwnStudy) -> StudyDocument:
    """Stops leasing its trials and takes back those in training; once resumed they go on from their last checkpoint."""
    with engine.begin() as connection:
        studies.pause(connection, study, at, who=caller.name)
        row = studies.get(connection, study)
    return study_document(row, settings_of(request))


@router.post("/studies/{study}/resume")
@retry_deadlocks
def resume(request: Request, engine: Database, at: Now, study: OwnStudy) -> StudyDocument:
    """Goes on with what was paused."""
    with engine.begin() as connection:
        studies.resume(connection, study, at)
        row = studies.get(connection, study)
    return study_document(row, settings_of(request))


@router.post("/studies/{study}/archive")
@retry_deadlocks
def archive(
    request: Request,
    engine: Database,
    at: Now,
    study: OwnStudy,
    undo: Annotated[bool, Query(description="Put it back among the others.")] = False,
) -> StudyDocument:
    """Puts a study away: lists leave it out. Nothing of it is lost, and by its id it is found as before."""
    with engine.begin() as connection:
        studies.archive(connection, study, at, undo=undo)
        row = studies.get(connection, study)
    return study_document(row, settings_of(request))


@router.delete("/studies/{study}", status_code=204)
@retry_deadlocks
def delete(engine: Database, caller: Caller, at: Now, study: OwnStudy) -> Response:
    """Deletes a study that has ended, with trials, frames, artifacts, checkpoints and its experiment in MLflow. The
    audit says who did.
    """
    with engine.begin() as connection:
        deletion.delete_study(connection, study, who=caller.name, now=at)
    return Response(status_code=204)


@router.post("/studies/{study}/retry")
@retry_deadlocks
def retry(request: Request, engine: Database, caller: Caller, at: Now, study: OwnStudy) -> Retried:
    """Queues again what failed or was cancelled."""
    with engine.begin() as connection:
        retried = studies.retry(connection, study, at, who=caller.name)
        row = studies.get(connection, study)
    return retried_document(row, settings_of(request), retried=retried)


@router.post("/studies/{study}/extend", openapi_extra=body_of(Extension))
@retry_deadlocks
def extend(
    request: Request,
    engine: Database,
    caller: Caller,
    at: Now,
    study: OwnStudy,
    document: Annotated[Any, Depends(json_body)],
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> ExtendedStudy:
    """Adds seeds and levels; what the study has stays. With an Idempotency-Key, the same body adds once."""
    settings = settings_of(request)
    wanted, find = parse_extension(document), finder(engine)
    with engine.begin() as connection:
        spec, cells = studies.get(connection, study).spec, trials.cells(connection, study)
        most = largest_memory(connection, now=at, silent_seconds=settings.lease_seconds)
    prepared = extension.prepare(spec, cells, wanted, max_trials=settings.max_trials, find=find)
    check_memory([(cell.cell, cell.config) for cell in prepared.fresh], most)
    with engine.begin() as connection:
        added = extension.extend(
            connection,
            study,
            wanted,
            owner=caller.name,
            now=at,
            max_trials=settings.max_trials,
            find=find,
            prepared=prepared,
            idempotency_key=idempotency_key,
            quota=quota_of(settings, caller),
        )
        row = studies.get(connection, study)
    return extended_document(row, settings, cells=added.cells, trials=added.trials)
