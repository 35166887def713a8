"""The dispatcher's rounds on a real database with real training, in this process instead of on Ray."""

import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import numpy as np
import psycopg
import pytest
from fake_fleet import FakeFleet, FakePack, train
from psycopg import sql
from sqlalchemy import Engine, event, text

from actinium.datasets.file import read_dataset
from actinium.frame import LaneFinished, Layout, PackFrames
from actinium.job import Attempt, FailureClass, Lease, StudyId, StudyState
from actinium.study import expand, parse_study
from actinium.trial import TrialConfig
from db import artifacts, datasets, dispatchers, queue, studies, widths
from db.embedded import EmbeddedServer
from services.dispatcher.__main__ import dispatch
from services.dispatcher.dispatcher import Dispatcher
from services.dispatcher.fleet import PackBroken, PackDone, PackItem
from services.dispatcher.heart import Heart
from services.dispatcher.ledger import Ledger
from services.dispatcher.roster import Roster
from services.dispatcher.widths import fair_share, planned_width
from services.loop import Pulse
from workers import packing
from workers.training.train import pack_layout

LEASE_SECONDS = 30.0
SMALL: dict[str, Any] = {
    "name": "small",
    "task": {"train_examples": 64},
    "model": {"kind": "mlp", "depth": 1, "width": 4},
    "training": {"epochs": 2, "batch_size": 32},
    "probes": {"schedule": {"points": 3}},
}


@dataclass(kw_only=True)
class House:
    """A dispatcher with all that it works with, and a clock that each round moves on by a second."""

    engine: Engine
    now: datetime
    fleet: FakeFleet = field(default_factory=FakeFleet)
    ledger: Ledger = field(default_factory=Ledger)
    width: int | None = 8
    """Of every pack; None: as measured."""
    holder: str = "here"

    def __post_init__(self) -> None:
        roster = Roster(holder=self.holder, started_at=self.now)
        self.dispatcher = Dispatcher(
            engine=self.engine,
            fleet=self.fleet,
            ledger=self.ledger,
            width=lambda *asked: planned_width(*asked) if self.width is None else self.width,
            holder=self.holder,
            lease_seconds=LEASE_SECONDS,
            roster=roster,
        )
        self.heart = Heart(engine=self.engine, ledger=self.ledger, roster=roster, lease_seconds=LEASE_SECONDS)

    def submit(self, **fields: Any) -> StudyId:
        design = expand(parse_study({**SMALL, **fields}))
        with self.engine.begin() as conn:
            return studies.create(conn, design, owner="ann", now=self.now)

    def rounds(self, count: int) -> None:
        for _ in range(count):
            self.now += timedelta(seconds=1)
            self.dispatcher.run_once(now=self.now, wait=0.0)

    def finish(self, study: StudyId, *, most: int = 60) -> None:
        """Rounds until the study has ended, each with a heartbeat."""
        for _ in range(most):
            self.rounds(1)
            self.heart.run_once(now=self.now)
            if self.state(study) in (StudyState.FINISHED, StudyState.CANCELLED) and not self.dispatcher.busy():
                return
        raise AssertionError(f"not finished after {most} rounds")

    def state(self, study: StudyId) -> StudyState:
        with self.engine.begin() as conn:
            return studies.get(conn, study).state

    def rows(self, query: str) -> list[Any]:
        with self.engine.begin() as conn:
            return list(conn.execute(text(query)).all())


@pytest.fixture
def house(engine: Engine, now: datetime) -> House:
    """Two idle slots and nothing to do."""
    return House(engine=engine, now=now)


def test_a_study_is_trained_measured_and_recorded(house: House) -> None:
    study = house.submit(factors={"activation": ["relu", "tanh"]}, seeds=2)
    house.finish(study)
    jobs = house.rows("SELECT state, attempt FROM jobs")
    assert jobs == [("succeeded", 1)] * 4
    assert house.rows("SELECT count(*) FROM summaries") == [(4,)]
    steps = expand(parse_study(SMALL)).cells[0].config.frame_steps()
    assert {
        (row[0], row[1])
        for row in house.rows("SELECT trial_id, array_agg(step ORDER BY step)::text FROM frames GROUP BY 1")
    } == {(trial, "{" + ",".join(map(str, steps)) + "}") for (trial,) in house.rows("SELECT id FROM trials")}
    assert {kind for (kind,) in house.rows("SELECT kind FROM outbox")} == {"study", "trial"}
    assert house.ledger.held() == []


