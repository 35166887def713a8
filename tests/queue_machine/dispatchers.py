"""What dispatchers do, one at a time and two at once; and what comes from those that were taken for dead."""

from datetime import timedelta
from functools import partial

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from actinium.frame import Frame, Layout, Outcome
from actinium.job import Attempt, FailureClass, Lease
from db import frames, queue
from queue_machine.base import LEASE_SECONDS, Machine
from queue_machine.model import FAILED, LEASED, QUEUED, Job

HOLDERS = ("one", "two")
CALLS = (
    *("lease", "lease", "lease", "two_lease_at_once", "heartbeat", "complete", "complete", "fail", "fail", "release"),
    *("write", "write", "stop", "save", "rescue", "rescue_meets_a_heartbeat"),
)
MOSTLY = st.sampled_from([True, True, True, False])
LAYOUT = Layout(series=("validation_loss",))


def first_frame(attempt: Attempt) -> Frame:
    """The frame of step 0."""
    values = np.ones(1, np.float32)
    return Frame(trial_id=attempt.trial_id, attempt=attempt.attempt, step=0, time=0.0, values=values)


class Dispatchers(Machine):
    """Calls of two dispatchers."""

    # Two rules, each with all of its calls: Hypothesis leaves whole rules out of an example, and none of these calls
    # leads anywhere without the others.

    @precondition(lambda self: self.model.studies)
    @rule(call=st.sampled_from(CALLS), data=st.data())
    def dispatcher_one(self, call: str, data: st.DataObject) -> None:
        self.dispatch("one", call, data)

    @precondition(lambda self: self.model.studies)
    @rule(call=st.sampled_from(CALLS), data=st.data())
    def dispatcher_two(self, call: str, data: st.DataObject) -> None:
        self.dispatch("two", call, data)

    def dispatch(self, holder: str, call: str, data: st.DataObject) -> None:
        match call:
            case "lease":
                self.lease(holder, data)
            case "two_lease_at_once":
                self.two_lease_at_once(data)
            case "rescue":
                self.rescue()
            case _ if self.given:
                getattr(self, call)(data)

    def lease(self, holder: str, data: st.DataObject) -> None:
        width = data.draw(st.integers(1, 9), label="width")
        most = data.draw(st.sampled_from([None, None, 1, 2]), label="most")
        commit = data.draw(MOSTLY, label="commit")
        expected = self.model.next_pack(self.now, width, most)
        with self.engine.connect() as connection:
            take = partial(queue.lease, connection, now=self.now, holder=holder, lease_seconds=LEASE_SECONDS)
            pack = take(width=width, most_leased=most)
            if commit:
                connection.commit()
        self.are(pack, expected)
        if commit:
            self.gave(pack, holder)

    def two_lease_at_once(self, data: st.DataObject) -> None:
        """The second asks while the first has not committed: it gets what is left, and waits for nobody."""
        widths = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)), label="widths")
        commits, late = data.draw(st.tuples(MOSTLY, MOSTLY), label="commits"), data.draw(st.booleans(), label="late")
        first = self.model.next_pack(self.now, widths[0], None)
        taken = {job.trial_id for job in first}
        second = self.model.next_pack(self.now, widths[1], None, taken)
        if not all(self.model.studies[job.study].started for job in (*first, *second)):
            return  # the first lease of a study writes when it started, for which others wait
        with self.engine.connect() as one, self.engine.connect() as two:
            take = partial(queue.lease, now=self.now, lease_seconds=LEASE_SECONDS)
            packs = [
                take(connection, holder=holder, width=width)
                for connection, holder, width in zip((one, two), HOLDERS, widths, strict=True)
            ]
            self.are(packs[0], first)
            self.are(packs[1], second)
            for place in (1, 0) if late else (0, 1):
                if commits[place]:
                    (one, two)[place].commit()
                    self.gave(packs[place], HOLDERS[place])

    def are(self, pack: list[Lease], expected: list[Job]) -> None:
        assert [(one.trial_id, one.attempt) for one in pack] == [(job.trial_id, job.attempt + 1) for job in expected]

    def gave(self, pack: list[Lease], holder: str) -> None:
        for one in pack:
            self.model.lend(self.model.jobs[one.trial_id], holder, self.now, LEASE_SECONDS)
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
    @rule(call=st.sampled_from(["heartbeat", "complete", "trial", "infrastructure", "release", "write"]))
    def replay(self, call: str) -> None:
        """Every attempt that was ever given and is over says something once more, and changes nothing."""
        every = [one for pack in self.given for one in pack]
        held = {job.trial_id for job in self.model.held(every)}
        over = [
            one for one in every if one.trial_id not in held or self.model.jobs[one.trial_id].attempt != one.attempt
        ]
        with self.engine.begin() as connection:
            fail = partial(queue.fail, connection, now=self.now, attempts=over, error="e")
            nobody: frozenset[int] = frozenset()
            match call:
                case "heartbeat":
                    assert queue.heartbeat(connection, now=self.now, attempts=over, lease_seconds=300) == nobody
                case "complete":
                    results = [(one, self.summary()) for one in over]
                    assert queue.complete_many(connection, now=self.now, results=results) == nobody
                case "release":
                    assert queue.release(connection, now=self.now, attempts=over) == nobody
                case "write":
                    assert frames.write(connection, LAYOUT, [first_frame(one) for one in over]) == 0
                case _:
                    ended = fail(failure_class=FailureClass(call))
                    assert ended == queue.Ended(requeued=nobody, failed=nobody)

    def heartbeat(self, data: st.DataObject) -> None:
        attempts = self.attempts(data)
        with self.engine.begin() as connection:
            held = queue.heartbeat(connection, now=self.now, attempts=attempts, lease_seconds=LEASE_SECONDS)
        self.beats(held, attempts)

    def beats(self, held: frozenset[int], attempts: list[Attempt]) -> None:
        jobs = self.model.held(attempts)
        assert held == {job.trial_id for job in jobs}
        for job in jobs:
            assert job.expires_at is not None
            job.expires_at = max(job.expires_at, self.now + timedelta(seconds=LEASE_SECONDS))

    def write(self, data: st.DataObject) -> None:
        """Frames are taken of those that hold their lease; of zombies, paused and ended ones they are dropped."""
        attempts = self.attempts(data)
        with self.engine.begin() as connection:
            taken = frames.write(connection, LAYOUT, [first_frame(one) for one in attempts])
        jobs = self.model.held(attempts)
        assert taken == len(jobs)
        for job in jobs:
            self.model.frames.setdefault(job.trial_id, set()).add(job.attempt)
            self.model.news.add(job.trial_id)

    def complete(self, data: st.DataObject) -> None:
        attempts = self.attempts(data)
        outcome, commit = data.draw(st.sampled_from(list(Outcome)), label="outcome"), data.draw(MOSTLY, label="commit")
        with self.engine.connect() as connection:
            results = [(one, self.summary(outcome=outcome)) for one in attempts]
            accepted = queue.complete_many(connection, now=self.now, results=results)
            if commit:
                connection.commit()
        jobs = self.model.held(attempts)
        assert accepted == {job.trial_id for job in jobs}
        for job in jobs if commit else ():
            self.model.succeed(job)

    def fail(self, data: st.DataObject) -> None:
        attempts = self.attempts(data)
        failure_class = data.draw(st.sampled_from(list(FailureClass)), label="class")
        halve, final = data.draw(st.booleans(), label="halve"), data.draw(st.integers(0, 4), label="final") == 4
        infrastructure = failure_class is FailureClass.INFRASTRUCTURE
        crashed = infrastructure and not halve and data.draw(st.booleans(), label="crashed")
        with self.engine.begin() as connection:
            end = partial(queue.fail, connection, now=self.now, attempts=attempts)
            ended = end(failure_class=failure_class, error="e", halve=halve, final=final, crashed=crashed)
        jobs = self.model.held(attempts)
        for job in jobs:
            if crashed:
                self.model.crash(job, self.now, lanes=len(attempts))
            elif len(attempts) > 1 and not final and (halve or failure_class is FailureClass.TRIAL):
                self.model.requeue(job, self.now)
                job.width_limit = min(job.width_limit, (len(attempts) + 1) // 2)
            elif failure_class is FailureClass.TRIAL:
                self.model.blame(job, self.now, times=2 if final else 1)
            else:
                self.model.lose(job, self.now)
                job.memory_failures += halve and len(attempts) == 1
        assert ended.failed == {job.trial_id for job in jobs if job.state is FAILED}
        assert ended.requeued == {job.trial_id for job in jobs if job.state is QUEUED}

    def stop(self, data: st.DataObject) -> None:
        """After a trial ran out of memory alone, the dispatcher looks whether its cell should be stopped."""
        attempt, *_ = self.attempts(data)
        with self.engine.begin() as connection:
            act = partial(queue.stop_cell, connection, now=self.now, trial_id=attempt.trial_id)
            count = act(error="too large", who="memory")
        assert count == len(self.model.stop_cell(attempt.trial_id))

    def release(self, data: st.DataObject) -> None:
        attempts = self.attempts(data)
        with self.engine.begin() as connection:
            released = queue.release(connection, now=self.now, attempts=attempts)
        jobs = self.model.held(attempts)
        assert released == {job.trial_id for job in jobs}
        for job in jobs:
            self.model.requeue(job, self.now)

    def save(self, data: st.DataObject) -> None:
        """A checkpoint counts until its trial has ended or was leased to somebody else."""
        attempts, step = self.attempts(data), data.draw(st.integers(1, 9), label="step")
        name = f"checkpoint {step}"
        with self.engine.begin() as connection:
            taken = queue.checkpointed(connection, attempts=attempts, step=step, name=name)
            kept = queue.checkpoints_kept(connection)
        jobs = self.model.last(attempts)
        assert taken == {job.trial_id for job in jobs}
        for job in jobs:
            if step > job.furthest_step:
                job.furthest_step, job.infrastructure_failures = step, 0
            job.checkpoint = name
        assert kept == {job.checkpoint for job in self.model.jobs.values()} - {""}

    def rescue(self) -> None:
        with self.engine.begin() as connection:
            self.rescued(queue.rescue(connection, now=self.now))

    def rescue_meets_a_heartbeat(self, data: st.DataObject) -> None:
        """A heartbeat that is being written keeps its jobs, expired or not; the rest is rescued, and nobody waits."""
        attempts = self.attempts(data)
        with self.engine.connect() as living:
            heard = queue.heartbeat(living, now=self.now, attempts=attempts, lease_seconds=LEASE_SECONDS)
            with self.engine.begin() as connection:
                count = queue.rescue(connection, now=self.now)
            living.commit()
        self.beats(heard, attempts)
        self.rescued(count)

    def rescued(self, count: int) -> None:
        expired = [job for job in self.model.jobs.values() if job.expires_at is not None and job.expires_at < self.now]
        assert count == len(expired)
        for job in expired:
            self.model.lose(job, self.now)
