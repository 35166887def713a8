"""What reports and exports read of a study in few queries, from report rows that are written with each summary.

Shapes: N trials that succeeded, M metrics, E evaluations of all of them.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from actinium.frame import Layout, Outcome, TrialSummary
from actinium.job import Attempt, JobState, StudyId
from db.binary_copy import psycopg_connection
from db.frames import layout_id
from db.models import report_rows
from db.statements import source, statement

PAGE = 50_000
"""Rows read at once: far from the 1 GB that one value may have."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A study's succeeded trials, and their validation losses by step.

    `trials`: trial_id, cell (index), seed, state, outcome, steps, and a column a metric, NaN where it was not measured.
    `curves`: trial_id, step, value; each trial's evaluations together and in order. `versions`: those of measurements
    that the trials hold, each combination once.
    """

    trials: pd.DataFrame
    curves: pd.DataFrame
    versions: list[dict[str, int]]


def write_rows(conn: Connection, results: Sequence[tuple[Attempt, TrialSummary]]) -> None:
    """The report rows of trials that have just succeeded, in the transaction that wrote their summaries."""
    if not results:
        return
    found = {name for _, summary in results for name, value in summary.metrics.items() if math.isfinite(value)}
    names = sorted(found, key=_order)
    metrics = np.array([[summary.metrics.get(name, math.nan) for name in names] for _, summary in results], dtype=">f8")
    metrics[~np.isfinite(metrics)] = np.nan
    parameters = {
        "trial_ids": [attempt.trial_id for attempt, _ in results],
        "attempts": [attempt.attempt for attempt, _ in results],
        "outcomes": [summary.outcome.value for _, summary in results],
        "steps": [summary.steps for _, summary in results],
        "versions": [json.dumps(summary.measurement_versions, sort_keys=True) for _, summary in results],
        "metrics": metrics.tobytes(),
        "bytes": 8 * len(names),
        "layout_id": layout_id(conn, Layout(series=tuple(names))),
    }
    conn.execute(statement("report_rows_write"), parameters)


def metric_names(conn: Connection, study_id: StudyId) -> frozenset[str]:
    """Every metric that a trial of the study has, those of layers included; empty before the first result."""
    return frozenset(name for _, series in _layouts(conn, study_id) for name in series)


def finished(conn: Connection, study_id: StudyId, *, wanted: Callable[[str], bool] = lambda _: True) -> Finished:
    """The succeeded trials with those metrics that are wanted. None asked for single layers: those are not read."""
    layouts = _layouts(conn, study_id)
    chosen = {number: [at for at, name in enumerate(series) if wanted(name)] for number, series in layouts}
    names = sorted({series[at] for number, series in layouts for at in chosen[number]}, key=_order)
    place = {name: at for at, name in enumerate(names)}
    pages, values = [], []
    for number, series in layouts:
        length = max(chosen[number], default=-1) + 1
        for page in _pages(conn, study_id, number, length):
            part = np.full((len(page.trial_id), len(names)), np.nan)
            part[:, [place[series[at]] for at in chosen[number]]] = page.metrics[:, chosen[number]]
            pages.append(page)
            values.append(part)
    versions = {said for page in pages for said in page.versions}
    if len(versions) > 1:
        versions |= set(conn.execute(statement("report_versions"), {"study_id": study_id}).scalars())
    return Finished(
        trials=_table(pages, values, names),
        curves=_curves(pages),
        versions=[json.loads(said) for said in sorted(versions)],
    )


def trials_table(conn: Connection, study_id: StudyId) -> pd.DataFrame:
    """A row a trial, in the design's order: trial_id, cell (index), seed, state, outcome, steps, and a column a metric.

    Outcome is None, steps and metrics NaN, where the trial has no summary; a metric is NaN where it was not measured.
    """
    rows = conn.execute(statement("trials_table"), {"study_id": study_id}).all()
    table = pd.DataFrame(
        {
            "trial_id": pd.array([row.trial_id for row in rows], dtype="int64"),
            "cell": pd.array([row.cell_index for row in rows], dtype="int64"),
            "seed": pd.array([row.seed for row in rows], dtype="int64"),
            "state": pd.Series([row.state for row in rows], dtype=object),
        }
    )
    done = finished(conn, study_id).trials
    done = done[["trial_id", "outcome", "steps", *sorted(done.columns[6:])]]
    table = table.merge(done, on="trial_id", how="left")
    table["outcome"] = table["outcome"].astype(object).where(table["outcome"].notna(), None)
    return table


def trials_listed(
    conn: Connection, study_id: StudyId, *, state: JobState | None = None, outcome: Outcome | None = None
) -> pd.DataFrame:
    """A row a trial, in the design's order: id, study_id, cell_index, seed, digest, state, attempt, reused_from,
    outcome, error, seconds, run_id (MLflow's), steps, and a column a metric; None and NaN where there is none.
    """
    wanted = {"state": state and state.value, "outcome": outcome and outcome.value}
    found = conn.execute(statement("trials_listed"), {"study_id": study_id, **wanted})
    table = pd.DataFrame(found.all(), columns=list(found.keys()))
    done = finished(conn, study_id).trials.drop(columns=["cell", "seed", "state", "outcome"])
    done = done[["trial_id", "steps", *sorted(done.columns[2:])]]
    return table.merge(done.rename(columns={"trial_id": "id"}), on="id", how="left")


def versions_by_trial(conn: Connection, study_id: StudyId) -> dict[int, str]:
    """By trial, the versions of its measurements that are not 1, as JSON; trials that have none are absent."""
    versions = report_rows.c.versions
    wanted = select(report_rows.c.trial_id, versions).where(report_rows.c.study_id == study_id, versions != "{}")
    return {row.trial_id: row.versions for row in conn.execute(wanted)}


def _order(name: str) -> tuple[bool, str]:
    """Metrics of the whole network before those of layers: a report that wants no layers reads the front of a row."""
    return "/" in name, name


def _layouts(conn: Connection, study_id: StudyId) -> list[tuple[int, list[str]]]:
    rows = conn.execute(statement("report_layouts"), {"study_id": study_id})
    return [(row.id, list(row.series)) for row in rows]


@dataclass(frozen=True, kw_only=True)
class _Page:
    """Report rows of one layout: `numbers` [N, 3] are cell, seed and steps; `points` [N] evaluations each;
    `versions` the first and the last of those of measurements.
    """

    trial_id: NDArray[np.int64]
    numbers: NDArray[np.int64]
    points: NDArray[np.int64]
    outcome: list[str]
    versions: set[str]
    metrics: NDArray[np.float64]
    curve_steps: NDArray[np.int64]
    curve_losses: NDArray[np.float64]


def _pages(conn: Connection, study_id: StudyId, layout: int, length: int) -> list[_Page]:
    """All rows of one layout with their first `length` metrics."""
    found: list[_Page] = []
    parameters: dict[str, Any] = {"study_id": study_id, "layout_id": layout, "after": 0, "most": PAGE}
    with psycopg_connection(conn).cursor(binary=True) as cursor:
        while True:
            cursor.execute(source("report_rows").encode(), parameters | {"bytes": 8 * length})
            row = cursor.fetchone()
            if row is None or row[0] == 0:
                return found
            count, trial_id, numbers, points, outcome, least, most, metrics, steps, losses = row
            found.append(
                _Page(
                    trial_id=np.frombuffer(trial_id, ">i8").astype(np.int64),
                    numbers=np.frombuffer(numbers, ">i4").astype(np.int64).reshape(count, 3),
                    points=np.frombuffer(points, ">i4").astype(np.int64),
                    outcome=outcome.split(" "),
                    versions={least, most},
                    metrics=np.frombuffer(metrics, ">f8").astype(np.float64).reshape(count, length),
                    curve_steps=np.frombuffer(steps, ">i4").astype(np.int64),
                    curve_losses=np.frombuffer(losses, ">f4").astype(np.float64),
                )
            )
            parameters["after"] = int(found[-1].trial_id[-1])
            if count < PAGE:
                return found


def _table(pages: Sequence[_Page], values: Sequence[NDArray[np.float64]], names: Sequence[str]) -> pd.DataFrame:
    numbers = np.concatenate([page.numbers for page in pages] or [np.empty((0, 3), dtype=np.int64)])
    table = pd.DataFrame(
        {
            "trial_id": np.concatenate([page.trial_id for page in pages] or [np.empty(0, dtype=np.int64)]),
            "cell": numbers[:, 0],
            "seed": numbers[:, 1],
            "state": pd.Series(["succeeded"] * len(numbers), dtype=object),
            "outcome": pd.Series([word for page in pages for word in page.outcome], dtype=object),
            "steps": numbers[:, 2].astype(np.float64),
        }
    )
    metrics = np.concatenate(list(values) or [np.empty((0, len(names)))])
    return pd.concat([table, pd.DataFrame(metrics, columns=list(names))], axis="columns")


def _curves(pages: Sequence[_Page]) -> pd.DataFrame:
    empty = np.empty(0, dtype=np.int64)
    return pd.DataFrame(
        {
            "trial_id": np.concatenate([np.repeat(page.trial_id, page.points) for page in pages] or [empty]),
            "step": np.concatenate([page.curve_steps for page in pages] or [empty]),
            "value": np.concatenate([page.curve_losses for page in pages] or [empty.astype(np.float64)]),
        }
    )
