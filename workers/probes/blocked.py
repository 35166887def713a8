"""Blocked units (SCIENCE D1): alive, and yet no gradient arrives: max |dL/dz| over the probe set is below a threshold.

L is each example's own loss, so that the number of examples does not count; who stands beside an example counts only
where a normalization goes by the batch, as it does in training. A pair is alive where one of its halves is. What blocks
a unit stands above it: dead layers, weights of zero, a softmax that is certain throughout. Legend: L lanes, U units of
all hidden layers, C of one.
"""

from functools import partial

import torch
from torch import Tensor

from workers.layers import LaneModel, Pass, Trace
from workers.objectives import Loss
from workers.probes.chunk import LayerChunk, larger_half
from workers.training.batches import PackData


def blocked_units(
    model: LaneModel, data: PackData, index: Tensor, *, batch: int, epsilon: float, threshold: float, at_once: int
) -> Tensor:
    """1[max_x |phi'(z_u)| >= epsilon and max_x |dL/dz_u| < threshold], [L, U] float64 of 0 and 1; NaN where a lane's
    numbers are not finite.

    Over the examples at `index` [L, n], which are whole batches of `batch`, `at_once` batches in a pass. No parameter's
    gradient is computed or touched.
    """
    steepest: list[Tensor] = []
    arriving: list[Tensor] = []
    finite = torch.ones(len(model.configs), dtype=torch.bool, device=data.scale.device)
    for part in torch.split(index, at_once * batch, dim=1):
        chunks, gradients, outputs = _passed(model, *data.take(part), data.functions().loss, batch)
        finite &= torch.isfinite(outputs).all(2).all(1)
        steepest = _higher(steepest, [chunk.peak(chunk.strongest) for chunk in chunks])
        arriving = _higher(arriving, [_arriving(*seen) for seen in zip(chunks, gradients, strict=True)])
    blocked = (torch.cat(steepest, 1) >= epsilon) & (torch.cat(arriving, 1) < threshold)
    return torch.where(finite.unsqueeze(1), blocked.double(), torch.nan)


def _passed(
    model: LaneModel, inputs: Tensor, targets: Tensor, loss: Loss, batch: int
) -> tuple[list[LayerChunk], tuple[Tensor, ...], Tensor]:
    """What a pass shows of every hidden layer, dL/dz of each, and the outputs."""
    params = {name: tensor.detach() for name, tensor in model.params.items()}
    trace = Trace()
    with torch.enable_grad():
        watched = inputs.detach().requires_grad_()
        outputs = model.forward(params, watched, Pass.measuring(batch=batch, trace=trace))
        total = loss(outputs, targets).sum() * outputs.shape[1]
        gradients = torch.autograd.grad(total, trace.preactivations)
    chunks = [
        LayerChunk(
            preactivation=z.detach(),
            activation=h.detach(),
            derivative=partial(model.derivative, params, layer),
            lane_axis=model.lane_axis,
        )
        for layer, (z, h) in enumerate(zip(trace.preactivations, trace.activations, strict=True))
    ]
    return chunks, gradients, outputs.detach()


def _arriving(chunk: LayerChunk, gradient: Tensor) -> Tensor:
    """max |dL/dz| of every unit; of a pair with two channels of z, the larger."""
    peaks = chunk.peak(gradient.abs())
    return larger_half(peaks, axis=1) if chunk.halving else peaks


def _higher(known: list[Tensor], seen: list[Tensor]) -> list[Tensor]:
    return [torch.maximum(a, b) for a, b in zip(known, seen, strict=True)] if known else seen
