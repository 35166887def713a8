"""How far running statistics are from those of the weights as they are (SCIENCE D3), for batch normalizations.

The true ones are re-estimated at fixed weights, layer upon layer, as for the precise test error: means over batches of
the first training examples. Legend: L lanes, C channels.
"""

import torch
from torch import Tensor

from actinium.frame import layer_series
from workers.layers import LaneModel
from workers.normalizations.apply import keeps_statistics
from workers.probes.family import Family
from workers.probes.schedule import points_of
from workers.training.batches import PackData
from workers.training.evaluation import with_precise_statistics

STATISTIC_SERIES = ("statistic_mean_error", "statistic_variance_error")

STILL = 2.0**-30
"""A variance, by the layer's largest, up to which a channel of a time step does not vary."""


def statistic_errors(model: LaneModel, data: PackData) -> dict[str, Tensor]:
    """[L] float64 by series name, of every hidden layer; NaN in lanes that keep no statistics.

    statistic_mean_error: mean_c |m_run - m| / sd. statistic_variance_error: mean_c |ln(v_run / v)|.
    """
    kept = torch.tensor([keeps_statistics(config.normalization) for config in model.configs])
    if not kept.any():
        nothing = data.scale.new_full((len(model.configs),), torch.nan, dtype=torch.float64)
        numbers = range(1, len(model.hidden_names) + 1)
        return {layer_series(name, number): nothing for name in STATISTIC_SERIES for number in numbers}
    precise = with_precise_statistics(model, data)
    values: dict[str, Tensor] = {}
    for number, layer in enumerate(model.hidden_names, start=1):
        mean, var = (model.statistics[f"{layer}.running_{name}"].double() for name in ("mean", "var"))
        true_mean, true_var = (precise.statistics[f"{layer}.running_{name}"].double() for name in ("mean", "var"))
        found = {
            "statistic_mean_error": _mean((mean - true_mean).abs() / true_var.sqrt(), true_var),
            "statistic_variance_error": _mean((var / true_var).log().abs(), true_var),
        }
        for name, value in found.items():
            values[layer_series(name, number)] = torch.where(kept.to(value.device), value, torch.nan)
    return values


def _mean(errors: Tensor, true_var: Tensor) -> Tensor:
    """Over channels, [L] from [L, C]; of a recurrent layer's W_x x over time steps too, [L, T, C], without channels
    that hardly vary among examples at a step, as at an image's rim.
    """
    if errors.dim() == 2:
        return errors.mean(1)
    varies = true_var > STILL * true_var.amax((1, 2), keepdim=True)
    return torch.where(varies, errors, torch.nan).nanmean((1, 2))


STATISTIC_ERROR = Family(
    name="statistic_error",
    steps=points_of("statistic_error"),
    measure=lambda pack, step: statistic_errors(pack.model, pack.data),
)
