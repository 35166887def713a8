"""How raw inputs become what networks see: `task.scaling`. Statistics are of the training part alone.

Numbers that float32 cannot hold (seconds since 1970, half a minute apart) are brought near 0 in float64 before anything
is rounded; a scaling that moves and divides gives the same for numbers that were moved and divided before.

Legend: N examples, n training examples, C channels, H height, W width, D = C H W inputs.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from actinium.trial import Task
from workers.datasets.arrays import CHUNK, Arrays, standardize

STILL = 2.0**-39
"""A direction's variance, by the largest, from which on it is the rounding of float32 inputs and float64 sums."""


def location_and_spread(task: Task, inputs: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    """a and b of (x - a) / b, float32 [1, C, H or 1, W or 1]; inputs that `whitened` has made stay as they are.

    zscore: mean and deviation; minmax: the least, and the greatest less the least; both of each input or of each
    channel, as the dataset's definition says. unit: 0 and the dataset's full range. What never varies is divided by 1.
    """
    definition = task.definition()
    still = torch.zeros(1, inputs.shape[1], 1, 1)
    match task.scaling:
        case "zscore":
            return standardize(inputs, train, definition.scaling)
        case "minmax":
            return extremes(inputs, train, by_channel=definition.scaling == "channel")
        case "unit":
            assert definition.full_range is not None, "refused as an invalid design"
            return still, torch.full_like(still, definition.full_range)
        case "none" | "zca":
            return still, torch.ones_like(still)


@dataclass(frozen=True, kw_only=True)
class Nearness:
    """How float64 inputs x become float32 ones near 0: (x - origin) / unit, each [1, C, 1, 1] float64."""

    origin: Tensor
    unit: Tensor

    def of(self, arrays: Arrays) -> Arrays:
        """The dataset with such inputs."""
        parts = torch.split(arrays.inputs, CHUNK)
        return replace(arrays, inputs=torch.cat([((part - self.origin) / self.unit).float() for part in parts]))


def nearness(task: Task, inputs: Tensor) -> Nearness | None:
    """By all inputs of a dataset, whatever its split; None for float32, and for whitening, which takes raw inputs."""
    if inputs.dtype == torch.float32 or task.scaling == "zca":
        return None
    if task.scaling == "none":
        still = inputs.new_zeros(1, inputs.shape[1], 1, 1)
        return Nearness(origin=still, unit=still + 1.0)
    origin, unit = standardize(inputs, torch.arange(len(inputs)), "channel")
    return Nearness(origin=origin, unit=unit)


def extremes(inputs: Tensor, train: Tensor, *, by_channel: bool) -> tuple[Tensor, Tensor]:
    """The least of `inputs[train]`, and how far the greatest lies above it (1 where it does not): [1, C, H, W] or
    [1, C, 1, 1].
    """
    axes = (0, 2, 3) if by_channel else (0,)
    parts = [inputs[part] for part in torch.split(train, CHUNK)]
    least = torch.stack([part.amin(axes, keepdim=True) for part in parts]).amin(0)
    width = torch.stack([part.amax(axes, keepdim=True) for part in parts]).amax(0) - least
    return least, torch.where(width > 0, width, 1.0)


def stretched(arrays: Arrays, task: Task) -> Arrays:
    """The dataset with its middle input (c = C // 2, H // 2, W // 2) times `task.stretch`."""
    if task.stretch == 1.0:
        return arrays
    inputs = arrays.inputs.clone()
    channels, height, wide = inputs.shape[1:]
    inputs[:, channels // 2, height // 2, wide // 2] *= task.stretch
    return replace(arrays, inputs=inputs)


def whitened(inputs: Tensor, train: Tensor, epsilon: float) -> Tensor:
    """ZCA (Bell & Sejnowski 1997): U (L + epsilon l I)^(-1/2) U^T (x - m), the inputs' shape, in float32.

    m and U L U^T are mean and covariance (divisor n) of `inputs[train]`, l the mean of L. Directions in which the
    training part does not vary, L <= 2^-39 max L, become 0. Sums and the matrix are in float64: O(n D^2 + D^3).
    """
    flat = inputs.flatten(1)
    parts = torch.split(train, CHUNK)
    mean = torch.stack([flat[part].double().sum(0) for part in parts]).sum(0) / train.numel()
    covariance = mean.new_zeros(mean.numel(), mean.numel())
    for part in parts:
        centred = flat[part].double() - mean
        covariance.addmm_(centred.T, centred, alpha=1.0 / train.numel())
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > values.max() * STILL
    roots = torch.where(kept, (values + epsilon * values.mean()).clamp(min=torch.finfo(torch.float64).tiny).rsqrt(), 0)
    matrix = (vectors * roots) @ vectors.T
    rows = [((part.double() - mean) @ matrix).float() for part in torch.split(flat, CHUNK)]
    return torch.cat(rows).view_as(inputs)
