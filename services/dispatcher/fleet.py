"""What the dispatcher asks of those who train: slots that each run one pack at a time, and news of them."""

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
    """The pack came to its end; so did every lane that it reported. `checkpoint`: what it left when it was stopped, if
    that is later than the last one that was told of.
    """

    checkpoint: Checkpointed | None = None


@dataclass(frozen=True, kw_only=True)
class PackBroken:
    """The pack came to no end. `halve`: memory was lacking, and a narrower pack may do. `final`: no trial of the pack
    can do better until somebody mends what `error` says.
    """

    failure_class: FailureClass
    error: str
    halve: bool = False
    final: bool = False


PackItem: TypeAlias = Layout | PackEvent | PackDone | PackBroken
"""In a pack's order: its layout, its events, and its end."""


@dataclass(frozen=True, kw_only=True)
class News:
    """Something that happened in a slot's pack."""

    slot: SlotId
    item: PackItem


class FleetLost(Unavailable):
    """The whole fleet is gone, and this process cannot reach it any more."""


class Fleet(Protocol):
    """Slots, each for one pack at a time. Nothing here blocks for longer than it says."""

    def size(self) -> int:
        """How many slots there are or soon will be."""

    def idle(self) -> Sequence[SlotId]:
        """The slots that are warm and free, on nodes that are not avoided."""

    def avoided(self) -> Mapping[str, datetime]:
        """The nodes that get no work for a while, because they keep losing their workers, and until when."""

    def share(self, *, turn: int, of: int) -> None:
        """Have only the slots that are due to number `turn` of `of` fleets; surplus ones end once they are free."""

    def device(self, slot: SlotId) -> str:
        """What a warm slot computes on: `cpu`, or the accelerator's name."""

    def holds(self, sha256: str) -> bool:
        """Whether the fleet has the dataset of this SHA-256."""

    def hold(self, sha256: str, content: bytes) -> None:
        """Take in a dataset's file, for packs to come."""

    def start(self, slot: SlotId, configs: Sequence[TrialConfig], *, checkpoint: str | None) -> None:
        """Train a pack in an idle slot, from its checkpoint or its beginning. The fleet holds the pack's dataset, if it
        is one that was added. An AssertionError where the slot is not idle.
        """

    def stop(self, slot: SlotId) -> None:
        """End the slot's pack soon, with a checkpoint. Its end still comes as news. Nothing, where there is no pack."""

    def news(self, *, seconds: float) -> list[News]:
        """What has happened, after waiting up to `seconds` for something to. FleetLost when there is no fleet."""

    def tend(self, *, now: datetime) -> None:
        """Replace what died, and follow the nodes that come and go."""

    def close(self) -> None:
        """Let everything go."""
