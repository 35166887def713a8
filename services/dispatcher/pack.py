"""A pack in training, as the dispatcher sees it: its leases, and the news of it that is not yet in the database."""

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
"""A pack's time counts as a measurement of its width only if it trained this share of all its lanes' steps: lanes
that diverge leave, and the pack is narrower from then on.
"""
ENDED_SILENTLY = "the pack ended without a summary of this trial"


@dataclass(frozen=True, kw_only=True)
class Unsaved:
    """What one transaction writes of a pack. Where the pack failed, `unfinished` are its lanes without a result, and
    `broken` says why.
    """

    layout: Layout | None
    frames: Sequence[Frame]
    results: Sequence[tuple[Attempt, TrialSummary]]
    artifacts: Mapping[TrialId, Mapping[str, NDArray[np.float32]]]
    unfinished: Sequence[Attempt]
    broken: PackBroken | None

    def __bool__(self) -> bool:
        return bool(self.frames or self.results or self.unfinished)

    def ending(self) -> list[Attempt]:
        """The attempts whose end is written."""
        return [*(attempt for attempt, _ in self.results), *self.unfinished]


class PackRun:
    """A pack's leases in the order of its lanes, and its news since the last save.

    Of a lane whose lease is lost (`is_lost`) nothing is written any more, though the pack may still train it.
    """

    def __init__(
        self, *, slot: SlotId, device: str, leases: Sequence[Lease], is_lost: Callable[[Attempt], bool]
    ) -> None:
        self.slot = slot
        self.device = device
        self.leases = tuple(leases)
        self.stopping = False
        self.unsaved_bytes = 0
        """Bytes of the frames that are not in the database yet."""
        self._is_lost = is_lost
        self._layout: Layout | None = None
        self._frames: list[PackFrames] = []
        self._finished: list[LaneFinished] = []
        self._checkpoint: Checkpointed | None = None
        self._saved_lanes: set[int] = set()
        self._end: PackDone | PackBroken | None = None
        self._seconds, self._steps = 0.0, 0
        """Training time and steps of the lanes that have ended."""

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
        """Whether the pack has ended and its slot is free."""
        return self._end is not None

    def urgent(self) -> bool:
        """Whether a lane or the pack has ended and is not saved yet: that is saved at once, frames can wait."""
        return bool(self._finished) or self.ended()

    def seconds_per_lane_step(self) -> float | None:
        """Seconds a step and lane, with measurements and without pretraining. None unless this pack trained (nearly)
        all steps of all its lanes itself.
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
        """The latest checkpoint that is not in the database yet, with the attempts in it; also lost ones, of which the
        queue decides by its own guard.
        """
        last = self._checkpoint
        return None if last is None else (last, [self.leases[lane] for lane in last.lanes])

    def saved(self) -> list[Attempt]:
        """Call it once what `unsaved` gave is committed: forgets that, and gives the attempts that have ended."""
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
