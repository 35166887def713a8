"""The queue: turns, fences, failures, and what a study's state makes of them."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select

from actinium.errors import Conflict
from actinium.frame import Outcome, TrialSummary
from actinium.job import Attempt, FailureClass, JobState, Lease, StudyId, StudyState, TrialId
from actinium.study import Design
from db import models, queue, studies

Make = Callable[..., Design]
Summarize = Callable[..., TrialSummary]
TRIAL, INFRASTRUCTURE = FailureClass.TRIAL, FailureClass.INFRASTRUCTURE


def lease(connection: Connection, now: datetime, **arguments: Any) -> list[Lease]:
    return queue.lease(connection, now=now, **{"holder": "d1", "lease_seconds": 30, "width": 8, **arguments})


def job(connection: Connection, trial_id: TrialId) -> Any:
    return connection.execute(select(models.jobs).where(models.jobs.c.trial_id == trial_id)).one()


def states(connection: Connection, study_id: StudyId) -> dict[JobState, int]:
    return {state: n for state, n in studies.get(connection, study_id).counts.states.items() if n}


def complete_all(connection: Connection, leases: Sequence[Lease], summary: TrialSummary, now: datetime) -> None:
    assert len(queue.complete_many(connection, now=now, results=[(one, summary) for one in leases])) == len(leases)


def test_a_pack_is_of_one_study_and_one_pack_key(connection: Connection, design: Make, now: datetime) -> None:
    factors = {"activation": ["relu", "elu"], "training.batch_size": [8, 32]}
    made = design(factors=factors, seeds=3)
    study_id = studies.create(connection, made, owner="ada", now=now)
    studies.create(connection, design(name="other"), owner="ada", now=now)

    pack = lease(connection, now, width=4)
    assert len(pack) == 4
    assert {one.pack_key for one in pack} == {one.config.pack_key() for one in pack} == {pack[0].pack_key}
    assert {one.study_id for one in pack} == {study_id}
    assert [(one.config.activation.name, one.config.seed) for one in pack] == [
        ("relu", 0),
        ("elu", 0),
        ("relu", 1),
        ("elu", 1),
    ]
    assert all(one.attempt == 1 and one.expires_at == now + timedelta(seconds=30) for one in pack)
    digests = [studies.trial(connection, one.trial_id).digest for one in pack]
    assert [one.config.digest() for one in pack] == digests
    assert len(lease(connection, now, width=4)) == 4, "the other batch size"
    assert len(lease(connection, now, width=4)) == 2, "what is left of the first"


def test_the_width_may_depend_on_the_lead(connection: Connection, design: Make, now: datetime) -> None:
    studies.create(connection, design(), owner="ada", now=now)
    seen: list[queue.Lead] = []

    def width(lead: queue.Lead) -> int:
        seen.append(lead)
        return 3

    pack = lease(connection, now, width=width)
    assert len(pack) == 3
    assert seen == [queue.Lead(pack_key=pack[0].pack_key, config=pack[0].config)]


def test_turns_go_by_priority_then_the_owner_with_least_then_age(
    connection: Connection, design: Make, now: datetime
) -> None:
    old = studies.create(connection, design(name="a", seeds=8), owner="ada", now=now)
    also_adas = studies.create(connection, design(name="b", seeds=8), owner="ada", now=now)
    bobs = studies.create(connection, design(name="c", seeds=8), owner="bob", now=now)
    urgent = studies.create(connection, design(name="d", priority=1, seeds=1), owner="ada", now=now)

    turns = [lease(connection, now, width=4)[0].study_id for _ in range(5)]
    # ada holds 2 with the urgent one, so it is bob's turn; then ada 2 : bob 4, ada 6 : bob 4, ada 6 : bob 8.
    assert turns == [urgent, bobs, old, bobs, old]
    studies.patch(connection, also_adas, now=now, priority=2)
    assert lease(connection, now)[0].study_id == also_adas


def test_cancelled_studies_are_not_leased(connection: Connection, design: Make, now: datetime) -> None:
    study_id = studies.create(connection, design(), owner="ada", now=now)
    studies.cancel(connection, study_id, now)
    assert lease(connection, now) == []


def test_simultaneous_leases_share_the_jobs(engine: Engine, design: Make, now: datetime) -> None:
    with engine.begin() as connection:
        studies.create(connection, design(seeds=40), owner="ada", now=now)

    def work(number: int) -> list[Lease]:
        taken: list[Lease] = []
        while True:
            with engine.begin() as connection:
                pack = lease(connection, now, holder=f"d{number}", width=3)
            if not pack:
                return taken
            taken += pack

    with ThreadPoolExecutor(6) as pool:
        shares = list(pool.map(work, range(6)))
    trial_ids = [one.trial_id for share in shares for one in share]
    assert len(trial_ids) == len(set(trial_ids)) == 80


def test_a_lease_that_is_being_written_does_not_hold_up_another_study(
    engine: Engine, design: Make, now: datetime
) -> None:
    with engine.begin() as connection:
        studies.create(connection, design(seeds=1, factors={}), owner="ada", now=now)
        second = studies.create(connection, design(name="second"), owner="ada", now=now)
    with engine.begin() as slow, engine.begin() as quick:
        assert lease(slow, now)
        assert lease(quick, now)[0].study_id == second


def test_a_heartbeat_renews_what_is_still_held(connection: Connection, design: Make, now: datetime) -> None:
    study_id = studies.create(connection, design(), owner="ada", now=now)
    pack = lease(connection, now)
    later = now + timedelta(seconds=29)
    assert queue.heartbeat(connection, now=later, attempts=pack, lease_seconds=30) == {one.trial_id for one in pack}
    assert queue.rescue(connection, now=later + timedelta(seconds=30)) == 0
    stale = [Attempt(trial_id=pack[0].trial_id, attempt=0), Attempt(trial_id=pack[1].trial_id, attempt=2)]
    assert queue.heartbeat(connection, now=later, attempts=stale, lease_seconds=99) == frozenset()
    studies.cancel(connection, study_id, later)
    assert queue.heartbeat(connection, now=later, attempts=pack, lease_seconds=30) == frozenset()
    assert queue.heartbeat(connection, now=later, attempts=[], lease_seconds=30) == frozenset()


def test_a_result_is_written_once_with_everything(
    connection: Connection, design: Make, summary: Summarize, now: datetime
) -> None:
    study_id = studies.create(connection, design(), owner="ada", now=now)
    first, *rest = lease(connection, now)
    assert queue.complete(connection, now=now, attempt=first, summary=summary(outcome=Outcome.DIVERGED))
    assert not queue.complete(connection, now=now, attempt=first, summary=summary())
    row = studies.trial(connection, first.trial_id)
    assert (row.state, row.outcome, row.attempt) == (JobState.SUCCEEDED, Outcome.DIVERGED, 1)
    assert row.summary == summary(outcome=Outcome.DIVERGED)
    study = studies.get(connection, study_id)
    assert (study.state, study.progress, study.revision) == (StudyState.RUNNING, 0.25, 2)
    assert study.counts.outcomes == {Outcome.CONVERGED: 0, Outcome.LEARNED: 0, Outcome.STALLED: 0, Outcome.DIVERGED: 1}

    complete_all(connection, rest, summary(), now)
    study = studies.get(connection, study_id)
    assert (study.state, study.progress, study.revision, study.finished_at) == (StudyState.FINISHED, 1.0, 3, now)
    assert study.counts.outcomes[Outcome.CONVERGED] == 3


def test_what_was_not_measured_is_left_out_of_a_summary(
    connection: Connection, design: Make, summary: Summarize, now: datetime
) -> None:
    studies.create(connection, design(), owner="ada", now=now)
    one, *_ = lease(connection, now)
    given = summary(metrics={"a": math.nan, "b": math.inf, "c": -1.5, "d": 1e308})
    assert queue.complete(connection, now=now, attempt=one, summary=given)
    found = studies.trial(connection, one.trial_id).summary
    assert found is not None
    assert found.metrics == {"c": -1.5, "d": 1e308}


def test_a_zombie_changes_nothing(connection: Connection, design: Make, summary: Summarize, now: datetime) -> None:
    """It was taken for dead, its trial was leased anew, and now it comes back with everything it has to say."""
    studies.create(connection, design(seeds=1, factors={}), owner="ada", now=now)
    (zombie,) = lease(connection, now)
    later = now + timedelta(minutes=1)
    assert queue.rescue(connection, now=later) == 1
    (successor,) = lease(connection, later + timedelta(minutes=1), holder="d2")
    assert (successor.trial_id, successor.attempt) == (zombie.trial_id, 2)
    before = job(connection, zombie.trial_id)

    assert not queue.complete(connection, now=later, attempt=zombie, summary=summary())
    assert queue.heartbeat(connection, now=later, attempts=[zombie], lease_seconds=999) == frozenset()
    assert queue.release(connection, now=later, attempts=[zombie]) == frozenset()
    ended = queue.fail(connection, now=later, attempts=[zombie], failure_class=TRIAL, error="late")
    assert (ended.requeued, ended.failed) == (frozenset(), frozenset())
    assert job(connection, zombie.trial_id) == before
    assert queue.complete(connection, now=later, attempt=successor, summary=summary())


def test_only_expired_leases_are_rescued(connection: Connection, design: Make, now: datetime) -> None:
    studies.create(connection, design(), owner="ada", now=now)
    short = lease(connection, now, lease_seconds=10, width=2, holder="gone")
    lease(connection, now, lease_seconds=60, width=2)
    assert queue.rescue(connection, now=now + timedelta(seconds=10)) == 0
    later = now + timedelta(seconds=11)
    assert queue.rescue(connection, now=later) == 2
    assert queue.rescue(connection, now=later) == 0
    rescued = job(connection, short[0].trial_id)
    assert (rescued.state, rescued.attempt, rescued.infrastructure_failures) == ("queued", 1, 1)
    assert rescued.error == "the lease ran out: gone or its node went silent"
    assert lease(connection, later) == [], "not before the backoff"
    assert {one.attempt for one in lease(connection, later + timedelta(seconds=2))} == {2}


def test_faults_of_the_infrastructure_back_off_and_end(connection: Connection, design: Make, now: datetime) -> None:
    study_id = studies.create(connection, design(seeds=1, factors={}), owner="ada", now=now)
    waits = []
    for _ in range(queue.INFRASTRUCTURE_LIMIT - 1):
        (one,) = lease(connection, now)
        ended = queue.fail(connection, now=now, attempts=[one], failure_class=INFRASTRUCTURE, error="node lost")
        assert ended.requeued == {one.trial_id}
        due = job(connection, one.trial_id).available_at
        waits.append((due - now).total_seconds())
        assert lease(connection, due - timedelta(microseconds=1)) == []
        now = due
    assert waits == [2, 4, 8, 16]
    (one,) = lease(connection, now)
    ended = queue.fail(connection, now=now, attempts=[one], failure_class=INFRASTRUCTURE, error="node lost")
    assert ended.failed == {one.trial_id}
    row = studies.trial(connection, one.trial_id)
    assert (row.state, row.failure_class, row.error) == (JobState.FAILED, INFRASTRUCTURE, "node lost")
    assert studies.get(connection, study_id).state is StudyState.FINISHED


def test_a_trial_lost_with_its_company_twice_goes_alone(connection: Connection, design: Make, now: datetime) -> None:
    studies.create(connection, design(), owner="ada", now=now)
    for _ in range(queue.COMPANY_LIMIT):
        pack = lease(connection, now)
        assert len(pack) == 4
        queue.fail(connection, now=now, attempts=pack, failure_class=INFRASTRUCTURE, error="the process died")
        now += timedelta(minutes=5)
    assert len(lease(connection, now)) == 1


def test_a_bad_lane_is_found_by_halving_and_nobody_else_fails(
    connection: Connection, design: Make, summary: Summarize, now: datetime
) -> None:
    study_id = studies.create(connection, design(seeds=8), owner="ada", now=now)
    guilty = studies.trials_page(connection, study_id).items[5].id
    widths = []
    while pack := lease(connection, now, width=16):
        widths.append(len(pack))
        if guilty in {one.trial_id for one in pack}:
            queue.fail(connection, now=now, attempts=pack, failure_class=TRIAL, error="Traceback: boom")
        else:
            complete_all(connection, pack, summary(), now)
    assert states(connection, study_id) == {JobState.SUCCEEDED: 15, JobState.FAILED: 1}
    assert studies.trial(connection, guilty).error == "Traceback: boom"
    # Each round packs the suspects again and halves the half with the guilty one; alone it is tried twice.
    assert widths == [16, 8, 4, 4, 2, 1, 1, 1, 2, 8]


def test_a_trial_that_fails_alone_is_tried_once_more(
    connection: Connection, design: Make, summary: Summarize, now: datetime
) -> None:
    studies.create(connection, design(seeds=1, factors={}), owner="ada", now=now)
    (one,) = lease(connection, now)
    assert queue.fail(connection, now=now, attempts=[one], failure_class=TRIAL, error="first").requeued
    (again,) = lease(connection, now)
    assert queue.complete(connection, now=now, attempt=again, summary=summary())
    row = studies.trial(connection, one.trial_id)
    assert (row.state, row.attempt, row.error, row.failure_class) == (JobState.SUCCEEDED, 2, None, None)


def test_what_trying_again_cannot_mend_fails_at_once_and_can_be_retried(
    connection: Connection, design: Make, now: datetime
) -> None:
    study_id = studies.create(connection, design(), owner="ada", now=now)
    pack = lease(connection, now)
    ended = queue.fail(connection, now=now, attempts=pack, failure_class=TRIAL, error="fetch it", final=True)
    assert ended.failed == {one.trial_id for one in pack} and not ended.requeued
    assert states(connection, study_id) == {JobState.FAILED: 4}
    assert studies.retry(connection, study_id, now) == 4
    assert len(lease(connection, now)) == 4


def test_the_two_classes_of_failure_are_counted_apart(connection: Connection, design: Make, now: datetime) -> None:
    studies.create(connection, design(seeds=1, factors={}), owner="ada", now=now)
    (one,) = lease(connection, now)
    queue.fail(connection, now=now, attempts=[one], failure_class=TRIAL, error="e")
    (one,) = lease(connection, now)
    ended = queue.fail(connection, now=now, attempts=[one], failure_class=INFRASTRUCTURE, error="e")
    assert ended.requeued == {one.trial_id}


def test_out_of_memory_halves_the_width_without_blame(connection: Connection, design: Make, now: datetime) -> None:
    studies.create(connection, design(seeds=4), owner="ada", now=now)
    pack = lease(connection, now)
    queue.fail(connection, now=now, attempts=pack, failure_class=INFRASTRUCTURE, error="out of memory", halve=True)
    assert job(connection, pack[0].trial_id).infrastructure_failures == 0
    assert len(lease(connection, now)) == 4


def test_suspects_do_not_draw_in_the_innocent(connection: Connection, design: Make, now: datetime) -> None:
    studies.create(connection, design(seeds=4), owner="ada", now=now)
    pack = lease(connection, now, width=2)
    queue.fail(connection, now=now, attempts=pack, failure_class=TRIAL, error="e")
    assert [one.trial_id for one in lease(connection, now)] == [pack[0].trial_id]
    assert [one.trial_id for one in lease(connection, now)] == [pack[1].trial_id]
    assert len(lease(connection, now)) == 6


def test_a_half_full_pack_of_suspects_is_not_filled_up(connection: Connection, design: Make, now: datetime) -> None:
    studies.create(connection, design(seeds=4), owner="ada", now=now)
    pack = lease(connection, now, width=3)
    queue.fail(connection, now=now, attempts=pack, failure_class=TRIAL, error="e")
    assert [len(lease(connection, now)) for _ in range(3)] == [2, 1, 5]


def test_a_release_gives_back_without_blame(connection: Connection, design: Make, now: datetime) -> None:
    study_id = studies.create(connection, design(), owner="ada", now=now)
    pack = lease(connection, now)
    assert queue.release(connection, now=now, attempts=pack) == {one.trial_id for one in pack}
    row = job(connection, pack[0].trial_id)
    assert (row.trial_failures, row.infrastructure_failures, row.error, row.attempt) == (0, 0, None, 1)
    assert [one.attempt for one in lease(connection, now)] == [2, 2, 2, 2]
    assert states(connection, study_id) == {JobState.LEASED: 4}


def test_tracebacks_are_made_storable_and_keep_their_end(connection: Connection, design: Make, now: datetime) -> None:
    studies.create(connection, design(seeds=1, factors={}), owner="ada", now=now)
    (one,) = lease(connection, now)
    error = "x" * 50_000 + "\0\ud800 ValueError: the end"
    queue.fail(connection, now=now, attempts=[one], failure_class=TRIAL, error=error)
    kept = studies.trial(connection, one.trial_id).error
    assert kept is not None
    assert kept.endswith("\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} ValueError: the end")
    assert len(kept) < 20_100


def test_cancel_ends_what_is_open_and_keeps_what_is_done(
    connection: Connection, design: Make, summary: Summarize, now: datetime
) -> None:
    study_id = studies.create(connection, design(seeds=3), owner="ada", now=now)
    done, running = lease(connection, now, width=2)
    complete_all(connection, [done], summary(), now)
    studies.cancel(connection, study_id, now)
    studies.cancel(connection, study_id, now)
    assert states(connection, study_id) == {JobState.SUCCEEDED: 1, JobState.CANCELLED: 5}
    assert not queue.complete(connection, now=now, attempt=running, summary=summary())
    study = studies.get(connection, study_id)
    assert (study.state, study.progress) == (StudyState.CANCELLED, 1.0)


def test_a_finished_study_is_not_cancelled(
    connection: Connection, design: Make, summary: Summarize, now: datetime
) -> None:
    study_id = studies.create(connection, design(), owner="ada", now=now)
    complete_all(connection, lease(connection, now), summary(), now)
    with pytest.raises(Conflict, match="is finished"):
        studies.cancel(connection, study_id, now)


def test_retry_queues_what_failed_or_was_cancelled(
    connection: Connection, design: Make, summary: Summarize, now: datetime
) -> None:
    study_id = studies.create(connection, design(), owner="ada", now=now)
    done, bad = lease(connection, now, width=2)
    complete_all(connection, [done], summary(), now)
    queue.fail(connection, now=now, attempts=[bad], failure_class=TRIAL, error="e")
    (bad,) = lease(connection, now)
    assert queue.fail(connection, now=now, attempts=[bad], failure_class=TRIAL, error="e").failed
    studies.cancel(connection, study_id, now)
    revision = studies.get(connection, study_id).revision

    assert studies.retry(connection, study_id, now) == 3
    assert studies.retry(connection, study_id, now) == 0
    study = studies.get(connection, study_id)
    assert (study.state, study.revision) == (StudyState.RUNNING, revision + 1)
    assert states(connection, study_id) == {JobState.SUCCEEDED: 1, JobState.QUEUED: 3}
    pack = lease(connection, now)
    assert {one.trial_id: one.attempt for one in pack}[bad.trial_id] == 3
    complete_all(connection, pack, summary(), now)
    assert studies.get(connection, study_id).state is StudyState.FINISHED


def test_last_trials_that_end_together_finish_the_study(
    engine: Engine, design: Make, summary: Summarize, now: datetime
) -> None:
    """Neither transaction sees the other's trial as done when it begins; the later one must find that all are."""
    with engine.begin() as connection:
        study_id = studies.create(connection, design(seeds=8), owner="ada", now=now)
        pack = lease(connection, now, width=16)

    def end(one: Lease) -> None:
        with engine.begin() as connection:
            assert queue.complete(connection, now=now, attempt=one, summary=summary())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(end, pack))
    with engine.begin() as connection:
        study = studies.get(connection, study_id)
    assert (study.state, study.revision, study.counts.states[JobState.SUCCEEDED]) == (StudyState.FINISHED, 17, 16)


def test_batches_in_any_order_do_not_wait_in_a_ring(
    engine: Engine, design: Make, summary: Summarize, now: datetime
) -> None:
    with engine.begin() as connection:
        study_id = studies.create(connection, design(seeds=20), owner="ada", now=now)
        pack = lease(connection, now, width=40)

    def beat(number: int) -> None:
        ordered = pack if number % 2 else pack[::-1]
        with engine.begin() as connection:
            if number == 7:
                studies.cancel(connection, study_id, now)
            elif number % 3 == 0:
                results = [(one, summary()) for one in ordered[number :: number + 2]]
                queue.complete_many(connection, now=now, results=results)
            else:
                queue.heartbeat(connection, now=now, attempts=ordered, lease_seconds=30)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(beat, range(24)))
    with engine.begin() as connection:
        assert studies.get(connection, study_id).state is StudyState.CANCELLED


def test_the_backlog_is_counted_only_so_far(connection: Connection, design: Make, now: datetime) -> None:
    studies.create(connection, design(seeds=5), owner="ada", now=now)
    assert queue.backlog(connection, now=now, most=4) == 4
    assert queue.backlog(connection, now=now, most=100) == 10
    assert queue.backlog(connection, now=now - timedelta(seconds=1), most=100) == 0
