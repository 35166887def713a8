"""Activations as tensors: the table of what each level computes, and its gain."""

import math

import torch

from actinium.levels import Activation
from workers.activations.forms import ActivationFunction as ActivationFunction
from workers.activations.forms import LearnedParameter as LearnedParameter
from workers.activations.table import ACTIVATION_FUNCTIONS as ACTIVATION_FUNCTIONS


def gain(level: Activation) -> float:
    """1 / sqrt(E phi(Z)^2), Z ~ N(0, 1): the sqrt(fan_in Var w) that keeps a second moment of 1 (He et al. 2015).

    Trapezoid on [-12, 12]; a learned parameter counts at its start, or the middle of its range.
    """
    z = torch.linspace(-12.0, 12.0, 24_001, dtype=torch.float64)
    entry = ACTIVATION_FUNCTIONS[level.name]
    learned = {
        name: torch.tensor(parameter.typical_start(), dtype=torch.float64)
        for name, parameter in entry.learned(level).items()
    }
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2.0 * math.pi)
    moment = torch.trapezoid(entry.forward(z, level, learned).square() * density, z)
    return 1.0 / math.sqrt(float(moment))
