"""Gradient flow (SCIENCE D4): delta_l = rms of dL/dz_l, and how it changes from layer to layer.

L is the mean loss over the examples given; normalizations use the statistics of those, as in training, and
leave the running ones alone. Legend: L lanes, B examples, D hidden layers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from workers.layers import LaneModel, Pass, Trace
from workers.objectives import Loss, cross_entropy


def preactivation_gradients(
    model: LaneModel, inputs: Tensor, targets: Tensor, loss: Loss = cross_entropy
) -> tuple[Tensor, ...]:
    """dL/dz of every hidden layer, shaped as z in the trace, from inputs ([L, B, ...] or [B, L, ...], the model's
    layout) and targets as `loss` has them.

    A lane's loss reaches no other lane's z, so the sum over lanes has each lane's own gradients. No parameter's
    gradient is computed or touched.
    """
    params = {name: tensor.detach() for name, tensor in model.params.items()}
    trace = Trace()
    with torch.enable_grad():
        watched = inputs.detach().requires_grad_()
        outputs = model.forward(params, watched, Pass.measuring(trace=trace))
        return torch.autograd.grad(loss(outputs, targets).sum(), trace.preactivations)


def gradient_rms(gradients: Sequence[Tensor], lane_axis: int) -> Tensor:
    """delta [L, D] float64 from `preactivation_gradients`: over examples, units and positions."""
    lanes = gradients[0].shape[lane_axis]
    axes = (1, 2) if lane_axis == 0 else (0, 2, 3, 4)
    sums = [torch.sum(gradient.double().square(), axes) / (gradient.numel() // lanes) for gradient in gradients]
    return torch.stack(sums, 1).sqrt()


def gradient_slope(rms: Tensor) -> Tensor:
    """v = -(OLS slope of ln delta_l on l), [L] from delta [L, D]: per layer, towards the input.

    In theory ln(chi) / 2: under -0.1 gradients vanish, over 0.1 they explode. NaN for a single layer, and where some
    delta is exactly zero or not finite: no floor stands in for the logarithm of zero.
    """
    layers = torch.arange(rms.shape[1], dtype=rms.dtype, device=rms.device)
    centred = layers - layers.mean()
    slope = (rms.log() * centred).sum(1) / centred.square().sum()
    return torch.where(torch.isfinite(slope), -slope, torch.nan)
