"""The durable queue: leases of jobs, their ends, failures and rescues.

Every function runs in the caller's transaction and takes `now`. Locks are taken in the order of docs/state_machine.md.
docs/state_machine.md draws the states. The policy of failures is the constants below; its mechanism is
`sql/end_attempt.sql`.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from actinium.frame import TrialSummary
from actinium.job import Attempt, Cause, FailureClass, JobState, Lease, StudyId, TrialId
from actinium.trial import TrialConfig
from db import outbox, reports
from db.documents import cleaned, dumps
from db.models import NO_WIDTH_LIMIT, jobs, studies
from db.progress import touch
from db.statements import statement

TRIAL_LIMIT = 2
"""At this many failures of its own code a trial has failed: it is tried again once."""
INFRASTRUCTURE_LIMIT = 5
"""How many infrastructure failures a trial may have before it counts as failed."""
COMPANY_LIMIT = 2
"""After so many of them a trial is packed alone: it may be what kills the process of its pack."""
CRASH_LIMIT = 3
"""How many actor processes in quick succession a trial may take with it, the last one alone, before it has failed."""
STEADY_SECONDS = 600.0
"""A crash after so much training counts as the first."""
MEMORY_LIMIT = 2
"""How many lives of a cell's trials, each alone, may end for want of memory before the rest of the cell is stopped."""
BACKOFF_FIRST = 2.0
BACKOFF_MOST = 120.0
"""Seconds before a job is due again after an infrastructure failure: doubled with each, up to the most."""
ERROR_CHARACTERS = 20_000
"""How much of a traceback is kept: its end."""
MOST_LEASED = 2**31 - 1
"""Trials of one owner that may be leased where nobody sets a limit."""
REASON_CHARACTERS = 300
"""How much of an error's last line is kept with the event."""
RESCUE_MOST = 1_000
"""Jobs rescued in one transaction."""


@dataclass(frozen=True, kw_only=True)
class Lead:
    """The first trial of the next pack, and the pack key that the others must share. `resumes`: the pack goes on from a
    checkpoint, and consists of the trials in it that are still open.
    """

    pack_key: str
    config: TrialConfig
    resumes: bool = False


