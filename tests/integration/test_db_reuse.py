"""Trials taken from the history: linked, seen everywhere, and never trained."""

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import Connection, func, select

from actinium.extension import parse_extension
from actinium.frame import Frame, Layout, Outcome, TrialSummary
from actinium.job import JobState, StudyId, StudyState, TrialId
from actinium.study import Design
from db import curves, frames, models, outbox, queue, reports, studies, trials
from db.extension import extend
from db.outbox import TrialNews

Make = Callable[..., Design]
Train = Callable[..., None]
LAYOUT = Layout(series=("validation_loss",))


@pytest.fixture
def train(connection: Connection, now: datetime, summary: Callable[..., TrialSummary]) -> Train:
    """`train(loss=0.5, outcome=CONVERGED)`: all that is due, two frames a trial."""

    def complete_all(loss: float = 0.5, outcome: Outcome = Outcome.CONVERGED) -> None:
        while pack := queue.lease(connection, now=now, holder="d", lease_seconds=30, width=64):
            rows = [
                Frame(
                    trial_id=one.trial_id, attempt=one.attempt, step=step, time=1.0, values=np.array([loss], np.float32)
                )
                for one in pack
                for step in (0, 480)
            ]
            frames.write(connection, LAYOUT, rows)
            made = summary(outcome=outcome, metrics={"validation_loss": loss})
            queue.complete_many(connection, now=now, results=[(one, made) for one in pack])

    return complete_all


def links(connection: Connection, study: StudyId) -> list[TrialId | None]:
    return [trial.reused_from for trial in studies.trials_page(connection, study).items]


def test_what_the_history_has_is_linked_and_the_rest_is_trained(
    connection: Connection, design: Make, now: datetime, train: Train
) -> None:
    first = studies.create(connection, design(name="first"), owner="ada", now=now)
    train(loss=0.5)
    had = [trial.id for trial in studies.trials_page(connection, first).items]
    second = studies.create(connection, design(name="second", seeds=3, reuse=True), owner="bob", now=now)
    row = studies.get(connection, second)
    assert (row.counts.states[JobState.SUCCEEDED], row.counts.states[JobState.QUEUED], row.counts.reused) == (4, 2, 4)
    assert row.counts.outcomes[Outcome.CONVERGED] == 4
    assert (row.state, row.progress) == (StudyState.QUEUED, pytest.approx(4 / 6))
    assert links(connection, second) == [*had, None, None]
    assert connection.execute(select(func.count()).select_from(models.summaries)).scalar_one() == 4, (
        "linked, not copied"
    )
    train(loss=0.1, outcome=Outcome.STALLED)
    done = studies.get(connection, second)
    assert (done.state, done.counts.reused, done.counts.outcomes[Outcome.STALLED]) == (StudyState.FINISHED, 4, 2)

    one = studies.trials_page(connection, second, limit=1).items[0]
    assert (one.attempt, one.state, one.outcome) == (0, JobState.SUCCEEDED, Outcome.CONVERGED)
    assert one.summary is not None and one.summary.metrics == {"validation_loss": 0.5}
    shown = frames.read(connection, one.id)
    assert (shown.trial_id, shown.steps.tolist(), shown.values.tolist()) == (one.id, [0, 480], [[0.5], [0.5]])
    assert curves.series_names(connection, second) == ["validation_loss"]
    assert [point.n for point in curves.moments(connection, second, "validation_loss")[0]] == [3, 3]
    found = reports.finished(connection, second)
    assert sorted(found.trials["validation_loss"]) == [0.1, 0.1, 0.5, 0.5, 0.5, 0.5]
    assert len(found.curves) == 12
    assert trials.reused_by_cell(connection, second) == {0: 2, 1: 2}
    assert list(trials.reused(connection, second).values()) == had
    stalled = studies.trials_page(connection, second, outcome=Outcome.STALLED).items
    assert [trial.seed for trial in stalled] == [2, 2]
    assert len(studies.trials_page(connection, second, outcome=Outcome.CONVERGED).items) == 4
    assert links(connection, first) == [None] * 4


def test_a_link_leads_to_the_newest_that_was_trained_and_not_to_a_link(
    connection: Connection, design: Make, now: datetime, train: Train
) -> None:
    for name in ("old", "new"):
        latest = studies.create(connection, design(name=name), owner="ada", now=now)
        train()
    trained = [trial.id for trial in studies.trials_page(connection, latest).items]
    for name in ("link", "link of a link"):
        linked = studies.create(connection, design(name=name, reuse=True), owner="ada", now=now)
        assert links(connection, linked) == trained
        row = studies.get(connection, linked)
        assert (row.state, row.finished_at, row.counts.reused) == (StudyState.FINISHED, now, 4)


def test_only_what_succeeded_is_reused_and_only_where_it_is_asked_for(
    connection: Connection, design: Make, now: datetime, train: Train
) -> None:
    open_study = studies.create(connection, design(name="open"), owner="ada", now=now)
    early = studies.create(connection, design(name="early", reuse=True), owner="ada", now=now)
    assert (links(connection, early), studies.get(connection, early).revision) == ([None] * 4, 0)
    studies.cancel(connection, open_study, now)
    train()
    unasked = studies.create(connection, design(name="unasked"), owner="ada", now=now)
    other = studies.create(connection, design(name="other", training={"epochs": 3}, reuse=True), owner="ada", now=now)
    for study in (unasked, other):
        assert links(connection, study) == [None] * 4


def test_an_extension_reuses_too(connection: Connection, design: Make, now: datetime, train: Train) -> None:
    studies.create(connection, design(name="first", seeds=3), owner="ada", now=now)
    train()
    study = studies.create(connection, design(name="second", seeds=1, reuse=True), owner="ada", now=now)
    assert studies.get(connection, study).state is StudyState.FINISHED
    extend(connection, study, parse_extension({"seeds": 4}), owner="ada", now=now, max_trials=100)
    row = studies.get(connection, study)
    assert (row.state, row.counts.reused, row.counts.states[JobState.QUEUED]) == (StudyState.QUEUED, 6, 2)


def test_the_mirror_hears_of_reused_trials(connection: Connection, design: Make, now: datetime, train: Train) -> None:
    first = studies.create(connection, design(name="first", seeds=1), owner="ada", now=now)
    train()
    outbox.pending(connection, now=now, limit=100)
    second = studies.create(connection, design(name="second", seeds=1, reuse=True), owner="ada", now=now)
    news = outbox.pending(connection, now=now, limit=100, claim_seconds=0)
    told = [item for item in news if isinstance(item, TrialNews)]
    assert {item.study_id for item in told} == {second}
    source = studies.trials_page(connection, first).items
    for item, trained in zip(told, source, strict=True):
        assert (item.state, item.attempt, item.reused_from) == (JobState.SUCCEEDED, 0, trained.id)
        assert (item.trained.trial_id, item.trained.attempt) == (trained.id, 1)
        assert item.summary == trained.summary
        assert (item.leased_at, item.finished_at) == (trained.leased_at, trained.finished_at)


def test_a_reused_trial_is_out_of_reach_of_cancel_retry_and_rescue(
    connection: Connection, design: Make, now: datetime, train: Train
) -> None:
    studies.create(connection, design(name="first"), owner="ada", now=now)
    train()
    study = studies.create(connection, design(name="second", seeds=3, reuse=True), owner="ada", now=now)
    studies.pause(connection, study, now)
    studies.cancel(connection, study, now)
    assert studies.retry(connection, study, now) == 2
    assert queue.rescue(connection, now=now + timedelta(days=1)) == 0
    assert studies.get(connection, study).counts.states[JobState.SUCCEEDED] == 4
