"""Which units are silent on all of the probe set, without passing all of it through lanes that are known to be awake.

A maximum over examples only grows: a unit that is once found alive, or on, is so on the whole probe set. Hence only
lanes that still have an undecided unit go on to further examples, four times as many in each round, only those units
are looked at, and what is found is what a pass of all examples through all lanes would find. Legend: L lanes of the
group, l of a round, C units of a layer, u of them undecided.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from workers.layers import LaneModel, Pass, Trace
from workers.probes.gathering import OutputsQuantity
from workers.probes.probed_pack import ProbedPack
from workers.training.batches import PackData

GROWTH = 4
"""Each round ends at so many times the examples seen before it; a last one that would be short is joined to it."""


class SilentLayer(Protocol):
    """A hidden layer of the group, some of whose units may be silent."""

    def undecided(self) -> Tensor | None:
        """[L, C] bool: units of which more examples could change whether they are; None where nothing asks for it."""
        ...

    def add_silence(
        self, model: LaneModel, lanes: Tensor, units: Tensor, preactivation: Tensor, activation: Tensor
    ) -> None:
        """Take in z and h of a part that was passed through `model`, which is `lanes` [l] alone: of `units` [l, u]."""
        ...


def decide_silence(
    pack: ProbedPack,
    model: LaneModel,
    data: PackData,
    layers: Sequence[SilentLayer],
    outputs: Sequence[OutputsQuantity],
    *,
    seen: int,
    as_trained: bool = True,
) -> None:
    """Show layers and outputs of the group's `model` as many more examples of the probe set as they need, of which they
    have `seen` the first: whole batches, where networks are looked at `as_trained`; otherwise in eval mode.
    """
    examples = pack.laid_out if as_trained else pack.examples
    unit = pack.inseparable(model) if as_trained else 1
    elements = pack.elements // pack.config.widest()
    while seen < examples:
        flags = [layer.undecided() for layer in layers]
        asking = [flag.any(1) for flag in flags if flag is not None]
        asking += [quantity.undecided() for quantity in outputs]
        if not asking:
            return
        lanes = torch.stack(asking).any(0).nonzero().squeeze(1)
        if not lanes.numel():
            return
        end = GROWTH * seen if (GROWTH + 1) * seen < examples else examples
        for some in _alike(model, lanes):
            open_units = [None if flag is None else _open(flag[some]) for flag in flags]
            part, part_data = only(model, data, some.tolist())
            at_once = max(1, elements // (some.numel() * unit)) * unit
            for index in torch.split(pack.examples_of(part_data, seen, end), at_once, dim=1):
                trace = Trace()
                inputs, _ = part_data.take(index)
                how = Pass.measuring(batch=pack.batch, trace=trace) if as_trained else Pass.evaluation(trace=trace)
                logits = part.forward(part.params, inputs, how)
                for layer, units, z, h in zip(layers, open_units, trace.preactivations, trace.activations, strict=True):
                    if units is not None:
                        layer.add_silence(part, some, units, z, h)
                for quantity in outputs:
                    quantity.add_of(some, logits)
        seen = end


def _alike(model: LaneModel, lanes: Tensor) -> list[Tensor]:
    """The lanes (ascending) by their levels: lanes that are alike need not be taken apart in every layer."""
    bounds = torch.tensor([run.start for run in model.alike()[1:]], dtype=lanes.dtype, device=lanes.device)
    cuts = torch.searchsorted(lanes, bounds).tolist()
    return [some for some in torch.tensor_split(lanes, cuts) if some.numel()]


def _open(undecided: Tensor) -> Tensor | None:
    """[l, u]: the undecided units of each lane, others behind them where another has more; None where none has any."""
    most = int(undecided.sum(1).max())
    return undecided.int().topk(most, dim=1).indices if most else None


def only(model: LaneModel, data: PackData, places: Sequence[int]) -> tuple[LaneModel, PackData]:
    """These lanes of the group (ascending); the group stays as it is."""
    first, count = places[0], places[-1] + 1 - places[0]
    part, part_data = model.narrow(first, count), data.narrow(first, count)
    if len(places) < count:
        kept = [place - first for place in places]
        part.keep(kept)
        part_data.keep(kept)
    return part, part_data
