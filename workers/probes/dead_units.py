"""The family `dead_units` (SCIENCE D1): units that are dead, off, dormant or saturated, and what becomes of them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from actinium.trial import DeadUnits, TrialConfig
from workers.activations import ACTIVATION_FUNCTIONS
from workers.probes.chunk import UnitQuantity
from workers.probes.dormant import Dormant, dormant_series
from workers.probes.family import Family, Given, tabled
from workers.probes.gathering import Gathered, LayerLook
from workers.probes.gradient_dead import GradientDead
from workers.probes.halves import Halves
from workers.probes.off_units import OffUnits
from workers.probes.other_statistics import RECOMPUTED, RUNNING
from workers.probes.probed_pack import ProbedPack
from workers.probes.saturated import Saturated
from workers.probes.schedule import averaged_steps, trajectory_steps
from workers.probes.trajectory import classify, settled_frames


def _setting(config: TrialConfig) -> DeadUnits:
    assert config.probes.dead_units is not None
    return config.probes.dead_units


def series(config: TrialConfig) -> list[Given]:
    """Halves only where activations double the channels or halve them; dormancy is the network's alone."""
    ratio = config.activation.ratio
    without = [*(["dead_half_rate"] if ratio == 1 else []), *(["off_half_rate"] if ratio <= 1 else [])]
    dormant = Given(name=dormant_series(_setting(config).dormant_tau), network=True, layers=False)
    return [*tabled("dead_units", without=without), dormant]


def gather(look: LayerLook) -> Gathered:
    """What of a layer's units is true on the whole probe set, and where means are taken shares of examples."""
    wanted, model = _setting(look.config), look.model
    ratio = model.configs[0].activation.ratio
    rectifies = [ACTIVATION_FUNCTIONS[config.activation.name].rectifier for config in model.configs]
    dead = GradientDead(wanted.epsilon, paired=ratio != 1)
    off = OffUnits(torch.tensor(rectifies, device=model.params["classifier.weight"].device), doubled=ratio > 1)
    units: dict[str, UnitQuantity] = {"dead_unit_rate": dead, "off_rate": off}
    if ratio != 1:
        units["dead_half_rate"] = Halves(dead)
    if ratio > 1:
        units["off_half_rate"] = Halves(off)
    if "saturated_rate" in look.due:
        units["saturated_rate"] = Saturated(wanted.epsilon, model.steepest(model.params, look.layer).detach())
    dormant = dormant_series(wanted.dormant_tau)
    if dormant in look.due:
        units[dormant] = Dormant(wanted.dormant_tau)
    return Gathered(units=units)


def remember(pack: ProbedPack, units: Mapping[str, Tensor], finite: Tensor) -> None:
    """Which units are dead at this step."""
    pack.dead_now = (units["dead_unit_rate"] == 1) & finite.unsqueeze(1)


def ends(configs: Sequence[TrialConfig]) -> list[Given]:
    """What became of units. Rates by other statistics are of the network that is judged, and with its other figures
    (`workers.training.judging`).
    """
    return tabled("dead_units", at_end=True, without=(RUNNING, RECOMPUTED))


def end(pack: ProbedPack) -> dict[str, Tensor]:
    """Shares of units by fate over the trajectory so far, network and layers; and on how many frames `died` rests."""
    dead = torch.stack(pack.dead)
    found = {"settled_frames": dead.new_full((dead.shape[1],), settled_frames(pack.steps), dtype=torch.float64)}
    for name, fates in classify(dead, pack.steps).items():
        found |= pack.means(name, pack.by_layer(fates))
    return found


DEAD_UNITS = Family(
    name="dead_units",
    steps=trajectory_steps,
    sparser={"saturated_rate": averaged_steps, "dormant_rate": averaged_steps},
    series=series,
    gather=gather,
    remember=remember,
    ends=ends,
    end=end,
)
