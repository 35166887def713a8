"""The machine's side of a trial: its job's states and what may follow what.

The state is never mixed with the scientific outcome: a diverged trial is a job that succeeded.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from actinium.trial import TrialConfig

StudyId = NewType("StudyId", int)
TrialId = NewType("TrialId", int)


class JobState(StrEnum):
    """Where a trial's job stands."""

    QUEUED = "queued"
    LEASED = "leased"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.LEASED, JobState.FAILED, JobState.CANCELLED}),
    JobState.LEASED: frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.QUEUED, JobState.CANCELLED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
}


class StudyState(StrEnum):
    """A study's state, derived from its jobs and from what its owner asked for."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class FailureClass(StrEnum):
    """Whose fault an attempt's end was: it decides the retry."""

    INFRASTRUCTURE = "infrastructure"
    TRIAL = "trial"


class Cause(StrEnum):
    """Why a job's state changed."""

    LEASE = "lease"
    COMPLETE = "complete"
    TRIAL_FAILURE = "trial_failure"
    INFRASTRUCTURE_FAILURE = "infrastructure_failure"
    OUT_OF_MEMORY = "out_of_memory"
    RESCUE = "rescue"
    RELEASE = "release"
    PAUSE = "pause"
    CANCEL = "cancel"
    RETRY = "retry"
    REUSE = "reuse"


class Role(StrEnum):
    """What a token may do; each role includes those before it."""

    VIEWER = "viewer"
    SUBMITTER = "submitter"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Whether this role may do all that `other` may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The fence: a trial's attempt. Every write of a result carries it."""

    trial_id: TrialId
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Lease(Attempt):
    """A trial lent to a dispatcher until `expires_at`; heartbeats move that on. It goes on from `checkpoint`, as do all
    leases of its pack; None: from its beginning. `priority` is its study's, as it was then.
    """

    study_id: StudyId
    pack_key: str
    config: TrialConfig
    expires_at: datetime
    checkpoint: str | None = None
    priority: int = 0
