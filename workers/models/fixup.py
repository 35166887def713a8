"""Fixup (Zhang et al. 2019): an initialization, and learned scalars, with which residual networks train without
normalization.

Legend: L lanes. A parameter has all lanes of its pack: where one lane starts by Fixup, the other lanes have its scalars
too, do not use them, and never change them.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from actinium.trial import TrialConfig
from workers.layers import Parameters

SCALARS = ("input_shift", "output_shift", "multiplier")
"""Learned, [L, 1] each: added to a linear layer's input; added to an activation's input; multiplied with the weights of
a branch's last layer.
"""


def starts_by_fixup(config: TrialConfig) -> bool:
    """Whether the trial's initialization is `fixup`."""
    return config.initialization.name == "fixup"


def fixup_factor(config: TrialConfig, layer: str) -> float:
    """By what the He-initialized weights of `layer` are multiplied: in a network with K branches of m layers, by
    K^(-1 / (2 m - 2)) inside a branch, by 0 in the last layer of a branch and in the classifier, by 1 elsewhere.
    """
    branches = config.branches()
    for branch in branches:
        if layer in branch[:-1]:
            return float(len(branches) ** (-1.0 / (2 * len(branch) - 2)))
    last = {branch[-1] for branch in branches}
    return 0.0 if layer == "classifier" or layer in last else 1.0


def fixup_scalars(configs: Sequence[TrialConfig], layers: Iterable[str]) -> Parameters:
    """The scalars at step 0, by name: shifts are 0, multipliers 1. None where no lane of the pack starts by Fixup.

    `layers`: the names of hidden layers, projections and the classifier.
    """
    if not any(starts_by_fixup(config) for config in configs):
        return {}
    last = {branch[-1] for branch in configs[0].branches()}
    scalars: Parameters = {}
    for layer in layers:
        scalars[f"{layer}.input_shift"] = torch.zeros(len(configs), 1)
        if layer.startswith("layer_"):
            scalars[f"{layer}.output_shift"] = torch.zeros(len(configs), 1)
        if layer in last:
            scalars[f"{layer}.multiplier"] = torch.ones(len(configs), 1)
    return scalars


def scalar_count(params: Parameters) -> int:
    """How many scalars of Fixup a trial learns."""
    return sum(name.endswith(SCALARS) for name in params)


def scaled_by(weight: Tensor, multiplier: Tensor, chosen: Tensor) -> Tensor:
    """Weights [L, ...] times the multiplier [L, 1] in the lanes where `chosen` [L, 1] is 1; elsewhere it is 0."""
    factor = multiplier * chosen + (1.0 - chosen)
    return weight * factor.view(-1, *[1] * (weight.dim() - 1))


def shifted_by(x: Tensor, shift: Tensor, chosen: Tensor, *, lane_axis: int) -> Tensor:
    """x ([L, ...] or [B, L, ...]) plus the shift [L, 1] in the lanes where `chosen` [L, 1] is 1; elsewhere it is 0."""
    return x + (shift * chosen).view(*[1] * lane_axis, -1, *[1] * (x.dim() - 1 - lane_axis))
