"""What the fleet on Ray does beyond what every fleet does (`tests/conformance/test_fleets.py`)."""

import io
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from fleet_rounds import ended, until, warm_slot

from actinium.datasets.file import read_dataset
from actinium.frame import LaneFinished
from actinium.job import FailureClass
from actinium.trial import TrialConfig
from services.dispatcher import ray_fleet
from services.dispatcher.fleet import FleetLost, PackBroken, PackDone
from services.dispatcher.ray_connection import answers, split
from services.dispatcher.ray_fleet import LISTENING_MOST_SECONDS, MOST_DATASETS, RayFleet
from workers.actor import PackTrainer
from workers.stream import PackFailed
from workers.training.train import pack_layout


@pytest.fixture
def fleet(cluster: None, tmp_path: Path) -> Iterator[RayFleet]:
    """One slot. `close` is not called: it would also leave the session's cluster."""
    made = RayFleet(data_root=str(tmp_path), most=1)
    yield made
    for slot in made._slots.values():
        ray.kill(slot.actor)


def config(**fields: Any) -> TrialConfig:
    """A trial of a moment."""
    small = {"model": {"kind": "mlp", "depth": 1, "width": 4}, "training": {"epochs": 2, "batch_size": 64}}
    return TrialConfig.model_validate({**small, **fields})


def test_what_a_trial_leaves_comes_with_its_summary(fleet: RayFleet) -> None:
    left = {"model": {"kind": "cnn", "width": 2}, "probes": {"filters": {}}}
    fleet.start(warm_slot(fleet), [config(seed=1, **left), config(seed=2, **left)], checkpoint=None)
    ends = [news.item for news in until(fleet, ended) if isinstance(news.item, LaneFinished)]
    assert sorted(end.lane for end in ends) == [0, 1]
    assert all(end.artifacts["first_filters"].shape == (2, 1, 5, 5) for end in ends)


def test_an_actor_that_lost_its_device_is_replaced(fleet: RayFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(PackTrainer):
        def train(self, documents: Any, dataset: Any = None, checkpoint: Any = None) -> Iterator[Any]:
            yield PackFailed(error="CUDA error: device-side assert triggered", device_lost=True)

    with monkeypatch.context() as patch:
        patch.setattr(ray_fleet, "PackActor", ray.remote(Broken))
        slot = warm_slot(fleet)
    fleet.start(slot, [config()], checkpoint=None)
    end = until(fleet, ended)[-1].item
    assert isinstance(end, PackBroken) and end.failure_class is FailureClass.INFRASTRUCTURE and "assert" in end.error
    fleet.start(warm_slot(fleet), [config()], checkpoint=None)
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


def test_the_datasets_used_last_are_held(fleet: RayFleet) -> None:
    """Only the last few; a pack uses its own."""
    file = io.BytesIO()
    np.savez(file, inputs=np.random.default_rng(0).normal(size=(400, 3)), labels=np.arange(400) % 2)
    stored = read_dataset(file.getvalue(), most_bytes=10**6).facts()
    trial = config(task={"dataset": "mine", "stored": stored.model_dump(mode="json")})
    slot = warm_slot(fleet)
    fleet.hold(stored.sha256, file.getvalue())
    for number in range(MOST_DATASETS):
        assert fleet.holds(stored.sha256)
        fleet.start(slot, [trial], checkpoint=None)
        assert isinstance(until(fleet, ended)[-1].item, PackDone)
        fleet.hold(f"{number:064d}", b"another")
    fleet.hold("f" * 64, b"another")
    assert fleet.holds(stored.sha256)
    for number in range(MOST_DATASETS):
        fleet.hold(f"{number:032d}", b"another")
    assert not fleet.holds(stored.sha256)


def test_a_pack_that_says_nothing_for_long_is_killed_and_blamed_on_nobody(
    fleet: RayFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = pack_layout(config())

    class Hanging(PackTrainer):
        def train(self, *given: Any) -> Iterator[Any]:
            yield layout
            threading.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(ray_fleet, "PackActor", ray.remote(Hanging))
        slot = warm_slot(fleet)
    fleet.start(slot, [config()], checkpoint=None)
    until(fleet, bool)
    now = datetime.now(UTC)
    fleet.silence_seconds = 5 * LISTENING_MOST_SECONDS - 1.0
    for _ in range(5):
        fleet.tend(now=now)
        assert fleet.news(seconds=0.0) == [], "not yet"
        now += timedelta(hours=1)  # nobody listened, but for the last few seconds at most
    fleet.tend(now=now)
    fleet.news(seconds=0.0)
    end = until(fleet, ended)[-1].item
    assert isinstance(end, PackBroken) and end.failure_class is FailureClass.INFRASTRUCTURE
    assert "the pack said nothing for" in end.error
    fleet.start(warm_slot(fleet), [config()], checkpoint=None)
    assert isinstance(until(fleet, ended)[-1].item, PackDone)
