"""What MLflow should show and does not: asked for by people (`mirror_anew`), and found by the sink's inspection."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from actinium.job import StudyId
from db import outbox
from db.models import mirror_findings, mirrored_studies, mirrored_trials, studies, trials
from db.statements import statement


@dataclass(frozen=True, kw_only=True)
class MirroredStudy:
    """A study that has an experiment in MLflow."""

    study_id: StudyId
    experiment_id: str


@dataclass(frozen=True, kw_only=True)
class Missing:
    """What MLflow lacks of a study. `experiment`: None where it is there, else what became of it (`deleted` or
    `missing`). `deleted_runs`: how many of the runs that were mirrored somebody has deleted.
    """

    study_id: StudyId
    name: str
    experiment: str | None
    deleted_runs: int
    seen_at: datetime


def mirror_anew(conn: Connection, study_id: StudyId, *, whole: bool) -> int:
    """Put a study and its trials in the outbox, to be compared with what MLflow shows and put right; how many trials.
    `whole`: every run is made anew, whatever it shows.
    """
    due = list(conn.execute(statement("mirror_anew"), {"study_id": study_id, "whole": whole}).scalars())
    outbox.announce(conn, kind="trial", subjects=due)
    outbox.announce(conn, kind="study", subjects=[study_id])
    conn.execute(delete(mirror_findings).where(mirror_findings.c.study_id == study_id))
    return len(due)


def next_mirrored(conn: Connection, *, after: int) -> MirroredStudy | None:
    """The mirrored study that comes after this id; None behind the last."""
    wanted = select(mirrored_studies).where(mirrored_studies.c.study_id > after).order_by(mirrored_studies.c.study_id)
    row = conn.execute(wanted.limit(1)).one_or_none()
    return None if row is None else MirroredStudy(study_id=StudyId(row.study_id), experiment_id=row.experiment_id)


def count_runs(conn: Connection, study_id: StudyId, runs: Collection[str]) -> int:
    """How many of these runs of MLflow show a trial of the study now."""
    shown = select(func.count()).select_from(mirrored_trials.join(trials, trials.c.id == mirrored_trials.c.trial_id))
    wanted = shown.where(trials.c.study_id == study_id, mirrored_trials.c.run_id.in_(runs))
    return int(conn.execute(wanted).scalar_one()) if runs else 0


def record(
    conn: Connection, study_id: StudyId, *, experiment: str | None, deleted_runs: int, seen_at: datetime
) -> None:
    """Remember what is missing of a study, or that nothing is."""
    conn.execute(delete(mirror_findings).where(mirror_findings.c.study_id == study_id))
    if experiment is not None or deleted_runs:
        row = {"study_id": study_id, "experiment": experiment, "deleted_runs": deleted_runs, "seen_at": seen_at}
        conn.execute(insert(mirror_findings).values(row).on_conflict_do_nothing())


def missing(conn: Connection) -> list[Missing]:
    """What is missing, study by study."""
    found = select(mirror_findings, studies.c.name).join(studies, studies.c.id == mirror_findings.c.study_id)
    return [Missing(**row._mapping) for row in conn.execute(found.order_by(mirror_findings.c.study_id))]
