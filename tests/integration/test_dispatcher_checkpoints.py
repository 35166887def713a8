"""Interruptions through the whole way, dispatcher, database and checkpoints on disk: a study ends as if undisturbed."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_fleet import FakeFleet
from sqlalchemy import Engine, text

from actinium.job import StudyId, StudyState
from actinium.study import expand, parse_study
from db import studies
from services.dispatcher.dispatcher import Dispatcher
from services.dispatcher.fleet import PackDone
from services.dispatcher.heart import Heart
from services.dispatcher.ledger import Ledger
from services.dispatcher.roster import Roster
from services.dispatcher.sweeper import SPARE_SECONDS, Sweeper
from services.dispatcher.widths import planned_width
from workers.checkpoints.store import CheckpointStore

LEASE_SECONDS = 30.0
SMALL: dict[str, Any] = {
    "task": {"train_examples": 64},
    "model": {"kind": "mlp", "depth": 1, "width": 4},
    "training": {"epochs": 8, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.01},
    "factors": {"normalization": ["none", "batch"]},
    "probes": {"schedule": {"points": 12}},
    "seeds": 2,
}


class House:
    """A dispatcher that can be replaced, and a clock that each round moves on by a second."""

    def __init__(self, engine: Engine, now: datetime, folder: Path) -> None:
        self.engine, self.now, self.folder = engine, now, folder
        self.store = CheckpointStore(str(folder))
        self.sweeper = Sweeper(engine=engine, store=self.store)
        self.hire()

    def hire(self) -> None:
        """A new dispatcher, with a new fleet."""
        self.fleet, ledger = FakeFleet(slots=1, store=self.store), Ledger()
        roster = Roster(holder="here", started_at=self.now)
        self.dispatcher = Dispatcher(
            engine=self.engine,
            fleet=self.fleet,
            ledger=ledger,
            width=planned_width,
            holder="here",
            lease_seconds=LEASE_SECONDS,
            roster=roster,
        )
        self.heart = Heart(engine=self.engine, ledger=ledger, roster=roster, lease_seconds=LEASE_SECONDS)

    def submit(self, name: str, priority: int = 0) -> StudyId:
        with self.engine.begin() as conn:
            design = expand(parse_study({**SMALL, "name": name, "priority": priority}))
            return studies.create(conn, design, owner="ann", now=self.now)

    def round(self) -> None:
        self.now += timedelta(seconds=1)
        self.dispatcher.run_once(now=self.now, wait=0.0)
        self.heart.run_once(now=self.now)

    def until_saved(self) -> None:
        """Rounds until the database knows of a checkpoint; there is more of the pack to come."""
        for _ in range(60):
            self.round()
            if self.rows("SELECT 1 FROM jobs WHERE checkpoint <> ''"):
                return
        raise AssertionError("no checkpoint came")

    def finish(self, study: StudyId) -> None:
        for _ in range(200):
            self.round()
            with self.engine.begin() as conn:
                if studies.get(conn, study).state is StudyState.FINISHED and not self.dispatcher.busy():
                    return
        raise AssertionError("not finished")

    def left_behind(self) -> str:
        """The checkpoint of the pack that was the last to end."""
        end = self.fleet.told[-1].item
        assert isinstance(end, PackDone) and end.checkpoint is not None
        return end.checkpoint.name

    def rows(self, query: str, **given: Any) -> list[Any]:
        with self.engine.begin() as conn:
            return list(conn.execute(text(query), given).all())

    def curves(self, study: StudyId) -> list[Any]:
        """All that the study's trials measured, and nothing of when; every frame of every attempt."""
        return self.rows(
            "SELECT trials.place, frames.step, frames.values::text FROM frames JOIN trials ON trials.id = trial_id "
            "WHERE study_id = :study ORDER BY 1, 2",
            study=study,
        )

    def summaries(self, study: StudyId) -> list[Any]:
        return self.rows(
            "SELECT trials.place, outcome, summary::text FROM summaries JOIN trials ON trials.id = trial_id "
            "WHERE trials.study_id = :study ORDER BY 1",
            study=study,
        )


@pytest.fixture
def house(engine: Engine, now: datetime, tmp_path: Path) -> House:
    """One slot, and nothing to do."""
    return House(engine, now, tmp_path / "checkpoints")


