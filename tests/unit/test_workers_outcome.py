"""The rules of divergence, early stopping and outcome on losses made by hand (SCIENCE D2)."""

import math
from typing import Any

import numpy as np
import pytest

from actinium.frame import Outcome
from actinium.trial import TrialConfig
from workers.training.constant_guess import ConstantGuess
from workers.training.outcome import DIVERGENCE_STEPS, LaneRecord

QUARTER = 4
"""Steps from one evaluation to the next: a quarter of an epoch of 16 (1,079 digits in batches of 64)."""


def record(*losses: tuple[float, float], every: int = QUARTER, **fields: Any) -> LaneRecord:
    """Evaluations of (train loss, evaluation loss), `every` so many steps, of ten classes."""
    lane = LaneRecord(
        config=TrialConfig.model_validate(fields),
        parameters=1,
        constant=ConstantGuess(loss=math.log(10), chance_error=0.9),
    )
    for place, row in enumerate(losses):
        lane.saw(place * every, *row)
    return lane


@pytest.mark.parametrize(("last", "diverged"), [(math.nan, True), (math.inf, True), (1e30, False), (1.0, False)])
def test_a_training_loss_that_is_not_finite_is_a_divergence_at_once(last: float, diverged: bool) -> None:
    assert record((3.0, 3.0), (last, 1.0)).diverged() is diverged


@pytest.mark.parametrize("overflown", [math.inf, 1e30])
def test_an_evaluation_that_overflows_is_no_divergence_but_is_counted(overflown: float) -> None:
    lane = record((3.0, 3.0), (1.0, overflown), (0.9, 0.9), (0.8, 0.8))
    assert not lane.diverged()
    assert lane.metrics([], np.empty(0, np.float32), {})["overflow_rate"] == (0.25 if overflown == math.inf else 0.0)


def test_a_high_loss_is_a_divergence_when_it_does_not_come_back() -> None:
    """Ten times the first loss, 30, for 100 steps: 25 quarters of an epoch of 16 steps."""
    needed = math.ceil(DIVERGENCE_STEPS / QUARTER)
    high = [(30.1, 1.0)] * needed
    assert record((3.0, 3.0), *high).diverged()
    assert not record((3.0, 3.0), *high[1:]).diverged()
    assert not record((3.0, 3.0), *[(29.9, 1.0)] * needed).diverged()
    assert not record((3.0, 3.0), *high[1:], (2.0, 1.0), *high[1:]).diverged(), "it had come back"


def test_of_long_epochs_a_whole_one_must_be_high() -> None:
    """Batches of 2 have 539 steps an epoch; evaluations of 100 steps are no epoch before the sixth."""
    assert not record((3.0, 3.0), *[(99.0, 1.0)] * 5, every=100, training={"batch_size": 2}).diverged()
    assert record((3.0, 3.0), *[(99.0, 1.0)] * 6, every=100, training={"batch_size": 2}).diverged()


def test_a_lucky_first_batch_makes_no_divergence() -> None:
    """The first loss counts as at least ln 10 = 2.303."""
    assert not record((0.1, 2.3), (23.0, 2.3), every=1000).diverged()
    assert record((0.1, 2.3), (23.1, 2.3), every=1000).diverged()


@pytest.mark.parametrize(
    ("losses", "outcome"),
    [
        ([2.0, 0.5, 0.5], Outcome.CONVERGED),
        ([2.0, 0.5, 0.6], Outcome.LEARNED),
        ([0.5, 0.6, 0.5], Outcome.LEARNED),
        ([2.0, 0.4, 0.3, 1.0], Outcome.CONVERGED),
    ],
)
def test_a_fixed_target_is_reached_at_two_evaluations_running(losses: list[float], outcome: Outcome) -> None:
    assert record(*((1.0, loss) for loss in losses), target_loss=0.5).outcome(learned=True) is outcome


@pytest.mark.parametrize(("learned", "outcome"), [(True, Outcome.LEARNED), (False, Outcome.STALLED)])
def test_without_a_target_nothing_converges(learned: bool, outcome: Outcome) -> None:
    assert record((2.0, 2.0), (1e-9, 1e-9)).outcome(learned=learned) is outcome


def test_divergence_outranks_a_target_once_reached() -> None:
    lane = record((1.0, 0.4), (1.0, 0.4), (math.nan, math.nan), target_loss=0.5)
    assert lane.outcome(learned=True) is Outcome.DIVERGED


def test_patience_is_in_epochs_wherever_evaluations_lie() -> None:
    """The loss is lowest after one epoch of 16 steps; three epochs without a lower one end at step 64."""
    stopping = {"training": {"early_stopping": {"patience": 3}}}
    losses = [(1.0, loss) for loss in (2.0, 1.0, *[1.5] * 20)]
    for every, ends in ((16, 4), (4, 13)):
        lanes = (record(*losses[: place + 1], every=every, **stopping) for place in range(len(losses)))
        assert [lane.stops() for lane in lanes].index(True) == ends, f"every {every} steps"


def test_what_a_lost_network_counts_as_is_never_what_it_was_before() -> None:
    lane = record((1.0, 0.1), (math.nan, 0.1))
    assert lane.as_lost() == {
        "validation_loss": math.log(10),
        "validation_accuracy": pytest.approx(0.1),
        "test_loss": math.log(10),
        "test_error": 0.9,
        "diverged_step": QUARTER,
    }


def test_metrics_leave_out_what_is_not_finite() -> None:
    lane = record((3.0, 2.5), (1.0, 0.7), (0.5, 0.9))
    values = np.array([np.nan, np.nan, 0.25], dtype=np.float32)
    metrics = lane.metrics(["evaluation_loss", "train_eval_gap", "dead_unit_rate"], values, {"test_loss": math.inf})
    assert metrics == {
        "train_loss": 0.5,
        "initial_loss": 3.0,
        "evaluation_loss": 0.9,
        "best_evaluation_loss": 0.7,
        "overflow_rate": 0.0,
        "constant_guess_loss": math.log(10),
        "dead_unit_rate": 0.25,
    }
