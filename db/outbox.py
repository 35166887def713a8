"""The outbox: the studies and trials of which MLflow does not have the newest state.

A row is written in the transaction that changes a study or trial, and names it, not the change; the sink then reads its
state of that moment. A trial that trains while the sink is down for a week therefore costs one row. The sink claims
rows for a while, works outside any transaction, and ends each claim with `advance_trial`, `advance_study` or `defer`;
claims of a sink that died expire. News is so mirrored at least once, and the sink's writes must be idempotent.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from actinium.frame import TrialSummary
from actinium.job import Attempt, JobState, StudyId, TrialId
from actinium.trial import TrialConfig
from db.models import mirror_removals, mirrored_studies, studies
from db.models import outbox as rows
from db.statements import statement

Kind: TypeAlias = Literal["study", "trial"]


@dataclass(frozen=True, kw_only=True)
class StudyNews:
    """A study was created or renamed. `experiment_id` is None until it has been mirrored once."""

    version: int
    study_id: StudyId
    project: str
    name: str
    experiment_id: str | None


@dataclass(frozen=True, kw_only=True)
class TrialNews:
    """A trial has new frames or came to an end.

    `mirrored_attempt` and `mirrored_step` are how far the mirror is (None and -1 before the first time); when
    `restarted`, what it has is of an earlier attempt, and must go. `closed` is the final state that was mirrored.
    `trained` is the attempt whose frames are shown: of this trial, or of the one it was reused from.
    """

    version: int
    trial_id: TrialId
    study_id: StudyId
    project: str
    study_name: str
    experiment_id: str | None
    cell_index: int
    config: TrialConfig
    digest: str
    state: JobState
    attempt: int
    reused_from: TrialId | None
    trained: Attempt
    summary: TrialSummary | None
    error: str | None
    leased_at: datetime | None
    finished_at: datetime | None
    run_id: str | None
    mirrored_attempt: int | None
    mirrored_step: int
    closed: JobState | None

    @property
    def restarted(self) -> bool:
        """Whether the mirror holds an earlier attempt."""
        return self.mirrored_attempt is not None and self.mirrored_attempt < self.attempt


@dataclass(frozen=True, kw_only=True)
class Removal:
    """A study was deleted, and its experiment in MLflow is to be."""

    study_id: StudyId
    experiment_id: str


MirrorNews: TypeAlias = StudyNews | TrialNews


def announce(conn: Connection, *, kind: Kind, subjects: Collection[int]) -> None:
    """Say that these studies or trials have news, due at once; in the transaction that makes it."""
    if subjects:
        conn.execute(statement("announce"), {"kind": kind, "subject_ids": sorted(subjects)})


def pending(conn: Connection, *, now: datetime, limit: int, claim_seconds: float = 60.0) -> list[MirrorNews]:
    """Claim at most `limit` pieces of news, studies first. Commit, then mirror them within `claim_seconds`."""
    until = now + timedelta(seconds=claim_seconds)
    claimed = conn.execute(statement("outbox_claim"), {"now": now, "until": until, "most": limit}).all()
    of_studies = {row.subject_id: row.version for row in claimed if row.kind == "study"}
    of_trials = {row.subject_id: row.version for row in claimed if row.kind == "trial"}
    return [*_study_news(conn, of_studies), *_trial_news(conn, of_trials)]


def removals(conn: Connection, *, now: datetime, limit: int, claim_seconds: float = 60.0) -> list[Removal]:
    """Claim at most `limit` experiments to delete. Commit, then delete them within `claim_seconds`."""
    until = now + timedelta(seconds=claim_seconds)
    claimed = conn.execute(statement("removals_claim"), {"now": now, "until": until, "most": limit})
    return [Removal(study_id=StudyId(row.study_id), experiment_id=row.experiment_id) for row in claimed]


def removed(conn: Connection, study_id: StudyId) -> None:
    """The experiment of a deleted study is deleted, too."""
    conn.execute(delete(mirror_removals).where(mirror_removals.c.study_id == study_id))


def advance_study(conn: Connection, *, now: datetime, news: StudyNews, experiment_id: str) -> None:
    """The study's experiment is there and has its name."""
    row = {"study_id": news.study_id, "experiment_id": experiment_id}
    conn.execute(insert(mirrored_studies).values(row).on_conflict_do_update(index_elements=["study_id"], set_=row))
    _forget(conn, now=now, kind="study", subject_id=news.study_id, version=news.version, complete=True)


