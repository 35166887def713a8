"""The fleet on a real Ray: actors become warm, train, are stopped, are killed and replaced."""

import io
import os
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from actinium.datasets.file import read_dataset
from actinium.frame import LaneFinished, Layout, PackFrames
from actinium.job import FailureClass
from actinium.trial import TrialConfig
from services.dispatcher import ray_fleet
from services.dispatcher.fleet import FleetLost, News, PackBroken, PackDone, SlotId
from services.dispatcher.ray_connection import answers, split
from services.dispatcher.ray_fleet import MOST_DATASETS, RayFleet
from workers.actor import PackFailed, PackTrainer
from workers.training.train import pack_layout

PATIENCE = 600
"""Rounds of a tenth of a second."""


@pytest.fixture
def fleet(cluster: None, tmp_path: Path) -> Iterator[RayFleet]:
    """One slot. `close` is not called: it would also leave the module's cluster."""
    made = RayFleet(data_root=str(tmp_path), most=1)
    yield made
    for slot in made._slots.values():
        ray.kill(slot.actor)


def until(fleet: RayFleet, done: Callable[[list[News]], bool]) -> list[News]:
    """Rounds until `done` says so of all the news."""
    heard: list[News] = []
    for _ in range(PATIENCE):
        fleet.tend(now=datetime.now(UTC))
        heard += fleet.news(seconds=0.1)
        if done(heard):
            return heard
    raise AssertionError(f"no end of it: {heard}")


def warm_slot(fleet: RayFleet) -> SlotId:
    """The first slot that is warm."""
    until(fleet, lambda _: bool(fleet.idle()))
    return fleet.idle()[0]


def ended(heard: list[News]) -> bool:
    """Whether a pack has come to its end."""
    return bool(heard) and isinstance(heard[-1].item, PackDone | PackBroken)


def config(**fields: Any) -> TrialConfig:
    """A trial of a moment."""
    small = {"model": {"kind": "mlp", "depth": 1, "width": 4}, "training": {"epochs": 2, "batch_size": 64}}
    return TrialConfig.model_validate({**small, **fields})


LONG = {"training": {"epochs": 100_000, "batch_size": 64}}


def actor_pid(fleet: RayFleet, slot: SlotId) -> int:
    """The process of a slot's actor."""
    pid: int = ray.get(fleet._slots[slot].actor.ping.remote()).pid
    return pid


def test_a_pack_streams_its_layout_its_frames_and_its_summaries(fleet: RayFleet) -> None:
    slot = warm_slot(fleet)
    assert fleet.device(slot) == "cpu" and fleet.size() == 1
    left = {"model": {"kind": "cnn", "width": 2}, "probes": {"filters": {}}}
    fleet.start(slot, [config(seed=1, **left), config(seed=2, **left)])
    assert fleet.idle() == []
    items = [news.item for news in until(fleet, ended)]
    assert isinstance(items[0], Layout) and isinstance(items[-1], PackDone)
    frames = [item for item in items if isinstance(item, PackFrames)]
    assert [frame.step for frame in frames] == config().probe_steps()
    assert {frame.values.shape for frame in frames} == {(2, len(items[0].series))}
    ends = [item for item in items if isinstance(item, LaneFinished)]
    assert sorted(end.lane for end in ends) == [0, 1]
    assert all(end.artifacts["first_filters"].shape == (2, 1, 5, 5) for end in ends)
    assert fleet.idle() == [slot], "the actor stays warm"


def test_a_dataset_that_is_not_there_comes_as_what_to_do(fleet: RayFleet) -> None:
    slot = warm_slot(fleet)
    fleet.start(slot, [config(task={"dataset": "mnist"})])
    end = until(fleet, ended)[-1].item
    assert isinstance(end, PackBroken) and end.failure_class is FailureClass.TRIAL and not end.halve
    assert end.final and "actinium data fetch mnist" in end.error and "Traceback" not in end.error
    assert fleet.idle() == [slot]


def test_a_killed_actor_is_infrastructure_and_is_replaced(fleet: RayFleet) -> None:
    slot = warm_slot(fleet)
    victim = actor_pid(fleet, slot)
    fleet.start(slot, [config(**LONG)])
    until(fleet, lambda heard: any(isinstance(news.item, PackFrames) for news in heard))
    os.kill(victim, signal.SIGKILL)
    end = until(fleet, ended)[-1].item
    assert isinstance(end, PackBroken) and end.failure_class is FailureClass.INFRASTRUCTURE
    assert "Error" in end.error
    fresh = warm_slot(fleet)
    assert fresh != slot
    fleet.start(fresh, [config()])
    assert isinstance(until(fleet, ended)[-1].item, PackDone)


