"""The parameters and running statistics of a pack at step 0, and how many of them a trial learns.

Legend: L lanes, C channels (units, in a fully connected layer).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from actinium.levels import cancels_bias, learns_scale, learns_shift, stands_after, stands_before
from actinium.models.kind import linear_outputs
from actinium.trial import TrialConfig
from workers.activations import ACTIVATION_FUNCTIONS, LearnedParameter
from workers.initializations.weights import asymmetric_start, initial_weight
from workers.layers import Parameters
from workers.models.fixup import fixup_factor, fixup_scalars, scalar_count, starts_by_fixup
from workers.normalizations.apply import follows_progress, keeps_statistics
from workers.seeding import asymmetry_stream, generator, learned_stream, weights_stream


def base_draws(seed: int, layer: int, shape: tuple[int, ...]) -> Tensor:
    """The standard normal numbers that a seed draws for its weight layer number `layer` (from 1), float32."""
    return torch.randn(shape, generator=generator(seed, weights_stream(layer)))


def initial_parameters(configs: Sequence[TrialConfig], weight_shapes: Mapping[str, tuple[int, ...]]) -> Parameters:
    """Every parameter of a pack: weights by each lane's initialization from the draws of its seed, all others at the
    constants that they start at.

    `weight_shapes`: one lane's weights, as `actinium.models.kind.ModelKind.weight_shapes` lists them. A parameter has
    all lanes of the pack: if one lane normalizes, all have `gamma` and `beta`; if one lane's activation learns a
    parameter, all have it. In lanes that do not use a parameter its gradient is zero, and it never changes.
    """
    params: Parameters = {}
    biases: Parameters = {}
    for number, (layer, shape) in enumerate(weight_shapes.items(), start=1):
        draws = {seed: base_draws(seed, number, shape) for seed in {config.seed for config in configs}}
        starts = [_layer_start(config, draws[config.seed], number, layer) for config in configs]
        params[f"{layer}.weight"] = torch.stack([weight for weight, _ in starts])
        biases[layer] = torch.stack([bias for _, bias in starts])
    if len(weight_shapes["classifier"]) == 2:
        params["classifier.weight"] = params["classifier.weight"].mT.contiguous()
    lanes = len(configs)
    normalizes = any(config.normalization.name != "none" for config in configs)
    normalized = _normalized(configs, weight_shapes)
    for layer, width in linear_outputs(weight_shapes).items():
        params[f"{layer}.bias"] = biases[layer]
        if normalizes:
            params[f"{layer}.gamma"] = torch.ones(lanes, normalized[layer])
            params[f"{layer}.beta"] = torch.zeros(lanes, normalized[layer])
        activated = layer.startswith("layer_")
        for name in dict.fromkeys(name for config in configs for name in _learned(config) if activated):
            values = [_first_values(config, layer, name, width) for config in configs]
            params[f"{layer}.{name}"] = torch.stack(values)
    params["classifier.bias"] = biases["classifier"]
    return params | fixup_scalars(configs, weight_shapes)


def _layer_start(config: TrialConfig, draws: Tensor, number: int, layer: str) -> tuple[Tensor, Tensor]:
    """The weight and bias at step 0 of one trial's `layer`, which is its weight layer `number`."""
    level = config.initialization
    if level.name == "rai" and layer.startswith("layer_"):
        return asymmetric_start(draws, level, generator(config.seed, asymmetry_stream(number)))
    weight = initial_weight(draws, level)
    if starts_by_fixup(config):
        weight = weight * fixup_factor(config, layer)
    return weight, torch.zeros(weight.shape[0 if weight.dim() == 4 else 1])


def initial_statistics(configs: Sequence[TrialConfig], weight_shapes: Mapping[str, tuple[int, ...]]) -> Parameters:
    """Running means 0 and variances 1, [L, C], of every layer but the classifier. None where no lane's normalization
    keeps running statistics.

    Where a lane's normalization depends on how far its training is, also how many batches it has seen, [L, 1].
    """
    if not any(keeps_statistics(config.normalization) for config in configs):
        return {}
    statistics: Parameters = {}
    for layer, width in _normalized(configs, weight_shapes).items():
        statistics[f"{layer}.running_mean"] = torch.zeros(len(configs), width)
        statistics[f"{layer}.running_var"] = torch.ones(len(configs), width)
        if any(follows_progress(config.normalization) for config in configs):
            statistics[f"{layer}.batches"] = torch.zeros(len(configs), 1)
    return statistics


def parameter_count(config: TrialConfig, params: Parameters) -> int:
    """How many numbers a trial learns; biases held at zero and parameters that its levels do not use do not count."""
    weights = sum(tensor[0].numel() for name, tensor in params.items() if name.endswith(".weight"))
    widths = {name: len(tensor[0]) for name, tensor in params.items() if name.endswith(".bias")}
    layers, units = len(config.layers()), sum(channels for channels, _ in config.layers())
    activated = sum(channels for channels, _ in config.activated())
    projected = sum(width for name, width in widths.items() if name.startswith("projection_"))
    fixup = starts_by_fixup(config)
    unbiased = fixup or cancels_bias(config.normalization)
    biases = params["classifier.bias"].shape[1] + (scalar_count(params) if fixup else 0)
    biases += 0 if unbiased else units + projected
    normalized = units + projected if stands_before(config.normalization) else activated
    affine = normalized * (learns_scale(config.normalization) + learns_shift(config.normalization))
    learned = sum(layers if parameter.shared else units for parameter in _learned(config).values())
    return weights + biases + affine + learned


def _normalized(configs: Sequence[TrialConfig], weight_shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """How many channels are normalized in every layer but the classifier: those of the linear outputs, or, where
    normalizations stand behind the activations, those of the activations' outputs.

    Only where activations change the number of channels is there a difference; packs then have normalizations of one
    of the two positions, because their pack key says which.
    """
    widths = linear_outputs(weight_shapes)
    if any(stands_after(config.normalization) for config in configs):
        ratio = configs[0].activation.ratio
        widths |= {layer: int(width * ratio) for layer, width in widths.items() if layer.startswith("layer_")}
    return widths


def _learned(config: TrialConfig) -> Mapping[str, LearnedParameter]:
    return ACTIVATION_FUNCTIONS[config.activation.name].learned(config.activation)


def _first_values(config: TrialConfig, layer: str, name: str, width: int) -> Tensor:
    """A learned parameter of the trial's activation at step 0, [C]; zeros where that has no such parameter."""
    parameter = _learned(config).get(name)
    if parameter is None:
        return torch.zeros(width)
    if not isinstance(parameter.start, tuple):
        return torch.full((width,), parameter.start)
    low, high = parameter.start
    source = generator(config.seed, learned_stream(layer, name))
    return low + (high - low) * torch.rand(width, generator=source)
