"""What people do: submit, cancel, pause, resume, retry, extend, and change a priority."""

from dataclasses import replace
from functools import partial

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from actinium.errors import Conflict, TooMany
from actinium.extension import Extension
from actinium.job import FINAL_STATES, StudyId, StudyState
from db import extension, studies
from db.limits import Quota
from queue_machine.base import Machine
from queue_machine.model import CANCELLED, FAILED, LEASED, Job, Study

ENDED = (StudyState.FINISHED, StudyState.CANCELLED)
CALLS = ("extend", "reprioritize", "cancel", "pause", "resume", "resume", "retry", "retry")


class People(Machine):
    """Calls that the API makes for people."""

    @precondition(lambda self: len(self.model.studies) < 3)
    @rule(data=st.data())
    def create(self, data: st.DataObject) -> None:
        """An owner with too many queued gets nothing at all."""
        owner = data.draw(st.sampled_from(["ada", "bob"]), label="owner")
        priority = data.draw(st.integers(0, 1), label="priority")
        most = data.draw(st.sampled_from([None, None, 3, 6]), label="most queued")
        design = self.designs[data.draw(st.integers(0, len(self.designs) - 1), label="design")]
        spec = design.spec.model_copy(update={"name": f"study {len(self.model.studies)}", "priority": priority})
        wanted = [config.pack_key() for _, config in design.trials()]
        act = partial(studies.create, owner=owner, now=self.now, quota=Quota(queued_trials=most))
        try:
            with self.engine.begin() as connection:
                number = act(connection, replace(design, spec=spec))
                trials = studies.trials_page(connection, number, limit=1000).items
        except TooMany:
            assert most is not None and self.model.queued_by(owner) + len(wanted) > most
            return
        assert most is None or self.model.queued_by(owner) + len(wanted) <= most
        self.model.studies[number] = Study(owner=owner, priority=priority, cells=len(design.cells))
        for row, pack_key in zip(trials, wanted, strict=True):
            self.model.jobs[row.id] = Job(row.id, number, pack_key, available_at=self.now)
            self.model.cells[row.id] = (number, row.cell_index)

    @precondition(lambda self: self.model.studies)
    @rule(call=st.sampled_from(CALLS), data=st.data())
    def manage(self, call: str, data: st.DataObject) -> None:
        number = self.study(data)
        match call:
            case "extend":
                if len(self.model.jobs) < 30:
                    self.extend(number, data.draw(st.sampled_from([1, 3, [0, 7], [5]]), label="seeds"))
            case "reprioritize":
                self.reprioritize(number, data.draw(st.integers(-1, 2), label="priority"))
            case _:
                getattr(self, call)(number)

    def cancel(self, number: StudyId) -> None:
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

    def pause(self, number: StudyId) -> None:
        state = self.model.state(number)
        with self.engine.begin() as connection:
            try:
                studies.pause(connection, number, self.now)
            except Conflict:
                assert state in ENDED
                return
        assert state not in ENDED
        self.model.studies[number].paused = True
        for job in self.model.of(number):
            if job.state is LEASED:
                self.model.requeue(job, self.now)

    def resume(self, number: StudyId) -> None:
        ended = self.model.state(number) in ENDED
        with self.engine.begin() as connection:
            try:
                studies.resume(connection, number, self.now)
            except Conflict:
                assert ended
                return
        assert not ended
        self.model.studies[number].paused = False

    def extend(self, number: StudyId, seeds: int | list[int]) -> None:
        """Once and again with one key: the old jobs as they were, and for each cell the seeds that it lacked."""
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
                self.model.cells[row.id] = (number, row.cell_index)
        seen = {row.seed for row in trials}
        assert len(packs) == self.model.studies[number].cells
        assert len(trials) == len(packs) * len(seen) == len({(row.cell_index, row.seed) for row in trials})
        wanted = set(range(seeds)) if isinstance(seeds, int) else set(seeds)
        assert wanted <= seen <= {0, 1, 2, 5, 7}

    def retry(self, number: StudyId) -> None:
        with self.engine.begin() as connection:
            retried = studies.retry(connection, number, self.now)
        again = [job for job in self.model.of(number) if job.state in (FAILED, CANCELLED)]
        assert retried == len(again)
        if again:
            self.model.studies[number].cancelled = False
        for job in again:
            fresh = Job(job.trial_id, job.study, job.pack_key, available_at=self.now, attempt=job.attempt)
            fresh.leased_at = job.leased_at
            self.model.jobs[job.trial_id] = fresh

    def reprioritize(self, number: StudyId, priority: int) -> None:
        with self.engine.begin() as connection:
            studies.patch(connection, number, now=self.now, priority=priority)
        self.model.studies[number].priority = priority
