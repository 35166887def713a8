"""A pass of many batches at once is those batches' own training passes, one after the other."""

from typing import Any

import pytest
import torch

from actinium.levels import BATCH_NORMALIZATIONS
from actinium.trial import TrialConfig
from workers.layers import Pass, Trace
from workers.models import build_model
from workers.models.slices import lane_order
from workers.training.batches import pack_data
from workers.training.steps import Steps

BATCH, BATCHES = 4, 5
NORMALIZATIONS: list[Any] = [
    *BATCH_NORMALIZATIONS,
    {"name": "batch", "ghost_batch_size": 2},
    {"name": "batch", "frozen_after": 0.01},
    {"name": "batch", "affine": "none"},
    {"name": "batch", "position": "post"},
    "none",
    "layer",
]
MODELS: dict[str, dict[str, Any]] = {
    "mlp": {"model": {"kind": "mlp", "depth": 2, "width": 8}},
    "cnn": {"model": {"kind": "cnn", "width": 4}},
    "resnet20": {"model": {"kind": "resnet20", "width": 2}},
    "rnn": {"model": {"kind": "rnn", "width": 6}, "task": {"dataset": "sequential_digits"}, "activation": "tanh"},
    "lstm": {"model": {"kind": "lstm", "width": 6}, "task": {"dataset": "sequential_digits"}, "activation": "tanh"},
}


def configs_of(kind: str) -> list[TrialConfig]:
    """A pack of all normalizations that the model can have."""
    found = []
    for level in NORMALIZATIONS:
        fields = MODELS[kind]
        task = {"train_examples": 40, **fields.get("task", {})}
        config = TrialConfig.model_validate(
            {**fields, "task": task, "normalization": level, "training": {"batch_size": BATCH, "epochs": 1}, "seed": 1}
        )
        if config.invalid_design() is None:
            found.append(config)
    return [found[place] for place in lane_order(found)]


@pytest.mark.parametrize("kind", MODELS)
def test_many_batches_at_once_are_each_batch_by_itself(kind: str) -> None:
    configs = configs_of(kind)
    assert len(configs) > 2
    model = build_model(configs, dtype=torch.float64)
    data = pack_data(configs, lane_axis=model.lane_axis, device="cpu", data_root=None)
    single = build_model(configs)
    Steps(single, data).train_to(3)  # running statistics that are neither young nor the batch's
    for name, tensor in single.params.items():
        model.params[name] = tensor.detach().double().requires_grad_()
    for name, tensor in single.statistics.items():
        model.statistics[name] = tensor.double()
    before = {name: tensor.clone() for name, tensor in model.statistics.items()}
    index = data.train[:, : BATCH * BATCHES]

    def passed(part: torch.Tensor, batch: int | None) -> tuple[torch.Tensor, list[torch.Tensor]]:
        trace = Trace()
        inputs, _ = data.take(part)
        outputs = model.forward(model.params, inputs.double(), Pass.measuring(batch=batch, trace=trace))
        return outputs, trace.preactivations

    together, z = passed(index, BATCH)
    singly = [passed(part, None) for part in torch.split(index, BATCH, 1)]
    torch.testing.assert_close(together, torch.cat([outputs for outputs, _ in singly], 1), rtol=1e-10, atol=1e-10)
    if kind not in ("rnn", "lstm"):  # their examples lie between their time steps
        for layer, whole in enumerate(z):
            parts = torch.cat([traced[layer] for _, traced in singly], 1 - model.lane_axis)
            torch.testing.assert_close(whole, parts, rtol=1e-10, atol=1e-10)
    whole_batch, _ = passed(index, None)
    assert not torch.allclose(together, whole_batch, atol=1e-3), "the size of the batch must make a difference"
    for name, tensor in model.statistics.items():
        assert torch.equal(tensor, before[name]), f"{name} has moved"


def test_what_is_no_whole_number_of_batches_is_refused() -> None:
    configs = [config for config in configs_of("mlp") if config.normalization.name == "batch"]
    model = build_model(configs)
    data = pack_data(configs, lane_axis=0, device="cpu", data_root=None)
    inputs, _ = data.take(data.train[:, : BATCH + 1])
    with pytest.raises(AssertionError, match="no whole batches"):
        model.forward(model.params, inputs, Pass.measuring(batch=BATCH))
