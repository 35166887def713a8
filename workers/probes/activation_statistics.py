"""The family `activation_statistics` (SCIENCE D5): how active, how large and how varied a layer's outputs are."""

from workers.probes.activation_moments import ActivationMoments
from workers.probes.activation_rate import ActivationRate
from workers.probes.chunk import UnitQuantity
from workers.probes.family import Family
from workers.probes.gathering import Gathered, LayerLook, LayerValues
from workers.probes.schedule import averaged_steps, rank_steps
from workers.probes.singular_values import OfSingularValues, SingularValues, effective_rank


def gather(look: LayerLook) -> Gathered:
    """Rates and moments, and the rank where it is due."""
    units: dict[str, UnitQuantity] = {"activation_rate": ActivationRate()}
    layers: list[LayerValues] = [ActivationMoments()]
    if "effective_rank" in look.due:
        singular = look.common(SingularValues)
        layers.append(OfSingularValues(singular, lambda values: {"effective_rank": effective_rank(values)}))
    return Gathered(units=units, layers=tuple(layers))


ACTIVATION_STATISTICS = Family(
    name="activation_statistics", steps=averaged_steps, sparser={"effective_rank": rank_steps}, gather=gather
)
