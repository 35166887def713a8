"""What the API answers, field by field."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from actinium.errors import FieldError, InvalidInput
from actinium.frame import Outcome, TrialSummary
from actinium.job import Cause, JobState, Role, StudyState
from actinium.measurements.definition import DefinedOf, Kind, NetworkValue
from actinium.names import PERSON_NAME
from actinium.paths import Cell

LONGEST_DAYS = 3660
"""How long a token that expires may live."""


class Answer(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class InvalidDesignDocument(Answer):
    """A cell that is structurally impossible, and why."""

    cell: Cell
    reason: str


class CountsDocument(Answer):
    """Trials by state and by outcome; every key is always there."""

    states: Mapping[JobState, int]
    outcomes: Mapping[Outcome, int]


class Estimate(Answer):
    """What a study costs: trials, optimizer steps in all, and seconds where that is known."""

    trials: int
    steps: int
    seconds: float | None = None


class StudyItem(Answer):
    """A study as the history lists it. `reused` of the trials that succeeded were taken from the history."""

    id: int
    name: str
    project: str
    description: str
    tags: Mapping[str, str]
    owner: str
    priority: int
    state: StudyState
    revision: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancelled_at: datetime | None
    archived_at: datetime | None
    cells: int
    trials: int
    counts: CountsDocument
    reused: int
    progress: float
    links: Mapping[str, str | None]


class StudyDocument(StudyItem):
    """A study with everything."""

    notes: str
    spec: Mapping[str, Any]
    invalid_designs: Sequence[InvalidDesignDocument]


class Retried(StudyDocument):
    """A study of which `retried` trials were queued again."""

    retried: int


class ExtendedStudy(StudyDocument):
    """A study that was extended by `added_cells` and `added_trials`."""

    added_cells: int
    added_trials: int


class TrialDocument(Answer):
    """A trial with what came of it."""

    id: int
    study_id: int
    cell: Cell
    cell_index: int
    seed: int
    digest: str
    reused_from: int | None
    state: JobState
    attempt: int
    outcome: Outcome | None
    summary: TrialSummary | None
    error: str | None
    links: Mapping[str, str | None]


class EventDocument(Answer):
    """A change of a trial's state: why, and who held the attempt (a dispatcher) or asked (a person)."""

    at: datetime
    state: JobState
    attempt: int
    cause: Cause
    who: str | None
    reason: str | None


class TrialHistory(Answer):
    """All that happened to a trial since it was queued."""

    trial_id: int
    events: Sequence[EventDocument]


Spelled: TypeAlias = float | Literal["NaN", "Infinity", "-Infinity"]
"""A number in JSON, which has no NaN and no infinity: those are words."""


class MetricDocument(Answer):
    """What is measured under one name, as `docs/measurements.md` explains it field by field. `low` and `high` are null
    where there is no such bound, `smaller_is_better` where neither is. With a `parameter` the name ends in its value:
    `dormant_rate_0.025`. What is `defined` of a unit or a layer is there for each hidden layer: `NAME/layer_03`.
    """

    name: str
    label: str
    definition: str
    family: str
    section: str
    defined: DefinedOf
    network: NetworkValue
    kind: Kind
    unit: str
    low: float | None
    high: float | None
    smaller_is_better: bool | None
    version: int
    parameter: str
    usual: str
    frames_only: bool
    summary_only: bool
    reported: bool


class CatalogueDocument(Answer):
    """Levels, models, datasets and objectives that studies can be made of, and the metrics of trials and reports."""

    activations: Sequence[Mapping[str, Any]]
    normalizations: Sequence[Mapping[str, Any]]
    initializations: Sequence[Mapping[str, Any]]
    models: Sequence[Mapping[str, Any]]
    datasets: Sequence[Mapping[str, Any]]
    objectives: Sequence[Mapping[str, Any]]
    metrics: Sequence[MetricDocument]


class FramesDocument(Answer):
    """What a trial's current attempt measured: a row of `values` a step, in the order of `series`."""

    trial_id: int
    attempt: int
    series: Sequence[str]
    steps: Sequence[int]
    times: Sequence[Spelled]
    values: Sequence[Sequence[Spelled]]


class ArtifactDocument(Answer):
    """An array that a trial left; `values` in one row."""

    name: str
    shape: Sequence[int]
    values: Sequence[Spelled]


class StudyList(Answer):
    """A page of the history, newest first."""

    items: Sequence[StudyItem]
    next_cursor: str | None


class TrialList(Answer):
    """A page of a study's trials."""

    items: Sequence[TrialDocument]
    next_cursor: str | None


class AuditDocument(Answer):
    """A deed: `who` did the `action` to the `subject`, such as `study 7`; `detail` says what it was."""

    id: int
    at: datetime
    who: str
    action: str
    subject: str
    detail: Mapping[str, Any]


class AuditList(Answer):
    """A page of the audit, newest first."""

    items: Sequence[AuditDocument]
    next_cursor: str | None


class TokenDocument(Answer):
    """A token without its secret."""

    id: int
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


def _moment(given: Any) -> Any:
    """A moment in words; pydantic would take numbers for seconds since 1970, too."""
    if isinstance(given, str):
        return datetime.fromisoformat(given)
    if given is None or isinstance(given, datetime):
        return given
    raise ValueError("should be a moment with its time zone, as 2027-01-31T00:00:00Z")


class TokenRequest(BaseModel):
    """A token to be made. It expires at a moment, or after some days, or never."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=120, pattern=PERSON_NAME.pattern)]
    role: Role
    expires_at: Annotated[AwareDatetime | None, BeforeValidator(_moment)] = None
    expires_in_days: Annotated[float | None, Field(strict=True, gt=0, le=LONGEST_DAYS)] = None

    def expiry(self, now: datetime) -> datetime | None:
        """When it expires, seen from now; InvalidInput where that cannot be meant."""
        if self.expires_in_days is not None:
            if self.expires_at is not None:
                fault = FieldError("expires_in_days", "stands beside expires_at; give one of the two")
                raise InvalidInput("the token is not accepted", [fault])
            return now + timedelta(days=self.expires_in_days)
        if self.expires_at is not None and not now < self.expires_at <= now + timedelta(days=LONGEST_DAYS):
            message = f"{self.expires_at} is not accepted: should be later than now, in {LONGEST_DAYS} days at most"
            raise InvalidInput("the token is not accepted", [FieldError("expires_at", message)])
        return self.expires_at


class TokenCreated(TokenDocument):
    """A new token; `token` is its secret, shown this once. `namesakes` other tokens of its name open what it opens."""

    token: str
    namesakes: int


class StudyChanges(BaseModel):
    """What may be changed of a study; what is not named stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    description: str = ""
    tags: dict[str, str] = Field(default_factory=dict)
    notes: Annotated[str, Field(max_length=100_000)] = ""
    priority: int = 0


class Curve(Answer):
    """A cell's series by step: mean over its trials, 95% interval (null with fewer than two), and how many."""

    cell: Cell
    steps: Sequence[int]
    mean: Sequence[float]
    low: Sequence[float | None]
    high: Sequence[float | None]
    n: Sequence[int]


class Curves(Answer):
    """One series of every cell of a study."""

    series: str
    curves: Sequence[Curve]
