"""What a trial measured: frames while it trains, a summary at its end."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

FIRST_FILTERS = "first_filters"
"""The artifact of `probes.filters`: kernels of the first convolution, [filters, channels, k, k]."""
LARGEST_ARTIFACT = 2**20
"""Bytes."""


class Outcome(StrEnum):
    """The scientific end of a trial that ran to its end.

    converged: the study fixed a target value, and the trial reached it at two evaluations running. learned: it did not,
    or there was no fixed target, and its last network beats the best constant guess on the validation part: in balanced
    accuracy, where there are classes, by a test that a perfect network passes at every size. stalled: it does not.
    diverged: the training was lost: its loss was not finite, or over 10 times the first one (which counts as at least a
    constant guess's: ln(classes), or the targets' variance) for an epoch, and 100 steps at least, without coming back
    (docs/decisions/0045).
    """

    CONVERGED = "converged"
    LEARNED = "learned"
    STALLED = "stalled"
    DIVERGED = "diverged"


OUTCOME_VERSION = 2
"""Raised when outcomes are decided differently. The first called converged whatever beat a constant guess."""


@dataclass(frozen=True)
class Layout:
    """The names of a frame's values, in their order; written once, referred to by every frame."""

    series: tuple[str, ...]

    def digest(self) -> str:
        """SHA-256 (hex) of the names."""
        return hashlib.sha256("\n".join(self.series).encode()).hexdigest()

    def position(self, name: str) -> int | None:
        """Where a series stands, or None."""
        return self.series.index(name) if name in self.series else None


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Everything that one trial measured at one step. `values` [S] float32 in the layout's order, NaN where a
    series does not apply; `time` in seconds since the pack began to train.
    """

    trial_id: int
    attempt: int
    step: int
    time: float
    values: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class PackFrames:
    """The frames of a pack's living lanes at one step: `values` [len(lanes), S] float32."""

    lanes: tuple[int, ...]
    step: int
    time: float
    values: NDArray[np.float32]


class TrialSummary(BaseModel):
    """A trial's result. Exactly one is kept for each trial that succeeded.

    `metrics`: flat, final values by metric name (`dead_unit_rate`, `dead_unit_rate/layer_03`, ...); rates are
    fractions; a measurement that does not apply or is not finite is absent. All are of one network: the last one, or
    the best one where the trial asked for it. A diverged trial's are those of a network that knows nothing: error of
    chance, a constant guess's losses, and what became of its units until the last point of their trajectory.
    `measurement_versions`: by quantity (and for `outcome`), the version of its definition where that is not 1
    (`actinium.measurements`). `probe_seconds` is the
    part of `seconds` spent on measuring, this lane's share of both. `precision`: the arithmetic of its training steps,
    which on a CPU is float32 where tf32 was asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Outcome
    steps: int
    seconds: float
    probe_seconds: float
    metrics: dict[str, float]
    probe_examples: int
    parameters: int
    pack_width: int
    device: str
    precision: str = "float32"
    measurement_versions: dict[str, int] = {}


@dataclass(frozen=True, kw_only=True)
class LaneFinished:
    """A lane of a pack came to its scientific end. `artifacts`: arrays by name that it leaves, at most
    LARGEST_ARTIFACT bytes each.
    """

    lane: int
    summary: TrialSummary
    artifacts: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Checkpointed:
    """These lanes can go on from `step`, with the checkpoint of this name."""

    lanes: tuple[int, ...]
    step: int
    name: str


@dataclass(frozen=True, kw_only=True)
class CheckpointFailed:
    """A checkpoint could not be kept, or not be used; the pack trains all the same."""

    reason: str


PackEvent: TypeAlias = PackFrames | LaneFinished | Checkpointed | CheckpointFailed


def layer_series(name: str, layer: int) -> str:
    """The per-layer name of a series: `NAME/layer_03`, layers counted from 1."""
    return f"{name}/layer_{layer:02d}"