LeadWidth = Callable[[Lead], int]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The trials whose attempts ended without a result: queued again, or failed. A trial in neither set was no longer
    leased to that attempt.
    """

    requeued: frozenset[TrialId]
    failed: frozenset[TrialId]


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    """What ends of attempts leave to be written behind them in their transaction: news of trials for the mirror, then
    the studies. Whoever writes several ends collects it and settles it once, so that all jobs are locked before any of
    it.
    """

    trials: set[TrialId] = field(default_factory=set)
    studies: set[StudyId] = field(default_factory=set)

    def settle(self, conn: Connection, *, now: datetime) -> None:
        """Write it, as the last thing of a transaction."""
        outbox.announce(conn, kind="trial", subjects=self.trials)
        touch(conn, self.studies, now=now)


def hold(conn: Connection, attempts: Collection[Attempt]) -> None:
    """Lock the jobs of attempts until the transaction ends, in order of id; for whoever goes on to end them one kind
    after another.
    """
    conn.execute(statement("hold"), {"trial_ids": sorted(attempt.trial_id for attempt in attempts)})


def lease(
    conn: Connection,
    *,
    now: datetime,
    holder: str,
    lease_seconds: float,
    width: LeadWidth | int,
    most_leased: int | None = None,
) -> list[Lease]:
    """Take one whole pack: up to `width` due jobs of one study and one pack key; empty when nothing is due.

    `width` may be a function of the pack's lead. No owner has more than `most_leased` trials leased: the studies of one
    who has are passed over. With such a limit, leases are written one after the other, or two would not see each other.
    """
    if most_leased is not None:
        conn.execute(statement("owner_lock"), {"owner": ""})
    most = MOST_LEASED if most_leased is None else most_leased
    lead = conn.execute(statement("lease_lead"), {"now": now, "most_leased": most}).one_or_none()
    if lead is None:
        return []
    config = TrialConfig.model_validate_json(lead.config).model_copy(update={"seed": lead.seed})
    about = Lead(pack_key=lead.pack_key, config=config, resumes=bool(lead.checkpoint))
    wanted = width(about) if callable(width) else width
    expires_at = now + timedelta(seconds=lease_seconds)
    taken = conn.execute(
        statement("lease_take"),
        {
            "study_id": lead.study_id,
            "pack_key": lead.pack_key,
            "width_limit": lead.width_limit,
            "checkpoint": lead.checkpoint,
            "width": max(1, min(wanted, lead.width_limit, most - lead.leased)),
            "now": now,
            "holder": holder,
            "expires_at": expires_at,
        },
    ).all()
    if not taken:
        return []
    if lead.started_at is None:
        begun = update(studies).where(studies.c.id == lead.study_id, studies.c.started_at.is_(None))
        conn.execute(begun.values(started_at=now, revision=studies.c.revision + 1))
    configs: dict[int, TrialConfig] = {}
    for row in taken:
        if row.cell_index not in configs:
            configs[row.cell_index] = TrialConfig.model_validate_json(row.config)
    return [
        Lease(
            trial_id=TrialId(row.trial_id),
            attempt=row.attempt,
            study_id=StudyId(lead.study_id),
            pack_key=lead.pack_key,
            config=configs[row.cell_index].model_copy(update={"seed": row.seed}),
            expires_at=expires_at,
            checkpoint=lead.checkpoint or None,
            priority=lead.priority,
        )
        for row in sorted(taken, key=lambda row: row.trial_id)
    ]


def next_priority(conn: Connection, *, now: datetime, most_leased: int | None = None) -> int | None:
    """The priority of the study that comes next; None where nothing is due. `most_leased` as for `lease`.

    Its lead is locked until the transaction ends: end it soon.
    """
    most = MOST_LEASED if most_leased is None else most_leased
    lead = conn.execute(statement("lease_lead"), {"now": now, "most_leased": most}).one_or_none()
    return None if lead is None else int(lead.priority)


def heartbeat(
    conn: Connection, *, now: datetime, attempts: Sequence[Attempt], lease_seconds: float
) -> frozenset[TrialId]:
    """Renew leases; which trials are still held. The rest was cancelled, or rescued and perhaps leased anew."""
    expires_at = now + timedelta(seconds=lease_seconds)
    held = conn.execute(statement("heartbeat"), {**_fences(attempts), "expires_at": expires_at})
    return frozenset(TrialId(trial_id) for trial_id in held.scalars())


def checkpointed(conn: Connection, *, attempts: Sequence[Attempt], step: int, name: str) -> frozenset[TrialId]:
    """The next attempt of these goes on from the checkpoint of this name; the trials that took it.

    Also of an attempt that is over, as long as its trial is queued and has no later one. In a transaction of its own:
    whoever has locked jobs before would lock them out of order.
    """
    taken = conn.execute(statement("checkpointed"), {**_fences(attempts), "step": step, "name": name})
    return frozenset(TrialId(trial_id) for trial_id in taken.scalars())


def checkpoints_kept(conn: Connection) -> frozenset[str]:
    """The names of all checkpoints that some trial goes on from."""
    return frozenset(conn.execute(statement("checkpoints_kept")).scalars())


def complete(conn: Connection, *, now: datetime, attempt: Attempt, summary: TrialSummary) -> bool:
    """Record a trial's result; False, and nothing written, when this attempt is not the one that holds it."""
    return bool(complete_many(conn, now=now, results=[(attempt, summary)]))


