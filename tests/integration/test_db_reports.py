"""The set-wise input of reports."""

import json
import math
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

from actinium.frame import Frame, Layout, Outcome, TrialSummary
from actinium.job import Attempt, FailureClass
from actinium.measurements import mixed
from actinium.study import Design
from db import frames, queue, reports, studies, trials
from db.statements import source

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


def test_the_first_of_a_cell_to_succeed_stay_the_first(
    connection: Connection, design: Make, summary: Summarize, now: datetime
) -> None:
    """In the order in which they were done, whatever comes later."""
    study_id = studies.create(connection, design(seeds=5), owner="ada", now=now)
    leased = queue.lease(connection, now=now, holder="d", lease_seconds=3000, width=10)
    own = [attempt for number, attempt in enumerate(leased) if number % 2 == 0]
    assert trials.first_to_succeed(connection, study_id, 0, most=3) == []
    found = []
    for minute, attempt in enumerate((own[3], own[0], own[4], own[1], own[2])):
        queue.complete_many(connection, now=now + timedelta(minutes=minute), results=[(attempt, summary())])
        found.append(trials.first_to_succeed(connection, study_id, 0, most=3))
    assert [trial for trial, _ in found[2]] == [own[3].trial_id, own[0].trial_id, own[4].trial_id]
    assert found[2] == found[3] == found[4]
    assert [moment for _, moment in found[2]] == [now + timedelta(minutes=minute) for minute in range(3)]


def test_a_study_that_has_not_begun_has_a_table_without_metrics(
    connection: Connection, design: Make, now: datetime
) -> None:
    study_id = studies.create(connection, design(), owner="ada", now=now)
    table = reports.trials_table(connection, study_id)
    assert table.shape == (4, 6)
    assert reports.finished(connection, study_id).trials.shape == (0, 6)
    assert reports.finished(connection, study_id).curves.empty
    assert reports.metric_names(connection, study_id) == frozenset()


def test_definitions_that_differ_between_trials_are_found(
    connection: Connection, design: Make, summary: Summarize, now: datetime
) -> None:
    study_id = studies.create(connection, design(), owner="ada", now=now)
    assert reports.finished(connection, study_id).versions == []
    first, second, third, fourth = queue.lease(connection, now=now, holder="d", lease_seconds=30, width=4)
    later = summary().model_copy(update={"measurement_versions": {"srank": 2}})
    queue.complete_many(connection, now=now, results=[(first, summary()), (second, later), (third, later)])
    assert mixed(reports.finished(connection, study_id).versions) == {"srank": [1, 2]}
    latest = summary().model_copy(update={"measurement_versions": {"srank": 3}})
    queue.complete_many(connection, now=now, results=[(fourth, latest)])
    assert mixed(reports.finished(connection, study_id).versions) == {"srank": [1, 2, 3]}
    by_trial = reports.versions_by_trial(connection, study_id)
    assert {trial: json.loads(said) for trial, said in by_trial.items()} == {
        second.trial_id: {"srank": 2},
        third.trial_id: {"srank": 2},
        fourth.trial_id: {"srank": 3},
    }


@pytest.fixture
def measured(connection: Connection, design: Make, summary: Summarize, now: datetime) -> Attempt:
    """Four trials, of which three succeeded, under two layouts of frames and two of metrics; the first."""
    studies.create(connection, design(), owner="ada", now=now)
    pack = queue.lease(connection, now=now, holder="d", lease_seconds=30, width=4)
    wide, narrow = Layout(series=("train_loss", "validation_loss")), Layout(series=("validation_loss",))
    for number, one in enumerate(pack):
        values = [(step, [0.0, number + step]) for step in (10, 0)] if number < 3 else [(5, [np.nan])]
        arrived = [
            Frame(trial_id=one.trial_id, attempt=1, step=step, time=0.0, values=np.array(row, dtype=np.float32))
            for step, row in values
        ]
        frames.write(connection, wide if number < 3 else narrow, arrived)
    metrics = [
        {"test_error": 0.1, "off_rate/layer_01": 0.5, "off_rate/layer_02": 0.25, "dead_unit_rate/layer_01": math.nan},
        {"test_error": 0.3, "off_rate/layer_01": 1e-300},
    ]
    done = [(pack[3], summary(metrics=metrics[0], outcome=Outcome.DIVERGED)), (pack[0], summary(metrics=metrics[1]))]
    queue.complete_many(connection, now=now, results=done)
    queue.complete_many(connection, now=now, results=[(pack[2], summary(metrics={"test_error": 0.2}))])
    return pack[0]


