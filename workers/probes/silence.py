"""Which units are silent on all of the probe set, without passing all of it through lanes that are known to be awake.

A maximum over examples only grows: a unit that is once found alive, or on, is so on the whole probe set. Hence only
lanes that still have an undecided unit go on to further examples, twice as many in each round, and what is found is
what a pass of all examples through all lanes would find. Legend: L lanes of the group, l of a round.
"""

from collections.abc import Sequence

import torch

from workers.batches import PackData
from workers.layers import LaneModel, Trace
from workers.probes.layer_probes import LayerProbes
from workers.probes.network_constant import NetworkConstant


def decide_silence(
    model: LaneModel,
    data: PackData,
    layers: Sequence[LayerProbes],
    outputs: NetworkConstant | None,
    *,
    seen: int,
    examples: int,
    elements: int,
) -> None:
    """Show layers and outputs as many more of the first `examples` of the probe set as they need, `seen` of which they
    have.

    `elements`: lanes times examples in one pass, at most.
    """
    size = seen
    examples = min(examples, data.train.shape[1])
    while seen < examples:
        flags = [layer.undecided() for layer in layers]
        asking = [flag for flag in flags if flag is not None]
        if outputs is not None:
            asking.append(outputs.undecided())
        if not asking:
            return
        lanes = torch.stack(asking).any(0).nonzero().squeeze(1)
        if not lanes.numel():
            return
        open_layers = [flag is not None and bool(flag.any()) for flag in flags]
        part, part_data = _only(model, data, lanes)
        end = min(seen + size, examples)
        for index in torch.split(part_data.train[:, seen:end], max(1, elements // lanes.numel()), dim=1):
            trace = Trace()
            inputs, _ = part_data.take(index)
            logits = part.forward(part.params, inputs, training=False, update_statistics=False, trace=trace)
            for layer, is_open, z, h in zip(layers, open_layers, trace.preactivations, trace.activations, strict=True):
                if is_open:
                    layer.add_silence(part, lanes, z, h)
            if outputs is not None:
                outputs.add_of(lanes, logits)
        seen, size = end, 2 * size


def _only(model: LaneModel, data: PackData, lanes: torch.Tensor) -> tuple[LaneModel, PackData]:
    """These lanes of the group, in memory of their own; the group stays as it is."""
    count = len(model.configs)
    part, part_data = model.narrow(0, count), data.narrow(0, count)
    if lanes.numel() < count:
        kept = lanes.tolist()
        part.keep(kept)
        part_data.keep(kept)
    return part, part_data
