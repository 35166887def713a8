"""Layer-sequential unit variance (Mishkin & Matas 2016): weights scaled by what the first batch makes of them.

Legend: L lanes, B examples, K classes.
"""

import torch
from torch import Tensor

from workers.layers import LaneModel, Pass, Trace


@torch.no_grad()
def scale_to_unit_variance(model: LaneModel, inputs: Tensor) -> None:
    """Divide each lane's weights, layer by layer, by the deviation of the layer's output on `inputs`.

    The output is the linear layer's own, before normalization and activation; of the last layer, the logits. A layer
    is done when its deviation is within `tolerance` of 1, or after `attempts` divisions. Lanes of other
    initializations stay as they are; so do layers whose output does not vary. `inputs` as the model takes them.
    """
    levels = [config.initialization for config in model.configs]
    chosen = [level.name == "lsuv" for level in levels]
    if not any(chosen):
        return
    like = model.params["classifier.weight"]
    attempts = [int(level.number("attempts")) if level.name == "lsuv" else 0 for level in levels]
    tolerance = torch.tensor([level.parameters.get("tolerance", 0.0) for level in levels]).to(like)
    for place, layer in enumerate([*model.hidden_names, "classifier"]):
        weight = model.params[f"{layer}.weight"]
        for attempt in range(max(attempts)):
            deviation = output_deviations(model, inputs)[place]
            tried = torch.tensor([attempt < most for most in attempts], device=like.device)
            far = tried & ((deviation - 1.0).abs() >= tolerance) & (deviation > 0.0) & deviation.isfinite()
            if not bool(far.any()):
                break
            divisor = torch.where(far, deviation, 1.0)
            weight.div_(divisor.view(-1, *[1] * (weight.dim() - 1)))


def output_deviations(model: LaneModel, inputs: Tensor) -> list[Tensor]:
    """The deviation of every linear layer's output over examples, units and positions, [L] each; the logits' last."""
    trace = Trace(outputs=[])
    logits = model.forward(model.params, inputs, Pass.measuring(trace=trace))
    assert trace.outputs is not None
    outputs = [u.movedim(model.lane_axis, 0) for u in trace.outputs]
    return [u.flatten(1).std(1, correction=0) for u in (*outputs, logits)]
