"""How a trial ends: divergence, convergence, and the summary (SCIENCE D2)."""

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
from workers.training.trivial import Trivial

DIVERGENCE_FACTOR = 10.0


@dataclass
class LaneRecord:
    """What the host remembers of a lane while it trains. Losses are per frame, in order."""

    config: TrialConfig
    parameters: int
    trivial: Trivial
    prepared: Mapping[str, float] = field(default_factory=dict)
    """What was measured before step 0."""
    train_losses: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    values: NDArray[np.float32] | None = None
    """What the last full frame measured, and where it left a series out, what an earlier one did."""
    seconds: float = 0.0
    probe_seconds: float = 0.0

    def saw(self, train_loss: float, validation_loss: float, accuracy: float) -> None:
        """A frame's losses."""
        self.train_losses.append(train_loss)
        self.validation_losses.append(validation_loss)
        self.accuracies.append(accuracy)

    def measured(self, values: NDArray[np.float32], due: NDArray[np.bool_]) -> None:
        """A full frame's values [S]. A series that was not `due` [S] keeps what its last point measured."""
        self.values = values if self.values is None else np.where(due, values, self.values)

    def diverged(self) -> bool:
        """A loss that is not finite, or a training loss over ten times the first.

        The training loss is the mean over the steps since the last frame. The first one counts as no less than a
        constant guess's, ln(classes) or the targets' variance: a lucky first batch of two examples must not make noise
        a divergence. The validation loss must only be finite: in eval mode it also holds what small batches do to
        running statistics.
        """
        train, validation = self.train_losses[-1], self.validation_losses[-1]
        if not (math.isfinite(train) and math.isfinite(validation)):
            return True
        return train > DIVERGENCE_FACTOR * max(self.train_losses[0], self.trivial.loss)

    def stops(self) -> bool:
        """Whether `training.early_stopping` ends the trial at its last evaluation."""
        rule = self.config.training.early_stopping
        if rule is None:
            return False
        lowest, since = math.inf, 0
        for loss in self.validation_losses:
            if loss < lowest - rule.min_delta:
                lowest, since = loss, 0
            else:
                since += 1
        return since >= rule.patience

    def outcome(self) -> Outcome:
        """As `actinium.frame.Outcome` defines it."""
        if self.diverged():
            return Outcome.DIVERGED
        target = self.config.target_loss
        if target is not None:
            reached = [loss <= target for loss in self.validation_losses]
            twice = any(now and then for then, now in pairwise(reached))
            return Outcome.CONVERGED if twice else Outcome.STALLED
        return Outcome.CONVERGED if self.accuracies[-1] > self.trivial.accuracy else Outcome.STALLED

    def metrics(self, series: Sequence[str], extra: Mapping[str, float]) -> dict[str, float]:
        """The last values of the series, the extremes of the losses and `extra`; what is not finite is left out."""
        values = [] if self.values is None else self.values.tolist()
        found = {name: value for name, value in zip(series, values, strict=False) if not frames_only(name)}
        found["initial_loss"] = self.train_losses[0]
        finite = [loss for loss in self.validation_losses if math.isfinite(loss)]
        found["best_validation_loss"] = min(finite, default=math.nan)
        found.update(self.prepared)
        found.update(extra)
        if self.config.activation.ratio != 1:
            found["linear_width"] = self.config.hidden()[0].channels
        return {name: float(value) for name, value in found.items() if math.isfinite(value)}


LOSSES = ("train_losses", "validation_losses", "accuracies")


def recorded(records: Sequence[LaneRecord]) -> dict[str, NDArray[Any]]:
    """What lanes remember, but for what their configs and data say anew, as a checkpoint's arrays; every lane has at
    least one full frame.
    """
    found: dict[str, NDArray[Any]] = {}
    for name in (*LOSSES, "values", "seconds", "probe_seconds"):
        found[f"record/{name}"] = np.array([getattr(record, name) for record in records])
    return found


def put_records(saved: PackState, records: Sequence[LaneRecord]) -> None:
    """As they were. Raises CheckpointUnusable where something is missing."""
    for place, record in enumerate(records):
        for name in LOSSES:
            setattr(record, name, saved.array(f"record/{name}")[place].tolist())
        record.values = saved.array("record/values")[place]
        record.seconds = float(saved.array("record/seconds")[place])
        record.probe_seconds = float(saved.array("record/probe_seconds")[place])
