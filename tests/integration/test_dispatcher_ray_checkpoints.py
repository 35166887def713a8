"""Packs on real Ray actors that are stopped or killed, and go on from their checkpoint."""

import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from actinium.frame import Checkpointed, CheckpointFailed, LaneFinished, PackFrames
from actinium.trial import TrialConfig
from services.dispatcher.fleet import News, PackBroken, PackDone, PackItem, SlotId
from services.dispatcher.ray_fleet import RayFleet
from workers.train import train_pack

PATIENCE = 600
"""Rounds of a tenth of a second."""


def config(seed: int, **fields: Any) -> TrialConfig:
    """A trial of some seconds, whose last frames are far apart."""
    return TrialConfig.model_validate(
        {
            "task": {"train_examples": 640},
            "model": {"kind": "mlp", "depth": 2, "width": 8},
            "training": {"epochs": 60, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.001},
            "normalization": "batch",
            "probes": {"schedule": {"points": 4}},
            "seed": seed,
            **fields,
        }
    )


PACK = [config(0), config(1, activation="prelu")]


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


def checkpointed(heard: list[News]) -> bool:
    """Whether a checkpoint past the first frames was told of."""
    return any(isinstance(news.item, Checkpointed) and news.item.step > 50 for news in heard)


def assert_as_undisturbed(items: list[PackItem], undisturbed: list[Any]) -> None:
    """The whole curve once, bit by bit, and the summaries but for what they cost."""
    found, wanted = ([one for one in some if isinstance(one, PackFrames)] for some in (items, undisturbed))
    assert [one.step for one in found] == [one.step for one in wanted] == PACK[0].probe_steps()
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    cost = {"seconds": 0.0, "probe_seconds": 0.0}
    ends, wanted_ends = (
        [one.summary.model_copy(update=cost) for one in some if isinstance(one, LaneFinished)]
        for some in (items, undisturbed)
    )
    assert ends == wanted_ends and len(ends) == len(PACK)


def test_a_stopped_pack_leaves_a_checkpoint_and_goes_on_from_it(fleet: RayFleet, undisturbed: list[Any]) -> None:
    slot = warm_slot(fleet)
    fleet.start(slot, PACK)
    until(fleet, checkpointed)
    fleet.stop(slot)
    end = until(fleet, ended)[-1].item
    assert isinstance(end, PackDone) and end.checkpoint is not None
    assert 50 < end.checkpoint.step < PACK[0].steps() and end.checkpoint.lanes == (0, 1)
    assert fleet.idle() == [slot], "the actor stays warm"
    fleet.start(slot, PACK, checkpoint=end.checkpoint.name)
    items = [news.item for news in until(fleet, ended)]
    assert_as_undisturbed(items, undisturbed)


def test_a_killed_actor_s_pack_goes_on_from_its_last_checkpoint(fleet: RayFleet, undisturbed: list[Any]) -> None:
    slot = warm_slot(fleet)
    victim = ray.get(fleet._slots[slot].actor.ping.remote()).pid
    fleet.start(slot, PACK)
    heard = until(fleet, checkpointed)
    os.kill(victim, signal.SIGKILL)
    heard += until(fleet, ended)
    assert isinstance(heard[-1].item, PackBroken)
    last = [news.item for news in heard if isinstance(news.item, Checkpointed)][-1]
    fleet.start(warm_slot(fleet), PACK, checkpoint=last.name)
    items = [news.item for news in until(fleet, ended)]
    assert not any(isinstance(item, CheckpointFailed) for item in items)
    assert_as_undisturbed(items, undisturbed)
