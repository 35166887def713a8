"""The queue against a dictionary: any order of calls, clock steps both ways, and replays of attempts long gone.

The model knows no SQL and no locks: it says in plain Python what each call must do. After every step the tables must
equal it, and with them the promises hold: at most one live lease a job, attempts never fall, one summary a trial.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, select, text

from actinium.errors import Conflict
from actinium.extension import Extension
from actinium.frame import Outcome, TrialSummary
from actinium.job import FINAL_STATES, TRANSITIONS, Attempt, FailureClass, JobState, StudyId, StudyState
from actinium.study import Design, expand, parse_study
from db import extension, models, outbox, progress, queue, studies
from db.models import NO_WIDTH_LIMIT
from db.outbox import TrialNews
from db.progress import STATE

QUEUED, LEASED, SUCCEEDED, FAILED, CANCELLED = JobState
LEASE_SECONDS = 30
START = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass
class Job:
    """The model's row."""

    trial_id: int
    study: int
    pack_key: str
    available_at: datetime
    state: JobState = QUEUED
    attempt: int = 0
    width_limit: int = NO_WIDTH_LIMIT
    trial_failures: int = 0
    infrastructure_failures: int = 0
    expires_at: datetime | None = None
    checkpoint: str = ""
    furthest_step: int = 0


@dataclass
class Study:
    """The model's study."""

    owner: str
    priority: int
    cells: int
    started: bool = False
    paused: bool = False
    cancelled: bool = False


@dataclass
class Model:
    """All that the queue should know."""

    studies: dict[int, Study] = field(default_factory=dict)
    jobs: dict[int, Job] = field(default_factory=dict)
    summaries: dict[int, int] = field(default_factory=dict)
    news: set[int] = field(default_factory=set)

    def of(self, study: int) -> list[Job]:
        return [job for job in self.jobs.values() if job.study == study]

    def leased_by(self, owner: str) -> int:
        return sum(job.state is LEASED and self.studies[job.study].owner == owner for job in self.jobs.values())

    def due(self, study: int, now: datetime) -> list[Job]:
        """Jobs of a study that may be leased now, in the order they are."""
        if self.studies[study].paused:
            return []
        return [job for job in self.of(study) if job.state is QUEUED and job.available_at <= now]

    def next_pack(self, now: datetime, width: int, most: int | None) -> list[Job]:
        """Whose turn it is, and with what; no owner has more than `most` leased."""
        left = {
            study.owner: 1000 if most is None else most - self.leased_by(study.owner) for study in self.studies.values()
        }
        waiting = [number for number, study in self.studies.items() if self.due(number, now) and left[study.owner] > 0]
        if not waiting:
            return []

        def turn(number: int) -> tuple[int, int, int]:
            study = self.studies[number]
            return -study.priority, self.leased_by(study.owner), number

        first = min(waiting, key=turn)
        jobs = self.due(first, now)
        lead = jobs[0]

        def company(job: Job) -> tuple[str, int, str]:
            return job.pack_key, job.width_limit, job.checkpoint

        alike = [job for job in jobs if company(job) == company(lead)]
        return alike[: min(width, lead.width_limit, left[self.studies[first].owner])]

    def held(self, attempts: list[Attempt]) -> list[Job]:
        """The jobs that these attempts still hold."""
        jobs = [self.jobs[one.trial_id] for one in attempts if self.jobs[one.trial_id].attempt == one.attempt]
        return [job for job in jobs if job.state is LEASED]

    def state(self, number: int) -> StudyState:
        if self.studies[number].cancelled:
            return StudyState.CANCELLED
        if all(job.state in FINAL_STATES for job in self.of(number)):
            return StudyState.FINISHED
        if self.studies[number].paused:
            return StudyState.PAUSED
        return StudyState.RUNNING if self.studies[number].started else StudyState.QUEUED


