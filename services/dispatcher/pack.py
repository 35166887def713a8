"""A pack in training, as the dispatcher sees it: what came in and is not yet in the database."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actinium.frame import Checkpointed, CheckpointFailed, Frame, LaneFinished, Layout, PackFrames, TrialSummary
from actinium.job import Attempt, FailureClass, Lease, TrialId
from services.dispatcher.fleet import PackBroken, PackDone, PackItem, SlotId

log = logging.getLogger(__name__)

WHOLE = 0.9
"""The share of its lanes' steps that a pack must have trained to be measured: lanes that leave make it narrower."""
ENDED_SILENTLY = "the pack ended without a summary of this trial"


@dataclass(frozen=True, kw_only=True)
class Unsaved:
    """What one transaction writes of a pack. `unfinished` are the lanes that failed, where `broken` says why."""

    layout: Layout | None
    frames: Sequence[Frame]
    results: Sequence[tuple[Attempt, TrialSummary]]
    artifacts: Mapping[TrialId, Mapping[str, NDArray[np.float32]]]
    unfinished: Sequence[Attempt]
    broken: PackBroken | None

    def __bool__(self) -> bool:
        return bool(self.frames or self.results or self.unfinished)


class PackRun:
    """A pack's leases in the order of its lanes, and its news since the last save.

    A lane that is lost (`is_lost`) writes nothing any more, whatever its network still computes.
    """

    def __init__(
        self, *, slot: SlotId, device: str, leases: Sequence[Lease], is_lost: Callable[[Attempt], bool]
    ) -> None:
        self.slot = slot
        self.device = device
        self.leases = tuple(leases)
        self.stopping = False
        self.unsaved_bytes = 0
        """Of frames."""
        self._is_lost = is_lost
        self._layout: Layout | None = None
        self._frames: list[PackFrames] = []
        self._finished: list[LaneFinished] = []
        self._checkpoint: Checkpointed | None = None
        self._saved_lanes: set[int] = set()
        self._end: PackDone | PackBroken | None = None
        self._seconds, self._steps = 0.0, 0
        """Of all lanes that came to their end."""

    def take(self, item: PackItem) -> None:
        """One piece of news of this pack."""
        match item:
            case Layout():
                self._layout = item
            case PackFrames():
                self._frames.append(item)
                self.unsaved_bytes += item.values.nbytes
            case LaneFinished():
                self._finished.append(item)
                self._seconds += item.summary.seconds - item.summary.metrics.get("pretraining_seconds", 0.0)
                self._steps += item.summary.steps
            case Checkpointed():
                self._checkpoint = item
            case CheckpointFailed(reason=reason):
                log.warning("slot %d: its pack's checkpoint was %s", self.slot, reason)
            case PackDone():
                self._end, self._checkpoint = item, item.checkpoint or self._checkpoint
            case PackBroken():
                self._end = item

    def ended(self) -> bool:
        """Whether its slot is free again."""
        return self._end is not None

    def urgent(self) -> bool:
        """Whether something came to its end and waits to be saved."""
        return bool(self._finished) or self.ended()

    def seconds_per_lane_step(self) -> float | None:
        """What a step took per lane, measurements included, procedures not; None unless (nearly) all were trained, and
        here.
        """
        steps = len(self.leases) * self.leases[0].config.steps()
        whole = (
            self.leases[0].checkpoint is None
            and isinstance(self._end, PackDone)
            and self._steps >= max(WHOLE * steps, 1)
        )
        return self._seconds / self._steps if whole else None

    def open_attempts(self) -> list[Attempt]:
        """The lanes whose end is not in the database and that are not lost."""
        done = self._saved_lanes
        return [lease for lane, lease in enumerate(self.leases) if lane not in done and not self._is_lost(lease)]

    def unsaved(self) -> Unsaved:
        """What is to be written now."""
        finished = {news.lane for news in self._finished} | self._saved_lanes
        living = [not self._is_lost(lease) for lease in self.leases]
        unfinished = [lease for lane, lease in enumerate(self.leases) if living[lane] and lane not in finished]
        broken = self._end
        if self.stopping:
            broken = None  # whoever stopped it releases what nobody else has taken
        elif isinstance(broken, PackDone):
            broken = PackBroken(failure_class=FailureClass.TRIAL, error=ENDED_SILENTLY) if unfinished else None
        return Unsaved(
            layout=self._layout,
            frames=[frame for news in self._frames for frame in self._rows(news, living)],
            results=[(self.leases[news.lane], news.summary) for news in self._finished if living[news.lane]],
            artifacts={
                self.leases[news.lane].trial_id: news.artifacts
                for news in self._finished
                if living[news.lane] and news.artifacts
            },
            unfinished=unfinished if broken else (),
            broken=broken,
        )

    def unsaved_checkpoint(self) -> tuple[Checkpointed, Sequence[Attempt]] | None:
        """The latest that is to be written, with its lanes' attempts: lost ones too, the queue decides for itself."""
        last = self._checkpoint
        return None if last is None else (last, [self.leases[lane] for lane in last.lanes])

    def saved(self) -> list[Attempt]:
        """All that `unsaved` gave is in the database: forget it; which attempts are over."""
        over = range(len(self.leases)) if self.ended() else [news.lane for news in self._finished]
        self._saved_lanes.update(over)
        self._frames.clear()
        self.unsaved_bytes = 0
        self._finished.clear()
        self._checkpoint = None
        return [self.leases[lane] for lane in over]

    def _rows(self, news: PackFrames, living: Sequence[bool]) -> list[Frame]:
        return [
            Frame(
                trial_id=self.leases[lane].trial_id,
                attempt=self.leases[lane].attempt,
                step=news.step,
                time=news.time,
                values=values,
            )
            for lane, values in zip(news.lanes, news.values, strict=True)
            if living[lane]
        ]
