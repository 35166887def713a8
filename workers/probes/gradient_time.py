"""Gradient flow through time, of recurrent networks (SCIENCE D4, over steps in the place of layers).

Legend: L lanes, D hidden layers, T time steps, B examples, N units.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from actinium.frame import layer_series
from workers.probes.gradient_slope import gradient_slope

TIME_SERIES = ("gradient_time_slope", "gradient_rms_first", "gradient_rms_last")


def time_rms(gradients: Sequence[Tensor], steps: int) -> Tensor:
    """The root mean square of dL/dz over examples and units, by time step: [L, D, T] float64.

    `gradients`: of each layer [L, T B, N], time outer, as a recurrent network's trace has z.
    """
    by_layer = [g.double().square().reshape(len(g), steps, -1).mean(2).sqrt() for g in gradients]
    return torch.stack(by_layer, 1)


def time_values(rms: Tensor) -> dict[str, Tensor]:
    """[L] by series name, from `time_rms`.

    gradient_time_slope: -(OLS slope of ln rms on t), per step towards the past; in theory the logarithm of the factor
    that a step multiplies gradients with. Not finite numbers and exact zeros make it NaN; the network's is the mean
    over its layers. gradient_rms_first, gradient_rms_last: at the first and the last time step.
    """
    lanes, layers, _ = rms.shape
    slopes = gradient_slope(rms.flatten(0, 1)).view(lanes, layers)
    values = {"gradient_time_slope": slopes.mean(1)}
    found = {"gradient_time_slope": slopes, "gradient_rms_first": rms[..., 0], "gradient_rms_last": rms[..., -1]}
    for name, columns in found.items():
        values |= {layer_series(name, number): column for number, column in enumerate(columns.unbind(1), start=1)}
    return values
