"""What `services.dispatcher.fleet.Fleet` promises, asked of the fleet on Ray and of the fake one that tests use."""

import inspect
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from fake_fleet import FakeFleet
from fleet_rounds import ended, until
from trained import trained

from actinium.datasets.file import read_dataset
from actinium.frame import Checkpointed, LaneFinished, Layout, PackFrames, TrialSummary
from actinium.job import FailureClass
from actinium.trial import TrialConfig
from services.dispatcher.fleet import Fleet, News, PackBroken, PackDone, PackItem, SlotId
from services.dispatcher.ray_fleet import RayFleet
from workers.checkpoints.store import CheckpointStore

SLOTS = 2
COSTS = {"seconds": 0.0, "probe_seconds": 0.0}


def pack(lanes: int, **fields: Any) -> list[TrialConfig]:
    """Trials of a moment that differ in their seed."""
    small = {
        "task": {"train_examples": 64},
        "model": {"kind": "mlp", "depth": 1, "width": 4},
        "training": {"epochs": 2, "batch_size": 16},
        "probes": {"schedule": {"points": 4}},
    }
    return [TrialConfig.model_validate({**small, **fields, "seed": seed}) for seed in range(lanes)]


def longer(epochs: int) -> list[TrialConfig]:
    """Two trials that have more to keep than their parameters."""
    return pack(2, training={"epochs": epochs, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.001})


# ---- the fleets ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Hired:
    """A fleet of two slots, and what a test needs to know of it."""

    fleet: Fleet
    long: list[TrialConfig]
    """A pack of which much is left when its first checkpoint is told of."""
    kill: Callable[[SlotId], None]
    """Ends what computes in a slot that trains."""


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Hired:
    """The fake fleet."""
    fleet = FakeFleet(slots=SLOTS, store=CheckpointStore(str(tmp_path_factory.mktemp("checkpoints"))))
    return Hired(fleet=fleet, long=longer(8), kill=fleet.kill)


@pytest.fixture(scope="module")
def on_ray(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hired]:
    """The fleet on Ray, whose actors stay warm for the whole file. It is not closed: its Ray is the session's."""
    folder = tmp_path_factory.mktemp("fleet")
    nowhere, checkpoints = str(folder / "nowhere"), str(folder / "checkpoints")
    fleet = RayFleet(data_root=nowhere, checkpoints=checkpoints, checkpoint_seconds=0.1, most=SLOTS)
    yield Hired(fleet=fleet, long=longer(500), kill=lambda slot: ray.kill(fleet._slots[slot].actor))
    for slot in fleet._slots.values():
        ray.kill(slot.actor)


@pytest.fixture(params=["fake", pytest.param("on_ray", marks=pytest.mark.slow)])
def hired(request: pytest.FixtureRequest) -> Iterator[Hired]:
    """Each fleet in turn, with all its slots idle; whatever a test leaves in training is stopped."""
    found: Hired = request.getfixturevalue(request.param)
    slots = all_idle(found.fleet)
    yield found
    for slot in slots:
        found.fleet.stop(slot)
    all_idle(found.fleet)


def all_idle(fleet: Fleet) -> list[SlotId]:
    """The slots, once all are warm and free and the fleet has all that there are."""
    fleet.share(turn=0, of=1)
    until(fleet, lambda _: len(fleet.idle()) == SLOTS)
    return list(fleet.idle())


@pytest.fixture
def fleet(hired: Hired) -> Fleet:
    """Each fleet in turn."""
    return hired.fleet


# ---- what tests ask of news -----------------------------------------------------------------------------------------


def of(slot: SlotId, heard: list[News]) -> list[PackItem]:
    """One slot's part of the news."""
    return [news.item for news in heard if news.slot == slot]


def saved(heard: list[News]) -> bool:
    """Whether a checkpoint was told of."""
    return any(isinstance(news.item, Checkpointed) for news in heard)


def ends(heard: list[News]) -> list[News]:
    """The packs' ends."""
    return [news for news in heard if isinstance(news.item, PackDone | PackBroken)]


def measured(items: list[PackItem], lanes: int) -> tuple[list[np.ndarray], list[TrialSummary]]:
    """Each lane's frames and summary, of a pack's items from its beginning to its end in the order that is promised."""
    first, *middle, end = items
    assert isinstance(first, Layout) and end == PackDone()
    frames: list[list[np.ndarray]] = [[] for _ in range(lanes)]
    summaries: dict[int, TrialSummary] = {}
    for item in middle:
        match item:
            case PackFrames():
                assert item.values.shape == (len(item.lanes), len(first.series))
                assert not summaries.keys() & set(item.lanes), "a lane that has ended is measured no more"
                for lane, values in zip(item.lanes, item.values, strict=True):
                    frames[lane].append(values)
            case LaneFinished():
                assert item.lane not in summaries
                summaries[item.lane] = item.summary
            case _:
                assert isinstance(item, Checkpointed)
    return [np.stack(rows) for rows in frames], [summaries[lane] for lane in range(lanes)]


