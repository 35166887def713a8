"""Transfer (Yosinski et al. 2014): hidden layers as training on another dataset has left them. Legend: L lanes."""

from pathlib import Path

import torch

from actinium.levels import Activation, Initialization
from actinium.trial import TrialConfig
from workers.layers import LaneModel
from workers.models import build_model
from workers.training.batches import PackData, pack_data
from workers.training.evaluation import evaluate
from workers.training.steps import Steps


def source_config(config: TrialConfig) -> TrialConfig:
    """The trial on the source dataset whose network this one takes over: the same but for what the level says.

    Its linear layers are as wide as the trial's, whatever number of classes the source has.
    """
    level, activation = config.initialization, config.activation
    if activation.ratio != 1:
        activation = Activation.of({"name": activation.name, **activation.parameters, "width_policy": "same_in"})
    rate = level.parameters["learning_rate"]
    training = {"epochs": level.parameters["epochs"], "early_stopping": None}
    return config.model_copy(
        update={
            "task": config.task.as_source(str(level.parameters["source"])),
            "model": config.sized_model(),
            "activation": activation,
            "training": config.training.model_copy(
                update=training if rate is None else training | {"learning_rate": rate}
            ),
            "initialization": Initialization.of(level.parameters["start"]),
        }
    )


def train_on_source(model: LaneModel, data: PackData, data_root: Path | None) -> list[dict[str, float]]:
    """Train networks on the lanes' source, and take over all their hidden layers hold, running statistics included.

    With `classifier: keep` the last layer too. Measured: the source's test error. Raises DatasetMissing.
    """
    configs = [source_config(config) for config in model.configs]
    device, dtype = data.scale.device, data.scale.dtype
    networks = build_model(configs, device=device, dtype=dtype)
    source = pack_data(configs, lane_axis=networks.lane_axis, device=device, data_root=data_root)
    Steps(networks, source).train_to(configs[0].steps())
    kept = torch.tensor([config.initialization.parameters["classifier"] == "keep" for config in model.configs])
    with torch.no_grad():
        for name, tensor in model.params.items():
            if not name.startswith("classifier."):
                tensor.copy_(networks.params[name])
            elif tensor.shape == networks.params[name].shape:
                lanes = kept.to(device).view(-1, *[1] * (tensor.dim() - 1))
                tensor.copy_(torch.where(lanes, networks.params[name], tensor))
        for name, tensor in model.statistics.items():
            if not name.endswith(".batches"):  # the progress of the trial's own training
                tensor.copy_(networks.statistics[name])
    errors = evaluate(networks, source.tested(), source.test).error.tolist()
    return [{"source_test_error": error} for error in errors]
