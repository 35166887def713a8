"""Studies: created in one transaction, found, searched, changed, cancelled, paused, resumed and retried."""

import dataclasses
import hashlib
import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, Text, cast, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.exc import IntegrityError

from actinium.errors import Conflict, NotFound
from actinium.job import StudyId, StudyState
from actinium.study import Design, InvalidDesign, StudySpec, parse_study
from db import grid, limits, outbox, reuse
from db.documents import check, dumps, storable
from db.limits import UNLIMITED, Quota
from db.models import mirrored_studies, studies
from db.progress import STATE, counts, touch
from db.rows import LARGEST_ID, MOST_ITEMS, Counts, Page, StudyHead, StudyRow, cursor_id
from db.statements import statement
from db.trials import cells, trial, trial_config, trials_page

__all__ = [
    "archive",
    "cancel",
    "cells",
    "create",
    "find",
    "get",
    "owner_of",
    "page",
    "patch",
    "pause",
    "resume",
    "retry",
    "trial",
    "trial_config",
    "trials_page",
]


def create(
    conn: Connection,
    design: Design,
    *,
    owner: str,
    now: datetime,
    idempotency_key: str | None = None,
    quota: Quota = UNLIMITED,
) -> StudyId:
    """Write a study with its cells, trials and queued jobs; with `reuse`, what the history has is linked.

    The same owner, idempotency key and document give the study that was made then. Conflict: the key was used for
    another document, or (project, name) is taken. TooMany, Forbidden: the owner would have more than their quota; the
    transaction must then be rolled back.
    """
    document = dumps(design.spec.model_dump(mode="json"))
    check({"owner": owner, "idempotency_key": idempotency_key})
    digest = hashlib.sha256(document.encode()).hexdigest()
    invalid = [{"cell": item.cell, "reason": item.reason} for item in design.invalid]
    row = {
        "spec": json.loads(document),
        "owner": owner,
        "invalid_designs": invalid,
        "cells": len(design.cells),
        "trials": len(design.cells) * len(design.spec.seed_list()),
        "created_at": now,
        "idempotency_key": idempotency_key,
        "body_digest": digest,
    }
    limits.take_turn(conn, owner=owner, quota=quota)
    # Waits for a transaction that is writing the same name or key; what it made is then seen below.
    written = conn.execute(insert(studies).values(row).on_conflict_do_nothing().returning(studies.c.id))
    made = written.scalar_one_or_none()
    if made is None:
        return _made_before(conn, design.spec, owner=owner, key=idempotency_key, digest=digest)
    study_id = StudyId(made)
    grid.write_cells(conn, study_id, design.cells)
    grid.write_trials(conn, study_id, design.seeded())
    reuse.write_jobs(conn, study_id, first_place=0, reuse=design.spec.reuse, who=owner, now=now)
    outbox.announce(conn, kind="study", subjects=[study_id])
    limits.check_trials(conn, owner=owner, quota=quota)
    return study_id


def find(conn: Connection, reference: str) -> StudyId:
    """The study that an id or a name means. NotFound, or Conflict where several projects have the name."""
    if reference.isascii() and reference.isdigit():
        wanted = studies.c.id == int(reference) if len(reference) < 20 and int(reference) <= LARGEST_ID else None
    else:
        wanted = studies.c.name == reference if storable(reference) else None
    found = (
        []
        if wanted is None
        else conn.execute(select(studies.c.id).where(wanted).order_by(studies.c.id)).scalars().all()
    )
    if not found:
        raise NotFound(f"there is no study {reference[:120]!r}; `actinium ls` shows those there are")
    if len(found) > 1:
        ids = ", ".join(str(study_id) for study_id in found[:20])
        raise Conflict(f"several projects have a study {reference!r}: give one of the ids {ids}", ids=found)
    return StudyId(found[0])


def get(conn: Connection, study_id: StudyId) -> StudyRow:
    """A study as it stands. NotFound."""
    row = _row(conn, study_id, _whole())
    return _study(row, counts(conn, [study_id])[study_id])


def owner_of(conn: Connection, study_id: StudyId) -> str:
    """Whose study it is: the name of the token that submitted it. NotFound."""
    return str(_row(conn, study_id, select(studies.c.owner)).owner)