def assert_as_alone(items: list[PackItem], configs: list[TrialConfig]) -> None:
    """The numbers of a pack that nobody disturbs, to the bit, and its summaries but for what they cost."""
    found, wanted = measured(items, len(configs)), trained(configs)
    for one, other in zip(found[0], wanted[0], strict=True):
        np.testing.assert_array_equal(one, other)
    without_costs = [[summary.model_copy(update=COSTS) for summary in some[1]] for some in (found, wanted)]
    assert without_costs[0] == without_costs[1]


def assert_silent(fleet: Fleet) -> None:
    """Nothing more is told of anybody."""
    for _ in range(3):
        fleet.tend(now=datetime.now(UTC))
        assert fleet.news(seconds=0.05) == []


# ---- slots and packs ------------------------------------------------------------------------------------------------


def test_slots_are_idle_until_they_train_and_say_what_they_compute_on(fleet: Fleet) -> None:
    one, two = fleet.idle()
    assert one != two and fleet.size() == SLOTS
    assert fleet.device(one) == fleet.device(two) == "cpu"
    assert fleet.avoided() == {}
    assert_silent(fleet)
    fleet.start(two, pack(1), checkpoint=None)
    assert fleet.idle() == [one] and fleet.size() == SLOTS
    until(fleet, ended)
    assert sorted(fleet.idle()) == [one, two]


def test_a_packs_news_come_in_its_order_and_end_once(fleet: Fleet) -> None:
    slot = fleet.idle()[0]
    fleet.start(slot, pack(3), checkpoint=None)
    heard = until(fleet, ended)
    assert {news.slot for news in heard} == {slot} and len(ends(heard)) == 1
    assert_as_alone([news.item for news in heard], pack(3))
    frames = [news.item.step for news in heard if isinstance(news.item, PackFrames)]
    assert frames == pack(1)[0].frame_steps()
    assert_silent(fleet)


def test_packs_in_two_slots_do_not_mix(fleet: Fleet) -> None:
    one, two = fleet.idle()
    fleet.start(one, pack(2), checkpoint=None)
    fleet.start(two, pack(3, activation="tanh"), checkpoint=None)
    heard = until(fleet, lambda heard: len(ends(heard)) == 2)
    assert_as_alone(of(one, heard), pack(2))
    assert_as_alone(of(two, heard), pack(3, activation="tanh"))


def test_a_slot_that_trains_takes_no_other_pack(fleet: Fleet) -> None:
    slot = fleet.idle()[0]
    fleet.start(slot, pack(2), checkpoint=None)
    with pytest.raises(AssertionError, match=f"slot {slot} is not idle"):
        fleet.start(slot, pack(3), checkpoint=None)
    assert_as_alone([news.item for news in until(fleet, ended)], pack(2))


def test_what_nobody_can_train_fails_with_what_to_do_and_the_slot_goes_on(fleet: Fleet) -> None:
    slot = fleet.idle()[0]
    fleet.start(slot, pack(2, task={"dataset": "mnist"}), checkpoint=None)
    end = until(fleet, ended)[-1].item
    assert isinstance(end, PackBroken) and end.failure_class is FailureClass.TRIAL and end.final and not end.halve
    assert "actinium data fetch mnist" in end.error and "Traceback" not in end.error
    assert slot in fleet.idle()
    fleet.start(slot, pack(1), checkpoint=None)
    assert_as_alone([news.item for news in until(fleet, ended)], pack(1))


# ---- stops and losses -----------------------------------------------------------------------------------------------


def test_a_stopped_pack_ends_once_with_a_checkpoint_and_goes_on_from_it_in_any_slot(hired: Hired) -> None:
    fleet, (one, two) = hired.fleet, hired.fleet.idle()
    fleet.start(one, hired.long, checkpoint=None)
    heard = until(fleet, saved)
    fleet.stop(one)
    fleet.stop(one)
    heard += until(fleet, ended)
    (end,) = [news.item for news in ends(heard)]
    assert isinstance(end, PackDone)
    assert not any(isinstance(news.item, LaneFinished) for news in heard)
    left = end.checkpoint or [news.item for news in heard if isinstance(news.item, Checkpointed)][-1]
    assert 0 < left.step < hired.long[0].steps() and left.lanes == (0, 1)
    assert one in fleet.idle()
    assert_silent(fleet)
    fleet.start(two, hired.long, checkpoint=left.name)
    assert_as_alone(of(two, until(fleet, ended)), hired.long)


