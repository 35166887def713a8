"""Internal covariate shift as Santurkar et al. 2018 define it (SCIENCE C11): how far the gradient of a layer's weights
turns when the layers below it take their step.

    G_i = grad_{W_i} L(W_1, ..., W_k),    G'_i = the same with the layers below i updated, and i and those above not.

L is the mean loss over the first examples of the probe set, statistics as in training; the update is the training's own
next step on them, momentum, penalties and clipping included, on copies. Everything that belongs to a layer is updated
with its weights; a projection belongs to the last layer of its block. Legend: L lanes, D hidden layers.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from actinium.frame import layer_series
from actinium.trial import TrialConfig
from workers.layers import LaneModel, Parameters, Pass
from workers.probes.family import Family
from workers.probes.gradient_slope import gradient_slope
from workers.probes.probed_pack import ProbedPack
from workers.probes.schedule import points_of
from workers.training.batches import PackData

LossOf: TypeAlias = Callable[[Parameters], Tensor]


def measure(pack: ProbedPack, step: int) -> dict[str, Tensor]:
    """Internal covariate shift of every layer, by series name."""
    wanted = pack.config.probes.covariate_shift
    assert wanted is not None and pack.stepped is not None, "a step is needed to see what it does"
    asked = [
        (model, _loss_on(model, data, inputs, targets, pack.batch))
        for model, data, inputs, targets in pack.shown(wanted.examples)
    ]
    return covariate_shift(asked, partial(pack.stepped, pack.model.params))


COVARIATE_SHIFT = Family(name="covariate_shift", steps=points_of("covariate_shift"), measure=measure)


def covariate_shift(
    asked: Sequence[tuple[LaneModel, LossOf]], stepped: Callable[[Mapping[str, Tensor]], Parameters]
) -> dict[str, Tensor]:
    """[L] float64 by series name, of the lanes of all groups of a pack in their order: each group with its lanes'
    losses as a function of the parameters. `stepped`: the pack's parameters as a step with these gradients would leave
    them.

    ics: |G_i - G'_i|. ics_relative: that over |G_i|. ics_cosine: of the angle between the two. ics_slope: the OLS slope
    of ln ics_relative on i, from the second layer on (below the first there is nothing: 0, 0 and 1).
    """
    before = [gradients(loss, model.params, list(model.params)) for model, loss in asked]
    moved = stepped({name: torch.cat([group[name] for group in before]) for name in before[0]})
    parts: list[Tensor] = []
    first = 0
    for (model, loss), own in zip(asked, before, strict=True):
        lanes = slice(first, first + len(model.configs))
        parts.append(_shifts(model, loss, own, {name: tensor[lanes] for name, tensor in moved.items()}))
        first = lanes.stop
    shift = torch.cat(parts, 1)
    values = {
        layer_series(name, number): column
        for name, of_layers in zip(("ics", "ics_relative", "ics_cosine"), shift, strict=True)
        for number, column in enumerate(of_layers.unbind(1), start=1)
    }
    return {**values, "ics_slope": -gradient_slope(shift[1, :, 1:])}


def _loss_on(model: LaneModel, data: PackData, inputs: Tensor, targets: Tensor, batch: int) -> LossOf:
    """The sum over lanes of each one's mean loss, as a function of the parameters."""

    def loss(params: Parameters) -> Tensor:
        outputs = model.forward(params, inputs, Pass.measuring(batch=batch))
        return data.functions().loss(outputs, targets).sum()

    return loss


def gradients(loss: LossOf, params: Mapping[str, Tensor], names: Sequence[str]) -> Parameters:
    """dL/d of the parameters named, each lane's own, [L, ...]."""
    watched = {name: tensor.detach().requires_grad_(name in names) for name, tensor in params.items()}
    with torch.enable_grad():
        found = torch.autograd.grad(loss(watched), [watched[name] for name in names], materialize_grads=True)
    return dict(zip(names, found, strict=True))


def _shifts(model: LaneModel, loss: LossOf, own: Parameters, moved: Parameters) -> Tensor:
    """|G - G'|, that over |G|, and their cosine: [3, L, D]."""
    places = {name: layer_of(model.configs[0], name) for name in model.params}
    found = []
    for number in range(1, len(model.hidden_names) + 1):
        weights = [f"{kind}_{number:02d}.weight" for kind in ("layer", "recurrent")]
        weights = [name for name in weights if name in model.params]
        mixed = {name: moved[name] if places[name] < number else old for name, old in model.params.items()}
        turned = own if number == 1 else gradients(loss, mixed, weights)
        g, h = (torch.cat([of[name].double().flatten(1) for name in weights], 1) for of in (own, turned))
        sizes, difference = g.norm(dim=1), (g - h).norm(dim=1)
        found.append(torch.stack([difference, difference / sizes, (g * h).sum(1) / (sizes * h.norm(dim=1))]))
    return torch.stack(found, 2)


def layer_of(config: TrialConfig, name: str) -> float:
    """The number of the hidden layer that a parameter belongs to; the classifier stands above all of them."""
    owner = name.split(".", 1)[0]
    kind, _, number = owner.rpartition("_")
    if not kind:
        return float("inf")
    if kind != "projection":
        return float(number)
    return layer_of(config, config.projections()[owner])
