"""A study on real Ray actors that is paused and loses an actor, and goes on from its checkpoints."""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from fleet_rounds import warm_slot
from sqlalchemy import Engine, text

from actinium.frame import LaneFinished, PackFrames
from actinium.study import expand, parse_study
from actinium.trial import TrialConfig
from db import studies
from services.dispatcher.dispatcher import Dispatcher
from services.dispatcher.heart import Heart
from services.dispatcher.ledger import Ledger
from services.dispatcher.ray_fleet import RayFleet
from services.dispatcher.roster import Roster
from services.dispatcher.widths import planned_width
from workers.training.train import train_pack

PATIENCE = 600
"""Rounds of a tenth of a second."""


LONG: dict[str, Any] = {
    "task": {"train_examples": 640},
    "model": {"kind": "mlp", "depth": 2, "width": 8},
    "training": {"epochs": 120, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.001},
    "probes": {"schedule": {"points": 4}},
}
"""Trials of some seconds, whose last frames are far apart."""
PACK = [TrialConfig.model_validate({**LONG, "activation": name}) for name in ("relu", "prelu")]


@pytest.fixture(scope="module")
def undisturbed() -> list[Any]:
    """What the pack yields when nobody disturbs it."""
    return list(train_pack(PACK))


@pytest.fixture
def fleet(cluster: None, tmp_path: Path) -> Iterator[RayFleet]:
    """One slot that saves its packs ten times a second."""
    made = RayFleet(data_root=None, checkpoints=str(tmp_path / "checkpoints"), checkpoint_seconds=0.1, most=1)
    yield made
    for slot in made._slots.values():
        ray.kill(slot.actor)


def test_a_study_that_is_paused_and_then_loses_its_actor_ends_as_an_undisturbed_one(
    fleet: RayFleet, engine: Engine, undisturbed: list[Any]
) -> None:
    """On a real database too. The second attempt goes on from what the pause left, the third from the last minute."""
    holder = "here"
    roster = Roster(holder=holder, started_at=datetime.now(UTC))
    ledger = Ledger()
    heart = Heart(engine=engine, ledger=ledger, roster=roster, lease_seconds=300.0)
    dispatcher = Dispatcher(
        engine=engine,
        fleet=fleet,
        ledger=ledger,
        width=planned_width,
        holder=holder,
        lease_seconds=300.0,
        roster=roster,
    )

    def rows(query: str) -> list[Any]:
        with engine.begin() as conn:
            return list(conn.execute(text(query)).all())

    def until_rows(query: str) -> Any:
        for _ in range(PATIENCE):
            now = datetime.now(UTC)
            dispatcher.run_once(now=now, wait=0.1)
            heart.run_once(now=now)
            found = rows(query)
            if found:
                return found[0]
        raise AssertionError(f"never: {query}; {rows('SELECT * FROM jobs')}")

    victim = ray.get(fleet._slots[warm_slot(fleet)].actor.ping.remote()).pid
    document = {"name": "long", **LONG, "factors": {"activation": ["relu", "prelu"]}, "seeds": 1}
    with engine.begin() as conn:
        study = studies.create(conn, expand(parse_study(document)), owner="ann", now=datetime.now(UTC))
    (first,) = until_rows("SELECT checkpoint FROM jobs WHERE attempt = 1 AND furthest_step > 50")
    with engine.begin() as conn:
        studies.pause(conn, study, datetime.now(UTC))
    until_rows(f"SELECT 1 FROM jobs WHERE checkpoint <> '{first}' HAVING count(*) = 2")
    for _ in range(3):
        dispatcher.run_once(now=datetime.now(UTC), wait=0.1)
    assert rows("SELECT DISTINCT state FROM jobs") == [("queued",)] and not dispatcher.busy()
    (left, step) = rows("SELECT DISTINCT checkpoint, furthest_step FROM jobs")[0]
    with engine.begin() as conn:
        studies.resume(conn, study, datetime.now(UTC))
    until_rows(f"SELECT 1 FROM jobs WHERE attempt = 2 AND checkpoint <> '{left}' AND furthest_step > {step}")
    os.kill(victim, signal.SIGKILL)
    until_rows("SELECT 1 FROM studies WHERE finished_at IS NOT NULL")
    told = rows("SELECT attempt, cause, reason FROM trial_events WHERE cause <> 'complete' ORDER BY trial_id, id")
    assert [(attempt, cause) for attempt, cause, _ in told] == 2 * [
        (1, "lease"),
        (1, "pause"),
        (2, "lease"),
        (2, "infrastructure_failure"),
        (3, "lease"),
    ]
    assert [reason for _, cause, reason in told if cause == "lease"] == 2 * [None, *["from a checkpoint"] * 2]
    curve = rows("SELECT step, values FROM frames ORDER BY step, trial_id")
    wanted = [
        (one.step, values.tolist()) for one in undisturbed if isinstance(one, PackFrames) for values in one.values
    ]
    assert [step for step, _ in curve] == [step for step, _ in wanted]
    for (_, found), (_, values) in zip(curve, wanted, strict=True):
        np.testing.assert_array_equal(np.array(found, np.float32), np.array(values, np.float32))
    outcomes = rows("SELECT outcome FROM summaries ORDER BY trial_id")
    assert outcomes == [(one.summary.outcome,) for one in undisturbed if isinstance(one, LaneFinished)]
