"""What can be had without learning: the best constant guess, against which divergence and outcomes are judged.

Legend: L lanes, n validation examples, K outputs (classes, targets or pixels).
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

NORMAL_QUANTILE = 3.09
"""Of a one-sided test at .001."""
PART = 2**22
"""Most numbers looked at together."""


@dataclass(frozen=True, kw_only=True)
class ConstantGuess:
    """The best constant guess on a lane's validation part.

    loss: in the objective's unit; ln(classes), or the targets' variance. chance_error: the error of a guess that knows
    nothing, 1 - 1/classes, or 1 (of numbers nothing is explained, no target is met). error: what a network must stay
    below to have learned something, where the objective is not classification; there, `learned_classes` judges.
    """

    loss: float
    chance_error: float
    error: float = 1.0


def constant_guesses(data: PackData, configs: Sequence[TrialConfig]) -> list[ConstantGuess]:
    """Of every lane, on its validation part; lanes of one seed share it."""
    found: dict[int, ConstantGuess] = {}
    for lane, config in enumerate(configs):
        if config.seed not in found:
            found[config.seed] = _of_lane(data.narrow(lane, 1), config)
    return [found[config.seed] for config in configs]


def _of_lane(data: PackData, config: TrialConfig) -> ConstantGuess:
    if data.objective == "classification":
        classes = config.task.definition().classes
        return ConstantGuess(loss=math.log(classes), chance_error=1.0 - 1.0 / classes)
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
        return ConstantGuess(loss=variance, chance_error=1.0, error=1.0 - beyond_luck(share, count))
    unexplained = float(tally.scores().error) if inputs_help else 1.0
    return ConstantGuess(loss=variance, chance_error=1.0, error=unexplained * (1.0 - noise_of_variance(count)))


def beyond_luck(share: float, count: int) -> float:
    """The share of `count` examples that only a network which learned something exceeds: that of the best constant and
    the error of a one-sided test at .001, and never more than halfway to all of them, so that a perfect network passes
    at every size.
    """
    luck = share + NORMAL_QUANTILE * math.sqrt(share * (1.0 - share) / count)
    return min(luck, (1.0 + share) / 2.0)


def noise_of_variance(count: int) -> float:
    """By how much of itself a variance over `count` examples may be lower by luck: four of its standard errors squared,
    and never more than half, so that a perfect network passes at every size.
    """
    return min(16.0 / count, 0.5)


def constant_within(targets: NDArray[np.float32], tolerance: float) -> float:
    """The largest share of targets [n, K] that one constant is within `tolerance` of; for K > 1 a bound, the least of
    the outputs' own shares.
    """
    shares: list[float] = []
    for column in np.sort(targets.astype(np.float64), axis=0).T:
        last = np.searchsorted(column, column + 2.0 * tolerance, side="right")
        shares.append(float((last - np.arange(column.size)).max()) / column.size)
    return float(min(shares))


def learned_classes(predicted: NDArray[np.int64], labels: NDArray[np.int64]) -> bool:
    """Whether predictions [n] know something of the labels [n], by their balanced accuracy (the mean over the classes
    that occur of the share found of each).

    A constant guess has 1/K, whatever the classes' sizes. The test is one-sided at .001, against the same predictions
    with the labels shuffled, whose balanced accuracy has mean (sum q_k) / K and variance
    (sum_k q_k (1 - q_k) (n - n_k) / n_k + sum_(j != k) q_j q_k) / (K^2 (n - 1)), where n_k examples are of class k and
    the share q_k is predicted as it (the hypergeometric distribution's moments). Perfect predictions of at least two
    classes pass at every size.
    """
    classes, counts = np.unique(labels, return_counts=True)
    kinds, n = classes.size, labels.size
    if kinds < 2:
        return False
    recalls = np.array([(predicted[labels == kind] == kind).mean() for kind in classes])
    balanced = recalls.mean()
    if balanced == 1.0:
        return True
    q = np.array([(predicted == kind).mean() for kind in classes])
    by_class = (q * (1.0 - q) * (n - counts) / counts).sum()
    between = q.sum() ** 2 - (q**2).sum()
    deviation = math.sqrt((by_class + between) / (kinds**2 * (n - 1)))
    return bool(balanced - q.sum() / kinds > NORMAL_QUANTILE * deviation)
