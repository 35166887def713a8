"""The fleet on Ray: warm actors, one a core or GPU, whose packs come back as streaming generators."""

import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError, TaskCancelledError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actinium.job import FailureClass
from actinium.trial import TrialConfig
from services.dispatcher.fleet import FleetLost, News, PackBroken, PackDone, PackItem, SlotId
from services.dispatcher.nodes import NodeHealth
from services.dispatcher.placement import NodeSlots, places, shared
from workers.actor import PackActor
from workers.stream import PackFailed

log = logging.getLogger(__name__)

SURVEY_SECONDS = 5.0
"""How often the cluster's nodes are looked at."""
GONE_SECONDS = 20.0
"""How long Ray may take to say that a pack is lost with its node, before it counts as lost without Ray's word."""
GRACE_SECONDS = 5.0
"""How long a stopped pack may take to end its step and write its checkpoint before its actor is killed."""
GET_SECONDS = 30.0
"""How long what is ready may take to arrive from its node; then the node counts as lost."""
LISTENING_MOST_SECONDS = 5.0
"""A longer gap between two calls of `news` counts as this much silence: the dispatcher itself was away."""
WARM_UP_SECONDS = 300.0
"""How long a new actor may take to become warm."""
MOST_DATASETS = 4
"""Datasets of people's own that Ray's object store is asked to hold; packs in training keep theirs."""
BEGINNING, NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
WAITING_ITEMS = 400
"""News of one pack that nobody has taken yet; with so many, the pack waits."""
WORKER_DIED = "worker process has died"
"""How Ray says that an actor's process ended, and neither its node nor whoever owns it."""
CRASHED = "\nthe process that trained the pack died: a fault in native code, or the kernel's memory killer"
ITEMS_A_ROUND = 200
"""News taken from one stream in a row, so that no pack starves the others."""


@dataclass(kw_only=True)
class Slot:
    """An actor and what it does: warming up (`warming`), idle, or training (`stream`)."""

    place: NodeSlots
    actor: Any
    device: str = ""
    """What its actor computes on, once it is warm."""
    memory: int = 0
    """Of that, in bytes."""
    warming: Any = None
    warm_by: datetime | None = None
    stream: Any = None
    last_words: Any = None
    """The pending call that gives the checkpoint of a pack that was stopped; None while no stopped pack is waited for.
    """
    kill_at: datetime | None = None
    """When its actor is killed, because its pack was stopped and does not end."""
    silent: float = 0.0
    """Seconds in which its pack was listened to and said nothing."""
    why_killed: str = ""
    gone_at: datetime | None = None
    """Since when its node has not lived, though its pack has not ended."""


