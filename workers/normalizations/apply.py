"""Normalization of one slice of lanes with the same level: y = gamma (x - mean) / sqrt(var + eps) + beta.

Legend: l lanes of the slice, B examples, N units, C channels, H, W positions, G groups. A slice x is [l, B, N] or
[B, l, C, H, W]; gamma, beta and running statistics are [l, N] or [l, C]. Lanes are folded into channels, so that
torch's fused kernels serve all lanes at once; every statistic is over the elements of a single lane. Batch
normalization is in `workers.normalizations.batch`.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from actinium.levels import Normalization, groups_for
from actinium.levels import learns_scale as learns_scale
from actinium.levels import learns_shift as learns_shift
from workers.layers import Pass
from workers.normalizations.batch import Affine as Affine
from workers.normalizations.batch import RunningStatistics as RunningStatistics
from workers.normalizations.batch import batch_normalize
from workers.normalizations.batch import follows_progress as follows_progress
from workers.normalizations.batch import keeps_statistics as keeps_statistics
from workers.normalizations.batch import running_of as running_of
from workers.normalizations.batch import with_noise as with_noise


def learned_affine(level: Normalization, gamma: Tensor, beta: Tensor) -> Affine:
    """A slice's gamma and beta, as far as its level trains them; the scale is otherwise 1, the shift 0."""
    return Affine(gamma=gamma if learns_scale(level) else None, beta=beta if learns_shift(level) else None)


def _groups(level: Normalization, channels: int) -> int:
    counts: Mapping[str, Callable[[], int]] = {
        "layer": lambda: 1,
        "instance": lambda: channels,
        "group": lambda: groups_for(level, channels),
    }
    return counts[level.name]()


def normalize_units(
    x: Tensor, level: Normalization, affine: Affine, running: RunningStatistics | None, pass_: Pass
) -> Tensor:
    """x [l, B, N] of a fully connected layer, normalized."""
    lanes, examples, units = x.shape
    if keeps_statistics(level):
        folded = x.transpose(0, 1).reshape(examples, lanes * units)
        y = batch_normalize(folded, level, affine, running, pass_)
        return y.view(examples, lanes, units).transpose(0, 1)
    groups = _groups(level, units)
    split = x.reshape(lanes, examples, groups, units // groups)
    standard = functional.layer_norm(split, (units // groups,), eps=level.number("eps")).view_as(x)
    match affine:
        case Affine(gamma=Tensor() as gamma, beta=Tensor() as beta):
            return torch.addcmul(beta.unsqueeze(1), standard, gamma.unsqueeze(1))
        case Affine(gamma=Tensor() as gamma):
            return standard * gamma.unsqueeze(1)
        case Affine(beta=Tensor() as beta):
            return standard + beta.unsqueeze(1)
    return standard


def normalize_channels(
    x: Tensor, level: Normalization, affine: Affine, running: RunningStatistics | None, pass_: Pass
) -> Tensor:
    """x [B, l, C, H, W] of a convolutional layer, normalized."""
    _, lanes, channels, _, _ = x.shape
    folded = x.flatten(1, 2)
    if keeps_statistics(level):
        y = batch_normalize(folded, level, affine, running, pass_)
    else:
        groups = lanes * _groups(level, channels)
        y = functional.group_norm(folded, groups, *affine.flat(), level.number("eps"))
    return y.view_as(x)
