"""Trials that need not be trained: the history has one of the same digest that succeeded.

A link, not a copy: summary and frames stay where they are, and are read through `trials.reused_from`. What is written
is the job that has succeeded, and the narrow row that reports read.
"""

from datetime import datetime

from sqlalchemy import Connection

from actinium.job import StudyId
from db import outbox
from db.progress import touch
from db.statements import statement


def write_jobs(conn: Connection, study_id: StudyId, *, first_place: int, reuse: bool, who: str, now: datetime) -> int:
    """The jobs of a study's trials from `first_place` on; how many of the trials were reused.

    With `reuse`, those that the history has are linked and have succeeded at once; the others are queued.
    """
    new = {"study_id": study_id, "first_place": first_place}
    if reuse:
        conn.execute(statement("history_lock_shared"))
    linked = conn.execute(statement("reuse"), {**new, "now": now, "who": who}).scalars().all() if reuse else []
    conn.execute(statement("study_jobs"), {**new, "now": now})
    if linked:
        conn.execute(statement("reuse_rows"), new)
        outbox.announce(conn, kind="trial", subjects=linked)
        touch(conn, [study_id], now=now)
    return len(linked)
