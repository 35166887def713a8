"""The pass over the probe set that families share: each says what it gathers of a layer, all of it is gathered while
the examples go by, part by part. Networks are as they are trained (SCIENCE D1): where a normalization goes by the
batch, by batches and ghosts of the study's own size; elsewhere that is eval mode.

Legend: L lanes, l of a group, C units of a layer, U of all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from actinium.errors import ProbeFault
from actinium.frame import layer_series
from actinium.measurements import metric
from workers.layers import LaneModel, Pass, Trace
from workers.probes.chunk import LayerChunk, LayerQuantity, Place, SilenceQuantity, only_units
from workers.probes.family import Family, Given
from workers.probes.gathering import Gathered, LayerLook, OutputsQuantity
from workers.probes.halves import Halves
from workers.probes.probed_pack import ProbedPack
from workers.probes.schedule import averaged_examples, in_batches
from workers.probes.silence import decide_silence
from workers.training.batches import PackData

FIRST_EXAMPLES = 64
"""Where no means are taken, so many examples go through all lanes; most units are found awake on them."""


class LayerProbes:
    """One hidden layer of some lanes: feed it every part of the probe set, then read what each family gathered."""

    def __init__(self, model: LaneModel, layer: int, gathered: Mapping[str, Gathered], common: Sequence[LayerQuantity]):
        """`layer` counts from 0; the model's lanes are those of every part to come. `common` is read by families, and
        gives nothing itself.
        """
        self._model, self._layer, self.gathered = model, layer, gathered
        units = [quantity for of in gathered.values() for quantity in of.units.values()]
        layers = [quantity for of in gathered.values() for quantity in of.layers]
        self._fed: Sequence[LayerQuantity] = [*units, *common, *layers]
        self._silences = [quantity for quantity in units if isinstance(quantity, SilenceQuantity)]
        self._paired = model.configs[0].activation.ratio != 1

    def add(self, preactivation: Tensor, activation: Tensor, *, elements: int) -> None:
        """Take in a part's z and h, so many elements at a time: what is computed of them stays in the cache."""
        examples = 1 - self._model.lane_axis
        at_once = max(1, elements * preactivation.shape[examples] // preactivation.numel())
        parts = (torch.split(values, at_once, dim=examples) for values in (preactivation, activation))
        for z, h in zip(*parts, strict=True):
            chunk = self._chunk(self._model, z, h)
            for quantity in self._fed:
                quantity.add(chunk)

    def undecided(self) -> Tensor | None:
        """[L, C] bool: units of which more examples could change whether they are silent; of pairs, [L, 1] for all of
        them. None where nothing asks for it.
        """
        flags = [quantity.undecided() for quantity in self._silences]
        if self._paired:
            flags = [flag.any(1, keepdim=True) for flag in flags]
        return torch.stack(flags).any(0) if flags else None

    def add_silence(
        self, model: LaneModel, lanes: Tensor, units: Tensor, preactivation: Tensor, activation: Tensor
    ) -> None:
        """Take in z and h of a part that was passed through `model`: `lanes` [l] alone, by their positions.

        Only `units` [l, u] are looked at; of pairs, all.
        """
        if self._paired:
            place: Place = (lanes,)
            chunk = self._chunk(model, preactivation, activation)
        else:
            z, h = (only_units(values, units, model.lane_axis) for values in (preactivation, activation))
            place, chunk = (lanes.unsqueeze(1), units), self._chunk(model, z, h, units)
        for quantity in self._silences:
            quantity.add_of(place, chunk)

    def _chunk(
        self, model: LaneModel, preactivation: Tensor, activation: Tensor, units: Tensor | None = None
    ) -> LayerChunk:
        return LayerChunk(
            preactivation=preactivation,
            activation=activation,
            derivative=partial(model.derivative, model.params, self._layer, units=units),
            lane_axis=model.lane_axis,
        )


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What of a family is due at a step."""

    family: Family
    due: Sequence[Given]

    @property
    def names(self) -> frozenset[str]:
        """The quantities, with their parameters."""
        return frozenset(one.name for one in self.due)


@dataclass(kw_only=True)
class Found:
    """What one family's quantities show of l lanes: values [l] by series name, and units' [l, U] by quantity where the
    family remembers them.
    """

    values: dict[str, Tensor] = field(default_factory=dict)
    units: dict[str, Tensor] = field(default_factory=dict)


def look(pack: ProbedPack, asked: Sequence[Asked], step: int) -> dict[str, dict[str, Tensor]]:
    """What families gather of the probe set at a step: by family, [L] by series name; NaN in lanes whose outputs are
    not finite. Which lanes those are, the pack is told, and the families what they remember.
    """
    asked = [one for one in asked if one.family.gather is not None and one.due]
    if not asked:
        return {}
    averaging = step in pack.averaged_steps
    widest = pack.config.widest()
    few = in_batches(min(FIRST_EXAMPLES, pack.examples), pack.config)
    first = averaged_examples(pack.config) if averaging else few
    groups = [
        _group(pack, model, data, asked, first=first, averaging=averaging)
        for model, data in pack.groups(widest * first)
    ]
    pack.finite = torch.cat([finite for _, finite in groups])
    everywhere: dict[str, dict[str, Tensor]] = {}
    for one in asked:
        name, found = one.family.name, [of_group[one.family.name] for of_group, _ in groups]
        if one.family.remember is not None:
            units = {unit: torch.cat([part.units[unit] for part in found]) for unit in found[0].units}
            one.family.remember(pack, units, pack.finite)
        if not found[0].values:
            continue
        table = torch.cat([torch.stack(list(part.values.values()), 1) for part in found])
        masked = torch.where(pack.finite.unsqueeze(1), table, torch.nan)
        everywhere[name] = dict(zip(found[0].values, masked.unbind(1), strict=True))
    return everywhere


def _group(
    pack: ProbedPack, model: LaneModel, data: PackData, asked: Sequence[Asked], *, first: int, averaging: bool
) -> tuple[dict[str, Found], Tensor]:
    """What a group of lanes shows on the probe set, part by part; on the `first` examples all of it. And which lanes
    are finite, [l].
    """
    lanes, widest = len(model.configs), pack.config.widest()
    layers = [_layer(pack, model, layer, asked, averaging=averaging) for layer in range(len(pack.widths))]
    outputs = {
        one.family.name: one.family.gather_outputs(pack.config, one.names)
        for one in asked
        if one.family.gather_outputs is not None
    }
    every_output = [quantity for of in outputs.values() for quantity in of]
    finite = torch.ones(lanes, dtype=torch.bool, device=data.scale.device)
    unit = pack.inseparable(model)
    at_once = max(1, pack.elements // (lanes * widest * unit)) * unit
    for index in torch.split(pack.examples_of(data, 0, first), at_once, dim=1):
        trace = Trace()
        inputs, _ = data.take(index)
        logits = model.forward(model.params, inputs, Pass.measuring(batch=pack.batch, trace=trace))
        finite &= torch.isfinite(logits).all(2).all(1)
        for layer, z, h in zip(layers, trace.preactivations, trace.activations, strict=True):
            layer.add(z, h, elements=pack.elements)
        for quantity in every_output:
            quantity.add(logits)
    decide_silence(pack, model, data, layers, every_output, seen=first)
    found = {one.family.name: _found(pack, one, layers, outputs.get(one.family.name, ())) for one in asked}
    return found, finite


def _layer(pack: ProbedPack, model: LaneModel, layer: int, asked: Sequence[Asked], *, averaging: bool) -> LayerProbes:
    """What every family gathers of one hidden layer. Raises ProbeFault for one that would take means of too few."""
    common: dict[type[LayerQuantity], LayerQuantity] = {}
    gathered: dict[str, Gathered] = {}
    for one in asked:
        assert one.family.gather is not None
        own = one.family.gather(LayerLook(config=pack.config, model=model, layer=layer, due=one.names, shared=common))
        means = [name for name, kind in own.units.items() if not isinstance(kind, SilenceQuantity | Halves)]
        if not averaging and (own.layers or means):
            raise ProbeFault(
                f"the family {one.family.name!r} of probes takes means at a step at which none are taken; its steps "
                "must be some of workers.probes.schedule.averaged_steps"
            )
        gathered[one.family.name] = own
    return LayerProbes(model, layer, gathered, list(common.values()))


def _found(pack: ProbedPack, one: Asked, layers: Sequence[LayerProbes], outputs: Sequence[OutputsQuantity]) -> Found:
    """One family's values: of units the means over a layer's and over all, of layers as the table of measurements says
    what the network's is.
    """
    found = Found()
    due = {given.name: given for given in one.due}
    gathered = [layer.gathered[one.family.name] for layer in layers]
    for name in gathered[0].units:
        by_unit = [of_layer.units[name].by_unit() for of_layer in gathered]
        means = pack.means(name, by_unit)
        wanted = due.get(name)
        found.values |= means if wanted is None else {s: means[s] for s in wanted.series(len(layers))}
        if one.family.remember is not None:
            found.units[name] = torch.cat(by_unit, 1)
    by_layer = [
        {name: value for quantity in of_layer.layers for name, value in quantity.by_layer().items()}
        for of_layer in gathered
    ]
    for name in by_layer[0]:
        of_layers = [values[name] for values in by_layer]
        found.values |= {layer_series(name, number): value for number, value in enumerate(of_layers, start=1)}
        entry = metric(name)
        if entry is not None and entry.network == "mean over layers":
            found.values[name] = torch.stack(of_layers).nanmean(0)
    for quantity in outputs:
        found.values |= quantity.by_network()
    return found
