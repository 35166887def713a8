"""The outbox: nothing is lost, whatever comes between reading and forgetting."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import Connection, Engine, func, select

from actinium.frame import Frame, Layout, TrialSummary
from actinium.job import FailureClass, JobState, Lease
from actinium.study import Design
from db import frames, models, outbox, queue, studies
from db.outbox import StudyNews, TrialNews

Make = Callable[..., Design]
Summarize = Callable[..., TrialSummary]
LAYOUT = Layout(series=("train_loss",))


def write(connection: Connection, lease: Lease, *steps: int) -> None:
    values = np.zeros(1, dtype=np.float32)
    given = [
        Frame(trial_id=lease.trial_id, attempt=lease.attempt, step=step, time=0.0, values=values) for step in steps
    ]
    frames.write(connection, LAYOUT, given)


def begin(connection: Connection, design: Make, now: datetime) -> list[Lease]:
    """A study that the mirror knows, with its pack leased."""
    studies.create(connection, design(), owner="ada", now=now)
    (news,) = outbox.pending(connection, now=now, limit=10)
    assert isinstance(news, StudyNews)
    outbox.advance_study(connection, now=now, news=news, experiment_id="77")
    return queue.lease(connection, now=now, holder="d", lease_seconds=30, width=8)


def trial_news(connection: Connection, now: datetime) -> list[TrialNews]:
    news = outbox.pending(connection, now=now, limit=100)
    assert all(isinstance(item, TrialNews) for item in news)
    return [item for item in news if isinstance(item, TrialNews)]


def test_a_study_is_news_once(connection: Connection, design: Make, now: datetime) -> None:
    study_id = studies.create(connection, design(project="p"), owner="ada", now=now)
    assert outbox.waiting(connection, most=10) == 1
    (news,) = outbox.pending(connection, now=now, limit=10)
    assert news == StudyNews(version=1, study_id=study_id, project="p", name="small", experiment_id=None)
    assert outbox.pending(connection, now=now, limit=10) == [], "claimed"
    outbox.advance_study(connection, now=now, news=news, experiment_id="77")
    assert outbox.waiting(connection, most=10) == 0
    assert studies.get(connection, study_id).experiment_id == "77"


def test_a_claim_that_nobody_ended_is_due_again(connection: Connection, design: Make, now: datetime) -> None:
    studies.create(connection, design(), owner="ada", now=now)
    assert outbox.pending(connection, now=now, limit=10, claim_seconds=60)
    assert not outbox.pending(connection, now=now + timedelta(seconds=59), limit=10)
    assert outbox.pending(connection, now=now + timedelta(seconds=60), limit=10)


def test_frames_are_news_of_their_trials(connection: Connection, design: Make, now: datetime) -> None:
    first, second, *_ = begin(connection, design, now)
    write(connection, first, 0, 1)
    write(connection, second, 0)
    write(connection, first, 2)
    news, other = trial_news(connection, now)
    assert (news.trial_id, news.version, other.trial_id) == (first.trial_id, 2, second.trial_id)
    assert (news.experiment_id, news.project, news.study_name) == ("77", "default", "small")
    assert (news.state, news.attempt, news.config, news.digest) == (
        JobState.LEASED,
        1,
        first.config,
        first.config.digest(),
    )
    assert (news.run_id, news.mirrored_attempt, news.mirrored_step, news.restarted) == (None, None, -1, False)
    assert news.leased_at == now


def test_what_comes_while_the_mirror_works_stays_due(connection: Connection, design: Make, now: datetime) -> None:
    one, *_ = begin(connection, design, now)
    write(connection, one, 0, 1)
    (news,) = trial_news(connection, now)
    write(connection, one, 2)
    outbox.advance_trial(connection, now=now, news=news, run_id="r", step=1)
    (more,) = trial_news(connection, now)
    assert (more.run_id, more.mirrored_attempt, more.mirrored_step) == ("r", 1, 1)
    outbox.advance_trial(connection, now=now, news=more, run_id="r", step=2)
    assert outbox.waiting(connection, most=10) == 0
    assert studies.trial(connection, one.trial_id).run_id == "r"


def test_what_was_mirrored_in_part_stays_due(connection: Connection, design: Make, now: datetime) -> None:
    one, *_ = begin(connection, design, now)
    write(connection, one, 0, 1)
    (news,) = trial_news(connection, now)
    outbox.advance_trial(connection, now=now, news=news, run_id="r", step=0, complete=False)
    (more,) = trial_news(connection, now)
    assert more.mirrored_step == 0


def test_the_end_of_a_trial_is_news_with_its_result(
    connection: Connection, design: Make, summary: Summarize, now: datetime
) -> None:
    done, failed, running, waiting = begin(connection, design, now)
    later = now + timedelta(seconds=9)
    queue.complete(connection, now=later, attempt=done, summary=summary())
    queue.fail(connection, now=later, attempts=[failed], failure_class=FailureClass.TRIAL, error="boom")
    (failed,) = queue.lease(connection, now=later, holder="d", lease_seconds=30, width=1)
    queue.fail(connection, now=later, attempts=[failed], failure_class=FailureClass.TRIAL, error="boom")
    queue.release(connection, now=later, attempts=[waiting])
    studies.cancel(connection, done.study_id, later)
    news = {item.trial_id: item for item in trial_news(connection, later)}
    assert news[done.trial_id].summary == summary()
    assert (news[done.trial_id].state, news[done.trial_id].finished_at) == (JobState.SUCCEEDED, later)
    assert (news[failed.trial_id].state, news[failed.trial_id].error) == (JobState.FAILED, "boom")
    assert news[running.trial_id].state is news[waiting.trial_id].state is JobState.CANCELLED


def test_a_trial_that_never_ran_is_no_news_when_cancelled(connection: Connection, design: Make, now: datetime) -> None:
    study_id = studies.create(connection, design(), owner="ada", now=now)
    studies.cancel(connection, study_id, now)
    assert [type(item) for item in outbox.pending(connection, now=now, limit=10)] == [StudyNews]


def test_a_later_attempt_starts_the_mirror_over(connection: Connection, design: Make, now: datetime) -> None:
    one, *rest = begin(connection, design, now)
    queue.release(connection, now=now, attempts=rest)
    write(connection, one, 0, 1, 2)
    (news,) = trial_news(connection, now)
    outbox.advance_trial(connection, now=now, news=news, run_id="r1", step=2)
    queue.release(connection, now=now, attempts=[one])
    (again,) = queue.lease(connection, now=now, holder="d", lease_seconds=30, width=1)
    assert again.trial_id == one.trial_id
    write(connection, again, 0)
    (fresh,) = trial_news(connection, now)
    assert (fresh.attempt, fresh.mirrored_attempt, fresh.mirrored_step, fresh.restarted) == (2, 1, -1, True)
    assert fresh.run_id == "r1", "so that the mirror can remove it"
    outbox.advance_trial(connection, now=now, news=fresh, run_id="r2", step=0)
    # A mirror that was still at work on the first attempt comes too late.
    outbox.advance_trial(connection, now=now, news=news, run_id="r1", step=9)
    write(connection, again, 1)
    (last,) = trial_news(connection, now)
    assert (last.run_id, last.mirrored_attempt, last.mirrored_step) == ("r2", 2, 0)


def test_news_that_could_not_be_mirrored_waits(connection: Connection, design: Make, now: datetime) -> None:
    studies.create(connection, design(), owner="ada", now=now)
    news = outbox.pending(connection, now=now, limit=10)
    outbox.defer(connection, now=now, news=news, seconds=5)
    assert outbox.pending(connection, now=now + timedelta(seconds=4), limit=10) == []
    assert outbox.pending(connection, now=now + timedelta(seconds=5), limit=10) == news


def test_mirrors_at_work_together_miss_nothing(engine: Engine, design: Make, now: datetime) -> None:
    """Two mirrors claim and forget while frames arrive; in the end every trial is mirrored to its last step."""
    with engine.begin() as connection:
        studies.create(connection, design(seeds=20), owner="ada", now=now)
        pack = queue.lease(connection, now=now, holder="d", lease_seconds=30, width=40)

    def train(half: int) -> None:
        for step in range(15):
            with engine.begin() as connection:
                values = np.zeros(1, dtype=np.float32)
                given = [
                    Frame(trial_id=one.trial_id, attempt=1, step=step, time=0.0, values=values) for one in pack[half::2]
                ]
                frames.write(connection, LAYOUT, given)

    def mirror(rounds: int) -> None:
        for _ in range(rounds):
            with engine.begin() as connection:
                news = outbox.pending(connection, now=now, limit=7)
            trials = [item for item in news if isinstance(item, TrialNews)]
            cursors = [
                frames.FramePosition(trial_id=item.trial_id, attempt=item.attempt, step=item.mirrored_step)
                for item in trials
            ]
            with engine.begin() as connection:
                late = frames.after(connection, cursors, most=4)
            for item in trials:
                with engine.begin() as connection:
                    steps = late[item.trial_id].steps.tolist() if item.trial_id in late else []
                    last = max(steps, default=item.mirrored_step)
                    outbox.advance_trial(connection, now=now, news=item, run_id="r", step=last, complete=len(steps) < 4)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(train, 0), pool.submit(train, 1), pool.submit(mirror, 40), pool.submit(mirror, 40)]:
            future.result()
    mirror(60)
    with engine.connect() as connection:
        steps = connection.execute(select(models.mirrored_trials.c.step)).scalars().all()
        left = select(func.count()).select_from(models.outbox).where(models.outbox.c.kind == "trial")
        assert connection.execute(left).scalar_one() == 0
    assert steps == [14] * 40
