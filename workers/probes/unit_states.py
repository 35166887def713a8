"""The family `unit_states` (SCIENCE D1): pinned, constant and blocked units, further thresholds of dormancy, layers
that are wholly dead, networks that are constant, and hazards of death and revival.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from actinium.frame import layer_series
from actinium.probes import DeadUnits, UnitStates
from actinium.trial import TrialConfig
from workers.probes.blocked import blocked_units
from workers.probes.chunk import UnitQuantity
from workers.probes.constant import Constant
from workers.probes.dormant import Dormant, dormant_series
from workers.probes.family import Family, Given, given, tabled
from workers.probes.gathering import Gathered, LayerLook
from workers.probes.network_constant import NetworkConstant
from workers.probes.pinned import Pinned
from workers.probes.probed_pack import ProbedPack
from workers.probes.schedule import averaged_examples, averaged_steps, points_of
from workers.probes.trajectory import transitions

OF_DEAD_UNITS = ("dead_layers", "layer_dead")
"""Measured where dead units are."""

blocked_steps = points_of("unit_states")


def _setting(config: TrialConfig) -> UnitStates:
    assert config.probes.unit_states is not None
    return config.probes.unit_states


def further_taus(config: TrialConfig) -> list[float]:
    """Thresholds of dormancy beside the one that `dead_units` measures."""
    dead = config.probes.dead_units
    known = {dormant_series(dead.dormant_tau)} if dead else set()
    return [tau for tau in dict.fromkeys(_setting(config).dormant_taus) if dormant_series(tau) not in known]


def series(config: TrialConfig) -> list[Given]:
    """As the table has it, with the thresholds of dormancy behind the constant units."""
    found: list[Given] = []
    for one in tabled("unit_states", without=() if config.probes.dead_units else OF_DEAD_UNITS):
        found.append(one)
        if one.name == "constant_rate":
            found += [given(dormant_series(tau)) for tau in further_taus(config)]
    return found


def gather(look: LayerLook) -> Gathered:
    """What of a layer's units is true on the whole probe set, and dormancy where means are taken."""
    units: dict[str, UnitQuantity] = {"pinned_negative_rate": Pinned(1.0), "pinned_positive_rate": Pinned(-1.0)}
    if "constant_rate" in look.due:
        units["constant_rate"] = Constant(_setting(look.config).constant)
    taus = {dormant_series(tau): tau for tau in further_taus(look.config)}
    return Gathered(units=units | {name: Dormant(tau) for name, tau in taus.items() if name in look.due})


def gather_outputs(config: TrialConfig, due: frozenset[str]) -> list[NetworkConstant]:
    """Whether the network says one thing."""
    return [NetworkConstant(_setting(config).constant)] if "network_constant" in due else []


def measure(pack: ProbedPack, step: int) -> dict[str, Tensor]:
    """Layers that are dead at this step, and at some steps units that are blocked."""
    values: dict[str, Tensor] = {}
    if pack.config.probes.dead_units:
        assert pack.dead_now is not None, "dead units are measured at every measured step, and before this family"
        wholly = torch.stack([dead.all(1) for dead in pack.by_layer(pack.dead_now)], 1).double()
        flags = torch.where(pack.finite.unsqueeze(1), wholly, torch.nan)
        values["dead_layers"] = flags.sum(1)
        values |= {layer_series("layer_dead", layer): own for layer, own in enumerate(flags.unbind(1), start=1)}
    if step in blocked_steps(pack.config):
        values |= _blocked(pack)
    return values


def _blocked(pack: ProbedPack) -> dict[str, Tensor]:
    """Units that are alive and get no gradient, on the whole probe set."""
    dead_units = pack.config.probes.dead_units or DeadUnits()
    groups = [
        blocked_units(
            model,
            data,
            pack.examples_of(data, 0, pack.laid_out),
            batch=pack.batch,
            epsilon=dead_units.epsilon,
            threshold=_setting(pack.config).blocked,
            at_once=max(1, pack.elements // (len(model.configs) * pack.per_example * pack.batch)),
        )
        for model, data in pack.groups(pack.per_example * averaged_examples(pack.config))
    ]
    return pack.means("blocked_rate", pack.by_layer(torch.cat(groups)))


def ends(configs: Sequence[TrialConfig]) -> list[Given]:
    """Hazards, where dead units are measured."""
    return tabled("unit_states", at_end=True) if configs[0].probes.dead_units else []


def end(pack: ProbedPack) -> dict[str, Tensor]:
    """Hazards of death and revival, all of a layer's (or the network's) units and intervals together, and the share
    of dead to which they lead, h / (h + r). NaN where no unit was alive, or dead.
    """
    found: dict[str, Tensor] = {}
    if not pack.dead:
        return found
    for name, (changed, could) in transitions(torch.stack(pack.dead)).items():
        changes, chances = (pack.means(name, pack.by_layer(counts)) for counts in (changed, could))
        found |= {series: changes[series] / chances[series] for series in changes}
    for name in [name for name in found if name.startswith("death_hazard")]:
        h, r = found[name], found[name.replace("death", "revival", 1)]
        found[name.replace("death_hazard", "stationary_dead_rate", 1)] = h / (h + r)
    return found


UNIT_STATES = Family(
    name="unit_states",
    sparser={
        "constant_rate": averaged_steps,
        "dormant_rate": averaged_steps,
        "network_constant": averaged_steps,
        "blocked_rate": blocked_steps,
    },
    series=series,
    gather=gather,
    gather_outputs=gather_outputs,
    measure=measure,
    ends=ends,
    end=end,
)
