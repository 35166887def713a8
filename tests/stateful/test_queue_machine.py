"""The queue against a model of it: any order of calls, clock steps both ways, and replays of attempts long gone.

The model knows no SQL and no locks: it says in plain Python what each call must do (`tests/queue_machine`). After
every step the tables must equal it, and with them the promises hold: at most one live lease a job, attempts never
fall, one success a trial, and a history that tells each change and nothing else.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test
from queue_machine.dispatchers import Dispatchers
from queue_machine.model import LEASED, QUEUED, SUCCEEDED, Job
from queue_machine.people import People
from sqlalchemy import Engine, select

from actinium.frame import TrialSummary
from actinium.job import FINAL_STATES, TRANSITIONS, JobState, StudyId, StudyState
from actinium.study import Design, expand, parse_study
from db import integrity, models, outbox, progress
from db.outbox import TrialNews
from db.progress import STATE


class QueueMachine(People, Dispatchers):
    """Calls of dispatchers, people and the mirror."""

    def __init__(self, engine: Engine, designs: list[Design], summary: Callable[..., TrialSummary]) -> None:
        super().__init__(engine, designs, summary)
        self.seen: dict[int, tuple[JobState, int]] = {}
        self.told: dict[int, int] = {}

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """Two owners' studies, and something leased."""
        self.empty()
        for _ in range(2):
            self.create(data)
        self.lease("one", data)

    @precondition(lambda self: self.given)
    @rule(limit=st.integers(1, 20))
    def mirror(self, limit: int) -> None:
        """It sees only what is news, and sees it as it is."""
        later = self.now.replace(year=self.now.year + 1)
        with self.engine.begin() as connection:
            news = [item for item in outbox.pending(connection, now=later, limit=limit) if isinstance(item, TrialNews)]
            for item in news:
                job = self.model.jobs[item.trial_id]
                assert item.trial_id in self.model.news
                assert (item.state, item.attempt) == (job.state, job.attempt)
                closed = item.state if item.state in FINAL_STATES else None
                outbox.advance_trial(connection, now=self.now, news=item, run_id="r", step=-1, closed=closed)
                self.model.news.discard(item.trial_id)

    @invariant()
    def the_tables_equal_the_model(self) -> None:
        numbers = [StudyId(number) for number in self.model.studies]
        with self.engine.begin() as connection:
            found = connection.execute(select(models.jobs)).all()
            summaries = connection.execute(select(*models.summaries.c["trial_id", "attempt"])).all()
            news = connection.execute(select(models.outbox.c.subject_id).where(models.outbox.c.kind == "trial"))
            named = connection.execute(select(models.studies.c.id, STATE)).all()
            counts = progress.counts(connection, numbers)
            waiting = set(news.scalars())
            shown: dict[int, set[int]] = {}
            for row in connection.execute(select(*models.frames.c["trial_id", "attempt"]).distinct()):
                shown.setdefault(row.trial_id, set()).add(row.attempt)
            happened = connection.execute(select(models.trial_events).order_by(models.trial_events.c.id)).all()
        jobs = {
            row.trial_id: Job(
                trial_id=row.trial_id,
                study=row.study_id,
                pack_key=row.pack_key,
                available_at=row.available_at,
                state=JobState(row.state),
                attempt=row.attempt,
                holder=row.holder,
                width_limit=row.width_limit,
                trial_failures=row.trial_failures,
                infrastructure_failures=row.infrastructure_failures,
                crashes=row.crashes,
                memory_failures=row.memory_failures,
                leased_at=row.leased_at,
                expires_at=row.lease_expires_at,
                checkpoint=row.checkpoint,
                furthest_step=row.furthest_step,
            )
            for row in found
        }
        events: dict[int, list[tuple[JobState, int]]] = {}
        for row in happened:
            events.setdefault(row.trial_id, []).append((JobState(row.state), row.attempt))
        self.only_the_drawn_transitions_happened(jobs, events)
        assert jobs == self.model.jobs
        assert dict(tuple(row) for row in summaries) == self.model.summaries
        assert waiting == self.model.news
        assert shown == {trial_id: attempts for trial_id, attempts in self.model.frames.items() if attempts}
        assert {number: StudyState(word) for number, word in named} == {n: self.model.state(n) for n in numbers}
        for number in numbers:
            here = [job.state for job in self.model.of(number)]
            assert counts[number].states == {state: here.count(state) for state in JobState}
            assert sum(counts[number].outcomes.values()) == here.count(SUCCEEDED)

    def only_the_drawn_transitions_happened(
        self, jobs: dict[int, Job], events: dict[int, list[tuple[JobState, int]]]
    ) -> None:
        """Against docs/state_machine.md: a state changes along an arrow, and an attempt rises with a lease alone. Each
        change is one event of the audit, and nothing else is. Of a job that is leased, the last event is its lease.
        """
        for trial_id, job in jobs.items():
            state, attempt = self.seen.get(trial_id, (QUEUED, 0))
            past = events.get(trial_id, [])
            new = past[self.told.get(trial_id, 0) :]
            assert new == ([] if (job.state, job.attempt) == (state, attempt) else [(job.state, job.attempt)])
            self.told[trial_id] = self.told.get(trial_id, 0) + len(new)
            assert job.attempt in (attempt, attempt + 1)
            assert (job.attempt > attempt) == (job.state is LEASED and state is QUEUED)
            assert job.state is state or job.state in TRANSITIONS[state]
            assert past.count((SUCCEEDED, job.attempt)) == sum(one is SUCCEEDED for one, _ in past) <= 1
            self.seen[trial_id] = (job.state, job.attempt)

    def teardown(self) -> None:
        """In the end, every rule of the integrity check; these dispatchers complete some trials without any frame."""
        broken = {finding.rule.name for finding in integrity.examine(self.engine)}
        assert broken <= {"a result has its frames"}


@pytest.mark.timeout(900)  # it thinks for seconds, on a busy machine for minutes
def test_the_queue_does_what_the_model_says(engine: Engine, summary: Callable[..., TrialSummary]) -> None:
    documents: list[dict[str, Any]] = [
        {"factors": {"activation": ["relu", "elu"]}, "seeds": 2},
        {"factors": {"training.batch_size": [8, 32]}, "seeds": 2},
        {"seeds": 1},
    ]
    designs = [expand(parse_study({"name": "x", **document})) for document in documents]
    run_state_machine_as_test(
        partial(QueueMachine, engine, designs, summary),  # type: ignore[arg-type] # any factory will do
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
