"""The monkey's blows: drawn from its seed, dealt as the study gets on, and undone where they can be."""

import json
import signal
from pathlib import Path
from random import Random

import psutil
import pytest
from chaos.monkey import CARDS, RARE, WITHIN, Act, Monkey
from chaos.victims import Quarry, Victim


class Prey(psutil.Process):
    """A process that only remembers its signals."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.got: list[int] = []

    def send_signal(self, sig: int) -> None:
        self.got.append(sig)


class Zoo(Quarry):
    """One victim of each kind, some of which may be away."""

    away: frozenset[Victim] = frozenset()

    def find(self, victim: Victim, rng: Random) -> list[psutil.Process]:
        return [] if victim in self.away else self.prey[victim]

    def drop_store(self) -> None:
        self.deeds.append("drop store")

    def restart_stack(self) -> None:
        self.deeds.append("restart stack")

    @property
    def deeds(self) -> list[str]:
        found: list[str] = self.__dict__.setdefault("done", [])
        return found

    @property
    def prey(self) -> dict[Victim, list[psutil.Process]]:
        if "cells" not in self.__dict__:
            cells = {victim: [Prey(10 * n + 1), Prey(10 * n + 2)] for n, victim in enumerate(Victim)}
            self.__dict__["cells"] = cells
        found: dict[Victim, list[psutil.Process]] = self.__dict__["cells"]
        return found


def monkey(
    folder: Path, *, seed: int = 3, events: int = len(CARDS), quarry: Quarry | None = None, rare: bool = False
) -> Monkey:
    return Monkey(
        quarry=quarry or Zoo(home=folder),
        journal=folder / "chaos.jsonl",
        seed=seed,
        events=events,
        seconds=1000.0,
        freeze_seconds=5.0,
        rare=rare,
    )


def blows(folder: Path) -> list[tuple[str, str]]:
    notes = [json.loads(line) for line in (folder / "chaos.jsonl").read_text().splitlines()]
    return [(note["victim"], note["act"]) for note in notes if "event" in note]


def hunt(one: Monkey) -> None:
    """All of its blows, each when it is due."""
    for second in range(10 * one.events):
        one.run_once(now=10.0 * second, done=1.0)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_seed_is_a_sequence_of_blows_and_a_deck_has_them_all(seed: int, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        hunt(monkey(tmp_path / name, seed=seed))
    assert blows(tmp_path / "a") == blows(tmp_path / "b")
    assert sorted(blows(tmp_path / "a")) == sorted(CARDS)
    (tmp_path / "c").mkdir()
    hunt(monkey(tmp_path / "c", seed=seed + 10))
    assert blows(tmp_path / "c") != blows(tmp_path / "a")


def test_rare_blows_are_dealt_once_in_a_long_hunt_and_undo_what_is_frozen(tmp_path: Path) -> None:
    zoo = Zoo(home=tmp_path)
    hunt(monkey(tmp_path, quarry=zoo, events=3 * len(CARDS), rare=True))
    assert [blows(tmp_path).count(rare) for rare in RARE] == [1, 1]
    assert sorted(zoo.deeds) == ["drop store", "restart stack"]
    assert zoo.prey[Victim.STORE][0].got == [signal.SIGKILL] and zoo.prey[Victim.STACK][0].got == []


def test_blows_wait_for_progress_and_no_longer_than_their_share_of_the_time(tmp_path: Path) -> None:
    one = monkey(tmp_path, events=10)
    one.run_once(now=0.0, done=0.0)
    assert one.struck == 1
    one.run_once(now=50.0, done=0.0)
    assert one.struck == 1, "nothing has gone forward"
    one.run_once(now=51.0, done=WITHIN * 0.1)
    assert one.struck == 2
    one.run_once(now=51.1, done=1.0)
    assert one.struck == 2, "too soon after the last"
    one.run_once(now=51.0 + 949.0 / 8, done=WITHIN * 0.1)
    assert one.struck == 3, "its share of the time is over"


def test_who_is_frozen_is_left_alone_until_it_is_thawed(tmp_path: Path) -> None:
    zoo = Zoo(home=tmp_path)
    one = monkey(tmp_path, quarry=zoo, events=1000)
    now, act = 0.0, ""
    while act != Act.FREEZE:
        one.run_once(now=now, done=1.0)
        now += 2.0
        victim, act = blows(tmp_path)[-1]
    frozen = zoo.prey[Victim(victim)]
    assert {prey.got[-1] for prey in frozen} == {signal.SIGSTOP}
    before = [len(prey.got) for prey in frozen]
    one.run_once(now=now, done=1.0)
    assert [len(prey.got) for prey in frozen] == before
    one.let_go(now=now)
    assert {prey.got[-1] for prey in frozen} == {signal.SIGCONT}


def test_a_card_whose_victim_is_away_stays_in_the_deck(tmp_path: Path) -> None:
    zoo = Zoo(home=tmp_path)
    one = monkey(tmp_path, quarry=zoo, events=1000)
    zoo.__dict__["away"] = frozenset({Victim.SINK})
    for second in range(100):
        one.run_once(now=10.0 * second, done=1.0)
    assert one.struck == 100 and "sink" not in {victim for victim, _ in blows(tmp_path)}
    zoo.__dict__["away"] = frozenset()
    one.run_once(now=2000.0, done=1.0)
    assert blows(tmp_path)[-1][0] == "sink"


def test_postgres_is_killed_at_its_head_and_asked_by_its_own_signal(tmp_path: Path) -> None:
    zoo = Zoo(home=tmp_path)
    hunt(monkey(tmp_path, quarry=zoo))
    head, backend = zoo.prey[Victim.POSTGRES]
    assert head.got.count(signal.SIGKILL) == 2 and head.got.count(signal.SIGINT) == 2
    assert signal.SIGKILL not in backend.got and signal.SIGSTOP in backend.got
    api = zoo.prey[Victim.API]
    assert [prey.got.count(signal.SIGKILL) for prey in api] == [2, 2]
    assert [prey.got.count(signal.SIGTERM) for prey in api] == [2, 0]
