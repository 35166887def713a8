"""Gradient flow (SCIENCE D4): delta_l = rms of dL/dz_l, and how it changes from layer to layer.

L is the mean loss over the examples given; normalizations go by the statistics of batches and ghosts of the study's own
size, as in training, and leave the running ones alone. Legend: L lanes, B examples, D hidden layers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from actinium.frame import layer_series
from actinium.trial import TrialConfig
from workers.layers import LaneModel, Pass, Trace
from workers.objectives import Loss, cross_entropy
from workers.probes.family import Family, Given, tabled
from workers.probes.gradient_slope import gradient_slope
from workers.probes.gradient_time import TIME_SERIES, time_rms, time_values
from workers.probes.probed_pack import ProbedPack
from workers.probes.schedule import points_of


def preactivation_gradients(
    model: LaneModel, inputs: Tensor, targets: Tensor, loss: Loss = cross_entropy, *, batch: int | None = None
) -> tuple[Tensor, ...]:
    """dL/dz of every hidden layer, shaped as z in the trace, from inputs ([L, B, ...] or [B, L, ...], the model's
    layout) and targets as `loss` has them. `batch`: as in `workers.layers.Pass`.

    A lane's loss reaches no other lane's z, so the sum over lanes has each lane's own gradients. No parameter's
    gradient is computed or touched.
    """
    params = {name: tensor.detach() for name, tensor in model.params.items()}
    trace = Trace()
    with torch.enable_grad():
        watched = inputs.detach().requires_grad_()
        outputs = model.forward(params, watched, Pass.measuring(batch=batch, trace=trace))
        return torch.autograd.grad(loss(outputs, targets).sum(), trace.preactivations)


def gradient_rms(gradients: Sequence[Tensor], lane_axis: int) -> Tensor:
    """delta [L, D] float64 from `preactivation_gradients`: over examples, units and positions."""
    lanes = gradients[0].shape[lane_axis]
    axes = (1, 2) if lane_axis == 0 else (0, 2, 3, 4)
    sums = [torch.sum(gradient.double().square(), axes) / (gradient.numel() // lanes) for gradient in gradients]
    return torch.stack(sums, 1).sqrt()


def series(config: TrialConfig) -> list[Given]:
    """Gradients by time step only where there are such."""
    return tabled("gradient_flow", without=() if config.time_steps() else TIME_SERIES)


def measure(pack: ProbedPack, step: int) -> dict[str, Tensor]:
    """Gradient flow on the first examples of the probe set, through layers and through time."""
    flow = pack.config.probes.gradient_flow
    assert flow is not None
    by_layer, by_step, steps = [], [], pack.config.time_steps()
    for model, data, inputs, targets in pack.shown(flow.examples):
        gradients = preactivation_gradients(model, inputs, targets, data.functions().loss, batch=pack.batch)
        by_layer.append(gradient_rms(gradients, model.lane_axis))
        if steps is not None:
            by_step.append(time_rms(gradients, steps))
    rms = torch.cat(by_layer)
    values = {layer_series("gradient_rms", number): column for number, column in enumerate(rms.unbind(1), start=1)}
    through_time = time_values(torch.cat(by_step)) if by_step else {}
    return {**values, **through_time, "gradient_slope": gradient_slope(rms)}


GRADIENT_FLOW = Family(name="gradient_flow", steps=points_of("gradient_flow"), series=series, measure=measure)
