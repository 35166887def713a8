"""The one fake fleet: its packs train for real, but in the process of the tests, and go on by one item each time that
somebody asks for news. `tests/conformance/test_fleets.py` holds it to what the fleet on Ray does.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import TypeAlias

from actinium.frame import Checkpointed
from actinium.job import FailureClass
from actinium.trial import TrialConfig
from services.dispatcher.fleet import News, PackBroken, PackDone, PackItem, SlotId
from services.dispatcher.placement import NodeSlots, shared
from services.dispatcher.ray_fleet import broken_by
from workers.checkpoints.keeper import StoreKeeper
from workers.checkpoints.state import decoded
from workers.checkpoints.store import CheckpointStore
from workers.datasets.stored import SHELF
from workers.failures import describe
from workers.training.train import pack_layout, train_pack

KEEP_SECONDS = 4.0
"""Between two checkpoints, by a clock that goes a second each time that it is read: one every third step."""
KILLED = PackBroken(failure_class=FailureClass.INFRASTRUCTURE, error="ActorDiedError: killed")


@dataclass(kw_only=True)
class FakePack:
    """A pack that a slot was asked to train."""

    configs: Sequence[TrialConfig]
    checkpoint: str | None
    """What it goes on from."""
    dataset: bytes | None
    """The file, where its dataset is one that was added and the fleet holds it."""
    store: CheckpointStore | None
    """Where it saves checkpoints."""
    stopped: bool = False


Trainer: TypeAlias = Callable[[FakePack], Iterator[PackItem]]
"""The items of a pack; what it raises is the pack's failure."""


def train(pack: FakePack) -> Iterator[PackItem]:
    """What the actor on Ray yields, but that it does so without spending time."""
    stored, store, name = pack.configs[0].task.stored, pack.store, pack.checkpoint
    if stored is not None and pack.dataset is not None:
        SHELF.put(stored.sha256, pack.dataset)
    yield pack_layout(pack.configs[0])
    seconds = count()
    events = train_pack(
        pack.configs,
        clock=lambda: 0.0,
        keeper=None
        if store is None
        else StoreKeeper(store, seconds=KEEP_SECONDS, clock=lambda: float(next(seconds)), stopped=lambda: pack.stopped),
        checkpoint=None if store is None or name is None else lambda: decoded(store.load(name)),
    )
    for event in events:
        if not pack.stopped:
            yield event
        elif isinstance(event, Checkpointed):
            yield PackDone(checkpoint=event)


@dataclass(kw_only=True)
class Slot:
    """A place for a pack, and the pack that trains in it."""

    pack: FakePack | None = None
    stream: Iterator[PackItem] = field(default_factory=lambda: iter(()))
    dead: bool = False


@dataclass(kw_only=True)
class FakeFleet:
    """Slots in this process, as if on one node. `trainer` may be replaced, to see packs go wrong."""

    slots: int = 2
    """How many there are of all fleets together."""
    store: CheckpointStore | None = None
    """Where packs are saved; None: nowhere."""
    trainer: Trainer = train
    begun: list[FakePack] = field(default_factory=list)
    """Every pack that was started."""
    stopped: list[SlotId] = field(default_factory=list)
    told: list[News] = field(default_factory=list)
    """All the news that there were."""
    turn: tuple[int, int] = (0, 1)
    memory_bytes: int = 2**33
    cold: bool = False
    """Whether no actor becomes warm."""

    _slots: dict[SlotId, Slot] = field(default_factory=dict)
    _numbers: Iterator[SlotId] = field(default_factory=lambda: map(SlotId, count()))
    _datasets: dict[str, bytes] = field(default_factory=dict)

    # ---- what the dispatcher asks -----------------------------------------------------------------------------

    def size(self) -> int:
        return max(len(self._slots), self._due())

    def idle(self) -> Sequence[SlotId]:
        return [number for number, slot in self._slots.items() if slot.pack is None and not self.cold]

    def avoided(self) -> Mapping[str, datetime]:
        return {}

    def share(self, *, turn: int, of: int) -> None:
        self.turn = (turn, of)

    def device(self, slot: SlotId) -> str:
        return "cpu"

    def memory(self) -> int | None:
        return self.memory_bytes if self._slots else None

    def holds(self, sha256: str) -> bool:
        return sha256 in self._datasets

    def hold(self, sha256: str, content: bytes) -> None:
        self._datasets[sha256] = content

    def start(self, slot: SlotId, configs: Sequence[TrialConfig], *, checkpoint: str | None) -> None:
        chosen, stored = self._slots[slot], configs[0].task.stored
        assert chosen.pack is None, f"slot {slot} is not idle"
        dataset = None if stored is None else self._datasets.get(stored.sha256)
        pack = FakePack(configs=configs, checkpoint=checkpoint, dataset=dataset, store=self.store)
        chosen.pack, chosen.stream = pack, self.trainer(pack)
        self.begun.append(pack)

    def stop(self, slot: SlotId) -> None:
        chosen = self._slots.get(slot)
        if chosen is not None and chosen.pack is not None and not chosen.pack.stopped:
            self.stopped.append(slot)
            chosen.pack.stopped = True
            if self.store is None:
                chosen.stream = iter(())

    def news(self, *, seconds: float) -> list[News]:
        found = [News(slot=number, item=_next(slot)) for number, slot in self._slots.items() if slot.pack is not None]
        for news in found:
            if isinstance(news.item, PackDone | PackBroken):
                slot = self._slots[news.slot]
                slot.pack = None
                if slot.dead:
                    del self._slots[news.slot]
        self.told += found
        return found

    def tend(self, *, now: datetime) -> None:
        due = self._due()
        for number in self.idle()[: max(len(self._slots) - due, 0)]:
            del self._slots[number]
        while len(self._slots) < due:
            self._slots[next(self._numbers)] = Slot()

    def close(self) -> None:
        self._slots.clear()

    # ---- what tests ask of it and do to it -----------------------------------------------------------------------

    @property
    def widths(self) -> list[int]:
        """How many lanes each pack had that was started."""
        return [len(pack.configs) for pack in self.begun]

    def kill(self, slot: SlotId) -> None:
        """Let the slot's pack end as when its actor dies. Another slot takes its place."""
        self._slots[slot].stream, self._slots[slot].dead = iter([KILLED]), True

    def _due(self) -> int:
        """How many slots are this fleet's share."""
        turn, of = self.turn
        here = NodeSlots(node="here", device="cpu", slots=self.slots)
        return sum(place.slots for place in shared([here], turn=turn, of=of))


def _next(slot: Slot) -> PackItem:
    assert slot.pack is not None
    try:
        return next(slot.stream, PackDone())
    except Exception as error:  # the rim of the trials' code, as in the actor
        return broken_by(describe(error, slot.pack.configs, device="cpu"))
