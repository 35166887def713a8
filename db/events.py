"""The history of a trial: each change of its job's state, written by the statement that makes the change."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from actinium.job import Cause, JobState, TrialId
from db.models import trial_events


@dataclass(frozen=True, kw_only=True)
class TrialEvent:
    """One change. `who`: the dispatcher that held the attempt, or who asked; `reason`: its error's last line."""

    at: datetime
    state: JobState
    attempt: int
    cause: Cause
    who: str | None
    reason: str | None


def of_trial(conn: Connection, trial_id: TrialId) -> list[TrialEvent]:
    """All changes since the trial was queued, in order."""
    wanted = select(trial_events).where(trial_events.c.trial_id == trial_id).order_by(trial_events.c.id)
    return [
        TrialEvent(
            at=row.at,
            state=JobState(row.state),
            attempt=row.attempt,
            cause=Cause(row.cause),
            who=row.who,
            reason=row.reason,
        )
        for row in conn.execute(wanted)
    ]