class QueueMachine(RuleBasedStateMachine):
    """Calls of dispatchers, people and the mirror, one at a time."""

    def __init__(self, engine: Engine, designs: list[Design], summary: Callable[..., TrialSummary]) -> None:
        super().__init__()
        self.engine = engine
        self.designs = designs
        self.summary = summary
        self.now = START
        self.model = Model()
        self.given: list[list[Attempt]] = []
        self.seen: dict[int, tuple[JobState, int]] = {}
        self.told: dict[int, int] = {}

    @initialize()
    def empty(self) -> None:
        names = ", ".join(table.name for table in models.metadata.sorted_tables)
        with self.engine.begin() as connection:
            connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))

    def study(self, data: st.DataObject) -> StudyId:
        return StudyId(data.draw(st.sampled_from(sorted(self.model.studies)), label="study"))

    # People

    @precondition(lambda self: len(self.model.studies) < 3)
    @rule(owner=st.sampled_from(["ada", "bob"]), priority=st.integers(0, 1), data=st.data())
    def create(self, owner: str, priority: int, data: st.DataObject) -> None:
        design = self.designs[data.draw(st.integers(0, len(self.designs) - 1), label="design")]
        spec = design.spec.model_copy(update={"name": f"study {len(self.model.studies)}", "priority": priority})
        with self.engine.begin() as connection:
            number = studies.create(connection, replace(design, spec=spec), owner=owner, now=self.now)
            trials = studies.trials_page(connection, number, limit=1000).items
        self.model.studies[number] = Study(owner=owner, priority=priority, cells=len(design.cells))
        for row, (_, config) in zip(trials, design.trials(), strict=True):
            self.model.jobs[row.id] = Job(row.id, number, config.pack_key(), available_at=self.now)

    @precondition(lambda self: self.model.studies)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number = self.study(data)
        with self.engine.begin() as connection:
            try:
                studies.cancel(connection, number, self.now)
            except Conflict:
                assert self.model.state(number) is StudyState.FINISHED
                return
        assert self.model.state(number) is not StudyState.FINISHED
        self.model.studies[number].cancelled, self.model.studies[number].paused = True, False
        for job in self.model.of(number):
            if job.state not in FINAL_STATES:
                job.state, job.expires_at, job.checkpoint = CANCELLED, None, ""
                self.model.news |= {job.trial_id} if job.attempt else set()

    @precondition(lambda self: self.model.studies)
    @rule(data=st.data())
    def pause(self, data: st.DataObject) -> None:
        number = self.study(data)
        state = self.model.state(number)
        with self.engine.begin() as connection:
            try:
                studies.pause(connection, number, self.now)
            except Conflict:
                assert state in (StudyState.FINISHED, StudyState.CANCELLED)
                return
        assert state in (StudyState.QUEUED, StudyState.RUNNING, StudyState.PAUSED)
        self.model.studies[number].paused = True
        for job in self.model.of(number):
            if job.state is LEASED:
                self.requeue(job)

    @precondition(lambda self: self.model.studies)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        number = self.study(data)
        ended = self.model.state(number) in (StudyState.FINISHED, StudyState.CANCELLED)
        with self.engine.begin() as connection:
            try:
                studies.resume(connection, number, self.now)
            except Conflict:
                assert ended
                return
        assert not ended
        self.model.studies[number].paused = False

    @precondition(lambda self: 0 < len(self.model.jobs) < 30)
    @rule(data=st.data(), seeds=st.sampled_from([1, 3, [0, 7], [5]]))
    def extend(self, data: st.DataObject, seeds: int | list[int]) -> None:
        """Once and again with one key: the old jobs as they were, and for each cell the seeds that it lacked."""
        number = self.study(data)
        asked = Extension(seeds=seeds)
        cancelled = self.model.state(number) is StudyState.CANCELLED
        with self.engine.begin() as connection:
            act = partial(extension.extend, connection, number, asked, owner="ada", now=self.now, max_trials=1000)
            key = f"{number} {seeds}"
            try:
                added = act(idempotency_key=key)
            except Conflict:
                assert cancelled
                return
            assert act(idempotency_key=key) == added
            trials = studies.trials_page(connection, number, limit=1000).items
            packs = {cell.index: cell.config.pack_key() for cell in studies.cells(connection, number)}
        for row in trials:
            if row.id not in self.model.jobs:
                self.model.jobs[row.id] = Job(row.id, number, packs[row.cell_index], available_at=self.now)
        seen = {row.seed for row in trials}
        assert len(packs) == self.model.studies[number].cells
        assert len(trials) == len(packs) * len(seen) == len({(row.cell_index, row.seed) for row in trials})
        wanted = set(range(seeds)) if isinstance(seeds, int) else set(seeds)
        assert wanted <= seen <= {0, 1, 2, 5, 7}

    @precondition(lambda self: self.model.studies)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        number = self.study(data)
        with self.engine.begin() as connection:
            retried = studies.retry(connection, number, self.now)
        again = [job for job in self.model.of(number) if job.state in (FAILED, CANCELLED)]
        assert retried == len(again)
        if again:
            self.model.studies[number].cancelled = False
        for job in again:
            fresh = Job(job.trial_id, job.study, job.pack_key, available_at=self.now, attempt=job.attempt)
            self.model.jobs[job.trial_id] = fresh

    @precondition(lambda self: self.model.studies)
    @rule(priority=st.integers(-1, 2), data=st.data())
    def reprioritize(self, priority: int, data: st.DataObject) -> None:
        number = self.study(data)
        with self.engine.begin() as connection:
            studies.patch(connection, number, now=self.now, priority=priority)
        self.model.studies[number].priority = priority

    # Time

    @rule(seconds=st.sampled_from([2, LEASE_SECONDS, LEASE_SECONDS + 1, 300, -40]))
    def step_the_clock(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    # Dispatchers

    @rule(
        width=st.integers(1, 9),
        most=st.sampled_from([None, None, 1, 3]),
        commit=st.sampled_from([True, True, True, False]),
    )
    def lease(self, width: int, most: int | None, commit: bool) -> None:
        expected = self.model.next_pack(self.now, width, most)
        with self.engine.connect() as connection:
            take = partial(queue.lease, connection, now=self.now, holder="d", lease_seconds=LEASE_SECONDS)
            pack = take(width=width, most_leased=most)
            if commit:
                connection.commit()
        assert [(one.trial_id, one.attempt) for one in pack] == [(job.trial_id, job.attempt + 1) for job in expected]
        if not commit:
            return
        for job in expected:
            job.state, job.attempt = LEASED, job.attempt + 1
            job.expires_at = self.now + timedelta(seconds=LEASE_SECONDS)
            self.model.studies[job.study].started = True
        if pack:
            self.given.append([Attempt(trial_id=one.trial_id, attempt=one.attempt) for one in pack])

    def attempts(self, data: st.DataObject) -> list[Attempt]:
        """Some lanes of a pack ever leased, in any order: one with a lane that lives, or one with a lane that was
        since leased to somebody else (a zombie's), or one of a study that was paused since, or any.
        """
        living = [pack for pack in self.given if self.model.held(pack)]
        given_anew = [pack for pack in self.given if any(self.zombie(one) for one in pack)]
        paused = [pack for pack in self.given if any(self.paused(one) for one in pack)]
        kinds = [packs for packs in (living, given_anew, paused, self.given) if packs]
        pack = data.draw(st.sampled_from(data.draw(st.sampled_from(kinds), label="kind")), label="pack")
        return data.draw(st.lists(st.sampled_from(pack), min_size=1, unique=True), label="lanes")

    def zombie(self, attempt: Attempt) -> bool:
        """Whether this attempt's trial is leased under a later one."""
        job = self.model.jobs[attempt.trial_id]
        return job.state is LEASED and job.attempt > attempt.attempt

    def paused(self, attempt: Attempt) -> bool:
        """Whether this attempt was the trial's last, of a study that is paused."""
        job = self.model.jobs[attempt.trial_id]
        return self.model.studies[job.study].paused and job.attempt == attempt.attempt

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        attempts = self.attempts(data)
        with self.engine.begin() as connection:
            held = queue.heartbeat(connection, now=self.now, attempts=attempts, lease_seconds=LEASE_SECONDS)
        jobs = self.model.held(attempts)
        assert held == {job.trial_id for job in jobs}
        for job in jobs:
            assert job.expires_at is not None
            job.expires_at = max(job.expires_at, self.now + timedelta(seconds=LEASE_SECONDS))

    @precondition(lambda self: self.given)
    @rule(data=st.data(), outcome=st.sampled_from(list(Outcome)), commit=st.sampled_from([True, True, True, False]))
    def complete(self, data: st.DataObject, outcome: Outcome, commit: bool) -> None:
        attempts = self.attempts(data)
        with self.engine.connect() as connection:
            results = [(one, self.summary(outcome=outcome)) for one in attempts]
            accepted = queue.complete_many(connection, now=self.now, results=results)
            if commit:
                connection.commit()
        jobs = self.model.held(attempts)
        assert accepted == {job.trial_id for job in jobs}
        for job in jobs if commit else ():
            job.state, job.expires_at, job.checkpoint = SUCCEEDED, None, ""
            self.model.summaries[job.trial_id] = job.attempt
            self.model.news.add(job.trial_id)

    @precondition(lambda self: self.given)
    @rule(data=st.data(), failure_class=st.sampled_from(list(FailureClass)), halve=st.booleans())
    def fail(self, data: st.DataObject, failure_class: FailureClass, halve: bool) -> None:
        attempts = self.attempts(data)
        with self.engine.begin() as connection:
            end = partial(queue.fail, connection, now=self.now, attempts=attempts)
            ended = end(failure_class=failure_class, error="e", halve=halve)
        jobs = self.model.held(attempts)
        for job in jobs:
            if len(attempts) > 1 and (halve or failure_class is FailureClass.TRIAL):
                self.requeue(job)
                job.width_limit = min(job.width_limit, (len(attempts) + 1) // 2)
            elif failure_class is FailureClass.TRIAL:
                self.requeue(job)
                job.width_limit, job.checkpoint = 1, ""
                job.trial_failures += 1
                if job.trial_failures == 2:
                    self.give_up(job)
            else:
                self.lose(job)
        assert ended.failed == {job.trial_id for job in jobs if job.state is FAILED}
        assert ended.requeued == {job.trial_id for job in jobs if job.state is QUEUED}

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        attempts = self.attempts(data)
        with self.engine.begin() as connection:
            released = queue.release(connection, now=self.now, attempts=attempts)
        jobs = self.model.held(attempts)
        assert released == {job.trial_id for job in jobs}
        for job in jobs:
            self.requeue(job)

    @precondition(lambda self: self.given)
    @rule(data=st.data(), step=st.integers(1, 9))
    def save(self, data: st.DataObject, step: int) -> None:
        """A checkpoint counts until its trial has ended or was leased to somebody else."""
        attempts, name = self.attempts(data), f"checkpoint {step}"
        with self.engine.begin() as connection:
            taken = queue.checkpointed(connection, attempts=attempts, step=step, name=name)
            kept = queue.checkpoints_kept(connection)
        jobs = [
            self.model.jobs[one.trial_id] for one in attempts if self.model.jobs[one.trial_id].attempt == one.attempt
        ]
        jobs = [job for job in jobs if job.state in (LEASED, QUEUED)]
        assert taken == {job.trial_id for job in jobs}
        for job in jobs:
            if step > job.furthest_step:
                job.furthest_step, job.infrastructure_failures = step, 0
            job.checkpoint = name
        assert kept == {job.checkpoint for job in self.model.jobs.values()} - {""}

    @rule()
    def rescue(self) -> None:
        with self.engine.begin() as connection:
            rescued = queue.rescue(connection, now=self.now)
        expired = [job for job in self.model.jobs.values() if job.expires_at is not None and job.expires_at < self.now]
        assert rescued == len(expired)
        for job in expired:
            self.lose(job)

    def requeue(self, job: Job) -> None:
        job.state, job.expires_at, job.available_at = QUEUED, None, self.now

    def give_up(self, job: Job) -> None:
        job.state, job.checkpoint = FAILED, ""
        self.model.news.add(job.trial_id)

    def lose(self, job: Job) -> None:
        """A fault of the infrastructure."""
        self.requeue(job)
        job.infrastructure_failures += 1
        job.available_at = self.now + timedelta(seconds=2.0**job.infrastructure_failures)
        if job.infrastructure_failures >= 2:
            job.width_limit = 1
        if job.infrastructure_failures >= 4:
            job.checkpoint = ""
        if job.infrastructure_failures == 5:
            self.give_up(job)

    # The mirror

    @rule(limit=st.integers(1, 20))
    def mirror(self, limit: int) -> None:
        """It sees only what is news, and sees it as it is."""
        later = self.now + timedelta(days=1)
        with self.engine.begin() as connection:
            news = [item for item in outbox.pending(connection, now=later, limit=limit) if isinstance(item, TrialNews)]
            for item in news:
                job = self.model.jobs[item.trial_id]
                assert item.trial_id in self.model.news
                assert (item.state, item.attempt) == (job.state, job.attempt)
                outbox.advance_trial(connection, now=self.now, news=item, run_id="r", step=-1)
                self.model.news.discard(item.trial_id)

    # Promises

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
            happened = connection.execute(select(models.trial_events).order_by(models.trial_events.c.id)).all()
        jobs = {
            row.trial_id: Job(
                trial_id=row.trial_id,
                study=row.study_id,
                pack_key=row.pack_key,
                available_at=row.available_at,
                state=JobState(row.state),
                attempt=row.attempt,
                width_limit=row.width_limit,
                trial_failures=row.trial_failures,
                infrastructure_failures=row.infrastructure_failures,
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
        assert {number: StudyState(word) for number, word in named} == {n: self.model.state(n) for n in numbers}
        for number in numbers:
            here = [job.state for job in self.model.of(number)]
            assert counts[number].states == {state: here.count(state) for state in JobState}
            assert sum(counts[number].outcomes.values()) == here.count(SUCCEEDED)

    def only_the_drawn_transitions_happened(
        self, jobs: dict[int, Job], events: dict[int, list[tuple[JobState, int]]]
    ) -> None:
        """Against docs/state_machine.md: a state changes along an arrow, and an attempt rises with a lease alone. Each
        change is one event of the audit, and nothing else is.
        """
        for trial_id, job in jobs.items():
            state, attempt = self.seen.get(trial_id, (QUEUED, 0))
            new = events.get(trial_id, [])[self.told.get(trial_id, 0) :]
            assert new == ([] if (job.state, job.attempt) == (state, attempt) else [(job.state, job.attempt)])
            self.told[trial_id] = self.told.get(trial_id, 0) + len(new)
            assert job.attempt in (attempt, attempt + 1)
            assert (job.attempt > attempt) == (job.state is LEASED and state is QUEUED)
            assert job.state is state or job.state in TRANSITIONS[state]
            self.seen[trial_id] = (job.state, job.attempt)


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
            stateful_step_count=35,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
