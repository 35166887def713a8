"""Nodes that keep losing actors are avoided, longer each time, and never all of them."""

from datetime import datetime, timedelta

from services.dispatcher.nodes import AVOIDED_FIRST, AVOIDED_MOST, FORGIVEN, WINDOW, NodeHealth

MINUTE = timedelta(minutes=1)


def fail(health: NodeHealth, name: str, now: datetime, times: int = 3) -> datetime:
    """So many failures, ten seconds apart; when the last one was."""
    for _ in range(times):
        now += timedelta(seconds=10)
        health.failed(name, now=now)
    return now


def test_three_failures_and_a_node_is_avoided_for_a_while(now: datetime) -> None:
    health, both = NodeHealth(), ["good", "bad"]
    last = fail(health, "bad", now, times=2)
    assert health.avoided(both, now=last) == {}
    last = fail(health, "bad", last, times=1)
    assert health.avoided(both, now=last) == {"bad": last + AVOIDED_FIRST}
    assert health.avoided(both, now=last + AVOIDED_FIRST) == {}


def test_each_time_it_is_avoided_for_twice_as_long_until_it_has_kept_its_actors(now: datetime) -> None:
    health, both = NodeHealth(), ["good", "bad"]
    pauses = []
    for _ in range(8):
        now = fail(health, "bad", now)
        until = health.avoided(both, now=now)["bad"]
        pauses.append(until - now)
        now = until
    assert pauses[:4] == [AVOIDED_FIRST * factor for factor in (1, 2, 4, 8)] and pauses[-1] == AVOIDED_MOST
    now = fail(health, "bad", now + FORGIVEN + MINUTE)
    assert health.avoided(both, now=now)["bad"] - now == AVOIDED_FIRST


def test_the_only_node_and_the_last_one_are_never_avoided(now: datetime) -> None:
    health = NodeHealth()
    now = fail(health, "one", now)
    assert health.avoided(["one"], now=now) == {}
    assert list(health.avoided(["one", "two"], now=now)) == ["one"]
    fail(health, "two", now - MINUTE)
    assert health.avoided(["one", "two"], now=now) == {}


def test_failures_long_ago_and_failures_together_are_not_counted(now: datetime) -> None:
    health, both = NodeHealth(), ["good", "bad"]
    for _ in range(4):
        now += WINDOW / 2
        health.failed("bad", now=now)
    assert health.avoided(both, now=now) == {}
    for _ in range(64):  # a node that goes takes all its actors along
        health.failed("good", now=now)
    assert health.avoided(both, now=now) == {}


def test_actors_that_do_not_start_are_hired_ever_later(now: datetime) -> None:
    health = NodeHealth()
    pauses = []
    for _ in range(7):
        health.not_started("one", now=now)
        begun = now
        while not health.may_hire("one", now=now):
            now += timedelta(seconds=1)
        pauses.append((now - begun).total_seconds())
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert health.may_hire("other", now=begun)
    health.started("one")
    assert health.may_hire("one", now=begun)
