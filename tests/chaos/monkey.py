"""The monkey: a seeded sequence of blows, dealt while a study makes progress, and written down."""

import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any

import psutil
from chaos.victims import Family, Quarry, Victim


class Act(StrEnum):
    """What is done to a victim."""

    KILL = "kill"  # SIGKILL
    FREEZE = "freeze"  # SIGSTOP until after its leases have run out, then SIGCONT: it comes back as a zombie
    RESTART = "restart"  # asked to end in order
    CRASH = "crash"  # SIGSEGV, as of a fault in native code
    DROP = "drop"  # its data is lost


ONCE: Sequence[tuple[Victim, Act]] = (
    *((victim, Act.KILL) for victim in (Victim.WORKER, Victim.RAYLET, Victim.HEAD, Victim.DISPATCHER)),
    *((victim, Act.RESTART) for victim in (Victim.WORKER, Victim.DISPATCHER)),
    (Victim.WORKER, Act.CRASH),
)
"""Blows after which actors must be made, which takes longest."""
TWICE: Sequence[tuple[Victim, Act]] = (
    *(
        (victim, act)
        for victim in (Victim.SINK, Victim.MLFLOW, Victim.API, Victim.POSTGRES)
        for act in (Act.KILL, Act.FREEZE, Act.RESTART)
    ),
    *((victim, Act.FREEZE) for victim in (Victim.WORKER, Victim.RAYLET, Victim.DISPATCHER)),
    (Victim.BACKEND, Act.KILL),
)
CARDS = (*ONCE, *TWICE, *TWICE)
"""Blows are dealt from a shuffled deck of these, and when it is used up from another."""
RARE: Sequence[tuple[Victim, Act]] = ((Victim.STORE, Act.DROP), (Victim.STACK, Act.RESTART))
"""In the first deck of a long hunt, once: each takes the time of many blows."""
ALONE = {Victim.POSTGRES: "PostgreSQL's own processes are left to notice"}
"""Whom SIGKILL hits without its offspring, and why."""
ASKED: Mapping[Victim, int] = {Victim.POSTGRES: signal.SIGINT}
"""How to ask for an end in order, where that is not SIGTERM: PostgreSQL would then wait for its clients to leave."""
WITHIN = 0.8
"""The share of a study's progress in which the blows are dealt."""
GAP_SECONDS = (0.4, 1.6)
"""The shortest pause between two blows is drawn from these."""


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """A victim that was stopped, and until when."""

    number: int
    family: Family
    until: float


@dataclass(kw_only=True)
class Monkey:
    """One round is `run_once`. `now` and `seconds` count from the beginning of the hunt.

    The next blow falls once the study has come as far as the share of blows that were dealt (all are by WITHIN of it),
    so that progress is made between blows; or, where nothing goes forward, when its share of `seconds` has passed.
    """

    quarry: Quarry
    journal: Path
    seed: int
    events: int
    seconds: float
    freeze_seconds: float
    rare: bool = False
    """Whether RARE blows are dealt."""
    struck: int = 0
    _rng: Random = field(init=False)
    _cards: list[tuple[Victim, Act]] = field(default_factory=list)
    _frozen: list[Frozen] = field(default_factory=list)
    _not_before: float = 0.0
    _last: float = 0.0

    def __post_init__(self) -> None:
        self._rng = Random(self.seed)
        self._note(seed=self.seed, events=self.events, seconds=self.seconds)

    def run_once(self, *, now: float, done: float) -> None:
        """Thaw whose time has come, and strike if a blow is due. `done`: the study's progress, 0 to 1."""
        for frozen in [frozen for frozen in self._frozen if now >= frozen.until]:
            self._thaw(frozen, now=now)
        if self.struck < self.events and now >= self._not_before and self._is_due(now=now, done=done):
            self._strike(now=now, done=done)

    def let_go(self, *, now: float) -> None:
        """Thaw all."""
        for frozen in list(self._frozen):
            self._thaw(frozen, now=now)

    def _is_due(self, *, now: float, done: float) -> bool:
        share = (self.seconds - self._last) / (self.events - self.struck)
        return done * self.events >= WITHIN * self.struck or now - self._last >= share

    def _strike(self, *, now: float, done: float) -> None:
        """Deal the first card whose victim lives."""
        for place, (victim, act) in enumerate(self._deck()):
            family = self.quarry.find(victim, self._rng)
            if family and not self._is_frozen(family):
                del self._cards[place]
                self._hit(victim, act, family, now=now, done=done)
                return

    def _deck(self) -> Iterator[tuple[Victim, Act]]:
        """The cards in their order; a new deck below them when few are left."""
        if len(self._cards) < len(CARDS):
            deck = (*CARDS, *RARE) if self.rare else CARDS
            self.rare = False
            self._cards += self._rng.sample(deck, len(deck))
        return iter(tuple(self._cards))

    def _hit(self, victim: Victim, act: Act, family: Family, *, now: float, done: float) -> None:
        match act:
            case Act.RESTART if victim is Victim.STACK:
                self.let_go(now=now)  # what is frozen does not end in order
                self.quarry.restart_stack()
                hit = [family[0].pid]
            case Act.DROP:
                self.quarry.drop_store()
                hit = _send(family, signal.SIGKILL)
            case Act.CRASH:
                hit = _send(family, signal.SIGSEGV)
            case Act.KILL:
                hit = _send(family[:1] if victim in ALONE else family, signal.SIGKILL)
            case Act.RESTART:
                hit = _send(family[:1], ASKED.get(victim, signal.SIGTERM))
            case Act.FREEZE:
                hit = _send(family, signal.SIGSTOP)
                self._frozen.append(Frozen(number=self.struck + 1, family=family, until=now + self.freeze_seconds))
        if hit:
            self.struck += 1
            self._last, self._not_before = now, now + self._rng.uniform(*GAP_SECONDS)
            self._note(
                event=self.struck, second=round(now, 2), victim=victim, act=act, processes=hit, done=round(done, 4)
            )

    def _is_frozen(self, family: Family) -> bool:
        stopped = {process.pid for frozen in self._frozen for process in frozen.family}
        return family[0].pid in stopped

    def _thaw(self, frozen: Frozen, *, now: float) -> None:
        self._frozen.remove(frozen)
        thawed = _send(frozen.family, signal.SIGCONT)
        self._note(thaws=frozen.number, second=round(now, 2), processes=thawed)

    def _note(self, **what: Any) -> None:
        with self.journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **what}) + "\n")


def _send(family: Family, number: int) -> list[int]:
    """Which of them were there to get the signal. psutil sends none to a number that is a stranger's by now."""
    reached = []
    for process in family:
        try:
            process.send_signal(number)
        except psutil.Error:
            continue
        reached.append(process.pid)
    return reached
