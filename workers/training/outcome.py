"""How a trial ends: divergence, early stopping, outcome, and the summary's figures (SCIENCE D2).

Everything here is decided at the evaluations (`TrialConfig.evaluation_steps`), which no probe's schedule moves.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actinium.frame import Outcome
from actinium.measurements import frames_only
from actinium.trial import TrialConfig
from workers.checkpoints.state import PackState
from workers.training.constant_guess import ConstantGuess

DIVERGENCE_FACTOR = 10.0
"""A training loss over so many times the first one is high."""
DIVERGENCE_STEPS = 100
"""A training loss that stays high for an epoch, and for so many steps at least, does not come back."""


@dataclass
class LaneRecord:
    """What the host remembers of a lane while it trains. Lists are per evaluation, in order."""

    config: TrialConfig
    parameters: int
    constant: ConstantGuess
    prepared: Mapping[str, float] = field(default_factory=dict)
    """What was measured before step 0."""
    evaluated: list[int] = field(default_factory=list)
    """The steps of the evaluations until now."""
    train_losses: list[float] = field(default_factory=list)
    """Means over the steps since the evaluation before; the first is of the batch to come."""
    evaluation_losses: list[float] = field(default_factory=list)
    high_steps: int = 0
    """For how many steps the training loss has been high without coming back."""
    fates: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, dtype=np.float32))
    """What the last point of the trajectory measured of units, [S]; NaN for all else, and before there was one."""
    seconds: float = 0.0
    probe_seconds: float = 0.0

    def saw(self, step: int, train_loss: float, evaluation_loss: float) -> None:
        """An evaluation's losses."""
        if self.is_high(train_loss):
            self.high_steps += step - self.evaluated[-1]
        else:
            self.high_steps = 0
        self.evaluated.append(step)
        self.train_losses.append(train_loss)
        self.evaluation_losses.append(evaluation_loss)

    def is_high(self, train_loss: float) -> bool:
        """Whether a mean training loss is over ten times the first one, which counts as no less than a constant
        guess's: a lucky first batch of two examples must not make noise a divergence.
        """
        if not self.train_losses:
            return False
        return not train_loss <= DIVERGENCE_FACTOR * max(self.train_losses[0], self.constant.loss)

    def diverged(self) -> bool:
        """Whether the training itself is lost: a training loss that is not finite, or one that has been high for an
        epoch, and DIVERGENCE_STEPS at least, without coming back.

        A spike that recovers is none; nor is an evaluation that overflows while running statistics are young.
        """
        window = max(DIVERGENCE_STEPS, self.config.steps_per_epoch())
        return not math.isfinite(self.train_losses[-1]) or self.high_steps >= window

    def stops(self) -> bool:
        """Whether `training.early_stopping` ends the trial at its last evaluation: whether `patience` epochs have gone
        since the evaluation loss last fell below its lowest by more than `min_delta`.
        """
        rule = self.config.training.early_stopping
        if rule is None:
            return False
        lowest, at = math.inf, 0
        for step, loss in zip(self.evaluated, self.evaluation_losses, strict=True):
            if loss < lowest - rule.min_delta:
                lowest, at = loss, step
        return self.evaluated[-1] - at >= rule.patience * self.config.steps_per_epoch()

    def outcome(self, *, learned: bool) -> Outcome:
        """As `actinium.frame.Outcome` defines it; `learned`: whether the network beats the best constant guess."""
        if self.diverged():
            return Outcome.DIVERGED
        target = self.config.target_loss
        if target is not None:
            reached = [loss <= target for loss in self.evaluation_losses]
            if any(now and then for then, now in pairwise(reached)):
                return Outcome.CONVERGED
        return Outcome.LEARNED if learned else Outcome.STALLED

    def measured(self, values: NDArray[np.float32], of_trajectory: NDArray[np.bool_]) -> None:
        """A point of the trajectory: values [S], of which those that every point has [S] are remembered; a point at
        which the network's outputs are not finite has none, and what was remembered stays.
        """
        if np.isfinite(values[of_trajectory]).any():
            self.fates = np.where(of_trajectory, values, np.nan).astype(np.float32)

    def metrics(
        self, series: Sequence[str], values: NDArray[np.float32], extra: Mapping[str, float]
    ) -> dict[str, float]:
        """The summary's figures: values [S] of the network that is judged, of the losses what the evaluations saw,
        and `extra`; what is not finite is left out.
        """
        found = {name: value for name, value in zip(series, values.tolist(), strict=True) if not frames_only(name)}
        found["train_loss"] = self.train_losses[-1]
        found["initial_loss"] = self.train_losses[0]
        finite = [loss for loss in self.evaluation_losses if math.isfinite(loss)]
        found["evaluation_loss"] = self.evaluation_losses[-1]
        found["best_evaluation_loss"] = min(finite, default=math.nan)
        found["overflow_rate"] = 1.0 - len(finite) / len(self.evaluation_losses)
        found["constant_guess_loss"] = self.constant.loss
        found.update(self.prepared)
        found.update(extra)
        if self.config.activation.ratio != 1:
            found["linear_width"] = self.config.hidden()[0].channels
        return {name: float(value) for name, value in found.items() if math.isfinite(value)}

    def as_lost(self) -> dict[str, float]:
        """What a diverged trial counts as, everywhere: the network that it ended as knows nothing, so its error is that
        of chance and its losses are a constant guess's.
        """
        chance, loss = self.constant.chance_error, self.constant.loss
        return {
            "validation_loss": loss,
            "validation_accuracy": 1.0 - chance,
            "test_loss": loss,
            "test_error": chance,
            "diverged_step": float(self.evaluated[-1]),
        }


LISTS = ("evaluated", "train_losses", "evaluation_losses")
NUMBERS = ("high_steps", "seconds", "probe_seconds")


def recorded(records: Sequence[LaneRecord]) -> dict[str, NDArray[Any]]:
    """What lanes remember, but for what their configs and data say anew, as a checkpoint's arrays; every lane has at
    least one evaluation.
    """
    names = (*LISTS, *NUMBERS, "fates")
    return {f"record/{name}": np.array([getattr(record, name) for record in records]) for name in names}


def put_records(saved: PackState, records: Sequence[LaneRecord]) -> None:
    """As they were. Raises CheckpointUnusable where something is missing."""
    for place, record in enumerate(records):
        for name in LISTS:
            setattr(record, name, saved.array(f"record/{name}")[place].tolist())
        for name in NUMBERS:
            setattr(record, name, saved.array(f"record/{name}")[place].item())
        record.fates = saved.array("record/fates")[place]
