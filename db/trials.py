"""Trials and cells of a study, one by one or a page at a time."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Row, Select, func, select, union_all

from actinium.errors import NotFound
from actinium.frame import Outcome, TrialSummary
from actinium.job import FailureClass, JobState, StudyId, TrialId
from actinium.paths import Cell
from actinium.study import DesignCell
from actinium.trial import SharedParts, TrialConfig
from db.models import cells as cell_rows
from db.models import jobs, mirrored_studies, mirrored_trials, summaries, trials
from db.rows import LARGEST_ID, MOST_ITEMS, Page, TrialRow, cursor_id


def trials_page(
    conn: Connection,
    study_id: StudyId,
    *,
    cursor: str | None = None,
    limit: int = 100,
    state: JobState | None = None,
    outcome: Outcome | None = None,
) -> Page[TrialRow]:
    """Trials in the design's order: seed by seed, each with its cells."""
    limit = max(1, min(limit, MOST_ITEMS))
    wanted = _selected().where(trials.c.study_id == study_id, trials.c.place >= cursor_id(cursor, default=0))
    if state is not None:
        wanted = wanted.where(jobs.c.study_id == study_id, jobs.c.place == trials.c.place, jobs.c.state == state.value)
    if outcome is not None:
        wanted = wanted.where(trials.c.id.in_(_with_outcome(study_id, outcome)))
    rows = conn.execute(wanted.order_by(trials.c.place).limit(limit + 1)).all()
    items = [_trial(row) for row in rows[:limit]]
    return Page(items=items, next_cursor=str(rows[limit].place) if len(rows) > limit else None)


def trial(conn: Connection, trial_id: TrialId) -> TrialRow:
    """One trial. NotFound."""
    known = 0 < trial_id <= LARGEST_ID
    row = conn.execute(_selected().where(trials.c.id == trial_id)).one_or_none() if known else None
    if row is None:
        raise NotFound(f"there is no trial {trial_id}")
    return _trial(row)


def trial_config(conn: Connection, trial_id: TrialId) -> TrialConfig:
    """A trial's whole config. NotFound."""
    config = select(cell_rows.c.config, trials.c.seed).join_from(trials, cell_rows)
    row = conn.execute(config.where(trials.c.id == trial_id)).one_or_none() if 0 < trial_id <= LARGEST_ID else None
    if row is None:
        raise NotFound(f"there is no trial {trial_id}")
    return TrialConfig.model_validate(row.config | {"seed": row.seed})


def cells(conn: Connection, study_id: StudyId) -> list[DesignCell]:
    """A study's cells in order of index; their configs carry the seed 0."""
    wanted = select(cell_rows.c["index"].label("number"), cell_rows.c.levels, cell_rows.c.config)
    shared = SharedParts()
    return [
        DesignCell(index=row.number, cell=row.levels, config=shared.of(TrialConfig.model_validate(row.config)))
        for row in conn.execute(wanted.where(cell_rows.c.study_id == study_id).order_by(cell_rows.c["index"]))
    ]


def levels(conn: Connection, study_id: StudyId) -> dict[int, Cell]:
    """The levels of a study's cells by index, without their configs."""
    wanted = select(cell_rows.c["index"].label("number"), cell_rows.c.levels).where(cell_rows.c.study_id == study_id)
    return {row.number: row.levels for row in conn.execute(wanted.order_by(cell_rows.c["index"]))}


def reused(conn: Connection, study_id: StudyId) -> dict[int, int]:
    """By trial of a study that was reused, the trial whose result it shows."""
    linked = trials.c.reused_from.is_not(None)
    wanted = select(trials.c.id, trials.c.reused_from).where(trials.c.study_id == study_id, linked)
    return {row.id: row.reused_from for row in conn.execute(wanted)}


def first_to_succeed(conn: Connection, study_id: StudyId, cell: int, *, most: int) -> list[tuple[int, datetime]]:
    """The trials of a cell that succeeded first, and when. Reused ones count as done when their study took them."""
    wanted = (
        select(trials.c.id, jobs.c.finished_at)
        .join(jobs, jobs.c.trial_id == trials.c.id)
        .where(trials.c.study_id == study_id, trials.c.cell_index == cell, jobs.c.state == JobState.SUCCEEDED.value)
        .order_by(jobs.c.finished_at, trials.c.seed)
        .limit(most)
    )
    return [(row.id, row.finished_at) for row in conn.execute(wanted)]


def reused_by_cell(conn: Connection, study_id: StudyId) -> dict[int, int]:
    """By index of a cell, how many of its trials were reused; cells without any are absent."""
    linked = trials.c.reused_from.is_not(None)
    counted = select(trials.c.cell_index, func.count().label("n")).where(trials.c.study_id == study_id, linked)
    return {row.cell_index: row.n for row in conn.execute(counted.group_by(trials.c.cell_index))}


def _selected() -> Select[Any]:
    columns: list[ColumnElement[Any]] = [
        *trials.c,
        cell_rows.c.levels,
        *jobs.c["state", "attempt", "failure_class", "error", "leased_at", "finished_at"],
        summaries.c.summary,
        mirrored_trials.c.run_id,
        mirrored_studies.c.experiment_id,
    ]
    return (
        select(*columns)
        .join_from(trials, cell_rows)
        .join(jobs, jobs.c.trial_id == trials.c.id)
        .outerjoin(summaries, summaries.c.trial_id == func.coalesce(trials.c.reused_from, trials.c.id))
        .outerjoin(mirrored_trials, mirrored_trials.c.trial_id == trials.c.id)
        .outerjoin(mirrored_studies, mirrored_studies.c.study_id == trials.c.study_id)
    )


def _with_outcome(study_id: StudyId, outcome: Outcome) -> CompoundSelect[Any]:
    """The trials of a study that came out so, those that were reused behind the others."""
    trained = select(summaries.c.trial_id).where(summaries.c.study_id == study_id, summaries.c.outcome == outcome.value)
    linked = select(trials.c.id).join_from(trials, summaries, summaries.c.trial_id == trials.c.reused_from)
    return union_all(
        trained,
        linked.where(
            trials.c.study_id == study_id, trials.c.reused_from.is_not(None), summaries.c.outcome == outcome.value
        ),
    )


def _trial(row: Row[Any]) -> TrialRow:
    summary = None if row.summary is None else TrialSummary.model_validate(row.summary)
    return TrialRow(
        id=TrialId(row.id),
        study_id=StudyId(row.study_id),
        cell_index=row.cell_index,
        cell=row.levels,
        seed=row.seed,
        digest=row.digest,
        reused_from=None if row.reused_from is None else TrialId(row.reused_from),
        state=JobState(row.state),
        attempt=row.attempt,
        outcome=None if summary is None else summary.outcome,
        summary=summary,
        failure_class=None if row.failure_class is None else FailureClass(row.failure_class),
        error=row.error,
        leased_at=row.leased_at,
        finished_at=row.finished_at,
        run_id=row.run_id,
        experiment_id=row.experiment_id,
    )
