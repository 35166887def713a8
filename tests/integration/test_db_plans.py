"""The hot statements go by indexes, and their cost does not grow with the queue."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from actinium.job import StudyId
from actinium.study import Design
from db import queue, studies
from db.statements import source


@pytest.fixture(params=["fresh", "old"])
def crowded(
    request: pytest.FixtureRequest, connection: Connection, design: Callable[..., Design], now: datetime
) -> Connection:
    """13,000 jobs, a few leased, and statistics that say so.

    In the old one the earliest 5,000 are done. An index on the trial alone would
    then lead a planner that wants the first few jobs in order through everything that is past.
    """
    for name, seeds in (("a", 250), ("b", 3_000)):
        made = design(name=name, factors={"activation": ["relu", "elu"], "training.batch_size": [8, 32]}, seeds=seeds)
        studies.create(connection, made, owner=name, now=now)
    if request.param == "old":
        connection.execute(text("UPDATE jobs SET state = 'succeeded' WHERE trial_id <= 5000"))
        connection.execute(text("CLUSTER jobs USING pk_jobs"))
        connection.execute(text("SET LOCAL random_page_cost = 4"))  # a server as it comes
    for _ in range(4):
        queue.lease(connection, now=now, holder="d", lease_seconds=30, width=16)
    connection.execute(text("ANALYZE"))
    return connection


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def explained(connection: Connection, name: str, **parameters: Any) -> list[dict[str, Any]]:
    """The nodes of the plan as it ran."""
    statement = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {source(name)}")
    with connection.begin_nested() as savepoint:
        (plan,) = connection.execute(statement, parameters).scalar_one()
        savepoint.rollback()
    return list(nodes(plan["Plan"]))


def rows_read(plan: list[dict[str, Any]], table: str) -> float:
    """Rows of a table that the plan looked at, those filtered out included."""
    scans = [node for node in plan if node.get("Relation Name") == table and "Scan" in node["Node Type"]]
    each = [(node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in scans]
    return float(sum(each))


def indexes(plan: list[dict[str, Any]]) -> set[str]:
    return {node["Index Name"] for node in plan if "Index Name" in node}


def scanned(plan: list[dict[str, Any]]) -> set[str]:
    return {node["Relation Name"] for node in plan if node["Node Type"] == "Seq Scan"}


def test_the_lead_is_found_without_reading_the_queue(crowded: Connection, now: datetime) -> None:
    plan = explained(crowded, "lease_lead", now=now, most_leased=100)
    assert "ix_jobs_front" in indexes(plan)
    assert "jobs" not in scanned(plan)
    assert rows_read(plan, "jobs") <= 64 + 2, "the leased ones and a lead a study"


def test_gauges_read_what_is_leased_and_not_the_queue(crowded: Connection, now: datetime) -> None:
    plan = explained(crowded, "gauges", now=now, soon=now, most=100)
    assert "jobs" not in scanned(plan)
    assert rows_read(plan, "jobs") <= 64 + 2 + 2, "the leased ones, a lead a study, and who has news"


def test_a_pack_is_taken_without_reading_the_queue(crowded: Connection, now: datetime) -> None:
    lead = crowded.execute(text(source("lease_lead")), {"now": now, "most_leased": 100}).one()
    plan = explained(
        crowded,
        "lease_take",
        study_id=lead.study_id,
        pack_key=lead.pack_key,
        width_limit=lead.width_limit,
        checkpoint="",
        width=16,
        now=now,
        holder="d",
        expires_at=now,
    )
    assert "jobs" not in scanned(plan)
    assert "ix_jobs_pack" in indexes(plan)
    assert rows_read(plan, "jobs") <= 3 * 16


def test_rescue_reads_only_what_is_leased(crowded: Connection, now: datetime) -> None:
    plan = explained(crowded, "expired", now=now + timedelta(hours=1), most=1000)
    assert "ix_jobs_leased" in indexes(plan)
    assert "jobs" not in scanned(plan)
    assert rows_read(plan, "jobs") == 64


@pytest.mark.parametrize("name", ["heartbeat", "complete", "end_attempt", "hold"])
def test_writes_of_an_attempt_go_by_its_trial(crowded: Connection, now: datetime, name: str) -> None:
    pack = queue.lease(crowded, now=now, holder="d", lease_seconds=30, width=16)
    parameters = {
        "trial_ids": [one.trial_id for one in pack],
        "attempts": [one.attempt for one in pack],
        "now": now,
        "expires_at": now,
        "outcomes": ["converged"] * len(pack),
        "summaries": "\n".join(["{}"] * len(pack)),
        "trial_blame": 0,
        "trial_limit": 2,
        "infrastructure_blame": 1,
        "infrastructure_limit": 5,
        "crash_blame": 0,
        "crash_limit": 3,
        "memory_blame": 0,
        "steady": 60.0,
        "company": 2,
        "backoff_first": 2.0,
        "backoff_most": 120.0,
        "width": 8,
        "failure_class": None,
        "error": None,
        "cause": "rescue",
        "reason": None,
    }
    plan = explained(crowded, name, **parameters)
    assert "jobs" not in scanned(plan)
    assert rows_read(plan, "jobs") <= 80 + 3 * len(pack), "at most what is leased, and the pack itself"


def test_a_report_row_is_written_from_its_own_frames(crowded: Connection, now: datetime) -> None:
    pack = queue.lease(crowded, now=now, holder="d", lease_seconds=30, width=16)
    crowded.execute(text("INSERT INTO layouts (digest, series) VALUES ('d', ARRAY['train_loss', 'validation_loss'])"))
    crowded.execute(
        text(
            "INSERT INTO frames SELECT trial_id, 1, step, 0.5, 1, ARRAY[1.0, 0.5] "
            "FROM jobs CROSS JOIN generate_series(0, 4) AS step WHERE trial_id <= 4000 OR state = 'leased'"
        )
    )
    crowded.execute(text("ANALYZE frames"))
    rows = {
        "trial_ids": [one.trial_id for one in pack],
        "attempts": [one.attempt for one in pack],
        "outcomes": ["converged"] * len(pack),
        "steps": [10] * len(pack),
        "versions": ["{}"] * len(pack),
        "metrics": b"",
        "bytes": 0,
        "layout_id": 1,
    }
    crowded.execute(
        text(
            "INSERT INTO summaries (trial_id, study_id, attempt, outcome, summary) "
            "SELECT trial_id, study_id, attempt, 'converged', '{}' FROM jobs WHERE state = 'leased'"
        )
    )
    plan = explained(crowded, "report_rows_write", **rows)
    assert not {"frames", "trials"} & scanned(plan)
    assert rows_read(plan, "frames") == 5 * len(pack)


def test_a_finished_study_is_noticed_without_counting(crowded: Connection, now: datetime) -> None:
    plan = explained(crowded, "settle", now=now, study_ids=[2])
    assert "jobs" not in scanned(plan)
    assert rows_read(plan, "jobs") <= 2


def test_the_backlog_is_counted_without_reading_what_is_done(crowded: Connection, now: datetime) -> None:
    plan = explained(crowded, "backlog", now=now, most=50)
    assert "jobs" not in scanned(plan)
    assert rows_read(plan, "jobs") <= 50


def test_a_page_of_trials_reads_a_page(crowded: Connection) -> None:
    """The later study's first page does not pass through the earlier study."""
    crowded.execute(text("SET LOCAL statement_timeout = 0"))
    before = read_so_far(crowded)
    assert len(studies.trials_page(crowded, StudyId(2), limit=100).items) == 100
    assert read_so_far(crowded) - before < 1_000


def read_so_far(connection: Connection) -> int:
    """Index entries of `trials` that this transaction has followed."""
    counted = text(
        "SELECT sum(pg_stat_get_xact_tuples_fetched(indexrelid)) FROM pg_index WHERE indrelid = 'trials'::regclass"
    )
    return int(connection.execute(counted).scalar_one())
