"""Routes of a study's life after its submission: cancel, pause, resume, retry."""

from fastapi import APIRouter, Request

from db import studies
from services.api.access import Database, Now
from services.api.documents import Retried, StudyDocument, retried_document, study_document
from services.api.references import StudyReference, settings_of

router = APIRouter(prefix="/v1", tags=["studies"])


@router.post("/studies/{study}/cancel")
def cancel(request: Request, engine: Database, at: Now, study: StudyReference) -> StudyDocument:
    """Cancels what has not finished; results that are there stay."""
    with engine.begin() as connection:
        target = studies.find(connection, study)
        studies.cancel(connection, target, at)
        row = studies.get(connection, target)
    return study_document(row, settings_of(request))


@router.post("/studies/{study}/pause")
def pause(request: Request, engine: Database, at: Now, study: StudyReference) -> StudyDocument:
    """Leases nothing more of it and takes back what is in training, which begins again when it is resumed."""
    with engine.begin() as connection:
        target = studies.find(connection, study)
        studies.pause(connection, target, at)
        row = studies.get(connection, target)
    return study_document(row, settings_of(request))


@router.post("/studies/{study}/resume")
def resume(request: Request, engine: Database, at: Now, study: StudyReference) -> StudyDocument:
    """Goes on with what was paused."""
    with engine.begin() as connection:
        target = studies.find(connection, study)
        studies.resume(connection, target, at)
        row = studies.get(connection, target)
    return study_document(row, settings_of(request))


@router.post("/studies/{study}/retry")
def retry(request: Request, engine: Database, at: Now, study: StudyReference) -> Retried:
    """Queues again what failed or was cancelled."""
    with engine.begin() as connection:
        target = studies.find(connection, study)
        retried = studies.retry(connection, target, at)
        row = studies.get(connection, target)
    return retried_document(row, settings_of(request), retried=retried)
