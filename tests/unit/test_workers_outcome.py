"""The rules of divergence and convergence on losses made by hand (SCIENCE D2)."""

import math

import numpy as np
import pytest

from actinium.frame import Outcome
from actinium.trial import TrialConfig
from workers.training.outcome import LaneRecord
from workers.training.trivial import Trivial, beyond_luck


def record(*losses: tuple[float, float, float], target: float | None = None) -> LaneRecord:
    """Frames of (train loss, validation loss, accuracy); of 100 validation labels 10 are of each class."""
    lane = LaneRecord(
        config=TrialConfig(target_loss=target),
        parameters=1,
        trivial=Trivial(loss=math.log(10), accuracy=beyond_luck(0.1, 100)),
    )
    for row in losses:
        lane.saw(*row)
    return lane


@pytest.mark.parametrize(
    ("last", "diverged"),
    [
        ((math.nan, 1.0), True),
        ((math.inf, 1.0), True),
        ((1.0, math.nan), True),
        ((1.0, math.inf), True),
        ((30.1, 1.0), True),
        ((29.9, 1.0), False),
        ((1.0, 1e6), False),
    ],
)
def test_divergence(last: tuple[float, float], diverged: bool) -> None:
    assert record((3.0, 3.0, 0.1), (*last, 0.1)).diverged() is diverged


def test_a_lucky_first_batch_makes_no_divergence() -> None:
    """The first loss counts as at least ln 10 = 2.303."""
    assert not record((0.1, 2.3, 0.1), (5.0, 2.3, 0.1)).diverged()
    assert record((0.1, 2.3, 0.1), (23.1, 2.3, 0.1)).diverged()


@pytest.mark.parametrize(
    ("losses", "outcome"),
    [
        ([2.0, 0.5, 0.5], Outcome.CONVERGED),
        ([2.0, 0.5, 0.6], Outcome.STALLED),
        ([0.5, 0.6, 0.5], Outcome.STALLED),
        ([2.0, 0.4, 0.3, 1.0], Outcome.CONVERGED),
    ],
)
def test_a_fixed_target_is_reached_at_two_evaluations_running(losses: list[float], outcome: Outcome) -> None:
    assert record(*((1.0, loss, 0.99) for loss in losses), target=0.5).outcome() is outcome


@pytest.mark.parametrize(("accuracy", "outcome"), [(0.23, Outcome.CONVERGED), (0.21, Outcome.STALLED)])
def test_without_a_target_the_accuracy_must_beat_a_constant_guess(accuracy: float, outcome: Outcome) -> None:
    """10 classes, 100 examples: 0.1 + 4 sqrt(0.1 0.9 / 100) = 0.22."""
    assert record((2.0, 2.0, accuracy)).outcome() is outcome


def test_divergence_outranks_a_target_once_reached() -> None:
    rows = [(1.0, 0.4, 0.9), (1.0, 0.4, 0.9), (math.nan, math.nan, 0.1)]
    assert record(*rows, target=0.5).outcome() is Outcome.DIVERGED


def test_metrics_leave_out_what_is_not_finite() -> None:
    lane = record((3.0, 2.5, 0.1), (1.0, 0.7, 0.8), (0.5, 0.9, 0.7))
    lane.values = np.array([0.5, np.nan], dtype=np.float32)
    metrics = lane.metrics(["train_loss", "train_eval_gap"], {"test_loss": math.inf, "test_error": 0.25})
    assert metrics == {"train_loss": 0.5, "initial_loss": 3.0, "best_validation_loss": 0.7, "test_error": 0.25}
