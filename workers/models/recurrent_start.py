"""The parameters and running statistics of recurrent packs at step 0, and how many of them a trial learns.

Legend: L lanes, T time steps, F features, N units, G columns: N of an rnn; of an lstm 4 N, in the order cell input,
input gate, forget gate, output gate. Of layer NN:

layer_NN.weight [L, F, G] and recurrent_NN.weight [L, N, G]; layer_NN.bias [L, G]; where some lane normalizes
layer_NN.gamma, recurrent_NN.gamma [L, G] and an lstm's cell_NN.gamma, cell_NN.beta [L, N]; what activations learn,
layer_NN.slope [L, N], ... Statistics: layer_NN.running_mean, recurrent_NN.running_mean [L, T, G],
cell_NN.running_mean [L, T, N], and the variances.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from actinium.models.recurrent import GATE_NAMES, Recurrent
from actinium.trial import TrialConfig
from workers.activations import ACTIVATION_FUNCTIONS, LearnedParameter
from workers.layers import Parameters
from workers.models.start import initial_parameters
from workers.normalizations.apply import keeps_statistics, learns_scale, learns_shift


def recurrent_model(config: TrialConfig) -> Recurrent:
    """The config's model, which is a recurrent one: no other kind has this lane-first network."""
    assert isinstance(config.model, Recurrent)
    return config.model


def recurrent_parameters(configs: Sequence[TrialConfig], shapes: Mapping[str, tuple[int, ...]]) -> Parameters:
    """Every parameter at step 0. The initialization draws each block of a layer's weights by itself; the blocks then
    stand side by side in one matrix.

    gamma starts at the model's `batch_scale` where batch normalization learns it, elsewhere at 1.
    """
    model, lanes = recurrent_model(configs[0]), len(configs)
    blocks = initial_parameters(configs, shapes)
    normalized = any(config.normalization.name != "none" for config in configs)
    scaled = [keeps_statistics(c.normalization) and learns_scale(c.normalization) for c in configs]
    gamma = torch.tensor([model.batch_scale if scale else 1.0 for scale in scaled]).unsqueeze(1)
    gates, width = model.gates, model.width
    params: Parameters = {}
    for number in range(1, model.depth + 1):
        layer, recurrent, cell = (f"{place}_{number:02d}" for place in ("layer", "recurrent", "cell"))
        for name in (layer, recurrent):
            parts = [name, *(f"{gate}_of_{name}" for gate in GATE_NAMES[: gates - 1])]
            params[f"{name}.weight"] = torch.cat([blocks[f"{part}.weight"] for part in parts], 2)
            if normalized:
                params[f"{name}.gamma"] = gamma.repeat(1, gates * width)
        if model.starts_as_identity():
            params[f"{recurrent}.weight"] = torch.eye(width).repeat(lanes, 1, 1)
        if model.has_cell and normalized:
            params[f"{cell}.gamma"] = gamma.repeat(1, width)
            params[f"{cell}.beta"] = torch.zeros(lanes, width)
        params[f"{layer}.bias"] = torch.tensor(model.first_biases()).repeat_interleave(width).repeat(lanes, 1)
        learned = {name for config in configs for name in _learned(config)}
        params |= {f"{layer}.{name}": blocks[f"{layer}.{name}"] for name in sorted(learned)}
    return params | {name: blocks[name] for name in ("classifier.weight", "classifier.bias")}


def recurrent_statistics(configs: Sequence[TrialConfig]) -> Parameters:
    """Running means 0 and variances 1 for every time step of the training; none where no lane keeps statistics."""
    if not any(keeps_statistics(config.normalization) for config in configs):
        return {}
    model = recurrent_model(configs[0])
    steps = model.time_steps(configs[0].task.definition().shape)
    columns = model.gates * model.width
    places = {"layer": columns, "recurrent": columns}
    if model.has_cell:
        places["cell"] = model.width
    statistics: Parameters = {}
    for number in range(1, model.depth + 1):
        for place, width in places.items():
            shape = len(configs), steps, width
            statistics[f"{place}_{number:02d}.running_mean"] = torch.zeros(shape)
            statistics[f"{place}_{number:02d}.running_var"] = torch.ones(shape)
    return statistics


def normalized_places(config: TrialConfig) -> tuple[str, ...]:
    """Where in a layer the trial's normalization stands, each time with a gamma of its own: `layer`: W_x x,
    `recurrent`: W_h h, `cell`: the cell state before it is put out.
    """
    model, name = recurrent_model(config), config.normalization.name
    if name == "none":
        return ()
    if model.normalized == "input" or (not model.has_cell and name == "layer"):
        return ("layer",)
    return ("layer", "recurrent", "cell") if model.has_cell else ("layer", "recurrent")


def recurrent_parameter_count(config: TrialConfig, params: Mapping[str, Tensor]) -> int:
    """How many numbers a trial learns; parameters that its levels do not use do not count."""
    model, level = recurrent_model(config), config.normalization
    weights = sum(tensor[0].numel() for name, tensor in params.items() if name.endswith(".weight"))
    columns, places = model.gates * model.width, normalized_places(config)
    layer = columns if learns_bias(config) else 0
    if learns_scale(level):
        layer += sum(model.width if place == "cell" else columns for place in places)
    if learns_shift(level) and "cell" in places:
        layer += model.width
    layer += sum(1 if parameter.shared else model.width for parameter in _learned(config).values())
    return weights + params["classifier.bias"].shape[1] + model.depth * layer


def learns_bias(config: TrialConfig) -> bool:
    """Whether the biases of layers are trained: with a normalization they are its shift, where that is learned."""
    return config.normalization.name == "none" or learns_shift(config.normalization)


def _learned(config: TrialConfig) -> Mapping[str, LearnedParameter]:
    return ACTIVATION_FUNCTIONS[config.activation.name].learned(config.activation)
