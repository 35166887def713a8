"""A study's state, counts and revision, derived from its jobs."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, case, select, update

from actinium.frame import Outcome
from actinium.job import JobState, StudyId, StudyState
from db.models import studies
from db.rows import Counts
from db.statements import statement

STATE: ColumnElement[str] = case(
    (studies.c.cancelled_at.is_not(None), StudyState.CANCELLED.value),
    (studies.c.finished_at.is_not(None), StudyState.FINISHED.value),
    (studies.c.paused_at.is_not(None), StudyState.PAUSED.value),
    (studies.c.started_at.is_not(None), StudyState.RUNNING.value),
    else_=StudyState.QUEUED.value,
)
"""A study's state, from its row alone."""


def counts(conn: Connection, study_ids: Collection[StudyId]) -> dict[StudyId, Counts]:
    """Counts by state and outcome of each study; a finished study's are read where they were kept."""
    kept = conn.execute(select(studies.c.id, studies.c.final_counts).where(studies.c.id.in_(study_ids))).all()
    found = {StudyId(row.id): _counts(row.final_counts) for row in kept if row.final_counts is not None}
    open_ids = [row.id for row in kept if row.final_counts is None]
    return found | _counted(conn, open_ids) if open_ids else found


def touch(conn: Connection, study_ids: Collection[StudyId], *, now: datetime) -> None:
    """Raise the revisions, and finish the studies in which nothing is open any more.

    Locks the studies until the commit. Call it once a transaction, after the jobs were changed: everybody locks jobs
    before studies.
    """
    if not study_ids:
        return
    ids = sorted(study_ids)
    conn.execute(statement("touch"), {"study_ids": ids})
    finished = conn.execute(statement("settle"), {"study_ids": ids, "now": now}).scalars().all()
    for study_id, final in _counted(conn, finished).items() if finished else ():
        kept = {word.value: n for word, n in [*final.states.items(), *final.outcomes.items()]}
        kept["reused"] = final.reused
        conn.execute(update(studies).where(studies.c.id == study_id).values(final_counts=kept))


def totals(conn: Connection) -> dict[JobState, int]:
    """Open jobs of all studies: how many are queued and how many leased. For gauges."""
    found = conn.execute(statement("totals")).one()
    return {JobState.QUEUED: found.queued, JobState.LEASED: found.leased}


def _counted(conn: Connection, study_ids: Collection[StudyId]) -> dict[StudyId, Counts]:
    words: dict[StudyId, dict[str, int]] = defaultdict(dict)
    for row in conn.execute(statement("counts"), {"study_ids": list(study_ids)}):
        words[StudyId(row.study_id)][row.word] = row.n
    return {study_id: _counts(words[study_id]) for study_id in study_ids}


def _counts(words: Mapping[str, int]) -> Counts:
    return Counts(
        states={state: words.get(state, 0) for state in JobState},
        outcomes={outcome: words.get(outcome, 0) for outcome in Outcome},
        reused=words.get("reused", 0),
    )
