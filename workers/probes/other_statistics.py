"""Dead units of networks that normalize by the batch, as they are evaluated, not as they are trained (SCIENCE D1): by
their running statistics, and by statistics recomputed at the weights as they are.

At batch 2 a unit sees +1 and -1 in training and never anything else; by running statistics it sees the whole range of
its inputs. The three rates are of one network, and can be far apart. Legend: L lanes, l of those that keep statistics.
"""

import torch
from torch import Tensor

from workers.layers import LaneModel, Pass, Trace
from workers.normalizations.apply import keeps_statistics
from workers.probes.gathering import Gathered
from workers.probes.gradient_dead import GradientDead
from workers.probes.probed_pack import ProbedPack
from workers.probes.shared_pass import FIRST_EXAMPLES, LayerProbes
from workers.probes.silence import decide_silence, only
from workers.training.batches import PackData

RUNNING, RECOMPUTED = "dead_unit_rate_running", "dead_unit_rate_recomputed"


def dead_rates(pack: ProbedPack, running: LaneModel, recomputed: LaneModel) -> dict[str, Tensor]:
    """By metric, [L]: the share of all units that are gradient-dead over the probe set in eval mode, of the pack's
    lanes with their running statistics and with `recomputed` ones; NaN in lanes that keep none, or whose outputs are
    not finite.
    """
    lanes = [lane for lane, config in enumerate(running.configs) if keeps_statistics(config.normalization)]
    nowhere = torch.full((len(running.configs),), torch.nan, dtype=torch.float64, device=pack.data.scale.device)
    found = {RUNNING: nowhere, RECOMPUTED: nowhere.clone()}
    if lanes:
        for name, networks in ((RUNNING, running), (RECOMPUTED, recomputed)):
            found[name][lanes] = _rate(pack, *only(networks, pack.data, lanes))
    return found


def _rate(pack: ProbedPack, model: LaneModel, data: PackData) -> Tensor:
    """[l], lanes in groups that are small enough to be passed through at once."""
    setting, paired = pack.config.probes.dead_units, pack.config.activation.ratio != 1
    assert setting is not None
    first_examples = min(FIRST_EXAMPLES, pack.examples)
    size = max(1, pack.elements // (pack.config.widest() * first_examples))
    rates = []
    for first in range(0, len(model.configs), size):
        count = min(size, len(model.configs) - first)
        part, part_data = model.narrow(first, count), data.narrow(first, count)
        dead = [GradientDead(setting.epsilon, paired=paired) for _ in pack.widths]
        layers = [
            LayerProbes(part, layer, {"dead_units": Gathered(units={RUNNING: quantity})}, ())
            for layer, quantity in enumerate(dead)
        ]
        trace = Trace()
        inputs, _ = part_data.take(pack.examples_of(part_data, 0, first_examples))
        outputs = part.forward(part.params, inputs, Pass.evaluation(trace=trace))
        for layer, z, h in zip(layers, trace.preactivations, trace.activations, strict=True):
            layer.add(z, h, elements=pack.elements)
        decide_silence(pack, part, part_data, layers, (), seen=first_examples, as_trained=False)
        finite = torch.isfinite(outputs).all(2).all(1)
        rate = torch.cat([quantity.by_unit() for quantity in dead], 1).mean(1)
        rates.append(torch.where(finite, rate, torch.nan))
    return torch.cat(rates)
