"""Rounds of any fleet, as the dispatcher makes them, until something has happened."""

from collections.abc import Callable
from datetime import UTC, datetime

from services.dispatcher.fleet import Fleet, News, PackBroken, PackDone, SlotId

ROUNDS = 600
"""At most; of a tenth of a second, where nothing happens."""


def until(fleet: Fleet, done: Callable[[list[News]], bool]) -> list[News]:
    """Rounds until `done` says so of all the news that there were."""
    heard: list[News] = []
    for _ in range(ROUNDS):
        fleet.tend(now=datetime.now(UTC))
        heard += fleet.news(seconds=0.1)
        if done(heard):
            return heard
    raise AssertionError(f"no end of it: {heard}")


def warm_slot(fleet: Fleet) -> SlotId:
    """The first slot that is warm."""
    until(fleet, lambda _: bool(fleet.idle()))
    return fleet.idle()[0]


def ended(heard: list[News]) -> bool:
    """Whether the last news is a pack's end."""
    return bool(heard) and isinstance(heard[-1].item, PackDone | PackBroken)
