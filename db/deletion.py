"""Studies and datasets are deleted: with all that hangs on them, at once, and written down in the audit."""

from datetime import datetime

from sqlalchemy import Connection, delete, select, text

from actinium.errors import Conflict, NotFound
from actinium.job import StudyId, StudyState
from db import audit
from db.datasets import get as dataset_of
from db.models import dataset_contents, dataset_pieces, datasets, jobs, mirrored_trials, outbox, studies, trials
from db.statements import statement
from db.studies import get


def delete_study(conn: Connection, study_id: StudyId, *, who: str, now: datetime) -> None:
    """Delete a study, its trials with their frames, summaries, artifacts and history; the sink then deletes its
    experiment in MLflow, and the sweeper its checkpoints.

    Conflict while something of it is open, and while other studies show results of its trials. NotFound.
    """
    conn.execute(statement("study_lock"), {"study_id": study_id})
    study = get(conn, study_id)
    if study.state not in (StudyState.FINISHED, StudyState.CANCELLED):
        raise Conflict(f"study {study_id} is {study.state.value}: `cancel` it first, then it can be deleted")
    conn.execute(statement("history_lock"))
    reusing = conn.execute(statement("reusing_studies"), {"study_id": study_id}).scalars().all()
    if reusing:
        ids = ", ".join(map(str, reusing))
        raise Conflict(f"the studies {ids} show results of study {study_id}; delete those first", ids=list(reusing))
    _hold(conn, study_id)
    conn.execute(text("SET LOCAL actinium.deleting = 'study'"))
    conn.execute(text("SET LOCAL statement_timeout = 0"))
    conn.execute(statement("delete_study"), {"study_id": study_id})
    detail = {"name": study.name, "project": study.project, "owner": study.owner, "trials": study.trials}
    audit.record(conn, now=now, who=who, action="delete", subject=f"study {study_id}", detail=detail)


def _hold(conn: Connection, study_id: StudyId) -> None:
    """Lock whatever of a study somebody else may lock, in everybody's order (docs/state_machine.md)."""
    own = select(trials.c.id).where(trials.c.study_id == study_id)
    for wanted in (
        select(jobs.c.trial_id).where(jobs.c.study_id == study_id).order_by(jobs.c.trial_id),
        select(mirrored_trials.c.trial_id)
        .where(mirrored_trials.c.trial_id.in_(own))
        .order_by(mirrored_trials.c.trial_id),
        select(outbox.c.subject_id)
        .where(outbox.c.kind == "trial", outbox.c.subject_id.in_(own))
        .order_by(outbox.c.subject_id),
        select(studies.c.id).where(studies.c.id == study_id),
    ):
        conn.execute(wanted.with_for_update())


def delete_dataset(conn: Connection, name: str, *, who: str, now: datetime) -> None:
    """Delete a dataset's name, and its content where no other name has it. Conflict while an open study trains on it.
    NotFound.
    """
    found = dataset_of(conn, name)
    if found is None:
        raise NotFound(f"there is no dataset {name[:120]!r} that was added")
    sha256 = found.stored.sha256
    # Waits for a transaction that gives this content another name; that one is then seen below.
    conn.execute(select(dataset_contents.c.sha256).where(dataset_contents.c.sha256 == sha256).with_for_update())
    others = conn.execute(select(datasets.c.name).where(datasets.c.sha256 == sha256, datasets.c.name != name)).all()
    users = [] if others else conn.execute(statement("dataset_users"), {"sha256": sha256}).scalars().all()
    if users:
        ids = ", ".join(map(str, users))
        raise Conflict(f"the studies {ids} train on dataset {name!r}; let them end, or cancel them", ids=list(users))
    conn.execute(delete(datasets).where(datasets.c.name == name))
    if not others:
        conn.execute(delete(dataset_pieces).where(dataset_pieces.c.sha256 == sha256))
        conn.execute(delete(dataset_contents).where(dataset_contents.c.sha256 == sha256))
    detail = {"sha256": sha256, "owner": found.owner, "bytes": found.file_bytes}
    audit.record(conn, now=now, who=who, action="delete", subject=f"dataset {name}", detail=detail)