def test_what_is_finished_is_read_set_wise(connection: Connection, measured: Attempt) -> None:
    study_id = studies.trial(connection, measured.trial_id).study_id
    found = reports.finished(connection, study_id)
    trials = found.trials.set_index("trial_id").sort_index()
    first = measured.trial_id
    assert trials.index.tolist() == [first, first + 2, first + 3]
    assert trials["outcome"].tolist() == ["converged", "converged", "diverged"]
    assert (trials["cell"].tolist(), trials["seed"].tolist()) == ([0, 0, 1], [0, 1, 1])
    assert list(trials.columns[5:]) == ["test_error", "off_rate/layer_01", "off_rate/layer_02"]
    assert trials["test_error"].tolist() == [0.3, 0.2, 0.1]
    np.testing.assert_array_equal(trials["off_rate/layer_01"], [1e-300, np.nan, 0.5])
    curves = found.curves.set_index("trial_id")
    assert curves.loc[first, "step"].tolist() == [0, 10]
    assert curves.loc[first + 2, "value"].tolist() == [2.0, 12.0]
    assert np.isnan(curves.loc[first + 3, "value"])
    assert reports.metric_names(connection, study_id) == {"test_error", "off_rate/layer_01", "off_rate/layer_02"}


def test_layers_are_read_only_when_wanted(connection: Connection, measured: Attempt) -> None:
    study_id = studies.trial(connection, measured.trial_id).study_id
    assert list(reports.finished(connection, study_id, wanted=lambda name: "/" not in name).trials.columns[6:]) == [
        "test_error"
    ]
    second = reports.finished(connection, study_id, wanted=lambda name: name.endswith("02")).trials
    assert list(second.columns[6:]) == ["off_rate/layer_02"]
    assert second["off_rate/layer_02"].dropna().tolist() == [0.25]


def test_pages_join_without_a_seam(connection: Connection, measured: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    study_id = studies.trial(connection, measured.trial_id).study_id
    whole = reports.finished(connection, study_id)
    monkeypatch.setattr(reports, "PAGE", 1)
    paged = reports.finished(connection, study_id)
    pd.testing.assert_frame_equal(paged.trials, whole.trials)
    pd.testing.assert_frame_equal(paged.curves, whole.curves)


def test_a_page_reads_its_rows_in_order_and_without_a_sort(connection: Connection, measured: Attempt) -> None:
    connection.execute(text("ANALYZE"))
    connection.execute(text("SET LOCAL enable_seqscan = off"))
    study_id = studies.trial(connection, measured.trial_id).study_id
    layout = connection.execute(text("SELECT min(layout_id) FROM report_rows")).scalar_one()
    values = {"study_id": study_id, "layout_id": layout, "after": 0, "most": 100, "bytes": 8}
    plan = connection.exec_driver_sql(f"EXPLAIN {source('report_rows')}", values).scalars().all()
    assert any("ix_report_rows_study_id_layout_id_trial_id" in line for line in plan)
    assert not any("Sort" in line for line in plan)


def test_migrating_gives_finished_trials_the_rows_that_they_would_have_had(
    engine: Engine, connection: Connection, measured: Attempt
) -> None:
    """Down to the bytes of each row, but for the layout's number: written one by one, each summary has its own."""
    study_id = studies.trial(connection, measured.trial_id).study_id
    expected = reports.finished(connection, study_id)
    connection.execute(text("DROP TABLE report_rows"))
    connection.execute(text("UPDATE alembic_version SET version_num = '0006'"))
    config = Config()
    config.set_main_option("script_location", "db:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "0007")
    found = reports.finished(connection, study_id)
    order = ["trial_id", "step"]
    for mine, theirs in ((found.trials, expected.trials), (found.curves, expected.curves)):
        by = [name for name in order if name in mine]
        pd.testing.assert_frame_equal(
            mine.sort_values(by, ignore_index=True), theirs.sort_values(by, ignore_index=True)
        )


def test_a_curve_is_of_evaluations_alone(
    connection: Connection, design: Make, summary: Summarize, now: datetime
) -> None:
    """Frames that are none have NaN there and do not count; an evaluation that overflowed does. Trials of before
    evaluations had a series of their own have their validation loss at every frame, NaN or not.
    """
    studies.create(connection, design(), owner="ada", now=now)
    new, old, *_ = queue.lease(connection, now=now, holder="d", lease_seconds=30, width=4)
    evaluated, before = Layout(series=("evaluation_loss", "validation_loss")), Layout(series=("validation_loss",))
    rows = {0: [2.5, 2.25], 3: [np.nan, 9.0], 4: [np.inf, np.nan], 8: [0.5, 0.25]}
    for one, layout, first in ((new, evaluated, 0), (old, before, 1)):
        arrived = [
            Frame(trial_id=one.trial_id, attempt=1, step=step, time=0.0, values=np.array(row[first:], dtype=np.float32))
            for step, row in rows.items()
        ]
        frames.write(connection, layout, arrived)
    queue.complete_many(connection, now=now, results=[(new, summary()), (old, summary())])
    curves = reports.finished(connection, studies.trial(connection, new.trial_id).study_id).curves.set_index("trial_id")
    assert curves.loc[new.trial_id, "step"].tolist() == [0, 4, 8]
    assert curves.loc[new.trial_id, "value"].tolist() == [2.5, np.inf, 0.5]
    assert curves.loc[old.trial_id, "step"].tolist() == [0, 3, 4, 8]
    np.testing.assert_array_equal(curves.loc[old.trial_id, "value"], [2.25, 9.0, np.nan, 0.25])