def test_a_small_study_is_spread_over_all_slots(house: House) -> None:
    house.submit(seeds=6)
    house.rounds(1)
    assert house.fleet.widths == [3, 3]


def test_packs_are_no_wider_than_measured(house: House) -> None:
    house.width = 2
    house.submit(seeds=6)
    house.rounds(1)
    assert house.fleet.widths == [2, 2]


@pytest.mark.parametrize(
    ("due", "slots", "idle", "share"), [(100, 4, 1, 25), (6, 2, 2, 3), (5, 2, 1, 5), (9, 4, 1, 8), (0, 4, 4, 0)]
)
def test_nobody_takes_more_than_a_share_and_nobody_crumbs(due: int, slots: int, idle: int, share: int) -> None:
    assert fair_share(due, slots=slots, idle=idle) == share


def test_the_last_packs_of_a_study_are_shared_by_the_slots(house: House) -> None:
    house.width = 16
    house.finish(house.submit(seeds=20))
    assert house.fleet.widths == [10, 10]


def test_what_trials_leave_is_kept_under_their_names(house: House) -> None:
    """Through the whole way: trained, saved with the summary, read."""
    study = house.submit(seeds=2, model={"kind": "cnn", "width": 2}, probes={"filters": {}, "schedule": {"points": 2}})
    house.finish(study)
    with house.engine.begin() as conn:
        found = [artifacts.of_trial(conn, trial_id) for (trial_id,) in house.rows("SELECT id FROM trials ORDER BY id")]
    assert [list(own) for own in found] == [["first_filters"]] * 2
    first, second = (np.load(io.BytesIO(own["first_filters"]), allow_pickle=False) for own in found)
    assert first.shape == second.shape == (2, 1, 5, 5) and not np.array_equal(first, second)


def test_a_wide_study_begins_with_narrow_packs_and_its_first_frames_come_soon(house: House) -> None:
    house.width = None
    house.submit(seeds=400)
    house.rounds(3)  # lease and layout; first frames; their save
    assert house.fleet.widths == [16, 16]
    assert house.rows("SELECT count(*) FROM frames WHERE step = 0") == [(32,)]


