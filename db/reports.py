"""The set-wise input of a report."""

import io
import json

import pandas as pd
import pyarrow as pa
import pyarrow.json
from sqlalchemy import Connection, select

from actinium.job import StudyId
from db import frames
from db.models import summaries
from db.statements import statement


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
            "outcome": pd.Series([row.outcome for row in rows], dtype=object),
            "steps": pd.Series([row.steps for row in rows], dtype="float64"),
        }
    )
    metrics = _metrics([row.metrics or "{}" for row in rows])
    return pd.concat([table, metrics], axis="columns")


def measurement_versions(conn: Connection, study_id: StudyId) -> list[dict[str, int]]:
    """The versions of measurements that the study's summaries hold, each combination once."""
    rows = conn.execute(statement("measurement_versions"), {"study_id": study_id})
    return [json.loads(row.versions) for row in rows]


def versions_by_trial(conn: Connection, study_id: StudyId) -> dict[int, str]:
    """By trial, the versions of its measurements that are not 1, as JSON; trials that have none are absent."""
    versions = summaries.c.measurement_versions
    wanted = select(summaries.c.trial_id, versions).where(summaries.c.study_id == study_id, versions != "{}")
    return {row.trial_id: row.measurement_versions for row in conn.execute(wanted)}


def curves(conn: Connection, study_id: StudyId, name: str = "validation_loss") -> pd.DataFrame:
    """A series of all trials that succeeded: trial_id, step, value."""
    return frames.series(conn, study_id, name)


def _metrics(documents: list[str]) -> pd.DataFrame:
    """A row a document {metric: number}; parsed in bulk, since a large study has tens of megabytes of them."""
    if not any(document != "{}" for document in documents):
        return pd.DataFrame(index=range(len(documents)))
    text = "\n".join(documents).encode()
    options = pa.json.ReadOptions(block_size=max(len(text) + 1, 1 << 20))
    table = pa.json.read_json(io.BytesIO(text), read_options=options)
    columns = {name: table.column(name).cast(pa.float64()).to_pandas() for name in sorted(table.column_names)}
    return pd.DataFrame(columns)
