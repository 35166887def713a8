"""What functions of `db` return: frozen dataclasses, not SQLAlchemy rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from actinium.errors import FieldError, InvalidInput
from actinium.frame import Outcome, TrialSummary
from actinium.job import FailureClass, JobState, StudyId, StudyState, TrialId
from actinium.paths import Cell
from actinium.study import InvalidDesign, StudySpec

Item = TypeVar("Item")

LARGEST_ID = 2**63 - 1
MOST_ITEMS = 1_000
"""The longest page."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many trials of a study stand where; every state and every outcome has its key."""

    states: Mapping[JobState, int] = field(default_factory=lambda: dict.fromkeys(JobState, 0))
    outcomes: Mapping[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    reused: int = 0
    """How many of those that succeeded were taken from the history."""

    @property
    def total(self) -> int:
        """All trials."""
        return sum(self.states.values())

    @property
    def progress(self) -> float:
        """The share of trials at their end, 0 to 1."""
        still = self.states[JobState.QUEUED] + self.states[JobState.LEASED]
        return 1.0 - still / self.total if self.total else 1.0


@dataclass(frozen=True, kw_only=True)
class StudyHead:
    """A study as a list shows it, without its document, which may be a megabyte. `revision` rises with everything that
    changes what a reader would see of it; `name` is unique in its `project`; a higher `priority` goes first.
    """

    id: StudyId
    project: str
    name: str
    description: str
    tags: Mapping[str, str]
    priority: int
    owner: str
    state: StudyState
    revision: int
    counts: Counts
    cells: int
    trials: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancelled_at: datetime | None
    archived_at: datetime | None
    experiment_id: str | None

    @property
    def progress(self) -> float:
        """The share of trials at their end, 0 to 1."""
        return self.counts.progress


@dataclass(frozen=True, kw_only=True)
class StudyRow(StudyHead):
    """A study with everything."""

    spec: StudySpec
    notes: str
    invalid_designs: Sequence[InvalidDesign]


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """A trial with its job and, once it succeeded, its summary. `run_id` and `experiment_id` are MLflow's."""

    id: TrialId
    study_id: StudyId
    cell_index: int
    cell: Cell
    seed: int
    digest: str
    reused_from: TrialId | None
    state: JobState
    attempt: int
    outcome: Outcome | None
    summary: TrialSummary | None
    failure_class: FailureClass | None
    error: str | None
    leased_at: datetime | None
    finished_at: datetime | None
    run_id: str | None
    experiment_id: str | None


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Item]):
    """Some items, and where the next ones begin; None at the end."""

    items: Sequence[Item]
    next_cursor: str | None


def cursor_id(cursor: str | None, *, default: int) -> int:
    """The id that a cursor stands for; InvalidInput when it was not handed out by a page."""
    if cursor is None:
        return default
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 20 and int(cursor) <= LARGEST_ID):
        fault = FieldError("cursor", f"{cursor[:80]!r} is not accepted; give the next_cursor of the page before")
        raise InvalidInput("the cursor is not accepted", [fault])
    return int(cursor)
