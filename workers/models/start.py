"""The parameters and running statistics of a pack at step 0, and how many of them a trial learns.

Legend: L lanes, C channels (units, in a fully connected layer).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from actinium.trial import TrialConfig
from workers.activations import ACTIVATION_FUNCTIONS, LearnedParameter
from workers.initializations import initial_weight
from workers.layers import Parameters
from workers.normalizations import cancels_bias, follows_progress, keeps_statistics, learns_scale, learns_shift
from workers.seeding import generator, learned_stream, weights_stream


def base_draws(seed: int, layer: int, shape: tuple[int, ...]) -> Tensor:
    """The standard normal draws of a (seed, weight layer), float32; layers count from 1."""
    return torch.randn(shape, generator=generator(seed, weights_stream(layer)))


def initial_parameters(configs: Sequence[TrialConfig], weight_shapes: Mapping[str, tuple[int, ...]]) -> Parameters:
    """Weights by each lane's rule from its seed's draws, the rest at its constants.

    `weight_shapes`: one lane's weights by layer name, (N_in, N_out) or (C_out, C_in, k, k), the classifier last. A
    pack in which some lane normalizes gives `gamma` and `beta` to all, and one in which some lane's activation learns a
    parameter gives it to all: what a lane does not use gets no gradient and stays.
    """
    params: Parameters = {}
    for number, (layer, shape) in enumerate(weight_shapes.items(), start=1):
        draws = {seed: base_draws(seed, number, shape) for seed in {config.seed for config in configs}}
        params[f"{layer}.weight"] = torch.stack([initial_weight(draws[c.seed], c.initialization) for c in configs])
    params["classifier.weight"] = params["classifier.weight"].mT.contiguous()
    lanes = len(configs)
    normalized = any(config.normalization.name != "none" for config in configs)
    for layer, width in zip(weight_shapes, _widths(configs[0]), strict=False):
        params[f"{layer}.bias"] = torch.zeros(lanes, width)
        if normalized:
            params[f"{layer}.gamma"] = torch.ones(lanes, width)
            params[f"{layer}.beta"] = torch.zeros(lanes, width)
        for name in dict.fromkeys(name for config in configs for name in _learned(config)):
            starts = [_first_values(config, layer, name, width) for config in configs]
            params[f"{layer}.{name}"] = torch.stack(starts)
    params["classifier.bias"] = torch.zeros(lanes, weight_shapes["classifier"][-1])
    return params


def initial_statistics(configs: Sequence[TrialConfig], layers: Sequence[str]) -> Parameters:
    """Running mean 0 and variance 1, [L, C], of every hidden layer; nothing where no lane has batch normalization.

    Where a lane's level goes by the progress of its training, also the batches seen, [L, 1].
    """
    if not any(keeps_statistics(config.normalization) for config in configs):
        return {}
    statistics: Parameters = {}
    for layer, width in zip(layers, _widths(configs[0]), strict=True):
        statistics[f"{layer}.running_mean"] = torch.zeros(len(configs), width)
        statistics[f"{layer}.running_var"] = torch.ones(len(configs), width)
        if any(follows_progress(config.normalization) for config in configs):
            statistics[f"{layer}.batches"] = torch.zeros(len(configs), 1)
    return statistics


def parameter_count(config: TrialConfig, params: Parameters) -> int:
    """Numbers that a trial learns; frozen biases and what its levels do not use do not count."""
    weights = sum(tensor[0].numel() for name, tensor in params.items() if name.endswith(".weight"))
    layers, units = len(config.layers()), sum(_widths(config))
    biases = params["classifier.bias"].shape[1] + (0 if cancels_bias(config.normalization) else units)
    affine = units * (learns_scale(config.normalization) + learns_shift(config.normalization))
    learned = sum(layers if parameter.shared else units for parameter in _learned(config).values())
    return weights + biases + affine + learned


def _widths(config: TrialConfig) -> list[int]:
    return [channels for channels, _ in config.layers()]


def _learned(config: TrialConfig) -> Mapping[str, LearnedParameter]:
    return ACTIVATION_FUNCTIONS[config.activation.name].learned(config.activation)


def _first_values(config: TrialConfig, layer: str, name: str, width: int) -> Tensor:
    """A learned parameter of the activation at step 0, [C]; zeros in a lane that has none of the name."""
    parameter = _learned(config).get(name)
    if parameter is None:
        return torch.zeros(width)
    if not isinstance(parameter.start, tuple):
        return torch.full((width,), parameter.start)
    low, high = parameter.start
    source = generator(config.seed, learned_stream(layer, name))
    return low + (high - low) * torch.rand(width, generator=source)
