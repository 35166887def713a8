"""A study's life after its submission: pause and resume under the hands of dispatchers, priority, limits."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, func, select, text

from actinium.errors import Conflict, TooMany
from actinium.extension import parse_extension
from actinium.frame import TrialSummary
from actinium.job import Attempt, JobState, Lease, StudyId, StudyState
from actinium.study import Design
from db import models, queue, studies
from db.extension import extend
from db.limits import Quota

Make = Callable[..., Design]
Summary = Callable[..., TrialSummary]


def lease(connection: Connection, now: datetime, width: int = 16) -> list[Lease]:
    return queue.lease(connection, now=now, holder="d", lease_seconds=30, width=width)


def fence(leases: list[Lease]) -> list[Attempt]:
    return [Attempt(trial_id=one.trial_id, attempt=one.attempt) for one in leases]


def test_a_paused_study_is_not_leased_and_its_attempts_change_nothing(
    connection: Connection, design: Make, summary: Summary, now: datetime
) -> None:
    study = studies.create(connection, design(), owner="ada", now=now)
    done, *held = lease(connection, now)
    assert queue.complete(connection, now=now, attempt=done, summary=summary())
    before = studies.get(connection, study).revision
    studies.pause(connection, study, now)
    row = studies.get(connection, study)
    assert (row.state, row.revision) == (StudyState.PAUSED, before + 1)
    assert (row.counts.states[JobState.QUEUED], row.counts.states[JobState.SUCCEEDED]) == (3, 1)
    studies.pause(connection, study, now)
    assert studies.get(connection, study).revision == before + 1

    assert lease(connection, now) == []
    assert queue.backlog(connection, now=now, most=10) == 0
    assert queue.heartbeat(connection, now=now, attempts=fence(held), lease_seconds=30) == frozenset()
    assert queue.complete_many(connection, now=now, results=[(one, summary()) for one in held]) == frozenset()
    jobs = connection.execute(select(models.jobs).where(models.jobs.c.state == "queued")).all()
    assert {(job.holder, job.trial_failures, job.infrastructure_failures) for job in jobs} == {(None, 0, 0)}

    studies.resume(connection, study, now)
    assert studies.get(connection, study).state is StudyState.RUNNING
    again = lease(connection, now)
    assert [(one.trial_id, one.attempt) for one in again] == [(one.trial_id, 2) for one in held]
    assert queue.complete_many(connection, now=now, results=[(one, summary()) for one in held]) == frozenset()
    assert len(queue.complete_many(connection, now=now, results=[(one, summary()) for one in again])) == 3
    assert studies.get(connection, study).state is StudyState.FINISHED


def test_what_has_ended_is_neither_paused_nor_resumed(connection: Connection, design: Make, now: datetime) -> None:
    study = studies.create(connection, design(), owner="ada", now=now)
    studies.resume(connection, study, now)
    assert (studies.get(connection, study).state, studies.get(connection, study).revision) == (StudyState.QUEUED, 0)
    studies.pause(connection, study, now)
    studies.cancel(connection, study, now)
    for act in (studies.pause, studies.resume):
        with pytest.raises(Conflict, match=r"is cancelled: there is nothing left to .*retry"):
            act(connection, study, now)
    assert studies.retry(connection, study, now) == 4
    assert studies.get(connection, study).state is StudyState.QUEUED, "a pause does not outlive a cancellation"


def test_a_failed_trial_of_a_paused_study_waits_with_the_others(
    connection: Connection, design: Make, now: datetime
) -> None:
    study = studies.create(connection, design(), owner="ada", now=now)
    connection.execute(text("UPDATE jobs SET state = 'failed' WHERE place = 0"))
    studies.pause(connection, study, now)
    assert studies.retry(connection, study, now) == 1
    assert studies.get(connection, study).state is StudyState.PAUSED
    assert lease(connection, now) == []


def test_a_pause_takes_back_a_lease_that_is_being_written(engine: Engine, design: Make, now: datetime) -> None:
    with engine.begin() as connection:
        study = studies.create(connection, design(), owner="ada", now=now)

    def pause() -> None:
        with engine.begin() as connection:
            studies.pause(connection, study, now)

    with engine.connect() as leasing, ThreadPoolExecutor(1) as pool:
        taken = lease(leasing, now, width=2)
        pausing = pool.submit(pause)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as watching:
            blocked = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            while not watching.execute(blocked).scalar_one():
                assert not pausing.done()
        leasing.commit()
        pausing.result(timeout=30)
    assert len(taken) == 2
    with engine.begin() as connection:
        assert studies.get(connection, study).counts.states[JobState.QUEUED] == 4


def test_a_lease_that_began_before_a_pause_takes_nothing_after_it(engine: Engine, design: Make, now: datetime) -> None:
    """The lead of its pack, which it has locked, is the last that it could take; the pause waits for that one."""
    with engine.begin() as connection:
        study = studies.create(connection, design(), owner="ada", now=now)
        connection.execute(text("UPDATE studies SET paused_at = now()"))
        taken = connection.execute(
            queue.statement("lease_take"),
            {
                "study_id": study,
                "pack_key": connection.execute(select(models.jobs.c.pack_key).limit(1)).scalar_one(),
                "width_limit": models.NO_WIDTH_LIMIT,
                "checkpoint": "",
                "width": 4,
                "now": now,
                "holder": "d",
                "expires_at": now + timedelta(seconds=30),
            },
        )
        assert taken.all() == []


def test_a_priority_changed_while_queued_decides_the_next_lease(
    connection: Connection, design: Make, now: datetime
) -> None:
    first, second = (studies.create(connection, design(name=name), owner="ada", now=now) for name in "ab")

    def next_study() -> StudyId:
        (one,) = lease(connection, now, width=1)
        return one.study_id

    assert next_study() == first
    studies.patch(connection, second, now=now, priority=1)
    assert next_study() == second
    studies.patch(connection, first, now=now, priority=2)
    assert next_study() == first


def test_no_owner_has_more_trials_leased_than_the_limit(connection: Connection, design: Make, now: datetime) -> None:
    first, second = (studies.create(connection, design(name=name, seeds=8), owner="ada", now=now) for name in "ab")
    studies.patch(connection, second, now=now, priority=1)
    bobs = studies.create(connection, design(name="c"), owner="bob", now=now)

    def take(most: int) -> list[Lease]:
        return queue.lease(connection, now=now, holder="d", lease_seconds=30, width=3, most_leased=most)

    held = take(5)
    assert [one.study_id for one in held] == [second] * 3
    assert [one.study_id for one in take(5)] == [second] * 2, "a pack is no wider than what is left of the limit"
    assert [one.study_id for one in take(5)] == [bobs] * 3, (
        "an owner at the limit is passed over, whatever the priority"
    )
    queue.release(connection, now=now, attempts=held)
    studies.pause(connection, second, now)
    assert [[one.study_id for one in take(5)] for _ in range(4)] == [[first] * 3, [first] * 2, [bobs], []]
    assert studies.get(connection, first).counts.states[JobState.LEASED] == 5


def test_two_dispatchers_together_keep_the_limit(engine: Engine, design: Make, now: datetime) -> None:
    with engine.begin() as connection:
        studies.create(connection, design(seeds=20), owner="ada", now=now)

    def take(_: int) -> int:
        with engine.begin() as connection:
            return len(queue.lease(connection, now=now, holder="d", lease_seconds=30, width=4, most_leased=10))

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(take, range(6))) == 10


def test_an_owner_has_no_more_trials_queued_than_the_limit(engine: Engine, design: Make, now: datetime) -> None:
    """Over all studies; what is leased, ended or another's does not count, and a refusal leaves nothing behind."""

    def submit(name: str, owner: str = "ada", seeds: int = 2) -> StudyId:
        with engine.begin() as connection:
            made = design(name=name, seeds=seeds)
            return studies.create(connection, made, owner=owner, now=now, quota=Quota(queued_trials=7))

    first = submit("a")
    with pytest.raises(TooMany, match=r"ada would have more than 7 trials queued.*ACTINIUM_OWNER_QUEUED_TRIALS"):
        submit("b")
    with pytest.raises(TooMany), engine.begin() as connection:
        extend(
            connection,
            first,
            parse_extension({"seeds": 4}),
            owner="bob",
            now=now,
            max_trials=99,
            quota=Quota(queued_trials=7),
        )
    submit("bobs", owner="bob")
    with engine.begin() as connection:
        assert studies.get(connection, first).trials == 4
        assert connection.execute(select(func.count()).select_from(models.jobs)).scalar_one() == 8
        assert len(lease(connection, now)) == 4
    second = submit("b")
    with engine.begin() as connection:
        studies.cancel(connection, second, now)
    submit("c", seeds=3)


def test_simultaneous_submissions_keep_the_limit(engine: Engine, design: Make, now: datetime) -> None:
    def submit(number: int) -> bool:
        try:
            with engine.begin() as connection:
                studies.create(
                    connection, design(name=f"s{number}"), owner="ada", now=now, quota=Quota(queued_trials=9)
                )
        except TooMany:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(submit, range(6))) == 2