def complete_many(
    conn: Connection,
    *,
    now: datetime,
    results: Sequence[tuple[Attempt, TrialSummary]],
    aftermath: Aftermath | None = None,
) -> frozenset[TrialId]:
    """Record results; the trials whose attempt held its lease. Of the others nothing is written.

    Summary, state, report row, outbox and the study's revision change together; the last two are left to the caller who
    collects an `aftermath`. Frames of earlier attempts go.
    """
    if not results:
        return frozenset()
    parameters = {
        **_fences([attempt for attempt, _ in results]),
        "outcomes": [summary.outcome.value for _, summary in results],
        "summaries": "\n".join(_document(summary) for _, summary in results),  # JSON of one line each
        "now": now,
    }
    accepted = conn.execute(statement("complete"), parameters).all()
    retried = [Attempt(trial_id=row.trial_id, attempt=row.attempt) for row in accepted if row.attempt > 1]
    if retried:
        conn.execute(statement("forget_earlier"), _fences(retried))
    finished = frozenset(TrialId(row.trial_id) for row in accepted)
    reports.write_rows(conn, [result for result in results if result[0].trial_id in finished])
    left = aftermath or Aftermath()
    left.trials.update(finished)
    left.studies.update(StudyId(row.study_id) for row in accepted)
    if aftermath is None:
        left.settle(conn, now=now)
    return finished


def fail(
    conn: Connection,
    *,
    now: datetime,
    attempts: Sequence[Attempt],
    failure_class: FailureClass,
    error: str,
    halve: bool = False,
    final: bool = False,
    crashed: bool = False,
    aftermath: Aftermath | None = None,
) -> Ended:
    """End attempts of one pack that failed together; `attempts` are all of its lanes that had not finished. The outbox
    and the study's revision are left to the caller who collects an `aftermath`.

    Class `trial`: a pack of several is queued again in halves, nobody blamed, until the guilty lane stands alone; a
    trial alone is tried once more, then failed. Class `infrastructure`: queued again after a backoff, up to a limit.
    `halve` says of an infrastructure failure (out of memory) that a narrower pack would do: while the pack is wider
    than one lane its width is halved instead, without blame and at once. `crashed` says of one that the actor's process
    died while its node lived: the pack is halved, then its trials go alone, and the guilty one has failed with its
    third life. `final` says of a trial's failure that it holds for all of them and that trying again changes nothing:
    they have failed.
    """
    alone = len(attempts) == 1
    by_trial = failure_class is FailureClass.TRIAL
    narrower = not alone and not final and (by_trial or halve)
    cause = Cause.TRIAL_FAILURE if by_trial else Cause.OUT_OF_MEMORY if halve else Cause.INFRASTRUCTURE_FAILURE
    return _end(
        conn,
        now=now,
        attempts=attempts,
        cause=cause,
        trial_blame=TRIAL_LIMIT if by_trial and final else int(by_trial and alone),
        infrastructure_blame=int(not by_trial and not narrower),
        crash_blame=int(crashed),
        memory_blame=int(halve and alone and not by_trial),
        width=(len(attempts) + 1) // 2 if narrower or crashed else 1 if by_trial else NO_WIDTH_LIMIT,
        failure_class=failure_class,
        error=error,
        aftermath=aftermath,
    )


def stop_cell(conn: Connection, *, now: datetime, trial_id: TrialId, error: str, who: str) -> int:
    """Fail what is queued of this trial's cell, if MEMORY_LIMIT of its lives have ended alone for want of memory; how
    many. In a transaction of its own: whoever has locked jobs before would lock them out of order.
    """
    given = {
        "now": now,
        "trial_id": trial_id,
        "most": MEMORY_LIMIT,
        "who": who,
        "reason": cleaned(error.strip().rsplit("\n", 1)[-1], limit=REASON_CHARACTERS),
        "error": cleaned(error, limit=ERROR_CHARACTERS),
    }
    rows = conn.execute(statement("stop_cell"), given).all()
    outbox.announce(conn, kind="trial", subjects=[TrialId(row.trial_id) for row in rows])
    touch(conn, {StudyId(row.study_id) for row in rows}, now=now)
    return len(rows)


def release(conn: Connection, *, now: datetime, attempts: Sequence[Attempt]) -> frozenset[TrialId]:
    """Give leases back untrained, at a shutdown: due at once, nobody blamed."""
    return _end(conn, now=now, attempts=attempts, cause=Cause.RELEASE).requeued


