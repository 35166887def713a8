"""The set-wise input of reports."""

import json
import math
from collections.abc import Callable
from datetime import datetime

import pandas as pd
from sqlalchemy import Connection

from actinium.frame import Outcome, TrialSummary
from actinium.job import FailureClass
from actinium.measurements import mixed
from actinium.study import Design
from db import queue, reports, studies

Make = Callable[..., Design]
Summarize = Callable[..., TrialSummary]


def test_the_table_has_a_row_a_trial_and_a_column_a_metric(
    connection: Connection, design: Make, summary: Summarize, now: datetime
) -> None:
    study_id = studies.create(connection, design(), owner="ada", now=now)
    studies.create(connection, design(name="other"), owner="ada", now=now)
    first, second, third, fourth = queue.lease(connection, now=now, holder="d", lease_seconds=30, width=4)
    results = [
        (second, summary(outcome=Outcome.DIVERGED, steps=7, metrics={"validation_loss": 3, "odd/layer_01": 1e-30})),
        (fourth, summary(metrics={"validation_loss": 0.1, "test_error": math.nan})),
    ]
    queue.complete_many(connection, now=now, results=results)
    for _ in range(2):
        queue.fail(connection, now=now, attempts=[first], failure_class=FailureClass.TRIAL, error="e")
        (first, *_) = queue.lease(connection, now=now, holder="d", lease_seconds=30, width=1)

    table = reports.trials_table(connection, study_id)
    assert list(table.columns) == [
        "trial_id",
        "cell",
        "seed",
        "state",
        "outcome",
        "steps",
        "odd/layer_01",
        "validation_loss",
    ]
    assert table["state"].tolist() == ["failed", "succeeded", "leased", "succeeded"]
    assert table["outcome"].tolist() == [None, "diverged", None, "converged"]
    assert table["cell"].tolist() == [0, 1, 0, 1]
    assert table["seed"].tolist() == [0, 0, 1, 1]
    pd.testing.assert_series_equal(
        table["validation_loss"], pd.Series([math.nan, 3.0, math.nan, 0.1]), check_names=False
    )
    assert table["odd/layer_01"].dropna().tolist() == [1e-30]
    assert table["steps"].tolist()[1] == 7
    assert third.trial_id in table["trial_id"].tolist()


def test_a_study_that_has_not_begun_has_a_table_without_metrics(
    connection: Connection, design: Make, now: datetime
) -> None:
    study_id = studies.create(connection, design(), owner="ada", now=now)
    table = reports.trials_table(connection, study_id)
    assert table.shape == (4, 6)
    assert reports.curves(connection, study_id).empty


def test_definitions_that_differ_between_trials_are_found(
    connection: Connection, design: Make, summary: Summarize, now: datetime
) -> None:
    study_id = studies.create(connection, design(), owner="ada", now=now)
    assert reports.measurement_versions(connection, study_id) == []
    first, second, third, _ = queue.lease(connection, now=now, holder="d", lease_seconds=30, width=4)
    later = summary().model_copy(update={"measurement_versions": {"srank": 2}})
    queue.complete_many(connection, now=now, results=[(first, summary()), (second, later), (third, later)])
    assert mixed(reports.measurement_versions(connection, study_id)) == {"srank": [1, 2]}
    by_trial = reports.versions_by_trial(connection, study_id)
    assert {trial: json.loads(said) for trial, said in by_trial.items()} == {
        second.trial_id: {"srank": 2},
        third.trial_id: {"srank": 2},
    }
