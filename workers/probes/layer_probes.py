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
from workers.probes.chunk import LayerChunk, SilenceQuantity, UnitQuantity
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


def unit_quantities(probes: Probes, model: LaneModel, layer: int) -> dict[str, UnitQuantity]:
    """By series name, those that are numbers of a unit; `layer` counts from 0."""
    quantities: dict[str, UnitQuantity] = {}
    ratio = model.configs[0].activation.ratio
    if probes.dead_units:
        steepest = model.steepest(model.params, layer).detach()
        rectifies = [ACTIVATION_FUNCTIONS[config.activation.name].rectifier for config in model.configs]
        dead = DeadUnits(probes.dead_units.epsilon, paired=ratio != 1)
        off = OffUnits(torch.tensor(rectifies, device=steepest.device), doubled=ratio > 1)
        quantities["dead_unit_rate"], quantities["off_rate"] = dead, off
        if ratio != 1:
            quantities["dead_half_rate"] = Halves(dead)
        if ratio > 1:
            quantities["off_half_rate"] = Halves(off)
        quantities["saturated_rate"] = Saturated(probes.dead_units.epsilon, steepest)
        quantities[dormant_series(probes.dead_units.dormant_tau)] = Dormant(probes.dead_units.dormant_tau)
    if probes.activation_statistics:
        quantities["activation_rate"] = ActivationRate()
    if probes.unit_states:
        quantities["pinned_negative_rate"] = Pinned(1.0)
        quantities["pinned_positive_rate"] = Pinned(-1.0)
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
        with_rank: bool,
        with_spectrum: bool,
        distributions: Sequence[Distribution],
    ) -> None:
        """`layer` counts from 0; the model's lanes are those of every part to come."""
        self._model, self._layer, self._with_rank = model, layer, with_rank
        self._units = unit_quantities(probes, model, layer)
        self._moments = ActivationMoments() if probes.activation_statistics else None
        self._distributions = distributions
        self._sparsity = Sparsity() if probes.sparsity else None
        self._singular = EffectiveRank() if with_rank or with_spectrum else None
        self._share = probes.spectrum.share if probes.spectrum and with_spectrum else None

    def add(self, preactivation: Tensor, activation: Tensor) -> None:
        """Take in a part's z and h."""
        chunk = self._chunk(self._model, preactivation, activation)
        for quantity in (*self._units.values(), self._moments, self._sparsity, self._singular, *self._distributions):
            if quantity is not None:
                quantity.add(chunk)

    def undecided(self) -> Tensor | None:
        """[L] bool: lanes of which more examples could change what is silent here; None where nothing asks for it."""
        flags = [quantity.undecided().any(1) for quantity in self._silences()]
        return torch.stack(flags).any(0) if flags else None

    def add_silence(self, model: LaneModel, lanes: Tensor, preactivation: Tensor, activation: Tensor) -> None:
        """Take in z and h of a part that was passed through `model`: these lanes alone, by their positions."""
        chunk = self._chunk(model, preactivation, activation)
        for quantity in self._silences():
            quantity.add_of(lanes, chunk)

    def _silences(self) -> list[SilenceQuantity]:
        return [quantity for quantity in self._units.values() if isinstance(quantity, SilenceQuantity)]

    def _chunk(self, model: LaneModel, preactivation: Tensor, activation: Tensor) -> LayerChunk:
        return LayerChunk(
            preactivation=preactivation,
            activation=activation,
            derivative=partial(model.derivative, model.params, self._layer),
            scratch=torch.empty_like(preactivation),
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