def test_an_actor_that_lost_its_device_is_replaced(fleet: RayFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(PackTrainer):
        def train(self, documents: Any, dataset: Any = None, checkpoint: Any = None) -> Iterator[Any]:
            yield PackFailed(error="CUDA error: device-side assert triggered", device_lost=True)

    with monkeypatch.context() as patch:
        patch.setattr(ray_fleet, "PackActor", ray.remote(Broken))
        slot = warm_slot(fleet)
    fleet.start(slot, [config()])
    end = until(fleet, ended)[-1].item
    assert isinstance(end, PackBroken) and end.failure_class is FailureClass.INFRASTRUCTURE and "assert" in end.error
    fleet.start(warm_slot(fleet), [config()])
    assert isinstance(until(fleet, ended)[-1].item, PackDone)


def test_a_stopped_pack_ends_soon_and_the_slot_is_free_again(fleet: RayFleet) -> None:
    slot = warm_slot(fleet)
    fleet.start(slot, [config(**LONG)])
    until(fleet, lambda heard: any(isinstance(news.item, PackFrames) for news in heard))
    fleet.stop(slot)
    assert isinstance(until(fleet, ended)[-1].item, PackDone | PackBroken)
    fleet.start(warm_slot(fleet), [config()])
    assert isinstance(until(fleet, ended)[-1].item, PackDone)


def test_a_head_that_does_not_answer_is_a_lost_fleet(cluster: None) -> None:
    lost = RayFleet(data_root=None, reachable=lambda: False)
    with pytest.raises(FleetLost, match="ACTINIUM_RAY_ADDRESS"):
        lost.tend(now=datetime.now(UTC))


def test_addresses() -> None:
    assert split("10.0.0.1:6379") == ("10.0.0.1", 6379)
    assert not answers("127.0.0.1:1")
    with pytest.raises(FleetLost, match="host:port"):
        split("ray://head:10001")


def test_a_dataset_goes_to_the_actor_through_the_object_store(fleet: RayFleet) -> None:
    """It is handed over with the pack; only the last few are held; without it the trial says what is missing."""
    file = io.BytesIO()
    np.savez(file, inputs=np.random.default_rng(0).normal(size=(400, 3)), labels=np.arange(400) % 2)
    stored = read_dataset(file.getvalue(), most_bytes=10**6).facts()
    trial = config(task={"dataset": "mine", "stored": stored.model_dump(mode="json")})
    slot = warm_slot(fleet)
    fleet.start(slot, [trial])
    end = until(fleet, ended)[-1].item
    assert isinstance(end, PackBroken) and "was not handed to this process" in end.error
    assert not fleet.holds(stored.sha256)
    fleet.hold(stored.sha256, file.getvalue())
    for number in range(MOST_DATASETS):
        assert fleet.holds(stored.sha256)
        fleet.start(slot, [trial])
        items = [news.item for news in until(fleet, ended)]
        assert isinstance(items[-1], PackDone) and any(isinstance(item, LaneFinished) for item in items)
        fleet.hold(f"{number:064d}", b"another")
    fleet.hold("f" * 64, b"another")
    assert fleet.holds(stored.sha256)
    for number in range(MOST_DATASETS):
        fleet.hold(f"{number:032d}", b"another")
    assert not fleet.holds(stored.sha256)


def test_slots_past_its_share_are_let_go_once_they_are_free(cluster: None, tmp_path: Path) -> None:
    """Both slots while the fleet is alone; one of them, never the one that trains, when another one comes."""
    fleet = RayFleet(data_root=str(tmp_path))
    try:
        until(fleet, lambda _: len(fleet.idle()) == 2)
        one, two = fleet.idle()
        fleet.start(one, [config(**LONG)], checkpoint=None)
        fleet.start(two, [config()], checkpoint=None)
        fleet.share(turn=0, of=2)
        fleet.tend(now=datetime.now(UTC))
        assert len(fleet._slots) == 2, "both train"
        until(fleet, lambda heard: any(isinstance(news.item, PackDone) for news in heard))
        fleet.tend(now=datetime.now(UTC))
        assert list(fleet._slots) == [one] and fleet.size() == 1
        fleet.share(turn=1, of=3)
        fleet.tend(now=datetime.now(UTC))
        fleet.stop(one)
        until(fleet, ended)
        fleet.share(turn=2, of=3)
        fleet.tend(now=datetime.now(UTC))
        assert fleet.size() == 0 and fleet.idle() == [], "two cores, and two that came before"
    finally:
        for slot in fleet._slots.values():
            ray.kill(slot.actor)


def test_a_pack_that_says_nothing_for_long_is_killed_and_blamed_on_nobody(
    fleet: RayFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(PackTrainer):
        def train(self, *given: Any) -> Iterator[Any]:
            yield pack_layout(config())
            threading.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(ray_fleet, "PackActor", ray.remote(Hanging))
        slot = warm_slot(fleet)
    fleet.silence_seconds = 0.5
    fleet.start(slot, [config()], checkpoint=None)
    end = until(fleet, ended)[-1].item
    assert isinstance(end, PackBroken) and end.failure_class is FailureClass.INFRASTRUCTURE
    assert "the pack said nothing for" in end.error
    fleet.silence_seconds = 60.0
    fleet.start(warm_slot(fleet), [config()], checkpoint=None)
    assert isinstance(until(fleet, ended)[-1].item, PackDone)
