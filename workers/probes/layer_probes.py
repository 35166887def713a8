"""What is gathered of one hidden layer while the probe set goes by, part by part.

`unit_quantities` says which series of units comes of what, `LayerProbes` those of layers. A quantity is added by an
entry there, its file, and its name in `workers.probes.series`. Legend: L lanes, C units.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from actinium.trial import Probes
from workers.activations import ACTIVATION_FUNCTIONS
from workers.layers import LaneModel
from workers.probes.activation_moments import ActivationMoments
from workers.probes.activation_rate import ActivationRate
from workers.probes.chunk import LayerChunk, Place, SilenceQuantity, UnitQuantity, only_units
from workers.probes.constant import Constant
from workers.probes.dead_units import DeadUnits
from workers.probes.distribution import Distribution
from workers.probes.dormant import Dormant
from workers.probes.effective_rank import EffectiveRank, effective_rank
from workers.probes.halves import Halves
from workers.probes.off_units import OffUnits
from workers.probes.pinned import Pinned
from workers.probes.saturated import Saturated
from workers.probes.series import dormant_series
from workers.probes.sparsity import Sparsity
from workers.probes.spectrum import srank, stable_rank


def unit_quantities(probes: Probes, model: LaneModel, layer: int, *, averaging: bool) -> dict[str, UnitQuantity]:
    """By series name, those that are numbers of a unit; without `averaging` only those that no mean comes into. `layer`
    counts from 0.
    """
    quantities: dict[str, UnitQuantity] = {}
    ratio = model.configs[0].activation.ratio
    if probes.dead_units:
        rectifies = [ACTIVATION_FUNCTIONS[config.activation.name].rectifier for config in model.configs]
        dead = DeadUnits(probes.dead_units.epsilon, paired=ratio != 1)
        off = OffUnits(torch.tensor(rectifies, device=model.params["classifier.weight"].device), doubled=ratio > 1)
        quantities["dead_unit_rate"], quantities["off_rate"] = dead, off
        if ratio != 1:
            quantities["dead_half_rate"] = Halves(dead)
        if ratio > 1:
            quantities["off_half_rate"] = Halves(off)
    if probes.unit_states:
        quantities["pinned_negative_rate"] = Pinned(1.0)
        quantities["pinned_positive_rate"] = Pinned(-1.0)
    if not averaging:
        return quantities
    if probes.dead_units:
        steepest = model.steepest(model.params, layer).detach()
        quantities["saturated_rate"] = Saturated(probes.dead_units.epsilon, steepest)
        quantities[dormant_series(probes.dead_units.dormant_tau)] = Dormant(probes.dead_units.dormant_tau)
    if probes.activation_statistics:
        quantities["activation_rate"] = ActivationRate()
    if probes.unit_states:
        quantities["constant_rate"] = Constant(probes.unit_states.constant)
        quantities |= {dormant_series(tau): Dormant(tau) for tau in probes.unit_states.dormant_taus}
    return quantities


class LayerProbes:
    """One hidden layer of some lanes: feed it every part of the probe set, then read what was found."""

    def __init__(
        self,
        probes: Probes,
        model: LaneModel,
        layer: int,
        *,
        averaging: bool,
        with_rank: bool,
        with_spectrum: bool,
        distributions: Sequence[Distribution],
    ) -> None:
        """`layer` counts from 0; the model's lanes are those of every part to come."""
        self._model, self._layer, self._with_rank = model, layer, with_rank
        self._units = unit_quantities(probes, model, layer, averaging=averaging)
        self._silences: Sequence[SilenceQuantity] = [
            quantity
            for quantity in self._units.values()
            if isinstance(quantity, DeadUnits | OffUnits | Pinned | Constant)
        ]
        self._paired = model.configs[0].activation.ratio != 1
        self._moments = ActivationMoments() if probes.activation_statistics and averaging else None
        self._distributions = distributions
        self._sparsity = Sparsity() if probes.sparsity and averaging else None
        self._singular = EffectiveRank() if with_rank or with_spectrum else None
        self._share = probes.spectrum.share if probes.spectrum and with_spectrum else None

    def add(self, preactivation: Tensor, activation: Tensor) -> None:
        """Take in a part's z and h."""
        chunk = self._chunk(self._model, preactivation, activation)
        for quantity in (*self._units.values(), self._moments, self._sparsity, self._singular, *self._distributions):
            if quantity is not None:
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

    def by_unit(self) -> Mapping[str, Tensor]:
        """Values of the units by series name, [L, C]."""
        return {name: quantity.by_unit() for name, quantity in self._units.items()}

    def by_layer(self) -> Mapping[str, Tensor]:
        """Values that only the layer as a whole has, by series name, [L]."""
        values: dict[str, Tensor] = {}
        if self._moments:
            values |= {"activation_mean": self._moments.mean(), "activation_std": self._moments.std()}
        if self._sparsity:
            values |= self._sparsity.by_layer()
        for distribution in self._distributions:
            values |= distribution.by_layer()
        if self._singular:
            singular = self._singular.singular_values()
            if self._with_rank:
                values["effective_rank"] = effective_rank(singular)
            if self._share is not None:
                values |= {"stable_rank": stable_rank(singular), "srank": srank(singular, self._share)}
        return values
