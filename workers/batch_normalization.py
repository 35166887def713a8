"""Batch normalization of folded lanes: statistics over the batch in training, the running ones in eval mode.

Legend: l lanes, B examples, C channels or units, K = l C folded channels. A folded slice is [B, K, ...]; gamma, beta
and running statistics are [l, C].
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from actinium.levels import Normalization

BATCH_LEVELS = frozenset({"batch"})
"""Levels that normalize by the batch in training, and keep running statistics for eval mode."""


@dataclass(frozen=True, kw_only=True)
class Affine:
    """A slice's learned scale and shift, [l, C] each; None stands for a scale of 1, a shift of 0."""

    gamma: Tensor | None
    beta: Tensor | None

    def flat(self) -> tuple[Tensor | None, Tensor | None]:
        """Gamma and beta of the folded channels, [K] each, or neither: torch's fused kernels want both or none."""
        gamma, beta = self.gamma, self.beta
        if gamma is None and beta is not None:
            gamma = torch.ones_like(beta)
        if beta is None and gamma is not None:
            beta = torch.zeros_like(gamma)
        return None if gamma is None else gamma.flatten(), None if beta is None else beta.flatten()


@dataclass(frozen=True, kw_only=True)
class RunningStatistics:
    """A slice's running mean and unbiased variance, [l, C] each; views that a training pass moves in place."""

    mean: Tensor
    var: Tensor


def keeps_statistics(level: Normalization) -> bool:
    """Whether the level normalizes by the batch in training, and by running statistics in eval mode."""
    return level.name in BATCH_LEVELS


def batch_normalize(
    folded: Tensor,
    level: Normalization,
    affine: Affine,
    running: RunningStatistics | None,
    *,
    training: bool,
    update: bool,
) -> Tensor:
    """Batch normalization of [B, K, ...]: the batch's statistics in training, else the running ones.

    The running variance moves towards the unbiased one (m / (m - 1)); a training pass without `update` leaves both.
    """
    assert running is not None, "batch normalization keeps running statistics"
    used = running if update or not training else None
    return functional.batch_norm(
        folded,
        None if used is None else used.mean.flatten(),
        None if used is None else used.var.flatten(),
        *affine.flat(),
        training=training,
        momentum=level.number("momentum"),
        eps=level.number("eps"),
    )
