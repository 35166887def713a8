"""Activations as tensors: the table of what each level computes, and its gain."""

import math

import torch

from actinium.levels import Activation
from workers.activations.forms import ActivationFunction as ActivationFunction
from workers.activations.forms import LearnedParameter as LearnedParameter
from workers.activations.table import ACTIVATION_FUNCTIONS as ACTIVATION_FUNCTIONS


def gain(level: Activation) -> float:
    """1 / sqrt(E phi(Z)^2), Z ~ N(0, 1): the sqrt(fan_in Var w) that keeps a second moment of 1 (He et al. 2015).

    Trapezoid on [-12, 12], of both channels of a pair where an output depends on two; the mean over the outputs. A
    learned parameter counts at its start, or the middle of its range.
    """
    z = torch.linspace(-12.0, 12.0, 24_001, dtype=torch.float64)
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2.0 * math.pi)
    inputs, weights = z.view(1, -1, 1), density * (z[1] - z[0])
    if level.ratio < 1:
        coarse = weights[::60] * 60.0
        inputs, weights = torch.cartesian_prod(z[::60], z[::60]).unsqueeze(0), torch.outer(coarse, coarse).flatten()
    entry = ACTIVATION_FUNCTIONS[level.name]
    learned = {
        name: torch.tensor(parameter.typical_start(), dtype=torch.float64)
        for name, parameter in entry.learned(level).items()
    }
    outputs = entry.forward(inputs, level, learned)
    return 1.0 / math.sqrt(float(outputs.square().mean(2)[0] @ weights))
