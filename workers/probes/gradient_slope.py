"""How a quantity of layers, or of time steps, changes from one to the next. Legend: L lanes, D layers."""

import torch
from torch import Tensor


def gradient_slope(rms: Tensor) -> Tensor:
    """v = -(OLS slope of ln delta_l on l), [L] from delta [L, D]: per layer, towards the input.

    In theory ln(chi) / 2: under -0.1 gradients vanish, over 0.1 they explode. NaN for a single layer, and where some
    delta is exactly zero or not finite: no floor stands in for the logarithm of zero.
    """
    layers = torch.arange(rms.shape[1], dtype=rms.dtype, device=rms.device)
    centred = layers - layers.mean()
    slope = (rms.log() * centred).sum(1) / centred.square().sum()
    return torch.where(torch.isfinite(slope), -slope, torch.nan)