def page(
    conn: Connection,
    *,
    q: str | None = None,
    state: StudyState | None = None,
    owner: str | None = None,
    project: str | None = None,
    tag: str | None = None,
    archived: bool = False,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[StudyHead]:
    """Studies, newest first. `q` is looked for in name and description; `tag` is `KEY` or `KEY=VALUE`;
    `archived`: those that were put away, in place of the others.
    """
    check({"q": q, "owner": owner, "project": project, "tag": tag})
    limit = max(1, min(limit, MOST_ITEMS))
    wanted = _selected().where(studies.c.id < cursor_id(cursor, default=LARGEST_ID))
    wanted = wanted.where(studies.c.archived_at.is_not(None) if archived else studies.c.archived_at.is_(None))
    if q:
        description = studies.c.spec["description"].astext
        wanted = wanted.where(studies.c.name.icontains(q, autoescape=True) | description.icontains(q, autoescape=True))
    if state is not None:
        wanted = wanted.where(STATE.in_([state.value]))
    if owner is not None:
        wanted = wanted.where(studies.c.owner == owner)
    if project is not None:
        wanted = wanted.where(studies.c.project == project)
    if tag:
        key, separator, value = tag.partition("=")
        tags = cast(cast(studies.c.spec["tags"], Text), JSONB)
        wanted = wanted.where(tags.contains({key: value}) if separator else tags.has_key(key))
    rows = conn.execute(wanted.order_by(studies.c.id.desc()).limit(limit + 1)).all()
    counted = counts(conn, [StudyId(row.id) for row in rows[:limit]])
    items = [StudyHead(**_head(row, counted[StudyId(row.id)])) for row in rows[:limit]]
    return Page(items=items, next_cursor=str(items[-1].id) if len(rows) > limit else None)


def patch(
    conn: Connection,
    study_id: StudyId,
    *,
    now: datetime,
    name: str | None = None,
    description: str | None = None,
    tags: dict[str, str] | None = None,
    notes: str | None = None,
    priority: int | None = None,
) -> StudyRow:
    """Change what does not change a number. InvalidInput names what is not accepted; Conflict: the name is taken."""
    row = _row(conn, study_id, _whole().with_for_update(of=studies))
    given = {"name": name, "description": description, "tags": tags, "priority": priority}
    spec = parse_study(row.spec | {key: value for key, value in given.items() if value is not None})
    check(notes, "notes")
    changes: dict[str, Any] = {"spec": json.loads(dumps(spec.model_dump(mode="json")))}
    if notes is not None:
        changes["notes"] = notes
    try:
        with conn.begin_nested():
            conn.execute(update(studies).where(studies.c.id == study_id).values(changes))
    except IntegrityError as error:
        raise _name_taken(conn, spec) from error
    if spec.name != row.name:
        outbox.announce(conn, kind="study", subjects=[study_id])
    touch(conn, [study_id], now=now)
    return get(conn, study_id)


def cancel(conn: Connection, study_id: StudyId, now: datetime, *, who: str | None = None) -> None:
    """Cancel every open trial; finished ones stay. Conflict when nothing is open. Doing it again changes nothing."""
    conn.execute(statement("study_lock"), {"study_id": study_id})
    study = get(conn, study_id)
    if study.state is StudyState.CANCELLED:
        return
    if study.state is StudyState.FINISHED:
        raise _nothing_open(conn, study_id, "cancel")
    cancelled = conn.execute(statement("cancel"), {"study_id": study_id, "now": now, "who": who}).all()
    outbox.announce(conn, kind="trial", subjects=[row.trial_id for row in cancelled if row.attempt > 0])
    conn.execute(update(studies).where(studies.c.id == study_id).values(cancelled_at=now, paused_at=None))
    touch(conn, [study_id], now=now)


def pause(conn: Connection, study_id: StudyId, now: datetime, *, who: str | None = None) -> None:
    """Lease nothing more of a study, and queue again what is in training: no failure is counted, and after `resume`
    each trial goes on from its last checkpoint. Pausing again changes nothing. Conflict when nothing is open.
    """
    conn.execute(statement("study_lock"), {"study_id": study_id})
    if get(conn, study_id).state is StudyState.PAUSED:
        return
    conn.execute(statement("pause"), {"study_id": study_id, "now": now, "who": who})
    still_open = studies.c.finished_at.is_(None) & studies.c.cancelled_at.is_(None)
    paused = update(studies).where(studies.c.id == study_id, still_open).values(paused_at=now)
    if not conn.execute(paused).rowcount:
        raise _nothing_open(conn, study_id, "pause")
    touch(conn, [study_id], now=now)


def resume(conn: Connection, study_id: StudyId, now: datetime) -> None:
    """Lease again what was paused. An open study that is not paused stays as it is. Conflict when nothing is open."""
    conn.execute(statement("study_lock"), {"study_id": study_id})
    state = get(conn, study_id).state
    if state in (StudyState.FINISHED, StudyState.CANCELLED):
        raise _nothing_open(conn, study_id, "resume")
    if state is StudyState.PAUSED:
        conn.execute(update(studies).where(studies.c.id == study_id).values(paused_at=None))
        touch(conn, [study_id], now=now)


def retry(conn: Connection, study_id: StudyId, now: datetime, *, who: str | None = None) -> int:
    """Queue every failed or cancelled trial again; how many. Succeeded ones stay as they are."""
    conn.execute(statement("study_lock"), {"study_id": study_id})
    get(conn, study_id)
    queued = conn.execute(statement("retry"), {"study_id": study_id, "now": now, "who": who}).all()
    if queued:
        opened = {"cancelled_at": None, "finished_at": None, "final_counts": None}
        conn.execute(update(studies).where(studies.c.id == study_id).values(opened))
        touch(conn, [study_id], now=now)
    return len(queued)


def archive(conn: Connection, study_id: StudyId, now: datetime, *, undo: bool = False) -> None:
    """Put a study away: lists leave it out unless they are asked for what is put away. Nothing else changes; `undo`
    puts it back. NotFound.
    """
    get(conn, study_id)
    conn.execute(update(studies).where(studies.c.id == study_id).values(archived_at=None if undo else now))
    touch(conn, [study_id], now=now)


def _nothing_open(conn: Connection, study_id: StudyId, verb: str) -> Conflict:
    state = get(conn, study_id).state
    again = "" if verb == "cancel" else "; `retry` queues again what failed or was cancelled"
    return Conflict(f"study {study_id} is {state.value}: there is nothing left to {verb}{again}")


def _made_before(conn: Connection, spec: StudySpec, *, owner: str, key: str | None, digest: str) -> StudyId:
    """The study that an earlier request with this key made; Conflict otherwise."""
    if key is not None:
        same_key = select(studies.c.id, studies.c.body_digest).where(
            studies.c.owner == owner, studies.c.idempotency_key == key
        )
        before = conn.execute(same_key).one_or_none()
        if before is not None and before.body_digest == digest:
            return StudyId(before.id)
        if before is not None:
            raise Conflict(
                f"the Idempotency-Key {key[:120]!r} was used for another document (study {before.id}); use a new key",
                ids=[before.id],
            )
    raise _name_taken(conn, spec)


def _name_taken(conn: Connection, spec: StudySpec) -> Conflict:
    same_name = select(studies.c.id).where(studies.c.project == spec.project, studies.c.name == spec.name)
    taken = conn.execute(same_name).scalar_one_or_none()
    message = f"project {spec.project!r} has a study {spec.name!r} already (id {taken}); choose another name"
    return Conflict(message, ids=[] if taken is None else [taken])


def _selected() -> Select[Any]:
    """What a list shows of studies."""
    whole = {"spec", "notes", "invalid_designs", "final_counts", "idempotency_key", "body_digest"}
    columns = [column for column in studies.c if column.name not in whole]
    words = studies.c.spec["description"].astext.label("description"), studies.c.spec["tags"].label("tags")
    return select(*columns, *words, STATE.label("state"), mirrored_studies.c.experiment_id).outerjoin_from(
        studies, mirrored_studies
    )


def _whole() -> Select[Any]:
    """That and the document."""
    return _selected().add_columns(studies.c.spec, studies.c.notes, studies.c.invalid_designs)


def _row(conn: Connection, study_id: StudyId, selected: Select[Any]) -> Row[Any]:
    possible = 0 < study_id <= LARGEST_ID
    row = conn.execute(selected.where(studies.c.id == study_id)).one_or_none() if possible else None
    if row is None:
        raise NotFound(f"there is no study {study_id}; `actinium ls` shows those there are")
    return row


def _study(row: Row[Any], counted: Counts) -> StudyRow:
    return StudyRow(
        **_head(row, counted),
        spec=StudySpec.model_validate(row.spec),
        notes=row.notes,
        invalid_designs=[InvalidDesign(cell=item["cell"], reason=item["reason"]) for item in row.invalid_designs],
    )


def _head(row: Row[Any], counted: Counts) -> dict[str, Any]:
    fields = {field.name for field in dataclasses.fields(StudyHead)} - {"id", "state", "counts"}
    own = {"id": StudyId(row.id), "state": StudyState(row.state), "counts": counted}
    return own | {name: getattr(row, name) for name in fields}