@dataclass(kw_only=True)
class RayFleet:
    """Slots on a cluster that `ray.init` has connected to. All calls come from one thread. The time is what `tend` was
    last told.
    """

    data_root: str | None
    checkpoints: str | None = None
    """Where packs are saved; None: nowhere."""
    checkpoint_seconds: float = 60.0
    silence_seconds: float = 21_600.0
    """A pack that says nothing for so long hangs, and its actor is killed."""
    most: int | None = None
    reachable: Callable[[], bool] = lambda: True
    """Whether the cluster's head answers at all."""
    own_node_lost: Callable[[Sequence[Mapping[str, Any]]], str | None] = lambda nodes: None
    """Why the Ray node that this process stands on is lost, by what `ray.nodes()` says; None: it lives."""

    _slots: dict[SlotId, Slot] = field(default_factory=dict)
    _nodes: list[str] = field(default_factory=list)
    """The ids of the nodes that can have slots."""
    _alive: set[str] = field(default_factory=set)
    """The ids of the nodes that live."""
    _places: list[NodeSlots] = field(default_factory=list)
    """How many slots this dispatcher has on each node."""
    _lost: list[News] = field(default_factory=list)
    """The ends of packs that went with their nodes, without a word of Ray."""
    _datasets: OrderedDict[str, Any] = field(default_factory=OrderedDict)
    """Files in Ray's object store, by SHA-256."""
    _numbers: Iterator[int] = field(default_factory=count)
    _heard_at: datetime = NEVER
    _turn: tuple[int, int] = (0, 1)
    _health: NodeHealth = field(default_factory=NodeHealth)
    _survey_at: datetime | None = None
    _now: datetime = BEGINNING
    """The time of this round."""

    # ---- what the dispatcher asks -----------------------------------------------------------------------------

    def size(self) -> int:
        """How many slots there are or soon will be, on nodes that are not avoided."""
        avoided = self.avoided()
        slots = sum(slot.place.node not in avoided for slot in self._slots.values())
        return max(slots, sum(place.slots for place in self._places if place.node not in avoided))

    def idle(self) -> Sequence[SlotId]:
        """The slots that are warm and free, on nodes that are not avoided."""
        avoided = self.avoided()
        return [
            number
            for number, slot in self._slots.items()
            if slot.warming is None and slot.stream is None and slot.place.node not in avoided
        ]

    def avoided(self) -> Mapping[str, datetime]:
        """The nodes that get no work, because they keep losing actors, and until when."""
        return self._health.avoided(self._nodes, now=self._now)

    def share(self, *, turn: int, of: int) -> None:
        """Have only this fleet's part of the slots; surplus ones are let go once they are free."""
        if (turn, of) != self._turn:
            self._turn, self._survey_at = (turn, of), None

    def device(self, slot: SlotId) -> str:
        """What the slot computes on, once it is warm."""
        return self._slots[slot].device

    def memory(self) -> int | None:
        """Bytes of the largest machine or accelerator that a warm slot computes on."""
        return max((slot.memory for slot in self._slots.values() if slot.warming is None), default=None)

    def holds(self, sha256: str) -> bool:
        """Whether Ray's object store has the dataset of this SHA-256."""
        return sha256 in self._datasets

    def hold(self, sha256: str, content: bytes) -> None:
        """Put a dataset's file into Ray's object store; the least recently used of too many goes."""
        self._datasets[sha256] = ray.put(np.frombuffer(content, np.uint8))  # an array is read there without a copy
        while len(self._datasets) > MOST_DATASETS:
            self._datasets.popitem(last=False)

    def start(self, slot: SlotId, configs: Sequence[TrialConfig], *, checkpoint: str | None) -> None:
        """Train a pack in an idle slot. A dead actor shows in the news."""
        documents = [config.model_dump(mode="json") for config in configs]
        chosen, stored = self._slots[slot], configs[0].task.stored
        assert chosen.warming is None and chosen.stream is None, f"slot {slot} is not idle"
        dataset = None
        if stored is not None and stored.sha256 in self._datasets:
            self._datasets.move_to_end(stored.sha256)
            dataset = self._datasets[stored.sha256]
        chosen.stream = chosen.actor.train.options(
            num_returns="streaming", _generator_backpressure_num_objects=WAITING_ITEMS
        ).remote(documents, dataset, checkpoint)

    def stop(self, slot: SlotId) -> None:
        """End the slot's pack before its next step; `tend` kills the actor when that takes too long."""
        chosen = self._slots.get(slot)
        if chosen is not None and chosen.stream is not None and chosen.kill_at is None:
            chosen.kill_at = self._now + timedelta(seconds=GRACE_SECONDS)
            ray.cancel(chosen.stream)

    def news(self, *, seconds: float) -> list[News]:
        """What the packs have brought, after waiting up to `seconds` for something."""
        lost, self._lost = self._lost, []
        if lost:
            return lost
        streams = {
            slot.last_words or slot.stream: number for number, slot in self._slots.items() if slot.stream is not None
        }
        if not streams:
            time.sleep(seconds)
            return []
        self._count_silence()
        ready, _ = ray.wait(list(streams), num_returns=1, timeout=seconds, fetch_local=False)
        if ready and len(streams) > 1:
            ready, _ = ray.wait(list(streams), num_returns=len(streams), timeout=0, fetch_local=False)
        return [news for stream in ready for news in self._drain(streams[stream])]

    def _count_silence(self) -> None:
        """Kill the actors of packs that have been silent for `silence_seconds`. Time in which the dispatcher did not
        listen, because the database was away, does not count.
        """
        passed, self._heard_at = (self._now - self._heard_at).total_seconds(), self._now
        passed = min(max(passed, 0.0), LISTENING_MOST_SECONDS)
        for number, slot in self._slots.items():
            if slot.stream is None or slot.kill_at is not None:
                continue
            slot.silent += passed
            if slot.silent > self.silence_seconds:
                slot.why_killed = f"the pack said nothing for {slot.silent:.0f} s, and its actor was killed: "
                log.warning("slot %d: %s", number, slot.why_killed)
                slot.silent = 0.0
                ray.kill(slot.actor)  # its stream then ends with an ActorDiedError

    def tend(self, *, now: datetime) -> None:
        """Follow the nodes, see who has become warm, kill who does not stop, and hire for empty places."""
        self._now = now
        if self._survey_at is None or now >= self._survey_at:
            self._survey_at = now + timedelta(seconds=SURVEY_SECONDS)
            self._survey()
            self._give_up(now=now)
        self._let_go()  # every time: a slot that is free now may be lent again before the next survey
        for number, slot in list(self._slots.items()):
            if slot.warming is not None:
                self._see_warm(number, slot, now=now)
            elif slot.kill_at is not None and now >= slot.kill_at:
                slot.kill_at = NEVER  # once; and its death is nobody's failure
                ray.kill(slot.actor)  # its stream then ends with an ActorDiedError
        self._hire(now=now)

    def close(self) -> None:
        """Kill the actors, and leave the cluster."""
        for slot in self._slots.values():
            ray.kill(slot.actor)
        self._slots.clear()
        ray.shutdown()

    # ---- slots ------------------------------------------------------------------------------------------------

    def _survey(self) -> None:
        if not self.reachable():
            raise FleetLost("Ray's head does not answer; is it running, and is ACTINIUM_RAY_ADDRESS right?")
        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        if not any(node.get("Alive") for node in nodes):
            raise FleetLost("Ray has no living node left")
        why = self.own_node_lost(nodes)
        if why is not None:
            raise FleetLost(why)
        self._alive = {node["NodeID"] for node in nodes if node.get("Alive")}
        turn, of = self._turn
        found = places(nodes, most=self.most)
        self._nodes, self._places = [place.node for place in found], shared(found, turn=turn, of=of)

    def _give_up(self, *, now: datetime) -> None:
        """Packs whose nodes are gone are lost, also where Ray does not say so: word of it may have come while this
        process was cut off.
        """
        for number, slot in list(self._slots.items()):
            if slot.stream is None or slot.place.node in self._alive:
                slot.gone_at = None
            elif slot.gone_at is None:
                slot.gone_at = now
            elif now - slot.gone_at >= timedelta(seconds=GONE_SECONDS):
                log.warning("slot %d: its node is gone, and its pack with it", number)
                error = f"the node {slot.place.node} is gone, and the pack with it"
                broken = PackBroken(failure_class=FailureClass.INFRASTRUCTURE, error=error)
                self._lost.append(News(slot=number, item=broken))
                self._bury(number)

    def _let_go(self) -> None:
        """Kill actors beyond this dispatcher's share and on nodes that are gone: those still warming up first, those
        that train never.
        """
        wanted = {place.node: place.slots for place in self._places}
        have = Counter(slot.place.node for slot in self._slots.values())
        free = sorted((slot.warming is None, number) for number, slot in self._slots.items() if slot.stream is None)
        for _, number in free:
            node = self._slots[number].place.node
            if have[node] > wanted.get(node, 0):
                have[node] -= 1
                log.info("slot %d is let go", number)
                ray.kill(self._slots.pop(number).actor)

    def _hire(self, *, now: datetime) -> None:
        """Start an actor for every slot without one; on nodes where they do not start, with a growing pause."""
        avoided = self.avoided()
        for place in self._places:
            if place.node in avoided or not self._health.may_hire(place.node, now=now):
                continue
            have = sum(slot.place.node == place.node for slot in self._slots.values())
            for _ in range(place.slots - have):
                options: dict[str, Any] = {
                    "num_cpus": 1,
                    "num_gpus": 1 if place.device == "cuda" else 0,
                    "max_restarts": 0,
                    "max_task_retries": 0,
                    "scheduling_strategy": NodeAffinitySchedulingStrategy(place.node, soft=False),
                }
                actor = PackActor.options(**options).remote(
                    self.data_root, checkpoints=self.checkpoints, checkpoint_seconds=self.checkpoint_seconds
                )
                self._slots[SlotId(next(self._numbers))] = Slot(
                    place=place,
                    actor=actor,
                    warming=actor.ping.remote(),
                    warm_by=now + timedelta(seconds=WARM_UP_SECONDS),
                )

    def _see_warm(self, number: SlotId, slot: Slot, *, now: datetime) -> None:
        ready, _ = ray.wait([slot.warming], timeout=0)
        if not ready:
            if slot.warm_by is not None and now >= slot.warm_by:
                # Perhaps somebody else has the core, or the node is slow: no failure of anybody's.
                log.warning("slot %d: no core and actor within %g s; asked for again", number, WARM_UP_SECONDS)
                self._bury(number)
            return
        try:
            info = ray.get(slot.warming, timeout=GET_SECONDS)
        except RayError as error:
            log.warning("slot %d: its actor does not start: %s", number, error)
            self._health.not_started(slot.place.node, now=now)
            self._bury(number)
            return
        slot.warming, slot.device, slot.memory = None, info.device, info.memory_bytes
        self._health.started(slot.place.node)
        log.info("slot %d is warm: %s, process %d, %s", number, info.node, info.pid, info.device)

    def _bury(self, number: SlotId) -> None:
        """Kill a slot's actor and forget the slot; `_hire` starts another."""
        slot = self._slots.pop(number)
        ray.kill(slot.actor)
        self._survey_at = None  # its node may be gone

    # ---- streams ----------------------------------------------------------------------------------------------

    def _drain(self, number: SlotId) -> list[News]:
        """What is ready of one stream."""
        slot, found = self._slots[number], list[News]()
        for _ in range(ITEMS_A_ROUND):
            item = self._next(number, slot)
            if item is None:
                break
            found.append(News(slot=number, item=item))
            if isinstance(item, PackDone | PackBroken):
                slot.stream, slot.last_words, slot.kill_at, slot.silent = None, None, None, 0.0
                break
        return found

    def _next(self, number: SlotId, slot: Slot) -> PackItem | None:
        """The stream's next item, or its end; None when nothing has arrived. When a pack was stopped, its actor is
        asked for its last checkpoint, and that answer is its end.
        """
        ready, _ = ray.wait([slot.last_words or slot.stream], timeout=0, fetch_local=False)
        if not ready:
            return None
        try:
            if slot.last_words is not None:
                return PackDone(checkpoint=ray.get(slot.last_words, timeout=GET_SECONDS))
            item = ray.get(next(slot.stream), timeout=GET_SECONDS)
            slot.silent = 0.0
        except StopIteration:
            return PackDone()
        except TaskCancelledError:
            slot.last_words = slot.actor.last_words.remote()
            return None
        except RayTaskError as error:
            return PackBroken(failure_class=FailureClass.TRIAL, error=str(error))
        except RayError as error:
            log.warning("slot %d: its actor is lost: %s", number, error)
            if slot.kill_at is None and not isinstance(error, OutOfMemoryError):
                self._health.failed(slot.place.node, now=self._now)
            self._bury(number)
            crashed = slot.kill_at is None and not slot.why_killed and WORKER_DIED in str(error)
            return PackBroken(
                failure_class=FailureClass.INFRASTRUCTURE,
                error=f"{slot.why_killed}{type(error).__name__}: {error}{CRASHED if crashed else ''}",
                halve=isinstance(error, OutOfMemoryError),
                crashed=crashed,
            )
        if isinstance(item, PackFailed):
            if item.device_lost:
                log.warning("slot %d: its device is lost to its actor, which is replaced", number)
                self._health.failed(slot.place.node, now=self._now)
                self._bury(number)
            return broken_by(item)
        return item  # type: ignore[no-any-return]


def broken_by(failed: PackFailed) -> PackBroken:
    """The failure class of what an actor reported. Out of memory and a lost device count as infrastructure, though the
    trials may be the cause: the limit on infrastructure failures ends those that keep doing it.
    """
    surroundings = failed.out_of_memory or failed.device_lost
    failure_class = FailureClass.INFRASTRUCTURE if surroundings else FailureClass.TRIAL
    return PackBroken(failure_class=failure_class, error=failed.error, halve=failed.out_of_memory, final=failed.final)
