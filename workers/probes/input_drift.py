"""Drift of what activations receive (SCIENCE B, bn-stable; Ioffe & Szegedy 2015, figure 1), against step 0.

Of every unit's z, its mean m and standard deviation s over the first examples of the probe set (and positions), with
the statistics of batches of the study's own size, as in training. Legend: L lanes, U units of all hidden layers.

    mean drift  |m_t - m_0| / s_0        std drift  |ln(s_t / s_0)|
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from actinium.frame import layer_series
from workers.layers import LaneModel, Pass, Trace
from workers.probes.family import Family
from workers.probes.probed_pack import ProbedPack
from workers.probes.schedule import points_of

START = "start"
"""Remembered: moments of z at the first measured step, [L, 2, U]."""


@torch.no_grad()
def unit_moments(model: LaneModel, inputs: Tensor, *, batch: int | None = None) -> Tensor:
    """m and s (biased) of z, [2, L, U] float64; inputs in the model's layout; `batch` as in `workers.layers.Pass`."""
    trace = Trace()
    model.forward(model.params, inputs, Pass.measuring(batch=batch, trace=trace))
    axes = (1,) if model.lane_axis == 0 else (0, 3, 4)
    found = [torch.var_mean(z.double(), axes, correction=0) for z in trace.preactivations]
    return torch.stack([torch.cat([mean for _, mean in found], 1), torch.cat([var for var, _ in found], 1).sqrt()])


def drift(start: Tensor, now: Tensor) -> Mapping[str, Tensor]:
    """[L, U] by name, from moments [2, L, U]; NaN where a unit was constant at step 0, or of its spread, is so now."""
    (mean, std), (mean_now, std_now) = start, now
    varied, varies = std > 0, std_now > 0
    return {
        "input_mean_drift": torch.where(varied, (mean_now - mean).abs() / std, torch.nan),
        "input_std_drift": torch.where(varied & varies, (std_now / std).log().abs(), torch.nan),
    }


def measure(pack: ProbedPack, step: int) -> dict[str, Tensor]:
    """How far units' inputs have moved since the first measured step."""
    wanted = pack.config.probes.input_drift
    assert wanted is not None
    shown = pack.shown(wanted.examples)
    now = torch.cat([unit_moments(model, inputs, batch=pack.batch) for model, _, inputs, _ in shown], 1)
    start = pack.memory.setdefault(START, now.movedim(1, 0))
    values: dict[str, Tensor] = {}
    for name, units in drift(start.movedim(0, 1), now).items():
        layers = torch.split_with_sizes(units, [channels for channels, _ in pack.config.layers()], 1)
        values |= {layer_series(name, number): of.nanmean(1) for number, of in enumerate(layers, start=1)}
        values[name] = units.nanmean(1)
    return values


INPUT_DRIFT = Family(name="input_drift", steps=points_of("input_drift"), measure=measure)
