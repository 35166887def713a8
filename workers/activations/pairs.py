"""Activations that take channels by pairs: two outputs of one channel, or one of two.

Channels are axis 2 of z, in [l, B, N] and [B, l, C, H, W] alike; channel p belongs to channel p + P, of P pairs. A
derivative has an entry for every (input, output): it is as wide as the wider of both.
"""

import torch
from torch import Tensor

from actinium.levels import Activation
from workers.activations.forms import Learned, gate

AXIS = 2


def both_signs(z: Tensor, _: Activation, __: Learned) -> Tensor:
    """max(0, z), then max(0, -z): [..., 2 C, ...] from [..., C, ...]."""
    return torch.cat((torch.relu(z), torch.relu(-z)), AXIS)


def both_signs_derivative(z: Tensor, _: Activation, __: Learned) -> Tensor:
    """1 where z > 0, then -1 where z < 0; else 0."""
    return torch.cat((gate(z), -gate(-z)), AXIS)


def both_squares(z: Tensor, _: Activation, __: Learned) -> Tensor:
    """max(0, z)^2, then min(0, z)^2."""
    return torch.cat((torch.relu(z).square(), torch.relu(-z).square()), AXIS)


def both_squares_derivative(z: Tensor, _: Activation, __: Learned) -> Tensor:
    """2 max(0, z), then 2 min(0, z)."""
    return torch.cat((2.0 * torch.relu(z), -2.0 * torch.relu(-z)), AXIS)


def _pairs(z: Tensor) -> Tensor:
    """[..., 2, C/2, ...]."""
    return z.view(*z.shape[:AXIS], 2, -1, *z.shape[AXIS + 1 :])


def modulus(z: Tensor, _: Activation, __: Learned) -> Tensor:
    """sqrt(a^2 + b^2): [..., C/2, ...] from [..., C, ...]; its gradient is 0 where both are."""
    length: Tensor = torch.linalg.vector_norm(_pairs(z), dim=AXIS)
    return length


def modulus_derivative(z: Tensor, _: Activation, __: Learned) -> Tensor:
    """a / sqrt(a^2 + b^2), then b / sqrt(a^2 + b^2); 0 where both are 0."""
    parts = _pairs(z)
    length = torch.linalg.vector_norm(parts, dim=AXIS, keepdim=True)
    return (parts / torch.where(length > 0, length, 1.0)).flatten(AXIS, AXIS + 1)
