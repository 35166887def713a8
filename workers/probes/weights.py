"""Norms of weights and of their gradients, learned slopes, and opposite filters (SCIENCE D4, crelu-pairs).

The gradients are of the mean loss over the examples given, statistics as in training; they are this probe's
own and reach no parameter. Legend: L lanes, B examples, D hidden layers, F filters (units), n weights of one.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from actinium.frame import layer_series
from actinium.trial import TrialConfig
from workers.activations.expressions import PREFIX
from workers.layers import LaneModel, Pass
from workers.models.slices import slices_of
from workers.objectives import Loss, cross_entropy
from workers.probes.family import Family, Given, given
from workers.probes.probed_pack import ProbedPack
from workers.probes.schedule import points_of

SLOPE = "slope"
"""What parametric rectifiers learn; it has a series of its own in frames."""

LEARNED = "learned_parameter_"


def shown_name(parameter: str) -> str:
    """A learned parameter as its level calls it: those of written activations have a prefix among the tensors. A
    written `slope` keeps it, because it is no rectifier's.
    """
    own = parameter.removeprefix(PREFIX)
    return parameter if own == SLOPE else own


def weight_values(
    model: LaneModel, inputs: Tensor, targets: Tensor, loss: Loss = cross_entropy, *, batch: int | None = None
) -> dict[str, Tensor]:
    """[L] float64 by series name, of every hidden layer; inputs in the model's layout, targets as `loss` takes them,
    `batch` as in `workers.layers.Pass`.

    weight_norm: |W|_F. weight_gradient_rms: |dL/dW|_F / sqrt(numel). weight_gradient_share: |dL/dW|_F / |W|_F.
    learned_slope: the mean over units of what a parametric rectifier learned, NaN elsewhere. opposite_cosine: the mean
    over filters of the least cosine with any other, -1 where each has its opposite (Shang et al. 2016). W of a
    recurrent layer is W_x and W_h together: all that a unit receives.
    """
    values: dict[str, Tensor] = {}
    learned = learned_means(model).get(SLOPE)
    gradients = _gradients(model, inputs, targets, loss, batch)
    for number, layer in enumerate(model.hidden_names, start=1):
        weight = _whole(model.params, layer).detach().double()
        size = weight.flatten(1).norm(dim=1)
        steepness = _whole(gradients, layer).double().flatten(1).norm(dim=1)
        per_filter = weight.mT if model.lane_axis == 0 else weight.flatten(2)
        found = {
            "weight_norm": size,
            "weight_gradient_rms": steepness / weight[0].numel() ** 0.5,
            "weight_gradient_share": steepness / size,
            "learned_slope": torch.full_like(size, torch.nan) if learned is None else learned[:, number - 1],
            "opposite_cosine": opposite_cosine(per_filter),
        }
        values |= {layer_series(name, number): value for name, value in found.items()}
    return values


def _names(tensors: Mapping[str, Tensor], layer: str) -> list[str]:
    """The names of the layer's weights among these."""
    names = [f"{layer}.weight", f"{layer.replace('layer_', 'recurrent_')}.weight"]
    return [name for name in names if name in tensors]


def _whole(tensors: Mapping[str, Tensor], layer: str) -> Tensor:
    """A layer's weights, or their gradients; of a recurrent one [L, F + N, G], W_x before W_h."""
    parts = [tensors[name] for name in _names(tensors, layer)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def _gradients(model: LaneModel, inputs: Tensor, targets: Tensor, loss: Loss, batch: int | None) -> dict[str, Tensor]:
    params = {name: tensor.detach() for name, tensor in model.params.items()}
    with torch.enable_grad():
        watched = [name for layer in model.hidden_names for name in _names(params, layer)]
        leaves = [params[name].requires_grad_() for name in watched]
        outputs = model.forward(params, inputs, Pass.measuring(batch=batch))
        total = loss(outputs, targets).sum()
        return dict(zip(watched, torch.autograd.grad(total, leaves, materialize_grads=True), strict=True))


def learned_means(model: LaneModel) -> dict[str, Tensor]:
    """The mean over units of each parameter that an activation of some lane has learned, by its name: [L, D] float64,
    NaN in lanes that learn none of the name; one that is shared by the layer is its first entry.
    """
    found: dict[str, Tensor] = {}
    layers = model.hidden_names
    device = model.params[f"{layers[0]}.bias"].device
    for piece in slices_of(model.configs):
        lanes = slice(piece.first, piece.first + piece.lanes)
        for name, parameter in piece.learned.items():
            if shown_name(name) not in found:
                nothing = torch.full((len(model.configs), len(layers)), torch.nan, dtype=torch.float64, device=device)
                found[shown_name(name)] = nothing
            for number, layer in enumerate(layers):
                own = model.params[f"{layer}.{name}"][lanes].detach().double()
                found[shown_name(name)][lanes, number] = own[:, 0] if parameter.shared else own.mean(1)
    return found


def opposite_cosine(filters: Tensor) -> Tensor:
    """mean_i min_{j != i} cos(w_i, w_j), [L] from filters [L, F, n]; NaN for a single filter or one that is zero."""
    unit = filters / filters.norm(dim=2, keepdim=True)
    cosines = unit @ unit.mT
    itself = torch.eye(filters.shape[1], dtype=torch.bool, device=filters.device)
    if filters.shape[1] == 1:
        return filters.new_full((filters.shape[0],), torch.nan)
    return torch.where(itself, torch.inf, cosines).amin(2).mean(1)


def measure(pack: ProbedPack, step: int) -> dict[str, Tensor]:
    """What weights and their gradients show on the first examples of the probe set. What activations learned beside
    the slope is remembered for the trial's end: frames of a pack have one layout, whatever its activations learn.
    """
    wanted = pack.config.probes.weights
    assert wanted is not None
    groups = [
        weight_values(model, inputs, targets, data.functions().loss, batch=pack.batch)
        for model, data, inputs, targets in pack.shown(wanted.examples)
    ]
    learned = learned_means(pack.model)
    learned.pop(SLOPE, None)
    pack.memory |= {f"{LEARNED}{name}": means for name, means in learned.items()}
    return {name: torch.cat([group[name] for group in groups]) for name in groups[0]}


def ends(configs: Sequence[TrialConfig]) -> list[Given]:
    """Every learned parameter but the slope, which frames have."""
    names = dict.fromkeys(shown_name(name) for piece in slices_of(configs) for name in piece.learned)
    return [given(f"{LEARNED}{name}") for name in names if name != SLOPE]


def end(pack: ProbedPack) -> dict[str, Tensor]:
    """Learned parameters at the last step at which weights were measured."""
    return {
        layer_series(one.name, number): means
        for one in ends(pack.model.configs)
        for number, means in enumerate(pack.memory[one.name].unbind(1), start=1)
    }


WEIGHTS = Family(name="weights", steps=points_of("weights"), measure=measure, ends=ends, end=end)
