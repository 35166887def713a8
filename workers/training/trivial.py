"""What can be had without learning: the yardsticks of divergence and convergence (docs/decisions/0021).

Legend: L lanes, n validation examples, K outputs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from actinium.trial import TrialConfig
from workers.objectives import Measure, SquaredErrors
from workers.training.batches import PackData

STANDARD_ERRORS = 4.0
PART = 2**22
"""Most numbers looked at together."""


@dataclass(frozen=True, kw_only=True)
class Trivial:
    """`loss`: of a constant guess. `accuracy`: what only a network that learned something exceeds."""

    loss: float
    accuracy: float


def trivial_scores(data: PackData, configs: Sequence[TrialConfig]) -> list[Trivial]:
    """Of every lane, on its validation part; lanes of one seed share it."""
    found: dict[int, Trivial] = {}
    for lane, config in enumerate(configs):
        if config.seed not in found:
            found[config.seed] = _of_lane(data.narrow(lane, 1), config)
    return [found[config.seed] for config in configs]


def _of_lane(data: PackData, config: TrialConfig) -> Trivial:
    if data.objective == "classification":
        labels = data.labels[data.validation[0]].cpu().numpy()
        share = float(np.bincount(labels).max()) / labels.size
        return Trivial(loss=math.log(config.task.definition().classes), accuracy=beyond_luck(share, labels.size))
    count = data.validation.shape[1]
    inputs_help = data.objective == "reconstruction" and data.targets is not None
    tally, targets = SquaredErrors(Measure()), []
    room = max(1, PART // (config.outputs() + math.prod(data.inputs.shape[1:])))
    for chunk in torch.split(data.validation, room, dim=1):
        inputs, wanted = data.take(chunk)
        seen = (inputs if data.lane_axis == 0 else inputs.transpose(0, 1)).flatten(2)
        tally.add(seen if inputs_help else torch.zeros_like(wanted), wanted)
        if data.tolerance is not None:
            targets.append(wanted[0].cpu().numpy())
    variance = float(tally.variance())
    if data.tolerance is not None:
        share = constant_within(np.concatenate(targets), data.tolerance)
        return Trivial(loss=variance, accuracy=beyond_luck(share, count))
    unexplained = float(tally.scores().error) if inputs_help else 1.0
    return Trivial(loss=variance, accuracy=1.0 - unexplained * (1.0 - STANDARD_ERRORS**2 / count))


def beyond_luck(share: float, count: int) -> float:
    """A share of `count` examples by chance, and four binomial standard errors."""
    return share + STANDARD_ERRORS * math.sqrt(share * (1.0 - share) / count)


def constant_within(targets: NDArray[np.float32], tolerance: float) -> float:
    """The largest share of targets [n, K] that one constant is within `tolerance` of; for K > 1 a bound, the least of
    the outputs' own shares.
    """
    shares: list[float] = []
    for column in np.sort(targets.astype(np.float64), axis=0).T:
        last = np.searchsorted(column, column + 2.0 * tolerance, side="right")
        shares.append(float((last - np.arange(column.size)).max()) / column.size)
    return float(min(shares))
