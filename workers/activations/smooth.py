"""The arithmetic of activations that are smooth but for a kink at zero, where it takes more than a line."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from actinium.levels import Activation
from workers.activations.forms import Learned, slope_derivative

SELU_ALPHA, SELU_LAMBDA = 1.6732632423543772, 1.0507009873554805
"""Klambauer et al. 2017: the fixed point (mean 0, variance 1) is mapped to itself."""

GELU_STEEPEST = 0.5 * (1.0 + math.erf(1.0)) + math.exp(-1.0) / math.sqrt(math.pi)
"""At z = sqrt(2), where the second derivative (2 - z^2) exp(-z^2 / 2) / sqrt(2 pi) vanishes."""

SILU_STEEPEST = 1.0998393194643407
"""At z = 2.39936, the root of z tanh(z / 2) = 2."""


def elu_derivative(z: Tensor, level: Activation, _: Learned) -> Tensor:
    """1 where z > 0, else alpha exp(z)."""
    alpha, below = level.number("alpha"), torch.exp(torch.clamp(z, max=0.0))
    return below if alpha == 1.0 else slope_derivative(z, alpha * below)  # exp(0) is the 1 wanted above zero


def gelu_derivative(z: Tensor, _: Activation, __: Learned) -> Tensor:
    """Phi(z) + z phi(z) with the normal distribution's function and density."""
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2.0 * math.pi)
    share: Tensor = torch.special.ndtr(z)
    return share + z * density


def silu_derivative(z: Tensor, _: Activation, __: Learned) -> Tensor:
    """s (1 + z (1 - s))."""
    s = torch.sigmoid(z)
    return s * (1.0 + z * (1.0 - s))


def softplus(z: Tensor, level: Activation, _: Learned) -> Tensor:
    """ln(1 + exp(beta z)) / beta; linear from beta z = 40, where the difference is below float64's rounding."""
    return functional.softplus(z, beta=level.number("beta"), threshold=40.0)


def selu_derivative(z: Tensor, _: Activation, __: Learned) -> Tensor:
    """lambda where z > 0, else lambda alpha exp(z)."""
    return SELU_LAMBDA * slope_derivative(z, SELU_ALPHA * torch.exp(torch.clamp(z, max=0.0)))
