"""Activations as tensors: one entry a level, under the names of `actinium.levels.ACTIVATIONS`.

Shapes: z and h of one slice of lanes, either [L, B, N] or [B, L, C, H, W]; `slope` (learned activations only) is
broadcast to z by the caller.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from actinium.levels import Activation


@dataclass(frozen=True, kw_only=True)
class ActivationFunction:
    """What a level computes.

    forward(z, level, slope) is phi(z), differentiable by autograd; derivative(z, level, slope) is phi'(z), with
    phi'(0) as torch's backward has it; steepest(level, slope) is max |phi'| over all z, broadcastable to z.
    `learned_start` gives the first value of the learned slope, None where nothing is learned. A `rectifier` has an
    off state: phi(z) <= 0 is silence.
    """

    forward: Callable[[Tensor, Activation, Tensor | None], Tensor]
    derivative: Callable[[Tensor, Activation, Tensor | None], Tensor]
    steepest: Callable[[Activation, Tensor | None], Tensor | float]
    learned_start: Callable[[Activation], float] | None = None
    rectifier: bool = False


def _gate(z: Tensor) -> Tensor:
    """1 where z > 0, else 0, in z's dtype; a constant for autograd. Written in one pass, which converting is not."""
    with torch.no_grad():
        return torch.gt(z, 0, out=torch.empty_like(z))


def _slope_derivative(z: Tensor, below: Tensor | float) -> Tensor:
    gate = _gate(z)
    return gate + (1.0 - gate) * below


def _learned(slope: Tensor | None) -> Tensor:
    assert slope is not None, "a learned activation needs its slope"
    return slope


def _prelu(z: Tensor, _: Activation, slope: Tensor | None) -> Tensor:
    return torch.where(z > 0, z, z * _learned(slope))


def _elu_derivative(z: Tensor, level: Activation, _: Tensor | None) -> Tensor:
    alpha, below = level.number("alpha"), torch.exp(torch.clamp(z, max=0.0))
    return below if alpha == 1.0 else _slope_derivative(z, alpha * below)  # exp(0) is the 1 wanted above zero


ACTIVATION_FUNCTIONS: Mapping[str, ActivationFunction] = {
    "linear": ActivationFunction(
        forward=lambda z, level, slope: z,
        derivative=lambda z, level, slope: torch.ones_like(z),
        steepest=lambda level, slope: 1.0,
    ),
    "sigmoid": ActivationFunction(
        forward=lambda z, level, slope: torch.sigmoid(z),
        derivative=lambda z, level, slope: torch.sigmoid(z) * torch.sigmoid(-z),
        steepest=lambda level, slope: 0.25,
    ),
    "tanh": ActivationFunction(
        forward=lambda z, level, slope: torch.tanh(z),
        derivative=lambda z, level, slope: 1.0 - torch.tanh(z).square(),
        steepest=lambda level, slope: 1.0,
    ),
    "relu": ActivationFunction(
        forward=lambda z, level, slope: torch.relu(z),
        derivative=lambda z, level, slope: _gate(z),
        steepest=lambda level, slope: 1.0,
        rectifier=True,
    ),
    "leaky_relu": ActivationFunction(
        forward=lambda z, level, slope: functional.leaky_relu(z, level.number("negative_slope")),
        derivative=lambda z, level, slope: _slope_derivative(z, level.number("negative_slope")),
        steepest=lambda level, slope: 1.0,
        rectifier=True,
    ),
    "prelu": ActivationFunction(
        forward=_prelu,
        derivative=lambda z, level, slope: _slope_derivative(z, _learned(slope)),
        steepest=lambda level, slope: _learned(slope).abs().clamp(min=1.0),
        learned_start=lambda level: level.number("initial_slope"),
        rectifier=True,
    ),
    "elu": ActivationFunction(
        forward=lambda z, level, slope: functional.elu(z, level.number("alpha")),
        derivative=_elu_derivative,
        steepest=lambda level, slope: max(1.0, level.number("alpha")),
        rectifier=True,
    ),
}


def gain(level: Activation) -> float:
    """1 / sqrt(E phi(Z)^2), Z ~ N(0, 1): the sqrt(fan_in Var w) that keeps a second moment of 1 (He et al. 2015).

    Trapezoid on [-12, 12]; a learned slope counts at its start.
    """
    z = torch.linspace(-12.0, 12.0, 24_001, dtype=torch.float64)
    entry = ACTIVATION_FUNCTIONS[level.name]
    slope = None if entry.learned_start is None else torch.tensor(entry.learned_start(level), dtype=torch.float64)
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2.0 * math.pi)
    moment = torch.trapezoid(entry.forward(z, level, slope).square() * density, z)
    return 1.0 / math.sqrt(float(moment))
