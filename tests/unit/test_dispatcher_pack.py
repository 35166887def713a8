"""A pack's news between the fleet and the database: what is written, what not any more, and what is over."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import Connection

from actinium.frame import Checkpointed, CheckpointFailed, LaneFinished, Layout, Outcome, PackFrames, TrialSummary
from actinium.job import Attempt, FailureClass, Lease, StudyId, TrialId
from actinium.trial import TrialConfig
from db import queue, widths
from services.dispatcher.fleet import PackBroken, PackDone, SlotId
from services.dispatcher.ledger import Ledger
from services.dispatcher.pack import PackRun
from services.dispatcher.widths import planned_width
from workers.packing import most_lanes

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


def pack_of(ledger: Ledger, lanes: int = 3, *, checkpoint: str | None = None) -> PackRun:
    """A pack of trials 1, 2, ... in their first attempt."""
    leases = [
        Lease(
            trial_id=TrialId(number),
            attempt=1,
            study_id=StudyId(1),
            pack_key="key",
            config=TrialConfig(seed=number),
            expires_at=datetime(2026, 3, 1, tzinfo=UTC),
            checkpoint=checkpoint,
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


def test_the_latest_checkpoint_is_written_once_for_its_lanes_lost_or_not() -> None:
    ledger = Ledger()
    pack = pack_of(ledger)
    assert pack.unsaved_checkpoint() is None
    pack.take(Checkpointed(lanes=(0, 1, 2), step=5, name="a"))
    pack.take(CheckpointFailed(reason="not kept: the disk is full"))
    pack.take(Checkpointed(lanes=(0, 2), step=9, name="b"))
    ledger.confirm([attempt(1)], [])
    found = pack.unsaved_checkpoint()
    assert found is not None and found[0].name == "b"
    assert [lease.trial_id for lease in found[1]] == [1, 3]
    pack.saved()
    assert pack.unsaved_checkpoint() is None
    pack.take(PackDone(checkpoint=Checkpointed(lanes=(0,), step=10, name="c")))
    found = pack.unsaved_checkpoint()
    assert found is not None and found[0].name == "c"


def test_a_stopped_pack_blames_nobody() -> None:
    pack = pack_of(Ledger())
    pack.stopping = True
    pack.take(LOST)
    assert pack.unsaved().broken is None and not pack.unsaved().unfinished


def test_only_a_pack_that_was_trained_here_is_measured() -> None:
    """Of one that goes on, the time of before was another's."""
    for checkpoint, measured in ((None, True), ("a", False)):
        pack = pack_of(Ledger(), lanes=1, checkpoint=checkpoint)
        steps = pack.leases[0].config.steps()
        pack.take(LaneFinished(lane=0, summary=SUMMARY.model_copy(update={"steps": steps})))
        pack.take(PackDone())
        assert (pack.seconds_per_lane_step() is not None) is measured


def test_a_pack_that_goes_on_is_as_wide_as_it_was(connection: Connection, now: datetime) -> None:
    """Whatever is measured by now."""
    lead = queue.Lead(pack_key="key", config=TrialConfig())
    for _ in range(3):
        widths.measured(connection, pack_key="key", device="cpu", width=1, seconds=0.1, now=now)
        widths.measured(connection, pack_key="key", device="cpu", width=2, seconds=1.0, now=now)
    assert planned_width(connection, lead, "cpu", now) == 1
    assert planned_width(connection, replace(lead, resumes=True), "cpu", now) == most_lanes(lead.config, "cpu")
