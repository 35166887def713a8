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

from actinium.models.recurrent import GATES, Lstm, Rnn
from actinium.trial import TrialConfig
from workers.activations import ACTIVATION_FUNCTIONS, LearnedParameter
from workers.layers import Parameters
from workers.models.start import initial_parameters
from workers.normalizations.apply import keeps_statistics, learns_scale, learns_shift

GATE_NAMES = ("input_gate", "forget_gate", "output_gate")
"""Blocks of an lstm's columns behind the first, which is the cell's input."""


def recurrent_model(config: TrialConfig) -> Rnn | Lstm:
    """The config's model."""
    assert isinstance(config.model, Rnn | Lstm)
    return config.model


def weight_shapes(model: Rnn | Lstm, features: int, outputs: int) -> dict[str, tuple[int, int]]:
    """(N_in, N_out) of every block of every layer, and of the classifier: each has draws and fans of its own."""
    shapes: dict[str, tuple[int, int]] = {}
    gates = GATE_NAMES[: GATES[model.kind] - 1]
    for number in range(1, model.depth + 1):
        fan_in = features if number == 1 else model.width
        for place, rows in (("layer", fan_in), ("recurrent", model.width)):
            shapes[f"{place}_{number:02d}"] = rows, model.width
            shapes |= {f"{gate}_of_{place}_{number:02d}": (rows, model.width) for gate in gates}
    return {**shapes, "classifier": (model.width, outputs)}


def recurrent_parameters(configs: Sequence[TrialConfig], shapes: Mapping[str, tuple[int, ...]]) -> Parameters:
    """What the initializations make of `weight_shapes`, block beside block; biases 0, forget gates' as the model says.

    gamma starts at the model's `batch_scale` where batch normalization learns it, elsewhere at 1.
    """
    model, lanes = recurrent_model(configs[0]), len(configs)
    blocks = initial_parameters(configs, shapes)
    normalized = any(config.normalization.name != "none" for config in configs)
    scaled = [keeps_statistics(c.normalization) and learns_scale(c.normalization) for c in configs]
    gamma = torch.tensor([model.batch_scale if scale else 1.0 for scale in scaled]).unsqueeze(1)
    gates, width = GATES[model.kind], model.width
    params: Parameters = {}
    for number in range(1, model.depth + 1):
        layer, recurrent, cell = (f"{place}_{number:02d}" for place in ("layer", "recurrent", "cell"))
        for name in (layer, recurrent):
            parts = [name, *(f"{gate}_of_{name}" for gate in GATE_NAMES[: gates - 1])]
            params[f"{name}.weight"] = torch.cat([blocks[f"{part}.weight"] for part in parts], 2)
            if normalized:
                params[f"{name}.gamma"] = gamma.repeat(1, gates * width)
        if isinstance(model, Rnn) and model.recurrent_start == "identity":
            params[f"{recurrent}.weight"] = torch.eye(width).repeat(lanes, 1, 1)
        bias = torch.zeros(lanes, gates * width)
        if isinstance(model, Lstm):
            bias[:, 2 * width : 3 * width] = model.forget_bias
            if normalized:
                params[f"{cell}.gamma"] = gamma.repeat(1, width)
                params[f"{cell}.beta"] = torch.zeros(lanes, width)
        params[f"{layer}.bias"] = bias
        learned = {name for config in configs for name in _learned(config)}
        params |= {f"{layer}.{name}": blocks[f"{layer}.{name}"] for name in sorted(learned)}
    return params | {name: blocks[name] for name in ("classifier.weight", "classifier.bias")}


def recurrent_statistics(configs: Sequence[TrialConfig], shapes: Mapping[str, tuple[int, ...]]) -> Parameters:
    """Running mean 0 and variance 1 of every time step that is trained; nothing where no lane keeps statistics."""
    if not any(keeps_statistics(config.normalization) for config in configs):
        return {}
    model, steps = recurrent_model(configs[0]), configs[0].task.definition().shape[1]
    columns = GATES[model.kind] * model.width
    places = {"layer": columns, "recurrent": columns}
    if isinstance(model, Lstm):
        places["cell"] = model.width
    statistics: Parameters = {}
    for number in range(1, model.depth + 1):
        for place, width in places.items():
            shape = len(configs), steps, width
            statistics[f"{place}_{number:02d}.running_mean"] = torch.zeros(shape)
            statistics[f"{place}_{number:02d}.running_var"] = torch.ones(shape)
    return statistics


def normalized_places(config: TrialConfig) -> tuple[str, ...]:
    """Where the config's level has a gamma of its own: `layer`, `recurrent`, `cell`."""
    model, name = recurrent_model(config), config.normalization.name
    if name == "none":
        return ()
    if model.normalized == "input" or (model.kind == "rnn" and name == "layer"):
        return ("layer",)
    return ("layer", "recurrent") if model.kind == "rnn" else ("layer", "recurrent", "cell")


def recurrent_parameter_count(config: TrialConfig, params: Mapping[str, Tensor]) -> int:
    """Numbers that a trial learns; what its levels do not use does not count."""
    model, level = recurrent_model(config), config.normalization
    weights = sum(tensor[0].numel() for name, tensor in params.items() if name.endswith(".weight"))
    columns, places = GATES[model.kind] * model.width, normalized_places(config)
    layer = columns if learns_bias(config) else 0
    if learns_scale(level):
        layer += sum(model.width if place == "cell" else columns for place in places)
    if learns_shift(level) and "cell" in places:
        layer += model.width
    layer += sum(1 if parameter.shared else model.width for parameter in _learned(config).values())
    return weights + params["classifier.bias"].shape[1] + model.depth * layer


def learns_bias(config: TrialConfig) -> bool:
    """Whether layers' biases are trained: they are the shift of a normalization."""
    return config.normalization.name == "none" or learns_shift(config.normalization)


def _learned(config: TrialConfig) -> Mapping[str, LearnedParameter]:
    return ACTIVATION_FUNCTIONS[config.activation.name].learned(config.activation)
