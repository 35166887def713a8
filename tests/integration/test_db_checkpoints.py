"""Which checkpoint a trial goes on from, whose word counts, and when it is forgotten."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select

from actinium.frame import TrialSummary
from actinium.job import FailureClass, JobState, Lease, StudyId
from actinium.study import Design
from db import events, models, queue, studies

Make = Callable[..., Design]
Summarize = Callable[..., TrialSummary]
TRIAL, INFRASTRUCTURE = FailureClass.TRIAL, FailureClass.INFRASTRUCTURE


@pytest.fixture
def study(connection: Connection, design: Make, now: datetime) -> StudyId:
    """Four trials of one pack key."""
    return studies.create(connection, design(factors={}, seeds=4), owner="ada", now=now)


def lease(connection: Connection, now: datetime, **arguments: Any) -> list[Lease]:
    return queue.lease(connection, now=now, **{"holder": "d1", "lease_seconds": 30, "width": 4, **arguments})


def save(connection: Connection, leases: list[Lease], step: int, name: str) -> int:
    """How many took it."""
    return len(queue.checkpointed(connection, attempts=leases, step=step, name=name))


def job(connection: Connection, one: Lease) -> Any:
    return connection.execute(select(models.jobs).where(models.jobs.c.trial_id == one.trial_id)).one()


def test_the_next_attempt_goes_on_from_the_last_checkpoint(
    connection: Connection, study: StudyId, now: datetime
) -> None:
    pack = lease(connection, now)
    assert {one.checkpoint for one in pack} == {None}
    assert save(connection, pack, 5, "a") == save(connection, pack, 9, "b") == 4
    assert queue.checkpoints_kept(connection) == {"b"}
    queue.release(connection, now=now, attempts=pack)
    again = lease(connection, now)
    assert [(one.trial_id, one.attempt, one.checkpoint) for one in again] == [(one.trial_id, 2, "b") for one in pack]
    told = events.of_trial(connection, pack[0].trial_id)
    assert [(event.cause, event.reason) for event in told if event.state is JobState.LEASED] == [
        ("lease", None),
        ("lease", "from a checkpoint"),
    ]


def test_a_pack_is_of_one_checkpoint(connection: Connection, study: StudyId, now: datetime) -> None:
    """Lanes of other packs, and such as never began, come later; all are told whether they go on."""
    asked: list[bool] = []

    def width(lead: queue.Lead) -> int:
        asked.append(lead.resumes)
        return 4

    first = lease(connection, now, width=1)
    second = lease(connection, now, width=2)
    save(connection, first, 5, "a")
    save(connection, second, 5, "b")
    queue.release(connection, now=now, attempts=[*first, *second])
    packs = [lease(connection, now, width=width) for _ in range(3)]
    assert [[one.checkpoint for one in pack] for pack in packs] == [["a"], ["b", "b"], [None]]
    assert asked == [True, True, False]


@pytest.mark.parametrize("end", ["release", "rescue", "pause"])
def test_who_lost_a_lease_may_still_save_until_another_has_it(
    connection: Connection, study: StudyId, now: datetime, end: str
) -> None:
    pack = lease(connection, now)
    later = now + timedelta(seconds=60)
    match end:
        case "release":
            queue.release(connection, now=now, attempts=pack)
        case "rescue":
            assert queue.rescue(connection, now=later) == 4
        case "pause":
            studies.pause(connection, study, now)
    assert save(connection, pack, 7, "late") == 4
    studies.resume(connection, study, now)
    again = lease(connection, later + timedelta(minutes=1))
    assert {one.checkpoint for one in again} == {"late"}
    assert save(connection, pack, 8, "a zombie's") == 0
    assert save(connection, again, 8, "right") == 4


def test_ended_trials_have_none(connection: Connection, study: StudyId, now: datetime, summary: Summarize) -> None:
    """Nor can they get one."""
    pack = lease(connection, now)
    save(connection, pack, 5, "a")
    queue.complete(connection, now=now, attempt=pack[0], summary=summary())
    queue.fail(connection, now=now, attempts=pack[1:2], failure_class=TRIAL, error="e", final=True)
    assert queue.checkpoints_kept(connection) == {"a"}
    studies.cancel(connection, study, now)
    assert queue.checkpoints_kept(connection) == frozenset()
    assert save(connection, pack, 6, "b") == 0
    studies.retry(connection, study, now)
    assert {one.checkpoint for one in lease(connection, now)} == {None}


def test_a_trial_that_failed_alone_begins_again(connection: Connection, study: StudyId, now: datetime) -> None:
    """In halves of a pack it goes on: the guilty lane is found sooner."""
    pack = lease(connection, now, width=2)
    save(connection, pack, 5, "a")
    queue.fail(connection, now=now, attempts=pack, failure_class=TRIAL, error="e")
    alone = lease(connection, now)
    assert [one.checkpoint for one in alone] == ["a"]
    queue.fail(connection, now=now, attempts=alone, failure_class=TRIAL, error="e")
    assert (job(connection, alone[0]).state, job(connection, alone[0]).checkpoint) == ("queued", "")


def test_losses_between_which_a_trial_gets_further_do_not_add_up(
    connection: Connection, study: StudyId, now: datetime
) -> None:
    """Those at one place do, the last try is from the beginning, and what it saves on its way there is no progress."""

    def lose(name: str | None, step: int) -> Any:
        nonlocal now
        pack = lease(connection, now, width=1)
        if name:
            save(connection, pack, step, name)
        queue.fail(connection, now=now, attempts=pack, failure_class=INFRASTRUCTURE, error="e")
        now += timedelta(hours=1)
        return job(connection, pack[0])

    for number in range(1, 8):
        lost = lose(f"{number}", 10 * number)
        assert (lost.state, lost.infrastructure_failures, lost.checkpoint) == ("queued", 1, f"{number}")
    for failures in (2, 3):
        lost = lose(None, 0)
        assert (lost.infrastructure_failures, lost.checkpoint) == (failures, "7")
    lost = lose("not further", 70)
    assert (lost.state, lost.infrastructure_failures, lost.checkpoint) == ("queued", 4, "")
    assert lose("on its way", 60).state == "failed"
