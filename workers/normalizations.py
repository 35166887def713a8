"""Normalization of one slice of lanes that share a level: y = gamma (x - mean) / sqrt(var + eps) + beta.

Legend: l lanes of the slice, B examples, N units, C channels, H, W positions, G groups. A slice x is [l, B, N] or
[B, l, C, H, W]; gamma, beta and running statistics are [l, N] or [l, C]. Lanes are folded into channels, so that
torch's fused kernels serve all lanes at once; every statistic is over the elements of a single lane.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from actinium.levels import Normalization, groups_for


@dataclass(frozen=True, kw_only=True)
class Affine:
    """A slice's learned scale and shift, [l, C] each."""

    gamma: Tensor
    beta: Tensor


@dataclass(frozen=True, kw_only=True)
class RunningStatistics:
    """A slice's running mean and unbiased variance, [l, C] each; views that a training pass moves in place."""

    mean: Tensor
    var: Tensor


def stands_before(level: Normalization) -> bool:
    """Whether this level normalizes what the activation receives."""
    return level.name != "none" and level.parameters.get("position", "pre") == "pre"


def stands_after(level: Normalization) -> bool:
    """Whether this level normalizes what the activation gives."""
    return level.parameters.get("position") == "post"


def cancels_bias(level: Normalization) -> bool:
    """Whether a constant added to a channel beforehand has no effect, so that the layer carries no bias (SCIENCE B)."""
    return level.name in ("batch", "instance") and stands_before(level)


def _groups(level: Normalization, channels: int) -> int:
    counts: Mapping[str, Callable[[], int]] = {
        "layer": lambda: 1,
        "instance": lambda: channels,
        "group": lambda: groups_for(level, channels),
    }
    return counts[level.name]()


def normalize_units(
    x: Tensor, level: Normalization, affine: Affine, running: RunningStatistics | None, *, training: bool, update: bool
) -> Tensor:
    """A fully connected slice [l, B, N]."""
    lanes, examples, units = x.shape
    if level.name == "batch":
        folded = x.transpose(0, 1).reshape(examples, lanes * units)
        y = _batch(folded, level, affine, running, training=training, update=update)
        return y.view(examples, lanes, units).transpose(0, 1)
    groups = _groups(level, units)
    split = x.reshape(lanes, examples, groups, units // groups)
    standard = functional.layer_norm(split, (units // groups,), eps=level.number("eps")).view_as(x)
    return torch.addcmul(affine.beta.unsqueeze(1), standard, affine.gamma.unsqueeze(1))


def normalize_channels(
    x: Tensor, level: Normalization, affine: Affine, running: RunningStatistics | None, *, training: bool, update: bool
) -> Tensor:
    """A convolutional slice [B, l, C, H, W]."""
    _, lanes, channels, _, _ = x.shape
    folded = x.flatten(1, 2)
    if level.name == "batch":
        y = _batch(folded, level, affine, running, training=training, update=update)
    else:
        groups = lanes * _groups(level, channels)
        y = functional.group_norm(folded, groups, affine.gamma.flatten(), affine.beta.flatten(), level.number("eps"))
    return y.view_as(x)


def _batch(
    folded: Tensor,
    level: Normalization,
    affine: Affine,
    running: RunningStatistics | None,
    *,
    training: bool,
    update: bool,
) -> Tensor:
    """Batch normalization of [B, l * C, ...]: the batch's statistics in training, else the running ones.

    The running variance moves towards the unbiased one (m / (m - 1)); a training pass without `update` leaves both.
    """
    assert running is not None, "batch normalization keeps running statistics"
    used = running if update or not training else None
    return functional.batch_norm(
        folded,
        None if used is None else used.mean.flatten(),
        None if used is None else used.var.flatten(),
        affine.gamma.flatten(),
        affine.beta.flatten(),
        training=training,
        momentum=level.number("momentum"),
        eps=level.number("eps"),
    )
