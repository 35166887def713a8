"""Routes of studies: submit, list, show, change; and their trials."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import ValidationError
from sqlalchemy import Engine

from actinium.datasets.names import with_stored
from actinium.errors import FieldError, InvalidInput
from actinium.explain import explain
from actinium.frame import Outcome
from actinium.job import JobState, StudyState
from actinium.study import StudySpec, expand, parse_study
from db import reports, studies, trials
from db.engine import retry_deadlocks
from services.api import arrow
from services.api.access import Caller, Database, Now, OwnStudy, check_priority, quota_of
from services.api.admission import check_memory, largest_memory
from services.api.answers import run_link, study_document, study_item, study_links, trial_document
from services.api.body import json_body
from services.api.datasets import finder
from services.api.documents import StudyChanges, StudyDocument, StudyList, TrialList
from services.api.gates import work_ended
from services.api.openapi import body_of
from services.api.preflight import Preflight
from services.api.references import Cursor, Limit, StudyReference, Words, settings_of
from services.api.submissions import Submitted, submitted

router = APIRouter(prefix="/v1", tags=["studies"])
Json = Annotated[Any, Depends(json_body)]


@router.post(
    "/studies",
    status_code=201,
    responses={200: {"model": Submitted, "description": "With dry_run: what it would be"}},
    openapi_extra=body_of(StudySpec),
)
@retry_deadlocks
def submit(
    request: Request,
    response: Response,
    engine: Database,
    caller: Caller,
    at: Now,
    document: Json,
    dry_run: Annotated[bool, Query(description="Check, count, look at untrained networks; write nothing.")] = False,
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> Submitted:
    """Submits a study. With an Idempotency-Key, the same body again gives the same study."""
    settings = settings_of(request)
    find = finder(engine)
    spec = parse_study(with_stored(document, find))
    design = expand(spec, max_trials=settings.max_trials, find=find)
    check_priority(settings, caller, spec.priority)
    with engine.begin() as connection:
        most = largest_memory(connection, now=at, silent_seconds=settings.lease_seconds)
    check_memory([(cell.cell, cell.config) for cell in design.cells], most)
    if dry_run:
        response.status_code = 200
        preflight: Preflight = request.app.state.preflight
        tried = submitted(design, data_root=settings.data_root(), links={})
        work_ended(request)  # a preflight takes a while, in another process, and there is one at a time
        looked = preflight.of(design, settings)
        shown = {"preflight": looked.documents, "preflight_missing": looked.missing}
        return tried.model_copy(update=shown)
    with engine.begin() as connection:
        created = studies.create(
            connection,
            design,
            owner=caller.name,
            now=at,
            idempotency_key=idempotency_key,
            quota=quota_of(settings, caller),
        )
        row = studies.get(connection, created)
    response.headers["Location"] = f"/v1/studies/{created}"
    links = study_links(created, row.experiment_id, settings)
    return submitted(design, data_root=settings.data_root(), links=links).model_copy(
        update={"id": created, "state": row.state, "reused": row.counts.reused}
    )


@router.get("/studies")
def history(
    request: Request,
    engine: Database,
    q: Words = None,
    state: Annotated[StudyState | None, Query()] = None,
    owner: Words = None,
    project: Words = None,
    tag: Words = None,
    archived: Annotated[bool, Query(description="Those that were put away, in place of the others.")] = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> StudyList:
    """Studies, newest first. `q` searches name and description; `tag` is KEY or KEY=VALUE."""
    wanted: dict[str, Any] = {"q": q, "state": state, "owner": owner, "project": project, "tag": tag}
    with engine.begin() as connection:
        page = studies.page(connection, **wanted, archived=archived, cursor=cursor, limit=limit)
    settings = settings_of(request)
    return StudyList(items=[study_item(row, settings) for row in page.items], next_cursor=page.next_cursor)


@router.get("/studies/{study}")
def show(request: Request, engine: Database, study: StudyReference) -> StudyDocument:
    """A study with spec, state, counts, progress, invalid designs and links."""
    with engine.begin() as connection:
        row = studies.get(connection, studies.find(connection, study))
    return study_document(row, settings_of(request))


@router.patch("/studies/{study}", openapi_extra=body_of(StudyChanges))
@retry_deadlocks
def change(
    request: Request, engine: Database, caller: Caller, at: Now, study: OwnStudy, document: Json
) -> StudyDocument:
    """Changes name, description, tags, notes or priority; what is not named stays."""
    changes = _changes(document)
    with engine.begin() as connection:
        row = studies.patch(connection, study, now=at, **changes)
        if "priority" in changes:
            check_priority(settings_of(request), caller, row.priority)
    return study_document(row, settings_of(request))


def _changes(document: Any) -> dict[str, Any]:
    try:
        changes = StudyChanges.model_validate(document).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise InvalidInput("the change is not accepted", explain(error, document, StudyChanges)) from error
    if not changes:
        fault = FieldError("", f"nothing to change; give some of {', '.join(StudyChanges.model_fields)}")
        raise InvalidInput("the change is not accepted", [fault])
    return changes


@router.get("/studies/{study}/trials", response_model=TrialList, responses=arrow.ANSWERS)
def list_trials(
    request: Request,
    engine: Database,
    study: StudyReference,
    state: Annotated[JobState | None, Query()] = None,
    outcome: Annotated[Outcome | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> TrialList | Response:
    """A study's trials with their summaries, page by page; or as one Arrow stream of them all, which has no pages."""
    if arrow.wanted(request):
        return _all_trials(request, engine, study, state=state, outcome=outcome)
    with engine.begin() as connection:
        target = studies.find(connection, study)
        page = trials.trials_page(connection, target, cursor=cursor, limit=limit, state=state, outcome=outcome)
    settings = settings_of(request)
    return TrialList(items=[trial_document(row, settings) for row in page.items], next_cursor=page.next_cursor)


def _all_trials(
    request: Request, engine: Engine, study: str, *, state: JobState | None, outcome: Outcome | None
) -> Response:
    with engine.begin() as connection:
        row = studies.get(connection, studies.find(connection, study))
        table = reports.trials_listed(connection, row.id, state=state, outcome=outcome)
        cells = trials.levels(connection, row.id)
    settings = settings_of(request)
    return arrow.streamed(arrow.trials_table(table, cells, lambda run: run_link(row.experiment_id, run, settings)))