@pytest.mark.parametrize(
    "disturbance", ["pause", "shutdown", "kill", "lease ran out", "torn", "gone", "cannot be kept"]
)
def test_a_disturbed_study_ends_as_an_undisturbed_one(house: House, disturbance: str) -> None:
    undisturbed = house.submit("undisturbed")
    house.finish(undisturbed)
    house.fleet.begun.clear()
    study = house.submit("disturbed")
    if disturbance == "cannot be kept":
        for file in house.folder.iterdir():
            file.unlink()
        house.folder.rmdir()
        house.folder.write_text("no folder")
    else:
        house.until_saved()
    kept = house.rows("SELECT DISTINCT checkpoint FROM jobs WHERE checkpoint <> ''")
    begun = len(house.fleet.begun)
    match disturbance:
        case "pause":
            with house.engine.begin() as conn:
                studies.pause(conn, study, house.now)
            for _ in range(10):
                house.round()
            assert not house.dispatcher.busy()
            kept = [(house.left_behind(),)]
            with house.engine.begin() as conn:
                studies.resume(conn, study, house.now)
        case "shutdown":
            house.dispatcher.shut_down(now=house.now, rounds=10)
            kept = [(house.left_behind(),)]
            house.hire()
            begun = 0
        case "kill":
            house.fleet.kill(house.fleet.told[-1].slot)
        case "lease ran out":
            house.hire()
            house.now += timedelta(seconds=2 * LEASE_SECONDS)
            begun = 0
        case "torn":
            (house.folder / kept[0][0]).write_bytes(b"PK")
            house.fleet.kill(house.fleet.told[-1].slot)
        case "gone":
            (house.folder / kept[0][0]).unlink()
            house.fleet.kill(house.fleet.told[-1].slot)
    house.finish(study)
    if kept:
        (again,) = house.fleet.begun[begun:]
        assert (len(again.configs), again.checkpoint) == (4, kept[0][0]), "as one pack, from the last checkpoint"
    assert house.curves(study) == house.curves(undisturbed)
    assert house.summaries(study) == house.summaries(undisturbed)
    blame = "SELECT DISTINCT trial_failures, checkpoint FROM jobs"
    assert house.rows(blame) == [(0, "")]
    assert house.rows("SELECT DISTINCT seconds_per_lane_step FROM pack_widths WHERE width > 4") == []


def test_a_pack_makes_way_for_a_study_of_higher_priority_and_goes_on_after_it(house: House) -> None:
    """Not for one of its own."""
    low = house.submit("low")
    house.until_saved()
    same = house.submit("same")
    for _ in range(3):
        house.round()
    assert not house.fleet.stopped
    high = house.submit("high", priority=1)
    house.finish(low)
    house.finish(same)
    assert house.fleet.widths == [4] * 4
    assert [pack.checkpoint is None for pack in house.fleet.begun] == [True, True, False, True]
    ended = "SELECT study_id, attempt, infrastructure_failures, trial_failures FROM jobs GROUP BY 1, 2, 3, 4 ORDER BY 1"
    assert house.rows(ended) == [(low, 2, 0, 0), (same, 1, 0, 0), (high, 1, 0, 0)]
    assert house.rows("SELECT id FROM studies ORDER BY finished_at") == [(high,), (low,), (same,)]
    assert house.curves(low) == house.curves(same) == house.curves(high)
    assert house.summaries(low) == house.summaries(high)


def test_what_nobody_goes_on_from_is_swept(house: House) -> None:
    """Not at once: a checkpoint is there before the database knows of it."""
    study = house.submit("swept")
    house.until_saved()
    house.sweeper.run_once(now=house.now)
    (name,) = house.rows("SELECT DISTINCT checkpoint FROM jobs")[0]
    left = house.store.save(b"by a crash")
    assert house.store.names() >= {name, left}
    house.sweeper.run_once(now=house.now)
    house.now += timedelta(seconds=SPARE_SECONDS - 1)
    house.sweeper.run_once(now=house.now)
    assert house.store.names() >= {name, left}
    house.now += timedelta(seconds=1)
    house.sweeper.run_once(now=house.now)
    assert house.store.names() == {name}
    house.finish(study)
    for _ in range(2):
        house.sweeper.run_once(now=house.now)
        house.now += timedelta(seconds=SPARE_SECONDS)
    assert house.store.names() == frozenset()
    house.sweeper.run_once(now=house.now)