def test_to_stop_whoever_does_not_train_does_nothing(fleet: Fleet) -> None:
    slots = list(fleet.idle())
    for slot in (*slots, SlotId(10**6)):
        fleet.stop(slot)
    assert_silent(fleet)
    assert list(fleet.idle()) == slots
    fleet.start(slots[0], pack(2), checkpoint=None)
    assert_as_alone([news.item for news in until(fleet, ended)], pack(2))


def test_a_lost_slot_is_no_trials_fault_and_is_replaced(hired: Hired) -> None:
    """The only node is not avoided for it."""
    fleet, (lost, other) = hired.fleet, hired.fleet.idle()
    fleet.start(lost, hired.long, checkpoint=None)
    until(fleet, saved)
    hired.kill(lost)
    heard = until(fleet, ended)
    (end,) = [news.item for news in ends(heard)]
    assert isinstance(end, PackBroken) and end.failure_class is FailureClass.INFRASTRUCTURE
    assert "Error" in end.error and not end.final and not end.halve
    assert lost not in fleet.idle()
    until(fleet, lambda _: len(fleet.idle()) == SLOTS)
    (new,) = set(fleet.idle()) - {other}
    assert new != lost and fleet.size() == SLOTS and fleet.avoided() == {}
    fleet.start(new, pack(1), checkpoint=None)
    assert_as_alone([news.item for news in until(fleet, ended)], pack(1))


# ---- datasets, shares, the end --------------------------------------------------------------------------------------


def test_a_dataset_is_trained_on_once_it_is_held(fleet: Fleet) -> None:
    file = io.BytesIO()
    np.savez(file, inputs=np.random.default_rng(0).normal(size=(200, 3)), labels=np.arange(200) % 2)
    stored = read_dataset(file.getvalue(), most_bytes=10**6).facts()
    trials = pack(2, task={"dataset": "mine", "stored": stored.model_dump(mode="json")})
    slot = fleet.idle()[0]
    assert not fleet.holds(stored.sha256)
    fleet.start(slot, trials, checkpoint=None)
    end = until(fleet, ended)[-1].item
    assert isinstance(end, PackBroken) and end.final and "was not handed to this process" in end.error
    fleet.hold(stored.sha256, file.getvalue())
    assert fleet.holds(stored.sha256)
    fleet.start(slot, trials, checkpoint=None)
    measured([news.item for news in until(fleet, ended)], 2)


def test_slots_past_its_share_are_let_go_once_they_are_free(hired: Hired) -> None:
    """Of two slots, two fleets have one each, and the last of three has none. Who trains is never let go."""
    fleet, (one, two) = hired.fleet, hired.fleet.idle()
    fleet.start(one, hired.long, checkpoint=None)
    fleet.start(two, pack(1), checkpoint=None)
    fleet.share(turn=0, of=2)
    fleet.tend(now=datetime.now(UTC))
    assert fleet.size() == 2, "both train"
    until(fleet, ends)
    fleet.tend(now=datetime.now(UTC))
    assert fleet.size() == 1 and fleet.idle() == [], "the one that trains is its share"
    fleet.share(turn=2, of=3)
    fleet.tend(now=datetime.now(UTC))
    assert fleet.size() == 1
    fleet.stop(one)
    until(fleet, ended)
    fleet.tend(now=datetime.now(UTC))
    assert fleet.size() == 0 and fleet.idle() == []
    fleet.share(turn=1, of=2)
    until(fleet, lambda _: len(fleet.idle()) == 1)
    assert fleet.size() == 1


@pytest.mark.parametrize("kind", ["fake", pytest.param("on_ray", marks=pytest.mark.slow)])
def test_a_closed_fleet_has_nothing(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    closing: Fleet = FakeFleet()
    if kind == "on_ray":
        request.getfixturevalue("cluster")
        monkeypatch.setattr(ray, "shutdown", lambda: None)  # the session's Ray stays
        closing = RayFleet(data_root=str(tmp_path))
    closing.tend(now=datetime.now(UTC))
    assert closing.size() == SLOTS
    for slot in closing.idle():
        closing.start(slot, pack(1), checkpoint=None)
    closing.close()
    assert closing.idle() == [] and closing.news(seconds=0.0) == []


@pytest.mark.parametrize("kind", [FakeFleet, RayFleet])
def test_every_call_has_the_protocols_parameters(kind: type) -> None:
    """mypy says so of the fleet on Ray; nobody but this test of the fake one."""
    asked = {name: method for name, method in vars(Fleet).items() if not name.startswith("_")}
    assert len(asked) == 13
    for name, method in asked.items():
        assert inspect.signature(getattr(kind, name)) == inspect.signature(method), name
