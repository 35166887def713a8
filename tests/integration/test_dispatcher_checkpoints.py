"""Interruptions through the whole way, dispatcher, database and checkpoints on disk: a study ends as if undisturbed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from actinium.frame import Checkpointed
from actinium.job import FailureClass, StudyId, StudyState
from actinium.study import expand, parse_study
from actinium.trial import TrialConfig
from db import studies
from services.dispatcher.dispatcher import Dispatcher
from services.dispatcher.fleet import News, PackBroken, PackDone, PackItem, SlotId
from services.dispatcher.heart import Heart
from services.dispatcher.ledger import Ledger
from services.dispatcher.roster import Roster
from services.dispatcher.sweeper import SPARE_SECONDS, Sweeper
from services.dispatcher.widths import planned_width
from workers.checkpoints.keeper import StoreKeeper
from workers.checkpoints.state import decoded
from workers.checkpoints.store import CheckpointStore
from workers.training.train import pack_layout, train_pack

LEASE_SECONDS = 30.0
SLOT = SlotId(0)
SMALL: dict[str, Any] = {
    "task": {"train_examples": 64},
    "model": {"kind": "mlp", "depth": 1, "width": 4},
    "training": {"epochs": 8, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.01},
    "factors": {"normalization": ["none", "batch"]},
    "probes": {"schedule": {"points": 12}},
    "seeds": 2,
}


@dataclass(kw_only=True)
class SavingFleet:
    """One slot that trains in this process, an item a round, and saves its pack every third step."""

    store: CheckpointStore
    stream: Iterator[PackItem] | None = None
    stopped: bool = False
    begun: list[tuple[int, str | None]] = field(default_factory=list)
    """How many lanes each pack had, and what it went on from."""
    items: list[PackItem] = field(default_factory=list)

    def size(self) -> int:
        return 1

    def idle(self) -> list[SlotId]:
        return [] if self.stream else [SLOT]

    def device(self, slot: SlotId) -> str:
        return "cpu"

    def avoided(self) -> dict[str, datetime]:
        return {}

    def share(self, *, turn: int, of: int) -> None:
        return

    def holds(self, sha256: str) -> bool:
        return False

    def hold(self, sha256: str, content: bytes) -> None:
        return

    def start(self, slot: SlotId, configs: Sequence[TrialConfig], *, checkpoint: str | None) -> None:
        self.begun.append((len(configs), checkpoint))
        self.stopped = False
        self.stream = self.trained(configs, checkpoint)

    def trained(self, configs: Sequence[TrialConfig], checkpoint: str | None) -> Iterator[PackItem]:
        polls = iter(range(10**6))
        keeper = StoreKeeper(self.store, seconds=4.0, clock=lambda: float(next(polls)), stopped=lambda: self.stopped)
        yield pack_layout(configs[0])
        read = None if checkpoint is None else lambda: decoded(self.store.load(checkpoint))
        for event in train_pack(configs, clock=lambda: 0.0, keeper=keeper, checkpoint=read):
            if not self.stopped:
                yield event
            elif isinstance(event, Checkpointed):
                yield PackDone(checkpoint=event)
        yield PackDone()

    def stop(self, slot: SlotId) -> None:
        self.stopped = True

    def kill(self) -> None:
        """As an actor dies."""
        self.stream = iter([PackBroken(failure_class=FailureClass.INFRASTRUCTURE, error="killed")])

    def news(self, *, seconds: float) -> list[News]:
        if self.stream is None:
            return []
        item = next(self.stream)
        self.items.append(item)
        if isinstance(item, PackDone | PackBroken):
            self.stream = None
        return [News(slot=SLOT, item=item)]

    def tend(self, *, now: datetime) -> None:
        return

    def close(self) -> None:
        return


class House:
    """A dispatcher that can be replaced, and a clock that each round moves on by a second."""

    def __init__(self, engine: Engine, now: datetime, folder: Path) -> None:
        self.engine, self.now, self.folder = engine, now, folder
        self.store = CheckpointStore(str(folder))
        self.sweeper = Sweeper(engine=engine, store=self.store)
        self.hire()

    def hire(self) -> None:
        """A new dispatcher, with a new fleet."""
        self.fleet, ledger = SavingFleet(store=self.store), Ledger()
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
            assert isinstance(house.fleet.items[-1], PackDone) and house.fleet.items[-1].checkpoint is not None
            kept = [(house.fleet.items[-1].checkpoint.name,)]
            with house.engine.begin() as conn:
                studies.resume(conn, study, house.now)
        case "shutdown":
            house.dispatcher.shut_down(now=house.now, rounds=10)
            last = house.fleet.items[-1]
            assert isinstance(last, PackDone) and last.checkpoint is not None
            kept = [(last.checkpoint.name,)]
            house.hire()
            begun = 0
        case "kill":
            house.fleet.kill()
        case "lease ran out":
            house.hire()
            house.now += timedelta(seconds=2 * LEASE_SECONDS)
            begun = 0
        case "torn":
            (house.folder / kept[0][0]).write_bytes(b"PK")
            house.fleet.kill()
        case "gone":
            (house.folder / kept[0][0]).unlink()
            house.fleet.kill()
    house.finish(study)
    if kept:
        assert house.fleet.begun[begun:] == [(4, kept[0][0])], "as one pack, from the last checkpoint"
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
    first, second, third, fourth = house.fleet.begun
    assert [lanes for lanes, _ in house.fleet.begun] == [4] * 4
    assert (first[1], second[1], third[1] is None, fourth[1]) == (None, None, False, None)
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
