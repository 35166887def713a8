"""The audit: every change of a trial's state, by whom, why and when, and never changed itself."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.exc import DBAPIError

from actinium.frame import TrialSummary
from actinium.job import Cause, FailureClass, JobState, Lease, TrialId
from actinium.study import Design
from db import events, models, queue, studies

Make = Callable[..., Design]
QUEUED, LEASED, SUCCEEDED, FAILED, CANCELLED = JobState


def past(connection: Connection, trial: TrialId) -> list[tuple[JobState, int, Cause, str | None, str | None]]:
    return [(e.state, e.attempt, e.cause, e.who, e.reason) for e in events.of_trial(connection, trial)]


def test_a_trial_has_its_whole_past(
    connection: Connection, design: Make, summary: Callable[..., TrialSummary], now: datetime
) -> None:
    study = studies.create(connection, design(factors={}, seeds=1), owner="ada", now=now)
    (trial,) = studies.trials_page(connection, study).items
    moments = iter(range(1, 100))

    def tick() -> datetime:
        return now + timedelta(minutes=next(moments))

    def lease(holder: str) -> Lease:
        (one,) = queue.lease(connection, now=tick(), holder=holder, lease_seconds=30, width=1)
        return one

    def fail(one: Lease, failure_class: FailureClass, *, halve: bool = False) -> None:
        error = "Traceback:\n  a line\nValueError: no\n"
        queue.fail(connection, now=tick(), attempts=[one], failure_class=failure_class, error=error, halve=halve)

    fail(lease("a"), FailureClass.INFRASTRUCTURE)
    fail(lease("b"), FailureClass.INFRASTRUCTURE, halve=True)
    lease("c")
    assert queue.rescue(connection, now=tick()) == 1
    held = lease("d")
    queue.release(connection, now=tick(), attempts=[held])
    lease("e")
    studies.pause(connection, study, tick(), who="bob")
    studies.resume(connection, study, tick())
    fail(lease("f"), FailureClass.TRIAL)
    fail(lease("g"), FailureClass.TRIAL)
    studies.retry(connection, study, tick(), who="bob")
    studies.cancel(connection, study, tick(), who="eve")
    studies.retry(connection, study, tick(), who="bob")
    last = lease("h")
    assert queue.complete(connection, now=tick(), attempt=last, summary=summary())
    assert not queue.complete(connection, now=tick(), attempt=last, summary=summary())

    no = "ValueError: no"
    assert past(connection, trial.id) == [
        (LEASED, 1, Cause.LEASE, "a", None),
        (QUEUED, 1, Cause.INFRASTRUCTURE_FAILURE, "a", no),
        (LEASED, 2, Cause.LEASE, "b", None),
        (QUEUED, 2, Cause.OUT_OF_MEMORY, "b", no),
        (LEASED, 3, Cause.LEASE, "c", None),
        (QUEUED, 3, Cause.RESCUE, "c", "the lease ran out: c or its node went silent"),
        (LEASED, 4, Cause.LEASE, "d", None),
        (QUEUED, 4, Cause.RELEASE, "d", None),
        (LEASED, 5, Cause.LEASE, "e", None),
        (QUEUED, 5, Cause.PAUSE, "bob", None),
        (LEASED, 6, Cause.LEASE, "f", None),
        (QUEUED, 6, Cause.TRIAL_FAILURE, "f", no),
        (LEASED, 7, Cause.LEASE, "g", None),
        (FAILED, 7, Cause.TRIAL_FAILURE, "g", no),
        (QUEUED, 7, Cause.RETRY, "bob", None),
        (CANCELLED, 7, Cause.CANCEL, "eve", None),
        (QUEUED, 7, Cause.RETRY, "bob", None),
        (LEASED, 8, Cause.LEASE, "h", None),
        (SUCCEEDED, 8, Cause.COMPLETE, "h", None),
    ]
    moments_told = [event.at for event in events.of_trial(connection, trial.id)]
    assert moments_told == sorted(moments_told)

    again = studies.create(connection, design(factors={}, seeds=1, name="again", reuse=True), owner="ann", now=now)
    (linked,) = studies.trials_page(connection, again).items
    assert past(connection, linked.id) == [(SUCCEEDED, 0, Cause.REUSE, "ann", f"trial {trial.id}")]


def test_what_is_written_stays(connection: Connection, design: Make, now: datetime) -> None:
    studies.create(connection, design(), owner="ada", now=now)
    queue.lease(connection, now=now, holder="d", lease_seconds=30, width=16)
    table = models.trial_events
    for wrong in (update(table).values(who="nobody"), delete(table)):
        with pytest.raises(DBAPIError, match="trial_events only grows"), connection.begin_nested():
            connection.execute(wrong)
    assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 4


def test_the_causes_are_those_of_the_words(connection: Connection) -> None:
    with pytest.raises(DBAPIError, match="ck_trial_events_cause"), connection.begin_nested():
        connection.execute(
            models.trial_events.insert().values(trial_id=1, at=func.now(), state="queued", attempt=0, cause="whim")
        )
    for cause in Cause:
        connection.execute(
            models.trial_events.insert().values(trial_id=1, at=func.now(), state="queued", attempt=0, cause=cause.value)
        )
