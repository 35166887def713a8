"""The interface between the dispatcher and the processes that train: slots with one pack each, and their news."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NewType, Protocol, TypeAlias

from actinium.errors import Unavailable
from actinium.frame import Checkpointed, Layout, PackEvent
from actinium.job import FailureClass
from actinium.trial import TrialConfig

SlotId = NewType("SlotId", int)


@dataclass(frozen=True, kw_only=True)
class PackDone:
    """The pack has ended in order, and so has every lane that it reported. `checkpoint`: the one that it wrote because
    it was stopped, if that is later than the last one that was told of.
    """

    checkpoint: Checkpointed | None = None


@dataclass(frozen=True, kw_only=True)
class PackBroken:
    """The pack failed. `halve`: it ran out of memory, and a narrower pack may fit. `crashed`: the actor's process died,
    and its node did not. `final`: trying again cannot help until a person mends what `error` says.
    """

    failure_class: FailureClass
    error: str
    halve: bool = False
    crashed: bool = False
    final: bool = False


PackItem: TypeAlias = Layout | PackEvent | PackDone | PackBroken
"""What a pack sends, in this order: its layout, its events, its end."""


@dataclass(frozen=True, kw_only=True)
class News:
    """Something that happened in a slot's pack."""

    slot: SlotId
    item: PackItem


class FleetLost(Unavailable):
    """The cluster is gone or cannot be reached any more from this process, which must be started again."""


class Fleet(Protocol):
    """Slots, each for one pack at a time. Only `news` blocks, for as long as it says."""

    def size(self) -> int:
        """How many slots there are or soon will be."""

    def idle(self) -> Sequence[SlotId]:
        """The slots that are warm and free, on nodes that are not avoided."""

    def avoided(self) -> Mapping[str, datetime]:
        """The nodes that get no work for a while because their workers keep dying, and until when."""

    def share(self, *, turn: int, of: int) -> None:
        """Several dispatchers share a cluster: keep the slots of dispatcher number `turn` of `of`, and end the others
        once they are free.
        """

    def device(self, slot: SlotId) -> str:
        """What a warm slot computes on: `cpu`, or the accelerator's name."""

    def memory(self) -> int | None:
        """Bytes of the largest machine or accelerator that a warm slot computes on; None while none is warm."""

    def holds(self, sha256: str) -> bool:
        """Whether the fleet has the dataset of this SHA-256."""

    def hold(self, sha256: str, content: bytes) -> None:
        """Store a dataset's file where the packs started later find it."""

    def start(self, slot: SlotId, configs: Sequence[TrialConfig], *, checkpoint: str | None) -> None:
        """Train a pack in an idle slot, from its checkpoint or from step 0. Call `hold` first where its dataset is one
        that a person added. An AssertionError where the slot is not idle.
        """

    def stop(self, slot: SlotId) -> None:
        """Ask the slot's pack, if it has one, to write a checkpoint and end. Its end comes as news."""

    def news(self, *, seconds: float) -> list[News]:
        """What packs have sent, after waiting up to `seconds` for it. FleetLost when the cluster is gone."""

    def tend(self, *, now: datetime) -> None:
        """Start actors for slots whose actor died, and for nodes that were added; forget nodes that are gone."""

    def close(self) -> None:
        """Kill the actors and disconnect."""
