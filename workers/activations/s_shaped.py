"""The S-shaped rectifier (Jin et al. 2016): three lines that meet at two thresholds, all of it learned.

phi(z) = t_r + a_r (z - t_r)   where z >= t_r
         z                     else where z > t_l
         t_l + a_l (z - t_l)   else
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from actinium.levels import Activation
from workers.activations.forms import Learned, LearnedParameter

DRAWN = {"left_slope": (0.0, 1.0), "right_threshold": (0.0, 5.0)}
"""Ranges from which keras-contrib's layer starts."""

FROZEN = {"left_slope": 0.2, "right_threshold": 0.0}
"""The same while the layer is held as a leaky relu; with a_r = 1, t_r has no effect."""


def srelu(z: Tensor, _: Activation, learned: Learned) -> Tensor:
    """phi(z); the conditions are tested in the order above, also where t_l > t_r."""
    left, right = learned["left_threshold"], learned["right_threshold"]
    below = left + learned["left_slope"] * (z - left)
    above = right + learned["right_slope"] * (z - right)
    return torch.where(z >= right, above, torch.where(z > left, z, below))


def srelu_derivative(z: Tensor, _: Activation, learned: Learned) -> Tensor:
    """a_r, 1 or a_l."""
    inner = torch.where(z > learned["left_threshold"], torch.ones_like(z), learned["left_slope"])
    return torch.where(z >= learned["right_threshold"], learned["right_slope"], inner)


def srelu_steepest(_: Activation, learned: Learned) -> Tensor:
    """The largest of the three slopes; the middle line is there only where t_l < t_r."""
    outer = torch.maximum(learned["left_slope"].abs(), learned["right_slope"].abs())
    return torch.where(learned["left_threshold"] < learned["right_threshold"], outer.clamp(min=1.0), outer)


def srelu_learned(level: Activation) -> Mapping[str, LearnedParameter]:
    """The four, with their starts."""
    shared, frozen = level.parameters["per"] == "layer", level.number("frozen_epochs") > 0

    def start(name: str) -> float | tuple[float, float]:
        if level.parameters[name] is not None:
            return level.number(name)
        return FROZEN[name] if frozen else DRAWN[name]

    names = ("left_threshold", "left_slope", "right_threshold", "right_slope")
    return {name: LearnedParameter(start=start(name), shared=shared) for name in names}


def srelu_thawed(observed: Tensor, level: Activation) -> Mapping[str, Tensor]:
    """t_r: the smallest observed value that is no less than a share `quantile` of them."""
    count = observed.shape[-1]
    rank = max(1, min(count, round(level.number("quantile") * count)))
    return {"right_threshold": observed.kthvalue(rank, dim=-1).values}