def test_packs_grow_while_the_time_per_lane_falls(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device on which a lane costs half as much in twice the company, up to 8 lanes; and twice as much past that."""
    monkeypatch.setattr(packing, "CPU", replace(packing.CPU, first=4))

    def trainer(pack: FakePack) -> Iterator[PackItem]:
        cost = 1.0 / min(len(pack.configs), 8) * max(len(pack.configs) / 8, 1.0)
        for item in train(pack):
            if isinstance(item, LaneFinished):
                item = replace(item, summary=item.summary.model_copy(update={"seconds": cost * item.summary.steps}))
            yield item

    house.fleet.slots, house.fleet.trainer, house.width = 1, trainer, None
    house.finish(house.submit(seeds=4 + 8 + 3 * 16 + 2 * 8), most=200)
    assert house.fleet.widths == [4, 8, 16, 16, 16, 8, 8]
    known = house.rows("SELECT width, seconds_per_lane_step FROM pack_widths ORDER BY width")
    assert known == [(4, [0.25]), (8, [0.125, 0.125, 0.125]), (16, [0.25, 0.25, 0.25])]


def test_the_next_study_of_a_key_begins_as_wide_as_pays(house: House) -> None:
    config = expand(parse_study(SMALL)).cells[0].config
    with house.engine.begin() as conn:
        for width, seconds in ((2, 4.0), (4, 2.0), (8, 3.0)) * 3:
            widths.measured(conn, pack_key=config.pack_key(), device="cpu", width=width, seconds=seconds, now=house.now)
    house.fleet.slots, house.width = 1, None
    house.finish(house.submit(seeds=8))
    assert house.fleet.widths == [4, 4]


def test_lack_of_memory_halves_the_width_and_is_remembered(house: House) -> None:
    lacking = PackBroken(failure_class=FailureClass.INFRASTRUCTURE, error="out of memory", halve=True)

    def trainer(pack: FakePack) -> Iterator[PackItem]:
        return train(pack) if len(pack.configs) <= 4 else iter([pack_layout(pack.configs[0]), lacking])

    house.fleet.slots, house.fleet.trainer, house.width = 1, trainer, None
    house.finish(house.submit(seeds=16))
    assert house.fleet.widths[:3] == [16, 8, 4] and max(house.fleet.widths[3:]) <= 4
    house.fleet.begun.clear()
    house.finish(house.submit(name="next", seeds=16), most=200)
    assert max(house.fleet.widths) <= 4
    assert house.rows("SELECT DISTINCT infrastructure_failures FROM jobs") == [(0,)]


def test_frames_are_there_while_the_pack_still_trains(house: House) -> None:
    house.submit(seeds=1)
    house.rounds(3)  # lease and layout; first frames; their save
    assert house.rows("SELECT step FROM frames") == [(0,)]
    assert house.rows("SELECT state FROM jobs") == [("leased",)]


def test_a_cancelled_study_is_stopped_and_writes_nothing_more(house: House) -> None:
    study = house.submit(seeds=2)
    house.rounds(3)
    with house.engine.begin() as conn:
        studies.cancel(conn, study, house.now)
    house.heart.run_once(now=house.now)
    house.rounds(4)
    assert house.fleet.stopped == [0, 1]
    assert len(house.fleet.idle()) == 2
    assert house.rows("SELECT count(*) FROM summaries") == [(0,)]
    assert {state for (state,) in house.rows("SELECT state FROM jobs")} == {"cancelled"}
    assert house.ledger.held() == []


def test_a_paused_study_gives_its_slots_free_and_begins_again_when_it_is_resumed(house: House) -> None:
    study = house.submit(seeds=2)
    house.rounds(3)
    with house.engine.begin() as conn:
        studies.pause(conn, study, house.now)
    house.heart.run_once(now=house.now)
    house.rounds(4)
    assert house.fleet.stopped == [0, 1]
    assert house.rows("SELECT DISTINCT state, attempt FROM jobs") == [("queued", 1)]
    with house.engine.begin() as conn:
        studies.resume(conn, study, house.now)
    house.finish(study)
    assert house.rows("SELECT DISTINCT state, attempt, trial_failures + infrastructure_failures FROM jobs") == [
        ("succeeded", 2, 0)
    ]
    assert house.rows("SELECT DISTINCT attempt FROM frames") == [(2,)]


def test_a_dispatcher_that_was_taken_for_dead_changes_nothing(house: House) -> None:
    study = house.submit(seeds=1)
    house.rounds(3)
    later = house.now + timedelta(seconds=LEASE_SECONDS + 1)
    with house.engine.begin() as conn:
        assert queue.rescue(conn, now=later) == 1
    other = House(engine=house.engine, now=later + timedelta(minutes=5))
    other.finish(study)
    before = house.rows("SELECT summary FROM summaries")
    house.rounds(10)
    assert not house.dispatcher.busy()
    assert house.rows("SELECT attempt, state FROM jobs") == [(2, "succeeded")]
    assert house.rows("SELECT summary FROM summaries") == before


def test_a_pack_that_raises_is_halved_and_the_guilty_trial_fails_with_its_traceback(house: House) -> None:
    def trainer(pack: FakePack) -> Iterator[PackItem]:
        if any(config.seed == 2 for config in pack.configs):
            yield pack_layout(pack.configs[0])
            yield PackBroken(failure_class=FailureClass.TRIAL, error="Traceback: seed 2 is unlucky")
        else:
            yield from train(pack)

    house.fleet.slots, house.fleet.trainer = 1, trainer
    study = house.submit(seeds=4)
    house.finish(study)
    found = house.rows("SELECT seed, state, error FROM jobs JOIN trials ON trials.id = jobs.trial_id ORDER BY seed")
    assert [row.state for row in found] == ["succeeded", "succeeded", "failed", "succeeded"]
    assert found[2].error == "Traceback: seed 2 is unlucky"


def test_a_lost_actor_is_nobodys_fault(house: House) -> None:
    lost = PackBroken(failure_class=FailureClass.INFRASTRUCTURE, error="ActorDiedError")
    house.fleet.slots, house.fleet.trainer = 1, lambda pack: iter([pack_layout(pack.configs[0]), lost])
    study = house.submit(seeds=2)
    house.rounds(3)
    assert house.rows("SELECT DISTINCT state, trial_failures, infrastructure_failures FROM jobs") == [("queued", 0, 1)]
    house.fleet.trainer = train
    house.finish(study)
    assert house.rows("SELECT DISTINCT state FROM jobs") == [("succeeded",)]


def test_a_pack_that_ends_without_a_word_fails_its_trials(house: House) -> None:
    house.fleet.slots, house.fleet.trainer = 1, lambda pack: iter([pack_layout(pack.configs[0]), PackDone()])
    study = house.submit(seeds=1)
    house.finish(study)
    assert house.rows("SELECT state, error FROM jobs") == [("failed", "the pack ended without a summary of this trial")]


def test_news_that_the_database_refuses_fail_their_own_pack_only(house: House) -> None:
    def trainer(pack: FakePack) -> Iterator[PackItem]:
        if pack.configs[0].seed == 0:
            yield Layout(series=("a", "b"))
            yield PackFrames(lanes=(0,), step=0, time=0.0, values=np.zeros((1, 3), dtype=np.float32))
            yield PackFrames(lanes=(0,), step=1, time=0.0, values=np.zeros((1, 3), dtype=np.float32))
            yield PackDone()
        else:
            yield from train(pack)

    house.fleet.trainer = trainer
    study = house.submit(seeds=2)
    house.finish(study)
    assert [state for (state,) in house.rows("SELECT state FROM jobs ORDER BY trial_id")] == ["failed", "succeeded"]


def test_while_the_database_is_away_nothing_is_lost(house: House, postgres: EmbeddedServer) -> None:
    study = house.submit(seeds=2)
    house.rounds(2)
    name = house.engine.url.database
    assert name is not None
    with closing(psycopg.connect(host=str(postgres.sockets), user="postgres", autocommit=True)) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        house.rounds(10)
        assert house.dispatcher.busy()
        assert house.fleet.idle() == [0, 1], "the packs went on to their end"
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(name)))
    house.now += timedelta(minutes=1)
    house.finish(study)
    assert house.rows("SELECT DISTINCT state, attempt FROM jobs") == [("succeeded", 1)]
    assert house.rows("SELECT count(*) FROM summaries") == [(2,)]


def test_a_shutdown_gives_leases_back_without_blame(house: House) -> None:
    house.submit(seeds=2)
    house.rounds(4)
    house.dispatcher.shut_down(now=house.now)
    assert house.rows("SELECT DISTINCT state, attempt, trial_failures, infrastructure_failures FROM jobs") == [
        ("queued", 1, 0, 0)
    ]
    assert house.ledger.held() == []


def test_heartbeats_keep_a_long_pack(house: House) -> None:
    house.submit(seeds=1)
    house.rounds(1)
    for _ in range(5):
        house.now += timedelta(seconds=LEASE_SECONDS * 0.9)
        house.heart.run_once(now=house.now)
    assert len(house.ledger.held()) == 1
    assert house.rows("SELECT state, attempt FROM jobs") == [("leased", 1)]


def test_after_a_silence_the_heart_takes_up_its_own_and_waits_before_it_rescues(house: House) -> None:
    house.submit(seeds=2)
    house.rounds(1)
    house.heart.run_once(now=house.now)
    house.ledger.remove([Attempt(trial_id=house.ledger.held()[0].trial_id, attempt=1)])  # as if another held it
    house.now += timedelta(seconds=2 * LEASE_SECONDS)
    house.heart.run_once(now=house.now)
    assert house.rows("SELECT state FROM jobs") == [("leased",), ("leased",)]
    house.heart.run_once(now=house.now + timedelta(seconds=LEASE_SECONDS / 2))
    assert house.rows("SELECT count(*) FROM jobs WHERE state = 'queued'") == [(0,)]
    house.heart.run_once(now=house.now + timedelta(seconds=LEASE_SECONDS))
    assert house.rows("SELECT count(*) FROM jobs WHERE state = 'queued'") == [(1,)]


def test_dispatchers_share_the_slots_and_the_work(house: House) -> None:
    """Each has the places of its number, and takes no more than its part of what is due."""
    other = House(engine=house.engine, now=house.now + timedelta(seconds=1), holder="there")
    house.fleet.slots = other.fleet.slots = 4
    house.width = other.width = 64
    for each in (house, other, house):
        each.heart.run_once(now=other.now)
    house.submit(seeds=64)
    house.rounds(1)
    other.rounds(1)
    assert (house.fleet.turn, other.fleet.turn) == ((0, 2), (1, 2))
    assert house.fleet.widths == [16, 16] and other.fleet.widths == [8, 8]
    with house.engine.begin() as conn:
        found = dispatchers.living(conn, now=other.now, silent_seconds=LEASE_SECONDS)
    assert [(one.holder, one.slots, one.halted) for one in found] == [("here", 0, None), ("there", 0, None)]
    other.heart.run_once(now=other.now)
    house.now = other.now + timedelta(seconds=LEASE_SECONDS + 1)
    house.heart.run_once(now=house.now)  # nothing was heard of the other
    house.rounds(1)
    assert house.fleet.turn == (0, 1)
    other.dispatcher.shut_down(now=house.now)
    assert house.rows("SELECT holder, slots, busy FROM dispatchers") == [("here", 2, 2)]


def test_an_end_that_comes_with_the_heartbeat_is_no_loss() -> None:
    ledger = Ledger()
    attempt = Attempt(trial_id=queue.TrialId(1), attempt=1)
    ledger.add([attempt])
    asked = ledger.held()
    ledger.remove([attempt])
    ledger.add([Attempt(trial_id=queue.TrialId(1), attempt=2)])
    assert ledger.confirm(asked, []) == []
    assert not ledger.is_lost(Attempt(trial_id=queue.TrialId(1), attempt=2))


def test_a_lease_is_lost_as_its_fence_says(now: datetime) -> None:
    ledger = Ledger()
    config = TrialConfig()
    lease = Lease(
        trial_id=queue.TrialId(1), attempt=1, study_id=StudyId(1), pack_key="k", config=config, expires_at=now
    )
    ledger.add([lease])
    assert ledger.confirm(ledger.held(), []) == [Attempt(trial_id=queue.TrialId(1), attempt=1)]
    assert ledger.is_lost(lease)


def added(house: House, name: str = "mine") -> dict[str, Any]:
    """A dataset in the database, and the task that names it."""
    file = io.BytesIO()
    labels = np.arange(100) % 2
    np.savez(file, inputs=np.random.default_rng(0).normal(size=(100, 3)) + labels[:, None], labels=labels)
    arrays = read_dataset(file.getvalue(), most_bytes=10**6)
    stored, counts = arrays.facts(), arrays.label_counts()
    with house.engine.begin() as conn:
        datasets.add(
            conn,
            name=name,
            stored=stored,
            label_counts=counts,
            content=file.getvalue(),
            owner="ann",
            now=house.now,
        )
    return {"dataset": name, "stored": stored.model_dump(mode="json")}


def test_an_added_dataset_is_read_once_and_trained_on(house: House) -> None:
    """The fleet is given it with the first lease, and no more; the pack trains on it."""
    reads = []
    event.listen(house.engine, "before_execute", lambda *given: reads.append(str(given[1])))
    house.width = 1
    study = house.submit(task=added(house), seeds=4)
    house.finish(study)
    assert house.state(study) is StudyState.FINISHED
    assert sum("FROM dataset_pieces" in query for query in reads) == 1
    states = house.rows("select distinct state from jobs")
    assert [row.state for row in states] == ["succeeded"]


def test_a_dataset_that_is_gone_fails_its_trials_and_nobody_elses(house: House) -> None:
    """The pack says what is missing; another study goes on."""
    task = added(house)
    task["stored"]["sha256"] = "0" * 64
    lost, good = house.submit(name="lost", task=task, seeds=1), house.submit(name="good", seeds=1)
    house.finish(good)
    house.finish(lost)
    errors = house.rows(f"select error from jobs where study_id = {lost}")
    assert "was not handed to this process" in errors[0].error
    assert [row.state for row in house.rows(f"select state from jobs where study_id = {good}")] == ["succeeded"]


class Ward(Pulse):
    """Counts beats, and stops the dispatcher after some rounds."""

    def __init__(self) -> None:
        self.stop = Event()
        self.beats = 0

    def beat(self) -> None:
        self.beats += 1
        self.stop.set()


def test_a_dispatcher_whose_slots_are_all_full_from_the_first_round_works(house: House) -> None:
    """As after `down` and `up` in the middle of a long study: no round ends with an idle slot."""
    ward = Ward()

    def long(pack: FakePack) -> Iterator[PackItem]:
        for _ in range(20):
            yield pack_layout(pack.configs[0])
        ward.stop.set()
        yield pack_layout(pack.configs[0])

    house.fleet.trainer = long
    house.submit(factors={"activation": ["relu", "tanh"]}, seeds=40)
    assert dispatch(house.dispatcher, stop=ward.stop, pulse=ward) == 0
    assert house.fleet.idle() == [] and ward.beats == 1


def test_a_slot_that_cannot_be_used_is_no_slot(house: House) -> None:
    """Actors that never become warm: there are places for them, and nothing works."""
    house.fleet.cold = True
    house.submit(seeds=2)
    house.rounds(3)
    assert not house.dispatcher.works() and house.fleet.size() == 2
    house.heart.run_once(now=house.now)
    assert house.rows("SELECT slots, busy FROM dispatchers") == [(0, 0)]
    house.fleet.cold = False
    house.rounds(1)
    assert house.dispatcher.works()
    house.heart.run_once(now=house.now)
    assert house.rows("SELECT slots, busy FROM dispatchers") == [(2, 2)]
