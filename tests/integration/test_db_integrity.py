"""The integrity check: a healthy database breaks no rule, and each kind of damage breaks just its own."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, text

from actinium.datasets.table import StoredDataset
from actinium.frame import Frame, Layout, TrialSummary
from actinium.job import FailureClass
from actinium.study import Design
from db import datasets, frames, integrity, queue, studies

LAYOUT = Layout(series=("validation_loss",))


@pytest.fixture
def lived(
    connection: Connection, design: Callable[..., Design], summary: Callable[..., TrialSummary], now: datetime
) -> Connection:
    """Trial 1 succeeded at its second attempt, 2 failed, 3 is leased, 4 queued; 5 to 7 are reused, new, cancelled."""
    studies.create(connection, design(), owner="ada", now=now)
    (first,) = queue.lease(connection, now=now, holder="a", lease_seconds=30, width=1)
    write(connection, first.trial_id, 1)
    queue.release(connection, now=now, attempts=[first])
    (again,) = queue.lease(connection, now=now, holder="a", lease_seconds=30, width=1)
    write(connection, again.trial_id, 2)
    queue.complete(connection, now=now, attempt=again, summary=summary())
    later = now
    for _ in range(2):
        (failing,) = queue.lease(connection, now=later, holder="a", lease_seconds=30, width=1)
        later += timedelta(seconds=1)
        queue.fail(connection, now=later, attempts=[failing], failure_class=FailureClass.TRIAL, error="no")
    queue.lease(connection, now=later, holder="a", lease_seconds=30, width=1)
    studies.create(connection, design(name="reusing", seeds=1, reuse=True), owner="b", now=now)
    stopped = studies.create(connection, design(name="stopped", seeds=1, factors={}), owner="b", now=now)
    studies.cancel(connection, stopped, now)
    stored = StoredDataset(sha256="f" * 64, shape=(1, 1, 2), classes=2, examples=4)
    datasets.add(connection, name="mine", stored=stored, label_counts=[2, 2], content=b"12345", owner="a", now=now)
    return connection


def write(connection: Connection, trial: int, attempt: int) -> None:
    """The attempt's first frame."""
    frame = Frame(trial_id=trial, attempt=attempt, step=0, time=0.0, values=np.zeros(1, np.float32))
    frames.write(connection, LAYOUT, [frame])


def test_what_lived_through_everything_is_whole(lived: Connection) -> None:
    assert integrity.check(lived) == []
    states = lived.execute(text("SELECT string_agg(state, ' ' ORDER BY trial_id) FROM jobs")).scalar_one()
    assert states == "succeeded failed leased queued succeeded queued cancelled"


DAMAGE = {
    "every trial has its job": "DELETE FROM jobs WHERE trial_id = 4",
    "a study has all its trials": "UPDATE studies SET trials = 5 WHERE id = 1",
    "no result is lost": "DELETE FROM summaries WHERE trial_id = 1",
    "no result without success": "UPDATE summaries SET attempt = 1 WHERE trial_id = 1",
    "no trial succeeded twice": """
        INSERT INTO trial_events (trial_id, at, state, attempt, cause) VALUES (1, now(), 'succeeded', 2, 'complete')
    """,
    "reports read every result": "DELETE FROM report_rows WHERE trial_id = 1",
    "the history ends as the job stands": "UPDATE jobs SET attempt = 2 WHERE trial_id = 3",
    "the history is possible": """
        INSERT INTO trial_events (trial_id, at, state, attempt, cause) VALUES (4, now(), 'queued', 0, 'release')
    """,
    "an end is an end": "UPDATE studies SET finished_at = now() WHERE id = 1",
    "nothing is leased in a pause": "UPDATE studies SET paused_at = now() WHERE id = 1",
    "a result has its frames": "DELETE FROM frames WHERE trial_id = 1",
    "frames belong to somebody": "INSERT INTO frames SELECT 4, 1, 0, 0, layout_id, values FROM frames LIMIT 1",
    "no frames of dead attempts": "INSERT INTO frames SELECT 1, 1, 0, 0, layout_id, values FROM frames LIMIT 1",
    "the mirror was told, or will be": "DELETE FROM outbox WHERE kind = 'trial' AND subject_id = 2",
    "datasets are undamaged": "UPDATE dataset_pieces SET content = '12354'",
    "datasets are whole": "UPDATE dataset_contents SET file_bytes = 4",
}
ALSO = {
    # A second success is no arrow either; who has no job has no row for reports to miss.
    "no trial succeeded twice": {"the history is possible"},
    # A trial reused from a lost one has lost its result too, and an attempt without its frames is found by both.
    "no result without success": {"a result has its frames"},
}


def test_each_rule_has_its_damage() -> None:
    assert set(DAMAGE) == {rule.name for rule in integrity.RULES}


@pytest.mark.parametrize("rule", DAMAGE)
def test_damage_is_found_by_its_rule(lived: Connection, rule: str) -> None:
    lived.execute(text(DAMAGE[rule]))
    found = {finding.rule.name: finding for finding in integrity.check(lived)}
    assert rule in found
    assert set(found) == {rule} | ALSO.get(rule, set())
    assert found[rule].count == len(found[rule].examples) >= 1
    assert found[rule].rule.severity == ("leftover" if rule == "no frames of dead attempts" else "fault")


def test_the_snapshot_writes_nothing_and_names_a_few(engine: Engine, design: Callable[..., Design]) -> None:
    with engine.begin() as connection:
        studies.create(connection, design(seeds=10), owner="ada", now=datetime(2026, 3, 1, tzinfo=UTC))
        connection.execute(text("UPDATE jobs SET place = place + 100"))
    (finding,) = integrity.examine(engine)
    assert (finding.rule.name, finding.count) == ("every trial has its job", 20)
    assert finding.examples == ("1", "2", "3", "4", "5")
