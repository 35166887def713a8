"""A pack's news between the fleet and the database: what is written, what not any more, and what is over."""

from datetime import UTC, datetime

import numpy as np

from actinium.frame import LaneFinished, Layout, Outcome, PackFrames, TrialSummary
from actinium.job import Attempt, FailureClass, Lease, StudyId, TrialId
from actinium.trial import TrialConfig
from services.dispatcher.fleet import PackBroken, PackDone, SlotId
from services.dispatcher.ledger import Ledger
from services.dispatcher.pack import PackRun

SUMMARY = TrialSummary(
    outcome=Outcome.STALLED,
    steps=2,
    seconds=1.0,
    probe_seconds=0.1,
    metrics={},
    probe_examples=1,
    parameters=1,
    pack_width=3,
    device="cpu",
)
LOST = PackBroken(failure_class=FailureClass.INFRASTRUCTURE, error="lost")


def pack_of(ledger: Ledger, lanes: int = 3) -> PackRun:
    """A pack of trials 1, 2, ... in their first attempt."""
    leases = [
        Lease(
            trial_id=TrialId(number),
            attempt=1,
            study_id=StudyId(1),
            pack_key="key",
            config=TrialConfig(seed=number),
            expires_at=datetime(2026, 3, 1, tzinfo=UTC),
        )
        for number in range(1, lanes + 1)
    ]
    ledger.add(leases)
    pack = PackRun(slot=SlotId(0), device="cpu", leases=leases, is_lost=ledger.is_lost)
    pack.take(Layout(series=("train_loss",)))
    return pack


def frames(step: int, *lanes: int) -> PackFrames:
    """Frames of these lanes, each with its own number as its value."""
    values = np.array([[float(lane)] for lane in lanes], dtype=np.float32)
    return PackFrames(lanes=lanes, step=step, time=0.5, values=values)


def attempt(number: int) -> Attempt:
    """The fence of a trial's first attempt."""
    return Attempt(trial_id=TrialId(number), attempt=1)


def test_frames_go_to_their_own_trials() -> None:
    pack = pack_of(Ledger())
    pack.take(frames(0, 0, 2))
    written = pack.unsaved().frames
    assert [(frame.trial_id, frame.attempt, frame.step, frame.values.tolist()) for frame in written] == [
        (1, 1, 0, [0.0]),
        (3, 1, 0, [2.0]),
    ]


def test_a_lost_lane_writes_nothing_and_the_others_go_on() -> None:
    ledger = Ledger()
    pack = pack_of(ledger)
    ledger.confirm([attempt(2)], [])
    pack.take(frames(0, 0, 1, 2))
    pack.take(LaneFinished(lane=1, summary=SUMMARY))
    pack.take(LaneFinished(lane=2, summary=SUMMARY))
    unsaved = pack.unsaved()
    assert [frame.trial_id for frame in unsaved.frames] == [1, 3]
    assert [lease.trial_id for lease, _ in unsaved.results] == [3]
    pack.saved()
    pack.take(LOST)
    assert [lease.trial_id for lease in pack.unsaved().unfinished] == [1]


def test_what_is_saved_is_not_written_again_and_is_over() -> None:
    pack = pack_of(Ledger(), lanes=2)
    pack.take(frames(0, 0, 1))
    pack.take(LaneFinished(lane=0, summary=SUMMARY))
    assert pack.urgent() and not pack.ended()
    assert [lease.trial_id for lease in pack.saved()] == [1]
    assert not pack.unsaved() and not pack.urgent()
    assert [lease.trial_id for lease in pack.open_attempts()] == [2]
    pack.take(LaneFinished(lane=1, summary=SUMMARY))
    pack.take(PackDone())
    assert pack.ended() and pack.unsaved().broken is None
    assert [lease.trial_id for lease in pack.saved()] == [1, 2]
    assert pack.open_attempts() == []


def test_only_lanes_without_a_summary_fail_with_their_pack() -> None:
    pack = pack_of(Ledger())
    pack.take(LaneFinished(lane=1, summary=SUMMARY))
    pack.take(LOST)
    unsaved = pack.unsaved()
    assert unsaved.broken is LOST
    assert [lease.trial_id for lease in unsaved.unfinished] == [1, 3]
    assert [lease.trial_id for lease, _ in unsaved.results] == [2]


def test_a_pack_is_measured_by_what_all_of_its_lanes_took() -> None:
    pack = pack_of(Ledger(), lanes=2)
    steps = pack.leases[0].config.steps()
    for lane, seconds, before in ((0, 3.0, {}), (1, 7.0, {"pretraining_seconds": 2.0})):
        took = {"steps": steps, "seconds": seconds, "metrics": before}
        pack.take(LaneFinished(lane=lane, summary=SUMMARY.model_copy(update=took)))
    assert pack.seconds_per_lane_step() is None, "not before its end"
    pack.take(PackDone())
    assert pack.seconds_per_lane_step() == 4.0 / steps


def test_a_pack_that_lanes_left_early_or_that_broke_is_not_measured() -> None:
    for last, end in ((2, PackDone()), (TrialConfig().steps(), LOST)):
        pack = pack_of(Ledger(), lanes=2)
        for lane, steps in ((0, TrialConfig().steps()), (1, last)):
            pack.take(LaneFinished(lane=lane, summary=SUMMARY.model_copy(update={"steps": steps})))
        pack.take(end)
        assert pack.seconds_per_lane_step() is None


def test_a_lost_lane_leaves_no_artifact() -> None:
    ledger = Ledger()
    pack = pack_of(ledger)
    kernels = {"first_filters": np.zeros((1, 1, 2, 2), dtype=np.float32)}
    for lane in (0, 1):
        pack.take(LaneFinished(lane=lane, summary=SUMMARY, artifacts=kernels))
    pack.take(LaneFinished(lane=2, summary=SUMMARY))
    ledger.confirm([attempt(1)], [])
    assert pack.unsaved().artifacts == {2: kernels}