def advance_trial(
    conn: Connection,
    *,
    now: datetime,
    news: TrialNews,
    run_id: str,
    step: int,
    closed: JobState | None = None,
    complete: bool = True,
) -> None:
    """The run `run_id` shows this attempt's frames up to `step`, and its end if `closed`.

    `complete=False`: there is more of it than was mirrored this time, so that it stays due.
    """
    parameters = {
        "trial_id": news.trial_id,
        "run_id": run_id,
        "attempt": news.attempt,
        "step": step,
        "closed": closed.value if closed else None,
    }
    conn.execute(statement("mirrored_trial"), parameters)
    _forget(conn, now=now, kind="trial", subject_id=news.trial_id, version=news.version, complete=complete)


def defer(conn: Connection, *, now: datetime, news: Sequence[MirrorNews], seconds: float) -> None:
    """This news could not be mirrored; try again in a while. Trials before studies, as everybody locks them."""
    keys = [("study", item.study_id) if isinstance(item, StudyNews) else ("trial", item.trial_id) for item in news]
    for kind, subject in sorted(keys, key=lambda key: (key[0] == "study", key[1])):
        conn.execute(
            update(rows)
            .where(rows.c.kind == kind, rows.c.subject_id == subject)
            .values(available_at=now + timedelta(seconds=seconds))
        )


def waiting(conn: Connection, *, most: int) -> int:
    """How many studies and trials have news that is not mirrored, counted up to `most`."""
    return int(conn.execute(statement("outbox_waiting"), {"most": most}).scalar_one())


def _forget(conn: Connection, *, now: datetime, kind: Kind, subject_id: int, version: int, complete: bool) -> None:
    parameters = {"now": now, "kind": kind, "subject_id": subject_id, "version": version, "complete": complete}
    conn.execute(statement("outbox_forget"), parameters)


def _study_news(conn: Connection, versions: dict[int, int]) -> list[StudyNews]:
    columns = (studies.c.id, studies.c.project, studies.c.name, mirrored_studies.c.experiment_id)
    found = select(*columns).outerjoin_from(studies, mirrored_studies).where(studies.c.id.in_(versions))
    return [
        StudyNews(
            version=versions[row.id],
            study_id=StudyId(row.id),
            project=row.project,
            name=row.name,
            experiment_id=row.experiment_id,
        )
        for row in conn.execute(found.order_by(studies.c.id))
    ]


def _trial_news(conn: Connection, versions: dict[int, int]) -> list[TrialNews]:
    found = conn.execute(statement("outbox_trials"), {"trial_ids": list(versions)}).all()
    configs: dict[tuple[int, int], TrialConfig] = {}
    for row in found:
        if (row.study_id, row.cell_index) not in configs:
            configs[row.study_id, row.cell_index] = TrialConfig.model_validate_json(row.config)
    return [
        TrialNews(
            version=versions[row.trial_id],
            trial_id=TrialId(row.trial_id),
            study_id=StudyId(row.study_id),
            project=row.project,
            study_name=row.name,
            experiment_id=row.experiment_id,
            cell_index=row.cell_index,
            config=configs[row.study_id, row.cell_index].model_copy(update={"seed": row.seed}),
            digest=row.digest,
            state=JobState(row.state),
            attempt=row.attempt,
            reused_from=None if row.reused_from is None else TrialId(row.reused_from),
            trained=Attempt(trial_id=TrialId(row.reused_from or row.trial_id), attempt=row.trained_attempt),
            summary=None if row.summary is None else TrialSummary.model_validate(row.summary),
            error=row.error,
            leased_at=row.leased_at,
            finished_at=row.finished_at,
            run_id=row.run_id,
            mirrored_attempt=row.mirrored_attempt,
            mirrored_step=-1 if row.mirrored_attempt != row.attempt else row.mirrored_step,
            closed=None if row.closed is None else JobState(row.closed),
        )
        for row in sorted(found, key=lambda row: row.trial_id)
    ]
