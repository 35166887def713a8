"""What a study has lost, doubled or changed, counted in the record and by MLflow's own client."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from sqlalchemy import Connection, Engine, text

RECORD = """
    SELECT trials.id, trials.digest, jobs.state, jobs.attempt, summaries.summary AS summary,
        (SELECT count(DISTINCT attempt) FROM frames WHERE trial_id = trials.id) AS attempts_with_frames,
        (SELECT array_agg(step ORDER BY step) FROM frames
            WHERE trial_id = trials.id AND attempt = jobs.attempt) AS steps,
        (SELECT count(*) FROM trial_events
            WHERE trial_id = trials.id AND trial_events.state = 'succeeded') AS successes,
        (SELECT count(*) FROM outbox WHERE kind = 'trial' AND subject_id = trials.id) AS untold
    FROM trials
    JOIN jobs ON jobs.trial_id = trials.id
    LEFT JOIN summaries ON summaries.trial_id = trials.id AND summaries.attempt = jobs.attempt
    WHERE trials.study_id = :study
"""
UNTOLD = """
    SELECT count(*) FROM outbox JOIN trials ON trials.id = outbox.subject_id
    WHERE outbox.kind = 'trial' AND trials.study_id = :study
"""
OF_THE_CLOCK = ("seconds", "probe_seconds", "pack_width")
"""What a summary says of how it was computed: the clock's and the company's, not the trial's."""
ROUNDING = 1e-4
"""Relative, and absolute for what is small. Seen between packs of different widths: 3e-6."""
FLIPS = 5e-4
"""The same for activation rates, which count a layer's outputs above zero: one that is zero but for rounding falls on
either side. Seen in one of 2,000 trials: one output of 7,168, 1.4e-4 of the rate; allowed are three.
"""

Record: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Account:
    """Trials by what became of them. `retried`: how many needed more than one attempt; `bitwise`: how many have the
    numbers of the undisturbed study to the last bit.
    """

    trials: int
    retried: int
    bitwise: int
    lost: int
    duplicated: int
    differing: int
    mlflow_missing: int

    def is_clean(self) -> bool:
        """Whether nothing happened to any trial."""
        return not (self.lost or self.duplicated or self.differing or self.mlflow_missing)


def untold(engine: Engine, study: int) -> int:
    """How many trials have news that MLflow has not been told."""
    with engine.connect() as conn:
        return int(conn.execute(text(UNTOLD), {"study": study}).scalar_one())


def reckon(engine: Engine, mlflow: MlflowClient, *, study: int, undisturbed: int, experiment: str) -> Account:
    """The account of `study`, whose digests are those of the study `undisturbed`."""
    with engine.connect() as conn:
        record, expected = _record(conn, study), _record(conn, undisturbed)
    assert record.keys() == expected.keys(), "the two studies are not of the same trials"
    assert all(row["summary"] is not None for row in expected.values()), "the undisturbed study did not succeed"
    runs = runs_by_trial(mlflow, experiment)
    return Account(
        trials=len(record),
        retried=sum(row["attempt"] > 1 for row in record.values()),
        bitwise=sum(
            row["summary"] is not None and _numbers(row["summary"]) == _numbers(expected[digest]["summary"])
            for digest, row in record.items()
        ),
        lost=sum(row["state"] != "succeeded" or row["summary"] is None for row in record.values()),
        duplicated=sum(is_doubled(row, runs.get(row["id"], [])) for row in record.values()),
        differing=sum(differs(row, expected[digest]) for digest, row in record.items()),
        mlflow_missing=sum(not is_mirrored(row, runs.get(row["id"], [])) for row in record.values()),
    )


def is_doubled(row: Record, runs: list[Run]) -> bool:
    """Whether a trial succeeded twice, shows frames of two attempts, has two runs, or news of it is still about."""
    return row["successes"] > 1 or row["attempts_with_frames"] > 1 or len(runs) > 1 or row["untold"] > 0


def differs(row: Record, expected: Record) -> bool:
    """Whether a trial has another summary than in peace, or a curve of other steps.

    Outcome, steps, and which metrics there are must be equal, and numbers equal to rounding: a lane is the same in any
    company, but the matrix product of a wide pack may add in another order than that of a narrow one. No count of
    units, and no accuracy, is as fine as either tolerance.
    """
    mine, other = row["summary"], expected["summary"]
    if mine is None:
        return False  # it is lost
    if row["steps"] != expected["steps"] or _apart_from_numbers(mine) != _apart_from_numbers(other):
        return True
    a, b = _numbers(mine), _numbers(other)
    return a.keys() != b.keys() or not all(_equal_to_rounding(name, a[name], b[name]) for name in a)


def _equal_to_rounding(name: str, a: float, b: float) -> bool:
    allowed = FLIPS if name.startswith("activation_rate") else ROUNDING
    return math.isclose(a, b, rel_tol=allowed, abs_tol=allowed)


def is_mirrored(row: Record, runs: list[Run]) -> bool:
    """Whether MLflow shows a finished run of the attempt that counts, with all of the summary's metrics."""
    if row["summary"] is None:
        return False
    wanted = row["summary"]["metrics"]
    return any(
        run.info.status == "FINISHED"
        and run.data.tags.get("actinium.attempt") == str(row["attempt"])
        and run.data.tags.get("actinium.outcome") == row["summary"]["outcome"]
        and all(run.data.metrics.get(name) == value for name, value in wanted.items())
        for run in runs
    )


def runs_by_trial(mlflow: MlflowClient, experiment: str) -> dict[int, list[Run]]:
    """The runs of an experiment that are not deleted."""
    found = mlflow.get_experiment_by_name(experiment)
    by_trial: dict[int, list[Run]] = {}
    token: str | None = None
    while found is not None:
        page = mlflow.search_runs([found.experiment_id], max_results=200, page_token=token)
        for run in page:
            by_trial.setdefault(int(run.data.tags["actinium.trial_id"]), []).append(run)
        token = page.token
        if not token:
            break
    return by_trial


def _record(conn: Connection, study: int) -> dict[str, Record]:
    rows = conn.execute(text(RECORD), {"study": study}).mappings().all()
    twice = [digest for digest, times in Counter(row["digest"] for row in rows).items() if times > 1]
    assert not twice, f"trials that are the same: {twice[:3]}"
    return {row["digest"]: dict(row) for row in rows}


def _apart_from_numbers(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in summary.items() if name not in (*OF_THE_CLOCK, "metrics")}


def _numbers(summary: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in summary["metrics"].items() if not name.endswith("_seconds")}
