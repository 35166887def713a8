"""Studies that grow: what is new is queued behind what is there, and what is there is left alone."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select, text

from actinium.errors import Conflict, InvalidInput
from actinium.extension import Extension, parse_extension
from actinium.frame import TrialSummary
from actinium.job import StudyId, StudyState
from actinium.study import Design
from db import models, queue, reports, studies
from db.extension import Extended, extend

Make = Callable[..., Design]
Extend = Callable[..., Extended]


@pytest.fixture
def grow(connection: Connection, now: datetime) -> Extend:
    """`grow(study, key=None, **document)`."""

    def make(study: StudyId, *, key: str | None = None, limit: int = 1000, **document: Any) -> Extended:
        asked: Extension = parse_extension(document)
        act = partial(extend, owner="ada", now=now, max_trials=limit, idempotency_key=key)
        return act(connection, study, asked)

    return make


def everything(connection: Connection, study: StudyId) -> dict[str, list[Any]]:
    """All rows that say what the study's trials are and gave."""
    tables = (models.cells, models.trials, models.summaries, models.report_rows)
    return {
        table.name: [
            dict(row._mapping)
            for row in connection.execute(select(table).where(table.c.study_id == study).order_by(*table.primary_key))
        ]
        for table in tables
    }


def finish(connection: Connection, now: datetime, summary: Callable[..., TrialSummary]) -> int:
    done = 0
    while pack := queue.lease(connection, now=now, holder="d", lease_seconds=30, width=64):
        done += len(queue.complete_many(connection, now=now, results=[(one, summary()) for one in pack]))
    return done


def test_a_finished_study_runs_again_and_what_it_had_is_untouched(
    connection: Connection, design: Make, now: datetime, summary: Callable[..., TrialSummary], grow: Extend
) -> None:
    study = studies.create(connection, design(), owner="ada", now=now)
    assert finish(connection, now, summary) == 4
    before, row = everything(connection, study), studies.get(connection, study)
    assert row.state is StudyState.FINISHED

    assert grow(study, seeds=3, factors={"activation": ["gelu"]}) == Extended(cells=1, trials=5)
    after = studies.get(connection, study)
    assert (after.state, after.cells, after.trials) == (StudyState.RUNNING, 3, 9)
    assert (after.finished_at, after.revision > row.revision, after.progress) == (None, True, 4 / 9)
    assert (after.spec.seeds, after.spec.factors["activation"]) == (3, ["relu", "elu", "gelu"])
    grown = everything(connection, study)
    for table, rows in before.items():
        assert grown[table][: len(rows)] == rows, table

    # As if it had been submitted so, but for the order: what is new comes seed by seed behind what was there.
    whole = design(factors={"activation": ["relu", "elu", "gelu"]}, seeds=3)
    trials = studies.trials_page(connection, study).items
    assert {(t.cell_index, t.seed, t.digest) for t in trials} == {
        (c.index, t.seed, t.digest()) for c, t in whole.trials()
    }
    assert [(t.seed, t.cell_index) for t in trials[4:]] == [(0, 2), (1, 2), (2, 0), (2, 1), (2, 2)]
    assert tuple(studies.cells(connection, study)) == whole.cells
    assert finish(connection, now, summary) == 5
    assert studies.get(connection, study).state is StudyState.FINISHED
    assert len(reports.finished(connection, study).trials) == 9


def test_an_extension_by_what_is_there_changes_nothing(
    connection: Connection, design: Make, now: datetime, summary: Callable[..., TrialSummary], grow: Extend
) -> None:
    study = studies.create(connection, design(), owner="ada", now=now)
    finish(connection, now, summary)
    assert grow(study, seeds=[1], factors={"activation": ["elu"]}) == Extended(cells=0, trials=0)
    assert studies.get(connection, study).state is StudyState.FINISHED


def test_impossible_cells_are_listed_and_not_run(
    connection: Connection, design: Make, now: datetime, grow: Extend
) -> None:
    made = design(factors={"normalization": ["none", "instance"], "training.batch_size": [8]}, seeds=1)
    study = studies.create(connection, made, owner="ada", now=now)
    assert len(made.invalid) == 1
    assert grow(study, factors={"training.batch_size": [32]}) == Extended(cells=1, trials=1)
    row = studies.get(connection, study)
    assert [item.cell["training.batch_size"] for item in row.invalid_designs] == [8, 32]
    assert row.trials == 2


def test_a_key_is_answered_once(connection: Connection, design: Make, now: datetime, grow: Extend) -> None:
    study = studies.create(connection, design(), owner="ada", now=now)
    assert grow(study, key="k", seeds=4) == Extended(cells=0, trials=4)
    revision = studies.get(connection, study).revision
    assert grow(study, key="k", seeds=4) == Extended(cells=0, trials=4)
    assert studies.get(connection, study).revision == revision
    with pytest.raises(Conflict, match=rf"another extension of study {study}; use a new key"):
        grow(study, key="k", seeds=5)
    assert grow(study, key="l", seeds=5) == Extended(cells=0, trials=2)
    asked = connection.execute(select(models.study_extensions).order_by(models.study_extensions.c.id)).all()
    assert [(row.owner, row.extension["seeds"], row.trials) for row in asked] == [("ada", 4, 4), ("ada", 5, 2)]


def test_the_limit_of_a_grid_holds(connection: Connection, design: Make, now: datetime, grow: Extend) -> None:
    study = studies.create(connection, design(), owner="ada", now=now)
    before = everything(connection, study)
    with pytest.raises(InvalidInput, match="6 trials; at most 5 are accepted"):
        grow(study, limit=5, seeds=3)
    assert everything(connection, study) == before
    assert grow(study, limit=6, seeds=3).trials == 2


def test_a_paused_study_stays_paused_and_a_cancelled_one_is_retried_first(
    connection: Connection, design: Make, now: datetime, grow: Extend
) -> None:
    study = studies.create(connection, design(), owner="ada", now=now)
    studies.pause(connection, study, now)
    assert grow(study, seeds=3).trials == 2
    assert studies.get(connection, study).state is StudyState.PAUSED
    studies.cancel(connection, study, now)
    with pytest.raises(Conflict, match=r"is cancelled: `retry` opens it again, then it can be extended"):
        grow(study, seeds=4)
    assert studies.retry(connection, study, now) == 6
    assert grow(study, seeds=4).trials == 2


def test_cells_are_known_again_though_their_stored_config_lacks_a_field(
    connection: Connection, design: Make, now: datetime, grow: Extend
) -> None:
    """A field that a later version adds has its default in what was stored before."""
    study = studies.create(connection, design(), owner="ada", now=now)
    connection.execute(text("UPDATE cells SET config = CAST(config AS jsonb) #- '{training,momentum}'"))
    assert grow(study, seeds=3) == Extended(cells=0, trials=2)
