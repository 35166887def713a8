"""The arithmetic of rectifiers with parameters."""

import torch
from torch import Tensor

from actinium.levels import Activation
from workers.activations.forms import Learned, gate


def prelu(z: Tensor, _: Activation, learned: Learned) -> Tensor:
    """z where z > 0, else slope z."""
    return torch.where(z > 0, z, z * learned["slope"])


def prelu_steepest(_: Activation, learned: Learned) -> Tensor:
    """The larger of 1 and |slope|."""
    return learned["slope"].abs().clamp(min=1.0)


def rrelu_slope(level: Activation) -> float:
    """The mean slope below zero, that of evaluation."""
    return 0.5 * (level.number("lower") + level.number("upper"))


def rrelu_noisy(z: Tensor, level: Activation, uniform: Tensor) -> Tensor:
    """z where z > 0, else a z, with each element's own a = lower + (upper - lower) u."""
    lower, upper = level.number("lower"), level.number("upper")
    return torch.where(z > 0, z, (lower + (upper - lower) * uniform) * z)


def half_wave(z: Tensor, level: Activation, _: Learned) -> Tensor:
    """max(0, z - theta), or z gated by z > theta."""
    over = z - level.number("threshold")
    return torch.relu(over) if level.parameters["mode"] == "subtract" else z * gate(over)


def half_wave_derivative(z: Tensor, level: Activation, _: Learned) -> Tensor:
    """1 where z > theta, else 0."""
    return gate(z - level.number("threshold"))