def release_all(conn: Connection, *, now: datetime) -> int:
    """Give every lease back, whoever held it; how many. For a database that was restored: no holder knows of it."""
    held = select(jobs.c.trial_id, jobs.c.attempt).where(jobs.c.state == JobState.LEASED.value)
    attempts = [Attempt(trial_id=TrialId(row.trial_id), attempt=row.attempt) for row in conn.execute(held)]
    return len(release(conn, now=now, attempts=attempts))


def rescue(conn: Connection, *, now: datetime) -> int:
    """End leases that have expired, as failures of the infrastructure; how many. At most RESCUE_MOST a call."""
    expired = conn.execute(statement("expired"), {"now": now, "most": RESCUE_MOST}).all()
    by_holder: dict[str, list[Attempt]] = {}
    for row in expired:
        by_holder.setdefault(row.holder, []).append(Attempt(trial_id=TrialId(row.trial_id), attempt=row.attempt))
    left = Aftermath()
    for holder, attempts in by_holder.items():
        _end(
            conn,
            now=now,
            attempts=attempts,
            cause=Cause.RESCUE,
            infrastructure_blame=1,
            failure_class=FailureClass.INFRASTRUCTURE,
            error=f"the lease ran out: {holder} or its node went silent",
            aftermath=left,
        )
    left.settle(conn, now=now)
    return len(expired)


def backlog(conn: Connection, *, now: datetime, most: int) -> int:
    """How many jobs are due, counted up to `most`: whether a small queue is better spread over many actors."""
    return int(conn.execute(statement("backlog"), {"now": now, "most": most}).scalar_one())


def _end(
    conn: Connection,
    *,
    now: datetime,
    attempts: Collection[Attempt],
    cause: Cause,
    trial_blame: int = 0,
    infrastructure_blame: int = 0,
    crash_blame: int = 0,
    memory_blame: int = 0,
    width: int = NO_WIDTH_LIMIT,
    failure_class: FailureClass | None = None,
    error: str | None = None,
    aftermath: Aftermath | None = None,
) -> Ended:
    rows = conn.execute(
        statement("end_attempt"),
        {
            **_fences(attempts),
            "now": now,
            "trial_blame": trial_blame,
            "trial_limit": TRIAL_LIMIT,
            "infrastructure_blame": infrastructure_blame,
            "infrastructure_limit": INFRASTRUCTURE_LIMIT,
            "crash_blame": crash_blame,
            "crash_limit": CRASH_LIMIT,
            "steady": STEADY_SECONDS,
            "memory_blame": memory_blame,
            "company": COMPANY_LIMIT,
            "backoff_first": BACKOFF_FIRST,
            "backoff_most": BACKOFF_MOST,
            "width": width,
            "cause": cause.value,
            "reason": None if error is None else cleaned(error.strip().rsplit("\n", 1)[-1], limit=REASON_CHARACTERS),
            "failure_class": failure_class.value if failure_class else None,
            "error": None if error is None else cleaned(error, limit=ERROR_CHARACTERS),
        },
    ).all()
    ended = Ended(
        requeued=frozenset(TrialId(row.trial_id) for row in rows if row.state == JobState.QUEUED),
        failed=frozenset(TrialId(row.trial_id) for row in rows if row.state == JobState.FAILED),
    )
    left = aftermath or Aftermath()
    left.trials.update(ended.failed)
    left.studies.update(StudyId(row.study_id) for row in rows if row.state == JobState.FAILED)
    if aftermath is None:
        left.settle(conn, now=now)
    return ended


def _document(summary: TrialSummary) -> str:
    """A summary as JSON. A metric that is not finite is left out: it was not measured (and is no JSON)."""
    metrics = {name: value for name, value in summary.metrics.items() if math.isfinite(value)}
    return dumps(summary.model_dump(mode="json") | {"metrics": metrics})


def _fences(attempts: Collection[Attempt]) -> dict[str, list[int]]:
    return {
        "trial_ids": [attempt.trial_id for attempt in attempts],
        "attempts": [attempt.attempt for attempt in attempts],
    }
