"""What the queue must do, without SQL and locks."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from actinium.job import FINAL_STATES, Attempt, JobState, StudyState
from db.models import NO_WIDTH_LIMIT

QUEUED, LEASED, SUCCEEDED, FAILED, CANCELLED = JobState
ANY = 1000
"""More than there ever is."""


@dataclass
class Job:
    """The model's row."""

    trial_id: int
    study: int
    pack_key: str
    available_at: datetime
    state: JobState = QUEUED
    attempt: int = 0
    holder: str | None = None
    width_limit: int = NO_WIDTH_LIMIT
    trial_failures: int = 0
    infrastructure_failures: int = 0
    crashes: int = 0
    memory_failures: int = 0
    leased_at: datetime | None = None
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
    cells: dict[int, tuple[int, int]] = field(default_factory=dict)
    """The study and the cell of each trial."""
    frames: dict[int, set[int]] = field(default_factory=dict)
    """The attempts of a trial of which there are frames."""
    news: set[int] = field(default_factory=set)

    def of(self, study: int) -> list[Job]:
        return [job for job in self.jobs.values() if job.study == study]

    def leased_by(self, owner: str) -> int:
        return sum(job.state is LEASED and self.studies[job.study].owner == owner for job in self.jobs.values())

    def queued_by(self, owner: str) -> int:
        """In open studies: those of a cancelled one are cancelled."""
        return sum(job.state is QUEUED and self.studies[job.study].owner == owner for job in self.jobs.values())

    def due(self, study: int, now: datetime, taken: Collection[int] = ()) -> list[Job]:
        """Jobs of a study that may be leased now, in the order they are; not those that somebody is just taking."""
        if self.studies[study].paused:
            return []
        waiting = [job for job in self.of(study) if job.state is QUEUED and job.available_at <= now]
        return [job for job in waiting if job.trial_id not in taken]

    def next_pack(self, now: datetime, width: int, most: int | None, taken: Collection[int] = ()) -> list[Job]:
        """Whose turn it is, and with what; no owner has more than `most` leased."""
        left = {
            study.owner: ANY if most is None else most - self.leased_by(study.owner) for study in self.studies.values()
        }
        ready = {number: self.due(number, now, taken) for number in self.studies}
        waiting = [number for number, study in self.studies.items() if ready[number] and left[study.owner] > 0]
        if not waiting:
            return []

        def turn(number: int) -> tuple[int, int, int]:
            study = self.studies[number]
            return -study.priority, self.leased_by(study.owner), number

        first = min(waiting, key=turn)
        lead = ready[first][0]

        def company(job: Job) -> tuple[str, int, str]:
            return job.pack_key, job.width_limit, job.checkpoint

        alike = [job for job in ready[first] if company(job) == company(lead)]
        return alike[: min(width, lead.width_limit, left[self.studies[first].owner])]

    def held(self, attempts: list[Attempt]) -> list[Job]:
        """The jobs that these attempts still hold."""
        jobs = [self.jobs[one.trial_id] for one in attempts if self.jobs[one.trial_id].attempt == one.attempt]
        return [job for job in jobs if job.state is LEASED]

    def last(self, attempts: list[Attempt]) -> list[Job]:
        """The open jobs of which these are the last attempts, held or not."""
        jobs = [self.jobs[one.trial_id] for one in attempts if self.jobs[one.trial_id].attempt == one.attempt]
        return [job for job in jobs if job.state in (LEASED, QUEUED)]

    def state(self, number: int) -> StudyState:
        if self.studies[number].cancelled:
            return StudyState.CANCELLED
        if all(job.state in FINAL_STATES for job in self.of(number)):
            return StudyState.FINISHED
        if self.studies[number].paused:
            return StudyState.PAUSED
        return StudyState.RUNNING if self.studies[number].started else StudyState.QUEUED

    # What becomes of a job

    def lend(self, job: Job, holder: str, now: datetime, seconds: float) -> None:
        job.state, job.attempt, job.holder = LEASED, job.attempt + 1, holder
        job.leased_at, job.expires_at = now, now + timedelta(seconds=seconds)
        self.studies[job.study].started = True

    def succeed(self, job: Job) -> None:
        job.state, job.expires_at, job.checkpoint = SUCCEEDED, None, ""
        self.summaries[job.trial_id] = job.attempt
        if job.trial_id in self.frames:  # those of earlier attempts go
            self.frames[job.trial_id] = self.frames[job.trial_id] & {job.attempt}
        self.news.add(job.trial_id)

    def requeue(self, job: Job, now: datetime) -> None:
        job.state, job.expires_at, job.holder, job.available_at = QUEUED, None, None, now

    def give_up(self, job: Job, holder: str | None) -> None:
        job.state, job.holder, job.checkpoint = FAILED, holder, ""
        self.news.add(job.trial_id)

    def blame(self, job: Job, now: datetime, *, times: int = 1) -> None:
        """A fault of the trial itself."""
        holder = job.holder
        self.requeue(job, now)
        job.width_limit, job.checkpoint = 1, ""
        job.trial_failures += times
        if job.trial_failures >= 2:
            self.give_up(job, holder)

    def stop_cell(self, trial_id: int) -> list[Job]:
        """What is queued of a cell of which two lives ended alone for want of memory."""
        cell = [self.jobs[other] for other, place in self.cells.items() if place == self.cells[trial_id]]
        stopped = [job for job in cell if job.state is QUEUED] if sum(job.memory_failures for job in cell) >= 2 else []
        for job in stopped:
            self.give_up(job, job.holder)
        return stopped

    def crash(self, job: Job, now: datetime, *, lanes: int) -> None:
        """Its actor's process died: halved, then alone, and its third life in quick succession is its last."""
        assert job.leased_at is not None
        holder, late = job.holder, now - job.leased_at > timedelta(minutes=10)
        job.crashes = 1 if late else job.crashes + 1
        job.width_limit = min(job.width_limit, (lanes + 1) // 2 if job.crashes < 2 else 1)
        self.lose(job, now)
        if job.crashes >= 3 and job.state is QUEUED:
            self.give_up(job, holder)

    def lose(self, job: Job, now: datetime) -> None:
        """A fault of the infrastructure."""
        holder = job.holder
        self.requeue(job, now)
        job.infrastructure_failures += 1
        job.available_at = now + timedelta(seconds=2.0**job.infrastructure_failures)
        if job.infrastructure_failures >= 2:
            job.width_limit = 1
        if job.infrastructure_failures >= 4:
            job.checkpoint = ""
        if job.infrastructure_failures == 5:
            self.give_up(job, holder)
