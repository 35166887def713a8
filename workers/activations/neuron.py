"""The firing rate of a leaky integrate-and-fire neuron (Dayan & Abbott 2001, eq. 5.11), times its time constant.

    phi(z) = 1 / (t_ref / t_m + ln((z - V_reset) / (z - V_th)))   where z > V_th, else 0

Potentials are counted from the resting one. The derivative is infinite at the threshold, and clipped.
"""

from typing import Any

import torch
from torch import Tensor

from actinium.levels import Activation
from workers.activations.forms import Learned


def _rate(z: Tensor, level: Activation) -> Tensor:
    threshold = level.number("threshold")
    fires = z > threshold
    over = torch.where(fires, z - threshold, 1.0)
    leak = torch.log1p((threshold - level.number("reset")) / over)
    return torch.where(fires, 1.0 / (level.number("refractory") / level.number("time_constant") + leak), 0.0)


def _clipped_slope(z: Tensor, rate: Tensor, level: Activation) -> Tensor:
    """rate^2 (V_th - V_reset) / ((z - V_reset) (z - V_th)), at most `clip`; 0 where nothing fires."""
    threshold, reset = level.number("threshold"), level.number("reset")
    fires = z > threshold
    over = torch.where(fires, z - threshold, 1.0)
    slope = rate.square() * (threshold - reset) / (over * torch.where(fires, z - reset, 1.0))
    return torch.where(fires, slope.clamp(max=level.number("clip")), 0.0)


class _Lif(torch.autograd.Function):
    """The rate forward, the clipped slope backward."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, level: Activation) -> Tensor:
        rate = _rate(z, level)
        ctx.save_for_backward(z, rate)
        ctx.level = level
        return rate

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        z, rate = ctx.saved_tensors
        return gradients[0] * _clipped_slope(z, rate, ctx.level), None


def lif(z: Tensor, level: Activation, _: Learned) -> Tensor:
    """The firing rate."""
    rate: Tensor = _Lif.apply(z, level)  # type: ignore[no-untyped-call] # torch gives it no types
    return rate


def lif_derivative(z: Tensor, level: Activation, _: Learned) -> Tensor:
    """Its clipped derivative."""
    return _clipped_slope(z, _rate(z, level), level)
